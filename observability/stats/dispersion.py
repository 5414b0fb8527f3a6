"""How much more do days differ than chance alone makes them, and how far does a window therefore stray by itself?

Rows of one day share their luck (weather, campaigns, one upstream job): five thousand rows of one day say less about the next than five hundred
rows of each of ten. What days add to the variance of a mean or a share is estimated from past days, robustly, since the past may hold a fault;
it is kept apart from the pattern of the week, and how far one day resembles the next is estimated too. A window's own variance follows from both.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
KEPT = 0.75
"""Of the days those three quarters count that lie nearest to the middle: up to a week of fault in a month is left out."""
DOUBT, DOUBT_DAYS = 1.0, 3.0
"""What is believed before any day was seen: that days add as much variance as rows do (a design effect of 2), as surely as three days would tell."""
LEAST_DAYS = 7
WEEKS_FOR_PATTERN = 2
MOST_CORRELATED = 0.9
ENDLESS = 1e6


@dataclass(frozen=True)
class Variation:
    """What days add to the variance of one or several quantities measured by day.

    between: variance between days beyond that of their rows, one a quantity, with the doubt mixed in. correlation: of what a day adds with what
    the next one adds. days: how many were looked at (0: nothing is known, `between` is the doubt alone).
    """

    between: Floats
    correlation: float
    days: int

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the estimate, for Student's t and F."""
        return max(self.days * KEPT, DOUBT_DAYS) + DOUBT_DAYS - 1

    def of_mean(self, days: float) -> Floats:
        """The variance that days add to a mean over so many days in a row."""
        return np.asarray(self.between * share_left(days, self.correlation), np.float64)


def share_left(days: float, correlation: float) -> float:
    """The variance of a mean of `days` days in a row over that of one day: 1 / days where days have nothing in common (an AR(1) process else)."""
    n = max(days, 1.0)
    if correlation <= 0:
        return 1 / n
    lags, fading = math.ceil(n) - 1, correlation ** math.ceil(n)  # Σ (1 - k / n) r^k over the lags k, as two geometric series
    together = (correlation - fading) / (1 - correlation)
    farther = (together - lags * fading) / (1 - correlation)
    return min((1 + 2 * (together - farther / n)) / n, 1.0)


def variation(values: ArrayLike, row_variances: ArrayLike, days: ArrayLike, *, weekly: bool = True, kept: float = KEPT) -> Variation:
    """What days add, from past days. values: days × quantities (or one a day), NaN where a day is unknown; row_variances: their variance from rows alone
    (of the same shape, or one that broadcasts to it).

    days: the number of each day (since 1970), rising. weekly: leave the pattern of the week out, as whole weeks against whole weeks do, and days
    against the same weekdays. Between days: the trimmed variance about the median, made consistent for normal days (Rousseeuw and Leroy 1987),
    less that of rows. kept: the share of the days that count for it.
    """
    x, noise, at = np.asarray(values, np.float64), np.asarray(row_variances, np.float64), np.asarray(days, np.int64)
    noise = noise[:, None] if noise.ndim == x.ndim == 1 else noise
    x = x.reshape(at.size, -1)
    noise = noise if noise.shape == x.shape else np.broadcast_to(noise, x.shape)
    held = np.isfinite(x + noise).all(axis=1)
    x, noise, at = x[held], noise[held], at[held]
    if not at.size:
        return Variation(np.zeros(x.shape[1]), 0.0, 0)
    of_rows = noise.mean(axis=0)
    if at.size < LEAST_DAYS:
        return Variation(DOUBT * of_rows, 0.0, 0)
    rest = residuals(x, at, weekly=weekly)
    found = trimmed_variance(rest, kept) - of_rows
    mixed = (at.size * np.maximum(found, 0.0) + DOUBT_DAYS * DOUBT * of_rows) / (at.size + DOUBT_DAYS)
    return Variation(mixed, day_correlation(rest, found, of_rows, at), int(at.size))


def residuals(values: Floats, days: NDArray[np.int64], *, weekly: bool) -> Floats:
    """What is left of each day without the middle of all days, or of its weekday where there are weeks enough; scaled up for the degrees spent."""
    if not weekly or days.size < 7 * WEEKS_FOR_PATTERN:
        return np.asarray((values - middle(values, 0)) * np.sqrt(days.size / (days.size - 1)))
    left, weekday = np.empty_like(values), days % 7
    order, sizes = np.argsort(weekday, kind="stable"), np.bincount(weekday, minlength=7)
    of_size = sizes[weekday[order]]
    for size in set(sizes[sizes > 0].tolist()):
        own = order[of_size == size].reshape(-1, size)
        usual = middle(values[own], 1) if size > 1 else middle(values, 0)[None]
        left[own] = (values[own] - usual[:, None]) * (np.sqrt(size / (size - 1)) if size > 1 else 1.0)
    return left


