"""Compiled loops of stats/binning.py, which release the interpreter's lock.

Importing this module imports numba; `binning.load_compiled_loops` does so when first needed. Compiled code is cached on disk where
the folder of this file or numba's own cache folder is writable.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from observability.stats.arrays import Array, Bools, Floats


def njit_cached(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter's lock, cached on disk where possible."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


@njit_cached
def _bin_of(x: float, edges: Floats, first: Array, origin: float, per_unit: float) -> int:
    """Bin of one value that is not NaN: the number of edges at or below it."""
    last = edges.size
    if last == 0 or x < edges[0]:
        return 0
    if x >= edges[last - 1]:
        return last
    cells = first.size - 3
    place = (x - origin) * per_unit
    if place >= cells:
        cell = cells + 1
    elif place >= 0.0:
        cell = int(place) + 1
    else:
        cell = 0
    low = first[cell]
    high = first[cell + 1]
    while low < high:
        middle = (low + high) // 2
        if edges[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low


@njit_cached
def fill_bin_codes(values: Floats, valid: Bools, edges: Floats, first: Array, origin: float, per_unit: float, out: Array) -> None:
    """Write the code of each value to `out`."""
    masked = valid.size > 0
    for i in range(values.size):
        x = values[i]
        if masked and not valid[i]:
            out[i] = -1
        elif x != x:
            out[i] = -2
        else:
            out[i] = _bin_of(x, edges, first, origin, per_unit)


@njit_cached
def add_bin_counts(
    values: Floats,
    valid: Bools,
    weights: Floats,
    groups: Array,
    edges: Floats,
    first: Array,
    origin: float,
    per_unit: float,
    n: Array,
    w: Floats,
    w2: Floats,
    sums: Floats,
) -> None:
    """Add counts to n, w, w2 (groups × codes) and sums (groups × total, squares, low, high)."""
    masked, weighted, grouped = valid.size > 0, weights.size > 0, groups.size > 0
    for i in range(values.size):
        group = groups[i] if grouped else 0
        if group < 0:
            continue
        x = values[i]
        if masked and not valid[i]:
            entry = 1
        elif x != x:
            entry = 0
        else:
            entry = _bin_of(x, edges, first, origin, per_unit) + 2
        weight = weights[i] if weighted else 1.0
        n[group, entry] += 1
        if weighted:
            w[group, entry] += weight
            w2[group, entry] += weight * weight
        if entry >= 2 and np.isfinite(x):
            sums[group, 0] += weight * x
            sums[group, 1] += weight * x * x
            if x < sums[group, 2]:
                sums[group, 2] = x
            if x > sums[group, 3]:
                sums[group, 3] = x
