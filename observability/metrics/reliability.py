"""Calibration errors of a classifier from counts of outcomes.

For a binary model, the event is the positive class and the score is its probability. For a multiclass model, the event is that the decision
was right, and the score is the confidence, that is the largest probability (Guo et al. 2017).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Bucket, By
from observability.metrics.measured_windows import Days, day_date, days_in
from observability.metrics.performance import Columns, answer_columns, outcome_aggregates
from observability.stats.calibration import (
    CalibrationError,
    Reliability,
    cumulative_calibration_error,
    expected_calibration_error,
    reliability_curve,
)
from observability.stats.scores import SCORE_EDGES

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
BINS = SCORE_EDGES.size + 1
MINIMUM_LABELS = 200
"""Minimum number of labelled rows for judging calibration. With fewer rows, even a perfectly calibrated model has an ECE near 0.07."""
WEEK = 7


@dataclass(frozen=True)
class ScoredRows:
    """Labelled rows with a score, by score bin: Σw of rows with the event, Σw and Σw² of all rows; n: number of all rows."""

    positive: Floats
    total: Floats
    squares: Floats
    n: int


@dataclass(frozen=True)
class DailyScoredRows:
    """Scored rows by day, as days × score bins. served: number of all rows on each day; labelled: number of rows whose label is known.
    days: numbers since 1970, increasing.
    """

    days: Days
    positive: Floats
    total: Floats
    squares: Floats
    n: Floats
    served: Floats
    labelled: Floats

    def whole(self, first: float = -np.inf) -> ScoredRows:
        """The rows of all days together, or only of the days from `first` on."""
        kept = self.days >= first
        positive, total, squares = (each[kept].sum(axis=0) for each in (self.positive, self.total, self.squares))
        return ScoredRows(positive, total, squares, int(self.n[kept].sum()))

    @property
    def maturity(self) -> tuple[float, float]:
        """The number of served rows, and of rows whose label is known."""
        return float(self.served.sum()), float(self.labelled.sum())

    def periods(self) -> "DailyScoredRows":
        """The same rows by period. A period is a day, or seven days if the median day has too few labels."""
        known = self.labelled[self.labelled > 0]
        if not self.days.size or (known.size and np.median(known) >= MINIMUM_LABELS):
            return self
        days, first = np.unique(self.days - (self.days - self.days[0]) % WEEK, return_index=True)
        sums = (self.positive, self.total, self.squares, self.n, self.served, self.labelled)
        return DailyScoredRows(days, *(np.add.reduceat(each, first, axis=0) for each in sums))


@dataclass(frozen=True)
class CalibrationErrors:
    """One set of rows: its groups of equal mass, and its expected and cumulative calibration error."""

    scored: ScoredRows
    groups: Reliability
    ece: CalibrationError
    ecce: CalibrationError


def score_question(model: Model, *keys: Bucket | By) -> Aggregate:
    """The query for outcomes by decision, label and score bin. For a binary model, it is the "counts" query of `outcome_aggregates`."""
    if model.task == "binary":
        return outcome_aggregates(model, *keys)["counts"]
    return Aggregate("outcomes", keys=(*keys, By("decision"), By("label"), By("score_bin")))


def scored_rows(model: Model, counts: "DataFrame | Columns") -> ScoredRows:
    """Labelled rows with a score.

    Parameters
    ----------
    model : Model
        Model.
    counts : DataFrame | Columns
        Answer to `score_question`.

    Returns
    -------
    ScoredRows
    """
    positive, total, squares, n = _scored_sums(model, counts, None, 1)
    return ScoredRows(positive[0], total[0], squares[0], int(n[0]))


def daily_scored_rows(model: Model, counts: "DataFrame") -> DailyScoredRows:
    """Labelled rows with a score of each day.

    Parameters
    ----------
    model : Model
        Model.
    counts : DataFrame
        Answer to `score_question` by day.

    Returns
    -------
    DailyScoredRows
    """
    columns = answer_columns(counts)
    days, place = np.unique(days_in(columns), return_inverse=True)
    known, n = columns["label"] >= 0, columns["n"].astype(np.float64)
    served, labelled = sum_by_score_bin(place, n, days.size), sum_by_score_bin(place[known], n[known], days.size)
    return DailyScoredRows(days, *_scored_sums(model, columns, place, days.size), served, labelled)


def _scored_sums(
    model: Model, counts: "DataFrame | Columns", group: NDArray[np.int64] | None, groups: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Σw of the rows with the event, Σw and Σw² of all rows (each groups × score bins), and the number of rows of each group. group: the
    group of each row.
    """
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
    sides = (sum_by_score_bin(place[event], w[event], size), sum_by_score_bin(place, w, size), sum_by_score_bin(place, w2, size))
    positive, total, squares = (side.reshape(groups, BINS) for side in sides)
    return positive, total, squares, sum_by_score_bin(place // BINS, n, groups)


def sum_by_score_bin(place: NDArray[np.int64], weights: Floats, size: int = BINS) -> Floats:
    """Sums by place.

    Parameters
    ----------
    place : NDArray[np.int64]
        Place of each row: its score bin, plus BINS times its group.
    weights : Floats
        Values to add.
    size : int
        Number of places.

    Returns
    -------
    Floats
    """
    return np.asarray(np.bincount(place, weights, size), np.float64)


def calibration_errors(rows: ScoredRows, index: Any = None) -> CalibrationErrors | None:
    """Expected and cumulative calibration error; None if they cannot be computed.

    Parameters
    ----------
    rows : ScoredRows
        Scored rows.
    index : Any
        Group of each bin, in place of groups of equal mass.

    Returns
    -------
    CalibrationErrors | None
        None if no row can be wrong.
    """
    groups = reliability_curve(rows.positive, rows.total, rows.squares, index=index)
    ecce = cumulative_calibration_error(rows.positive, rows.total, rows.squares)
    return None if groups is None or ecce is None else CalibrationErrors(rows, groups, expected_calibration_error(groups), ecce)


def ece_by_period(of: DailyScoredRows) -> list[dict[str, Any]]:
    """ECE by day, or by seven days if the median day has too few labels.

    Parameters
    ----------
    of : DailyScoredRows
        Scored rows by day.

    Returns
    -------
    list[dict[str, Any]]
        period (ISO day), days, ece, low, high, null_95, n, labelled, served; periods with too few labels have no ECE.
    """
    parts, found = of.periods(), []
    length = 1 if parts is of else WEEK
    for place, (start, served, labelled) in enumerate(zip(parts.days, parts.served.tolist(), parts.labelled.tolist(), strict=True)):
        error = _reliable_ece(parts.positive[place], parts.total[place], parts.squares[place]) if labelled >= MINIMUM_LABELS else None
        found.append(
            {
                "period": day_date(start).isoformat(),
                "days": length,
                "ece": error and error.value,
                "low": error and error.low,
                "high": error and error.high,
                "null_95": error and error.null_95,
                "n": error and round(error.n),
                "labelled": int(labelled),
                "served": int(served),
            }
        )
    return found


def _reliable_ece(positive: Floats, total: Floats, squares: Floats) -> CalibrationError | None:
    """The ECE alone; None if no row can be wrong, or if there are too few effective rows."""
    groups = reliability_curve(positive, total, squares)
    if groups is None or not groups.variance.any():
        return None
    error = expected_calibration_error(groups)
    return error if error.n >= MINIMUM_LABELS else None
