"""What would the metrics be, were the scores as good as in the reference: of the window, of each day, of any part of the counts?

Binary (CBPE): scores are calibrated on the reference, and labels are expected with those chances. Multiclass: the chance that the decided class is right,
by confidence, and the chance of each class by its own probability. Regression (DLE): stored estimates of the errors of a sample (store/query/estimates.py).
Each figure comes with the interval of what labels would show, and with the part of it that the reference's size is to blame for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Bucket, By
from observability.metrics.measured_windows import part as part_of
from observability.metrics.performance import Columns, maturity, outcome_aggregates, performance
from observability.metrics.reliability import BINS, binned, question, scored
from observability.stats.estimate import Calibrator, Estimated, binary_estimates, calibrator
from observability.stats.interval import (
    Interval,
    Moments,
    average_interval,
    f1_interval,
    mean_interval,
    rate_interval,
    rmse_interval,
)
from observability.stats.scores import SCORE_MIDDLES

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
MINIMUM_REFERENCE = 500
"""Labelled rows of the reference below which scores are not calibrated on it."""
MOST_CLASSES = 20
UNBOUNDED = ("log_loss", "mae", "rmse")


@dataclass(frozen=True)
class Figure:
    """An estimated metric: the interval of what labels would show, and the interval of the calibration alone (None where it is not known apart)."""

    interval: Interval
    calibration: Interval | None = None


Figures = dict[str, Figure]


@dataclass(frozen=True)
class Meaning:
    """What scores mean in the reference. event: chance of the event by score bin (multiclass: that the decision is right). classes: multiclass, the
    chance of each class by its own probability.
    """

    model: Model
    event: Calibrator
    classes: tuple[Calibrator | None, ...] = ()


def class_histogram(model: Model, *keys: Bucket) -> Aggregate:
    """The probability of each class by label."""
    return Aggregate("outcomes", keys=(*keys, By("label")), histogram=tuple(f"score.{k}" for k in range(len(model.classes))))


def questions(model: Model, *keys: Bucket) -> dict[str, Aggregate]:
    """What the estimates of a classifier and the measured metrics beside them need: "counts", "sums", multiclass "classes"."""
    found = {"counts": question(model, *keys), "sums": outcome_aggregates(model, *keys)["sums"]}
    if model.task == "multiclass" and len(model.classes) <= MOST_CLASSES:
        found["classes"] = class_histogram(model, *keys)
    return found


def meaning(model: Model, reference: "DataFrame", classes: "DataFrame | None") -> Meaning | None:
    """What the reference says that scores mean; None where it has too few labelled rows with a score."""
    rows = scored(model, reference)
    if rows.total.sum() ** 2 < MINIMUM_REFERENCE * max(rows.squares.sum(), 1e-300):
        return None
    event = calibrator(rows.positive, rows.total, rows.squares)
    if event is None:
        return None
    each: tuple[Calibrator | None, ...] = ()
    if model.task == "multiclass" and classes is not None:
        each = tuple(class_calibrator(classes, k) for k in range(len(model.classes)))
    return Meaning(model, event, each)


def class_calibrator(classes: "DataFrame", k: int) -> Calibrator | None:
    """The chance of class k by its own probability, from labelled rows."""
    known = classes[(classes["column"] == f"score.{k}") & (classes["label"] >= 0) & (classes["bin"] >= 0)]
    place, w = known["bin"].to_numpy(np.int64), known["w"].to_numpy(np.float64)
    own = known["label"].to_numpy(np.int64) == k
    return calibrator(binned(place[own], w[own]), binned(place, w), binned(place, known["w2"].to_numpy(np.float64)), draws=20)


def estimates(known: Meaning, counts: "DataFrame | Columns", classes: "DataFrame | None" = None) -> Figures:
    """Every metric that can be estimated of the rows behind some counts, labelled or not; empty where no row has a decision and a score."""
    usable = with_score(counts)
    if not usable["w"].sum() > 0:
        return {}
    if known.model.task == "binary":
        found = binary_estimates(dense(usable, "w"), dense(usable, "w2"), known.event)
        return {name: as_figure(name, each) for name, each in found.items()}
    return multiclass(known, usable, classes)


def with_score(counts: "DataFrame | Columns", *others: str) -> Columns:
    """The rows that have a decision and a score: both, the weights, and some other columns."""
    columns = {name: np.asarray(counts[name]) for name in ("decision", "score_bin", "w", "w2", *others)}
    return part_of(columns, (columns["decision"] >= 0) & (columns["score_bin"] >= 0))


def dense(counts: Columns, column: str, decisions: int = 2) -> Floats:
    """Rows by decision and score bin."""
    place = counts["decision"].astype(np.int64) * BINS + counts["score_bin"].astype(np.int64)
    return binned(place, counts[column].astype(np.float64), decisions * BINS).reshape(decisions, BINS)


def as_figure(name: str, each: Estimated) -> Figure:
    """Both intervals."""
    bounded = name not in UNBOUNDED
    return Figure(each.interval(bounded=bounded), each.interval(bounded=bounded, window=False))


def multiclass(known: Meaning, counts: Columns, classes: "DataFrame | None") -> Figures:
    """Accuracy and macro precision from decisions and confidences; macro recall, F1, log loss and Brier score with each class's own probability."""
    size, chances = len(known.model.classes), known.event
    rows, weights = dense(counts, "w", size), dense(counts, "w2", size)
    whole, shrink = float(rows.sum()), float(rows.sum() / weights.sum())
    right = rows @ chances.rates
    value = float(right.sum()) / whole
    shift = (chances.draws - chances.rates) @ rows.sum(axis=0) / whole
    variance = float(weights.sum(axis=0) @ (chances.rates * (1 - chances.rates))) / whole**2
    found = {"accuracy": as_figure("accuracy", Estimated(value, float(np.sqrt(variance)), float(np.std(shift)), whole))}
    decided = rows.sum(axis=1)
    parts = {k: rate_interval(float(right[k]) * shrink, float(decided[k]) * shrink) for k in range(size) if decided[k] > 0}
    found["precision"] = Figure(average_interval(list(parts.values())))
    if classes is None or any(each is None for each in known.classes) or not len(classes):
        return found
    return found | with_classes(known, classes, right, decided, shrink)


