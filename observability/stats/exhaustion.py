"""Estimate when a level that grows from day to day reaches a limit; the level is modelled as a random walk with drift."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from observability.stats.arrays import Floats
from observability.stats.interval import Interval, ordered_interval

MIN_STEPS = 5
"""Minimum number of steps for which a growth is reported."""
LAGS, MIN_FOR_LAGS = 7, 28
"""LAGS: number of days over which the correlation of steps is counted. MIN_FOR_LAGS: number of steps that this needs."""
MIN_VARIANCE = 0.1
"""Smallest long-run variance, as a share of the variance of single steps."""
SINGLE_SHARE, SINGLE_SPREADS = 0.05, 8.0
"""Largest share of the steps that may be single events (an import, a removal), and their smallest distance from the median in robust
spreads.
"""
WEEK, MIN_WEEKS = 7.0, 3
"""Length of a cycle in days, and number of earlier cycles that are needed to estimate days from observed rises."""
HORIZON = 3650.0
"""Number of days ahead beyond which no date is given."""


@dataclass(frozen=True)
class Exhaustion:
    """days: number of days until a level reaches its limit, with a 95 % prediction interval; HORIZON stands for ten years and more. growth:
    mean growth per day.

    single: number of steps that were left out as single events. observed: whether `days` comes from the time that the level took for the
    same rise in earlier weeks.
    """

    days: Interval
    growth: Interval
    single: int
    observed: bool = False


def days_until_exhausted(steps: ArrayLike, spans: ArrayLike, room: float, confidence: float = 0.95) -> Exhaustion | None:
    """Days until the sum of further steps uses up the room.

    The level is a random walk with drift: the mean step is uncertain, and so is each day to come. Steps that are correlated over days
    (a removal each week after six days of growth) enter by their long-run variance. At most one in twenty steps is left out as a single
    event, if it is far from all others.

    Parameters
    ----------
    steps : ArrayLike
        Change of the level from one observation to the next.
    spans : ArrayLike
        Days that each step took, above 0.
    room : float
        Room that is left; 0 and less: it is used up.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    Exhaustion or None
        None below MIN_STEPS steps.

    References
    ----------
    * Newey and West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent covariance matrix.
    """
    step, span = np.asarray(steps, np.float64).ravel(), np.asarray(spans, np.float64).ravel()
    known = np.isfinite(step) & (span > 0)
    step, span = step[known], span[known]
    kept = ~single_events(step / span)
    single = int((~kept).sum())
    step, span = step[kept], span[kept]
    if step.size < MIN_STEPS:
        return None
    days, mean = float(span.sum()), float(step.sum() / span.sum())
    variance = long_run_variance((step - mean * span) / np.sqrt(span))
    reach = float(stdtrit(step.size - 1, 0.5 + confidence / 2))
    half = reach * float(np.sqrt(variance / days))
    growth = ordered_interval(mean, mean - half, mean + half, step.size)
    if room <= 0:
        return Exhaustion(Interval(0.0, 0.0, 0.0, step.size), growth, single)
    value = min(room / mean, HORIZON) if mean > 0 else HORIZON
    low, high = (_crossing(mean, sign * reach, variance, days, room) for sign in (1.0, -1.0))
    seen = observed_passages(step, span, room)
    observed = seen.size >= MIN_WEEKS and float(seen.max()) < 0.9 * value
    if observed:
        value, low, high = float(np.median(seen)), float(seen.min()), float(seen.max())
    return Exhaustion(ordered_interval(value, min(low, value), max(high, value), step.size), growth, single, observed)


def observed_passages(steps: ArrayLike, spans: ArrayLike, room: float) -> Floats:
    """Days that the level took to rise by `room`, counted from the same day of earlier weeks.

    A level that falls each week may reach its limit before it falls, whatever its mean growth is.

    Parameters
    ----------
    steps : ArrayLike
        Change of the level from one observation to the next.
    spans : ArrayLike
        Days that each step took.
    room : float
        Room that is left, above 0.

    Returns
    -------
    ndarray of float
        One value per start, two and more whole weeks before the last observation, newest first; HORIZON if the level has not risen by
        `room` since that start.
    """
    level = np.concatenate([[0.0], np.cumsum(np.asarray(steps, np.float64))])
    day = np.concatenate([[0.0], np.cumsum(np.asarray(spans, np.float64))])
    found = []
    for week in range(2, int(day[-1] // WEEK) + 1):
        start = int(np.argmin(np.abs(day - (day[-1] - week * WEEK))))
        above = np.flatnonzero(level[start:] - level[start] >= room)
        found.append(float(day[start + above[0]] - day[start]) if above.size else HORIZON)
    return np.array(found)


def single_events(rates: ArrayLike) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mask of the steps that are single events: far from all others, and few.

    Parameters
    ----------
    rates : ArrayLike
        Steps by day.

    Returns
    -------
    ndarray of bool
        All False if more than one in twenty lie that far out, because then they belong to the process.
    """
    values = np.asarray(rates, np.float64).ravel()
    if values.size < MIN_STEPS:
        return np.zeros(values.size, bool)
    distance = np.abs(values - np.median(values))
    spread = max(1.4826 * float(np.median(distance)), 0.05 * abs(float(np.median(values))))
    far = distance > SINGLE_SPREADS * spread if spread > 0 else np.zeros(values.size, bool)
    return far if far.sum() <= max(int(SINGLE_SHARE * values.size), 1) else np.zeros(values.size, bool)


def long_run_variance(residuals: ArrayLike) -> float:
    """Variance of a sum of correlated steps, divided by the number of steps (Bartlett's kernel); the variance of single steps if there are
    few.

    Parameters
    ----------
    residuals : ArrayLike
        Steps minus their mean, in their order.

    Returns
    -------
    float
        At least MIN_VARIANCE of the variance of single steps.
    """
    rest: Floats = np.asarray(residuals, np.float64).ravel()
    n = rest.size
    variance = float(rest @ rest) / max(n - 1, 1)
    if n < MIN_FOR_LAGS:
        return variance
    pairs = [(1 - lag / (LAGS + 1)) * float(rest[lag:] @ rest[:-lag]) / (n - 1) for lag in range(1, LAGS + 1)]
    return max(variance + 2 * sum(pairs), MIN_VARIANCE * variance)


def _crossing(mean: float, reach: float, variance: float, days: float, room: float) -> float:
    """The first day on which mean × day + reach × its standard error reaches the room; HORIZON if that is later or never."""

    def excess(day: float) -> float:
        return mean * day + reach * float(np.sqrt(variance * (day + day**2 / days))) - room

    grid = np.geomspace(1e-3, HORIZON, 400)
    above = np.flatnonzero([excess(float(day)) >= 0 for day in grid])
    if not above.size:
        return HORIZON
    place = int(above[0])
    low, high = (float(grid[place - 1]) if place else 0.0), float(grid[place])
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) >= 0 else (middle, high)
    return high
