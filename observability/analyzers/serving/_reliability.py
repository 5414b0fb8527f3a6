"""What does the score promise, and what came true, from counts of outcomes?

Of a binary model the event is the positive class and the score its probability. Of a multiclass model the event is that the decision was right, and
the score is the confidence, the largest probability (Guo et al. 2017).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.aggregate import Aggregate, Bucket, By
from observability.catalog import Model
from observability.measure import maturity, outcome_aggregates
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


def scored(model: Model, counts: "DataFrame") -> Scored:
    """The labelled rows with a score among the counts."""
    known = counts[(counts["label"] >= 0) & (counts["score_bin"] >= 0)]
    if model.task != "binary":
        known = known[known["decision"] >= 0]
    place = known["score_bin"].to_numpy(np.int64)
    label, w = known["label"].to_numpy(np.int64), known["w"].to_numpy(np.float64)
    event = label == 1 if model.task == "binary" else label == known["decision"].to_numpy(np.int64)
    return Scored(
        binned(place[event], w[event]), binned(place, w), binned(place, known["w2"].to_numpy(np.float64)), int(known["n"].sum())
    )  # fmt: skip


def binned(place: NDArray[np.int64], weights: Floats, size: int = BINS) -> Floats:
    """Sums by place."""
    return np.asarray(np.bincount(place, weights, size), np.float64)


def judged(rows: Scored, index: Any = None) -> Judged | None:
    """Both errors; None where no row can be wrong. index: groups of bins to use in place of their own."""
    groups = reliability(rows.positive, rows.total, rows.squares, index=index)
    ecce = cumulative_calibration_error(rows.positive, rows.total, rows.squares)
    return None if groups is None or ecce is None else Judged(rows, groups, expected_calibration_error(groups), ecce)


def trend(model: Model, counts: "DataFrame") -> list[dict[str, Any]]:
    """ECE by day, or by seven days where most days hold too few labels: period (ISO day), days, ece, low, high, null_95, n, labelled, served.

    Periods with too few labels carry no ECE. counts: with the key `period`, by day.
    """
    found = []
    for start, days, part in periods(counts):
        served, labelled = maturity(part)
        each = judged(scored(model, part)) if labelled >= MINIMUM_LABELS else None
        error = each.ece if each and each.ece.n >= MINIMUM_LABELS else None
        found.append(
            {
                "period": start.date().isoformat(), "days": days, "ece": error and error.value, "low": error and error.low,
                "high": error and error.high, "null_95": error and error.null_95, "n": error and round(error.n), "labelled": int(labelled),
                "served": int(served),
            }
        )  # fmt: skip
    return found


def periods(counts: "DataFrame") -> Iterator[tuple[Any, int, "DataFrame"]]:
    """(first day, days, rows) for each day, or for each seven days where the usual day holds too few labels."""
    if counts.empty:
        return
    day = counts["period"].dt.normalize()
    per_day = counts.loc[counts["label"] >= 0, "n"].groupby(day[counts["label"] >= 0]).sum()
    step = 1 if len(per_day) and per_day.median() >= MINIMUM_LABELS else WEEK
    first = day.min()
    start = first + ((day - first) // timedelta(days=step)) * timedelta(days=step)
    for begin, part in counts.groupby(start, sort=True):
        yield begin, step, part
