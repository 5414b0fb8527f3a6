"""What does the score promise, and what came true, from counts of outcomes?

Of a binary model the event is the positive class and the score its probability. Of a multiclass model the event is that the decision was right, and
the score is the confidence, the largest probability (Guo et al. 2017).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Bucket, By
from observability.metrics.measured_windows import Days, days_in, on
from observability.metrics.performance import Columns, columns_of, outcome_aggregates
from observability.stats.calibration import (
    CalibrationError,
    Reliability,
    cumulative_calibration_error,
    expected_calibration_error,
    reliability,
)
from observability.stats.scores import SCORE_EDGES

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
BINS = SCORE_EDGES.size + 1
MINIMUM_LABELS = 200
"""Labelled rows below which nothing is said about calibration: a model without fault then has an ECE near 0.07."""
WEEK = 7


@dataclass(frozen=True)
class Scored:
    """Labelled rows with a score, by score bin: Σw with the event, Σw, Σw²; n rows in all."""

    positive: Floats
    total: Floats
    squares: Floats
    n: int


@dataclass(frozen=True)
class Daily:
    """The same by day, as days × score bins; served: all rows of each day; labelled: those of them whose label is known. days: numbers since 1970, rising."""

    days: Days
    positive: Floats
    total: Floats
    squares: Floats
    n: Floats
    served: Floats
    labelled: Floats

    def whole(self, first: float = -np.inf) -> Scored:
        """All days together, or those from one on."""
        kept = self.days >= first
        positive, total, squares = (each[kept].sum(axis=0) for each in (self.positive, self.total, self.squares))
        return Scored(positive, total, squares, int(self.n[kept].sum()))

    @property
    def maturity(self) -> tuple[float, float]:
        """Rows served and rows whose label is known, as measure.py has them."""
        return float(self.served.sum()), float(self.labelled.sum())

    def periods(self) -> "Daily":
        """Itself, or seven days together in the place of each where the usual day holds too few labels."""
        known = self.labelled[self.labelled > 0]
        if not self.days.size or (known.size and np.median(known) >= MINIMUM_LABELS):
            return self
        days, first = np.unique(self.days - (self.days - self.days[0]) % WEEK, return_index=True)
        sums = (self.positive, self.total, self.squares, self.n, self.served, self.labelled)
        return Daily(days, *(np.add.reduceat(each, first, axis=0) for each in sums))


@dataclass(frozen=True)
class Judged:
    """The groups of equal mass, the expected and the cumulative error of one set of rows."""

    scored: Scored
    groups: Reliability
    ece: CalibrationError
    ecce: CalibrationError


def question(model: Model, *keys: Bucket | By) -> Aggregate:
    """Outcomes by decision, label and score bin; of a binary model the very question of measure.py."""
    if model.task == "binary":
        return outcome_aggregates(model, *keys)["counts"]
    return Aggregate("outcomes", keys=(*keys, By("decision"), By("label"), By("score_bin")))


def scored(model: Model, counts: "DataFrame | Columns") -> Scored:
    """The labelled rows with a score among the counts."""
    positive, total, squares, n = scored_in(model, counts, None, 1)
    return Scored(positive[0], total[0], squares[0], int(n[0]))


def daily(model: Model, counts: "DataFrame") -> Daily:
    """The labelled rows with a score of each day. counts: with the key `period`, by day."""
    columns = columns_of(counts)
    days, place = np.unique(days_in(columns), return_inverse=True)
    known, n = columns["label"] >= 0, columns["n"].astype(np.float64)
    served, labelled = binned(place, n, days.size), binned(place[known], n[known], days.size)
    return Daily(days, *scored_in(model, columns, place, days.size), served, labelled)


def scored_in(
    model: Model, counts: "DataFrame | Columns", group: NDArray[np.int64] | None, groups: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """The same of several groups of rows: Σw with the event, Σw and Σw² as groups × score bins, and rows of each group. group: that of each row."""
    label, place = (np.asarray(counts[name], np.int64) for name in ("label", "score_bin"))
    known = (label >= 0) & (place >= 0)
    decision = None if model.task == "binary" else np.asarray(counts["decision"], np.int64)
    if decision is not None:
        known &= decision >= 0
    label, place = label[known], place[known]
    event = label == 1 if decision is None else label == decision[known]
    if group is not None:
        place = place + BINS * group[known]
    w, w2, n = (np.asarray(counts[name], np.float64)[known] for name in ("w", "w2", "n"))
    size = groups * BINS
    sides = (binned(place[event], w[event], size), binned(place, w, size), binned(place, w2, size))
    positive, total, squares = (each.reshape(groups, BINS) for each in sides)
    return positive, total, squares, binned(place // BINS, n, groups)


def binned(place: NDArray[np.int64], weights: Floats, size: int = BINS) -> Floats:
    """Sums by place."""
    return np.asarray(np.bincount(place, weights, size), np.float64)


def judged(rows: Scored, index: Any = None) -> Judged | None:
    """Both errors; None where no row can be wrong. index: groups of bins to use in place of their own."""
    groups = reliability(rows.positive, rows.total, rows.squares, index=index)
    ecce = cumulative_calibration_error(rows.positive, rows.total, rows.squares)
    return None if groups is None or ecce is None else Judged(rows, groups, expected_calibration_error(groups), ecce)


def trend(of: Daily) -> list[dict[str, Any]]:
    """ECE by day, or by seven days where most days hold too few labels: period (ISO day), days, ece, low, high, null_95, n, labelled, served.

    Periods with too few labels carry no ECE.
    """
    parts, found = of.periods(), []
    length = 1 if parts is of else WEEK
    for place, (start, served, labelled) in enumerate(zip(parts.days, parts.served.tolist(), parts.labelled.tolist(), strict=True)):
        error = expected(parts.positive[place], parts.total[place], parts.squares[place]) if labelled >= MINIMUM_LABELS else None
        found.append(
            {
                "period": on(start).isoformat(), "days": length, "ece": error and error.value, "low": error and error.low,
                "high": error and error.high, "null_95": error and error.null_95, "n": error and round(error.n), "labelled": int(labelled),
                "served": int(served),
            }
        )  # fmt: skip
    return found


def expected(positive: Floats, total: Floats, squares: Floats) -> CalibrationError | None:
    """The ECE alone; None where no row can be wrong or the rows count for too few."""
    groups = reliability(positive, total, squares)
    if groups is None or not groups.variance.any():
        return None
    error = expected_calibration_error(groups)
    return error if error.n >= MINIMUM_LABELS else None
