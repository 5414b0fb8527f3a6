"""Which training runs do the records tell of, and what are the curves of their metrics?

Frames of `Records` come in, `Run`s come out. Of several processes (ranks) a curve is the median over ranks at each step. A step that was logged twice
counts as it was logged last, as after a restart from a checkpoint. Which direction is better is read off a metric's name, or not known at all.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from observability.core.metric_definitions import METRICS
from observability.core.time import aware_utc

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
Better = Literal["low", "high"]
Part = Literal["train", "held out"]
PREFIX = re.compile(r"(train|training|validation|valid|val|test|eval|dev)[_/.\- ](?=.)", re.IGNORECASE)
LOW = frozenset(
    [
        "loss",
        "logloss",
        "error",
        "errors",
        "mae",
        "mse",
        "rmse",
        "mape",
        "smape",
        "nll",
        "deviance",
        "brier",
        "perplexity",
        "ppl",
        "wer",
        "cer",
        "crossentropy",
        "entropy",
        "fid",
        "hinge",
        "regret",
    ]
)
HIGH = frozenset(
    [
        "accuracy",
        "acc",
        "auc",
        "auroc",
        "auprc",
        "f1",
        "r2",
        "precision",
        "recall",
        "sensitivity",
        "specificity",
        "bleu",
        "rouge",
        "ndcg",
        "mrr",
        "iou",
        "dice",
        "kappa",
        "reward",
    ]
)
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
FINISHED = frozenset(("finished", "completed", "complete", "success", "succeeded", "ok", "done"))


@dataclass(frozen=True)
class Curve:
    """One metric of a run: steps ascending, each once; values (median over ranks; NaN where no rank has a finite one); the time of each step.

    bad: steps at which some rank logged what is not finite.
    """

    name: str
    steps: Array
    values: Array
    at: Array
    bad: Array

    @property
    def better(self) -> Better | None:
        """Which direction is better, None where the name does not say."""
        return better(self.name)

    @property
    def finite(self) -> "Curve":
        """The steps whose value is finite."""
        keep = np.isfinite(self.values)
        return self if keep.all() else Curve(self.name, self.steps[keep], self.values[keep], self.at[keep], self.bad)

    @property
    def cost(self) -> Array:
        """The values as a cost: lower is better."""
        return -self.values if self.better == "high" else self.values

    def best(self) -> int:
        """The index of the best finite value; the first of equal ones."""
        return int(np.nanargmin(np.where(np.isfinite(self.values), self.cost, np.nan)))

    def when(self, index: int) -> datetime:
        """The time of a step."""
        return instant(self.at[index])


@dataclass(frozen=True)
class Run:
    """One training run, as far as its records tell. steps: distinct step numbers; last: its newest record; ended: None while it has no end.

    phases: one row a rank and step: rank, step, and the milliseconds of each phase; empty where none were logged. partly: older steps were not read.
    hosts: of each rank that says it, the machine that it last ran on.
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
    curves: Mapping[str, Curve] = field(default_factory=dict)
    phases: "DataFrame | None" = None
    step_times: Array = field(default_factory=lambda: np.empty(0, "datetime64[us]"))
    partly: bool = False
    hosts: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than finished."""
        return self.ended is not None and self.status is not None and self.status.lower() not in FINISHED

    @property
    def seconds(self) -> float:
        """From its start (or first record) to its end (or newest record)."""
        return max(((self.ended or self.last) - (self.started or self.first)).total_seconds(), 0.0)

    @property
    def first(self) -> datetime:
        """Its start, else its first step."""
        return self.started or (instant(self.step_times[0]) if len(self.step_times) else self.last)

    def pairs(self) -> Iterator[tuple[Curve, Curve | None]]:
        """Each held-out curve of a known direction with the training curve of the same metric (`train_loss`, else `loss`), where there is one."""
        training = {base(name): curve for name, curve in self.curves.items() if part(name) == "train"}
        for name, curve in self.curves.items():
            if part(name) == "held out" and curve.better:
                yield curve, training.get(base(name))

    def judged(self, which: Part | None = None) -> list[Curve]:
        """Curves whose name says which direction is better, of one part or of both, by name."""
        return [each for name, each in self.curves.items() if each.better and which in (None, part(name))]

    def main(self) -> Curve | None:
        """The curve by which a run is known: held out before training, a loss before other metrics, then by name; None where no direction is known."""
        judged = [each for each in self.judged() if np.isfinite(each.values).any()]
        order = {"validation": 0, "valid": 0, "val": 0, "dev": 0, "eval": 1, "test": 2}
        return min(judged, key=lambda each: (part(each.name) != "held out", order.get(prefix(each.name), 3), each.name), default=None)


def prefix(name: str) -> str:
    """The part of the data that a metric's name begins with, in small letters; "" where it names none."""
    found = PREFIX.match(name)
    return found[1].lower() if found else ""


