"""Which groups moved away from the others since the reference, by how much, and since when?

A difference in differences: what happens to every group alike is no matter of fairness, and is left to performance and drift. The window and its last 1, 3
and 7 days are looked at side by side; how far a group's distance strays by itself is learned from the model's own past, and what stood there is no news.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.detection.fairness_criteria import NAME, Criterion, is_chosen, overall
from observability.detection.group_contrasts import Contrast, chance, contrasts, enough_days
from observability.detection.onset import Since
from observability.metrics.groups import Attribute, Groups, Totals, enough
from observability.stats.group import GapChanges, gap_changes, shares_of_others

WATCH, ACT = 0.05, 0.07
"""The smallest growth of a group's distance from the others that matters, in points of a rate. A TPR gap of 0.10 is to be found."""
RELATIVE = (0.1, 0.2)
"""The same of a mean absolute error, as a share of that of all groups."""
LOOKS = (1, 3, 7)
DAYS_KEPT = 62
Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Look:
    """One stretch that ends where the window ends: its length in days, whether it is the window itself, and the groups on it."""

    days: float
    whole: bool
    groups: Groups


@dataclass(frozen=True)
class Side:
    """The groups of one attribute now, by day, in the reference and in the own past, at the same places. looks: the window first.

    past: the four weeks before together; past_days: by day, before the window's first; None without any.
    """

    model: Model
    attribute: Attribute
    now: Groups
    before: Groups
    days: Totals
    looks: tuple[Look, ...]
    past: Groups | None = None
    past_days: Totals | None = None

    def contrast(self, metric: str, weights: Floats) -> Contrast:
        """A difference between the groups by day, of the past and of the window. weights: one a group, adding up to 0."""
        return self.contrasts(metric, weights[None])[0]

    def contrasts(self, metric: str, weights: Floats) -> list[Contrast]:
        """Several of them. weights: a row for each."""
        parts = [self.days] if self.past_days is None else [self.past_days, self.days]
        values, n = (np.concatenate(each) for each in zip(*(part.table(metric) for part in parts), strict=True))
        days, first = np.concatenate([part.days for part in parts]), int(self.days.days[0])
        return contrasts(days, first, values, n, weights, of_row(self.now, self.before, metric))


def of_row(now: Groups, before: Groups, metric: str) -> Floats:
    """Variance of one row of each group: the larger of now and before, so that a few rows that agree by luck are not taken for certain."""
    return np.asarray(np.fmax(now.metrics[metric].variance, before.metrics[metric].variance), np.float64)


@dataclass(frozen=True)
class Moved:
    """One group and one rate in one look, and in the reference: its distance from the others (gap), how much that grew, and what chance does.

    limits: from which it is watch and act, or what the distance varies up to by itself (varies) where that is more. by_day: the distance by day.
    past: the distance in the own past, None without; standing: beyond the limit, and no further from the others than in the own past.
    """

    place: int
    metric: str
    look: Look
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
    error: float
    varies: float
    by_day: Contrast
    past: float | None
    standing: bool

    @property
    def others_moved(self) -> float:
        """How much the other groups' rate moved since the reference; what is left of the gap's growth is the group's own."""
        return (self.value - self.gap) - (self.before - self.gap_before)

    def since(self, start: datetime) -> Since:
        """The day from which the distance is larger."""
        error = abs(self.error) if np.isfinite(self.error) else 0.0
        return self.by_day.since(start, (self.gap_before, error), -1 if self.gap < 0 else 1)


def watched(model: Model, criterion: Criterion) -> tuple[str, ...]:
    """Rates whose change is judged: those of the criterion; while none is chosen, selection, TPR and FPR."""
    return criterion.rates if is_chosen(model) else ("selection_rate", "true_positive_rate", "false_positive_rate")


def side_of(
    model: Model, attribute: Attribute, current: Totals, now: Groups, before: Groups, past: Totals | None, last: int, length: float
) -> Side:
    """Groups in the window, its last days, the reference and the past. current, past: by day, the window of at least one; last: number of the window's last
    whole day; length: its days.
    """
    back = last - current.days
    looks = [Look(length, True, now)]
    for days in LOOKS:
        inside = (back >= 0) & (back < days)
        if days < length and inside.any():
            looks.append(Look(days, False, current.on(inside).groups()))
    latest = current.on(slice(-DAYS_KEPT, None))
    if past is None:
        return Side(model, attribute, now, before, latest, tuple(looks))
    past = past.aligned(now.levels)
    earlier = past.on(slice(-DAYS_KEPT, None))
    return Side(model, attribute, now, before, latest, tuple(looks), past.groups(), earlier.on(earlier.days < latest.days[0]))


