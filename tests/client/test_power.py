"""Energy is measured, its source is stated, and the caller never sees a failure."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import observability as obs
from observability.client import power
from observability.client.device_gauges import Gauges, processor_gauges
from observability.client.power import PowerMeter, Rapl
from observability.client.runs import describe_hardware
from observability.metrics import prices
from observability.records.record import validate

Records = Callable[[], list[dict]]


def zone(root: Path, name: str, kind: str, microjoules: int, limit: int = 1_000_000) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(kind + "\n")
    (folder / "max_energy_range_uj").write_text(f"{limit}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


def busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make imports behave as if neither CodeCarbon nor NVML were installed."""

    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(power, "import_module", missing)


def test_energy_counters_are_summed_by_domain_and_may_wrap_around(tmp_path: Path) -> None:
    first, second = zone(tmp_path, "intel-rapl:0", "package-0", 100), zone(tmp_path, "intel-rapl:1", "package-1", 999_000)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 0)
    zone(tmp_path, "intel-rapl:0:0", "core", 0)
    counters = Rapl(tmp_path)
    (first / "energy_uj").write_text("500100")
    (second / "energy_uj").write_text("1000")  # the counter wraps at 1 J and is now 2,000 further on
    (memory / "energy_uj").write_text("250000")
    found = {each.device: each for each in counters.read()}
    assert set(found) == {"cpu", "memory"}
    assert found["cpu"].joules == pytest.approx(0.5 + 0.002) and found["memory"].joules == pytest.approx(0.25)
    assert {each.source for each in found.values()} == {"measured"}
    with pytest.raises(OSError, match="no counters"):
        Rapl(tmp_path / "nowhere")


def test_counters_make_measured_records_of_the_machine(tmp_path: Path, records: Records, nothing_else: None) -> None:
    package = zone(tmp_path / "powercap", "intel-rapl:0", "package-0", 0, 10**12)
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path / "powercap", model="loan", version="2") as meter:
        (package / "energy_uj").write_text("30000000")
    (found,) = records()
    assert (found["device"], found["model"], found["version"], found["source"]) == ("cpu", "loan", "2", "measured")
    assert found["energy_j"] == pytest.approx(30) and found["watts"] * found["seconds"] == pytest.approx(30)
    assert meter.joules == pytest.approx(30) and meter.source == "measured" and meter.dropped == 0


class Monitor:
    """A ZeusMonitor of one processor package, its memory and two accelerators."""

    def __init__(self) -> None:
        self.cpu_indices, self.gpu_indices, self.open = [0], [0, 1], False

    def begin_window(self, key: str, *, sync_execution: bool) -> None:
        assert not self.open and not sync_execution
        self.open = True

    def end_window(self, key: str, *, sync_execution: bool) -> SimpleNamespace:
        assert self.open and not sync_execution
        self.open = False
        return SimpleNamespace(cpu_energy={0: 40.0}, dram_energy={0: 5.0}, gpu_energy={0: 100.0, 1: 50.0})


def only_zeus(name: str) -> object:
    if name == "zeus.monitor":
        return SimpleNamespace(ZeusMonitor=Monitor)
    raise ModuleNotFoundError(name)


def test_zeus_is_used_where_no_counter_exists_and_is_named_as_source(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "import_module", only_zeus)
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path) as meter:
        pass
    found = {each["device"]: (each["energy_j"], each["source"], each["meter"]) for each in records()}
    assert found == {name: (joules, "measured", "Zeus") for name, joules in (("cpu", 40), ("memory", 5), ("gpu0", 100), ("gpu1", 50))}
    assert meter.joules == 195 and meter.dropped == 0


def test_a_failed_zeus_reading_does_not_affect_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Monitor):
        """A monitor whose window closes only at the third attempt: the first fails after closing it, the second before. It refuses a name
        that is open.
        """

        def __init__(self) -> None:
            super().__init__()
            self.names: set[str] = set()
            self.failures = [False, True]

        def begin_window(self, key: str, *, sync_execution: bool) -> None:
            assert key not in self.names
            self.names.add(key)

        def end_window(self, key: str, *, sync_execution: bool) -> SimpleNamespace:
            if self.failures:
                if self.failures.pop():
                    self.names.remove(key)
                raise OSError("busy")
            self.names.remove(key)
            return SimpleNamespace(cpu_energy={0: 40.0}, dram_energy={}, gpu_energy={})

    monkeypatch.setattr(power, "import_module", lambda _name: SimpleNamespace(ZeusMonitor=Failing))
    zeus = power.Zeus(processor=True, accelerators=False)
    for _ in range(2):
        with pytest.raises(OSError, match="busy"):
            zeus.read()
    assert [each.joules for each in zeus.read()] == [40.0]


