"""Did the gaps between groups change from one side to the other?

The largest gap of each criterion on both sides, on the groups that are large enough on both. Largest gaps are above zero by chance, more so on the
smaller side, so their change is not held against zero as it stands: what is tested is whether the gap between the two groups that differ most on
one side is another on the other side, every pair of groups allowed for.
"""

from dataclasses import replace

import numpy as np

from observability.compare.difference import Asker, Difference, blocked
from observability.core.catalog import Model, Version
from observability.core.metric_definitions import METRICS
from observability.core.window import Window
from observability.detection.fairness_criteria import (
    CRITERIA,
    EQUAL_ACCURACY,
    EQUAL_ERROR,
    Criterion,
    enough_for,
    growth,
    overall,
    spread_of,
)
from observability.detection.group_changes import RELATIVE, WATCH
from observability.metrics.groups import MINIMUM_OF_CLASS, Attribute, Bools, Groups, attributes, measure, question
from observability.stats.group import Spread
from observability.stats.interval import Interval, difference_interval


def compared(ask: Asker, model: Model, a: Window, b: Window, version: Version | None, young: str | None) -> list[Difference]:
    """One difference for each sensitive attribute and criterion. young: why criteria that need labels cannot be judged, None where they can."""
    found = []
    for attribute in attributes(model, version) if model.task else ():
        now, then = both(ask, model, a, b, attribute)
        for criterion in criteria_of(model):
            each = changed(attribute, criterion, now, then)
            by_labels = criterion.rates != ("selection_rate",)
            if young and by_labels and each.why is None:
                each = replace(each, why=young)
            found.append(each)
    return found


def criteria_of(model: Model) -> list[Criterion]:
    """The criteria of a task."""
    if model.task == "binary":
        return list(CRITERIA.values())
    return [EQUAL_ERROR if model.task == "regression" else EQUAL_ACCURACY]


def both(ask: Asker, model: Model, a: Window, b: Window, attribute: Attribute) -> tuple[Groups, Groups]:
    """The groups of both sides at the same places."""
    asked = question(model, [attribute])
    now, then = (measure(model, ask(asked, window), [attribute]) for window in (a, b))
    levels = [*now.levels, *(each for each in then.levels if each not in now.levels)]
    return now.aligned(levels), then.aligned(levels)


def changed(attribute: Attribute, criterion: Criterion, now: Groups, then: Groups) -> Difference:
    """The largest gap of one criterion on both sides."""
    unit = METRICS[criterion.metric].unit
    keep = np.asarray(enough_for(now, criterion) & enough_for(then, criterion), np.bool_) if now.levels else np.zeros(0, np.bool_)
    if keep.sum() < 2:
        why = f"fewer than two groups have {MINIMUM_OF_CLASS} rows of what it counts on both sides"
        return blocked("fairness", attribute.name, criterion.metric, unit, why)
    one, other = spread_of(criterion, now, keep), spread_of(criterion, then, keep)
    sides = as_interval(one), as_interval(other)
    least = WATCH if not criterion.relative else RELATIVE[0] * overall(then, criterion.rates[0])
    chances = [grown(criterion, *pair, keep) for pair in ((now, then), (then, now))]
    rates = {
        rate: [[name, float(now.metrics[rate].value[place]), float(then.metrics[rate].value[place])]
               for place, name in enumerate(now.names) if keep[place]][:32]
        for rate in criterion.rates
    }  # fmt: skip
    return Difference(
        "fairness", attribute.name, criterion.metric, unit, sides[0], sides[1], difference_interval(*sides), least,
        min(1.0, 2 * min(chances)), evidence={"groups": int(keep.sum()), "rates": rates, "null_95": one.null_95},
    )  # fmt: skip


def as_interval(spread: Spread) -> Interval:
    """A largest difference with its (conservative) interval."""
    return Interval(spread.difference, spread.low, spread.high, spread.n)


def grown(criterion: Criterion, now: Groups, then: Groups, keep: Bools) -> float:
    """How often chance makes the gap between the two groups that differ most now grow as much; the smallest over the criterion's rates."""
    places, found = np.flatnonzero(keep), []
    for rate in criterion.rates:
        spread = now.metrics[rate].at(keep).spread()
        if spread.lowest is not None and spread.highest is not None:
            low, high = int(places[spread.lowest]), int(places[spread.highest])
            found.append(growth(now, then, rate, low, high, int(keep.sum())))
    return min(1.0, len(found) * min(found)) if found else float("nan")
