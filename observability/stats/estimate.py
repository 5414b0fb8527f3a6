"""Confidence-based performance estimation (CBPE): expected metrics of a classifier on rows without labels.

Scores are calibrated on the reference (isotonic regression). The expected confusion matrix, and all metrics that follow from it, are those
of labels drawn with the calibrated probabilities. Rows come as counts by decision (two rows: 0 and 1) and score bin. Concept drift cannot
be detected this way, because the estimate assumes that scores keep their meaning.

Noise in the calibration makes scores look slightly better than they are (ROC AUC by about 0.003 at 4,000 rows of reference, 0.01 at 500),
for rows of the reference and for new rows alike. So an estimate is compared with the estimate for the reference, and neither needs
cross-fitting.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats
from observability.stats.confusion import average_ranks
from observability.stats.interval import Interval, normal_quantile, ordered_interval, rate_interval
from observability.stats.score_intervals import log_odds_interval
from observability.stats.scores import SCORE_MIDDLES

DRAWS = 100
SEED = 20190704
"""The calibration uses the same draws in each run, so that findings are reproducible."""


@dataclass(frozen=True)
class Calibrator:
    """Probability of the event in each score bin, and `draws` of it: probabilities that other references of this size would give.

    rates: one per bin, increasing. draws: DRAWS × bins. n: effective rows of the reference.
    """

    rates: Floats
    draws: Floats
    n: float


@dataclass(frozen=True)
class EstimatedMetric:
    """An estimated metric. window_error: standard error from the labels of these rows; calibration_error: from the size of the
    reference. n: rows.
    """

    value: float
    window_error: float
    calibration_error: float
    n: float

    def interval(self, *, bounded: bool, window: bool = True, confidence: float = 0.95) -> Interval:
        """The value with an interval.

        bounded: the metric lies between 0 and 1. window: include the error of the window; False for rows whose labels are compared.
        """
        error = float(np.hypot(self.window_error if window else 0.0, self.calibration_error))
        if not bounded:
            half = normal_quantile(confidence) * error
            return ordered_interval(self.value, max(self.value - half, 0.0), self.value + half, self.n)
        if 0 < self.value < 1:
            return ordered_interval(self.value, *log_odds_interval(self.value, error, confidence), self.n)
        return rate_interval(self.value * self.n, self.n, None, confidence)


def score_calibrator(
    positive: ArrayLike, total: ArrayLike, squares: ArrayLike | None = None, scores: ArrayLike | None = None, draws: int = DRAWS
) -> Calibrator | None:
    """Isotonic regression of the event on the score, from counts by score bin.

    It is linear between bins that hold rows and constant beyond them, as in scikit-learn.

    Parameters
    ----------
    positive : ArrayLike
        Σw of the rows with the event, by score bin.
    total : ArrayLike
        Σw of all rows, by score bin.
    squares : ArrayLike | None
        Σw² of the same cells; None if rows are unweighted.
    scores : ArrayLike | None
        Score of each bin; None for the middles of the fixed score bins.
    draws : int
        Draws of the calibration error.

    Returns
    -------
    Calibrator | None
        None without rows.
    """
    hits, rows = np.asarray(positive, np.float64), np.asarray(total, np.float64)
    weights = rows if squares is None else np.asarray(squares, np.float64)
    held = rows > 0
    if not held.any():
        return None
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    hits, weights, known, own = hits[held], weights[held], rows[held], values[held]
    rates = _isotonic_rows((hits / known)[None], known)
    effective = known**2 / weights
    smoothed = (rates * effective + 0.5) / (effective + 1)
    error = np.sqrt(smoothed * (1 - smoothed) / effective)
    noise = np.random.default_rng(SEED).standard_normal((draws, rows.size))[:, held] * error
    fitted = np.concatenate([rates, _isotonic_rows(np.clip(rates + noise, 0.0, 1.0), known)])
    everywhere = np.array([np.interp(values, own, each) for each in fitted])
    return Calibrator(everywhere[0], everywhere[1:], float(known.sum() ** 2 / weights.sum()))


def _isotonic_rows(shares: Floats, weights: Floats) -> Floats:
    """For each row of shares, the nearest increasing function (least squares).

    One fit serves all rows: each row is lifted by 1 above the row before it. Shares are between 0 and 1, so no row changes the fit of
    another.
    """
    from scipy.optimize import isotonic_regression

    lift = np.arange(len(shares))[:, None]
    fitted = isotonic_regression((shares + lift).ravel(), weights=np.tile(weights, len(shares)), increasing=True).x
    return np.asarray(np.clip(fitted.reshape(shares.shape) - lift, 0.0, 1.0), np.float64)


def binary_metric_estimates(
    decided: ArrayLike, squares: ArrayLike | None, chances: Calibrator, scores: ArrayLike | None = None
) -> dict[str, EstimatedMetric]:
    """Accuracy, precision, recall, F1, ROC AUC, PR AUC, log loss and Brier score expected with these probabilities.

    Errors are computed by the delta method, with each row's label drawn independently.

    Parameters
    ----------
    decided : ArrayLike
        2 × bins: Σw of the rows with decision 0 and 1, by score bin.
    squares : ArrayLike | None
        Σw² of the same cells; None if rows are unweighted.
    chances : Calibrator
        Probability of the event by score bin.
    scores : ArrayLike | None
        Score of each bin; None for the middles of the fixed score bins.

    Returns
    -------
    dict[str, EstimatedMetric]
        By metric; undefined metrics are left out.
    """
    rows = np.asarray(decided, np.float64)
    weights = rows if squares is None else np.asarray(squares, np.float64)
    positive = rows * chances.rates
    found = {name: float(value) for name, value in binary_metric_values(rows, positive, scores).items() if np.isfinite(value)}
    if not found:
        return {}
    changes = _metric_gradients(rows, positive, SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64), found)
    variance = weights * chances.rates * (1 - chances.rates)
    moved = np.std((chances.draws - chances.rates) @ np.stack([(rows * changes[name]).sum(axis=0) for name in found], axis=1), axis=0)
    return {
        name: EstimatedMetric(value, float(np.sqrt((variance * changes[name] ** 2).sum())), float(shift), float(rows.sum()))
        for (name, value), shift in zip(found.items(), moved, strict=True)
    }


def binary_metric_values(decided: ArrayLike, positive: ArrayLike, scores: ArrayLike | None = None) -> dict[str, Floats]:
    """The metrics of `binary_metric_estimates` with known (or expected) labels, without errors.

    Parameters
    ----------
    decided : ArrayLike
        2 × bins, or several such at once (days × 2 × bins): Σw of the rows by decision and score bin.
    positive : ArrayLike
        Σw of the rows with the event among them.
    scores : ArrayLike | None
        Score of each bin; None for the middles of the fixed score bins.

    Returns
    -------
    dict[str, Floats]
        One value per day; NaN if a metric is not defined.
    """
    rows, hits = np.asarray(decided, np.float64), np.asarray(positive, np.float64)
    misses = rows - hits
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    inside = np.clip(values, 1e-15, 1 - 1e-15)
    whole, wanted, chosen, found = (each.sum(axis=-1) for each in (rows.sum(axis=-1), hits.sum(axis=-1), rows[..., 1, :], hits[..., 1, :]))
    loss = -(hits @ np.log(inside) + misses @ np.log1p(-inside)).sum(axis=-1)
    squared = (hits @ (1 - values) ** 2 + misses @ values**2).sum(axis=-1)
    by_bin, others = hits.sum(axis=-2), misses.sum(axis=-2)
    return {
        "accuracy": _quotient(found + misses[..., 0, :].sum(axis=-1), whole),
        "precision": _quotient(found, chosen),
        "recall": _quotient(found, wanted),
        "f1": _quotient(2 * found, chosen + wanted),
        "roc_auc": _quotient((by_bin * average_ranks(others)).sum(axis=-1), wanted * others.sum(axis=-1)),
        "pr_auc": _quotient((by_bin * _precision_from(by_bin, others)).sum(axis=-1), np.where(others.sum(axis=-1) > 0, wanted, 0.0)),
        "log_loss": _quotient(loss, whole),
        "brier": _quotient(squared, whole),
    }


def _quotient(part: Floats, whole: Floats) -> Floats:
    """The part divided by the whole; NaN if there is no whole."""
    return np.asarray(np.where(whole > 0, part, np.nan) / np.where(whole > 0, whole, 1.0), np.float64)


def _precision_from(positive: Floats, negative: Floats) -> Floats:
    """Precision when each bin and all bins above it are decided positive; 0 if these bins hold no rows. Bins lie along the last axis."""
    found, seen = (np.cumsum(each[..., ::-1], axis=-1)[..., ::-1] for each in (positive, positive + negative))
    return np.asarray(found / np.where(seen > 0, seen, 1.0), np.float64)


def _metric_gradients(rows: Floats, positive: Floats, values: Floats, found: Mapping[str, float]) -> dict[str, Floats]:
    """Derivative of each metric in `found` with respect to the positives in each cell (decision, bin)."""
    whole, wanted, decided = float(rows.sum()), float(positive.sum()), float(rows[1].sum())
    chosen, inside = np.array([[0.0], [1.0]]), np.clip(values, 1e-15, 1 - 1e-15)
    changes: dict[str, Floats] = {
        "accuracy": (2 * chosen - 1) / whole,
        "log_loss": (np.log1p(-inside) - np.log(inside)) / whole,
        "brier": (1 - 2 * values) / whole,
    }
    if "precision" in found:
        changes["precision"] = chosen / decided
    if "recall" in found:
        changes["recall"] = (chosen - found["recall"]) / wanted
    if "f1" in found:
        changes["f1"] = (2 * chosen - found["f1"]) / (decided + wanted)
    if "roc_auc" in found:
        by_bin, others = positive.sum(axis=0), (rows - positive).sum(axis=0)
        seen = np.cumsum((by_bin + others)[::-1])[::-1]
        above, alike = wanted - average_ranks(by_bin), found["roc_auc"] * (others.sum() - wanted)
        changes["roc_auc"] = (average_ranks(others) - above - alike) / (wanted * others.sum())
        later = np.cumsum(by_bin / np.where(seen > 0, seen, 1.0))
        changes["pr_auc"] = (_precision_from(by_bin, others) + later - found["pr_auc"]) / wanted
    return changes
