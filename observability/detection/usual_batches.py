"""Compares new batches of a device with its earlier batches, by column: each batch alone, and the median over a window.

All values are on a variance-stabilized scale. Arrays are batches × columns, in order of time.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.detection.batch_statistics import MIN_BATCHES, NORMAL_REACH
from observability.detection.own_history import MAX_FREEDOM, MIN_PAST_VALUES, NATURAL, OF_A_MEDIAN, SEEN, Array
from observability.stats.column_quantiles import column_medians, quantiles_of_sorted, sorted_values, value_at

SortedValues = tuple[Array, Array]
"""Values sorted within each column (batches × columns), and the number of known values of each column."""


MAX_FAULTY = 1 / 4
"""If at most this share of past means (or standard deviations) exceeds the critical limit, these count as faults. A larger share counts as
the column's natural variation.
"""


@dataclass(frozen=True)
class PastBatches:
    """Past batches of each column: values in order of time (batches × columns), their median, and their robust standard deviation."""

    values: Array
    ordered: SortedValues
    middle: Array
    spread: Array

    @property
    def freedom(self) -> Array:
        """Degrees of freedom of Student's t: the number of past values minus one, at most MAX_FREEDOM."""
        return np.asarray(np.maximum(np.minimum(self.ordered[1] - 1, MAX_FREEDOM), 1))

    def errors(self, noise: Array, floor: Array) -> Array:
        """Standard errors of new values around the median. noise: the sampling variance of the values; floor: the smallest standard
        deviation.
        """
        known = self.ordered[1]
        return np.sqrt(np.fmax(self.spread, floor) ** 2 * (1 + OF_A_MEDIAN / np.maximum(known, 1)) + noise)

    def reach(self, noise: Array, floor: Array, tests: Array) -> tuple[Array, Array]:
        """The natural range of each column. With probability 1 - NATURAL, even the most unusual of `tests` batches lies inside it."""
        reach = student_quantiles(self.freedom, 1 - NATURAL / (2 * np.maximum(tests, 1))) * self.errors(noise, floor)
        return self.middle - reach, self.middle + reach

    def without(self, faulty: Array) -> "PastBatches":
        """The past batches without the faulty values. faulty: mask of batches × columns."""
        return past_batches(np.where(faulty, np.nan, self.values)) if faulty.any() else self


def past_batches(values: Array, ordered: SortedValues | None = None) -> PastBatches:
    """Return the past batches of each column. ordered: the sorted values, if they are known."""
    ordered = sorted_values(values) if ordered is None else ordered
    return PastBatches(values, ordered, *median_and_spread(ordered))


def usual_batches(values: Array, past: PastBatches, noise: Array, floor: Array, *, upward: bool) -> Array:
    """Return the p-values of new values among the past values of their column, NaN if too little is known.

    values: new batches × columns; noise: sampling variance of each value; floor: smallest standard deviation. The spread is the larger of
    two estimates of the standard deviation: from the median absolute deviation, and from the range of the central seven eighths. Therefore
    a second mode (weekends) is not significant, and a fault on a few past days does not hide the next fault. A value is not significant if
    an eighth of the past values were as extreme.
    """
    ordered, known = past.ordered
    if not known.size or known.max() < MIN_PAST_VALUES:
        return np.full(values.shape, np.nan)
    t = (values - past.middle) / past.errors(noise, floor)
    freedom = np.broadcast_to(past.freedom, t.shape)
    seen = (SEEN * known).astype(int)  # number of past values that may be as extreme
    lowest, highest = value_at(ordered, np.minimum(seen, len(ordered) - 1)), value_at(ordered, np.maximum(known - 1 - seen, 0))
    p, above = np.ones(t.shape), values > highest
    p[above] = stdtr(freedom[above], -t[above])
    if not upward:
        below = values < lowest
        p[below] = np.minimum(p[below], stdtr(freedom[below], t[below]))
        p = np.minimum(2 * p, 1.0)
    return np.where((known >= MIN_PAST_VALUES) & np.isfinite(values), p, np.nan)


