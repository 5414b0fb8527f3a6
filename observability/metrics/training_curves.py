"""Training runs of the records, and the curves of their metrics.

Frames of `Records` become `TrainingRun`s. If a run has several processes (ranks), a curve is the median over ranks at each step. If a step
was logged twice, for example after a restart from a checkpoint, the last record counts.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.time import aware_utc
from observability.metrics.training_metric_names import (
    Better,
    DataPart,
    base_metric,
    better_direction,
    data_part,
    data_prefix,
    stated_directions,
)
from observability.stats.rank_times import AT, RANK, STEP, rank_order

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
StepColumns = dict[str, Array]
"""The fields of one run's step records, as arrays of equal length. Fields that no record has are left out."""
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
FINISHED = frozenset(("finished", "completed", "complete", "success", "succeeded", "ok", "done"))
PRUNED = frozenset(("pruned", "stopped early", "stopped_early", "early_stopped", "early stopped"))
"""Statuses of a trial that a study stopped on purpose. Such a trial has ended, but its values are those of an unfinished training."""


@dataclass(frozen=True)
class MetricCurve:
    """One metric of a run. steps: ascending, each step once; values: median over ranks, NaN if no rank has a finite value; at: the time of
    each step.

    bad: steps at which at least one rank logged a value that is not finite. declared: the better direction, if the run states it. chosen:
    of a run of which every n-th step was read, a mask of the further steps that were read because of their values; else None.
    """

    name: str
    steps: Array
    values: Array
    at: Array
    bad: Array
    declared: Better | None = None
    chosen: Array | None = None

    @property
    def better(self) -> Better | None:
        """The better direction: declared by the run, else derived from the name; None if it is unknown."""
        return self.declared or better_direction(self.name)

    @property
    def finite(self) -> "MetricCurve":
        """The same curve, only with steps whose value is finite."""
        keep = np.isfinite(self.values)
        if keep.all():
            return self
        chosen = None if self.chosen is None else self.chosen[keep]
        return replace(self, steps=self.steps[keep], values=self.values[keep], at=self.at[keep], chosen=chosen)

    @property
    def cost(self) -> Array:
        """The values as a cost, so that lower is better."""
        return -self.values if self.better == "high" else self.values

    def best(self) -> int:
        """Index of the best finite value; the first one if several are equal."""
        return int(np.nanargmin(np.where(np.isfinite(self.values), self.cost, np.nan)))

    def when(self, index: int) -> datetime:
        """The time of the step at this index."""
        return _instant(self.at[index])


