"""Measure how much worse a performance metric is than in the reference, or than in the model's own past.

Where most labels of the window are still to come, the last seven days that have theirs are measured instead, which may lie before the
window.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Severity
from observability.core.metric_definitions import METRICS
from observability.core.settings import ModelSettings
from observability.detection.change import DifferenceError, WindowChange, at_least, stated_limits
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.detection.windows import WEEK, last_day_masks, reference_days, same_weekdays, window_phrase
from observability.metrics.measured_windows import BASELINE_DAYS, LEAST_LABELS_A_DAY, DailyMetrics, Days, Metrics, on, row_error
from observability.metrics.metric_limits import LIMITS
from observability.stats.dispersion import PRIOR_EFFECT
from observability.stats.interval import Interval, difference_interval

NAME = "serving/performance"
MINIMUM_LABELS = 100
ONSET_LABELS_A_DAY = max(20, LEAST_LABELS_A_DAY)
"""Days with fewer labels are left out when the onset is estimated."""
LEAST_PAST = 5
"""Past days from which they give the level before an onset; with fewer the baseline does."""


@dataclass(frozen=True)
class MeasuredWindow:
    """Metrics over some days, and over the past that they are compared with.

    whole: the days that the finding is about, else some of its last days; late: days before the window, because its labels are still to
    come.
    """

    days: Days
    whole: bool
    late: bool
    metrics: Metrics
    past: Metrics

    @property
    def length(self) -> int:
        """Calendar days from the first to the last."""
        return int(self.days[-1] - self.days[0]) + 1

    @property
    def phrase(self) -> str:
        """The measured days, as the end of a phrase; empty for the window."""
        if self.late:
            return f" from {on(self.days[0])} to {on(self.days[-1])}, the last days with complete labels"
        return window_phrase(self.length, whole=self.whole)


@dataclass(frozen=True, kw_only=True)
class MetricChange(WindowChange):
    """One metric in one window and before; the effect is how much worse it became (in points, or relative).

    by_rows: p-value by rows alone. smallest: the smallest effect that is act, without natural variation. past: the same change against the
    own past, None where the past is the baseline or is not known.
    """

    metric: str
    window: MeasuredWindow
    now: Interval
    before: Interval
    by_rows: float
    smallest: float
    past: "MetricChange | None" = None

    def is_new(self, severity: Severity, budget: float) -> bool:
        """Whether it is worse than the own past as well."""
        return self.past is None or (self.past.effect >= self.past.limits[0] and self.past.p_value <= budget)

    @property
    def near_past(self) -> bool:
        """Whether it is about as in the own past."""
        return self.past is not None and self.past.effect < self.past.smallest / 2


def measured_windows(daily: DailyMetrics, *, young: bool, least: int) -> list[MeasuredWindow]:
    """Return the window and its last days with at least `least` labels.

    Where the window's labels are young, the last mature week replaces it, if there is one.
    """
    whole = daily.days[daily.days >= daily.first]
    ripe = daily.mature[-WEEK:]
    late = bool(young and ripe.size == WEEK and daily.labels(ripe) >= least)
    if late:
        whole = ripe
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
    return MeasuredWindow(days, whole, late, own, daily.measured(past) if past.size else {})


def metric_limits(settings: ModelSettings, metric: str) -> tuple[float, float]:
    """Return the effects from which a metric is watch and act."""
    return stated_limits(settings, f"{NAME}/{metric}", *LIMITS[metric][1:])


def metric_changes(
    daily: DailyMetrics,
    window: MeasuredWindow,
    before: Metrics,
    settings: ModelSettings,
    past: Mapping[str, MetricChange] | None = None,
) -> dict[str, MetricChange]:
    """Return the change of each metric that has enough labels and an interval on both sides.

    past: the changes against the own past; None where `before` is the past.
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
        worse = -change.value if METRICS[metric].better == "high" else change.value
        if kind == "of mae":
            scale, worse = before["mae"].value or 0.0, abs(now.value) - abs(then.value)
        error = _change_error(daily, window, metric, change, now, then, own_past=past is None)
        varies = error.reach / scale if scale and error.days_known else 0.0
        found[metric] = MetricChange(
            days=window.length,
            whole=window.whole,
            effect=worse / scale if scale else 0.0,
            p_value=error.p_value(change.value),
            limits=at_least(stated, varies),
            varies=varies,
            metric=metric,
            window=window,
            now=now,
            before=then,
            by_rows=difference_p_value(change),
            smallest=stated[1],
            past=None if past is None else past.get(metric),
        )
    return found


def _change_error(
    daily: DailyMetrics, window: MeasuredWindow, metric: str, change: Interval, now: Interval, then: Interval, *, own_past: bool
) -> DifferenceError:
    """Return the standard error of a change; the between-day part is estimated from past days, else an assumed value."""
    length = float(window.days.size)
    known = daily.day_variation(metric, int(window.days[0]), weekly=own_past or window.length >= WEEK)
    if known is None:
        return difference_error(change, PRIOR_EFFECT * row_error(now) ** 2)
    from_days = float((known.of_mean(length) + known.of_mean(reference_days(then.n, now.n / length)))[0])
    return difference_error(change, from_days, known.freedom)


def difference_error(change: Interval, from_days: float = 0.0, freedom: float = float("inf")) -> DifferenceError:
    """Return the standard error of a change from its interval on the side of zero, and from the variance that days add."""
    assert change.value is not None and change.low is not None and change.high is not None
    rows = (change.value - change.low if change.value > 0 else change.high - change.value) / 1.96
    return DifferenceError(rows, from_days, freedom, most_freedom=float("inf"))


def difference_p_value(change: Interval) -> float:
    """Return the two-sided p-value of no change, from the interval of the change."""
    assert change.value is not None
    return difference_error(change).p_value(change.value)


def metric_onset(daily: DailyMetrics, change: MetricChange, context: Context) -> OnsetEstimate:
    """Estimate the onset date of a metric's change, from the measured days and the month before that hold enough labels."""
    window, metric = change.window, change.metric
    first, last = int(window.days[0]) - BASELINE_DAYS, int(window.days[-1])
    days = daily.days[(daily.days >= first) & (daily.days <= last) & (daily.labelled >= ONSET_LABELS_A_DAY)]
    known = [
        (day, value) for day in days.tolist() if (value := daily.of_day(day)[metric]).value is not None and np.isfinite(row_error(value))
    ]
    assert change.now.value is not None and change.before.value is not None
    past = sum(day < window.days[0] for day, _ in known)
    return estimate_onset(
        [day for day, _ in known],
        [value.value or 0.0 for _, value in known],
        [row_error(value) for _, value in known],
        start=context.window.start,
        before=None if past >= LEAST_PAST else (change.before.value, row_error(change.before)),
        worse=1 if change.now.value >= change.before.value else -1,
    )
