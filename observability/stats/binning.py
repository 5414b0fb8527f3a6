"""Bin code of each value, and weighted counts by bin.

Bins are closed on the left (stats/edges.py). Codes are 0 … len(edges) for bins, -1 for null and -2 for NaN; infinities are in the outer
bins. Nulls are marked by a mask of valid rows, and are separate from NaN. A `BinPlan` is made once per column and used block after block.

Large blocks are binned by compiled loops (numba, imported when first needed): they look up a cell of an equal-width table, then step among
the few edges inside it. Small blocks, and machines without numba, use numpy's binary search. Both give the same counts.
"""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.arrays import Bools, Floats, Integers

NULL, NAN = -1, -2
SPECIALS = 2
"""Number of negative codes: entry `code + SPECIALS` of a histogram's arrays is the count of `code`."""
Loop = Callable[..., None]
MAX_EDGES = 32_767
COMPILE_FROM = 200_000
"""Number of values from which compiling the loops, or loading compiled ones, saves time. For fewer values numpy is used, unless the loops
are already loaded.
"""
WORTH_THREADS = 20_000
"""Number of values from which threads are faster, because starting threads takes as long as binning this many values."""


@dataclass(frozen=True)
class BinPlan:
    """Edges of a column and the look-up table over them.

    Cell of x: 0 if (x - origin) × per_unit < 0, 1 … cells inside, cells + 1 beyond. first[c] is the number of edges in cells
    below c, so the bin of a value in cell c lies in first[c] … first[c + 1]. Rounding cannot misplace a value, since the cell is
    monotone in x.
    """

    edges: Floats
    first: NDArray[np.int32]
    origin: float
    per_unit: float

    @property
    def bins(self) -> int:
        """The number of bins, which is one more than the number of edges."""
        return int(self.edges.size) + 1


@dataclass(frozen=True)
class Histogram:
    """Counts of one column. All arrays end in an axis of bins + 2 entries, [NaN, null, bin 0, bin 1, …]; with groups, the first axis is
    the group.

    n: rows. w, w2: Σ weight and Σ weight² (None without weights: both are n then). total, squares, low, high: Σwx, Σwx², minimum and
    maximum of the finite values, one per group (low is inf and high -inf if there are none).
    """

    n: Integers
    w: Floats | None
    w2: Floats | None
    total: Floats
    squares: Floats
    low: Floats
    high: Floats

    @property
    def counts(self) -> Integers:
        """Rows in each bin, without null and NaN."""
        return self.n[..., SPECIALS:]

    @property
    def nulls(self) -> Integers:
        """The number of rows that were null."""
        return np.asarray(self.n[..., NULL + SPECIALS])

    @property
    def nans(self) -> Integers:
        """The number of rows that were NaN."""
        return np.asarray(self.n[..., NAN + SPECIALS])


def bin_plan(edges: ArrayLike, cells: int = 1024) -> BinPlan:
    """Look-up plan for increasing, finite edges; without edges every number is in bin 0.

    The outer tenth of the edges on each side may be far out, so the table leaves it out. For values there, the edges are searched.

    Parameters
    ----------
    edges : ArrayLike
        Increasing finite edges.
    cells : int
        Cells of the look-up table.

    Returns
    -------
    BinPlan

    Raises
    ------
    ValueError
        The edges are not finite and increasing, or too many for 16-bit codes.
    """
    array = np.ascontiguousarray(edges, np.float64)
    if array.size and not (np.isfinite(array).all() and (array[1:] > array[:-1]).all()):
        raise ValueError("edges must be finite and strictly increasing")
    if array.size > MAX_EDGES:
        raise ValueError(f"{array.size} edges; codes are 16 bits wide and allow {MAX_EDGES}")
    outer = array.size // 10
    origin, end = (float(array[outer]), float(array[-1 - outer])) if array.size else (0.0, 0.0)
    with np.errstate(over="ignore"):
        whole = bool(array.size) and bool(np.isfinite(array[-1] - array[0]))
    per_unit = cells / (end - origin) if whole and end - origin > cells * np.finfo(np.float64).tiny else 0.0
    if per_unit == 0.0:
        origin = 0.0
    with np.errstate(over="ignore"):
        place = np.clip((array - origin) * per_unit, -1, cells)
    cell = np.where(place >= 0, place.astype(np.int64) + 1, 0)
    first = np.searchsorted(cell, np.arange(cells + 3), side="left").astype(np.int32)
    return BinPlan(array, first, origin, per_unit)


