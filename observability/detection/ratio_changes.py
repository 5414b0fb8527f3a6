"""Compares a ratio (energy or money per prediction) with the model's own past, for the window and for its last 1, 3 and 7 days.

Days are counted back from the end of the window, so that the last day is complete at any hour. The variation of a window is estimated from
past days, on logarithms (stats/dispersion.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import DAYS_DRAWN, Context
from observability.core.finding import Finding, Severity, needs_action
from observability.core.owner_level import owner_limit_words
from observability.core.time import naive_utc
from observability.core.window import EPOCH
from observability.detection.change import ChangeVerdict, DifferenceError, Limits, WindowChange, at_least, judge_changes, stated_limits
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.detection.windows import WEEK, Floats, Mask, last_day_masks, same_weekdays, window_phrase
from observability.metrics.performance import Columns
from observability.stats.dispersion import PRIOR_DAYS, DayVariation, estimate_day_variation, mean_variance_ratio
from observability.stats.interval import Interval
from observability.stats.ratio import ratio_of_totals_interval

if TYPE_CHECKING:
    from pandas import DataFrame

WATCH, ACT = 1.2, 1.5
"""Multiples of the past ratio from which the severity is `watch` and `act`. The entry with the ratio's name in the `limits` of the model's
settings overrides ACT.
"""
MIN_DAYS = 7
"""A comparison needs at least this many days of past."""
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
THOUSAND = 1000.0


@dataclass(frozen=True, kw_only=True)
class PastRatioChange(WindowChange):
    """A ratio in one window.

    effect: the ratio divided by the past ratio. low, high: 95 % interval of the value, from the variation of windows of this length.
    """

    value: float
    low: float
    high: float
    before: float


@dataclass(frozen=True)
class RatioVerdict:
    """A ratio per thousand predictions, with its interval and its comparison with the past.

    worst: the most severe verdict; None if there is too little past.
    """

    now: Interval
    worst: ChangeVerdict[PastRatioChange] | None
    severity: Severity
    comparison: str
    windows: tuple[ChangeVerdict[PastRatioChange], ...] = ()
    onset: OnsetEstimate | None = None

    @property
    def before(self) -> float | None:
        """The past ratio per thousand predictions."""
        return None if self.worst is None else THOUSAND * self.worst.change.before

    @property
    def last_days(self) -> PastRatioChange | None:
        """The reported change if it is about the last days; None if it is about the whole window."""
        return self.worst.change if self.worst is not None and self.worst.needs_action and not self.worst.change.whole else None


@dataclass(frozen=True)
class DailyRatio:
    """Sums by day, counted back from the end of the window.

    back: 0 for the last 24 hours of the window, 1 for the 24 hours before them, and so on; in falling order. window: length of the window
    in days.
    """

    back: NDArray[np.int64]
    served: Floats
    amount: Floats
    window: float

    @property
    def past(self) -> Mask:
        """A mask of the days before the window."""
        return np.asarray(self.back >= np.ceil(self.window - 1e-9), bool)

    @property
    def log_ratio(self) -> Floats:
        """The logarithm of the ratio of each day; NaN if nothing was served or nothing was spent."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(self.served > 0, self.amount / self.served, np.nan)
            return np.where(ratio > 0, np.log(ratio), np.nan)

    def total(self, kept: Mask) -> float:
        """Return the ratio over some days; NaN if nothing was served on them."""
        served = float(self.served[kept].sum())
        return float(self.amount[kept].sum()) / served if served > 0 else float("nan")

    @property
    def variation(self) -> DayVariation:
        """The variance of the log ratio between days, estimated from the past."""
        known = self.past & np.isfinite(self.log_ratio)
        if not known.any():
            return DayVariation(np.zeros(1), 0.0, 0)
        return estimate_day_variation(self.log_ratio[known], np.zeros(int(known.sum())), -self.back[known])

    def changes(self, stated: Limits = (WATCH, ACT)) -> list[PastRatioChange]:
        """Return the changes of the window and of its last days. stated: the minimum multiples for `watch` and `act`.

        Empty if fewer than MIN_DAYS past days have predictions; a window is left out if either side is 0.
        """
        known = self.variation
        if known.days < MIN_DAYS:
            return []
        # Here the sampling variance of rows cannot be separated from the variance between days.
        variance = float(known.between[0]) * (known.days + PRIOR_DAYS) / known.days
        usual = float(np.median(self.served[self.past & (self.served > 0)]))
        found = []
        for days, mask in ((self.window, ~self.past), *last_day_masks(-self.back, 0, self.window)):
            inside, before = mask & ~self.past, self.past
            if days < WEEK and int(self.past.sum()) >= 2 * WEEK:
                before = self.past & same_weekdays(self.back, self.back[inside])
            value, then = self.total(inside), self.total(before)
            if not (value > 0 and then > 0):
                continue
            thin = max(usual * max(days, 1.0) / float(self.served[inside].sum()), 1.0)
            own, other = (
                variance * mean_variance_ratio(days, known.correlation) * thin,
                variance * mean_variance_ratio(int(before.sum()), known.correlation),
            )
            found.append(ratio_change(days, days == self.window, value, then, own, other, known.freedom, stated))
        return found

    def onset(self, start: datetime, end: datetime) -> OnsetEstimate:
        """Return the day since which the ratio is higher than before."""
        days = [naive_utc(end) - timedelta(days=int(back) + 1) for back in self.back]
        return estimate_onset(days, self.log_ratio, start=start, worse=1)