def with_classes(known: Meaning, classes: "DataFrame", right: Floats, decided: Floats, shrink: float) -> Figures:
    """The metrics that need the chance of each class. Their intervals take the rows' scores as drawn anew, so they are wider than need be."""
    values = np.clip(SCORE_MIDDLES, 1e-15, 1 - 1e-15)
    recalls, f1s, total, squares, n, n_squares = [], [], 0.0, 0.0, 0.0, 0.0
    brier, brier_spread = 0.0, 0.0
    for k, chances in enumerate(known.classes):
        held = classes[(classes["column"] == f"score.{k}") & (classes["bin"] >= 0)]
        if chances is None or not len(held):
            return {}
        rows = binned(held["bin"].to_numpy(np.int64), held["w"].to_numpy(np.float64))
        wanted = float(rows @ chances.rates)
        hits = min(float(right[k]), wanted)
        recalls.append(rate_interval(hits * shrink, wanted * shrink))
        f1s.append(f1_interval(hits * shrink, float(decided[k] - hits) * shrink, (wanted - hits) * shrink))
        total -= float(rows @ (chances.rates * np.log(values)))
        squares += float(rows @ (chances.rates * np.log(values) ** 2))
        one = chances.rates * (1 - values) ** 2 + (1 - chances.rates) * values**2
        two = chances.rates * (1 - values) ** 4 + (1 - chances.rates) * values**4
        n, n_squares = float(rows.sum()), float(held["w2"].sum())
        mean = float(rows @ one) / n
        brier, brier_spread = brier + mean, brier_spread + float(np.sqrt(max(float(rows @ two) / n - mean**2, 0.0)))
    error = brier_spread * np.sqrt(n_squares) / n
    return {
        "recall": Figure(average_interval(recalls)), "f1": Figure(average_interval(f1s)),
        "log_loss": Figure(mean_interval(Moments(n, total, squares, n_squares))),
        "brier": Figure(Interval(brier, max(brier - 1.96 * error, 0.0), brier + 1.96 * error, n)),
    }  # fmt: skip


