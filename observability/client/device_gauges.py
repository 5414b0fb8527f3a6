"""Read utilisation, memory and temperature of processors and accelerators, as far as this machine provides them.

Processors are read from files of Linux (/proc, /sys/class/hwmon), accelerators through NVML's Python binding. A value that cannot be read
is None.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

PROC, HWMON = Path("/proc"), Path("/sys/class/hwmon")
PROCESSOR_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""Names of hwmon devices that measure a processor."""
GIB = 2**30


@dataclass(frozen=True)
class Gauges:
    """The values of one device at one reading. utilisation: share from 0 to 1 since the last reading; memory_gb: memory in use, in GiB."""

    utilisation: float | None = None
    memory_gb: float | None = None
    temperature_c: float | None = None


def accelerator_gauges(library: Any, handle: object) -> Gauges:
    """Return the gauges of an accelerator. library: NVML's binding, initialised; handle: the handle of the device."""
    return Gauges(
        _number(lambda: library.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        _number(lambda: library.nvmlDeviceGetMemoryInfo(handle).used / GIB),
        _number(lambda: library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU)),
    )


def accelerator_memory(library: Any, handles: Iterable[object]) -> float | None:
    """Return the memory that each of these accelerators has, in GiB; None if it cannot be read or they differ.

    library: NVML's binding, initialised; handles: the handles of the devices.
    """
    sizes = {_number(partial(_memory_size, library, handle)) for handle in handles}
    return sizes.pop() if len(sizes) == 1 else None


def processor_gauges(busy: float | None, seconds: float, *, process: bool, proc: Path = PROC, hwmon: Path = HWMON) -> Gauges:
    """Return the gauges of the processors, for the whole machine or for the part that this process uses.

    busy: CPU seconds that the machine or the process used in the last `seconds`; None if they are not available.
    """
    cores = len(os.sched_getaffinity(0)) if process and hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = None if busy is None or not cores or seconds <= 0 else min(max(busy / (seconds * cores), 0.0), 1.0)
    return Gauges(share, _number(lambda: _memory_in_use(proc, process=process)), _number(lambda: _processor_temperature(hwmon)))


def _memory_size(library: Any, handle: object) -> float:
    """The memory of an accelerator, in GiB to two decimals."""
    return round(library.nvmlDeviceGetMemoryInfo(handle).total / GIB, 2)


def _number(read: Callable[[], Any]) -> float | None:
    """The number that a function returns; None if the function fails."""
    try:
        return float(read())
    except Exception:  # a binding raises its own kinds of errors, and the kernel may return anything
        return None


def _memory_in_use(proc: Path, *, process: bool) -> float:
    """GiB of memory in use by the machine (memory that is not available to new processes), or resident memory of this process."""
    text = (proc / ("self/status" if process else "meminfo")).read_text(encoding="ascii", errors="replace")
    kilobytes = {line.partition(":")[0]: line.split()[1] for line in text.splitlines() if line.endswith(" kB")}
    used = int(kilobytes["VmRSS"]) if process else int(kilobytes["MemTotal"]) - int(kilobytes["MemAvailable"])
    return used * 1024 / GIB


def _processor_temperature(hwmon: Path) -> float:
    """The highest temperature of a processor, °C."""
    sensors = [path.parent for path in hwmon.glob("*/name") if path.read_text(encoding="ascii").strip() in PROCESSOR_SENSORS]
    return max(int(path.read_text(encoding="ascii")) for sensor in sensors for path in sensor.glob("temp*_input")) / 1000
