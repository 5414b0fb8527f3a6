"""Judge a change that was measured in several windows (windows.py): whether it is beyond its limit, and whether it is new.

The statistic differs (PSI of a distribution, loss of a metric, growth of a ratio, of a gap between groups, change of a correlation, fall
of agreement); the decision rule is the same. The whole window is judged by size and significance alone, regardless of how long the change
has lasted. A change that the model's own past shows as well is standing, and as critical as before. The last days of a window are reported
only if they are new, or if the same weekdays are bad each week. A detector fills a `WindowChange` for each window, adds its own fields,
and states in `is_new` whether the model's own past differs from it too.
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
"""Share of unchanged windows whose effect stays within the natural variation."""
SURE_SHARE = 0.9999
"""Share of unchanged windows whose effect stays below what an act must exceed: 4.4 standard errors if a month of days is known."""
NO_DIFFERENCE = 1e-9
"""Differences of logarithms up to this are rounding errors."""
Limits = tuple[float, float]
"""The effects from which a change is watch and act."""


@dataclass(frozen=True)
class DifferenceError:
    """Standard error of a difference.

    rows: standard error from rows; days: variance that days add; freedom: degrees of freedom of the estimate of `days`; most_freedom: cap
    of the degrees of freedom of the whole. one_sided: only a rise counts.
    """

    rows: float
    days: float = 0.0
    freedom: float = float("inf")
    most_freedom: float = LARGE_FREEDOM
    one_sided: bool = False

    @property
    def days_known(self) -> bool:
        """Whether the past has enough days to estimate the variance that days add."""
        return bool(np.isfinite(self.freedom))

    @cached_property
    def total(self) -> float:
        """Standard error from rows and days."""
        return float(np.hypot(self.rows, np.sqrt(self.days)))

    @cached_property
    def total_freedom(self) -> float:
        """Degrees of freedom of the total error. They are at least the degrees of freedom of the variation between days, and grow with the
        part of the error that comes from rows (Satterthwaite 1946).
        """
        grown = self.freedom * (self.total**2 / self.days) ** 2 if self.days > 0 else float("inf")
        return min(grown, self.most_freedom)

    def p_value(self, difference: float) -> float:
        """Return the p-value of no difference; without any error 1 for no difference, else 0."""
        from scipy.special import ndtr, stdtr

        size = difference if self.one_sided else abs(difference)
        if not self.total > 0:
            return float(size <= (NO_DIFFERENCE if self.one_sided else 0.0))
        score = -size / self.total
        below = ndtr(score) if np.isinf(self.total_freedom) else stdtr(self.total_freedom, score)
        return float(below if self.one_sided else 2 * below)

    @cached_property
    def reach(self) -> float:
        """The difference below which USUAL_SHARE of unchanged windows stay."""
        return self._reach_of(USUAL_SHARE)

    @cached_property
    def sure_reach(self) -> float:
        """The difference below which SURE_SHARE of unchanged windows stay."""
        return self._reach_of(SURE_SHARE)

    def _reach_of(self, unchanged: float) -> float:
        """The difference below which a share of unchanged windows stays."""
        from scipy.special import stdtrit

        if not self.total > 0:
            return 0.0
        share = unchanged if self.one_sided else 0.5 + unchanged / 2
        return float(stdtrit(min(self.total_freedom, LARGE_FREEDOM), share)) * self.total


def stated_limits(settings: ModelSettings, metric: str, watch: float, act: float) -> Limits:
    """Return the limits of a metric (`section/analyzer/metric`): the owner's limit replaces the limit for act, and the limit for watch
    is never above it.
    """
    act = settings.limits.get(metric, act)
    return min(watch, act), act


def at_least(limits: Limits, varies: float, sure: float = 0.0) -> Limits:
    """Return limits that are not below the natural variation. sure: a further lower bound of the limit for act."""
    return max(limits[0], varies), max(limits[1], varies, sure)


def significant_severity(watch: bool, act: bool, p_adjusted: float, budget: float, act_share: float = ACT_SHARE) -> Severity:
    """Return the severity of an effect that reaches the limit for watch, or for act, at an adjusted p-value.

    budget: share of false discoveries that the run may spend; act_share: the part of it that an act may spend.
    """
    if not watch or p_adjusted > budget:
        return "ok"
    return "act" if act and p_adjusted <= budget * act_share else "watch"


@dataclass(frozen=True, kw_only=True)
class WindowChange:
    """A change in one window.

    days: length of the window; whole: whether it is the whole window and not its last days. effect: size of the change, in the unit of its
    limits (larger is worse). p_value: the p-value of no change. limits: the limits for watch and act, including the natural variation
    (varies).
    """

    days: float
    whole: bool
    effect: float
    p_value: float
    limits: Limits
    varies: float = 0.0

    @property
    def order(self) -> tuple[float, ...]:
        """Sort key among changes of one severity and kind of window, the most informative first."""
        return (-self.effect,)

    def is_new(self, severity: Severity, budget: float) -> bool:
        """Whether the window also differs from the model's own past; True without a past."""
        return True

    @property
    def repeats(self) -> bool:
        """Whether a change of the last days, which the own past has too, comes each week and is not a natural weekly pattern."""
        return False

    @property
    def comparable(self) -> bool:
        """Whether the window can be compared with the reference; False if they cover different parts of the calendar."""
        return True

    @property
    def earlier_effect(self) -> float | None:
        """The effect in the window before, in the same unit; None if it is not known."""
        return None


Change = TypeVar("Change", bound=WindowChange)


@dataclass(frozen=True)
class ChangeVerdict(Generic[Change]):
    """Severity of a change.

    limit: the limit that the change exceeded, or the limit for watch. standing: the change is beyond the limit, but not new compared with
    the model's own past. The severity is unknown if the change is beyond the limit, but not significantly.
    """

    change: Change
    severity: Severity
    p_adjusted: float
    standing: bool = False

    @property
    def limit(self) -> float:
        """The limit that the change exceeded, else the limit for watch."""
        return self.change.limits[self.severity == "act"]

    @property
    def needs_action(self) -> bool:
        """Whether the severity is act or watch."""
        return needs_action(self.severity)

    @property
    def news(self) -> News | None:
        """The change since the window before; None if nothing changed. A new change may have begun before the window; its onset shows
        that.
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
        """Sort key: the worst first, then the whole window, then the most informative."""
        return SEVERITIES.index(self.severity), not self.change.whole, self.change.order

    def evidence_row(self, value: float | None, low: float | None, high: float | None, edge: float | None, **more: Any) -> dict[str, Any]:
        """Return the entry of this window in a finding's `windows`. edge: the value at which the limit is reached.

        Last days that are beyond their limit, but not significantly, are unknown and do not decide.
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
    """Return the severity of one change. It is watch or act if the change is beyond its limit and significant; a change of the last days
    must also be new.

    A whole window that is beyond its limit, but not significantly or not comparably, is unknown.
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
    """Return the severities of changes, the worst first, with the false discovery rate controlled over all of them."""
    adjusted, _ = benjamini_hochberg([change.p_value for change in changes], budget)
    return sorted(
        (judge_change(change, float(p), budget) for change, p in zip(changes, adjusted, strict=True)), key=lambda verdict: verdict.order
    )