@dataclass(frozen=True)
class TrainingRun:
    """One training run. steps: number of distinct steps; last: time of its newest record; ended: None as long as the run has not ended.

    phases: one row per rank and step, as from `phase_times`; None if none were logged. stride: 1: every step was read; n: every n-th step
    of a long run was read, and `steps` is estimated from the distances between them; 0: no step was read, because newer runs have too many,
    and `steps` is the number of its last step, counted from the first. step_times, step_numbers: times and numbers of the steps that were
    read, in order of time. hosts, devices: for each rank that states it, the machine and the device that it last ran on. directions: the
    better direction of metrics, as declared. batches: the batches of data that a step read, each once (one batch, or one for each rank).
    blocks: for a long run whose steps were not all read, the times of its ranks by blocks of steps (stats/rank_blocks.py); else None.
    alerts: messages from the job itself, with their times.
    """

    name: str
    model: str | None
    version: str | None
    study: str | None
    dataset: str | None
    status: str | None
    seed: str | None
    params: Mapping[str, Any]
    hardware: Mapping[str, Any]
    final: Mapping[str, float]
    started: datetime | None
    ended: datetime | None
    last: datetime
    steps: int
    ranks: tuple[str, ...]
    curves: Mapping[str, MetricCurve] = field(default_factory=dict)
    phases: "DataFrame | None" = None
    step_times: Array = field(default_factory=lambda: np.empty(0, "datetime64[us]"))
    step_numbers: Array = field(default_factory=lambda: np.empty(0, "int64"))
    stride: int = 1
    hosts: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, Better] = field(default_factory=dict)
    batches: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    blocks: "DataFrame | None" = None
    alerts: tuple[tuple[datetime, str], ...] = ()

    def better(self, metric: str) -> Better | None:
        """The better direction of a metric: declared by the run, else derived from the metric's name; None if it is unknown."""
        return self.directions.get(metric) or self.directions.get(base_metric(metric)) or better_direction(metric)

    @property
    def is_read(self) -> bool:
        """Whether steps of the run were read, either all of them or an evenly spread part."""
        return self.stride > 0

    @property
    def failed(self) -> bool:
        """Whether the run ended with a status other than finished or pruned."""
        return self.ended is not None and self.status is not None and self.status.lower() not in FINISHED | PRUNED

    @property
    def pruned(self) -> bool:
        """Whether a study stopped the run before its end."""
        return self.ended is not None and self.status is not None and self.status.lower() in PRUNED

    def last_value(self, metric: str) -> float | None:
        """The last finite value of a metric, from its steps, else from the record of the run's end; None if there is none."""
        values = self.curves[metric].finite.values if metric in self.curves else np.empty(0)
        value = float(values[-1]) if len(values) else self.final.get(metric, math.nan)
        return value if math.isfinite(value) else None

    @property
    def seconds(self) -> float:
        """The time from the run's start (or first record) to its end (or newest record), in seconds."""
        return max(((self.ended or self.last) - (self.started or self.first)).total_seconds(), 0.0)

    @property
    def first(self) -> datetime:
        """The start of the run, else the time of its first step, else of its newest record."""
        return self.started or (_instant(self.step_times[0]) if len(self.step_times) else self.last)

    def pairs(self) -> Iterator[tuple[MetricCurve, MetricCurve | None]]:
        """Each held-out curve whose better direction is known, with the training curve of the same metric (`train_loss`, else `loss`); None
        if there is no such curve.
        """
        training = {base_metric(name): curve for name, curve in self.curves.items() if data_part(name) == "train"}
        for name, curve in self.curves.items():
            if data_part(name) == "held out" and curve.better:
                yield curve, training.get(base_metric(name))

    def judged(self, which: DataPart | None = None) -> list[MetricCurve]:
        """The curves whose better direction is known, by name: those on training rows, on held-out rows, or on both."""
        return [curve for name, curve in self.curves.items() if curve.better and which in (None, data_part(name))]

    def main(self) -> MetricCurve | None:
        """The main curve of a run; None if the better direction is not known for any curve.

        Held-out curves come before training curves, and losses before other metrics. Among these, curves are ordered by name.
        """
        judged = [each for each in self.judged() if np.isfinite(each.values).any()]
        order = {"validation": 0, "valid": 0, "val": 0, "dev": 0, "eval": 1, "test": 2}
        return min(
            judged, key=lambda each: (data_part(each.name) != "held out", order.get(data_prefix(each.name), 3), each.name), default=None
        )


def _instant(value: Any) -> datetime:
    """A stored time (naive UTC) as a time in UTC."""
    return aware_utc(np.datetime64(value, "us").astype(datetime))


