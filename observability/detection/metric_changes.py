"""Measures how much worse a performance metric is than in the reference, or than in the model's own past.

If most labels of the window have not arrived yet, the last seven days with labels are measured instead; these days may lie before the
window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Severity, needs_action
from observability.core.metric_definitions import METRICS
from observability.core.settings import ModelSettings
from observability.detection.change import ChangeVerdict, DifferenceError, WindowChange, at_least, judge_change, stated_limits
from observability.detection.days_beyond import evidence_of_days_beyond
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.detection.windows import WEEK, last_day_masks, reference_days, same_weekdays, window_phrase
from observability.metrics.measured_windows import BASELINE_DAYS, MIN_LABELS_A_DAY, DailyMetrics, Days, Metrics, day_date, row_error
from observability.metrics.metric_limits import LIMITS
from observability.stats.difference_intervals import difference_interval
from observability.stats.dispersion import PRIOR_EFFECT
from observability.stats.interval import Interval
from observability.stats.multiple_testing import ACT_SHARE

NAME = "serving/performance"
MINIMUM_LABELS = 100
SURE_BY_ROWS = 1e-4
"""If only the variation of days may explain a loss, it is still shown when its p-value by rows is at most this; a single outlier gives a
root mean square error a p-value of 0.002.
"""
ONSET_LABELS_A_DAY = max(20, MIN_LABELS_A_DAY)
"""Days with fewer labels are ignored when the onset is estimated."""
MIN_RIPE_DAYS = 3
"""While labels of other days are missing, at least this many days with complete labels are needed for a judgement."""
PRIMARY_CHANCE = 0.0027
"""The primary metric is critical if its two-sided p-value by rows is at most this (three standard errors). It is a single test, chosen
beforehand, so it does not share the false discovery rate of the other metrics.
"""
PRIMARY_CHANCE_BY_DAYS = 0.2
"""The corresponding p-value by rows and days. It is larger, because a week has only few days from which the level is estimated."""
SECONDARY_TIMES = 2.0
"""A secondary metric is critical on its own from this multiple of its limit. Below it, it is a warning beside the primary metric."""
ALONE_TIMES = 3.0
"""A loss on a single day is critical if it is at least this multiple of the largest loss of a past day. An effect that a whole day shares
enters a squared error squared, so the variance of past days does not show how far one day in a thousand falls.
"""
CONFIRMING_DAYS, CONFIRMING_CHANCE = 3, 0.05
"""A loss is confirmed by a second day (of the window, or of the last three days) that is also beyond the limit for `watch`, at this p-value
by rows.
"""
MIN_PAST = 5
"""With at least this many past days, they give the level before an onset; with fewer, the baseline gives it."""


@dataclass(frozen=True)
class MeasuredWindow:
    """Metrics over some days, and over the past with which they are compared.

    whole: True if these are all days that the finding is about, False if they are the last of them; late: whether the days may lie before
    the window, because labels of the window are missing. labelled: number of labelled predictions on these days. bin_errors: maximum
    difference between metrics from score bins and metrics from rows. past: metrics of the month before; earlier: metrics of the same number
    of preceding days, at most a week.
    """

    days: Days
    whole: bool
    late: bool
    labelled: int
    bin_errors: Mapping[str, float]
    metrics: Metrics
    past: Metrics
    earlier: Metrics

    @property
    def length(self) -> int:
        """Number of calendar days from the first to the last measured day."""
        return int(self.days[-1] - self.days[0]) + 1

    @property
    def phrase(self) -> str:
        """The measured days in words, for the end of a phrase; empty if they are the window."""
        if self.late:
            return f" from {day_date(self.days[0])} to {day_date(self.days[-1])}, the last days with complete labels"
        return window_phrase(self.length, whole=self.whole)


@dataclass(frozen=True, kw_only=True)
class MetricChange(WindowChange):
    """One metric in one window and before. effect: how much worse it became (in points, or relative).

    by_rows: p-value by rows alone. scale: the loss that corresponds to an effect of 1. level: whether the whole window is compared with a
    reference. smallest: the smallest effect that is `act`, before the natural variation is considered. on_one_day: whether the last days
    reach the limit for `act` because of a single day. past: the same change against the model's own past; None if the past is the baseline
    or unknown. The error of the whole window comes from its rows and from consecutive days, because its level is judged. The error of the
    last days includes the variation between past days, because their change is judged.
    """

    metric: str
    window: MeasuredWindow
    now: Interval
    before: Interval
    by_rows: float
    smallest: float
    scale: float = 1.0
    level: bool = False
    on_one_day: bool = False
    past: "MetricChange | None" = None

    def is_new(self, severity: Severity, budget: float) -> bool:
        """Whether the metric is also worse than in the model's own past."""
        return self.past is None or (self.past.effect >= self.past.limits[0] and self.past.p_value <= budget)

    @property
    def earlier_effect(self) -> float | None:
        """By how much the preceding days were worse than the baseline, in the same unit; None if they have too few labels."""
        earlier = self.window.earlier.get(self.metric)
        if earlier is None or earlier.value is None or earlier.n < MINIMUM_LABELS or self.before.value is None or not self.scale:
            return None
        return worsening(self.metric, earlier.value, self.before.value) / self.scale

    @property
    def near_past(self) -> bool:
        """Whether the metric is about the same as in the model's own past."""
        return self.past is not None and self.past.effect < self.past.smallest / 2


