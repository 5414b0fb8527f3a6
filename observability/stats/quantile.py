"""Which quantile does a histogram give, how sure is it, and on which bins is latency kept?

Histograms have len(edges) + 1 counts, closed on the left (stats/edges.py); what lies outside the edges counts as lying on them.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.interval import Interval, interval

RELATIVE_ERROR = 0.02
"""How far a quantile from LOG_EDGES can be off, as a share of the exact one (inside the edges)."""


def log_edges(low: float = 0.01, high: float = 1e7, relative_error: float = RELATIVE_ERROR) -> NDArray[np.float64]:
    """Edges in constant ratio (1 + ε) / (1 - ε) from low to high or just beyond, so that the middle of a bin is within ε of all in it.

    The bins of DDSketch (Masson, Rim and Lee 2019).
    """
    if not 0 < low < high or not 0 < relative_error < 1:
        raise ValueError(f"need 0 < low < high and 0 < relative_error < 1, got {low}, {high}, {relative_error}")
    step = np.log1p(relative_error) - np.log1p(-relative_error)
    count = int(np.ceil(np.log(high / low) / step - 1e-9))
    return np.asarray(low * np.exp(step * np.arange(count + 1)), np.float64)


LOG_EDGES = log_edges()
"""The fixed edges of latencies in milliseconds: 0.01 ms to 10,000 s, quantiles within 2 % (bins of bin_middle)."""
LOG_EDGES.setflags(write=False)


def bin_middle(low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
    """The value 2ab / (a + b) of a bin [a, b) of positive numbers, whose relative error is the same at both ends."""
    a, b = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return np.asarray(2 * a * b / (a + b), np.float64)


def histogram_quantile(counts: ArrayLike, edges: ArrayLike, q: float, middle: bool = False) -> float | None:
    """The value below which a share q of the counts lies: straight inside a bin, or with `middle` (for LOG_EDGES) the bin's middle.

    None without counts or edges. Monotone in q, always within the edges.
    """
    held = held_at(counts, edges, q)
    if held is None:
        return None
    low, high, part = held
    if low == high:
        return low
    return float(bin_middle(low, high)) if middle else low * (1 - part) + high * part


def held_at(counts: ArrayLike, edges: ArrayLike, q: float) -> tuple[float, float, float] | None:
    """The bin that holds the quantile q, as its two edges (the outermost edge twice, for what lies outside), and the share of it below the quantile."""
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


def quantile_interval(
    counts: ArrayLike, edges: ArrayLike, q: float, middle: bool = False, effective_n: float | None = None, confidence: float = 0.95
) -> Interval:
    """A quantile with the interval of order statistics: ranks that a binomial(n, q) leaves outside in 1 - confidence of the cases.

    Where too few rows lie beyond a quantile for such a rank, the end is the outermost filled bin and the coverage smaller. With `middle` an
    end is the outer edge of its bin: where in a bin a value lies is not known. effective_n: in
    place of the sum of counts, where they are weighted.
    """
    from scipy.special import bdtrik

    value = histogram_quantile(counts, edges, q, middle)
    total = float(np.sum(np.asarray(counts, np.float64)))
    n = total if effective_n is None else effective_n
    if value is None or n <= 0:
        return Interval(None, None, None, 0.0)
    ranks = [q * n, q * n]
    if 1e-12 < q < 1 - 1e-12:
        tail = (1 - confidence) / 2
        ranks = [float(np.ceil(bdtrik(tail, n, q))), float(np.ceil(bdtrik(1 - tail, n, q))) + 1]
    first, last = (min(max(rank, 0.0), n) / n for rank in ranks)
    if middle:
        bins = held_at(counts, edges, first), held_at(counts, edges, last)
        low, high = (None if bins[0] is None else bins[0][0]), (None if bins[1] is None else bins[1][1])
    else:
        low, high = histogram_quantile(counts, edges, first), histogram_quantile(counts, edges, last)
    return interval(value, value if low is None else low, value if high is None else high, n)
