"""Compiled loop that counts rows by bin without sums and weights, in a third of the time of binning_compiled.add_bin_counts.

Importing this module imports numba; counting.py does so when it saves time.
"""

from observability.stats.arrays import Array, Bools, Floats
from observability.stats.binning_compiled import njit_cached

AT_ONCE = 2
"""Number of edges in a cell that are compared without a branch; a cell with more edges is searched by bisection."""


@njit_cached
def count_only(values: Floats, valid: Bools, groups: Array, edges: Floats, first: Array, origin: float, per_unit: float, n: Array) -> None:
    """Add counts to n (groups × codes: NaN, null, bin 0, bin 1, …). An empty `valid` means that all rows are valid, an empty `groups` that
    there is one group.

    edges: bin edges, followed by AT_ONCE infinities. first: see binning.BinPlan.
    """
    masked, grouped = valid.size > 0, groups.size > 0
    cells, last = first.size - 3, edges.size - AT_ONCE
    group = 0
    for i in range(values.size):
        if grouped:
            group = groups[i]
            if group < 0:
                continue
        if masked and not valid[i]:
            n[group, 1] += 1
            continue
        x = values[i]
        place = (x - origin) * per_unit
        if 0.0 <= place < cells:
            cell = int(place) + 1
            low = first[cell]
            high = first[cell + 1]
            if high - low <= AT_ONCE:
                n[group, low + (edges[low] <= x) + (edges[low + 1] <= x) + 2] += 1
                continue
        elif x != x:
            n[group, 0] += 1
            continue
        elif last == 0 or x < edges[0]:
            low, high = 0, 0
        elif x >= edges[last - 1]:
            low, high = last, last
        else:
            cell = 0 if place < 0.0 else cells + 1
            low = first[cell]
            high = first[cell + 1]
        while low < high:
            middle = (low + high) // 2
            if edges[middle] <= x:
                low = middle + 1
            else:
                high = middle
        n[group, low + 2] += 1
