"""Which groups moved away from the others since the reference, by how much, and since when?

A difference in differences: what happens to every group alike is no matter of fairness, and is left to performance and drift.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.analyzers.trust._criteria import NAME, Criterion, is_chosen, overall
from observability.analyzers.trust._groups import Attribute, Groups, enough, measure
from observability.catalog import Model
from observability.stats.group import gap_changes

if TYPE_CHECKING:
    from pandas import DataFrame

WATCH, ACT = 0.05, 0.07
"""The smallest growth of a group's distance from the others that matters, in points of a rate. A TPR gap of 0.10 is to be found."""
RELATIVE = (0.1, 0.2)
"""The same of a mean absolute error, as a share of that of all groups."""
DAYS_KEPT = 62
Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Days:
    """What was measured of each group on each day, for every metric: places are day after day, the groups of `levels` in each."""

    days: tuple[str, ...]
    groups: Groups

    def table(self, metric: str) -> tuple[Floats, Floats]:
        """Totals (value × n) and n, days × groups."""
        each = self.groups.metrics[metric]
        shape = (len(self.days), -1)
        return np.where(each.n > 0, np.nan_to_num(each.value) * each.n, 0.0).reshape(shape), each.n.reshape(shape)


@dataclass(frozen=True)
class Side:
    """The groups of one attribute now, by day, and in the reference, at the same places."""

    model: Model
    attribute: Attribute
    now: Groups
    before: Groups
    days: Days


@dataclass(frozen=True)
class Moved:
    """One group and one rate, now and in the reference: its distance from the others (gap), how much that grew, and what chance does."""

    place: int
    metric: str
    limits: tuple[float, float]
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


def days_of(model: Model, frame: "DataFrame", attribute: Attribute, now: Groups) -> Days:
    """The same counts by day, on the last DAYS_KEPT days of a frame."""
    days = sorted({str(each)[:10] for each in frame["period"].unique()})[-DAYS_KEPT:]
    kept = frame.assign(period=frame["period"].astype(str).str[:10])
    groups = measure(model, kept[kept["period"].isin(days)], [Attribute("day", "period"), attribute])
    return Days(tuple(days), groups.aligned([(day, *level) for day in days for level in now.levels]))


def watched(model: Model, criterion: Criterion) -> tuple[str, ...]:
    """Rates whose change is judged: those of the criterion; while none is chosen, selection, TPR and FPR."""
    return criterion.rates if is_chosen(model) else ("selection_rate", "true_positive_rate", "false_positive_rate")


def changes(side: Side, metric: str) -> list[Moved]:
    """Every group that is large enough now and in the reference, held against the others; none where there is no other."""
    return moved(side, metric, comparable(side, metric))


def comparable(side: Side, metric: str) -> Places:
    """Places of the groups that are large enough now and in the reference."""
    return np.flatnonzero(enough(side.now, metric) & enough(side.before, metric))


def moved(side: Side, metric: str, places: Places) -> list[Moved]:
    """The groups at some places, each held against the others of them."""
    if places.size < 2:
        return []
    after, then = side.now.metrics[metric].at(places), side.before.metrics[metric].at(places)
    found = gap_changes(after.value, after.variance, after.n, then.value, then.variance, then.n)
    limits = limits_of(side.model, metric, side.before)
    return [
        Moved(
            int(place), metric, limits, *(float(each[i]) for each in (after.value, after.low, after.high, after.n, then.value, then.n)),
            *(float(each[i]) for each in (found.now, found.before, found.grown, found.p_value)),
        )
        for i, place in enumerate(places)
    ]  # fmt: skip


def limits_of(model: Model, metric: str, before: Groups) -> tuple[float, float]:
    """Growth from which it is watch and act; the model's settings may set the act limit (`trust/fairness/<rate>`)."""
    watch, act = (WATCH, ACT) if metric != "mae" else RELATIVE
    act = model.settings.limits.get(f"{NAME}/{metric}", act)
    scale = overall(before, metric) if metric == "mae" else 1.0
    return min(watch, act) * scale, act * scale


def strongest(side: Side, metric: str, candidates: Collection[int], budget: float) -> list[Moved]:
    """Of the groups (places) that moved beyond chance those that did so by themselves.

    When one group moves, the others move away from it as well. So the one that moved most surely is named and taken out, and the rest are held
    against each other again. Of two groups alone it is the one whose own rate changed more.
    """
    pool, wanted = comparable(side, metric), set(candidates)
    named: list[Moved] = []
    while wanted and pool.size >= 2:
        left = [each for each in moved(side, metric, pool) if each.place in wanted]
        left = [each for each in left if each.grown >= each.limits[0] and each.p_value <= budget]
        if not left:
            break
        first = min(left, key=lambda each: (round(float(np.log(max(each.p_value, 1e-300))), 6), -abs(each.value - each.before), each.place))
        named.append(first)
        wanted.discard(first.place)
        pool = pool[pool != first.place]
    return named


def by_day(side: Side, found: Moved) -> list[list[Any]]:
    """[day, value, low, high, n] of one group."""
    each, size = side.days.groups.metrics[found.metric], len(side.now.levels)
    rows = []
    for index, day in enumerate(side.days.days):
        place = index * size + found.place
        rows.append([day, *(none_if_nan(values[place]) for values in (each.value, each.low, each.high)), round(float(each.n[place]))])
    return rows


def none_if_nan(value: float) -> float | None:
    """NaN has no place in JSON."""
    return None if np.isnan(value) else float(value)


def onset(side: Side, found: Moved) -> datetime | None:
    """The day from which to the window's end a group's growth is surest; None where there is one day only."""
    totals, n = side.days.table(found.metric)
    places = comparable(side, found.metric)
    now, before = side.now.metrics[found.metric], side.before.metrics[found.metric]
    best, reach = None, 0.0
    for index, day in enumerate(side.days.days if len(side.days.days) > 1 else ()):
        rows = n[index:].sum(axis=0)
        held = places[rows[places] > 1]
        if found.place not in held or held.size < 2:
            continue
        values = totals[index:].sum(axis=0)[held] / rows[held]
        each = gap_changes(values, now.variance[held], rows[held], before.value[held], before.variance[held], before.n[held])
        at = int(np.flatnonzero(held == found.place)[0])
        surety = float(each.grown[at] / each.error[at]) if each.error[at] > 0 else 0.0
        if surety > reach:
            best, reach = day, surety
    return None if best is None else datetime.fromisoformat(best).replace(tzinfo=UTC)
