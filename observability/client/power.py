"""Measure the energy of this process, of the machine and of single predictions.

Sources, best first: the processor's counters (RAPL under /sys/class/powercap: measured); Zeus' monitor, if it is installed and reads these
counters (measured); CodeCarbon's offline tracker, if it is installed (estimated); else the process's CPU time times an assumed power per
busy core (assumed). Accelerators are read through NVML if its Python binding is installed, else through Zeus (measured). Each record names
its `meter`. Utilisation, memory and temperature of each device are read together with its energy, if the machine provides them
(device_gauges). No such library is imported before a meter starts, and nothing raises into the caller.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from observability.client.device_gauges import HWMON, Gauges, accelerator_gauges, accelerator_memory, processor_gauges
from observability.client.encode import describe_error
from observability.client.log import Logger

POWERCAP = Path("/sys/class/powercap")
WATTS_PER_CORE = 4.0
"""Assumed power of one busy core (a hardware thread) in watts; the fallback of CodeCarbon."""
EVERY_SECONDS = 15.0
Share = Literal["machine", "process"]


@dataclass(frozen=True)
class EnergyReading:
    """Energy of a device since its last reading. source: measured, estimated or assumed. meter: the meter that gave the value."""

    device: str
    joules: float
    source: str
    meter: str = ""


class Rapl:
    """Energy counters of processor packages and memory. `read` returns the joules since the last call; it raises OSError if that fails."""

    meter = "RAPL"

    def __init__(self, root: Path = POWERCAP) -> None:
        zones = {zone: (zone / "name").read_text(encoding="ascii").strip() for zone in sorted(root.glob("*rapl:*"))}
        self.zones = {zone: name for zone, name in zones.items() if name.startswith("package") or name == "dram"}
        if not self.zones:
            raise OSError(f"no counters under {root}")
        self.ranges = {zone: int((zone / "max_energy_range_uj").read_text(encoding="ascii")) for zone in self.zones}
        self.last = {zone: self.count(zone) for zone in self.zones}

    @staticmethod
    def count(zone: Path) -> int:
        """Microjoules of a counter; it restarts at 0 after its range."""
        return int((zone / "energy_uj").read_text(encoding="ascii"))

    def read(self) -> list[EnergyReading]:
        """Joules of all packages, and of all memory."""
        joules: dict[str, float] = {}
        for zone, name in self.zones.items():
            now, before = self.count(zone), self.last[zone]
            self.last[zone] = now
            device = "memory" if name == "dram" else "cpu"
            joules[device] = joules.get(device, 0.0) + (now - before if now >= before else now - before + self.ranges[zone]) / 1e6
        return [EnergyReading(device, amount, "measured") for device, amount in joules.items()]


class Nvml:
    """Energy counters and gauges of NVIDIA accelerators. The constructor raises if there is no binding, driver or accelerator."""

    meter = "NVML"

    def __init__(self) -> None:
        self.library: Any = import_module("pynvml")
        self.library.nvmlInit()
        self.handles = [self.library.nvmlDeviceGetHandleByIndex(i) for i in range(self.library.nvmlDeviceGetCount())]
        if not self.handles:
            raise OSError("no accelerator")
        self.last = [self.library.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in self.handles]

    def read(self) -> list[EnergyReading]:
        """The energy in joules that each accelerator used since the previous reading."""
        now = [self.library.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in self.handles]
        before, self.last = self.last, now
        return [EnergyReading(f"gpu{i}", (a - b) / 1e3, "measured") for i, (a, b) in enumerate(zip(now, before))]

    def gauges(self) -> dict[str, Gauges]:
        """Utilisation, memory and temperature of each accelerator."""
        return {f"gpu{i}": accelerator_gauges(self.library, handle) for i, handle in enumerate(self.handles)}

    def memory(self) -> float | None:
        """Memory that each accelerator has, in GiB; None if it cannot be read or they differ."""
        return accelerator_memory(self.library, self.handles)


class Zeus:
    """Zeus' monitor, with one window per reading. processor, accelerators: whether to measure these. The constructor raises if Zeus is not
    installed or measures none of them.
    """

    meter = "Zeus"

    def __init__(self, *, processor: bool, accelerators: bool) -> None:
        self.monitor: Any = import_module("zeus.monitor").ZeusMonitor()
        self.processor = processor and bool(self.monitor.cpu_indices)
        self.accelerators = accelerators and bool(self.monitor.gpu_indices)
        if not (self.processor or self.accelerators):
            raise OSError("nothing that Zeus measures is missing")
        self.count, self.window = 0, ""
        self.begin()

    def begin(self) -> None:
        """Begin a window with a new name, because an earlier window that could not be ended may still be open. It does not wait for running
        work on accelerators.
        """
        self.count += 1
        self.window = f"observability {self.count}"
        self.monitor.begin_window(self.window, sync_execution=False)

    def read(self) -> list[EnergyReading]:
        """Joules of all packages, of all memory and of each accelerator, as far as they were asked for and can be measured."""
        try:
            window = self.monitor.end_window(self.window, sync_execution=False)
        finally:
            self.begin()  # also after a failure, so that only this reading is lost
        joules: dict[str, float] = {}
        if self.processor:
            parts = {"cpu": window.cpu_energy, "memory": window.dram_energy}
            joules |= {device: sum(own.values()) for device, own in parts.items() if own}
        if self.accelerators:
            joules |= {f"gpu{place}": amount for place, amount in window.gpu_energy.items()}
        return [EnergyReading(device, float(amount), "measured") for device, amount in joules.items()]


class CodeCarbon:
    """CodeCarbon's offline tracker, with one task per reading. The constructor raises if CodeCarbon is not installed or does not start."""

    meter = "CodeCarbon"

    def __init__(self, share: Share) -> None:
        library: Any = import_module("codecarbon")
        self.tracker = library.OfflineEmissionsTracker(
            country_iso_code="USA",
            tracking_mode=share,
            save_to_file=False,
            log_level="critical",
            allow_multiple_runs=True,
            measure_power_secs=5,
        )
        self.count = 0
        self.tracker.start_task("0")

    def read(self) -> list[EnergyReading]:
        """Joules of processor and memory, estimated by CodeCarbon."""
        data = self.tracker.stop_task(str(self.count))
        self.count += 1
        self.tracker.start_task(str(self.count))
        parts = {"cpu": data.cpu_energy, "memory": data.ram_energy}
        return [EnergyReading(device, float(kwh) * 3.6e6, "estimated") for device, kwh in parts.items()]


