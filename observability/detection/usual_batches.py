"""Say how new batches of a device stand to its earlier ones, by column: each batch, and the median of a window.

All values are on a variance-stabilized scale, batches × columns, in order of time.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.detection.batch_statistics import MIN_BATCHES, NORMAL_REACH
from observability.detection.own_history import MAX_FREEDOM, MINIMUM, NATURAL, OF_A_MEDIAN, SEEN, Array
from observability.stats.column_quantiles import column_medians, quantiles_of_sorted, value_at

SortedValues = tuple[Array, Array]
"""Values sorted by column (batches × columns), and how many each column has."""


@dataclass(frozen=True)
class UsualBatches:
    """How new values of each column stand to its past values. All but p_values and errors (new batches × columns) are by column.

    p_values: NaN where too little is known. errors: standard errors of new values. middle, spread: of the past values. lowest, highest:
    what an eighth of them reached. freedom: of Student's t.
    """

    p_values: Array
    middle: Array
    spread: Array
    errors: Array
    freedom: Array
    lowest: Array
    highest: Array

    def reach(self, places: Array, tests: Array) -> tuple[Array, Array]:
        """The range that the most unusual of `tests` batches is within, but for NATURAL of the windows. places: its batch, by column."""
        reach = stdtrit(self.freedom, 1 - NATURAL / (2 * np.maximum(tests, 1))) * self.errors[places, np.arange(places.size)]
        return np.fmin(self.lowest, self.middle - reach), np.fmax(self.highest, self.middle + reach)


def usual_batches(values: Array, past: SortedValues, noise: Array, floor: Array, *, upward: bool) -> UsualBatches:
    """Return how new values stand to the past values of their column.

    values: new batches × columns; past: earlier batches × columns; noise: sampling variance of each value; floor: smallest standard
    deviation. The spread is the larger of the median absolute deviation and the range of the central seven eighths, each as a standard
    deviation, so that a second mode (weekends) counts as usual and a fault of a few past days does not. A value that an eighth of the past
    values reached is not unusual. Student's t with one degree of freedom less than past values, at most 12.
    """
    (ordered, known), (middle, spread) = past, median_and_spread(past)
    nothing, no_column = np.full(values.shape, np.nan), np.full(values.shape[1], np.nan)
    if not known.size or known.max() < MINIMUM:
        return UsualBatches(nothing, middle, spread, nothing, no_column, no_column, no_column)
    error = np.sqrt(np.maximum(np.nan_to_num(spread), floor) ** 2 * (1 + OF_A_MEDIAN / np.maximum(known, 1)) + noise)
    t = (values - middle) / error
    degrees = np.maximum(np.minimum(known - 1, MAX_FREEDOM), 1)
    freedom = np.broadcast_to(degrees, t.shape)
    seen = (SEEN * known).astype(int)  # so many past values may be as extreme
    lowest, highest = value_at(ordered, np.minimum(seen, len(ordered) - 1)), value_at(ordered, np.maximum(known - 1 - seen, 0))
    p, above = np.ones(t.shape), values > highest
    p[above] = stdtr(freedom[above], -t[above])
    if not upward:
        below = values < lowest
        p[below] = np.minimum(p[below], stdtr(freedom[below], t[below]))
        p = np.minimum(2 * p, 1.0)
    p = np.where((known >= MINIMUM) & np.isfinite(values), p, np.nan)
    return UsualBatches(p, middle, spread, error, degrees, lowest, highest)


@dataclass(frozen=True)
class WindowMedian:
    """The median of some batches of a window and how it stands to the past, by column. ends: of the range that it usually is within."""

    median: Array
    p_value: Array
    ends: tuple[Array, Array]


def median_of_window(values: Array, past: Array, middle: Array, scale: Array, *, upward: bool) -> WindowMedian:
    """Return how the median of new batches stands to the past batches of each column, both in order of time.

    Its error is that of a median of consecutive batches whose correlation is that of the past. middle, scale: median and standard deviation
    of the past batches.
    """
    median, n, known = column_medians(values), np.isfinite(values).sum(0), np.isfinite(past).sum(0)
    correlation = correlation_of_neighbours((past - middle) / scale)
    ratio = mean_variance_ratios(n, correlation) + mean_variance_ratios(known, correlation)
    error, freedom = scale * np.sqrt(OF_A_MEDIAN * ratio), np.maximum(np.minimum(known - 1, MAX_FREEDOM), 1)
    t = (median - middle) / error
    p = stdtr(freedom, -t) if upward else np.minimum(2 * stdtr(freedom, -np.abs(t)), 1.0)
    reach = stdtrit(freedom, 1 - NATURAL / 2) * error
    judged = (known >= MINIMUM) & (n >= MIN_BATCHES)
    return WindowMedian(median, np.where(judged, p, np.nan), (middle - reach, middle + reach))


def correlation_of_neighbours(scaled: Array) -> Array:
    """Return the correlation of consecutive rows of each column, from 0 to 0.95. scaled: about 0, in standard deviations."""
    held = np.nan_to_num(np.clip(scaled, -2.5, 2.5))
    return np.clip((held[1:] * held[:-1]).sum(0) / np.maximum((held**2).sum(0), 1e-12), 0.0, 0.95)


def mean_variance_ratios(n: Array, correlation: Array) -> Array:
    """Return the variance of a mean of n consecutive values over that of one, by column, for an AR(1) process."""
    size = np.maximum(n, 1)
    lags = np.arange(1, max(int(size.max()), 2))[:, None]
    weights = np.maximum(1 - lags / size, 0.0) * correlation**lags
    return np.asarray((1 + 2 * weights.sum(0)) / size)


def median_and_spread(values: SortedValues) -> tuple[Array, Array]:
    """Median and robust standard deviation of each column."""
    middle, low, high = quantiles_of_sorted(*values, (1 / 2, 1 / 16, 15 / 16))
    return middle, robust_spread(column_medians(np.abs(values[0] - middle)), low, high)


def robust_spread(deviation: Array, low: Array, high: Array) -> Array:
    """The robust standard deviation: from the median absolute deviation or the ends of the central seven eighths, the larger."""
    return np.fmax(1.4826 * deviation, (high - low) / (2 * NORMAL_REACH))
