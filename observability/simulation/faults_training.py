"""Faults of a training run: in its curves, its optimisation (gradients, units, updates, learning rate), its data, ranks or devices."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.errors import UsageError
from observability.detection.device_figures import device_kind, with_units
from observability.detection.device_past import MIN_EARLIER
from observability.detection.run_claims import MIN_STEPS
from observability.detection.run_devices import MIN_READINGS
from observability.detection.training_signals import is_bounded, signal_of
from observability.metrics.training_curves import MetricCurve, metric_curves, record_number
from observability.metrics.training_metric_names import data_part
from observability.simulation.fault import DescribedFault
from observability.stats import curve
from observability.stats.rank_times import COMMUNICATION, WAITING, rank_order

if TYPE_CHECKING:
    from pandas import DataFrame

MIDDLE = 0.5
"""At this share of a run's steps, a fault begins."""
MIN_SHARE = 0.2
"""A phase must have at least this share of a rank's own work, so that its slowdown delays the other ranks."""
LATE = 0.15
"""A late straggler is slow in this share of the steps, the last ones; at least in MIN_STEPS steps."""
BUSY = 0.5
"""A throttling fault is planted only in a device whose median utilisation is at least this."""


@dataclass(frozen=True)
class RunFaultPlant:
    """Where and how strongly a fault is planted. amount: in the fault's own unit.

    steps, readings: the run's records of steps and devices, in the form that the store returns; readings also of earlier runs of the same
    kind.
    """

    run: str
    steps: "DataFrame"
    readings: "DataFrame"
    amount: float
    rng: np.random.Generator

    def onset(self, share: float = MIDDLE) -> int:
        """The step at which the given share of the run's steps is over."""
        numbers = np.sort(self.steps["step"].unique())
        return int(numbers[int(share * len(numbers))])

    def unfit(self, got: str, expected: str) -> UsageError:
        """The error to raise for a run that lacks what the fault needs."""
        return UsageError(f"run {self.run} cannot have this fault", got=got, expected=expected)

    def curves(self, which: str | None = None) -> dict[str, MetricCurve]:
        """The run's curves with finite values whose better direction is known; if `which` is given, only those on training or held-out
        rows. Raises UsageError if there are none.
        """
        found = {
            name: each.finite
            for name, each in metric_curves(self.steps).items()
            if each.better is not None and which in (None, data_part(name)) and len(each.finite.values) >= 20
        }
        if not found:
            wanted = "a metric whose name says which direction is better, as train_loss or val_accuracy"
            raise self.unfit(f"no {which or 'judged'} metric of 20 steps", wanted)
        return found

    def planted(self, changed: "DataFrame", onset: int, target: str | None = None, detail: str = "") -> "PlantedRun":
        """The result of planting a fault: the run after its steps are changed."""
        return PlantedRun(changed, target or f"run:{self.run}", onset, detail)


@dataclass(frozen=True)
class PlantedRun:
    """The step records with the fault. target: subject of the fault; detail: a further description, such as the phase; readings: the
    readings with the fault, if it affects them.
    """

    steps: "DataFrame"
    target: str
    onset: int
    detail: str
    readings: "DataFrame | None" = None


@dataclass(frozen=True)
class RunFault(DescribedFault):
    """A fault of a training run. amounts: weak, middle, strong, in `unit`; weak is close to the smallest size that training/runs
    reports.
    """

    name: str
    amounts: tuple[float, float, float]
    unit: str
    plant: Callable[[RunFaultPlant], PlantedRun]
    section: str = "training"


def _mapped_numbers(steps: "DataFrame", column: str, change: Callable[[Any, str, float], Any]) -> "DataFrame":
    """The steps after numbers in a mapping are changed. change: a function of (step record, name, number) that returns the new value, or
    None if the number stays.
    """
    after = steps.copy()
    cells: list[Any] = []
    for record in steps.to_dict("records"):
        mapping = record[column] or {}
        changed = {name: change(record, name, number) for name, value in mapping.items() if (number := record_number(value)) is not None}
        cells.append(mapping | {name: value for name, value in changed.items() if value is not None} or None)
    after[column] = type(steps[column])(cells, index=steps.index, dtype=object)
    return after