class CpuTime:
    """The process's CPU time times an assumed power per busy core."""

    meter = "CPU time"

    def __init__(self, watts_per_core: float) -> None:
        self.watts, self.last = watts_per_core, time.process_time()

    def read(self) -> list[EnergyReading]:
        """Joules of the process, from an assumed power."""
        now = time.process_time()
        spent, self.last = now - self.last, now
        return [EnergyReading("cpu", spent * self.watts, "assumed")]


def machine_busy_seconds(stat: Path = Path("/proc/stat")) -> float | None:
    """Busy CPU seconds of the whole machine since its start; None if they are not available."""
    try:
        fields = stat.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        user, nice, system, _, _, interrupts, soft = (int(field) for field in fields[:7])
        return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None


class PredictionEnergy:
    """Energy of one prediction; `joules` is set after the block."""

    def __init__(self, rate: Callable[[], float], clock: Callable[[], float]) -> None:
        self._rate, self._clock, self.joules = rate, clock, 0.0
        self._start = clock()

    def __enter__(self) -> Self:
        self._start = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        self.joules = max(self._clock() - self._start, 0.0) * self._rate()


class PowerMeter:
    """Writes a `resource` record for each device every `every` seconds, in its own thread, until it is stopped: energy and power, and
    its utilisation, memory and temperature as far as they can be read.

    Use `with PowerMeter(log, model="loan") as meter:` around a service; `track_run(power=True)` starts one for a training run. share:
    "machine" counts all energy of the devices. "process" counts only the part of this process, by its share of the CPU time; RAPL's values
    then count as estimated, and idle power is divided among the busy processes. run, model, version and phase are written with each record.
    `joules` is the sum so far, `source` the least certain source among the readings, `dropped` the number of failed readings, `last_error`
    the reason of the last failure.
    """

    def __init__(
        self,
        log: Logger,
        *,
        every: float = EVERY_SECONDS,
        share: Share = "machine",
        watts_per_core: float = WATTS_PER_CORE,
        powercap: Path = POWERCAP,
        hwmon: Path = HWMON,
        codecarbon: bool = True,
        run: object = None,
        model: object = None,
        version: object = None,
        phase: object = None,
    ) -> None:
        self.log, self.every, self.share, self.watts_per_core = log, max(float(every), 0.1), share, float(watts_per_core)
        self.joules, self.dropped, self.last_error = 0.0, 0, None
        self._fields = {"run": run, "model": model, "version": version, "phase": phase}
        self._powercap, self._hwmon, self._codecarbon = powercap, hwmon, codecarbon
        self._sources: set[str] = set()
        self._readers: list[Any] = []
        self._stop, self._lock, self._thread = threading.Event(), threading.Lock(), None
        self._cpu_seconds = self._process_joules = 0.0
        self._at, self._process, self._busy = 0.0, 0.0, machine_busy_seconds()

    last_error: str | None
    _thread: threading.Thread | None

    @property
    def source(self) -> str:
        """The least certain source of all readings: measured, estimated or assumed."""
        return next((source for source in ("assumed", "estimated") if source in self._sources), "measured")

    @property
    def joules_per_cpu_second(self) -> float:
        """Energy of this process per CPU second so far; before the first reading, the assumed power of a core."""
        return self._process_joules / self._cpu_seconds if self._cpu_seconds > 0 and self._process_joules > 0 else self.watts_per_core

    def hardware(self) -> dict[str, float]:
        """`device_memory_gb`: the memory of each accelerator in GiB. Empty before the start, without NVML, or if the accelerators
        differ.
        """
        size = next((reader.memory() for reader in self._readers if isinstance(reader, Nvml)), None)
        return {"device_memory_gb": size} if size else {}

    def prediction(self, *, threads: bool = False) -> PredictionEnergy:
        """Measure one prediction: `with meter.prediction() as spent: score = model(x)`, then `energy_j=spent.joules`.

        By default, the CPU time of the calling thread counts. With threads=True, that of all threads of the process counts; use this for a
        model that computes in several threads and answers one request at a time.
        """
        return PredictionEnergy(lambda: self.joules_per_cpu_second, time.process_time if threads else time.thread_time)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the thread; a second call does nothing."""
        if self._thread is not None:
            return
        try:
            self._begin()
            self._thread = threading.Thread(target=self._watch, name="observability-power", daemon=True)
            self._thread.start()
        except Exception as error:
            self._failed(error)

    def stop(self) -> None:
        """Take a last reading and end the thread; a second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stop.set()
        thread.join(timeout=30)
        if not thread.is_alive():
            self._read()

    def _begin(self) -> None:
        """Choose the readers that work on this machine, and read the clocks."""
        self._stop.clear()
        counters, accelerators = self._try(lambda: Rapl(self._powercap)), self._try(Nvml)
        zeus = None
        if counters is None or accelerators is None:
            zeus = self._try(lambda: Zeus(processor=counters is None, accelerators=accelerators is None))
        if counters is None and not (zeus and zeus.processor):
            counters = (self._try(lambda: CodeCarbon(self.share)) if self._codecarbon else None) or CpuTime(self.watts_per_core)
        self._readers = [reader for reader in (counters, accelerators, zeus) if reader is not None]
        self._at, self._process, self._busy = time.monotonic(), time.process_time(), machine_busy_seconds()

    @staticmethod
    def _try(make: Callable[[], Any]) -> Any:
        """A reader; None if it does not work on this machine."""
        try:
            return make()
        except Exception:
            return None

    def _watch(self) -> None:
        """Take readings until the meter is stopped. The thread runs this method."""
        while not self._stop.wait(self.every):
            self._read()

    def _read(self) -> None:
        """Take one reading of all devices and write it as records."""
        try:
            with self._lock:
                self._write(self._taken())
        except Exception as error:
            self._failed(error)

    def _taken(self) -> tuple[float, list[tuple[EnergyReading, float, Gauges]]]:
        """Seconds since the last reading, and for each device its reading, the joules to write and its gauges."""
        now, process, busy = time.monotonic(), time.process_time(), machine_busy_seconds()
        seconds, spent = now - self._at, process - self._process
        others = busy - self._busy if busy is not None and self._busy is not None else None
        self._at, self._process, self._busy = now, process, busy
        part = min(spent / others, 1.0) if others else 1.0
        written = []
        for reader in self._readers:
            own = isinstance(reader, CpuTime) or (isinstance(reader, CodeCarbon) and self.share == "process")
            if isinstance(reader, Nvml):
                shown = reader.gauges()
            else:
                alone = own or self.share == "process"
                shown = {"cpu": processor_gauges(spent if alone else others, seconds, process=alone, hwmon=self._hwmon)}
            for reading in reader.read():
                of_process = reading.joules * (1.0 if own or reading.device.startswith("gpu") else part)
                self._process_joules += of_process
                kept = of_process if self.share == "process" or own else reading.joules
                split = kept != reading.joules and reading.source == "measured"
                told = EnergyReading(
                    self._named(reading.device, own), reading.joules, "estimated" if split else reading.source, reader.meter
                )
                written.append((told, kept, shown.get(reading.device, Gauges())))
        self._cpu_seconds += spent
        return seconds, written

    def _named(self, device: str, own: bool) -> str:
        """The device's name. If only this process's part is measured, the name includes the process id, so that two processes on a machine
        count as two devices.
        """
        return f"{device} process {os.getpid()}" if (own or self.share == "process") and not device.startswith("gpu") else device

    def _write(self, taken: tuple[float, list[tuple[EnergyReading, float, Gauges]]]) -> None:
        """Write the records of one reading."""
        seconds, drawn = taken
        if seconds <= 0:
            return
        import platform

        for reading, joules, shown in drawn:
            fields: Mapping[str, object] = {
                "device": reading.device,
                "host": platform.node() or None,
                "watts": joules / seconds,
                "energy_j": joules,
                "seconds": seconds,
                "source": reading.source,
                "meter": reading.meter,
                **asdict(shown),
                **self._fields,
            }
            self.joules += joules
            self._sources.add(reading.source)
            self.log.record("resource", **fields)

    def _failed(self, error: Exception) -> None:
        """Count a failed reading and keep its reason."""
        self.dropped += 1
        self.last_error = describe_error(error)