def bin_numbers(values: ArrayLike, edges: ArrayLike | BinPlan, valid: ArrayLike | None = None) -> NDArray[np.int16]:
    """Code of each value: its bin, -1 for null (not valid), -2 for NaN.

    Parameters
    ----------
    values : ArrayLike
        Values of the column.
    edges : ArrayLike | BinPlan
        Increasing finite edges, or a plan of them.
    valid : ArrayLike | None
        Mask of the rows that are not null; None if all are valid.

    Returns
    -------
    NDArray[np.int16]
    """
    plan = edges if isinstance(edges, BinPlan) else bin_plan(edges)
    array, mask = _values_and_mask(values, valid)
    codes = np.empty(array.size, np.int16)
    fill, _ = compiled_bin_loops(array.size) or (_numpy_codes, _numpy_counts)
    fill(array, mask, plan.edges, plan.first, plan.origin, plan.per_unit, codes)
    return codes


def histogram_numbers(
    values: ArrayLike,
    edges: ArrayLike | BinPlan,
    weights: ArrayLike | None = None,
    valid: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    group_count: int | None = None,
) -> Histogram:
    """Counts of one column by bin, and by group where groups are given.

    Parameters
    ----------
    values : ArrayLike
        Values of the column.
    edges : ArrayLike | BinPlan
        Increasing finite edges, or a plan of them.
    weights : ArrayLike | None
        Weight of each row; None for 1.
    valid : ArrayLike | None
        Mask of the rows that are not null; None if all are valid.
    groups : ArrayLike | None
        Group of each row, from 0; negative groups are left out. None: one group.
    group_count : int | None
        Number of groups; None: the largest group plus 1.

    Returns
    -------
    Histogram
    """
    plan = edges if isinstance(edges, BinPlan) else bin_plan(edges)
    array, mask = _values_and_mask(values, valid)
    weight = np.empty(0) if weights is None else np.ascontiguousarray(weights, np.float64)
    group = np.empty(0, np.int64) if groups is None else np.ascontiguousarray(groups, np.int64)
    size = 1 if groups is None else group_count if group_count is not None else int(np.max(group, initial=-1)) + 1
    width = plan.bins + SPECIALS
    n = np.zeros((size, width), np.int64)
    w, w2 = np.zeros((2, size, width if weights is not None else 0))
    sums = np.zeros((size, 4))
    sums[:, 2], sums[:, 3] = np.inf, -np.inf
    _, count = compiled_bin_loops(array.size) or (_numpy_codes, _numpy_counts)
    count(array, mask, weight, group, plan.edges, plan.first, plan.origin, plan.per_unit, n, w, w2, sums)
    pick: Callable[[Any], Any] = (lambda each: each[0]) if groups is None else (lambda each: each)
    return Histogram(
        n=pick(n),
        w=None if weights is None else pick(w),
        w2=None if weights is None else pick(w2),
        total=np.asarray(pick(sums[:, 0])),
        squares=np.asarray(pick(sums[:, 1])),
        low=np.asarray(pick(sums[:, 2])),
        high=np.asarray(pick(sums[:, 3])),
    )


