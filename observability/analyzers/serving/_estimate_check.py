"""How far off was the estimate where labels came in later?

The days of the window whose labels are mostly in, and where they are few days of the month before it: what was estimated of their labelled rows, beside what the labels
of the same rows show. Rows of one day share their luck (weather, campaigns), so the interval of the error is at least as wide as days differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.serving._estimates import Figure, Meaning, estimates, regression
from observability.analyzers.serving._reliability import BINS, binned
from observability.analyzers.serving.performance import LIMITS
from observability.catalog import Model
from observability.measure import performance
from observability.stats.estimate import binary_values
from observability.stats.interval import Interval, Moments, difference_interval, mean_interval

if TYPE_CHECKING:
    from pandas import DataFrame

MATURE = 0.8
CHECK_DAYS = 14
"""All days of the window with mature labels are held against the estimate, and so many of the newest where it has fewer."""
CHECK_LABELS = 1000
"""Days are added, beyond CHECK_DAYS, until so many labels are there."""
MINIMUM_LABELS = 100
LEAST_DAYS = 4


@dataclass(frozen=True)
class Check:
    """One metric on days with mature labels: estimated and measured on the same rows, and the error of the estimate with its interval.

    allowed: the smallest error that counts, in the metric's unit. days, first, last: which days; n: labelled rows.
    """

    metric: str
    estimated: float
    measured: float
    error: Interval
    allowed: float
    days: int
    first: date
    last: date
    n: int

    @property
    def held(self) -> bool:
        """Whether the estimate was near enough, as far as could be seen."""
        return self.error.value is not None and abs(self.error.value) < self.allowed

    @property
    def failed(self) -> bool:
        """Whether the estimate was off by more than chance and by enough to matter."""
        low, high, value = self.error.low, self.error.high, self.error.value
        return value is not None and low is not None and high is not None and not low <= 0 <= high and abs(value) >= self.allowed


def mature_days(counts: "DataFrame", start: datetime) -> list[Any]:
    """The days since `start` whose labels are mostly in, with days before it until there are CHECK_DAYS days and CHECK_LABELS labels; oldest first.

    counts: by day and label.
    """
    chosen: list[Any] = []
    labels = 0.0
    served_by, labelled_by = (rows.groupby("period")["n"].sum() for rows in (counts, counts[counts["label"] >= 0]))
    for period in sorted(labelled_by.index, reverse=True):
        served, labelled = float(served_by[period]), float(labelled_by[period])
        if labelled < MATURE * served or labelled <= 0:
            continue
        if period < start.replace(tzinfo=None) and len(chosen) >= CHECK_DAYS and labels >= CHECK_LABELS:
            break
        chosen.append(period)
        labels += labelled
    return chosen[::-1]


def both(frames: Mapping[str, "DataFrame"], name: str) -> "DataFrame":
    """The rows of a frame of the month before and of the window, under each other."""
    import pandas as pd

    parts = [frames[key] for key in (f"past_{name}", f"current_{name}") if key in frames and len(frames[key])]
    return pd.concat(parts, ignore_index=True) if parts else frames[f"current_{name}"]


def check_classifier(known: Meaning, frames: Mapping[str, "DataFrame"], start: datetime) -> dict[str, Check]:
    """The check of every metric that could be estimated and measured. start: of the window."""
    counts, sums = both(frames, "counts"), both(frames, "sums")
    classes = both(frames, "classes") if "current_classes" in frames else None
    days = mature_days(counts, start)
    if not days:
        return {}

    def on(periods: Sequence[Any]) -> tuple[dict[str, Figure], dict[str, Interval]]:
        part = counts[counts["period"].isin(periods) & (counts["label"] >= 0)]
        of_classes = None if classes is None else classes[classes["period"].isin(periods) & (classes["label"] >= 0)]
        measured = performance(known.model, part, sums[sums["period"].isin(periods)])
        return estimates(known, part, of_classes), measured

    figures, measured = on(days)
    n = int(counts.loc[counts["period"].isin(days) & (counts["label"] >= 0), "n"].sum())
    off = binary_days(known, counts, days) if known.model.task == "binary" else by_metric([on([period]) for period in days])
    return compared(known.model, figures, measured, off, days, n)


def binary_days(known: Meaning, counts: "DataFrame", days: Sequence[Any]) -> "Errors":
    """(error, labelled rows) of each day by metric, of a binary model: both sides from the same score bins."""
    usable = counts[(counts["label"] >= 0) & (counts["decision"] >= 0) & (counts["score_bin"] >= 0)]
    day = np.searchsorted(np.array(days, "datetime64[us]"), usable["period"].to_numpy("datetime64[us]"))
    day = np.where(usable["period"].isin(days), day, len(days))
    cell = (day * 2 + usable["decision"].to_numpy(np.int64)) * BINS + usable["score_bin"].to_numpy(np.int64)
    w, label = usable["w"].to_numpy(np.float64), usable["label"].to_numpy(np.int64)
    size = (len(days) + 1) * 2 * BINS
    rows, positive = (binned(cell[kept], w[kept], size).reshape(-1, 2, BINS) for kept in (label >= 0, label == 1))
    found: Errors = {}
    for place in range(len(days)):
        guess = binary_values(rows[place], rows[place] * known.event.rates)
        truth = binary_values(rows[place], positive[place])
        for metric in guess.keys() & truth.keys():
            found.setdefault(metric, []).append((guess[metric] - truth[metric], float(rows[place].sum())))
    return found


def check_regression(model: Model, frames: Mapping[str, "DataFrame"], start: datetime) -> dict[str, Check]:
    """The check of MAE and RMSE on the sampled rows that have labels."""
    rows, days = both(frames, "errors"), mature_days(both(frames, "counts"), start)
    part = rows[rows["period"].isin(days)]
    if not len(part):
        return {}
    figures, measured = regression(part, {}, 0.0, labelled=True)
    each = by_metric([regression(one, {}, 0.0, labelled=True) for _, one in part.groupby("period", sort=True)])
    known = part[(part["measure"] == "absolute_error") & (part["labelled"] == 1)]
    kept = sorted(part["period"].unique())
    found = compared(model, figures, measured, each, kept, int(known["n"].sum()))
    if "mae" in found and known["w"].sum() > 0:
        off = Moments(
            float(known["w"].sum()), float(known["estimated"].sum() - known["measured"].sum()), float(known["difference_squares"].sum()),
            float(known["w2"].sum()),
        )  # fmt: skip
        found["mae"] = Check(**{**vars(found["mae"]), "error": widest(mean_interval(off), each.get("mae", []))})
    return found


def compared(
    model: Model, figures: dict[str, Figure], measured: dict[str, Interval], each: "Errors",
    days: Sequence[Any], n: int,
) -> dict[str, Check]:  # fmt: skip
    """The checks of metrics that are known on both sides."""
    found = {}
    for metric, figure in figures.items():
        truth = measured.get(metric)
        if metric not in LIMITS or truth is None or truth.value is None or figure.interval.value is None or n < MINIMUM_LABELS:
            continue
        side = figure.calibration or Interval(figure.interval.value, figure.interval.value, figure.interval.value, figure.interval.n)
        error = widest(difference_interval(side, truth), each.get(metric, []))
        found[metric] = Check(
            metric, figure.interval.value, truth.value, error, allowed(model, metric, truth.value), len(days), days[0].date(), days[-1].date(), n
        )  # fmt: skip
    return found


def allowed(model: Model, metric: str, around: float) -> float:
    """The smallest error of an estimate that counts: the watch limit of serving/performance, in the metric's unit."""
    kind, watch, _ = LIMITS[metric]
    own = model.settings.limits.get(f"serving/estimated_performance/{metric}", watch)
    return min(watch, own) * (abs(around) if kind == "relative" else 1.0)