def runs_from_records(
    runs: "DataFrame",
    steps: "DataFrame",
    resources: "DataFrame | None" = None,
    events: "DataFrame | None" = None,
    blocks: "DataFrame | None" = None,
) -> list[TrainingRun]:
    """Every run that the records name, by name.

    Parameters
    ----------
    runs : DataFrame
        Run records, in any order.
    steps : DataFrame
        Step records, in any order, with `stride` where long runs are thinned.
    resources : DataFrame | None
        Resource records (at, run, and model if it is known). They name the model of a run whose own records do not.
    events : DataFrame | None
        Event records (at, run, text). Those that name a run are what its job said.
    blocks : DataFrame | None
        Times of the ranks of long runs by blocks of steps, for runs whose steps were not all read.

    Returns
    -------
    list[TrainingRun]
    """
    described: dict[str, list[dict[Any, Any]]] = defaultdict(list)
    for row in runs.to_dict("records"):
        described[str(row["run"])].append(row)
    stepped = _steps_by_run(steps) if len(steps) else {}
    read = resources is not None and len(resources) > 0
    alive: Any = resources.groupby("run")["at"].max() if resources is not None and read else {}
    models: Any = resources.groupby("run")["model"].first() if resources is not None and read and "model" in resources else {}
    alerts: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    if events is not None and len(events):
        for at, run, text in zip(events["at"], events["run"], events["text"], strict=True):
            if isinstance(run, str):
                alerts[run].append((_instant(np.datetime64(at, "us")), str(text)))
    summed: dict[str, DataFrame] = {} if blocks is None else {str(name): own for name, own in blocks.groupby("run")}
    found = []
    for name in sorted(described.keys() | stepped.keys()):
        run = _training_run(name, described.get(name), stepped.get(name), alive.get(name), models.get(name), summed.get(name))
        found.append(replace(run, alerts=tuple(alerts[name])))
    return found


def _steps_by_run(steps: "DataFrame") -> dict[str, StepColumns]:
    """The fields of each run's steps, in the order of the records."""
    numbers, names = steps["run"].factorize()
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(len(names) + 1)).tolist()
    columns = {name: values[order] for name, values in _step_columns(steps).items()}
    return {str(name): {key: values[begin:end] for key, values in columns.items()} for name, (begin, end) in zip(names, pairwise(bounds))}


def _step_columns(steps: "DataFrame") -> StepColumns:
    """The fields of step records, except the run. Missing values of object fields are None."""
    found = {"at": steps["at"].to_numpy("datetime64[us]"), "step": steps["step"].to_numpy("int64")}
    if "stride" in steps:
        found["stride"] = steps["stride"].to_numpy("int64")
    for name in ("rank", "host", "device", "batch", "phase_ms", "metrics"):
        if name in steps and (known := steps[name].notna()).any():
            found[name] = steps[name].astype(object).where(known, None).to_numpy(object)
    return found


def _training_run(
    name: str,
    records: Sequence[dict[Any, Any]] | None,
    steps: StepColumns | None,
    alive: Any,
    model: Any,
    blocks: "DataFrame | None" = None,
) -> TrainingRun:
    """One run from its own records. alive: time of its newest device reading. model: the model that its readings name. blocks: the times
    of its ranks, if not all of its steps were read.
    """
    described: dict[str, Any] = {"model": model} if isinstance(model, str) else {}
    starts: list[Any] = []
    ends: list[tuple[Any, str | None]] = []
    final: dict[str, float] = {}
    for row in _ordered_records(records):
        described |= {
            key: row[key] for key in ("model", "version", "study", "dataset", "seed", "params", "hardware", "directions") if row.get(key)
        }
        if row["event"] == "start":
            starts.append(row["at"])
        else:
            ends.append((row["at"], row["status"]))
            final |= {key: number for key, value in (row["metrics"] or {}).items() if (number := record_number(value)) is not None}
    over = ends and (not starts or max(at for at, _ in ends) >= max(starts))
    since = [status for at, status in ends if not starts or at >= max(starts)] if over else []
    bad = [status for status in since if status and status.lower() not in FINISHED]
    bad = sorted(bad, key=lambda status: status.lower() in PRUNED)
    named: dict[str, Any] = {key: described.get(key) for key in ("model", "version", "study", "dataset", "seed")}
    stated = stated_directions(described.get("directions") or {})
    times, numbers = np.empty(0, "datetime64[us]"), np.empty(0, "int64")
    if steps is not None:
        order = np.argsort(steps["at"], kind="stable")
        times, numbers = steps["at"][order], steps["step"][order]
    stride = int(steps["stride"].max()) if steps is not None and "stride" in steps else 1
    steps, blocks = steps if stride else None, blocks if stride > 1 else None
    seen = [*starts, *(at for at, _ in ends), *times[-1:], *([alive] if alive is not None else [])]
    return TrainingRun(
        name=name,
        **named,
        status=next((status for status in [*bad, *since] if status), None),
        params=described.get("params") or {},
        hardware=described.get("hardware") or {},
        final=final,
        started=_instant(min(starts)) if starts else None,
        ended=_instant(max(at for at, _ in ends)) if over else None,
        last=max(_instant(each) for each in seen),
        steps=_step_count(numbers, stride) if len(numbers) else 0,
        ranks=tuple(sorted({str(rank) for rank in steps.get("rank", ()) if rank is not None}, key=rank_order)) if steps else (),
        curves=_curves(steps, stated) if steps is not None else {},
        phases=_phase_times(steps) if steps is not None else None,
        step_times=times,
        step_numbers=numbers,
        stride=stride,
        hosts=_place_of_ranks(steps, "host") if steps is not None else {},
        devices=_place_of_ranks(steps, "device") if steps is not None else {},
        directions=stated,
        batches=_step_batches(steps) if steps is not None else {},
        blocks=blocks,
    )


