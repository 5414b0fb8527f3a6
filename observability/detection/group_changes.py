"""Finds groups whose rate has moved away from the rate of the other groups since the reference.

The statistic is a difference in differences: a change that all groups share is not a change of fairness; performance and drift report it.
The natural variation of a group is estimated from the model's own past. A distance that the past also shows is not new. The reported
movement of a group is measured from the reference. Its significance is tested against the reference and the past month together if the
month is like the reference, because a group has few positives in a reference and many in a month.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import DAYS_DRAWN
from observability.core.catalog import Model
from observability.core.finding import Severity
from observability.detection.change import WindowChange, at_least, stated_limits
from observability.detection.fairness_criteria import NAME, Criterion, is_chosen, overall_value
from observability.detection.group_contrasts import GroupContrast, growth_p_value, rate_contrasts
from observability.detection.onset import OnsetEstimate
from observability.detection.windows import Floats, last_day_masks
from observability.metrics.groups import MISSING, Attribute, Bools, GroupMetric, GroupMetrics, GroupTotals, groups_with_enough_rows
from observability.stats.group import GapChanges, gap_changes, shares_of_others
from observability.stats.interval import normal_quantile

WATCH, ACT = 0.05, 0.07
"""Growth of a group's distance from the other groups from which the severity is `watch` and `act`, in points of a rate. A TPR gap of 0.10
should be detected.
"""
RELATIVE = (0.1, 0.2)
"""The same limits for a mean absolute error, as fractions of the error of all groups."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class GroupWindow:
    """The groups over the window or over its last days. days: number of days; whole: whether it is the whole window."""

    days: float
    whole: bool
    groups: GroupMetrics


@dataclass(frozen=True)
class ComparedGroups:
    """The groups of one attribute, in the same order: in the window, by day, in the reference, and in the model's own past.

    windows: the whole window first. past: the four weeks before, together; past_days: by day, up to the window's first day; None if there
    are none.
    """

    model: Model
    attribute: Attribute
    now: GroupMetrics
    before: GroupMetrics
    days: GroupTotals
    windows: tuple[GroupWindow, ...]
    past: GroupMetrics | None = None
    past_days: GroupTotals | None = None

    def contrast(self, metric: str, weights: Floats) -> GroupContrast:
        """Return a difference between the groups by day, over past and window. weights: one for each group, with the sum 0."""
        return self.contrasts(metric, weights[None])[0]

    def contrasts(self, metric: str, weights: Floats) -> list[GroupContrast]:
        """Return several differences between the groups by day. weights: one row for each difference."""
        parts = [self.days] if self.past_days is None else [self.past_days, self.days]
        values, n = (np.concatenate(each) for each in zip(*(part.table(metric) for part in parts), strict=True))
        days, first = np.concatenate([part.days for part in parts]), int(self.days.days[0])
        return rate_contrasts(days, first, values, n, weights, of_row(self.now, self.before, metric))


def of_row(now: GroupMetrics, before: GroupMetrics, metric: str) -> Floats:
    """Return, for each group, the variance of one row.

    It is the larger of the variances now and before, so that a few rows that happen to agree do not make a difference appear certain.
    """
    return np.asarray(np.fmax(now.metrics[metric].variance, before.metrics[metric].variance), np.float64)


@dataclass(frozen=True, kw_only=True)
class GapChange(WindowChange):
    """One group and one rate, in one window and in the reference. effect: how much its distance from the other groups (gap) has grown.

    others: number of groups with which the group is compared; small: number of groups that are left out because they have too few rows now
    or in the reference; named: number of groups that are left out because they moved more. by_day: the distance by day. past: the distance
    in the model's own past, None without a past; standing: whether the group is no farther from the others than in its own past. with_past:
    whether the p-value is against the reference and the past month together.
    """

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
    error: float
    by_day: GroupContrast
    past: float | None
    standing: bool
    with_past: bool
    others: int
    small: int
    named: int

    @property
    def others_moved(self) -> float:
        """The change of the other groups' rate since the reference. The rest of the growth of the gap comes from the group itself."""
        return (self.value - self.gap) - (self.before - self.gap_before)

    def is_new(self, severity: Severity, budget: float) -> bool:
        """Whether the group is farther from the other groups than in the model's own past."""
        return not self.standing

    def onset(self, start: datetime) -> OnsetEstimate:
        """The estimated date on which the larger distance began."""
        error = abs(self.error) if np.isfinite(self.error) else 0.0
        return self.by_day.onset(start, (self.gap_before, error), -1 if self.gap < 0 else 1)