def by_metric(days: Sequence[tuple[dict[str, Figure], dict[str, Interval]]]) -> "Errors":
    """(error, labelled rows) of each day on which a metric is known on both sides, by metric."""
    found: Errors = {}
    for figures, measured in days:
        for metric, guess in figures.items():
            truth = measured.get(metric)
            if guess.interval.value is not None and truth is not None and truth.value is not None and truth.n > 0:
                found.setdefault(metric, []).append((guess.interval.value - truth.value, truth.n))
    return found


Errors = dict[str, list[tuple[float, float]]]


def widest(error: Interval, days: Sequence[tuple[float, float]]) -> Interval:
    """The interval of an error, made as wide as the errors of days differ, where there are days enough (Liang and Zeger 1986, days as clusters)."""
    from scipy.special import stdtrit

    if error.value is None or error.low is None or error.high is None or len(days) < LEAST_DAYS:
        return error
    off, rows = (np.array(each, float) for each in zip(*days))
    centre = float(off @ rows / rows.sum())
    spread = float(np.sqrt((rows**2 @ (off - centre) ** 2) * len(days) / (len(days) - 1))) / float(rows.sum())
    half = float(stdtrit(len(days) - 1, 0.975)) * spread
    return Interval(error.value, min(error.low, error.value - half), max(error.high, error.value + half), error.n)