def measured_windows(daily: DailyMetrics, *, young: bool, least: int) -> list[MeasuredWindow]:
    """Return the window, and its last days, if they have at least `least` labels.

    If labels of the window are still missing, only its days with complete labels are judged; if these are too few, the last week with
    complete labels. If a week can be judged on its own, days of the week before are not part of the claim about it (docs/decisions/0146).
    """
    whole = daily.days[daily.days >= daily.first]
    ripe = daily.mature[-WEEK:]
    if ripe.size < WEEK or daily.labels(daily.days[daily.days < daily.first]) < least:
        ripe = daily.complete(whole)
    late = bool(young and ripe.size >= MIN_RIPE_DAYS and daily.labels(ripe) >= least)
    if late:
        own = ripe[ripe >= daily.first]
        whole = own if own.size >= MIN_RIPE_DAYS and daily.labels(own) >= least else ripe
    found = [_measured_window(daily, whole, whole=True, late=late)]
    if (daily.days < whole[0]).sum() >= 2 * WEEK and (late or not young):
        last = int(whole[-1]) if late else min(int(whole[-1]), daily.last)
        length = min(found[0].length, WEEK if late else daily.length)
        for days, kept in last_day_masks(whole, last, length, lambda kept: kept.any() and daily.labels(whole[kept]) >= least):
            found.append(_measured_window(daily, whole[kept], whole=False, late=late and days == WEEK))
    return found


def _measured_window(daily: DailyMetrics, days: Days, *, whole: bool, late: bool) -> MeasuredWindow:
    past = daily.days[(daily.days < days[0]) & (daily.days >= days[0] - BASELINE_DAYS)]
    if days[-1] - days[0] + 1 < WEEK and daily.days[0] <= days[0] - 2 * WEEK:
        past = daily.days[(daily.days < days[0]) & same_weekdays(daily.days, days)]
    own = daily.window if whole and not late else daily.measured(days)
    labelled = daily.labelled_in_window if whole and not late else daily.labels(days)
    errors = daily.bin_errors(None if whole and not late else days)
    length = min(int(days[-1] - days[0]) + 1, WEEK)
    earlier = daily.days[(daily.days < days[0]) & (daily.days >= days[0] - length)]
    return MeasuredWindow(
        days, whole, late, round(labelled), errors, own, *(daily.measured(each) if each.size else {} for each in (past, earlier))
    )


