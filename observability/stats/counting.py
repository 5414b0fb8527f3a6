"""How many values are in each bin, when nothing but counts is asked?

The same bins as stats/binning.py, about four times as fast on many rows, because no sums are kept and the look-up table is finer.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.stats.binning import COMPILE_FROM, SPECIALS, BinPlan, bin_plan, histogram_numbers, load_compiled

CELLS = 4096
"""Cells of the look-up table: nearly every one holds at most one edge, and 16 kB stay in the processor's first cache."""


@dataclass(frozen=True)
class FinePlan:
    """A plan with a fine look-up table. padded: its edges with two infinities behind them, so that two can be compared at once."""

    plan: BinPlan
    padded: NDArray[np.float64]

    @property
    def bins(self) -> int:
        """len(edges) + 1."""
        return self.plan.bins


@functools.lru_cache(maxsize=1024)
def fine_plan(edges: tuple[float, ...]) -> FinePlan:
    """The plan of a column's edges, made once."""
    plan = bin_plan(edges, CELLS)
    return FinePlan(plan, np.concatenate([plan.edges, [np.inf, np.inf]]))


def count_bins(
    values: NDArray[np.float64],
    fine: FinePlan,
    valid: NDArray[np.bool_] | None = None,
    groups: NDArray[np.int64] | None = None,
    group_count: int = 1,
    cells: int | None = None,
) -> NDArray[np.int64]:
    """Counts of shape (groups, bins + 2): NaN, null, bin 0, bin 1, …

    valid: mask, None where all are valid. groups: group of each row from 0, a negative one leaves it out; None: all are in group 0.
    cells: how many values are counted altogether, of other columns as well, which says whether compiling pays.
    """
    plan = fine.plan
    loop = loaded(values.size if cells is None else cells)
    if loop is None:
        found = histogram_numbers(values, plan, None, valid, groups, group_count)
        return found.n if groups is not None else found.n.reshape(1, -1)
    n = np.zeros((group_count, plan.bins + SPECIALS), np.int64)
    none, all_valid = np.empty(0, np.int64), np.empty(0, np.bool_)
    loop(
        values,
        all_valid if valid is None else valid,
        none if groups is None else groups,
        fine.padded,
        plan.first,
        plan.origin,
        plan.per_unit,
        n,
    )
    return n


def loaded(size: int) -> Callable[..., None] | None:
    """The compiled loop, None where numba is missing or so few values do not pay for importing it."""
    return compiled_loop() if size >= COMPILE_FROM or compiled_loop.cache_info().currsize else None


@functools.lru_cache(maxsize=1)
def compiled_loop() -> Callable[..., None] | None:
    """The compiled loop, imported once; None where numba cannot be imported."""
    if load_compiled() is None:
        return None
    from observability.stats import counting_compiled

    return counting_compiled.count_only  # type: ignore[no-any-return]  # numba's decorator has no types
