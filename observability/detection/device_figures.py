"""Figures of the devices of a training run or of a serving model. They are compared with each other (device_peers) and with the devices'
own past (device_past).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.finding import Against
from observability.core.numerals import format_figure
from observability.detection.run_claims import RunClaim
from observability.detection.study_noise import parameters_text
from observability.metrics.energy_readings import is_processor
from observability.metrics.training_curves import TrainingRun

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_READINGS = 20
SURE = 0.01
"""A difference is reported if its adjusted p-value is at most this. It is at most a warning; only a device that exceeds a limit is
critical.
"""
SAME_USE = 0.1
"""The power of a device is compared with that of others only if its utilisation is at most this many points below theirs."""
MAX_NAMED = 5
SMALL_GB = 2.0
"""A difference in memory is divided by at least this many GB. Where less is used, large relative differences do not matter."""


@dataclass(frozen=True)
class DeviceMetric:
    """One kind of reading that is compared. column: column of the resource records; metric: metric of the claims about it; worse: 1 if more
    is worse, -1 if less is worse.

    quantile: the quantile that represents the readings of a run; least: smallest difference that is reported, in the unit of the claim (for
    memory, a share of it). relative: the smallest difference is also at least this share of the usual value. words: the difference as a
    clause of a sentence; step: what to look at.
    """

    column: str
    metric: str
    worse: int
    quantile: float
    least: float
    words: str
    unit: str
    step: str
    relative: float = 0.0

    def scale(self, usual: float, size: float | None) -> float:
        """The divisor of a difference in the unit of the column. It is 1 except for memory: there it is the memory size or, if that is
        unknown, the usual use but at least SMALL_GB.
        """
        if self.column != "memory_gb":
            return 1.0
        return size or max(usual, SMALL_GB)

    def limit(self, usual: float) -> float:
        """The smallest difference that is reported, in the unit of the claim."""
        return max(self.least, self.relative * usual)

    def usual_words(self, value: float) -> str:
        """A value of the column with its unit."""
        return f"{100 * value:.0f} %" if self.column == "utilisation" else f"{format_figure(value, 3)} {self.unit}"

    def gap_words(self, value: float) -> str:
        """The size of a difference in the unit of the claim, without sign."""
        size = abs(value)
        if self.column == "utilisation":
            return f"{100 * size:.0f} points"
        return f"{100 * size:.0f} %" if self.column == "memory_gb" else f"{format_figure(size, 3)} {self.unit}"


@dataclass(frozen=True)
class DeviceUse:
    """A use of devices in which they are compared: a training run, or the serving of a model in a window. words: its name in a sentence,
    such as "run `a`".

    subject: prefix before the device's name in the subject of a claim. since: start of the run, used as the onset. earlier: words for one
    earlier run; kind: words after the plural of `earlier` that say what these runs have in common.
    """

    words: str
    subject: str
    since: datetime
    hardware: Mapping[str, Any]
    earlier: str = "earlier run"
    kind: str = " of its kind"


def use_of_run(run: TrainingRun) -> DeviceUse:
    """Return a training run as a use in which its devices are compared."""
    return DeviceUse(f"run `{run.name}`", f"run:{run.name}/device:", run.first, run.hardware)


USED = DeviceMetric("utilisation", "device_utilisation_gap", -1, 0.5, 0.15, "is used {gap} less", "", "Look at what it waits for.")
HOT = DeviceMetric("temperature_c", "device_temperature_gap", 1, 0.9, 10.0, "is {gap} hotter", "°C", "Look at its cooling.")
FULL = DeviceMetric(
    "memory_gb", "device_memory_gap", 1, 0.95, 0.15, "holds {gap} of {whole} more memory", "GB", "Look at what it keeps in memory."
)
POWER = DeviceMetric(
    "watts", "device_power_gap", -1, 0.5, 10.0, "draws {gap} less at the same utilisation", "W",
    "Look at its temperature and power limit.", relative=0.15,
)  # fmt: skip
DEVICE_METRICS = (USED, HOT, FULL, POWER)


def device_unit(device: object, host: object) -> str:
    """Return the name of a device with its host, as `gpu0 on node-1`."""
    return f"{device} on {host}" if isinstance(host, str) and host else str(device)


def lasting_unit(unit: str) -> str:
    """Return the name of a device without a process id, which is different in each run: `cpu process on a` for `cpu process 71 on a`."""
    return re.sub(r" process \d+(?= on |$)", " process", unit)


def device_kind(unit: str) -> str:
    """Return the kind of a device, which is its name without number and host: `gpu` for `gpu0 on node-1`."""
    return re.sub(r"[\s:._-]*\d+$", "", unit.partition(" on ")[0].lower())


def memory_size(use: DeviceUse, unit: str) -> float | None:
    """Return the memory of a device in GB: for an accelerator, `device_memory_gb` from the hardware; None if unknown or for a processor."""
    size = use.hardware.get("device_memory_gb")
    return float(size) if isinstance(size, int | float) and size > 0 and not is_processor(unit) else None


def compared_metrics(unit: str) -> tuple[DeviceMetric, ...]:
    """Return the kinds of reading that are compared for a device. Utilisation of a processor is left out, because an idle processor costs
    little.
    """
    return tuple(each for each in DEVICE_METRICS if each is not USED or not is_processor(unit))


def with_units(readings: "DataFrame") -> "DataFrame":
    """Return readings in order of time, with the name of each device and its host as `unit`."""
    pairs = zip(readings["device"], readings["host"], strict=True)
    held = readings.assign(
        unit=[device_unit(*pair) for pair in pairs], **{each.column: readings[each.column].astype(float) for each in DEVICE_METRICS}
    )
    return held.sort_values("at", kind="stable")


def run_kind(run: TrainingRun) -> tuple[str | None, str] | None:
    """Return what runs of the same kind have in common: the model, and the parameters without random draws; None if neither is known."""
    return (run.model, parameters_text(run)) if run.model or run.params else None


@dataclass(frozen=True)
class RunReadings:
    """The readings of the devices of a run. figures: for each device (by its lasting name) a quantile of each kind of reading, NaN with
    fewer than MIN_READINGS.

    earlier: figures of earlier runs of the same kind, oldest first; None if the run has no kind or earlier runs were not read.
    """

    rows: "DataFrame"
    figures: "DataFrame"
    earlier: "tuple[DataFrame, ...] | None"


def readings_of_runs(runs: Iterable[TrainingRun], resources: "DataFrame", *, earlier: bool = True) -> dict[str, RunReadings]:
    """Return the readings of each run that has some. runs: including earlier runs; resources: resource records, each with its `run`.

    earlier: whether `resources` includes the readings of earlier runs.
    """
    if not len(resources):
        return {}
    rows = with_units(resources.assign(run=resources["run"].astype(str)))
    figures = {str(name): own.droplevel("run") for name, own in device_figures(rows).groupby(level="run")}
    kinds: dict[tuple[str | None, str], list[TrainingRun]] = {}
    for run in sorted(runs, key=lambda each: (each.first, each.name)):
        if run.name in figures and (kind := run_kind(run)) is not None:
            kinds.setdefault(kind, []).append(run)
    before = {own[place].name: tuple(figures[each.name] for each in own[:place]) for own in kinds.values() for place in range(len(own))}
    return {
        str(name): RunReadings(part, figures[str(name)], before.get(str(name)) if earlier else None)
        for name, part in rows.groupby("run", sort=True)
    }


def device_figures(rows: "DataFrame") -> "DataFrame":
    """Return one row for each run and device, with the figure of each kind of reading. rows: with `run` and `unit`. The index is the run
    and the lasting name of the device.
    """
    import pandas as pd

    names = {unit: lasting_unit(unit) for unit in rows["unit"].unique()}
    groups = rows.assign(unit=rows["unit"].map(names)).groupby(["run", "unit"], sort=True)
    figures = {each.column: groups[each.column].quantile(each.quantile) for each in DEVICE_METRICS}
    counts = {each.column: groups[each.column].count() for each in DEVICE_METRICS}
    return pd.DataFrame({name: values.where(counts[name] >= MIN_READINGS) for name, values in figures.items()})


def gap_claim(
    use: DeviceUse,
    unit: str,
    each: DeviceMetric,
    against: Against,
    gap: tuple[float, float, float],
    usual: float,
    limit: float,
    n: int,
    compared: str,
    evidence: dict[str, Any],
) -> RunClaim:
    """Return the warning about a device that differs. gap: value, low and high, in the unit of the claim; compared: words for the devices
    or runs with which it is compared.
    """
    device, _, host = unit.partition(" on ")
    whole = "the usual" if memory_size(use, unit) is None else "its memory"
    words = each.words.format(gap=each.gap_words(gap[0]), whole=whole)
    because = f"Device `{device}`{f' on host `{host}`' if host else ''} of {use.words} {words} than {compared}. {each.step}"
    return RunClaim(
        each.metric, n, "watch", because, *gap, limit=each.worse * limit, against=against, onset=use.since, source="system", rank=6.0,
        subject=f"{use.subject}{unit}", evidence={"device": device, "host": host or None, "usual": usual, **evidence},
    )  # fmt: skip


def most_telling(claims: Sequence[RunClaim]) -> list[RunClaim]:
    """Return the claims whose difference is largest in relation to its limit, at most MAX_NAMED."""
    return sorted(claims, key=lambda each: -abs((each.value or 0.0) / float(each.limit or 1.0)))[:MAX_NAMED]