def metric_verdict(
    change: MetricChange, p_adjusted: float, budget: float, *, primary: bool, primary_fell: bool = True
) -> ChangeVerdict[MetricChange]:
    """Return the verdict on one window.

    The primary metric over the whole window is a single test by rows and by days; all other metrics share the false discovery rate. A loss
    that would be `act` if days did not differ remains visible as `watch`. Last days whose loss comes from a single day are at most `watch`.
    primary_fell: whether the primary metric is beyond its limit for `watch`; if not, other metrics are at most warnings.
    """
    verdict = judge_change(change, p_adjusted, budget)
    if not primary and not primary_fell and verdict.severity == "act":
        verdict = ChangeVerdict(change, "watch", p_adjusted, verdict.standing)
    if not change.whole:
        unconfirmed = verdict.severity == "act" and change.on_one_day
        return ChangeVerdict(change, "watch", p_adjusted, verdict.standing) if unconfirmed else verdict
    if primary and change.level:
        sure = change.by_rows <= PRIMARY_CHANCE and change.p_value <= PRIMARY_CHANCE_BY_DAYS
        beyond: Severity = "act" if change.effect >= change.limits[1] else "watch" if change.effect >= change.limits[0] else "ok"
        severity: Severity = beyond if sure or beyond == "ok" else "unknown"
        standing = needs_action(severity) and not change.is_new(severity, budget)
        verdict = ChangeVerdict(change, severity, p_adjusted, standing)
    elif not primary and change.level and verdict.severity == "act" and change.effect < SECONDARY_TIMES * change.limits[1]:
        verdict = ChangeVerdict(change, "watch", p_adjusted, verdict.standing)
    by_rows = change.effect >= change.smallest and change.by_rows <= min(budget * ACT_SHARE, SURE_BY_ROWS)
    if verdict.severity in ("ok", "unknown") and by_rows:
        return ChangeVerdict(change, "watch", p_adjusted, change.near_past)
    return verdict


def labels_to_decide(change: MetricChange) -> int:
    """Return about how many more labels would show whether a loss of this size is significant by rows; at least one."""
    assert change.now.value is not None and change.before.value is not None
    size = abs(change.now.value - change.before.value)
    error = row_error(change.now)
    needed = change.window.labelled * ((3.0 * error / size) ** 2 - 1) if size > 0 and np.isfinite(error) else 0.0
    return max(round(needed), 1)


def metric_limits(settings: ModelSettings, metric: str) -> tuple[float, float]:
    """Return the effects from which a metric is `watch` and `act`."""
    return stated_limits(settings, f"{NAME}/{metric}", *LIMITS[metric][1:])


def metric_changes(
    daily: DailyMetrics,
    window: MeasuredWindow,
    before: Metrics,
    settings: ModelSettings,
    past: Mapping[str, MetricChange] | None = None,
) -> dict[str, MetricChange]:
    """Return the change of each metric that has enough labels and an interval on both sides.

    past: the changes against the model's own past; None if `before` is the past.
    """
    found = {}
    for metric, (kind, _, _) in LIMITS.items():
        now, then = window.metrics.get(metric), before.get(metric)
        if now is None or then is None or now.n < MINIMUM_LABELS or then.n < MINIMUM_LABELS:
            continue
        change = difference_interval(now, then)
        if change.value is None or change.low is None or change.high is None or now.value is None or then.value is None:
            continue
        stated = metric_limits(settings, metric)
        scale = abs(then.value) if kind == "relative" else 1.0
        worse = worsening(metric, now.value, then.value)
        if kind == "of mae":
            scale = before["mae"].value or 0.0
        error = _change_error(daily, window, metric, change, now, then, own_past=past is None)
        effect = worse / scale if scale else 0.0
        varies = error.reach / scale if scale and error.days_known and not (window.whole and past is not None) else 0.0
        limits = at_least(stated, varies)
        found[metric] = MetricChange(
            days=window.length,
            whole=window.whole,
            effect=effect,
            p_value=error.p_value(change.value),
            limits=limits,
            varies=varies,
            metric=metric,
            window=window,
            now=now,
            before=then,
            by_rows=difference_p_value(change),
            smallest=stated[1],
            scale=scale,
            level=window.whole and past is not None,
            on_one_day=not window.whole and effect >= limits[1] and _made_by_one_day(daily, window, metric, then, stated[0] * scale),
            past=None if past is None else past.get(metric),
        )
    return found


def worsening(metric: str, now: float, before: float) -> float:
    """Return by how much a value of a metric is worse than another value; for a bias, how much farther it is from zero."""
    if LIMITS[metric][0] == "of mae":
        return abs(now) - abs(before)
    return before - now if METRICS[metric].better == "high" else now - before


