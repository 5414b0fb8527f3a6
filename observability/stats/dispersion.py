"""Variance that differences between days add to means and shares, and the null distributions that follow from it.

Rows within a day are correlated (weather, campaigns, one upstream job): five thousand rows of one day say less about the next day than five
hundred rows of each of ten days. The variance between days is estimated from past days, robustly, since the past may hold a fault. The
pattern of the week is removed first. The correlation of consecutive days is estimated too, and the variance of a window follows from both.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtr, chdtri, fdtrc, fdtri, gammaincc, gammaincinv

from observability.stats.arrays import Floats, Integers

MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution divided by its median absolute deviation."""
KEPT = 0.75
"""Share of the days that are used: those nearest to the median. This leaves out up to a week of fault in a month."""
KEPT_DIFFERENCES = 5 / 6
"""Share of the differences of consecutive days that are used: in a week, one difference is left out."""
PRIOR_EFFECT, PRIOR_DAYS = 1.0, 3.0
"""Prior before any day was seen: days add as much variance as rows do (a design effect of 2), with the weight of three days."""
MIN_DAYS = 7
WEEKS_FOR_PATTERN = 2
MAXIMUM_CORRELATION = 0.9
LARGE_FREEDOM = 1e6
SHARE_FLOOR = 1e-4
"""Smaller shares are raised to this value, as in the PSI itself."""


@dataclass(frozen=True)
class DayVariation:
    """Variance that days add to one or several quantities measured by day.

    between: variance between days beyond the variance of their rows, one per quantity, mixed with the prior. correlation: correlation of
    consecutive days. days: number of days observed; if it is 0, nothing is known and `between` is the prior alone.
    """

    between: Floats
    correlation: float
    days: int

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the estimate, for Student's t and F."""
        return max(self.days * KEPT, PRIOR_DAYS) + PRIOR_DAYS - 1

    def of_mean(self, days: float) -> Floats:
        """Variance that differences between days add to a mean over consecutive days. days: number of days."""
        return np.asarray(self.between * mean_variance_ratio(days, self.correlation), np.float64)


def mean_variance_ratio(days: float, correlation: float) -> float:
    """Variance of a mean of consecutive days divided by the variance of one day, for an AR(1) process.

    Parameters
    ----------
    days : float
        Number of consecutive days.
    correlation : float
        Correlation of consecutive days.

    Returns
    -------
    float
        1 / days without correlation.
    """
    n = max(days, 1.0)
    if correlation <= 0:
        return 1 / n
    lags, fading = math.ceil(n) - 1, correlation ** math.ceil(n)  # Σ (1 - k / n) r^k over the lags k, as two geometric series
    together = (correlation - fading) / (1 - correlation)
    farther = (together - lags * fading) / (1 - correlation)
    return min((1 + 2 * (together - farther / n)) / n, 1.0)


def estimate_day_variation(
    values: ArrayLike, row_variances: ArrayLike, days: ArrayLike, *, weekly: bool = True, kept: float = KEPT
) -> DayVariation:
    """Variance that days add, estimated from past days.

    The variance between days is the trimmed variance about the median, scaled to be consistent for normal days, minus the variance of rows.

    Parameters
    ----------
    values : ArrayLike
        Days × quantities (or one per day), NaN if a day is unknown.
    row_variances : ArrayLike
        Variance of the values from rows alone, of a shape that broadcasts to theirs.
    days : ArrayLike
        Number of each day since 1970, increasing.
    weekly : bool
        Remove the pattern of the week, as where whole weeks or the same weekdays are compared.
    kept : float
        Share of the days that count for the trimmed variance.

    Returns
    -------
    DayVariation

    References
    ----------
    * Rousseeuw and Leroy (1987), Robust Regression and Outlier Detection.
    """
    x, noise, at = _known_days(values, row_variances, days)
    return estimate_day_variations(x[None], noise[None], at, weekly=weekly, kept=kept)[0] if at.size else _unknown_variation(x.shape[1])