def test_counters_that_are_read_directly_are_not_taken_from_zeus_too(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "import_module", only_zeus)
    package = zone(tmp_path / "powercap", "intel-rapl:0", "package-0", 0, 10**12)
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path / "powercap"):
        (package / "energy_uj").write_text("30000000")
    assert {each["device"]: each["meter"] for each in records()} == {"cpu": "RAPL", "gpu0": "Zeus", "gpu1": "Zeus"}


def test_the_share_of_a_process_is_an_estimate_and_never_more_than_the_machine(
    tmp_path: Path, records: Records, nothing_else: None
) -> None:
    package = zone(tmp_path / "powercap", "intel-rapl:0", "package-0", 0, 10**12)
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path / "powercap", share="process") as meter:
        busy(0.1)
        (package / "energy_uj").write_text("8000000")
    (found,) = records()
    assert 0 < found["energy_j"] <= 8 and found["device"].startswith("cpu process ")
    assert found["source"] == ("estimated" if found["energy_j"] < 8 else "measured") == meter.source


def test_without_counters_energy_is_cpu_time_times_assumed_power(tmp_path: Path, records: Records, nothing_else: None) -> None:
    before = time.process_time()
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path, watts_per_core=10) as meter:
        start = time.process_time()
        busy(0.2)
        spent = time.process_time() - start
    most = time.process_time() - before
    (found,) = records()
    assert found["source"] == "assumed" == meter.source
    assert spent * 10 <= found["energy_j"] <= most * 10
    assert power.WATTS_PER_CORE == prices.WATTS_PER_CORE


def test_energy_is_assigned_to_predictions_by_cpu_time_and_the_rest_is_idle(tmp_path: Path, nothing_else: None) -> None:
    package = zone(tmp_path / "powercap", "intel-rapl:0", "package-0", 0, 10**12)
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path / "powercap", share="process") as meter:
        start = time.thread_time()
        with meter.prediction() as first:
            busy(0.1)
        assert 0.1 * 4 <= first.joules <= (time.thread_time() - start) * 4, "without a reading yet, the assumed power of a core is used"
        (package / "energy_uj").write_text("50000000")
        meter._read()
        rate = meter.joules_per_cpu_second
        start = time.process_time()
        with meter.prediction(threads=True) as spent:
            busy(0.05)
        assert 0.05 * rate <= spent.joules <= (time.process_time() - start) * rate
    assert rate > 4


def test_a_run_logs_its_energy_periodically_and_at_its_end(tmp_path: Path, records: Records, nothing_else: None, monkeypatch) -> None:
    monkeypatch.setattr(
        power.PowerMeter.__init__, "__kwdefaults__", {**power.PowerMeter.__init__.__kwdefaults__, "every": 0.1, "powercap": tmp_path}
    )
    start = time.monotonic()
    with obs.track_run(model="loan", version="1", home=tmp_path, power=True) as run:
        inside = time.monotonic()
        while not [each for each in records() if each["kind"] == "resource"]:
            assert time.monotonic() < inside + 60
            time.sleep(0.02)  # the pause between two checks whether the first reading is written
        within = time.monotonic() - inside
    passed = time.monotonic() - start
    found = [each for each in records() if each["kind"] == "resource"]
    assert len(found) >= 2 and {each["run"] for each in found} == {run.run} and {each["model"] for each in found} == {"loan"}
    assert records()[-1]["event"] == "end"
    assert within <= sum(each["seconds"] for each in found) <= passed
    assert not [each for each in threading.enumerate() if each.name == "observability-power"]


def test_a_failed_power_reading_raises_nothing(tmp_path: Path, nothing_else: None) -> None:
    package = zone(tmp_path / "powercap", "intel-rapl:0", "package-0", 0)
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path / "powercap") as meter:
        (package / "energy_uj").write_text("no number")
        meter.start()
    meter.stop()
    assert meter.dropped == 1 and "ValueError" in (meter.last_error or "")


class FakeNvml:
    """Two accelerators whose energy counters rise by 5 J per reading; the second has no readable temperature."""

    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.millijoules = 0

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=80 + handle, memory=30)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=80 * 2**30, used=(10 + handle) * 2**30)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        if handle:
            raise RuntimeError("Not Supported")
        return 71 + sensor

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, i: int) -> int:
        return i

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        self.millijoules += 5000
        return self.millijoules