def _mapped_metrics(steps: "DataFrame", change: Callable[[int, str, float], Any], names: set[str]) -> "DataFrame":
    """The steps after the named metrics are changed. change: a function of (step, metric, value) that returns the new value. Values that
    are not numbers stay.
    """
    return _mapped_numbers(
        steps, "metrics", lambda record, name, value: change(int(record["step"]), name, value) if name in names else None
    )


def _worsened_curves(plant: RunFaultPlant, curves: dict[str, MetricCurve], onset: int, share: Callable[[int], float]) -> "DataFrame":
    """The steps after some curves are made worse. share: a function of the step that returns by which share of their progress."""
    size = {name: (-1 if each.better == "high" else 1) * curve.training_progress(each.cost) for name, each in curves.items()}
    return _mapped_metrics(plant.steps, lambda step, name, value: value + size[name] * share(step) if step >= onset else value, set(curves))


def loss_spike(plant: RunFaultPlant) -> PlantedRun:
    """The training metrics jump for the worse at one step and recover within some steps."""
    onset, curves = plant.onset(), plant.curves("train")
    return plant.planted(_worsened_curves(plant, curves, onset, lambda step: plant.amount * 0.5 ** (step - onset)), onset)


def not_finite_metrics(plant: RunFaultPlant) -> PlantedRun:
    """The training metrics are not a number (NaN) for a share of the remaining steps."""
    onset, curves = plant.onset(), plant.curves("train")
    numbers = np.sort(plant.steps["step"].unique())
    left = numbers[numbers >= onset]
    last = int(left[max(int(plant.amount * len(left)), 1) - 1])
    return plant.planted(_mapped_metrics(plant.steps, lambda step, _, value: "NaN" if onset <= step <= last else value, set(curves)), onset)


def divergence(plant: RunFaultPlant) -> PlantedRun:
    """The training metrics get worse until they have lost a share of what they gained."""
    onset, curves = plant.onset(), plant.curves("train")
    length = int(plant.steps["step"].max()) - onset
    return plant.planted(
        _worsened_curves(plant, curves, onset, lambda step: plant.amount * min((step - onset) / (0.8 * length), 1.0)), onset
    )


def plateau(plant: RunFaultPlant) -> PlantedRun:
    """Metrics stop improving for the last share of the steps and scatter about their level."""
    onset, curves = plant.onset(1 - plant.amount), plant.curves()
    level, sd = {}, {}
    for name, each in curves.items():
        before = each.values[each.steps <= onset]
        level[name] = float(np.median(before[-9:]))
        sd[name] = float(curve.curve_noise(each.cost).sd)
    scatter = {step: plant.rng.normal() for step in sorted(map(int, plant.steps["step"].unique()))}
    return plant.planted(
        _mapped_metrics(
            plant.steps, lambda step, name, value: level[name] + sd[name] * scatter[step] if step > onset else value, set(curves)
        ),
        onset,
    )


def overfitting(plant: RunFaultPlant) -> PlantedRun:
    """The held-out metrics get worse while the training metrics keep improving."""
    onset, curves = plant.onset(), plant.curves("held out")
    plant.curves("train")
    length = int(plant.steps["step"].max()) - onset
    return plant.planted(_worsened_curves(plant, curves, onset, lambda step: plant.amount * (step - onset) / length), onset)


def _signal_metrics(plant: RunFaultPlant, kind: str) -> set[str]:
    """The run's metrics for one kind of signal. Raises UsageError if none has enough steps."""
    found = {name for name, each in metric_curves(plant.steps).items() if signal_of(name) == kind and len(each.finite.values) >= 20}
    if not found:
        raise plant.unfit(f"no metric of {kind.replace('_', ' ')}", "a metric as grad_norm, dead_units, update_ratio or learning_rate")
    return found


def exploding_gradient(plant: RunFaultPlant) -> PlantedRun:
    """The gradient norm grows within some steps to many times its size and stays there."""
    onset = plant.onset()
    names = _signal_metrics(plant, "gradient")

    def grown(step: int, _: str, value: float) -> float:
        return value * plant.amount ** min((step - onset + 1) / 5, 1.0) if step >= onset else value

    return plant.planted(_mapped_metrics(plant.steps, grown, names), onset)