def part(name: str) -> Part:
    """Whether a metric is of the rows that were learned from (also where its name says nothing) or of rows held out."""
    return "train" if prefix(name) in ("", "train", "training") else "held out"


def base(name: str) -> str:
    """The metric without the part of the data: `validation_loss` is `loss`."""
    return PREFIX.sub("", name, count=1).lower() if PREFIX.match(name) else name.lower()


def better(name: str) -> Better | None:
    """Which direction is better, from the metric's name; None where it does not say, or says both."""
    known = METRICS.get(base(name))
    if known is not None and known.better in ("low", "high"):
        return "low" if known.better == "low" else "high"
    words = set(re.split(r"[^a-z0-9]+", base(name)))
    low, high = bool(words & LOW), bool(words & HIGH)
    return None if low == high else "low" if low else "high"


def instant(value: Any) -> datetime:
    """A stored time (naive UTC) as an instant."""
    return aware_utc(np.datetime64(value, "us").astype(datetime))


def gather(runs: "DataFrame", steps: "DataFrame", resources: "DataFrame | None" = None, cut: Any = None) -> list[Run]:
    """Every run that the records name, by name. Frames as `Records` of run, step and resource (at, run) give them, in any order.

    cut: the time of the oldest step that was read, where older ones were not: runs that reach it are marked as partly read.
    """
    described = {str(name): rows for name, rows in runs.groupby("run")} if len(runs) else {}
    stepped = {str(name): rows for name, rows in steps.groupby("run")} if len(steps) else {}
    alive: Any = resources.groupby("run")["at"].max() if resources is not None and len(resources) else {}
    return [
        one_run(name, described.get(name), stepped.get(name), alive.get(name), cut)
        for name in sorted(described.keys() | stepped.keys())
    ]  # fmt: skip


def one_run(name: str, records: "DataFrame | None", steps: "DataFrame | None", alive: Any, cut: Any) -> Run:
    """One run from its own records."""
    said: dict[str, Any] = {}
    starts: list[Any] = []
    ends: list[tuple[Any, str | None]] = []
    final: dict[str, float] = {}
    for row in ordered(records):
        said |= {key: row[key] for key in ("model", "version", "study", "dataset", "seed", "params", "hardware") if row.get(key)}
        if row["event"] == "start":
            starts.append(row["at"])
        else:
            ends.append((row["at"], row["status"]))
            final |= {key: number for key, value in (row["metrics"] or {}).items() if (number := as_number(value)) is not None}
    over = ends and (not starts or max(at for at, _ in ends) >= max(starts))
    since = [status for at, status in ends if not starts or at >= max(starts)] if over else []
    bad = [status for status in since if status and status.lower() not in FINISHED]
    times = np.sort(steps["at"].to_numpy("datetime64[us]")) if steps is not None else np.empty(0, "datetime64[us]")
    seen = [*starts, *(at for at, _ in ends), *times[-1:], *([alive] if alive is not None else [])]
    return Run(
        name=name,
        **{key: said.get(key) for key in ("model", "version", "study", "dataset", "seed")},
        status=next((status for status in [*bad, *since] if status), None),
        params=said.get("params") or {},
        hardware=said.get("hardware") or {},
        final=final,
        started=instant(min(starts)) if starts else None,
        ended=instant(max(at for at, _ in ends)) if over else None,
        last=max(instant(each) for each in seen),
        steps=int(steps["step"].nunique()) if steps is not None else 0,
        ranks=tuple(sorted({str(each) for each in steps["rank"] if each is not None}, key=rank_order)) if steps is not None else (),
        curves=curves_of(steps) if steps is not None else {},
        phases=phases_of(steps) if steps is not None else None,
        step_times=times,
        partly=cut is not None and steps is not None and bool(steps["at"].min() <= cut),
        hosts=hosts_of(steps) if steps is not None else {},
    )


