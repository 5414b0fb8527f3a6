"""Which groups moved away from the others since the reference, by how much, and since when?

A difference in differences: what happens to every group alike is no matter of fairness, and is left to performance and drift.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.analyzers.trust._criteria import NAME, Criterion, is_chosen, overall
from observability.analyzers.trust._groups import Attribute, Groups, Measured, enough, measure
from observability.catalog import Model
from observability.stats.group import GapChanges, gap_changes

if TYPE_CHECKING:
    from pandas import DataFrame

WATCH, ACT = 0.05, 0.08
"""The smallest growth of a group's distance from the others that matters, in points of a rate. A TPR gap of 0.10 is to be found."""
RELATIVE = (0.1, 0.2)
"""The same of a mean absolute error, as a share of that of all groups."""
DAYS_KEPT = 62
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Moved:
    """One group and one rate, now and in the reference: its distance from the others (gap), how much that grew, and what chance does."""

    place: int
    metric: str
    value: float
    low: float
    high: float
    n: float
    before: float
    before_n: float
    gap: float
    gap_before: float
    grown: float
    p_value: float
    limits: tuple[float, float]


def watched(model: Model, criterion: Criterion) -> tuple[str, ...]:
    """Rates whose change is judged: those of the criterion; while none is chosen, selection, TPR and FPR."""
    return criterion.rates if is_chosen(model) else ("selection_rate", "true_positive_rate", "false_positive_rate")


def changes(model: Model, metric: str, now: Groups, before: Groups) -> list[Moved]:
    """Every group that is large enough now and in the reference, held against the others; none where there is no other."""
    places = np.flatnonzero(enough(now, metric) & enough(before, metric))
    return moved(model, metric, now, before, places)


def moved(model: Model, metric: str, now: Groups, before: Groups, places: Places) -> list[Moved]:
    """The groups at some places, each held against the others of them."""
    if places.size < 2:
        return []
    after, then = now.metrics[metric].at(places), before.metrics[metric].at(places)
    found = compared(after, then)
    limits = limits_of(model, metric, before)
    return [
        Moved(
            int(place), metric, *(float(each[i]) for each in (after.value, after.low, after.high, after.n, then.value, then.n)),
            *(float(each[i]) for each in (found.now, found.before, found.grown, found.p_value)), limits,
        )
        for i, place in enumerate(places)
    ]  # fmt: skip


def compared(after: Measured, then: Measured) -> GapChanges:
    """Each group's distance from the others, then and now."""
    return gap_changes(after.value, after.variance, then.value, then.variance, after.n)


def limits_of(model: Model, metric: str, before: Groups) -> tuple[float, float]:
    """Growth from which it is watch and act; the model's settings may set the act limit (`trust/fairness/<rate>`)."""
    watch, act = (WATCH, ACT) if metric != "mae" else RELATIVE
    act = model.settings.limits.get(f"{NAME}/{metric}", act)
    scale = overall(before, metric) if metric == "mae" else 1.0
    return min(watch, act) * scale, act * scale


def strongest(model: Model, metric: str, now: Groups, before: Groups, candidates: Sequence[Moved], budget: float) -> list[Moved]:
    """Of the groups that moved beyond chance those that did so by themselves.

    When one group moves, the others move away from it as well. So the one that moved most surely is named and taken out, and the rest are held
    against each other again. Of two groups alone it is the one whose own rate changed more.
    """
    pool = np.flatnonzero(enough(now, metric) & enough(before, metric))
    wanted = {each.place for each in candidates}
    named: list[Moved] = []
    while wanted and pool.size >= 2:
        left = [each for each in moved(model, metric, now, before, pool) if each.place in wanted]
        left = [each for each in left if each.grown >= each.limits[0] and each.p_value <= budget]
        if not left:
            break
        first = min(left, key=lambda each: (round(np.log(max(each.p_value, 1e-300)), 6), -abs(each.value - each.before), each.place))
        named.append(first)
        wanted.discard(first.place)
        pool = pool[pool != first.place]
    return named


def by_day(model: Model, frame: "DataFrame", attribute: Attribute, level: str, metric: str) -> list[list[Any]]:
    """[day, value, low, high, n] of one group on the last days of a frame by day."""
    rows: list[list[Any]] = []
    for day in sorted(frame["period"].unique())[-DAYS_KEPT:]:
        groups = measure(model, frame[frame["period"] == day], [attribute])
        if (level,) not in groups.levels:
            continue
        place = groups.levels.index((level,))
        each = groups.metrics[metric]
        figures = (none_if_nan(values[place]) for values in (each.value, each.low, each.high))
        rows.append([str(day)[:10], *figures, round(float(each.n[place]))])
    return rows


def none_if_nan(value: float) -> float | None:
    """NaN has no place in JSON."""
    return None if np.isnan(value) else float(value)


def onset(model: Model, frame: "DataFrame", attribute: Attribute, now: Groups, before: Groups, found: Moved) -> datetime | None:
    """The day from which to the window's end a group's growth is surest; None where the frame has one day only."""
    days = sorted(frame["period"].unique())[-DAYS_KEPT:]
    places = np.flatnonzero(enough(now, found.metric) & enough(before, found.metric))
    best, reach = None, 0.0
    for day in days if len(days) > 1 else ():
        part = measure(model, frame[frame["period"] >= day], [attribute]).aligned(now.levels).metrics[found.metric]
        held = places[part.n[places] > 1]
        if found.place not in held or held.size < 2:
            continue
        each = compared(part.at(held), before.metrics[found.metric].at(held))
        index = int(np.flatnonzero(held == found.place)[0])
        surety = float(each.grown[index] / each.error[index]) if each.error[index] > 0 else 0.0
        if surety > reach:
            best, reach = day, surety
    return None if best is None else datetime.fromisoformat(str(best)[:10]).replace(tzinfo=UTC)