def vanishing_gradient(plant: RunFaultPlant) -> PlantedRun:
    """The gradient norm falls within some steps to a small share of its size and stays there."""
    onset = plant.onset()
    names = _signal_metrics(plant, "gradient")

    def shrunk(step: int, _: str, value: float) -> float:
        return value / plant.amount ** min((step - onset + 1) / 5, 1.0) if step >= onset else value

    return plant.planted(_mapped_metrics(plant.steps, shrunk, names), onset)


def dead_units(plant: RunFaultPlant) -> PlantedRun:
    """From a certain step on, a share of the units outputs nothing but zero."""
    onset = plant.onset()
    names = _signal_metrics(plant, "dead_units")
    dead = {step: min(plant.amount + plant.rng.normal(0, 0.01), 1.0) for step in sorted(map(int, plant.steps["step"].unique()))}
    return plant.planted(_mapped_metrics(plant.steps, lambda step, _, value: dead[step] if step >= onset else value, names), onset)


def update_ratio(plant: RunFaultPlant) -> PlantedRun:
    """Updates are many times as large relative to the weights as before."""
    onset = plant.onset()
    names = _signal_metrics(plant, "update_ratio")
    return plant.planted(
        _mapped_metrics(plant.steps, lambda step, _, value: value * plant.amount if step >= onset else value, names), onset
    )


def learning_rate_jump(plant: RunFaultPlant) -> PlantedRun:
    """The learning rate jumps at a step, and the training metrics become worse."""
    onset = plant.onset()
    names, curves = _signal_metrics(plant, "learning_rate"), plant.curves("train")
    changed = _worsened_curves(plant, curves, onset, lambda step: 0.3)
    return plant.planted(_mapped_metrics(changed, lambda step, _, value: value * plant.amount if step >= onset else value, names), onset)


def leaked_label(plant: RunFaultPlant) -> PlantedRun:
    """From the first steps on, a held-out accuracy is nearly perfect, as if a feature contained the label."""
    curves = {name for name, each in plant.curves("held out").items() if is_bounded(name) and each.better == "high"}
    if not curves:
        raise plant.unfit("no held-out accuracy", "a metric as val_accuracy or val_auc")
    first = int(plant.steps["step"].min())
    error = 1 - plant.amount
    return plant.planted(
        _mapped_metrics(plant.steps, lambda step, _, value: 1 - error * (0.5 + abs(plant.rng.normal(0, 0.2))), curves), first
    )


def bad_batch(plant: RunFaultPlant) -> PlantedRun:
    """The training metrics jump in every step that reads one batch of data."""
    curves, steps = plant.curves("train"), plant.steps
    named = steps[steps["batch"].notna()] if "batch" in steps else steps.iloc[:0]
    onset = plant.onset()
    later = named.loc[named["step"] >= onset, "batch"].astype(str)
    read = later.value_counts()
    if not (read >= 2).any():
        raise plant.unfit("no batch that is read twice", "steps that name their batch of data (`run.step(…, batch=…)`)")
    chosen = sorted(read[read >= 2].index)[int(plant.rng.integers(int((read >= 2).sum())))]
    bad = set(map(int, named.loc[(named["batch"].astype(str) == chosen) & (named["step"] >= onset), "step"]))
    first = min(bad)
    changed = _worsened_curves(plant, curves, first, lambda step: plant.amount if step in bad else 0.0)
    return plant.planted(changed, first, detail=f"`{chosen}`")


