"""Detects a gradual shift of a model's main metric that no single week shows.

Each day of the last four weeks is compared with the reference and with the weeks before; the worse of these two baselines counts. The score
of a day is its loss beyond this baseline, minus half of the smallest loss that matters, in standard deviations of a day. The scores go into
the e-detector of stats/sequential.py, which states the mean time between false alarms.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Severity
from observability.core.metric_definitions import METRICS
from observability.core.window import EPOCH
from observability.detection.metric_changes import MINIMUM_LABELS, MeasuredWindow, metric_limits
from observability.detection.windows import WEEK
from observability.metrics.measured_windows import BASELINE_DAYS, MIN_LABELS_A_DAY, DailyMetrics, Metrics, row_error
from observability.metrics.metric_limits import LIMITS
from observability.metrics.performance import HEADLINE
from observability.stats.multiple_testing import ACT_SHARE
from observability.stats.sequential import alarm_threshold, shift_start, shiryaev_roberts


@dataclass(frozen=True)
class GradualShift:
    """A gradual shift of one metric.

    days_between: lower bound of the mean days between false alarms. onset: the estimated first day of the shift.
    """

    metric: str
    severity: Severity
    days_between: float
    onset: datetime | None

    @property
    def phrase(self) -> str:
        """A clause about the shift, for the end of a sentence."""
        since = f" since {self.onset:%Y-%m-%d}" if self.onset else ""
        return f"; it has shifted gradually{since} (expected by chance at most once in {min(self.days_between, 1e5):,.0f} days)"


def gradual_shift(daily: DailyMetrics, whole: MeasuredWindow, reference: Metrics, context: Context) -> GradualShift | None:
    """Return the gradual shift of the main metric up to the last measured day; None if there is none or too few days are known."""
    metric = HEADLINE[context.model.task or "binary"]
    last = int(whole.days[-1])
    start = last - BASELINE_DAYS + 1
    older = daily.days[(daily.days < start) & (daily.days >= start - BASELINE_DAYS)]
    recent = daily.days[(daily.labelled >= MIN_LABELS_A_DAY) & (daily.days <= last)][-BASELINE_DAYS:]
    known = recent[recent >= start].tolist()
    sides = (reference.get(metric), daily.measured(older).get(metric) if older.size >= WEEK else None)
    base = [side for side in sides if side is not None and side.value is not None and side.n >= MINIMUM_LABELS]
    varies = daily.day_variation(metric, start, weekly=True)
    if not base or not known or varies is None or older.size < WEEK:
        return None
    sign = -1.0 if METRICS[metric].better == "high" else 1.0
    level = max(sign * (side.value or 0.0) for side in base)
    watch, act = metric_limits(context.model.settings, metric)
    scale = abs(level) if LIMITS[metric][0] == "relative" else 1.0
    scores = []
    inflation = (1 + varies.correlation) / (1 - varies.correlation)
    for day in known:
        value = daily.of_day(day)[metric]
        error = np.sqrt(max(row_error(value), 0.0) ** 2 + float(varies.between[0]) * inflation) if value.value is not None else float("nan")
        behind = sign * (value.value or 0.0) - level - watch / 2 * scale
        scores.append(behind / error if error > 0 else float("nan"))
    sums = shiryaev_roberts(scores)
    worse = (sign * (daily.measured(whole.days)[metric].value or 0.0) - level) / scale if scale else 0.0
    if sums[-1] < alarm_threshold(context.budget) or worse < watch:
        return None
    severity: Severity = "act" if worse >= act and sums[-1] >= alarm_threshold(context.budget * ACT_SHARE) else "watch"
    place = shift_start(scores)
    return GradualShift(metric, severity, float(sums[-1]), None if place is None else EPOCH + timedelta(days=known[place]))