def regression(
    rows: "DataFrame", spread: dict[str, float], served: float, *, labelled: bool = False
) -> tuple[Figures, dict[str, Interval]]:
    """Estimated MAE and RMSE of sampled rows, and the measured ones of those among them that have a label.

    spread: see `spreads`. served: rows that the sample stands for. labelled: estimate the rows with a label only. rows: the answer to EstimatedErrors.
    """
    figures: Figures = {}
    measured: dict[str, Interval] = {}
    for name, measure in REGRESSION.items():
        part = rows[rows["measure"] == measure]
        known = part[part["labelled"] == 1]
        chosen = moments(known if labelled else part, "estimated")
        if chosen.n > 0 and chosen.mean > 0:
            drawn = chosen.variance_of_mean if chosen.effective_n > 2 and not labelled else 0.0
            error = float(np.sqrt(drawn + spread.get(measure, 0.0) / max(served, chosen.effective_n)))
            figures[name] = Figure(of_mean(name, chosen.mean, error, chosen.effective_n))
        if known["w"].sum() > 0:
            truth = moments(known, "measured")
            measured[name] = mean_interval(truth) if name == "mae" else rmse_interval(truth)
    return figures, measured


REGRESSION = {"mae": "absolute_error", "rmse": "squared_error"}


def of_mean(name: str, mean: float, error: float, n: float) -> Interval:
    """MAE, or RMSE as the root of the mean squared error (by the delta method on its logarithm), with 95 % intervals."""
    if name == "mae":
        return Interval(mean, max(mean - 1.96 * error, 0.0), mean + 1.96 * error, n)
    root, half = float(np.sqrt(mean)), 1.96 * error / (2 * mean)
    return Interval(root, root * float(np.exp(-half)), root * float(np.exp(half)), n)


def spreads(reference: "DataFrame") -> dict[str, float]:
    """How far single errors lie from their estimates in the reference (variance), for each measure: so far do labels of a window scatter."""
    found = {}
    for measure in REGRESSION.values():
        known = reference[(reference["measure"] == measure) & (reference["labelled"] == 1)]
        weight = float(known["w"].sum())
        if weight > 0:
            off = float(known["estimated"].sum() - known["measured"].sum()) / weight
            found[measure] = max(float(known["difference_squares"].sum()) / weight - off**2, 0.0)
    return found


def moments(rows: "DataFrame", column: str) -> Moments:
    """Sums of one column of the answer."""
    return Moments(float(rows["w"].sum()), float(rows[column].sum()), float(rows[f"{column}_squares"].sum()), float(rows["w2"].sum()))


def by_day(known: Meaning, counts: "DataFrame", sums: "DataFrame", classes: "DataFrame | None") -> Iterator[tuple[Any, "Day"]]:
    """For each day: what is estimated of all its rows, and what its labels show."""
    of_sums = dict(iter(sums.groupby("period", sort=True))) if len(sums) else {}
    of_classes = dict(iter(classes.groupby("period", sort=True))) if classes is not None and len(classes) else {}
    for period, part in counts.groupby("period", sort=True):
        served, labelled = maturity(part)
        measured = performance(known.model, part, of_sums.get(period, sums.iloc[:0])) if labelled else {}
        yield period, Day(estimates(known, part, of_classes.get(period)), measured, served, labelled)


@dataclass(frozen=True)
class Day:
    """A day: estimated and measured metrics, rows served and labelled. same_rows: measured on the rows that were estimated, where those are a sample."""

    estimated: Figures
    measured: dict[str, Interval]
    served: float
    labelled: float
    same_rows: dict[str, Interval] | None = None


def regression_by_day(rows: "DataFrame", counts: "DataFrame", spread: dict[str, float]) -> Iterator[tuple[Any, Day]]:
    """The same of a regression, on its sample. counts: outcomes by day and label, of all rows."""
    of_rows = dict(iter(rows.groupby("period", sort=True))) if len(rows) else {}
    for period, part in counts.groupby("period", sort=True):
        served, labelled = maturity(part)
        figures, measured = regression(of_rows[period], spread, served) if period in of_rows else ({}, {})
        yield period, Day(figures, measured, served, labelled)