def _slower_rank(plant: RunFaultPlant, onset: int, *, communicates: bool = False) -> PlantedRun:
    """The run in which, from a certain step on, one rank takes longer in one phase and its peers wait for it.

    The phase is one of the rank's own work, or with `communicates` one of communication. If peers wait for slow work, the wait is part of
    their communication. If they wait for slow communication, it is in the waiting phase, if the run logs one.
    """
    steps = plant.steps
    ranks = sorted({str(each) for each in steps["rank"].dropna()}, key=rank_order)
    if len(ranks) < 2 + communicates:
        raise plant.unfit(f"{len(ranks)} ranks", f"steps of {'three' if communicates else 'two'} ranks or more with phase_ms")
    totals: dict[str, float] = {}
    for spent in steps["phase_ms"]:
        for name, value in (spent or {}).items():
            if (name.lower() in COMMUNICATION - {WAITING}) if communicates else (name.lower() not in COMMUNICATION):
                totals[name] = totals.get(name, 0.0) + (record_number(value) or 0.0)
    phases = sorted(name for name, value in totals.items() if value >= MIN_SHARE * sum(totals.values()))
    if not phases:
        kind = "communication" if communicates else "work"
        raise plant.unfit(f"no phase_ms of {kind}", "phase_ms with the phases of each step")
    rank, phase = ranks[int(plant.rng.integers(len(ranks)))], phases[int(plant.rng.integers(len(phases)))]
    waiting = {WAITING} if communicates else COMMUNICATION
    waits: dict[int, float] = {}
    for step, mine, spent in zip(steps["step"], steps["rank"], steps["phase_ms"], strict=True):
        if step >= onset and mine is not None and str(mine) == rank:
            waits[int(step)] = (plant.amount - 1) * (record_number((spent or {}).get(phase)) or 0.0)

    def longer(record: Any, name: str, spent: float) -> float | None:
        slow = record["rank"] is not None and str(record["rank"]) == rank
        added = waits.get(int(record["step"]), 0.0)
        return spent + added if added and (name == phase if slow else name.lower() in waiting) else None

    return plant.planted(_mapped_numbers(steps, "phase_ms", longer), onset, f"run:{plant.run}/rank:{rank}", phase)


def slow_rank(plant: RunFaultPlant) -> PlantedRun:
    """One rank is slower in one phase of its own work, and its peers wait for it."""
    return _slower_rank(plant, plant.onset())


def late_slow_rank(plant: RunFaultPlant) -> PlantedRun:
    """One rank is slower in one phase of its own work, in the last steps only."""
    count = plant.steps["step"].nunique()
    return _slower_rank(plant, plant.onset(1 - max(LATE, MIN_STEPS / count)))


def slow_rank_communication(plant: RunFaultPlant) -> PlantedRun:
    """One rank needs longer for its own communication, for example because of a slow link."""
    return _slower_rank(plant, plant.onset(), communicates=True)


def throttled_accelerator(plant: RunFaultPlant) -> PlantedRun:
    """From a certain step on, a busy device uses less power at the same utilisation."""
    readings, onset = with_units(plant.readings), plant.onset()
    known = readings[readings["run"] == plant.run].dropna(subset=["device", "watts", "utilisation"])
    devices = [
        str(unit)
        for unit, own in known.groupby("unit", sort=True)
        if len(own) >= 2 * MIN_READINGS and own["utilisation"].astype(float).median() >= BUSY
    ]
    if not devices:
        busy = f"{2 * MIN_READINGS} readings of `watts` and `utilisation` of one device that is at least {100 * BUSY:.0f} % busy"
        raise plant.unfit("no busy device", busy)
    unit = devices[int(plant.rng.integers(len(devices)))]
    later = readings["at"] >= plant.steps.loc[plant.steps["step"] >= onset, "at"].min()
    mine = later & (readings["unit"] == unit) & (readings["run"] == plant.run)
    watts = plant.readings["watts"].astype(float)
    return replace(
        plant.planted(plant.steps, onset, f"run:{plant.run}/device:{unit}", f"`{unit.partition(' on ')[0]}`"),
        readings=plant.readings.assign(watts=watts.mask(mine.reindex(watts.index), watts * (1 - plant.amount))),
    )