def histogram_columns(
    columns: Sequence[tuple[ArrayLike, ArrayLike | None, ArrayLike | BinPlan]],
    threads: int = 2,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    group_count: int | None = None,
) -> list[Histogram]:
    """Histograms of several columns of the same rows, computed in parallel threads.

    Parameters
    ----------
    columns : Sequence[tuple[ArrayLike, ArrayLike | None, ArrayLike | BinPlan]]
        (values, valid or None, edges or plan) of each column.
    threads : int
        Number of threads.
    weights : ArrayLike | None
        Weight of each row; None for 1.
    groups : ArrayLike | None
        Group of each row, from 0; negative groups are left out. None: one group.
    group_count : int | None
        Number of groups; None: the largest group plus 1.

    Returns
    -------
    list[Histogram]
        One histogram per column.
    """
    size = sum(np.size(values) for values, _, _ in columns)
    compiled_bin_loops(size)

    def one(column: tuple[ArrayLike, ArrayLike | None, ArrayLike | BinPlan]) -> Histogram:
        values, valid, edges = column
        return histogram_numbers(values, edges, weights, valid, groups, group_count)

    if threads <= 1 or len(columns) <= 1 or size < WORTH_THREADS:
        return [one(column) for column in columns]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, columns))


def _values_and_mask(values: ArrayLike, valid: ArrayLike | None) -> tuple[Floats, Bools]:
    """Values as float64, and the mask of valid rows (empty if all rows are valid)."""
    array = np.ascontiguousarray(values, np.float64).ravel()
    mask = np.empty(0, bool) if valid is None else np.ascontiguousarray(valid, bool).ravel()
    if valid is not None and mask.size != array.size:
        raise ValueError(f"{array.size} values and {mask.size} entries of the mask")
    return array, mask


def _numpy_codes(
    values: Floats, valid: Bools, edges: Floats, first: NDArray[np.int32], origin: float, per_unit: float, codes: NDArray[np.int16]
) -> None:
    """Write codes to `codes` by binary search; the compiled loop with the same arguments gives the same result."""
    codes[:] = np.searchsorted(edges, values, side="right")
    codes[np.isnan(values)] = NAN
    if valid.size:
        codes[~valid] = NULL


def _numpy_counts(
    values: Floats,
    valid: Bools,
    weights: Floats,
    groups: Integers,
    edges: Floats,
    first: NDArray[np.int32],
    origin: float,
    per_unit: float,
    n: Integers,
    w: Floats,
    w2: Floats,
    sums: Floats,
) -> None:
    """Add counts to n, w, w2 (groups × codes) and sums (groups × total, squares, low, high), in the same way as the compiled loop."""
    codes = np.empty(values.size, np.int16)
    _numpy_codes(values, valid, edges, first, origin, per_unit, codes)
    group = groups if groups.size else np.zeros(values.size, np.int64)
    weight = weights if weights.size else np.ones(values.size)
    kept = group >= 0
    if not kept.all():
        values, codes, group, weight = values[kept], codes[kept], group[kept], weight[kept]
    flat = group * n.shape[1] + codes + SPECIALS
    n += np.bincount(flat, minlength=n.size).reshape(n.shape)
    if weights.size:
        w += np.bincount(flat, weight, n.size).reshape(n.shape)
        w2 += np.bincount(flat, weight**2, n.size).reshape(n.shape)
    finite = (codes >= 0) & np.isfinite(values)
    x, group, weight = values[finite], group[finite], weight[finite]
    with np.errstate(over="ignore"):
        sums[:, 0] += np.bincount(group, weight * x, len(sums))
        sums[:, 1] += np.bincount(group, weight * x * x, len(sums))
    np.minimum.at(sums[:, 2], group, x)
    np.maximum.at(sums[:, 3], group, x)


def compiled_bin_loops(size: int) -> tuple[Loop, Loop] | None:
    """Compiled loops (codes, counts) for a block of `size` values.

    Parameters
    ----------
    size : int
        Values to bin.

    Returns
    -------
    tuple[Loop, Loop] | None
        None if numba is missing, or the block is too small to import it for.
    """
    return load_compiled_loops() if size >= COMPILE_FROM or load_compiled_loops.cache_info().currsize else None


@functools.lru_cache(maxsize=1)
def load_compiled_loops() -> tuple[Loop, Loop] | None:
    """Import numba and the loops once.

    Returns
    -------
    tuple[Loop, Loop] | None
        None if numba cannot be imported.
    """
    try:
        from observability.stats import binning_compiled
    except ImportError:
        return None
    return binning_compiled.fill_bin_codes, binning_compiled.add_bin_counts
