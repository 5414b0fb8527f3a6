"""Finds slices whose main loss is worse than that of the other rows, whether or not it changed.

The search tests whether slices changed beyond seasonal variation (stats/slices.py). This module tests the level itself: a slice whose
errors are significantly larger than elsewhere is reported even if this was always so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, stdtr

from observability.core.analyzer import Context
from observability.detection.slice_claims import SearchedSlices, size_of, slice_limits
from observability.detection.slice_past import side_of, slice_days
from observability.metrics.slice_rows import TargetSpec
from observability.stats.multiple_testing import benjamini_yekutieli
from observability.stats.slice_moments import Floats
from observability.stats.slices import MIN_ROWS, ChangedSlice, change_coverage, is_own_change, search_slices

SURE = 0.05
"""A slice is worse than the rest if its adjusted p-value is at most this."""
ALL = 10_000


@dataclass(frozen=True)
class WeakSlices:
    """worse: slices whose main loss is significantly worse than in the other rows, largest excess first; beyond: those beyond the limit for
    `act`; spec: the loss. Without a labelled loss, both are empty and spec is None.

    before and rest_before of a slice are set only if the baseline has enough rows of the slice. p_adjusted is the p-value of the excess
    over the other rows.
    """

    worse: tuple[ChangedSlice, ...] = ()
    beyond: tuple[ChangedSlice, ...] = ()
    spec: TargetSpec | None = None


def weak_slices(held: SearchedSlices, context: Context) -> WeakSlices:
    """Return the weak slices of a search."""
    target = next((each for each in held.targets if held.specs[each.name].labelled), None)
    if target is None:
        return WeakSlices()
    spec = held.specs[target.name]
    peers = replace(target, before=np.empty(0))
    singles = search_slices(held.cuts, [peers], slice_days(held.now), pairs=False, most=0, listed=ALL).single[target.name]
    allowed = [slice_limits(spec, context)[1] * (abs(each.rest_now.mean) if spec.relative else 1.0) for each in singles]
    order = sorted(zip(singles, allowed, strict=True), key=lambda pair: (-spec.worse * pair[0].excess, pair[0].conditions))
    worse = adjusted_p_values([excess_p_value(each, spec) for each, _ in order])
    beyond = adjusted_p_values([excess_p_value(each, spec, least) for each, least in order])
    known = [with_baseline(replace(each, p_adjusted=p), held, target.before) for (each, _), p in zip(order, worse, strict=True)]
    return WeakSlices(
        tuple(each for each in known if each.p_adjusted <= SURE),
        tuple(each for each, p in zip(known, beyond, strict=True) if p <= SURE),
        spec,
    )


def adjusted_p_values(p_values: list[float]) -> list[float]:
    """Return the p-values, adjusted for the number of tests (Benjamini and Yekutieli)."""
    adjust = benjamini_yekutieli(np.array(p_values), max(len(p_values), 1))
    return [adjust(p) for p in p_values]


def excess_p_value(found: ChangedSlice, spec: TargetSpec, least: float = 0.0) -> float:
    """Return the one-sided p-value of the hypothesis that the excess over the rest is at most `least`; its error includes rows and days."""
    if found.error <= 0:
        return 1.0
    score = -(spec.worse * found.excess - least) / found.error
    return float(ndtr(score) if np.isinf(found.freedom) else stdtr(found.freedom, score))


def with_baseline(found: ChangedSlice, held: SearchedSlices, before: Floats) -> ChangedSlice:
    """Return a slice that was compared only with the rest, with baseline values added if the baseline has enough rows of both."""
    ((name, level),) = found.conditions
    cut = next(each for each in held.cuts if each.name == name)
    inside = cut.before == cut.levels.index(level)
    sides = side_of(before, inside), side_of(before, ~inside)
    return replace(found, before=sides[0], rest_before=sides[1]) if min(each.n for each in sides) >= MIN_ROWS else found


def newly_weak_slices(weak: WeakSlices, named: Iterable[tuple[tuple[str, str], ...]], context: Context) -> list[ChangedSlice]:
    """Return the slices beyond the limit that also became significantly worse than in the baseline, except those that the search named.

    named: conditions of the slices that the search named. In the returned slices, the excess is their change beyond the change of the rest.
    """
    if weak.spec is None:
        return []
    taken = [set(conditions) for conditions in named]
    found = []
    for each in weak.beyond:
        if each.before is None or each.rest_before is None or any(taken_by & set(each.conditions) for taken_by in taken):
            continue
        excess = each.change - each.rest_change
        error = float(np.sqrt(each.error**2 + each.before.variance / each.before.n + each.rest_before.variance / each.rest_before.n))
        changed = replace(each, excess=excess, low=excess - 1.96 * error, high=excess + 1.96 * error, error=error)
        sure = excess_p_value(changed, weak.spec) * len(weak.beyond) <= SURE
        if sure and is_own_change(changed) and size_of(changed, weak.spec) >= slice_limits(weak.spec, context)[0]:
            found.append(replace(changed, coverage=change_coverage(changed)))
    return found
