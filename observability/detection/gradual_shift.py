"""Has the main metric of a model been getting worse day by day, though no week stands out?

Each day of the last four weeks is held against the worse of the reference and the weeks before those, less half of the smallest fall that matters, in
standard deviations of a day; the scores go into the e-detector of stats/sequential.py, whose mean time between false alarms is stated.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Severity
from observability.core.metric_definitions import METRICS
from observability.core.window import EPOCH
from observability.detection.metric_changes import MINIMUM_LABELS
from observability.metrics.measured_windows import BASELINE_DAYS, WEEK, Ledger, Metrics, Stretch, row_error
from observability.metrics.metric_limits import LIMITS
from observability.metrics.performance import HEADLINE
from observability.stats.multiple import ACT_SHARE
from observability.stats.sequential import began, creeping, mean_days_between


@dataclass(frozen=True)
class Creep:
    """A creep of one metric. days_between: so many days lie between false alarms at least. onset: the day from which it adds up."""

    metric: str
    severity: Severity
    days_between: float
    onset: datetime | None

    @property
    def words(self) -> str:
        """What is said of it, as a part of a sentence."""
        since = f" since {self.onset:%Y-%m-%d}" if self.onset else ""
        return f"; it has been getting worse day by day{since} (a clean series looks so at most once in {min(self.days_between, 1e5):,.0f} days)"


def creep(ledger: Ledger, whole: Stretch, reference: Metrics, context: Context) -> Creep | None:
    """The creep of the main metric up to the last measured day, where there is one; None too where too few days are known."""
    metric = HEADLINE[context.model.task or "binary"]
    last = int(whole.days[-1])
    start = last - BASELINE_DAYS + 1
    older = ledger.days[(ledger.days < start) & (ledger.days >= start - BASELINE_DAYS)]
    known = [day for day in ledger.before(last + 1) if day >= start]
    base = [each for each in (reference.get(metric), ledger.measured(older).get(metric) if older.size >= WEEK else None)
            if each is not None and each.value is not None and each.n >= MINIMUM_LABELS]  # fmt: skip
    varies = ledger.day_variation(metric, start, weekly=True)
    if not base or not known or varies is None or older.size < WEEK:
        return None
    sign = -1.0 if METRICS[metric].better == "high" else 1.0
    level = max(sign * (each.value or 0.0) for each in base)
    kind, watch, usual_act = LIMITS[metric]
    act = context.model.settings.limits.get(f"serving/performance/{metric}", usual_act)
    scale = abs(level) if kind == "relative" else 1.0
    scores = []
    inflation = (1 + varies.correlation) / (1 - varies.correlation)
    for day in known:
        each = ledger.of_day(day)[metric]
        error = np.sqrt(max(row_error(each), 0.0) ** 2 + float(varies.between[0]) * inflation) if each.value is not None else float("nan")
        behind = sign * (each.value or 0.0) - level - min(watch, act) / 2 * scale
        scores.append(behind / error if error > 0 else float("nan"))
    sums = creeping(scores)
    worse = (sign * (ledger.measured(whole.days)[metric].value or 0.0) - level) / scale if scale else 0.0
    if sums[-1] < mean_days_between(context.budget) or worse < min(watch, act):
        return None
    severity: Severity = "act" if worse >= act and sums[-1] >= mean_days_between(context.budget * ACT_SHARE) else "watch"
    place = began(scores)
    return Creep(metric, severity, float(sums[-1]), None if place is None else EPOCH + timedelta(days=known[place]))