def estimate_day_variations(
    values: Floats, row_variances: Floats, days: Integers, *, weekly: bool = True, kept: float = KEPT
) -> list[DayVariation]:
    """Variance that days add, for many series over the same days; each is computed as by `estimate_day_variation`.

    Parameters
    ----------
    values : Floats
        Series × days × quantities.
    row_variances : Floats
        Variance of the values from rows alone, of the same shape.
    days : Integers
        Number of each day since 1970, increasing, one or more.
    weekly : bool
        Remove the pattern of the week.
    kept : float
        Share of the days that count for the trimmed variance.

    Returns
    -------
    list[DayVariation]
        One a series.
    """
    if not np.isfinite(values + row_variances).all():
        return [estimate_day_variation(*each, days, weekly=weekly, kept=kept) for each in zip(values, row_variances, strict=True)]
    of_rows = row_variances.mean(axis=1)
    if days.size < MIN_DAYS:
        return [DayVariation(each, 0.0, 0) for each in PRIOR_EFFECT * of_rows]
    rest = day_residuals(values, days, weekly=weekly)
    found = trimmed_variance(rest, kept) - of_rows
    mixed = (days.size * np.maximum(found, 0.0) + PRIOR_DAYS * PRIOR_EFFECT * of_rows) / (days.size + PRIOR_DAYS)
    correlations = _day_correlations(rest, found, of_rows, days).tolist()
    return [DayVariation(between, correlation, days.size) for between, correlation in zip(mixed, correlations, strict=True)]


def _unknown_variation(quantities: int) -> DayVariation:
    """The variation if no day is known."""
    return DayVariation(np.zeros(quantities), 0.0, 0)


def _known_days(values: ArrayLike, row_variances: ArrayLike, days: ArrayLike) -> tuple[Floats, Floats, Integers]:
    """Values and row variances as days × quantities, and the numbers of the days; days with an unknown value are left out."""
    x, noise, at = np.asarray(values, np.float64), np.asarray(row_variances, np.float64), np.asarray(days, np.int64)
    noise = noise[:, None] if noise.ndim == x.ndim == 1 else noise
    x = x.reshape(at.size, -1)
    noise = noise if noise.shape == x.shape else np.broadcast_to(noise, x.shape)
    held = np.isfinite(x + noise).all(axis=1)
    return x[held], noise[held], at[held]


def consecutive_day_variation(values: ArrayLike, row_variances: ArrayLike, days: ArrayLike) -> DayVariation:
    """Variance that days add, estimated from the differences of consecutive days.

    A slow decay, or a fault that began once and lasts, changes only a few differences. These are trimmed, so they do not widen this
    variance. This variance gives the error, from the variation of days, of a mean that describes only the days it covers.

    Parameters
    ----------
    values : ArrayLike
        Days × quantities (or one per day), NaN if a day is unknown.
    row_variances : ArrayLike
        Variance of the values from rows alone, of a shape that broadcasts to theirs.
    days : ArrayLike
        Number of each day since 1970, increasing.

    Returns
    -------
    DayVariation
        Without correlation of consecutive days.

    References
    ----------
    * von Neumann et al. (1941), The mean square successive difference.
    """
    x, noise, at = _known_days(values, row_variances, days)
    return consecutive_day_variations(x[None], noise[None], at)[0] if at.size else _unknown_variation(x.shape[1])


def consecutive_day_variations(values: Floats, row_variances: Floats, days: Integers) -> list[DayVariation]:
    """Variance that days add, for many series over the same days; each is computed as by `consecutive_day_variation`.

    Parameters
    ----------
    values : Floats
        Series × days × quantities.
    row_variances : Floats
        Variance of the values from rows alone, of the same shape.
    days : Integers
        Number of each day since 1970, increasing, one or more.

    Returns
    -------
    list[DayVariation]
        One a series.
    """
    if not np.isfinite(values + row_variances).all():
        return [consecutive_day_variation(*each, days) for each in zip(values, row_variances, strict=True)]
    of_rows = row_variances.mean(axis=1)
    pairs = np.flatnonzero(np.diff(days) == 1)
    if pairs.size < 2:
        return [DayVariation(each, 0.0, 0) for each in PRIOR_EFFECT * of_rows]
    steps = (values.take(pairs + 1, 1) - values.take(pairs, 1)) / np.sqrt(2)
    found = np.maximum(trimmed_variance(steps, KEPT_DIFFERENCES) - of_rows, 0.0)
    mixed = (pairs.size * found + PRIOR_DAYS * PRIOR_EFFECT * of_rows) / (pairs.size + PRIOR_DAYS)
    return [DayVariation(between, 0.0, int(pairs.size)) for between in mixed]


