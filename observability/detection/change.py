"""Judges a change that was measured in several windows (windows.py): whether it is beyond its limit, and whether it is new.

The statistic depends on the detector (PSI of a distribution, loss of a metric, growth of a ratio or of a gap between groups, change of a
correlation, decrease of agreement); the decision rule is always the same. The whole window is judged only by size and significance, no
matter how long the change has lasted. A change that the model's own past also shows is called standing; its severity stays the same. The
last days of a window are reported only if their change is new, or if the same weekdays are bad each week. A detector fills a `WindowChange`
for each window, adds its own fields, and defines in `is_new` whether the window also differs from the model's own past.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np

from observability.core.finding import SEVERITIES, News, Severity, needs_action
from observability.core.settings import ModelSettings
from observability.stats.dispersion import LARGE_FREEDOM
from observability.stats.multiple_testing import ACT_SHARE, benjamini_hochberg

USUAL_SHARE = 0.99
"""Share of unchanged windows whose effect stays within the range called natural variation."""
SURE_SHARE = 0.9999
"""Share of unchanged windows whose effect stays below the level that `act` must exceed: 4.4 standard errors if a month of days is known."""
NO_DIFFERENCE = 1e-9
"""Differences of logarithms up to this size are rounding errors."""
Limits = tuple[float, float]
"""The effects from which a change is `watch` and `act`."""


@dataclass(frozen=True)
class DifferenceError:
    """Standard error of a difference.

    rows: standard error from rows; days: additional variance between days; freedom: degrees of freedom of the estimate of `days`;
    most_freedom: maximum degrees of freedom of the total error. one_sided: only an increase counts.
    """

    rows: float
    days: float = 0.0
    freedom: float = float("inf")
    most_freedom: float = LARGE_FREEDOM
    one_sided: bool = False

    @property
    def days_known(self) -> bool:
        """Whether the past has enough days to estimate the variance between days."""
        return bool(np.isfinite(self.freedom))

    @cached_property
    def total(self) -> float:
        """Standard error from rows and days."""
        return float(np.hypot(self.rows, np.sqrt(self.days)))

    @cached_property
    def total_freedom(self) -> float:
        """Degrees of freedom of the total error. They are at least those of the variation between days, and increase with the part of the
        error that comes from rows (Satterthwaite 1946).
        """
        grown = self.freedom * (self.total**2 / self.days) ** 2 if self.days > 0 else float("inf")
        return min(grown, self.most_freedom)

    def p_value(self, difference: float) -> float:
        """Return the p-value of no difference. If the error is zero, it is 1 for no difference and 0 for any other."""
        from scipy.special import ndtr, stdtr

        size = difference if self.one_sided else abs(difference)
        if not self.total > 0:
            return float(size <= (NO_DIFFERENCE if self.one_sided else 0.0))
        score = -size / self.total
        below = ndtr(score) if np.isinf(self.total_freedom) else stdtr(self.total_freedom, score)
        return float(below if self.one_sided else 2 * below)

    @cached_property
    def reach(self) -> float:
        """The difference that the share USUAL_SHARE of unchanged windows does not exceed."""
        return self._reach_of(USUAL_SHARE)

    @cached_property
    def sure_reach(self) -> float:
        """The difference that the share SURE_SHARE of unchanged windows does not exceed."""
        return self._reach_of(SURE_SHARE)

    def _reach_of(self, unchanged: float) -> float:
        """The difference that the given share of unchanged windows does not exceed."""
        from scipy.special import stdtrit

        if not self.total > 0:
            return 0.0
        share = unchanged if self.one_sided else 0.5 + unchanged / 2
        return float(stdtrit(min(self.total_freedom, LARGE_FREEDOM), share)) * self.total


def stated_limits(settings: ModelSettings, metric: str, watch: float, act: float) -> Limits:
    """Return the limits of a metric (`section/analyzer/metric`). The owner's limit replaces the limit for `act`; the limit for `watch` is
    never above it.
    """
    act = settings.limits.get(metric, act)
    return min(watch, act), act


def at_least(limits: Limits, varies: float, sure: float = 0.0) -> Limits:
    """Return the limits, raised to the natural variation if they are below it. sure: a further lower bound of the limit for `act`."""
    return max(limits[0], varies), max(limits[1], varies, sure)


def significant_severity(watch: bool, act: bool, p_adjusted: float, budget: float, act_share: float = ACT_SHARE) -> Severity:
    """Return the severity of an effect at an adjusted p-value. watch, act: whether the effect reaches these limits.

    budget: share of false discoveries that is allowed in the run; act_share: the part of this share that is allowed for `act`.
    """
    if not watch or p_adjusted > budget:
        return "ok"
    return "act" if act and p_adjusted <= budget * act_share else "watch"


@dataclass(frozen=True, kw_only=True)
class WindowChange:
    """A change in one window.

    days: length of the window; whole: True for the whole window, False for its last days. effect: size of the change, in the unit of its
    limits (larger is worse). p_value: the p-value of no change. limits: the limits for `watch` and `act`, already raised to the natural
    variation (varies).
    """

    days: float
    whole: bool
    effect: float
    p_value: float
    limits: Limits
    varies: float = 0.0

    @property
    def order(self) -> tuple[float, ...]:
        """Sort key among changes of the same severity and kind of window, most informative first."""
        return (-self.effect,)

    def is_new(self, severity: Severity, budget: float) -> bool:
        """Whether the window also differs from the model's own past; True if there is no past."""
        return True

    @property
    def repeats(self) -> bool:
        """Whether a change of the last days that the model's own past also shows recurs each week and is not a natural weekly pattern."""
        return False

    @property
    def comparable(self) -> bool:
        """Whether the window can be compared with the reference; False if the two cover different parts of the calendar."""
        return True

    @property
    def earlier_effect(self) -> float | None:
        """The effect in the preceding window, in the same unit; None if it is not known."""
        return None


