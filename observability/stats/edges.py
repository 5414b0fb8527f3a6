"""Bin edges of a reference column.

A bin includes its left edge: with edges e[0] < e[1] < …, bin 0 holds values below e[0], bin i holds [e[i-1], e[i]), and bin len(edges)
holds values at or above e[-1]. e[0] is the reference's minimum and e[-1] the next float after its maximum, so bins 0 and len(edges) are
empty in the reference. The bin of a value is `numpy.searchsorted(edges, values, side="right")`.

Edges are the union of quantiles (for PSI and KS), of equal widths over the winsorised range (for Wasserstein), of tail quantiles, and of
atoms: a value that many rows share gets a bin [v, next float after v) of its own, because rows that move away from an atom would otherwise
show on one side only.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Bools, Floats, Integers

TAIL_SHARE = 0.005
"""Share of the reference beyond each winsorising limit."""
FULL_GROUP_SHARE = 0.1
"""An atom with at least this share fills a decile, so it is a decile group of its own."""
ROWS_AN_OUTLIER, MIN_ROWS = 5000, 500
"""The range of a reference leaves out isolated extreme rows at each end: at most one per ROWS_AN_OUTLIER rows, or one if there are fewer
rows than that. With fewer than MIN_ROWS rows, none are left out.
"""
ISOLATED = 0.25
"""An extreme row is isolated if it is farther from the next value than this share of the winsorised range."""
SMALLEST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class NumericEdges:
    """Bins of a numeric column. All arrays but `edges` have one entry per bin, len(edges) + 1 of them; all are empty without finite
    values.

    edges: float64, strictly increasing, finite. deciles: reference decile group of each bin (0, 1, …; a heavy atom is a group of its
    own). positions: mean of the reference inside the bin, or its middle if the reference is empty (e[0] and e[-1] for the outer
    bins). counts: the reference's own counts. atoms: values that have a bin of their own. low, high: winsorising limits. lowest,
    highest: the reference's range without isolated outliers (`typical_range`), both on edges. scale: standard deviation of the
    winsorised reference (0 for a constant, None without values). n: finite values.
    """

    edges: Floats
    deciles: Integers
    positions: Floats
    counts: Integers
    atoms: tuple[float, ...]
    low: float | None
    high: float | None
    scale: float | None
    n: int
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True)
class CategoryLevels:
    """Levels of a categorical column, most frequent first, ties alphabetical, and the count of each.

    other: number of rows whose level was beyond the limit (they count as unseen). n: number of rows that were not null.
    """

    levels: tuple[str, ...]
    counts: tuple[int, ...]
    other: int
    n: int


def next_float(value: float) -> float:
    """Next float above a value, skipping denormal floats, which some libraries flush to zero; for the largest float, the float itself.

    Parameters
    ----------
    value : float
        A float.

    Returns
    -------
    float
    """
    following = math.nextafter(value, math.inf)
    if following == math.inf:
        return float(value)
    if 0 < abs(following) < SMALLEST:
        return SMALLEST if value >= 0 else 0.0
    return following


def atom_bins(edges: ArrayLike) -> Bools:
    """Mask of the bins that hold a single value.

    Parameters
    ----------
    edges : ArrayLike
        Increasing edges.

    Returns
    -------
    Bools
        len(edges) + 1 entries.
    """
    lower = np.asarray(edges, np.float64)
    mask = np.zeros(lower.size + 1 if lower.size else 0, bool)
    if lower.size > 1:
        following = np.nextafter(lower[:-1], np.inf)
        following[np.isinf(following)] = lower[:-1][np.isinf(following)]
        tiny = (following != 0) & (np.abs(following) < SMALLEST)
        mask[1:-1] = np.where(tiny, np.where(lower[:-1] >= 0, SMALLEST, 0.0), following) >= lower[1:]
    return mask


def numeric_edges(values: ArrayLike, *, quantiles: int = 50, widths: int = 50, tails: int = 16, atom_share: float = 0.01) -> NumericEdges:
    """Edges for a numeric column from its reference values.

    A column of at most quantiles + widths different values, each occurring twice or more on average, gets a bin for each value:
    every distance is then exact. Otherwise there are about quantiles + widths + tails bins, plus those of atoms: the mode, values
    with at least `atom_share` of the mass, and zero where it lies inside the range.

    Parameters
    ----------
    values : ArrayLike
        Reference values in any order; NaN (null) and infinities are left out.
    quantiles : int
        Bins of equal mass.
    widths : int
        Bins of equal width over the winsorised range.
    tails : int
        Bins of tail quantiles.
    atom_share : float
        Share of the mass from which a value is an atom.

    Returns
    -------
    NumericEdges
    """
    finite = np.asarray(values, np.float64).ravel()
    finite = np.sort(finite[np.isfinite(finite)]) + 0.0
    if not finite.size:
        empty = np.empty(0)
        return NumericEdges(empty, empty.astype(np.int64), empty, empty.astype(np.int64), (), None, None, None, 0)
    distinct, times = np.unique(finite, return_counts=True)
    low, high = _winsorising_limits(finite)
    lowest, highest = typical_range(finite, low, high)
    discrete = distinct.size <= quantiles + widths and (2 * distinct.size <= finite.size or distinct.size == 1)
    atoms = distinct if discrete else distinct[_atom_mask(distinct, times, atom_share)]
    deciles = np.quantile(finite, np.arange(1, 10) / 10, method="higher")
    heavy = distinct[times >= FULL_GROUP_SHARE * finite.size]
    cuts = np.unique(np.concatenate([deciles, heavy, [next_float(v) for v in heavy]]))
    parts = [finite[:1], [next_float(finite[-1]), lowest, next_float(highest)], atoms, [next_float(v) for v in atoms], cuts]
    if not discrete:
        shares = TAIL_SHARE * 0.5 ** np.arange(tails // 2)
        parts += [
            np.quantile(finite, np.arange(1, quantiles) / quantiles, method="higher"),
            np.quantile(finite, np.concatenate([shares, 1 - shares]), method="higher"),
            _even_points(low, high, widths),
        ]
    edges = np.unique(np.concatenate([np.asarray(part, np.float64) for part in parts]))
    edges = edges[(edges >= finite[0]) & (edges <= next_float(finite[-1]))]
    counts = np.diff(np.searchsorted(finite, edges, side="left"), prepend=0, append=finite.size).astype(np.int64)
    groups = np.searchsorted(cuts, edges, side="right")
    return NumericEdges(
        edges=edges,
        deciles=np.concatenate([[0], groups]).astype(np.int64),
        positions=_bin_means(finite, edges, counts),
        counts=counts,
        atoms=tuple(float(v) for v in atoms),
        low=low,
        high=high,
        scale=_standard_deviation(np.clip(finite, low, high)),
        n=int(finite.size),
        lowest=lowest,
        highest=highest,
    )


def typical_range(ordered: Floats, low: float, high: float) -> tuple[float, float]:
    """Smallest and largest value without isolated outliers (at each end one row in 5,000, at least one).

    Parameters
    ----------
    ordered : Floats
        Finite values in increasing order, at least one.
    low : float
        Lower winsorising limit.
    high : float
        Upper winsorising limit.

    Returns
    -------
    tuple[float, float]
        The extremes themselves if they are not isolated, or if there are too few values.
    """
    most = max(ordered.size // ROWS_AN_OUTLIER, 1) if ordered.size >= MIN_ROWS and low < high else 0
    apart = ISOLATED * (high / 2 - low / 2) * 2
    if not most or not np.isfinite(apart):
        return float(ordered[0]), float(ordered[-1])
    below = np.flatnonzero(ordered[1 : most + 1] - ordered[:most] > apart)
    above = np.flatnonzero(ordered[-most:] - ordered[-most - 1 : -1] > apart)
    first = int(below[-1]) + 1 if below.size else 0
    last = ordered.size - 1 - (most - int(above[0]) if above.size else 0)
    return float(ordered[first]), float(ordered[last])


def _atom_mask(distinct: Floats, times: Integers, atom_share: float) -> Bools:
    """Mask of the distinct values that are atoms: values with at least `atom_share` of the rows, the mode if values repeat, and zero."""
    n = times.sum()
    mask = times >= max(2.0, atom_share * n)
    mode = times == np.max(times)
    if mode.sum() == 1 and np.max(times) >= max(2.0, 0.1 * atom_share * n):
        mask |= mode
    return np.asarray(mask | (distinct == 0), bool)


def _winsorising_limits(ordered: Floats) -> tuple[float, float]:
    """Limits that leave TAIL_SHARE outside on each side; the extremes if all values between them are equal (rare events)."""
    low, high = np.quantile(ordered, [TAIL_SHARE, 1 - TAIL_SHARE], method="nearest")
    return (float(low), float(high)) if low < high else (float(ordered[0]), float(ordered[-1]))


def _even_points(low: float, high: float, parts: int) -> Floats:
    """Parts + 1 points from low to high, with exact ends and without overflow for the largest floats."""
    step = np.arange(parts + 1) / parts
    return np.clip(low * (1 - step) + high * step, low, high)


def _standard_deviation(values: Floats) -> float:
    """Population standard deviation, without overflow for the largest floats."""
    size = float(np.abs(values).max())
    if size == 0 or values[0] == values[-1]:
        return 0.0
    return float(np.std(values / size) * size)


def _bin_means(ordered: Floats, edges: Floats, counts: Integers) -> Floats:
    """Mean of the ordered values inside each bin; for an empty bin its middle, for an empty outer bin the nearest edge."""
    lower, upper = np.concatenate([edges[:1], edges]), np.concatenate([edges, edges[-1:]])
    middle = lower / 2 + upper / 2
    bins = np.repeat(np.arange(counts.size), counts)
    means = np.bincount(bins, ordered / counts[bins], counts.size)
    return np.clip(np.where(counts > 0, means, middle), lower, upper)


def category_levels(values: Iterable[object], limit: int = 200) -> CategoryLevels:
    """Levels of a categorical or boolean column, most frequent first and ties alphabetical.

    Parameters
    ----------
    values : Iterable[object]
        Values; None and NaN are left out.
    limit : int
        Largest number of levels.

    Returns
    -------
    CategoryLevels
    """
    times = Counter(level_label(value) for value in values)
    times.pop(None, None)
    ranked = sorted(((name, count) for name, count in times.items() if name is not None), key=lambda each: (-each[1], each[0]))
    kept = ranked[:limit]
    total = sum(count for _, count in ranked)
    return CategoryLevels(
        levels=tuple(name for name, _ in kept),
        counts=tuple(count for _, count in kept),
        other=total - sum(count for _, count in kept),
        n=total,
    )


def level_label(value: object) -> str | None:
    """Text of a level: true and false for booleans, else str(value).

    Parameters
    ----------
    value : object
        Value of a categorical column.

    Returns
    -------
    str | None
        None for null (None, NaN, pandas' NA and NaT).
    """
    if isinstance(value, str):
        return value
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(value)
