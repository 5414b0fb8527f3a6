"""Calibration of scores: reliability curve, expected and cumulative calibration error with their null distributions, calibration line.

Rows come as counts by score bin: positive = Σw of the rows with the event, total = Σw, squares = Σw² (None: unweighted), scores = the
score of each bin (its middle, stats/scores.py). A row's score is known up to half a bin, at most 1/400, so every figure is within 1/400 of
that of the raw scores. The expected calibration error (ECE) of a perfectly calibrated model is above zero (about 0.1 at 100 rows), so it
is compared with its null and never with zero. The cumulative error (ECCE) needs no groups and has a p-value.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, ndtr, stdtrit

from observability.stats.arrays import Floats, Integers
from observability.stats.difference_intervals import decreasing_root
from observability.stats.group import rate_intervals
from observability.stats.scores import SCORE_MIDDLES

Places = Integers
GROUPS = 10
MIN_IN_A_GROUP = 25
DRAWS = 4000
SEED = 20130612
"""The null distribution uses the same draws in each run, so that findings are reproducible."""
MIN_CLUSTERS = 5
MIN_INFORMATION = 5.0
"""Groups with a smaller Σ p (1 - p) are merged with their neighbour before they are tested."""


@dataclass(frozen=True)
class Reliability:
    """Rows in groups of about equal mass, in order of their scores. Arrays hold one entry per group; `index` is the group of each bin.

    score: mean score. rate: share of positives, with low and high (Wilson, 95 %). n: Σw. effective: effective rows. variance: variance of
    rate - score under perfect calibration. first, last: score bins at the ends of each group.
    """

    score: Floats
    rate: Floats
    low: Floats
    high: Floats
    n: Floats
    effective: Floats
    variance: Floats
    index: Places
    first: Places
    last: Places

    @cached_property
    def deviation(self) -> Floats:
        """Share of positives minus mean score; 0 if a group has no rows."""
        return np.nan_to_num(self.rate - self.score)

    @cached_property
    def share(self) -> Floats:
        """Share of all rows in each group."""
        return self.n / max(float(self.n.sum()), 1e-300)


@dataclass(frozen=True)
class CalibrationError:
    """A calibration error, and its distribution for a perfectly calibrated model with the same number of rows.

    value, low, high: the error with a conservative 95 % interval. null_mean, null_95: mean and 95 % quantile under perfect calibration.
    p_value: share of perfectly calibrated models with an error as large (ECE: by simulation, not below 1 / 4001). n: effective rows.
    start, end: bins between which the ECCE accumulates; gap: share of positives minus mean score between them; held: share of the rows
    between them. start and end are None for the ECE.
    """

    value: float
    low: float
    high: float
    null_mean: float
    null_95: float
    p_value: float
    n: float
    start: int | None = None
    end: int | None = None
    gap: float | None = None
    held: float | None = None

    @property
    def excess(self) -> float:
        """Error above the mean of a perfectly calibrated model."""
        return self.value - self.null_mean


def reliability_curve(
    positive: ArrayLike,
    total: ArrayLike,
    squares: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    *,
    groups: int = GROUPS,
    index: ArrayLike | None = None,
) -> Reliability | None:
    """Share of positives against score, in groups of equal mass; fewer than `groups` if rows are few or are in few bins.

    Parameters
    ----------
    positive : ArrayLike
        Σw of the rows with the event, by score bin.
    total : ArrayLike
        Σw of all rows, by score bin.
    squares : ArrayLike | None
        Σw² of all rows, by score bin; None if they are unweighted.
    scores : ArrayLike | None
        Score of each bin; None for the middles of the fixed score bins.
    groups : int
        Largest number of groups.
    index : ArrayLike | None
        Group of each bin, if the groups are given.

    Returns
    -------
    Reliability | None
        None without rows.
    """
    hits, rows, weights = _count_arrays(positive, total, squares)
    if not rows.sum() > 0:
        return None
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    if index is None:
        effective = float(rows.sum() ** 2 / weights.sum())
        place = equal_mass_groups(rows, int(np.clip(effective // MIN_IN_A_GROUP, 1, groups)))
    else:
        place = np.asarray(index, np.int64)
    size = int(place.max()) + 1
    n, y, s, w2, variance = (
        np.asarray(np.bincount(place, each, size), np.float64)
        for each in (rows, hits, rows * values, weights, weights * values * (1 - values))
    )
    rate, low, high = rate_intervals(y, n, w2)
    held = n > 0
    one = np.where(held, n, 1.0)
    first, last = _group_bounds(place, rows, size)
    return Reliability(
        score=np.where(held, s / one, np.nan),
        rate=rate,
        low=low,
        high=high,
        n=n,
        effective=n**2 / np.where(w2 > 0, w2, 1.0),
        variance=variance / one**2,
        index=place,
        first=first,
        last=last,
    )


def _count_arrays(positive: ArrayLike, total: ArrayLike, squares: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """The three counts as arrays."""
    rows = np.asarray(total, np.float64)
    return np.asarray(positive, np.float64), rows, rows if squares is None else np.asarray(squares, np.float64)


def equal_mass_groups(total: Floats, groups: int) -> Places:
    """Group of each bin, from 0 without gaps, so that groups hold about the same mass; a bin is never split.

    Parameters
    ----------
    total : Floats
        Mass of each bin.
    groups : int
        Largest number of groups.

    Returns
    -------
    Places
    """
    middle = np.cumsum(total) - total / 2
    place = np.minimum((middle / total.sum() * groups).astype(np.int64), groups - 1)
    used = np.unique(place[total > 0])
    return np.clip(np.searchsorted(used, place), 0, used.size - 1).astype(np.int64)


def _group_bounds(place: Places, rows: Floats, groups: int) -> tuple[Places, Places]:
    """First and last bin with rows in each group; for a group without rows, the first and last of all its bins."""
    bins, held = np.arange(place.size), rows > 0
    first, last = np.full(groups, place.size), np.full(groups, -1)
    for some in (held, ~held & (np.bincount(place[held], minlength=groups)[place] == 0)):
        np.minimum.at(first, place[some], bins[some])
        np.maximum.at(last, place[some], bins[some])
    return np.where(last < 0, 0, first), np.maximum(last, 0)


def expected_calibration_error(found: Reliability) -> CalibrationError:
    """Expected calibration error on the groups: Σ share × |share of positives - mean score|.

    Under perfect calibration the deviations of the groups are independent and about normal with known variance, from which the null
    distribution follows. The interval adds and subtracts the 95 % quantile of the noise alone, since |ECE - true ECE| is at most the ECE
    of the noise. Its coverage is therefore at least 95 %.

    Parameters
    ----------
    found : Reliability
        Reliability curve.

    Returns
    -------
    CalibrationError

    References
    ----------
    * Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian binning.
    """
    share = found.share
    value = float(share @ np.abs(found.deviation))
    spread = share * np.sqrt(found.variance)
    drawn = np.stack([spread, share * np.sqrt(_rate_variance(found))]) @ _absolute_normal_draws(spread.size)
    null_95, noise = (float(each) for each in np.quantile(drawn, 0.95, axis=1))
    return CalibrationError(
        value=value,
        low=max(value - noise, 0.0),
        high=min(value + noise, 1.0),
        null_mean=float(np.sqrt(2 / np.pi) * spread.sum()),
        null_95=null_95,
        p_value=float((1 + np.count_nonzero(drawn[0] >= value)) / (1 + DRAWS)),
        n=float(found.effective.sum()),
    )


@lru_cache(maxsize=32)
def _absolute_normal_draws(size: int) -> Floats:
    """Absolute values of size × DRAWS standard normal numbers, the same in each run; read-only."""
    drawn = np.abs(np.random.default_rng([SEED, size]).standard_normal((DRAWS, size)).T.copy())
    drawn.flags.writeable = False
    return drawn


def cumulative_calibration_error(
    positive: ArrayLike, total: ArrayLike, squares: ArrayLike | None = None, scores: ArrayLike | None = None
) -> CalibrationError | None:
    """ECCE-R: range of the cumulative differences between labels and scores, in order of the score (Kuiper statistic).

    It is the largest |Σw (label - score)| / Σw over any interval of scores. Under perfect calibration the cumulative differences are
    a Brownian motion, whose range has a known distribution.

    Parameters
    ----------
    positive : ArrayLike
        Σw of the rows with the event, by score bin.
    total : ArrayLike
        Σw of all rows, by score bin.
    squares : ArrayLike | None
        Σw² of all rows, by score bin; None if they are unweighted.
    scores : ArrayLike | None
        Score of each bin; None for the middles of the fixed score bins.

    Returns
    -------
    CalibrationError | None
        None if no row can be wrong (no rows, or every score 0 or 1).

    References
    ----------
    * Arrieta-Ibarra, Gujral, Tannen, Tygert and Xu (2022), Metrics of calibration for probabilistic predictions.
    * Feller (1951), The asymptotic distribution of the range of sums of independent random variables.
    """
    hits, rows, weights = _count_arrays(positive, total, squares)
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    whole = float(rows.sum())
    if not whole > 0:
        return None
    scale = float(np.sqrt((weights * values * (1 - values)).sum())) / whole
    if not scale > 0:
        return None
    path = np.concatenate([[0.0], np.cumsum(hits - rows * values) / whole])
    low, high = int(path.argmin()), int(path.argmax())
    start, end = sorted((low, high))
    value = float(path[high] - path[low])
    rates = (hits + values) / (rows + 1)
    noise = BROWNIAN_95 * float(np.sqrt((weights * rates * (1 - rates)).sum())) / whole
    between = float(rows[start:end].sum())
    return CalibrationError(
        value=value,
        low=max(value - noise, 0.0),
        high=value + noise,
        null_mean=float(2 * np.sqrt(2 / np.pi)) * scale,
        null_95=BROWNIAN_95 * scale,
        p_value=brownian_range_p_value(value / scale),
        n=whole**2 / float(weights.sum()),
        start=start,
        end=max(end - 1, start),
        gap=float(path[end] - path[start]) * whole / between if between > 0 else 0.0,
        held=between / whole,
    )


def brownian_range_p_value(x: float) -> float:
    """Probability that the range of a standard Brownian motion on [0, 1] exceeds x: 8 Σ (-1)^(k-1) k Φ(-k x), over k from 1.

    Parameters
    ----------
    x : float
        Range.

    Returns
    -------
    float

    References
    ----------
    * Feller (1951), The asymptotic distribution of the range of sums of independent random variables.
    """
    if x < 0.45:
        return 1.0
    k = np.arange(1, int(40 / x) + 2)
    return float(np.clip(8 * np.sum(np.where(k % 2 == 1, 1.0, -1.0) * k * ndtr(-k * x)), 0.0, 1.0))


BROWNIAN_95 = decreasing_root(brownian_range_p_value, 0.05, 0.5, 10.0)
"""95 % quantile of the range of a Brownian motion: 2.498."""


def calibration_change_p_value(now: Reliability, before: Reliability) -> float:
    """P-value of the hypothesis that two samples have equal deviations in every group (χ² over the groups).

    A group with few events is merged with the next one.

    Parameters
    ----------
    now : Reliability
        Reliability curve now.
    before : Reliability
        Reliability curve before, on the same groups (`reliability_curve(..., index=now.index)`).

    Returns
    -------
    float
        1 if no group is left.
    """
    variance = [_rate_variance(side) for side in (now, before)]
    known = (now.effective > 0) & (before.effective > 0)
    total, groups = 0.0, 0
    difference = spread = information = weight = 0.0
    for place in np.flatnonzero(known):
        share = now.share[place]
        difference += share * (now.deviation[place] - before.deviation[place])
        spread += share**2 * (variance[0][place] + variance[1][place])
        information += min(side.effective[place] ** 2 * part[place] for side, part in zip((now, before), variance))
        weight += share
        if information >= MIN_INFORMATION and spread > 0:
            total, groups = total + difference**2 / spread, groups + 1
            difference = spread = information = weight = 0.0
    return float(chdtrc(groups, total)) if groups else 1.0


def calibration_error_change_p_value(now: Reliability, before: Reliability) -> float:
    """P-value of the hypothesis that two independent samples have equal expected calibration errors.

    Each error is treated as a sum of deviations with known signs, so the test is approximate if deviations are near 0.

    Parameters
    ----------
    now : Reliability
        Reliability curve now.
    before : Reliability
        Reliability curve before; its groups may be others.

    Returns
    -------
    float
        1 if neither sample has an error.
    """
    sides = [(float(side.share @ np.abs(side.deviation)), float(side.share**2 @ _rate_variance(side))) for side in (now, before)]
    error = float(np.sqrt(sides[0][1] + sides[1][1]))
    return float(2 * ndtr(-abs(sides[0][0] - sides[1][0]) / error)) if error > 0 else 1.0


def _rate_variance(found: Reliability) -> Floats:
    """Variance of each group's share of positives, from the share with one success and one failure added; 0 without rows."""
    rate = (np.nan_to_num(found.rate) * found.effective + 1) / (found.effective + 2)
    return np.where(found.effective > 0, rate * (1 - rate) / np.maximum(found.effective, 1.0), 0.0)