def _moved_device(plant: RunFaultPlant, column: str, change: Callable[[Any], Any], *, peers: int = 0, earlier: int = 0) -> PlantedRun:
    """The run in which, from a certain step on, a reading of one device changes. peers, earlier: how many devices of its kind, and how many
    earlier runs, are needed.
    """
    readings, onset = with_units(plant.readings), plant.onset()
    known = readings[readings[column].notna()]
    counts = known.groupby(["run", "unit"]).size()
    enough = [(str(run), str(unit)) for run, unit in counts[counts >= 2 * MIN_READINGS].index.to_list()]
    own = [unit for run, unit in enough if run == plant.run]
    fit = [
        unit
        for unit in own
        if sum(device_kind(each) == device_kind(unit) for each in own) > peers and sum(each == unit for _, each in enough) > earlier
    ]
    if not fit:
        lacking = f"{peers} other devices" if peers else f"{earlier} earlier runs of its kind"
        raise plant.unfit(f"no device with {lacking}", f"{2 * MIN_READINGS} readings of `{column}` of a device and of {lacking}")
    unit = fit[int(plant.rng.integers(len(fit)))]
    later = readings["at"] >= plant.steps.loc[plant.steps["step"] >= onset, "at"].min()
    mine = later & (readings["unit"] == unit) & (readings["run"] == plant.run)
    moved = readings.assign(**{column: readings[column].where(~mine, change(readings[column]))}).drop(columns="unit")
    device = unit.partition(" on ")[0]
    return replace(
        plant.planted(plant.steps, onset, f"run:{plant.run}/device:{unit}", f"`{device}`"), readings=moved.loc[plant.readings.index]
    )


def hot_among_peers(plant: RunFaultPlant) -> PlantedRun:
    """One device becomes hotter than the others of its run."""
    return _moved_device(plant, "temperature_c", lambda degrees: degrees + plant.amount, peers=2)


def idle_among_peers(plant: RunFaultPlant) -> PlantedRun:
    """One device is used less than the others of its run."""
    return _moved_device(plant, "utilisation", lambda used: used * (1 - plant.amount), peers=2)


def memory_beyond_past(plant: RunFaultPlant) -> PlantedRun:
    """A device holds more memory than in earlier runs of its kind."""
    return _moved_device(plant, "memory_gb", lambda used: used * (1 + plant.amount), earlier=MIN_EARLIER)


FAULTS: dict[str, RunFault] = {
    each.name: each
    for each in (
        RunFault("loss_spike", (0.2, 0.5, 2.0), "times what training brought", loss_spike),
        RunFault("loss_not_finite", (0.01, 0.2, 1.0), "share of the steps left", not_finite_metrics),
        RunFault("loss_divergence", (0.8, 1.3, 3.9), "times what training brought", divergence),
        RunFault("loss_plateau", (0.4, 0.6, 0.8), "share of the run", plateau),
        RunFault("overfitting", (0.15, 0.6, 1.5), "times what training brought", overfitting),
        RunFault("exploding_gradient", (150.0, 1000.0, 1e6), "times", exploding_gradient),
        RunFault("vanishing_gradient", (3e4, 1e6, 1e9), "times smaller", vanishing_gradient),
        RunFault("dead_units", (0.6, 0.75, 0.95), "share of the units", dead_units),
        RunFault("update_ratio", (40.0, 150.0, 1000.0), "times", update_ratio),
        RunFault("learning_rate_jump", (6.0, 10.0, 100.0), "times", learning_rate_jump),
        RunFault("leaked_label", (0.993, 0.996, 0.9995), "accuracy", leaked_label),
        RunFault("bad_batch", (0.3, 0.6, 2.0), "times what training brought", bad_batch),
        RunFault("slow_rank", (1.4, 2.0, 4.0), "times", slow_rank),
        RunFault("late_slow_rank", (1.4, 2.0, 4.0), "times", late_slow_rank),
        RunFault("slow_rank_communication", (1.6, 2.5, 5.0), "times", slow_rank_communication),
        RunFault("throttled_accelerator", (0.27, 0.4, 0.6), "share of its power", throttled_accelerator),
        RunFault("hot_among_peers", (12.0, 18.0, 25.0), "°C", hot_among_peers),
        RunFault("idle_among_peers", (0.25, 0.5, 0.8), "share of its use", idle_among_peers),
        RunFault("memory_beyond_past", (0.25, 0.4, 0.8), "share of its use more", memory_beyond_past),
    )
}