def only_nvml(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    """Make imports behave as if NVML's binding were installed but CodeCarbon were not."""

    def some(name: str) -> object:
        if name != "pynvml":
            raise ModuleNotFoundError(name)
        return library

    monkeypatch.setattr(power, "import_module", some)


def test_accelerators_are_read_where_their_binding_is(tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    only_nvml(monkeypatch, FakeNvml())
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path):
        pass
    found = {each["device"]: each for each in records()}
    assert {name for name in found if name.startswith("gpu")} == {"gpu0", "gpu1"}
    assert all(found[name]["energy_j"] == pytest.approx(10) and found[name]["source"] == "measured" for name in ("gpu0", "gpu1"))
    assert [found[name]["utilisation"] for name in ("gpu0", "gpu1")] == [0.8, 0.81]
    assert [found[name]["memory_gb"] for name in ("gpu0", "gpu1")] == [10, 11]
    assert found["gpu0"]["temperature_c"] == 71 and "temperature_c" not in found["gpu1"], "an unreadable value is left out"
    assert all(validate(each)["extra"].keys() == {"meter"} for each in found.values()), "all other fields belong to the contract"


class UnlikeNvml(FakeNvml):
    """Two accelerators of different size."""

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=(16 + 64 * handle) * 2**30, used=0)


class SilentNvml(FakeNvml):
    """Two accelerators whose memory cannot be read."""

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        raise RuntimeError("Not Supported")


def test_a_run_states_the_memory_of_its_accelerators(tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    def hardware(library: object, **given: object) -> dict:
        only_nvml(monkeypatch, library)
        with obs.track_run(home=tmp_path, power=True, hardware=given) as run:
            pass
        return next(each for each in records() if each["kind"] == "run" and each["run"] == run.run)["hardware"]

    assert hardware(FakeNvml())["device_memory_gb"] == 80
    assert hardware(FakeNvml(), device_memory_gb=40)["device_memory_gb"] == 40, "a given value is not overwritten"
    assert [set(hardware(of)) for of in (UnlikeNvml(), SilentNvml())] == [set(describe_hardware())] * 2


def test_without_nvml_a_run_states_the_same_hardware_as_before(tmp_path: Path, records: Records, nothing_else: None) -> None:
    with obs.track_run(home=tmp_path, power=True):
        pass
    with obs.track_run(home=tmp_path):
        pass
    assert [set(each["hardware"]) for each in records() if each["kind"] == "run" and each["event"] == "start"] == [
        set(describe_hardware())
    ] * 2


def test_processor_use_memory_and_temperature_are_read_if_the_kernel_provides_them(tmp_path: Path) -> None:
    proc, hwmon = tmp_path / "proc", tmp_path / "hwmon"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    6291456 kB\n")
    (proc / "self/status").write_text("Name:\tpython\nVmRSS:\t 2097152 kB\n")
    for place, (name, degrees) in enumerate((("coretemp", (61000, 64500)), ("nvme", (90000,)))):
        (hwmon / f"hwmon{place}").mkdir(parents=True)
        (hwmon / f"hwmon{place}/name").write_text(f"{name}\n")
        for sensor, value in enumerate(degrees, 1):
            (hwmon / f"hwmon{place}/temp{sensor}_input").write_text(f"{value}\n")
    cores = os.cpu_count() or 1
    machine = processor_gauges(5.0 * cores, 10.0, process=False, proc=proc, hwmon=hwmon)
    assert machine == Gauges(0.5, 10.0, 64.5)
    own = processor_gauges(2.5, 10.0, process=True, proc=proc, hwmon=hwmon)
    assert own.memory_gb == 2.0 and own.utilisation == pytest.approx(0.25 / len(os.sched_getaffinity(0)))
    assert processor_gauges(None, 10.0, process=False, proc=tmp_path, hwmon=tmp_path) == Gauges()


def test_a_meter_writes_what_the_processor_shows(tmp_path: Path, records: Records, nothing_else: None) -> None:
    (tmp_path / "hwmon/hwmon0").mkdir(parents=True)
    (tmp_path / "hwmon/hwmon0/name").write_text("k10temp\n")
    (tmp_path / "hwmon/hwmon0/temp1_input").write_text("58125\n")
    with obs.Logger(tmp_path) as log, PowerMeter(log, every=60, powercap=tmp_path, hwmon=tmp_path / "hwmon"):
        busy(0.05)
    (found,) = records()
    assert found["temperature_c"] == 58.125 and 0 < found["utilisation"] <= 1 and found["memory_gb"] > 0.001