def brier_decomposition(found: Reliability) -> tuple[float, float, float]:
    """Reliability, resolution and uncertainty. The Brier score on the groups is reliability minus resolution plus uncertainty.

    Parameters
    ----------
    found : Reliability
        Reliability curve.

    Returns
    -------
    tuple[float, float, float]
        Loss by miscalibration, gain by separating rows, and the Brier score of a constant score.

    References
    ----------
    * Murphy (1973), A new vector partition of the probability score.
    """
    share, rate = found.share, np.nan_to_num(found.rate)
    base = float(share @ rate)
    return float(share @ found.deviation**2), float(share @ (rate - base) ** 2), base * (1 - base)


@dataclass(frozen=True)
class CalibrationLine:
    """Least-squares line of truth against prediction. slope, low, high: the slope with its 95 % interval. n: rows."""

    slope: float
    low: float
    high: float
    intercept: float
    n: int


def calibration_line(predictions: ArrayLike, truth: ArrayLike, clusters: ArrayLike | None = None) -> CalibrationLine | None:
    """Least-squares line of truth against prediction.

    A slope below 1 means that predictions are too extreme, a slope above 1 that they are not extreme enough. The interval allows for
    unequal variances (HC1). If rows come in correlated clusters (days), it also allows for the clusters; the wider interval is used.

    Parameters
    ----------
    predictions : ArrayLike
        Predicted values.
    truth : ArrayLike
        Labels.
    clusters : ArrayLike | None
        Cluster of each row, used from 5 clusters on.

    Returns
    -------
    CalibrationLine | None
        None below 10 rows, or where predictions do not vary.

    References
    ----------
    * White (1980), A heteroskedasticity-consistent covariance matrix estimator.
    * Liang and Zeger (1986), Longitudinal data analysis using generalized linear models.
    """
    x, y = np.asarray(predictions, np.float64), np.asarray(truth, np.float64)
    n = int(x.size)
    centred = x - x.mean() if n else x
    square = float(centred @ centred)
    if n < 10 or not square > 1e-12 * max(float(x @ x), 1e-300):
        return None
    slope = float(centred @ y) / square
    part = centred * (y - y.mean() - slope * centred)
    half = float(stdtrit(n - 2, 0.975)) * float(np.sqrt(part @ part * n / (n - 2))) / square
    if clusters is not None:
        _, place = np.unique(np.asarray(clusters), return_inverse=True)
        sums = np.bincount(place, part)
        if sums.size >= MIN_CLUSTERS:
            wide = float(np.sqrt(sums @ sums * sums.size / (sums.size - 1))) / square
            half = max(half, float(stdtrit(sums.size - 1, 0.975)) * wide)
    return CalibrationLine(slope, slope - half, slope + half, float(y.mean() - slope * x.mean()), n)