def watched_rates(model: Model, criterion: Criterion) -> tuple[str, ...]:
    """Return the rates that are tested: those of the criterion; if no criterion is chosen, selection rate, TPR and FPR."""
    return criterion.rates if is_chosen(model) else ("selection_rate", "true_positive_rate", "false_positive_rate")


def compared_groups(
    model: Model,
    attribute: Attribute,
    current: GroupTotals,
    now: GroupMetrics,
    before: GroupMetrics,
    past: GroupTotals | None,
    last: int,
    length: float,
) -> ComparedGroups:
    """Return the groups in the window, its last days, the reference and the past.

    current, past: totals by day; the window has at least one day. last: number of the window's last whole day; length: its length in days.
    """
    windows = [GroupWindow(length, True, now)]
    windows += [GroupWindow(days, False, current.on(kept).groups()) for days, kept in last_day_masks(current.days, last, length)]
    latest = current.on(slice(-DAYS_DRAWN, None))
    if past is None:
        return ComparedGroups(model, attribute, now, before, latest, tuple(windows))
    past = past.aligned(now.levels)
    earlier = past.on(slice(-DAYS_DRAWN, None))
    return ComparedGroups(model, attribute, now, before, latest, tuple(windows), past.groups(), earlier.on(earlier.days < latest.days[0]))


def gap_changes_of(side: ComparedGroups, metric: str, window: GroupWindow) -> list[GapChange]:
    """Return the change of every group that is large enough now and in the reference, compared with the other groups. Empty if there is no
    other group.
    """
    return _gap_changes(side, metric, window, comparable_groups(side, metric, window))


def comparable_groups(side: ComparedGroups, metric: str, window: GroupWindow) -> Places:
    """Return the positions of the groups that are large enough now and in the reference."""
    return np.flatnonzero(groups_with_enough_rows(window.groups, metric) & groups_with_enough_rows(side.before, metric))


def _gap_changes(side: ComparedGroups, metric: str, window: GroupWindow, places: Places, named: int = 0) -> list[GapChange]:
    """Return the changes of the groups at some positions, each compared with the others among them. named: number of groups that were left
    out because they moved more.
    """
    if places.size < 2:
        return []
    after, then = window.groups.metrics[metric].at(places), side.before.metrics[metric].at(places)
    found = gap_changes(after.value, after.variance, after.n, then.value, then.variance, then.n)
    own = own_past_gap_changes(side, metric, window, places)
    month, as_before = reference_with_past(side, metric, places, gap_limits(side.model, metric, side.before)[0])
    longer = found if month is None else gap_changes(after.value, after.variance, after.n, month.value, month.variance, month.n)
    own_rows = 0.0 if side.past is None else float(side.past.metrics[metric].n[places].sum())
    stated = gap_limits(side.model, metric, side.before)
    weights = np.zeros((places.size, len(side.now.levels)))
    weights[:, places] = np.eye(places.size) - shares_of_others(after.n)
    changes = []
    for i, (place, by_day) in enumerate(zip(places.tolist(), side.contrasts(metric, weights), strict=True)):
        grown = float(found.grown[i])
        error = by_day.error(float(found.error[i]), window.days, float(then.n.sum()), level=window.whole)
        varies, standing = by_day.varies(error), False
        if own is not None:
            own_grown, own_error = float(own.grown[i]), by_day.error(float(own.error[i]), window.days, own_rows)
            standing = growth_p_value(own_error, own_grown) > NEWS or own_grown < max(stated[0], by_day.varies(own_error))
        p_value = growth_p_value(error, grown)
        if with_past := month is not None and bool(as_before[i]):
            settled = by_day.error(float(longer.error[i]), window.days, float(month.n.sum()), level=window.whole)
            p_value = growth_p_value(settled, float(longer.grown[i]))
        changes.append(
            GapChange(
                days=window.days,
                whole=window.whole,
                effect=grown,
                p_value=p_value,
                limits=stated if window.whole else at_least(stated, varies),
                varies=varies,
                place=place,
                metric=metric,
                value=float(after.value[i]),
                low=float(after.low[i]),
                high=float(after.high[i]),
                n=float(after.n[i]),
                before=float(then.value[i]),
                before_n=float(then.n[i]),
                gap=float(found.now[i]),
                gap_before=float(found.before[i]),
                error=error.total,
                by_day=by_day,
                past=None if own is None else float(own.before[i]),
                standing=standing,
                with_past=with_past,
                others=places.size - 1,
                small=groups_with_rows(window.groups) - places.size - named,
                named=named,
            )
        )
    return changes


NEWS = 0.01
"""A distance is new if the p-value of the comparison with the own past is at most this."""


