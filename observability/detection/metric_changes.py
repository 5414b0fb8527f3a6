"""Is a metric worse than it was by more than rows and days do by chance, and by enough to matter?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from observability.core.metric_definitions import METRICS
from observability.metrics.measured_windows import WEEK, Ledger, Metrics, Stretch, row_error
from observability.metrics.metric_limits import LIMITS
from observability.stats.dispersion import DOUBT, share_left
from observability.stats.interval import Interval, difference_interval

MINIMUM_LABELS = 100
MOST_REFERENCE_DAYS = 90
VARIES = 0.99
"""What a clean change stays under in so many of the cases is what a metric varies up to by itself."""


@dataclass(frozen=True)
class Compared:
    """One metric of one stretch now and before: worse is how much worse it became (points, or relative), p_value how easily chance does that.

    limits: for watch and act, in the same unit: the smallest that matters, or what the metric varies up to by itself where that is more (varies).
    by_rows: the p-value of rows alone; smallest: the smallest fall that matters for an act.
    """

    metric: str
    stretch: Stretch
    now: Interval
    before: Interval
    worse: float
    p_value: float
    limits: tuple[float, float]
    varies: float
    by_rows: float
    smallest: float

    def allowed(self, act: bool) -> float:
        """The limit for act, or for watch."""
        return self.limits[1] if act else self.limits[0]


def compared(
    ledger: Ledger, stretch: Stretch, before: Metrics, limits: Mapping[str, float], name: str, *, past: bool
) -> dict[str, Compared]:
    """The comparisons of a stretch that can be made: enough labels on both sides and an interval on each. past: the baseline is the own past, of the
    same weekdays where the stretch is shorter than a week. limits: the owner's, by `analyzer/metric`.
    """
    found = {}
    for metric, (kind, watch, usual_act) in LIMITS.items():
        now, then = stretch.metrics.get(metric), before.get(metric)
        if now is None or then is None or now.n < MINIMUM_LABELS or then.n < MINIMUM_LABELS:
            continue
        change = difference_interval(now, then)
        if change.value is None or change.low is None or change.high is None or now.value is None or then.value is None:
            continue
        act = limits.get(f"{name}/{metric}", usual_act)
        scale = abs(then.value) if kind == "relative" else 1.0
        worse = -change.value if METRICS[metric].better == "high" else change.value
        if kind == "of mae":
            scale, worse = before["mae"].value or 0.0, abs(now.value) - abs(then.value)
        days = of_days(ledger, stretch, metric, now, then, past=past)
        p_value, reach = chance(change, *days), reach_of(change, *days)
        varies = reach / scale if scale else 0.0
        limit = (max(min(watch, act), varies), max(act, varies))
        found[metric] = Compared(metric, stretch, now, then, worse / scale if scale else 0.0, p_value, limit, varies, chance(change), act)
    return found


def of_days(ledger: Ledger, stretch: Stretch, metric: str, now: Interval, then: Interval, *, past: bool) -> tuple[float, float]:
    """The variance that days add to a change, and the degrees of freedom of that: from the days before, else a doubt that is stated."""
    length = float(stretch.days.size)
    weekly = past or stretch.length >= WEEK
    known = ledger.day_variation(metric, int(stretch.days[0]), weekly=weekly)
    a_day = now.n / length
    before_days = min(max(then.n / a_day, WEEK), MOST_REFERENCE_DAYS) if a_day > 0 else float(WEEK)
    if known is None:
        return DOUBT * row_error(now) ** 2, float("inf")
    share = share_left(length, known.correlation) + share_left(before_days, known.correlation)
    return float(known.between[0]) * share, known.freedom


def error_of(change: Interval, from_days: float) -> float:
    """Standard error of a change on the side of zero, days included."""
    assert change.value is not None and change.low is not None and change.high is not None
    reach = (change.value - change.low if change.value > 0 else change.high - change.value) / 1.96
    return float(np.hypot(reach, np.sqrt(from_days)))


def freedom_of(error: float, from_days: float, freedom: float) -> float:
    """Degrees of freedom of the whole error: that of the days' part grows as rows weigh more (Satterthwaite 1946)."""
    return freedom * (error**2 / from_days) ** 2 if from_days > 0 and np.isfinite(freedom) else float("inf")


def chance(change: Interval, from_days: float = 0.0, freedom: float = float("inf")) -> float:
    """Two-sided p-value of no change, from the interval's reach on the side of zero and what days add to its variance."""
    from scipy.special import ndtr, stdtr

    error = error_of(change, from_days)
    assert change.value is not None
    if not error > 0:
        return float(change.value == 0)
    left = freedom_of(error, from_days, freedom)
    score = -abs(change.value) / error
    return float(2 * (ndtr(score) if np.isinf(left) else stdtr(left, score)))


def reach_of(change: Interval, from_days: float, freedom: float) -> float:
    """How far a clean change goes in VARIES of the cases, where days were seen to differ; 0 where nothing is known of days."""
    from scipy.special import stdtrit

    if np.isinf(freedom):
        return 0.0
    error = error_of(change, from_days)
    left = min(freedom_of(error, from_days, freedom), 1e6)
    return float(stdtrit(left, 0.5 + VARIES / 2)) * error