def _made_by_one_day(daily: DailyMetrics, window: MeasuredWindow, metric: str, before: Interval, watch: float) -> bool:
    """Return whether a single day causes the loss of the last days: no second day confirms it, and some past day lost at least a third as
    much.

    watch: the smallest loss that matters, in the unit of the metric.
    """
    assert before.value is not None
    days, values, _, n = daily.series(metric)
    known = np.isfinite(values) & (days <= window.days[-1])
    days, n, losses = days[known], n[known], np.array([worsening(metric, value, before.value) for value in values[known].tolist()])
    if not np.isin(window.days, days).any():
        return False
    worst = max(np.flatnonzero(np.isin(days, window.days)), key=lambda place: float(losses[place]))
    recent = days >= min(window.days[0], days[-CONFIRMING_DAYS:][0])
    past = losses[~recent & (n >= n[worst] / 2)]
    recent[worst] = False
    if not recent.any() or (past.size and losses[worst] >= ALONE_TIMES * past.max()):
        return False
    second = max(np.flatnonzero(recent), key=lambda place: float(losses[place]))
    change = difference_interval(daily.of_day(int(days[second]))[metric], before)
    return bool(losses[second] < watch) or change.low is None or difference_p_value(change) > CONFIRMING_CHANCE


def _change_error(
    daily: DailyMetrics, window: MeasuredWindow, metric: str, change: Interval, now: Interval, then: Interval, *, own_past: bool
) -> DifferenceError:
    """Return the standard error of a change. Its part between days is estimated from past days, or assumed if they are too few."""
    length = float(window.days.size)
    level = window.whole and not own_past
    known = (
        daily.consecutive_variation(metric, int(window.days[-1]))
        if level
        else daily.day_variation(metric, int(window.days[0]), weekly=own_past or window.length >= WEEK)
    )
    if known is None:
        return difference_error(change, PRIOR_EFFECT * row_error(now) ** 2)
    from_days = float((known.of_mean(length) + known.of_mean(reference_days(then.n, now.n / length)))[0])
    return difference_error(change, from_days, known.freedom)


def difference_error(change: Interval, from_days: float = 0.0, freedom: float = float("inf")) -> DifferenceError:
    """Return the standard error of a change, from the side of its interval that faces zero and from the variance between days."""
    assert change.value is not None and change.low is not None and change.high is not None
    rows = (change.value - change.low if change.value > 0 else change.high - change.value) / 1.96
    return DifferenceError(rows, from_days, freedom, most_freedom=float("inf"))


def difference_p_value(change: Interval) -> float:
    """Return the two-sided p-value of no change, from the interval of the change."""
    assert change.value is not None
    return difference_error(change).p_value(change.value)


def known_days(daily: DailyMetrics, change: MetricChange) -> list[tuple[int, Interval]]:
    """Return the metric on each day that has enough labels, for the measured days and the month before."""
    window, metric = change.window, change.metric
    first, last = int(window.days[0]) - BASELINE_DAYS, int(window.days[-1])
    days = daily.days[(daily.days >= first) & (daily.days <= last) & (daily.labelled >= ONSET_LABELS_A_DAY)]
    every = [(day, daily.of_day(day)[metric]) for day in days.tolist()]
    return [(day, value) for day, value in every if value.value is not None and np.isfinite(row_error(value))]


def metric_standing(daily: DailyMetrics, change: MetricChange, allowed: float) -> dict[str, Any]:
    """Return, as evidence of a finding, since when a metric has been worse than a limit allows. allowed: this limit, as a loss in the unit
    of the limits.
    """
    known, before = known_days(daily, change), change.before.value
    if before is None or not change.scale:
        return {}
    losses = [worsening(change.metric, value.value or 0.0, before) / change.scale - allowed for _, value in known]
    return evidence_of_days_beyond([day for day, _ in known], losses, [row_error(value) / change.scale for _, value in known])


def metric_onset(daily: DailyMetrics, change: MetricChange, context: Context) -> OnsetEstimate:
    """Estimate the date on which a metric's change began, from the measured days and the month before; only days with enough labels are
    used.
    """
    known = known_days(daily, change)
    assert change.now.value is not None and change.before.value is not None
    past = sum(day < change.window.days[0] for day, _ in known)
    return estimate_onset(
        [day for day, _ in known],
        [value.value or 0.0 for _, value in known],
        [row_error(value) for _, value in known],
        start=context.window.start,
        before=None if past >= MIN_PAST else (change.before.value, row_error(change.before)),
        worse=1 if change.now.value >= change.before.value else -1,
    )