def changes(side: Side, metric: str, look: Look) -> list[Moved]:
    """Every group that is large enough now and in the reference, held against the others; none where there is no other."""
    return moved(side, metric, look, comparable(side, metric, look))


def comparable(side: Side, metric: str, look: Look) -> Places:
    """Places of the groups that are large enough now and in the reference."""
    return np.flatnonzero(enough(look.groups, metric) & enough(side.before, metric))


def moved(side: Side, metric: str, look: Look, places: Places) -> list[Moved]:
    """The groups at some places, each held against the others of them."""
    if places.size < 2:
        return []
    after, then = look.groups.metrics[metric].at(places), side.before.metrics[metric].at(places)
    found = gap_changes(after.value, after.variance, after.n, then.value, then.variance, then.n)
    own = own_past(side, metric, look, places)
    own_rows = 0.0 if side.past is None else float(side.past.metrics[metric].n[places].sum())
    share = shares_of_others(after.n)
    weights = np.zeros((places.size, len(side.now.levels)))
    weights[:, places] = np.eye(places.size) - share
    named = []
    for i, (place, by_day) in enumerate(zip(places, side.contrasts(metric, weights), strict=True)):
        error, p_value, varies = with_days(found, i, by_day, look, float(then.n.sum()))
        limits = limits_of(side.model, metric, side.before)
        limits = (max(limits[0], varies), max(limits[1], varies))
        standing = False
        if own is not None:
            _, p_own, varies_own = with_days(own, i, by_day, look, own_rows)
            standing = p_own > NEWS or float(own.grown[i]) < max(limits_of(side.model, metric, side.before)[0], varies_own)
        value, low, high, n, was, n_before = (float(each[i]) for each in (after.value, after.low, after.high, after.n, then.value, then.n))
        gap, gap_before, grown = (float(each[i]) for each in (found.now, found.before, found.grown))
        past = None if own is None else float(own.before[i])
        named.append(
            Moved(
                int(place), metric, look, limits, value, low, high, n, was, n_before, gap, gap_before, grown, p_value, error, varies, by_day, past,
                standing,
            )
        )  # fmt: skip
    return named


NEWS = 0.01
"""A distance that the own past gives as easily as this stood there already."""


def own_past(side: Side, metric: str, look: Look, places: Places) -> GapChanges | None:
    """The same against the own past; None where one of the groups is too small there, so that everything is news."""
    if side.past is None or not enough(side.past, metric)[places].all():
        return None
    after, then = look.groups.metrics[metric].at(places), side.past.metrics[metric].at(places)
    return gap_changes(after.value, after.variance, after.n, then.value, then.variance, then.n)


def with_days(found: GapChanges, place: int, by_day: Contrast, look: Look, n_before: float) -> tuple[float, float, float]:
    """Standard error, p-value and what clean growth stays under of one group's growth, with what days add."""
    added, freedom = by_day.added(look.days, n_before)
    return chance(float(found.grown[place]), float(found.error[place]), added, freedom, known=enough_days(by_day))


def limits_of(model: Model, metric: str, before: Groups) -> tuple[float, float]:
    """Growth from which it is watch and act; the model's settings may set the act limit (`trust/fairness/<rate>`)."""
    watch, act = (WATCH, ACT) if metric != "mae" else RELATIVE
    act = model.settings.limits.get(f"{NAME}/{metric}", act)
    scale = overall(before, metric) if metric == "mae" else 1.0
    return min(watch, act) * scale, act * scale


def strongest(side: Side, metric: str, look: Look, candidates: Collection[int], budget: float) -> list[Moved]:
    """Of the groups (places) that moved beyond chance those that did so by themselves.

    When one group moves, the others move away from it as well. So the one that moved most surely is named and taken out, and the rest are held
    against each other again. Of two groups alone it is the one whose own rate changed more.
    """
    pool, wanted = comparable(side, metric, look), set(candidates)
    named: list[Moved] = []
    while wanted and pool.size >= 2:
        left = [each for each in moved(side, metric, look, pool) if each.place in wanted]
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
    of = side.days.course(found.metric, found.place)
    values = zip(side.days.days.astype("datetime64[D]").astype(str).tolist(), of.value, of.low, of.high, of.n, strict=True)
    return [[day, *(none_if_nan(each) for each in known), round(float(n))] for day, *known, n in values]


def none_if_nan(value: float) -> float | None:
    """NaN has no place in JSON."""
    return None if np.isnan(value) else float(value)