def ordered(records: "DataFrame | None") -> list[dict[Any, Any]]:
    """Records of a run in the order of time; ties by what they say."""
    rows = records.to_dict("records") if records is not None else []
    return sorted(rows, key=lambda row: (row["at"], row["event"] != "start", repr(row)))


def as_number(value: Any) -> float | None:
    """A number of a record; those that are not finite are written as words. None for anything else."""
    if isinstance(value, str):
        return NOT_FINITE.get(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def rank_order(rank: str) -> tuple[float, str]:
    """Ranks in the order of their numbers."""
    return (float(rank), rank) if re.fullmatch(r"\d{1,9}", rank) else (math.inf, rank)


def curves_of(steps: "DataFrame") -> dict[str, Curve]:
    """The curve of each metric, by name."""
    places: dict[str, list[int]] = defaultdict(list)
    values: dict[str, list[float]] = defaultdict(list)
    for place, metrics in enumerate(steps["metrics"]):
        for name, value in (metrics or {}).items():
            number = as_number(value)
            if number is not None:
                places[name].append(place)
                values[name].append(number)
    number_of, at = steps["step"].to_numpy("int64"), steps["at"].to_numpy("datetime64[us]")
    ranks = np.unique(steps["rank"].fillna("").astype(str).to_numpy(str), return_inverse=True)[1]
    return {name: one_curve(name, number_of[own], ranks[own], at[own], np.array(values[name])) for name, own in sorted(places.items())}


def one_curve(name: str, steps: Array, ranks: Array, at: Array, values: Array) -> Curve:
    """Last logged value of each rank and step, then the median over ranks."""
    order = np.lexsort((values, at, ranks, steps))
    steps, ranks, at, values = steps[order], ranks[order], at[order], values[order]
    last = np.append((steps[1:] != steps[:-1]) | (ranks[1:] != ranks[:-1]), True)
    steps, at, values = steps[last], at[last], values[last]
    bad = np.unique(steps[~np.isfinite(values)])
    where, begin, counts = np.unique(steps, return_index=True, return_counts=True)
    if counts.max() == 1:
        return Curve(name, where, np.where(np.isfinite(values), values, np.nan), at, bad)
    table = np.full((len(where), int(counts.max())), np.nan)
    table[np.repeat(np.arange(len(where)), counts), np.arange(len(steps)) - np.repeat(begin, counts)] = np.where(
        np.isfinite(values), values, np.nan
    )
    ordered_values = np.sort(table, axis=1)
    known = np.isfinite(ordered_values).sum(axis=1)
    row = np.arange(len(where))
    low, high = ordered_values[row, np.maximum(known - 1, 0) // 2], ordered_values[row, np.minimum(known // 2, table.shape[1] - 1)]
    middle = np.where(known > 0, (low + high) / 2, np.nan)
    return Curve(name, where, middle, np.maximum.reduceat(at, begin), bad)


def hosts_of(steps: "DataFrame") -> dict[str, str]:
    """The machine of each rank, as its newest step says it."""
    if "host" not in steps:
        return {}
    told = steps[steps["rank"].notna() & steps["host"].notna()].sort_values(["step", "at", "host"])
    return {str(rank): str(host) for rank, host in zip(told["rank"], told["host"], strict=True)}


def phases_of(steps: "DataFrame") -> "DataFrame | None":
    """rank, step and the milliseconds of each phase, one row a rank and step, the last that was logged; None where no phase was."""
    import pandas as pd

    rows = [
        {"rank": "" if rank is None else str(rank), "step": int(step), "at": at} | {
            name: number for name, value in spent.items() if (number := as_number(value)) is not None and math.isfinite(number) and number >= 0
        }
        for rank, step, at, spent in zip(steps["rank"], steps["step"], steps["at"], steps["phase_ms"])
        if spent
    ]  # fmt: skip
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    names = sorted(frame.columns.difference(["rank", "step", "at"]))
    frame = frame.sort_values(["step", "rank", "at", *names]).drop_duplicates(["step", "rank"], keep="last").drop(columns="at")
    return frame.reset_index(drop=True)[["rank", "step", *names]] if names else None