def own_past_gap_changes(side: ComparedGroups, metric: str, window: GroupWindow, places: Places) -> GapChanges | None:
    """Return the comparison with the model's own past. None if a group is too small there; then every change counts as new."""
    if side.past is None or not groups_with_enough_rows(side.past, metric)[places].all():
        return None
    after, then = window.groups.metrics[metric].at(places), side.past.metrics[metric].at(places)
    return gap_changes(after.value, after.variance, after.n, then.value, then.variance, then.n)


def reference_with_past(side: ComparedGroups, metric: str, places: Places, limit: float) -> tuple[GroupMetric | None, Bools]:
    """Return some groups over the reference and the past month together; and for each group whether the month is like the reference, that
    is, whether its distance from the others changed by less than `limit` and not significantly. None if one of the groups is too small in
    either.
    """
    if side.past is None or not groups_with_enough_rows(side.past, metric)[places].all():
        return None, np.zeros(places.size, np.bool_)
    month, then = side.past.metrics[metric].at(places), side.before.metrics[metric].at(places)
    moved = gap_changes(month.value, month.variance, month.n, then.value, then.variance, then.n)
    change, n = np.abs(moved.now - moved.before), month.n + then.n
    as_before = (change < limit) & (change <= normal_quantile(1 - NEWS) * moved.error)
    value, variance = ((getattr(month, part) * month.n + getattr(then, part) * then.n) / n for part in ("value", "variance"))
    return replace(then, n=n, value=value, variance=variance, successes=None), np.asarray(as_before, np.bool_)


def gap_limits(model: Model, metric: str, before: GroupMetrics) -> tuple[float, float]:
    """Return the growth from which a change is `watch` and `act`; the model's settings may set the limit for `act`
    (`trust/fairness/<rate>`).
    """
    watch, act = stated_limits(model.settings, f"{NAME}/{metric}", *((WATCH, ACT) if metric != "mae" else RELATIVE))
    scale = overall_value(before, metric) if metric == "mae" else 1.0
    return watch * scale, act * scale


def groups_with_rows(groups: GroupMetrics) -> int:
    """Return the number of groups that have rows; rows without a value of the attribute do not form a group."""
    return sum(rows > 0 and MISSING not in level for rows, level in zip(groups.rows.tolist(), groups.levels, strict=True))


def groups_that_moved(
    side: ComparedGroups, metric: str, window: GroupWindow, candidates: Collection[int], budget: float
) -> list[GapChange]:
    """Return the changes of the groups that themselves moved. candidates: positions of the groups whose change was significant.

    When one group moves, the distance of the other groups from it changes too. Therefore the most significant group is reported and
    removed, and the remaining groups are compared with each other again. With only two groups, the group whose own rate changed more is
    reported.
    """
    pool, wanted = comparable_groups(side, metric, window), set(candidates)
    found: list[GapChange] = []
    while wanted and pool.size >= 2:
        left = [change for change in _gap_changes(side, metric, window, pool, len(found)) if change.place in wanted]
        left = [change for change in left if change.effect >= change.limits[0] and change.p_value <= budget]
        if not left:
            break
        first = min(left, key=lambda each: (round(float(np.log(max(each.p_value, 1e-300))), 6), -abs(each.value - each.before), each.place))
        found.append(first)
        wanted.discard(first.place)
        pool = pool[pool != first.place]
    return found


def group_by_day(side: ComparedGroups, found: GapChange) -> list[list[Any]]:
    """Return [day, value, low, high, n] for each day of one group."""
    of = side.days.course(found.metric, found.place)
    values = zip(side.days.days.astype("datetime64[D]").astype(str).tolist(), of.value, of.low, of.high, of.n, strict=True)
    return [[day, *(known_value(each) for each in known), round(float(n))] for day, *known, n in values]


def pair_by_day(pair: GroupContrast) -> list[list[Any]]:
    """Return, for each day of the window, [day, difference of two groups, low, high, rows of both]; the interval is a 95 % interval from
    rows. Values are None if one of the groups is too small.
    """
    now = ~pair.past
    reach = normal_quantile(0.95) * np.sqrt(pair.variances[now])
    days = pair.days[now].astype("datetime64[D]").astype(str).tolist()
    values = zip(days, pair.values[now], pair.values[now] - reach, pair.values[now] + reach, pair.rows[now], strict=True)
    return [[day, *(known_value(each) for each in known), round(float(n))] for day, *known, n in values]


def known_value(value: float) -> float | None:
    """Return the value; None for NaN, which cannot be written to JSON."""
    return None if np.isnan(value) else float(value)