@dataclass(frozen=True)
class WindowMedian:
    """The median of a window's batches, compared with the past, by column. p_value: p-value of this comparison. ends: lower and upper end
    of the usual range.
    """

    median: Array
    p_value: Array
    ends: tuple[Array, Array]


def median_of_window(values: Array, past: PastBatches, ordinary: PastBatches, floor: Array, *, upward: bool) -> WindowMedian:
    """Compare the median of new batches, in order of time, with the past batches of each column.

    The standard error is that of a median of consecutive batches, correlated as in the past. ordinary: the past batches without faults,
    from which the usual range is computed. floor: the smallest standard deviation.
    """
    median, n = column_medians(values), np.isfinite(values).sum(0)
    error = errors_of_median(n, past, floor)
    t = (median - past.middle) / error
    p = stdtr(past.freedom, -t) if upward else np.minimum(2 * stdtr(past.freedom, -np.abs(t)), 1.0)
    reach = student_quantiles(ordinary.freedom, 1 - NATURAL / 2) * (error if ordinary is past else errors_of_median(n, ordinary, floor))
    judged = (past.ordered[1] >= MIN_PAST_VALUES) & (n >= MIN_BATCHES)
    return WindowMedian(median, np.where(judged, p, np.nan), (ordinary.middle - reach, ordinary.middle + reach))


def errors_of_median(n: Array, past: PastBatches, floor: Array) -> Array:
    """Return the standard errors of a median of n consecutive batches around the past median, by column."""
    scale = np.fmax(past.spread, floor)
    correlation = correlation_of_neighbours((past.values - past.middle) / scale)
    ratio = mean_variance_ratios(n, correlation) + mean_variance_ratios(past.ordered[1], correlation)
    return np.asarray(scale * np.sqrt(OF_A_MEDIAN * ratio))


def correlation_of_neighbours(scaled: Array) -> Array:
    """Return the correlation between consecutive rows of each column, from 0 to 0.95. scaled: values around 0, in standard deviations."""
    held = np.clip(scaled, -2.5, 2.5)
    held[np.isnan(held)] = 0.0
    return np.clip((held[1:] * held[:-1]).sum(0) / np.maximum((held**2).sum(0), 1e-12), 0.0, 0.95)


def mean_variance_ratios(n: Array, correlation: Array) -> Array:
    """Return the ratio of two variances by column for an AR(1) process: of a mean of n consecutive values, and of a single value.

    correlation: correlation of neighbouring values, below 1. The sum over all lags k of (1 - k/n) times the correlation to the power k has
    a closed form.
    """
    size, rest = np.maximum(n, 1), 1 - correlation
    return np.asarray((1 + 2 * correlation / rest * (1 - (1 - correlation**size) / (size * rest))) / size)


def student_quantiles(freedom: Array, share: Array | float) -> Array:
    """Return quantiles of Student's t by column. If all columns have the same degrees of freedom and share, the quantile is computed only
    once, because the inverse is slow.
    """
    share = np.broadcast_to(share, freedom.shape)
    alike = freedom.size and (freedom == freedom.flat[0]).all() and (share == share.flat[0]).all()
    return np.full(freedom.shape, stdtrit(freedom.flat[0], share.flat[0])) if alike else np.asarray(stdtrit(freedom, share))


def median_and_spread(values: SortedValues) -> tuple[Array, Array]:
    """Return the median and the robust standard deviation of each column."""
    middle, low, high = quantiles_of_sorted(*values, (1 / 2, 1 / 16, 15 / 16))
    return middle, robust_spread(column_medians(np.abs(values[0] - middle)), low, high)


def robust_spread(deviation: Array, low: Array, high: Array) -> Array:
    """Return the robust standard deviation: the larger of two estimates, from the median absolute deviation and from the range of the
    central seven eighths.
    """
    return np.fmax(1.4826 * deviation, (high - low) / (2 * NORMAL_REACH))