Change = TypeVar("Change", bound=WindowChange)


@dataclass(frozen=True)
class ChangeVerdict(Generic[Change]):
    """The verdict on a change: its severity and how it was decided.

    limit: the limit that the change exceeded, else the limit for `watch`. standing: the change is beyond the limit, but not new compared
    with the model's own past. The severity is `unknown` if the change is beyond the limit but not significantly.
    """

    change: Change
    severity: Severity
    p_adjusted: float
    standing: bool = False

    @property
    def limit(self) -> float:
        """The limit that the change exceeded; if it exceeded none, the limit for `watch`."""
        return self.change.limits[self.severity == "act"]

    @property
    def needs_action(self) -> bool:
        """Whether the severity is act or watch."""
        return needs_action(self.severity)

    @property
    def news(self) -> News | None:
        """What changed since the preceding window; None if nothing did. A change called new may have begun before the window; the onset
        shows this.
        """
        (watch, act), now, before = self.change.limits, self.change.effect, self.change.earlier_effect
        if not self.needs_action:
            return "recovered" if self.severity == "ok" and self.change.whole and before is not None and before >= act else None
        if before is None or (self.standing and not self.change.whole):
            return "ongoing" if self.standing else "new"
        if before < watch:
            return "new"
        if before < act <= now and self.severity == "act":
            return "worse"
        moved = now - before
        return "improving" if moved <= -watch else "worse" if moved >= watch else "ongoing"

    @property
    def order(self) -> tuple[int, bool, tuple[float, ...]]:
        """Sort key: worst severity first, then the whole window before its last days, then the most informative change."""
        return SEVERITIES.index(self.severity), not self.change.whole, self.change.order

    def evidence_row(self, value: float | None, low: float | None, high: float | None, edge: float | None, **more: Any) -> dict[str, Any]:
        """Return the entry for this window in the `windows` of a finding. edge: the value at which the limit is reached.

        A change of the last days that is beyond its limit but not significant is listed as unknown; it does not decide the severity of the
        finding.
        """
        change = self.change
        not_significant = self.severity == "ok" and not self.standing and change.effect >= change.limits[0]
        return {
            "days": change.days,
            "value": value,
            "low": low,
            "high": high,
            "limit": self.limit,
            "edge": edge,
            "varies_up_to": change.varies,
            "p_value": change.p_value,
            "p_adjusted": self.p_adjusted,
            "standing": self.standing,
            "severity": "unknown" if not_significant else self.severity,
            **more,
        }


def judge_change(change: Change, p_adjusted: float, budget: float) -> ChangeVerdict[Change]:
    """Return the verdict on one change. It is `watch` or `act` if the change is beyond its limit and significant; a change of the last days
    must also be new.

    A whole window is `unknown` if it is beyond its limit, but not significantly, or if it cannot be compared.
    """
    watch, act = change.limits
    severity = significant_severity(change.effect >= watch, change.effect >= act, p_adjusted, budget)
    if severity == "ok":
        return ChangeVerdict(change, "unknown" if change.whole and change.effect >= watch else "ok", p_adjusted)
    if change.is_new(severity, budget):
        return ChangeVerdict(change, severity, p_adjusted)
    if not change.whole and not change.repeats:
        return ChangeVerdict(change, "ok", p_adjusted, standing=True)
    return ChangeVerdict(change, severity if change.comparable else "unknown", p_adjusted, standing=True)


def judge_changes(changes: Sequence[Change], budget: float) -> list[ChangeVerdict[Change]]:
    """Return the verdicts on changes, worst first; the false discovery rate is controlled over all of them."""
    adjusted, _ = benjamini_hochberg([change.p_value for change in changes], budget)
    return sorted(
        (judge_change(change, float(p), budget) for change, p in zip(changes, adjusted, strict=True)), key=lambda verdict: verdict.order
    )
