"""Quantiles of histograms and medians, with intervals by order statistics, and the latency bins.

Histograms have len(edges) + 1 counts, and bins include their left edge (stats/edges.py). A value outside the edges counts as lying on the
nearest edge.
"""

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats
from observability.stats.interval import CONFIDENCE, Interval, ordered_interval

RELATIVE_ERROR = 0.02
"""Largest relative error of a quantile from LOG_EDGES (inside the edges)."""


def log_edges(low: float = 0.01, high: float = 1e7, relative_error: float = RELATIVE_ERROR) -> Floats:
    """Edges in constant ratio (1 + ε) / (1 - ε), so that the middle of a bin is within ε of all its values: the bins of DDSketch.

    Parameters
    ----------
    low : float
        First edge.
    high : float
        The last edge is here or just beyond.
    relative_error : float
        ε.

    Returns
    -------
    Floats

    Raises
    ------
    ValueError
        The range or the error is invalid.

    References
    ----------
    * Masson, Rim and Lee (2019), DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees.
    """
    if not 0 < low < high or not 0 < relative_error < 1:
        raise ValueError(f"need 0 < low < high and 0 < relative_error < 1, got {low}, {high}, {relative_error}")
    step = np.log1p(relative_error) - np.log1p(-relative_error)
    count = int(np.ceil(np.log(high / low) / step - 1e-9))
    return np.asarray(low * np.exp(step * np.arange(count + 1)), np.float64)


LOG_EDGES = log_edges()
"""Fixed edges of latencies in milliseconds: 0.01 ms to 10,000 s, quantiles within 2 % (bins of log_bin_middle)."""
LOG_EDGES.setflags(write=False)


def log_bin_middle(low: ArrayLike, high: ArrayLike) -> Floats:
    """Value 2ab / (a + b) of a bin [a, b) of positive numbers, whose relative error is the same at both ends.

    Parameters
    ----------
    low : ArrayLike
        Lower edge.
    high : ArrayLike
        Upper edge.

    Returns
    -------
    Floats
    """
    a, b = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return np.asarray(2 * a * b / (a + b), np.float64)


def histogram_quantile(counts: ArrayLike, edges: ArrayLike, q: float, middle: bool = False) -> float | None:
    """Value below which a share q of the counts lies; monotone in q, always within the edges.

    Parameters
    ----------
    counts : ArrayLike
        Counts, len(edges) + 1 of them.
    edges : ArrayLike
        Increasing edges.
    q : float
        Share of the counts below the quantile.
    middle : bool
        Use the bin's middle (for LOG_EDGES) instead of interpolating.

    Returns
    -------
    float | None
        None without counts or edges.
    """
    held = _quantile_bin(counts, edges, q)
    if held is None:
        return None
    low, high, part = held
    if low == high:
        return low
    return float(log_bin_middle(low, high)) if middle else low * (1 - part) + high * part


def _quantile_bin(counts: ArrayLike, edges: ArrayLike, q: float) -> tuple[float, float, float] | None:
    """Edges of the bin that holds the quantile q (for values outside, the outermost edge twice), and the share of the bin below the
    quantile.
    """
    held, at = np.asarray(counts, np.float64), np.asarray(edges, np.float64)
    below = np.cumsum(held)
    if not at.size or not below.size or below[-1] <= 0:
        return None
    wanted = min(max(q, 0.0), 1.0) * below[-1]
    filled = np.flatnonzero(held > 0)
    index = int(filled[min(int(np.searchsorted(below[filled], wanted, side="left")), filled.size - 1)])
    if index == 0 or index == at.size:
        edge = float(at[min(index, at.size - 1)])
        return edge, edge, 0.0
    part = min(max((wanted - (below[index] - held[index])) / held[index], 0.0), 1.0)
    return float(at[index - 1]), float(at[index]), float(part)


def median_interval(values: ArrayLike, outside: float = 0.05) -> tuple[float, float, float]:
    """Median and its distribution-free interval by order statistics.

    Parameters
    ----------
    values : ArrayLike
        Values.
    outside : float
        1 - coverage of the interval.

    Returns
    -------
    tuple[float, float, float]
        (median, low, high). The bounds are the extremes if the values are too few; all three are NaN without values.

    References
    ----------
    * David and Nagaraja (2003), Order Statistics.
    """
    from scipy.special import bdtr

    ordered = np.sort(np.asarray(values, np.float64))
    n = len(ordered)
    if n == 0:
        return float("nan"), float("nan"), float("nan")
    place = max(int(np.searchsorted(bdtr(np.arange(n), n, 0.5), outside / 2, side="right")) - 1, 0)
    return float(np.median(ordered)), float(ordered[place]), float(ordered[n - 1 - place])


def quantile_interval(counts: ArrayLike, edges: ArrayLike, q: float, middle: bool = False, effective_n: float | None = None) -> Interval:
    """A quantile with an interval from order statistics. The ranks of its ends leave 1 - confidence of a binomial(n, q) distribution
    outside.

    If too few rows lie beyond a quantile for such a rank, the end is the outermost filled bin, and the coverage is smaller. With `middle`,
    an end is the outer edge of its bin, since the place of a value inside a bin is unknown.

    Parameters
    ----------
    counts : ArrayLike
        Counts, len(edges) + 1 of them.
    edges : ArrayLike
        Increasing edges.
    q : float
        Share of the counts below the quantile.
    middle : bool
        Use the bin's middle (for LOG_EDGES) instead of interpolating.
    effective_n : float | None
        Effective rows where counts are weighted; None for the sum of the counts.

    Returns
    -------
    Interval
    """
    from scipy.special import bdtrik

    value = histogram_quantile(counts, edges, q, middle)
    total = float(np.sum(np.asarray(counts, np.float64)))
    n = total if effective_n is None else effective_n
    if value is None or n <= 0:
        return Interval(None, None, None, 0.0)
    ranks = [q * n, q * n]
    if 1e-12 < q < 1 - 1e-12:
        tail = (1 - CONFIDENCE) / 2
        ranks = [float(np.ceil(bdtrik(tail, n, q))), float(np.ceil(bdtrik(1 - tail, n, q))) + 1]
    first, last = (min(max(rank, 0.0), n) / n for rank in ranks)
    if middle:
        bins = _quantile_bin(counts, edges, first), _quantile_bin(counts, edges, last)
        low, high = (None if bins[0] is None else bins[0][0]), (None if bins[1] is None else bins[1][1])
    else:
        low, high = histogram_quantile(counts, edges, first), histogram_quantile(counts, edges, last)
    return ordered_interval(value, value if low is None else low, value if high is None else high, n)