def middle(values: Floats, axis: int) -> Floats:
    """The median along an axis of finite values; np.median takes many times as long over a month of days."""
    rising, size = np.sort(values, axis=axis), values.shape[axis]
    return np.asarray((rising.take((size - 1) // 2, axis) + rising.take(size // 2, axis)) / 2)


def trimmed_variance(rest: Floats, kept: float = KEPT) -> Floats:
    """Variance about 0 of the nearest share of the rows of each column, consistent for a normal distribution."""
    size = max(int(np.ceil(kept * rest.shape[0])), 1)
    return np.asarray(np.sort(rest**2, axis=0)[:size].mean(axis=0) / of_the_nearest(size, rest.shape[0]))


@cache
def of_the_nearest(size: int, rows: int) -> float:
    """The variance of the nearest so many of a normal distribution's rows, over that of all."""
    from scipy.special import chdtr, chdtri

    share = size / rows
    return 1.0 if size == rows else float(chdtr(3, chdtri(1, 1 - share)) / share)


def day_correlation(rest: Floats, between: Floats, noise: Floats, days: NDArray[np.int64]) -> float:
    """How far what a day adds resembles what the next one adds, over all quantities; 0 where days add nothing to speak of.

    Far days are drawn in to 2.5 standard deviations, so that one fault of a few days is no resemblance.
    """
    total = np.maximum(between, 0.0) + noise
    pairs = np.flatnonzero(np.diff(days) == 1)
    known = total > 0
    if pairs.size < LEAST_DAYS - 1 or not known.any():
        return 0.0
    scaled = np.clip(rest[:, known] / np.sqrt(total[known]), -2.5, 2.5)
    share = float(np.mean(np.maximum(between[known], 0.0) / total[known]))
    if share < 0.1:
        return 0.0
    together = float(np.mean(scaled[pairs] * scaled[pairs + 1])) / max(float(np.mean(scaled**2)), 1e-12)
    return float(np.clip(together / share, 0.0, MOST_CORRELATED))


def design_effect(between: float, row_variance: float) -> float:
    """How many times more a day's mean varies than its rows alone would make it; 1 where it does not."""
    return 1.0 if row_variance <= 0 else 1.0 + max(between, 0.0) / row_variance


@dataclass(frozen=True)
class Null:
    """What a distance between histograms does where nothing changed: a gamma of this mean and shape, its scale known to some degrees of freedom."""

    mean: float
    shape: float
    freedom: float

    def p_value(self, value: float) -> float:
        """How often a clean window gives as much."""
        from scipy.special import fdtrc, gammaincc

        if np.isnan(value) or np.isnan(self.mean):
            return float("nan")
        if self.mean <= 0:
            return 1.0 if value <= 0 else 0.0
        if self.freedom >= ENDLESS:
            return float(gammaincc(self.shape, self.shape * value / self.mean))
        return float(fdtrc(2 * self.shape, self.freedom, value / self.mean))

    def quantile(self, share: float = 0.95) -> float:
        """What a clean window stays under in this share of the cases."""
        from scipy.special import fdtri, gammaincinv

        if not self.mean > 0:
            return self.mean
        if self.freedom >= ENDLESS:
            return float(gammaincinv(self.shape, share)) * self.mean / self.shape
        return float(fdtri(2 * self.shape, self.freedom, share)) * self.mean


def psi_null(n_reference: float, n_current: float, bins: int, from_days: float = 0.0, freedom: float = ENDLESS) -> Null:
    """The PSI that chance and the variation of days give. from_days: Σ over bins of the variance that days add to its share, on both sides, over the share.

    Rows alone give χ²(bins - 1) × (1/n + 1/m) (Yurdakul 2018). What days add lies mostly along one direction (a mean that moves), so it is taken as one
    degree of freedom, which is cautious; the mean and variance of both are matched by a gamma. freedom: of the estimate of what days add.
    """
    if min(n_reference, n_current) <= 0:
        return Null(float("nan"), 1.0, ENDLESS)
    if bins <= 1:
        return Null(0.0, 1.0, ENDLESS)
    rows = 1 / n_reference + 1 / n_current
    mean = (bins - 1) * rows + from_days
    variance = 2 * (rows + from_days) ** 2 + 2 * (bins - 2) * rows**2
    uncertain = freedom * (mean / from_days) ** 2 if from_days > 0 else ENDLESS
    return Null(mean, mean**2 / variance, min(uncertain, ENDLESS))