def _step_count(steps: Array, stride: int) -> int:
    """Number of distinct steps that a run logged. If only some steps were read, it is estimated from the distances between them."""
    found = np.unique(steps)
    if stride == 1:
        return len(found)
    gap = max(round(float(np.median(np.diff(found))) / stride), 1) if stride and len(found) > 1 else 1
    return int(found[-1] - found[0]) // gap + 1


def _ordered_records(records: Sequence[dict[Any, Any]] | None) -> list[dict[Any, Any]]:
    """The records of a run in order of time; records with the same time are ordered by their content."""
    return sorted(records or (), key=lambda row: (row["at"], row["event"] != "start", repr(row)))


def record_number(value: Any) -> float | None:
    """The number that a record holds. Values that are not finite are logged as words.

    Parameters
    ----------
    value : Any
        Value of the record.

    Returns
    -------
    float | None
        None for anything else.
    """
    if isinstance(value, str):
        return NOT_FINITE.get(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def metric_curves(steps: "DataFrame", declared: Mapping[str, Better] | None = None) -> dict[str, MetricCurve]:
    """Curve of each metric, by name.

    Parameters
    ----------
    steps : DataFrame
        Step records of a run.
    declared : Mapping[str, Better] | None
        Better direction of metrics whose name does not tell.

    Returns
    -------
    dict[str, MetricCurve]
    """
    return _curves(_step_columns(steps), declared or {})


def _curves(steps: StepColumns, stated: Mapping[str, Better]) -> dict[str, MetricCurve]:
    """Curve of each metric of a run, by name. stated: better directions."""
    places: dict[str, list[int]] = defaultdict(list)
    values: dict[str, list[float]] = defaultdict(list)
    for place, metrics in enumerate(steps.get("metrics", ())):
        for name, value in (metrics or {}).items():
            number = value if type(value) is float else record_number(value)
            if number is not None:
                places[name].append(place)
                values[name].append(number)
    number_of, at, ranks = steps["step"], steps["at"], np.zeros(len(steps["step"]), int)
    if "rank" in steps:
        ranks = np.unique(["" if rank is None else str(rank) for rank in steps["rank"]], return_inverse=True)[1]
    stride = steps.get("stride", np.ones(1, "int64"))
    extra = np.unique(number_of[stride < stride.max()]) if stride.max() > 1 else None
    found = {}
    for name, own in sorted(places.items()):
        declared = stated.get(name) or stated.get(base_metric(name))
        curve = _metric_curve(name, number_of[own], ranks[own], at[own], np.array(values[name]), declared)
        found[name] = curve if extra is None else replace(curve, chosen=np.isin(curve.steps, extra))
    return found


def _metric_curve(name: str, steps: Array, ranks: Array, at: Array, values: Array, declared: Better | None) -> MetricCurve:
    """A curve as the median over ranks, made from the last logged value of each rank and step. declared: the better direction."""
    order = np.lexsort((values, at, ranks, steps))
    steps, ranks, at, values = steps[order], ranks[order], at[order], values[order]
    last = np.append((steps[1:] != steps[:-1]) | (ranks[1:] != ranks[:-1]), True)
    steps, at, values = steps[last], at[last], values[last]
    bad = np.unique(steps[~np.isfinite(values)])
    where, begin, counts = np.unique(steps, return_index=True, return_counts=True)
    if counts.max() == 1:
        return MetricCurve(name, where, np.where(np.isfinite(values), values, np.nan), at, bad, declared)
    table = np.full((len(where), int(counts.max())), np.nan)
    table[np.repeat(np.arange(len(where)), counts), np.arange(len(steps)) - np.repeat(begin, counts)] = np.where(
        np.isfinite(values), values, np.nan
    )
    ordered_values = np.sort(table, axis=1)
    known = np.isfinite(ordered_values).sum(axis=1)
    row = np.arange(len(where))
    low, high = ordered_values[row, np.maximum(known - 1, 0) // 2], ordered_values[row, np.minimum(known // 2, table.shape[1] - 1)]
    middle = np.where(known > 0, (low + high) / 2, np.nan)
    return MetricCurve(name, where, middle, np.maximum.reduceat(at, begin), bad, declared)


def _step_batches(steps: StepColumns) -> dict[int, tuple[str, ...]]:
    """For each step that names data batches, these batches, each once and sorted by name: a single batch, or the batches of all ranks."""
    found: dict[int, set[str]] = defaultdict(set)
    for step, batch in zip(steps["step"], steps.get("batch", ())):
        if batch is not None:
            found[int(step)].add(str(batch))
    return {step: tuple(sorted(batches)) for step, batches in found.items()}


def _place_of_ranks(steps: StepColumns, column: str) -> dict[str, str]:
    """The machine or device of each rank, according to its newest step. column: host or device."""
    if "rank" not in steps or column not in steps:
        return {}
    rows = zip(steps["step"].tolist(), steps["at"].tolist(), steps[column], steps["rank"])
    stated = sorted((row for row in rows if row[2] is not None and row[3] is not None), key=lambda row: row[:3])
    return {str(rank): str(place) for _, _, place, rank in stated}


def phase_times(steps: "DataFrame") -> "DataFrame | None":
    """Milliseconds of each phase by rank and step, from the last record of each.

    Parameters
    ----------
    steps : DataFrame
        Step records of a run.

    Returns
    -------
    DataFrame | None
        Columns RANK, STEP and the phases (stats/rank_times.py); None if no record has phases.
    """
    return _phase_times(_step_columns(steps))


def _phase_times(steps: StepColumns) -> "DataFrame | None":
    """Columns RANK, STEP and the milliseconds of each phase, one row per rank and step, from the last record of each; None without
    phases.
    """
    import pandas as pd

    rows: list[dict[int | str, Any]] = [
        {RANK: "" if rank is None else str(rank), STEP: int(step), AT: at}
        | {
            name: number
            for name, value in spent.items()
            if (number := record_number(value)) is not None and math.isfinite(number) and number >= 0
        }
        for rank, step, at, spent in zip(steps.get("rank", repeat(None)), steps["step"], steps["at"], steps.get("phase_ms", ()))
        if spent
    ]
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    names: list[Any] = sorted(name for name in frame.columns if isinstance(name, str))
    keys: list[Any] = [STEP, RANK]
    ties: list[Any] = [AT, *names]
    frame = frame.sort_values([*keys, *ties]).drop_duplicates(keys, keep="last")
    return frame.reset_index(drop=True)[[RANK, STEP, *names]] if names else None