def day_residuals(values: Floats, days: Integers, *, weekly: bool) -> Floats:
    """Residual of each day from the median of all days, or from the median of its weekday if there are enough weeks; scaled for the degrees
    of freedom used.

    Parameters
    ----------
    values : Floats
        (…, days, quantities).
    days : Integers
        Number of each day.
    weekly : bool
        Remove the pattern of the week.

    Returns
    -------
    Floats
    """
    if not weekly or days.size < 7 * WEEKS_FOR_PATTERN:
        return np.asarray((values - fast_median(values, -2)[..., None, :]) * np.sqrt(days.size / (days.size - 1)))
    left, weekday = np.empty_like(values), days % 7
    order, sizes = np.argsort(weekday, kind="stable"), np.bincount(weekday, minlength=7)
    of_size = sizes[weekday[order]]
    for size in set(sizes[sizes > 0].tolist()):
        own = order[of_size == size].reshape(-1, size)
        of_weekday = values[..., own, :]
        usual = fast_median(of_weekday, -2)[..., None, :] if size > 1 else fast_median(values, -2)[..., None, None, :]
        left[..., own, :] = (of_weekday - usual) * (np.sqrt(size / (size - 1)) if size > 1 else 1.0)
    return left


def fast_median(values: Floats, axis: int) -> Floats:
    """Median of finite values along an axis; np.median takes many times as long over a month of days.

    Parameters
    ----------
    values : Floats
        Finite values.
    axis : int
        Axis.

    Returns
    -------
    Floats
    """
    rising, size = np.sort(values, axis=axis), values.shape[axis]
    return np.asarray((rising.take((size - 1) // 2, axis) + rising.take(size // 2, axis)) / 2)


def trimmed_variance(rest: Floats, kept: float = KEPT) -> Floats:
    """Variance about 0 of those rows of each column that are nearest to 0, scaled to be consistent for a normal distribution.

    Parameters
    ----------
    rest : Floats
        Residuals, (…, rows, columns).
    kept : float
        Share of the rows that count.

    Returns
    -------
    Floats
    """
    rows = rest.shape[-2]
    size = max(int(np.ceil(kept * rows)), 1)
    return np.asarray(np.sort(rest**2, axis=-2)[..., :size, :].mean(axis=-2) / _trimmed_share(size, rows))


@cache
def _trimmed_share(size: int, rows: int) -> float:
    """Variance of the `size` central values of a normal distribution, divided by the variance of all values."""
    share = size / rows
    return 1.0 if size == rows else float(chdtr(3, chdtri(1, 1 - share)) / share)


def _day_correlations(rest: Floats, between: Floats, noise: Floats, days: Integers) -> Floats:
    """Correlation between the effects of consecutive days in each series, over all of its quantities; 0 if days add next to nothing.

    Outlying days are clipped at 2.5 standard deviations, so that one fault of a few days is not taken for correlation.
    """
    series = len(rest)
    pairs = np.flatnonzero(np.diff(days) == 1)
    total = np.maximum(between, 0.0) + noise
    known = total > 0
    if pairs.size < MIN_DAYS - 1 or not total.size:
        return np.zeros(series)
    if not known.all():  # a quantity that never varies carries no information
        apart = zip(rest, between, noise, known, strict=True)
        return np.array([_day_correlations(r[None, :, k], b[None, k], n[None, k], days)[0] if k.any() else 0.0 for r, b, n, k in apart])
    scaled = np.clip(rest / np.sqrt(total)[:, None], -2.5, 2.5)
    share = np.mean(np.maximum(between, 0.0) / total, axis=1)
    products = (scaled.take(pairs, 1) * scaled.take(pairs + 1, 1)).reshape(series, -1).mean(axis=1)
    squares = (scaled.transpose(0, 2, 1) ** 2).reshape(series, -1).mean(axis=1)
    together = products / np.maximum(squares, 1e-12)
    return np.where(share < 0.1, 0.0, np.clip(together / np.where(share > 0, share, 1.0), 0.0, MAXIMUM_CORRELATION))


@dataclass(frozen=True)
class GammaNull:
    """Null distribution of a histogram distance: a gamma distribution with this mean and shape. freedom: degrees of freedom with which its
    scale is known.
    """

    mean: float
    shape: float
    freedom: float

    def p_value(self, value: float) -> float:
        """Probability that a window without a change has at least this value."""
        if np.isnan(value) or np.isnan(self.mean):
            return float("nan")
        if self.mean <= 0:
            return 1.0 if value <= 0 else 0.0
        if self.freedom >= LARGE_FREEDOM:
            return float(gammaincc(self.shape, self.shape * value / self.mean))
        return float(fdtrc(2 * self.shape, self.freedom, value / self.mean))

    def quantile(self, share: float = 0.95) -> float:
        """Value that a window without a change exceeds in only 1 - share of the cases."""
        if not self.mean > 0:
            return self.mean
        if self.freedom >= LARGE_FREEDOM:
            return float(gammaincinv(self.shape, share)) * self.mean / self.shape
        return float(fdtri(2 * self.shape, self.freedom, share)) * self.mean


def psi_null_of_days(shares: ArrayLike, days: float, days_reference: float) -> GammaNull:
    """Null distribution of the PSI if all rows of a day belong to one group, so that a day is one draw. Its moments come from 2,000
    simulated pairs.

    Parameters
    ----------
    shares : ArrayLike
        Share of each group among the days.
    days : float
        Days of the window, at least one.
    days_reference : float
        Days of the reference, at least one.

    Returns
    -------
    GammaNull
    """
    counts, draw = np.asarray(shares, np.float64), np.random.default_rng(0).multinomial
    p = counts / counts.sum()
    now, then = (np.maximum(draw(size, p, 2000) / size, SHARE_FLOOR) for size in (max(round(days), 1), max(round(days_reference), 1)))
    found = np.sum((now - then) * np.log(now / then), axis=1)
    mean, variance = float(found.mean()), float(found.var())
    return GammaNull(mean, mean**2 / variance if variance > 0 else 1.0, LARGE_FREEDOM)


def psi_null(n_reference: float, n_current: float, bins: int, from_days: float = 0.0, freedom: float = LARGE_FREEDOM) -> GammaNull:
    """Null distribution of the PSI from sampling and from the variation of days.

    Rows alone give χ²(bins - 1) × (1/n + 1/m). The effect of days lies mostly along one direction (a mean that moves), so it counts as one
    degree of freedom, which is cautious. Mean and variance of both parts are matched by a gamma distribution.

    Parameters
    ----------
    n_reference : float
        Reference rows.
    n_current : float
        Current rows.
    bins : int
        Bins that hold rows.
    from_days : float
        Σ over bins of the variance that days add to its share, on both sides, over the share.
    freedom : float
        Degrees of freedom of `from_days`.

    Returns
    -------
    GammaNull

    References
    ----------
    * Yurdakul (2018), Statistical properties of population stability index.
    """
    if min(n_reference, n_current) <= 0:
        return GammaNull(float("nan"), 1.0, LARGE_FREEDOM)
    if bins <= 1:
        return GammaNull(0.0, 1.0, LARGE_FREEDOM)
    rows = 1 / n_reference + 1 / n_current
    mean = (bins - 1) * rows + from_days
    variance = 2 * (rows + from_days) ** 2 + 2 * (bins - 2) * rows**2
    uncertain = freedom * (mean / from_days) ** 2 if from_days > 0 else LARGE_FREEDOM
    return GammaNull(mean, mean**2 / variance, min(uncertain, LARGE_FREEDOM))
