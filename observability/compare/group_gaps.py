"""Compute how the gaps between groups change from one side to the other.

The largest gap of each criterion is compared on the groups that are large enough on both sides. A largest gap is above zero by chance
alone, and more so with fewer rows, so its change is not tested directly. Instead, the two groups that differ most on one side are taken,
and the test is whether their gap is different on the other side, corrected for the number of pairs of groups.
"""

from dataclasses import replace

import numpy as np

from observability.compare.difference import AskEngine, Difference, unavailable_difference
from observability.core.catalog import Model, Version
from observability.core.metric_definitions import METRICS
from observability.core.window import Window
from observability.detection.fairness_criteria import (
    CRITERIA,
    EQUAL_ACCURACY,
    EQUAL_ERROR,
    Criterion,
    enough_for,
    gap_growth_p_value,
    overall_value,
    spread_of,
)
from observability.detection.group_changes import RELATIVE, WATCH
from observability.metrics.groups import (
    MINIMUM_OF_CLASS,
    Attribute,
    Bools,
    GroupMetrics,
    group_metrics,
    group_question,
    sensitive_attributes,
)
from observability.stats.difference_intervals import difference_interval
from observability.stats.group import GroupSpread
from observability.stats.interval import Interval


def group_gap_differences(
    ask: AskEngine, model: Model, a: Window, b: Window, version: Version | None, young: str | None
) -> list[Difference]:
    """One difference for each sensitive attribute and criterion.

    young: the reason why criteria that need labels have no verdict, or None.
    """
    found = []
    for attribute in sensitive_attributes(model, version) if model.task else ():
        now, then = _aligned_groups(ask, model, a, b, attribute)
        for criterion in _task_criteria(model):
            each = _gap_difference(attribute, criterion, now, then)
            by_labels = criterion.rates != ("selection_rate",)
            if young and by_labels and each.why is None:
                each = replace(each, why=young)
            found.append(each)
    return found


def _task_criteria(model: Model) -> list[Criterion]:
    """The fairness criteria of the model's task."""
    if model.task == "binary":
        return list(CRITERIA.values())
    return [EQUAL_ERROR if model.task == "regression" else EQUAL_ACCURACY]


def _aligned_groups(ask: AskEngine, model: Model, a: Window, b: Window, attribute: Attribute) -> tuple[GroupMetrics, GroupMetrics]:
    """The groups of both sides, aligned so that a group has the same index on each side."""
    asked = group_question(model, [attribute])
    now, then = (group_metrics(model, ask(asked, window), [attribute]) for window in (a, b))
    levels = [*now.levels, *(each for each in then.levels if each not in now.levels)]
    return now.aligned(levels), then.aligned(levels)


def _gap_difference(attribute: Attribute, criterion: Criterion, now: GroupMetrics, then: GroupMetrics) -> Difference:
    """The difference in the largest gap of one criterion between both sides."""
    unit = METRICS[criterion.metric].unit
    keep = np.asarray(enough_for(now, criterion) & enough_for(then, criterion), np.bool_) if now.levels else np.zeros(0, np.bool_)
    if keep.sum() < 2:
        why = f"fewer than two groups have {MINIMUM_OF_CLASS} rows of what it counts on both sides"
        return unavailable_difference("fairness", attribute.name, criterion.metric, unit, why)
    one, other = spread_of(criterion, now, keep), spread_of(criterion, then, keep)
    sides = _spread_interval(one), _spread_interval(other)
    least = WATCH if not criterion.relative else RELATIVE[0] * overall_value(then, criterion.rates[0])
    chances = [_gap_growth_p_value(criterion, *pair, keep) for pair in ((now, then), (then, now))]
    rates = {
        rate: [[name, float(now.metrics[rate].value[place]), float(then.metrics[rate].value[place])]
               for place, name in enumerate(now.names) if keep[place]][:32]
        for rate in criterion.rates
    }  # fmt: skip
    return Difference(
        "fairness", attribute.name, criterion.metric, unit, sides[0], sides[1], difference_interval(*sides), least,
        min(1.0, 2 * min(chances)), evidence={"groups": int(keep.sum()), "rates": rates, "null_95": one.null_95},
    )  # fmt: skip


def _spread_interval(spread: GroupSpread) -> Interval:
    """A largest gap with its (conservative) interval."""
    return Interval(spread.difference, spread.low, spread.high, spread.n)


def _gap_growth_p_value(criterion: Criterion, now: GroupMetrics, then: GroupMetrics, keep: Bools) -> float:
    """The p-value of the growth of the gap between the two groups that differ most on side `now`; the smallest over the criterion's rates,
    corrected for their number.
    """
    places, found = np.flatnonzero(keep), []
    for rate in criterion.rates:
        spread = now.metrics[rate].at(keep).spread()
        if spread.lowest is not None and spread.highest is not None:
            low, high = int(places[spread.lowest]), int(places[spread.highest])
            found.append(gap_growth_p_value(now, then, rate, low, high, int(keep.sum())))
    return min(1.0, len(found) * min(found)) if found else float("nan")