def daily_ratio(now: "DataFrame | Columns", past: "DataFrame | Columns", column: str, start: datetime, end: datetime) -> DailyRatio:
    """Return the sums of `served` and of a column by day, counted back from the end of the window.

    now, past: for each hour, `period` (naive UTC), `served` and the column.
    """
    at = np.concatenate([np.asarray(side["period"], "datetime64[us]") for side in (past, now)]).astype(np.int64)
    served, amount = (np.concatenate([np.asarray(side[name], np.float64) for side in (past, now)]) for name in ("served", column))
    number = np.maximum(((end - EPOCH) // MICROSECOND - at - 1) // (DAY // MICROSECOND), 0)
    back, place = np.unique(-number, return_inverse=True)
    return DailyRatio(-back, np.bincount(place, served, back.size), np.bincount(place, amount, back.size), (end - start) / DAY)


def ratio_change(
    days: float, whole: bool, value: float, before: float, own: float, other: float, freedom: float, stated: Limits
) -> PastRatioChange:
    """Return the change of a ratio. own, other: variance between days of the log ratio, now and before; freedom: degrees of freedom of
    both.
    """
    from scipy.special import stdtrit

    error = DifferenceError(0.0, own + other, freedom, one_sided=True)
    reach, varies = float(np.exp(stdtrit(freedom, 0.975) * np.sqrt(own))), float(np.exp(error.reach))
    return PastRatioChange(
        days=days,
        whole=whole,
        effect=value / before,
        p_value=error.p_value(float(np.log(value / before))),
        limits=at_least(stated, varies),
        varies=varies,
        value=value,
        low=value / reach,
        high=value * reach,
        before=before,
    )


def ratio_verdict(
    now: "DataFrame | Columns", past: "DataFrame | Columns", column: str, context: Context, parts: "DataFrame", name: str
) -> RatioVerdict:
    """Return the ratio of a column per thousand served predictions, compared with the past. It is `unknown` with less than a week of past,
    or with fewer than three parts.

    now, past: for each hour, `period`, `served` and the column. parts: sums of the window by day, for the interval. name: the name of the
    owner's limit, which is a multiple of the past, such as `operations/cost/cost_per_thousand`.
    """
    limits = context.model.settings.limits
    stated = stated_limits(context.model.settings, name, WATCH, ACT)
    value = scaled_interval(ratio_of_totals_interval(parts[column], parts["served"]), THOUSAND)
    of = daily_ratio(now, past, column, context.window.start, context.window.end)
    changes = of.changes(stated)
    whole = next((change for change in changes if change.whole), None)
    if value.value is None or value.low is None:
        return RatioVerdict(value, None, "unknown", "too few hours for an interval")
    if whole is None:
        missing = max(MIN_DAYS - int((of.past & (of.served > 0)).sum()), 1)
        return RatioVerdict(value, None, "unknown", f"about {missing} more days of past are needed for a comparison")
    verdicts = judge_changes(changes, context.budget)
    worst = verdicts[0]
    onset = of.onset(context.window.start, context.window.end) if worst.needs_action else None
    said = past_comparison_words(worst, whole, stated[0]) + owner_limit_words(limits, name, lambda limit: f"{limit:g} times the past")
    return RatioVerdict(value, worst, worst.severity, said, tuple(verdicts), onset)


def past_comparison_words(verdict: ChangeVerdict[PastRatioChange], whole: PastRatioChange, watch: float = WATCH) -> str:
    """Return the end of a sentence that compares the ratio with the past."""
    past, change = "the 28 days before", verdict.change
    if verdict.needs_action:
        over = "" if change.whole else f"; {whole.effect:.2g} times over the whole window"
        return f"{change.effect:.2g} times the level of {past}{window_phrase(change.days, whole=change.whole)}, beyond chance{over}"
    if abs(whole.effect - 1) < 0.005:
        return f"unchanged from {past}"
    side = "above" if whole.effect > 1 else "below"
    significance = "" if whole.effect < verdict.limit else ", not significantly"
    varies = f" (expected daily range up to {whole.varies:.2g} times)" if whole.effect >= watch and whole.varies > watch else ""
    return f"{100 * abs(whole.effect - 1):.0f} % {side} {past}{significance}{varies}"


def scaled_interval(interval: Interval, by: float) -> Interval:
    """Return an interval multiplied by a factor."""
    value, low, high = (None if end is None else end * by for end in (interval.value, interval.low, interval.high))
    return Interval(value, low, high, interval.n)


def ratio_finding(finding: Finding, verdict: RatioVerdict, **changes: Any) -> Finding:
    """Return the finding with value, interval and severity of a verdict. If the verdict is about the last days, value and interval are
    those of these days.
    """
    worst, alarming, last = verdict.worst, needs_action(verdict.severity), verdict.last_days
    change = None if worst is None else worst.change
    value, low, high = verdict.now.value, verdict.now.low, verdict.now.high
    if last is not None:
        value, low, high = (THOUSAND * end for end in (last.value, last.low, last.high))
    evidence: dict[str, Any] = {
        "baseline": verdict.before,
        "times_the_past": change and change.effect,
        "p_value": change and change.p_value,
        "p_adjusted": worst and worst.p_adjusted,
        "varies_up_to": change and change.varies,
        "look_days": change.days if alarming and change else max((window.change.days for window in verdict.windows), default=None),
        "windows": [ratio_row(window) for window in sorted(verdict.windows, key=lambda window: window.change.days)],
    }
    return replace(
        finding,
        value=value,
        low=low,
        high=high,
        limit=None if worst is None or verdict.before is None else verdict.before * worst.limit,
        severity=verdict.severity,
        onset=verdict.onset.at if verdict.onset else None,
        likely_source="system" if alarming else None,
        rank=4.0 + min(change.effect, 5.0) if change is not None and alarming else 0.0,
        **{**changes, "evidence": evidence | changes.get("evidence", {}) | (verdict.onset.evidence if verdict.onset else {})},
    )


def ratio_row(verdict: ChangeVerdict[PastRatioChange]) -> dict[str, Any]:
    """Return the evidence for the verdict on one window."""
    change = verdict.change
    value, low, high, before = (THOUSAND * each for each in (change.value, change.low, change.high, change.before))
    return verdict.evidence_row(value, low, high, before * verdict.limit, baseline=before, times_the_past=change.effect)


def ratio_by_day(rows: "DataFrame", columns: Sequence[str]) -> list[list[Any]]:
    """Return [day or hour, served, and the columns] for the last days or hours."""
    kept = rows.sort_index().tail(DAYS_DRAWN)
    return [
        [str(at)[:16], float(served), *(float(value) for value in more)] for at, served, *more in kept[["served", *columns]].itertuples()
    ]
