"""Performance that is expected without labels, assuming that scores mean the same as in the reference.

Binary (CBPE): scores are calibrated on the reference, and labels are expected with the calibrated probabilities. Multiclass: the
probability that the decided class is right, from the confidence, and the probability of each class, from its own score. Regression (DLE):
stored estimates of the errors in a sample (store/query/estimates.py). Each estimate has the interval in which the value measured from
labels would lie, and the part of this interval that is due to the size of the reference.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Bucket, By
from observability.metrics.measured_windows import kept_answer_rows as part_of
from observability.metrics.performance import Columns, outcome_aggregates, performance_metrics, served_and_labelled
from observability.metrics.reliability import BINS, score_question, scored_rows, sum_by_score_bin
from observability.stats.estimate import Calibrator, EstimatedMetric, binary_metric_estimates, score_calibrator
from observability.stats.interval import Interval, Moments, mean_interval, rate_interval
from observability.stats.score_intervals import f1_interval, macro_average_interval, rmse_interval
from observability.stats.scores import SCORE_MIDDLES

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
MINIMUM_REFERENCE = 500
"""Minimum number of labelled reference rows for a calibration of the scores."""
MAX_CLASSES = 20
UNBOUNDED = ("log_loss", "mae", "rmse")


@dataclass(frozen=True)
class MetricEstimate:
    """An estimated metric: the interval in which the value measured from labels would lie, and the interval from calibration alone (None if
    it is not known separately).
    """

    interval: Interval
    calibration: Interval | None = None


MetricEstimates = dict[str, MetricEstimate]


@dataclass(frozen=True)
class ScoreCalibration:
    """Calibration of the scores on the reference.

    event: probability of the event by score bin; for a multiclass model the event is that the decision is right. classes: for a multiclass
    model, the probability of each class by its own score.
    """

    model: Model
    event: Calibrator
    classes: tuple[Calibrator | None, ...] = ()


def _class_histogram(model: Model, *keys: Bucket) -> Aggregate:
    """The query for the score of each class by label."""
    return Aggregate("outcomes", keys=(*keys, By("label")), histogram=tuple(f"score.{k}" for k in range(len(model.classes))))


def estimate_questions(model: Model, *keys: Bucket) -> dict[str, Aggregate]:
    """The queries for the estimates of a classifier and for its measured metrics: "counts", "sums" and, for a multiclass
    model, "classes".
    """
    found = {"counts": score_question(model, *keys), "sums": outcome_aggregates(model, *keys)["sums"]}
    if model.task == "multiclass" and len(model.classes) <= MAX_CLASSES:
        found["classes"] = _class_histogram(model, *keys)
    return found


def score_calibration(model: Model, reference: "DataFrame", classes: "DataFrame | None") -> ScoreCalibration | None:
    """Calibration of the scores on the reference.

    Parameters
    ----------
    model : Model
        Model.
    reference : DataFrame
        Counts of the reference by label and score bin.
    classes : DataFrame | None
        Answer "classes" of the reference; None for a binary model.

    Returns
    -------
    ScoreCalibration | None
        None if the reference has too few labelled rows with a score.
    """
    rows = scored_rows(model, reference)
    if rows.total.sum() ** 2 < MINIMUM_REFERENCE * max(rows.squares.sum(), 1e-300):
        return None
    event = score_calibrator(rows.positive, rows.total, rows.squares)
    if event is None:
        return None
    each: tuple[Calibrator | None, ...] = ()
    if model.task == "multiclass" and classes is not None:
        each = tuple(_class_calibrator(classes, k) for k in range(len(model.classes)))
    return ScoreCalibration(model, event, each)


def _class_calibrator(classes: "DataFrame", k: int) -> Calibrator | None:
    """The probability of class k by its own score, from labelled rows; None if it cannot be calibrated."""
    known = classes[(classes["column"] == f"score.{k}") & (classes["label"] >= 0) & (classes["bin"] >= 0)]
    place, w = known["bin"].to_numpy(np.int64), known["w"].to_numpy(np.float64)
    own = known["label"].to_numpy(np.int64) == k
    return score_calibrator(
        sum_by_score_bin(place[own], w[own]),
        sum_by_score_bin(place, w),
        sum_by_score_bin(place, known["w2"].to_numpy(np.float64)),
        draws=20,
    )


def estimate_metrics(known: ScoreCalibration, counts: "DataFrame | Columns", classes: "DataFrame | None" = None) -> MetricEstimates:
    """Every metric that can be estimated for the rows (labelled or not) that some counts summarise.

    Parameters
    ----------
    known : ScoreCalibration
        Calibration of the scores.
    counts : DataFrame | Columns
        Counts by decision and score bin.
    classes : DataFrame | None
        Answer "classes"; None if it was not queried.

    Returns
    -------
    MetricEstimates
        Empty if no row has a decision and a score.
    """
    usable = columns_with_score(counts)
    if not usable["w"].sum() > 0:
        return {}
    if known.model.task == "binary":
        found = binary_metric_estimates(_by_decision_and_bin(usable, "w"), _by_decision_and_bin(usable, "w2"), known.event)
        return {name: _metric_estimate(name, each) for name, each in found.items()}
    return _multiclass_estimates(known, usable, classes)


def columns_with_score(counts: "DataFrame | Columns", *others: str) -> Columns:
    """The counts restricted to rows with a decision and a score: decision, score bin, weights, and some other columns."""
    columns = {name: np.asarray(counts[name]) for name in ("decision", "score_bin", "w", "w2", *others)}
    return part_of(columns, (columns["decision"] >= 0) & (columns["score_bin"] >= 0))


def _by_decision_and_bin(counts: Columns, column: str, decisions: int = 2) -> Floats:
    """Rows by decision and score bin."""
    place = counts["decision"].astype(np.int64) * BINS + counts["score_bin"].astype(np.int64)
    return sum_by_score_bin(place, counts[column].astype(np.float64), decisions * BINS).reshape(decisions, BINS)


def _metric_estimate(name: str, each: EstimatedMetric) -> MetricEstimate:
    """The estimate of a metric with two intervals: with and without the sampling noise of the window."""
    bounded = name not in UNBOUNDED
    return MetricEstimate(each.interval(bounded=bounded), each.interval(bounded=bounded, window=False))


LABEL_POWER = 0.9
"""Power: the probability with which the computed number of labels reveals a fall of the given size."""


def labels_to_settle(metric: str, now: MetricEstimate, baseline: float | None, fall: float) -> int | None:
    """Number of labels needed to show a fall of a metric: two-sided test at 5 % against a known baseline, with power LABEL_POWER.

    Parameters
    ----------
    metric : str
        Metric.
    now : MetricEstimate
        Its estimate, which gives the baseline if there is none, and how much single rows vary.
    baseline : float | None
        Value before the fall, as estimated of the reference.
    fall : float
        Fall to find, in the metric's unit.

    Returns
    -------
    int | None
        None if it is not known how much single rows vary.
    """
    from scipy.special import ndtri

    before = now.interval.value if baseline is None else baseline
    if before is None or not fall > 0:
        return None
    after = max(before - fall, 0.0)
    rates = [before * (1 - before), after * (1 - after)] if metric == "accuracy" else [_row_variance(now)] * 2
    spread = float(ndtri(0.975)) * np.sqrt(rates[0]) + float(ndtri(LABEL_POWER)) * np.sqrt(rates[1])
    return int(np.ceil((spread / fall) ** 2)) if np.isfinite(spread) and spread > 0 else None


def _row_variance(now: MetricEstimate) -> float:
    """Variance of a metric for one row, from the part of the interval that is not due to the calibration; NaN if unknown."""
    whole, calibration = _half_width(now.interval), _half_width(now.calibration) if now.calibration else 0.0
    variance = (whole**2 - calibration**2) / 1.96**2 * now.interval.n
    return variance if variance > 0 else float("nan")


def _half_width(interval: Interval) -> float:
    """Half of the width of an interval; NaN if unknown."""
    return float("nan") if interval.low is None or interval.high is None else (interval.high - interval.low) / 2


def _multiclass_estimates(known: ScoreCalibration, counts: Columns, classes: "DataFrame | None") -> MetricEstimates:
    """Accuracy and macro precision from decisions and confidences; macro recall, F1, log loss and Brier score with each class's own
    score.
    """
    size, chances = len(known.model.classes), known.event
    rows, weights = _by_decision_and_bin(counts, "w", size), _by_decision_and_bin(counts, "w2", size)
    whole, shrink = float(rows.sum()), float(rows.sum() / weights.sum())
    right = rows @ chances.rates
    value = float(right.sum()) / whole
    shift = (chances.draws - chances.rates) @ rows.sum(axis=0) / whole
    variance = float(weights.sum(axis=0) @ (chances.rates * (1 - chances.rates))) / whole**2
    found = {"accuracy": _metric_estimate("accuracy", EstimatedMetric(value, float(np.sqrt(variance)), float(np.std(shift)), whole))}
    decided = rows.sum(axis=1)
    parts = {k: rate_interval(float(right[k]) * shrink, float(decided[k]) * shrink) for k in range(size) if decided[k] > 0}
    found["precision"] = MetricEstimate(macro_average_interval(list(parts.values())))
    if classes is None or any(calibrator is None for calibrator in known.classes) or not len(classes):
        return found
    return found | _class_estimates(known, classes, right, decided, shrink)


def _class_estimates(known: ScoreCalibration, classes: "DataFrame", right: Floats, decided: Floats, shrink: float) -> MetricEstimates:
    """Metrics that need the probability of each class. Their intervals treat the rows' scores as random, so they are wider than
    necessary.
    """
    values = np.clip(SCORE_MIDDLES, 1e-15, 1 - 1e-15)
    recalls, f1s, total, squares, n, n_squares = [], [], 0.0, 0.0, 0.0, 0.0
    brier, brier_spread = 0.0, 0.0
    for k, chances in enumerate(known.classes):
        held = classes[(classes["column"] == f"score.{k}") & (classes["bin"] >= 0)]
        if chances is None or not len(held):
            return {}
        rows = sum_by_score_bin(held["bin"].to_numpy(np.int64), held["w"].to_numpy(np.float64))
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
        "recall": MetricEstimate(macro_average_interval(recalls)),
        "f1": MetricEstimate(macro_average_interval(f1s)),
        "log_loss": MetricEstimate(mean_interval(Moments(n, total, squares, n_squares))),
        "brier": MetricEstimate(Interval(brier, max(brier - 1.96 * error, 0.0), brier + 1.96 * error, n)),
    }


def estimate_regression(
    rows: "DataFrame", spread: dict[str, float], served: float, *, labelled: bool = False
) -> tuple[MetricEstimates, dict[str, Interval]]:
    """Estimated MAE and RMSE of sampled rows, and the measured values for those of them that have labels.

    Parameters
    ----------
    rows : DataFrame
        Answer to EstimatedErrors.
    spread : dict[str, float]
        Result of `error_variances`.
    served : float
        Rows that the sample stands for.
    labelled : bool
        Estimate the labelled rows only.

    Returns
    -------
    tuple[MetricEstimates, dict[str, Interval]]
        (estimates, measured metrics).
    """
    figures: MetricEstimates = {}
    measured: dict[str, Interval] = {}
    for name, measure in REGRESSION.items():
        part = rows[rows["measure"] == measure]
        known = part[part["labelled"] == 1]
        chosen = _estimate_moments(known if labelled else part, "estimated")
        if chosen.n > 0 and chosen.mean > 0:
            drawn = chosen.variance_of_mean if chosen.effective_n > 2 and not labelled else 0.0
            error = float(np.sqrt(drawn + spread.get(measure, 0.0) / max(served, chosen.effective_n)))
            figures[name] = MetricEstimate(_error_interval(name, chosen.mean, error, chosen.effective_n))
        if known["w"].sum() > 0:
            truth = _estimate_moments(known, "measured")
            measured[name] = mean_interval(truth) if name == "mae" else rmse_interval(truth)
    return figures, measured


REGRESSION = {"mae": "absolute_error", "rmse": "squared_error"}


def _error_interval(name: str, mean: float, error: float, n: float) -> Interval:
    """MAE, or RMSE as the root of the mean squared error (delta method on its logarithm), with 95 % intervals."""
    if name == "mae":
        return Interval(mean, max(mean - 1.96 * error, 0.0), mean + 1.96 * error, n)
    root, half = float(np.sqrt(mean)), 1.96 * error / (2 * mean)
    return Interval(root, root * float(np.exp(-half)), root * float(np.exp(half)), n)


def error_variances(reference: "DataFrame") -> dict[str, float]:
    """For each measure, the variance of single errors around their estimates in the reference. It tells how much the labels of a window
    will scatter.

    Parameters
    ----------
    reference : DataFrame
        Answer to EstimatedErrors on the reference.

    Returns
    -------
    dict[str, float]
    """
    found = {}
    for measure in REGRESSION.values():
        known = reference[(reference["measure"] == measure) & (reference["labelled"] == 1)]
        weight = float(known["w"].sum())
        if weight > 0:
            off = float(known["estimated"].sum() - known["measured"].sum()) / weight
            found[measure] = max(float(known["difference_squares"].sum()) / weight - off**2, 0.0)
    return found


def _estimate_moments(rows: "DataFrame", column: str) -> Moments:
    """Sums of one column of the query result."""
    return Moments(float(rows["w"].sum()), float(rows[column].sum()), float(rows[f"{column}_squares"].sum()), float(rows["w2"].sum()))


def estimates_by_day(
    known: ScoreCalibration, counts: "DataFrame", sums: "DataFrame", classes: "DataFrame | None"
) -> Iterator[tuple[Any, "EstimatedDay"]]:
    """Estimated and measured metrics of each day.

    Parameters
    ----------
    known : ScoreCalibration
        Calibration of the scores.
    counts : DataFrame
        Answer "counts" by day.
    sums : DataFrame
        Answer "sums" by day.
    classes : DataFrame | None
        Answer "classes" by day.

    Returns
    -------
    Iterator[tuple[Any, EstimatedDay]]
        (period, day).
    """
    of_sums = dict(iter(sums.groupby("period", sort=True))) if len(sums) else {}
    of_classes = dict(iter(classes.groupby("period", sort=True))) if classes is not None and len(classes) else {}
    for period, part in counts.groupby("period", sort=True):
        served, labelled = served_and_labelled(part)
        measured = performance_metrics(known.model, part, of_sums.get(period, sums.iloc[:0])) if labelled else {}
        yield period, EstimatedDay(estimate_metrics(known, part, of_classes.get(period)), measured, served, labelled)


@dataclass(frozen=True)
class EstimatedDay:
    """Estimated and measured metrics of a day, and the numbers of rows served and labelled.

    same_rows: the metrics measured on exactly the estimated rows, if these are a sample.
    """

    estimated: MetricEstimates
    measured: dict[str, Interval]
    served: float
    labelled: float
    same_rows: dict[str, Interval] | None = None


def regression_by_day(rows: "DataFrame", counts: "DataFrame", spread: dict[str, float]) -> Iterator[tuple[Any, EstimatedDay]]:
    """Estimated and measured metrics of each day of a regression, on its sample.

    Parameters
    ----------
    rows : DataFrame
        Answer to EstimatedErrors by day.
    counts : DataFrame
        Outcomes by day and label, of all rows.
    spread : dict[str, float]
        Result of `error_variances`.

    Returns
    -------
    Iterator[tuple[Any, EstimatedDay]]
        (period, day).
    """
    of_rows = dict(iter(rows.groupby("period", sort=True))) if len(rows) else {}
    for period, part in counts.groupby("period", sort=True):
        served, labelled = served_and_labelled(part)
        figures, measured = estimate_regression(of_rows[period], spread, served) if period in of_rows else ({}, {})
        yield period, EstimatedDay(figures, measured, served, labelled)
