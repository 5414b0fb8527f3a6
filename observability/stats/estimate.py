"""How well would a classifier do on rows without labels, if its scores still meant what they meant in the reference?

Confidence-based performance estimation (CBPE): scores are calibrated on the reference (isotonic regression); the expected confusion matrix, and all
that follows from it, is that of labels drawn with those probabilities. Rows come as counts by decision (two rows: 0 and 1) and score bin. A change
in what a score means (concept drift) cannot be seen this way: the estimate then says what would have been.

Noise in the calibration lets scores look a little better than they are (ROC AUC by about 0.003 at 4,000 rows of reference, 0.01 at 500). It does so
alike for rows of the reference and for new ones, so an estimate is compared with the estimate of the reference, and both need no cross-fitting.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.confusion import average_ranks
from observability.stats.interval import Interval, interval, log_odds_interval, normal_quantile, rate_interval
from observability.stats.scores import SCORE_MIDDLES

Floats = NDArray[np.float64]
DRAWS = 100
SEED = 20190704
"""The draws of the calibration are the same in each run, so that a finding repeats."""


@dataclass(frozen=True)
class Calibrator:
    """What scores mean: the chance of the event in each score bin, and `draws` of it as other references of this size would have given it.

    rates: one a bin, rising. draws: DRAWS × bins. n: effective rows of the reference.
    """

    rates: Floats
    draws: Floats
    n: float


@dataclass(frozen=True)
class Estimated:
    """An estimated metric. window_error: standard error from the labels that these rows may have; calibration_error: from the reference's size.

    n: rows.
    """

    value: float
    window_error: float
    calibration_error: float
    n: float

    def interval(self, *, bounded: bool, window: bool = True, confidence: float = 0.95) -> Interval:
        """The value with an interval. bounded: it lies between 0 and 1. window False: of the calibration alone, for rows whose labels are held beside."""
        error = float(np.hypot(self.window_error if window else 0.0, self.calibration_error))
        if not bounded:
            half = normal_quantile(confidence) * error
            return interval(self.value, max(self.value - half, 0.0), self.value + half, self.n)
        if 0 < self.value < 1:
            return interval(self.value, *log_odds_interval(self.value, error, confidence), self.n)
        return rate_interval(self.value * self.n, self.n, None, confidence)


def calibrator(
    positive: ArrayLike, total: ArrayLike, squares: ArrayLike | None = None, scores: ArrayLike | None = None, draws: int = DRAWS
) -> Calibrator | None:
    """Isotonic regression of the event on the score, from counts by score bin; None without rows.

    Between bins that hold rows it is linear, beyond them level, as scikit-learn's. positive: Σw with the event; total: Σw; squares: Σw².
    """
    hits, rows = np.asarray(positive, np.float64), np.asarray(total, np.float64)
    weights = rows if squares is None else np.asarray(squares, np.float64)
    held = rows > 0
    if not held.any():
        return None
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    rates = isotonic(hits, rows, values)
    effective = rows[held] ** 2 / weights[held]
    smoothed = (rates[held] * effective + 0.5) / (effective + 1)
    error = np.sqrt(smoothed * (1 - smoothed) / effective)
    noise = np.random.default_rng(SEED).standard_normal((draws, rows.size))[:, held] * error
    drawn = np.empty((draws, rows.size))
    again = np.zeros(rows.size)
    for place, one in enumerate(noise):
        again[held] = np.clip(rates[held] + one, 0.0, 1.0) * rows[held]
        drawn[place] = isotonic(again, rows, values)
    return Calibrator(rates, drawn, float(rows.sum() ** 2 / weights.sum()))


def isotonic(positive: Floats, total: Floats, values: Floats) -> Floats:
    """The rising chance of the event in each bin that is nearest to the counts (least squares)."""
    from scipy.optimize import isotonic_regression

    held = total > 0
    fitted = isotonic_regression(positive[held] / total[held], weights=total[held], increasing=True).x
    return np.asarray(np.interp(values, values[held], np.clip(fitted, 0.0, 1.0)), np.float64)


def binary_estimates(
    decided: ArrayLike, squares: ArrayLike | None, chances: Calibrator, scores: ArrayLike | None = None
) -> dict[str, Estimated]:
    """Accuracy, precision, recall, F1, ROC AUC, PR AUC, log loss and Brier score that the labels of these rows would show, were the chances true.

    decided: 2 × bins, Σw of the rows that were decided 0 and 1, by score bin. squares: Σw². A metric that is not defined is left out. Errors are by
    the delta method: each row's label is drawn on its own.
    """
    rows = np.asarray(decided, np.float64)
    weights = rows if squares is None else np.asarray(squares, np.float64)
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    found = {}
    shift = chances.draws - chances.rates
    variance = weights * chances.rates * (1 - chances.rates)
    for name, (value, gradient) in gradients(rows, rows * chances.rates, values).items():
        moved = shift @ (rows * gradient).sum(axis=0)
        found[name] = Estimated(value, float(np.sqrt((variance * gradient**2).sum())), float(np.std(moved)), float(rows.sum()))
    return found


def binary_values(decided: ArrayLike, positive: ArrayLike, scores: ArrayLike | None = None) -> dict[str, float]:
    """The same metrics with known (or expected) labels, without errors. positive: 2 × bins, Σw of the rows with the event among `decided`."""
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    found = gradients(np.asarray(decided, np.float64), np.asarray(positive, np.float64), values)
    return {name: value for name, (value, _) in found.items()}


def gradients(rows: Floats, positive: Floats, values: Floats) -> dict[str, tuple[float, Floats]]:
    """Each metric with these labels, and how it changes with one more positive in each cell (decision, bin)."""
    whole = float(rows.sum())
    if not whole > 0:
        return {}
    sign = np.array([[-1.0], [1.0]])
    chosen = np.array([[0.0], [1.0]])
    hits, decided, wanted = float(positive[1].sum()), float(rows[1].sum()), float(positive.sum())
    ones = np.ones_like(rows)
    right = hits + float((rows[0] - positive[0]).sum())
    found: dict[str, tuple[float, Floats]] = {"accuracy": (right / whole, sign * ones / whole)}
    if decided > 0:
        found["precision"] = (hits / decided, chosen * ones / decided)
    if wanted > 0:
        found["recall"] = (hits / wanted, (chosen - hits / wanted) * ones / wanted)
    if decided + wanted > 0:
        found["f1"] = (2 * hits / (decided + wanted), (2 * chosen - 2 * hits / (decided + wanted)) * ones / (decided + wanted))
    found |= ranking(positive.sum(axis=0), (rows - positive).sum(axis=0))
    inside = np.clip(values, 1e-15, 1 - 1e-15)
    loss = -(positive * np.log(inside) + (rows - positive) * np.log1p(-inside))
    found["log_loss"] = (float(loss.sum()) / whole, np.log1p(-inside) * ones / whole - np.log(inside) * ones / whole)
    squared = positive * (1 - values) ** 2 + (rows - positive) * values**2
    found["brier"] = (float(squared.sum()) / whole, (1 - 2 * values) * ones / whole)
    return found


def ranking(positive: Floats, negative: Floats) -> dict[str, tuple[float, Floats]]:
    """ROC AUC and PR AUC from expected counts by bin, with their gradients; nothing where a class is empty."""
    wanted, others = float(positive.sum()), float(negative.sum())
    if not (wanted > 0 and others > 0):
        return {}
    auc = float(positive @ average_ranks(negative)) / (wanted * others)
    above = wanted - average_ranks(positive)
    of_auc = (average_ranks(negative) - above - auc * (others - wanted)) / (wanted * others)
    found, seen = np.cumsum(positive[::-1])[::-1], np.cumsum((positive + negative)[::-1])[::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, found / seen, 0.0)
        later = np.where(seen > 0, positive / seen, 0.0)
    value = float(positive @ precision) / wanted
    of_precision = (precision + np.cumsum(later) - value) / wanted
    return {"roc_auc": (auc, of_auc[None, :]), "pr_auc": (value, of_precision[None, :])}
