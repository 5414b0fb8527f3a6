"""Is a ratio (energy, money a prediction) unlike the model's own past, and how is that said?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, needs_action
from observability.detection.onset import Since
from observability.detection.ratio_windows import LEAST_DAYS, Look, began, looks, series
from observability.metrics.performance import Columns
from observability.stats.interval import Interval
from observability.stats.multiple import ACT_SHARE, benjamini_hochberg
from observability.stats.ratio import ratio_interval

if TYPE_CHECKING:
    from pandas import DataFrame

WATCH, ACT = 1.2, 1.5
"""How many times its own past a ratio has to be, at the least, to matter; where its own days stray further, what they stray to."""
DAYS_KEPT = 62


@dataclass(frozen=True)
class Told:
    """What one look says, its chance adjusted for all looks. limit: how many times the past it may be."""

    look: Look
    severity: Severity
    limit: float
    adjusted: float

    @property
    def order(self) -> tuple[int, bool, float]:
        """The worst first; of equals the whole window, then the largest."""
        return (("act", "watch", "unknown", "ok").index(self.severity), not self.look.whole, -self.look.grown)


@dataclass(frozen=True)
class Judged:
    """A ratio of a thousand with its interval, the look that says most (None: too little past), what that comes to, and since when."""

    now: Interval
    told: Told | None
    severity: Severity
    said: str
    windows: tuple[Told, ...] = ()
    since: Since | None = None

    @property
    def before(self) -> float | None:
        """The ratio of a thousand in the past."""
        return None if self.told is None else 1000.0 * self.told.look.before


def judge(now: "DataFrame | Columns", past: "DataFrame | Columns", column: str, context: Context, parts: "DataFrame") -> Judged:
    """now, past: one value an hour of `period`, `served` and the column, of which the ratio is taken for a thousand served; parts: the window's sums by day,
    that the interval rests on.

    Watch from 1.2 times the past, act from 1.5 times, or what its own days stray to where that is more, where chance alone seldom does that in any of the
    looks; unknown below a week of past or three parts.
    """
    value = scaled(ratio_interval(parts[column], parts["served"]), 1000.0)
    of = series(now, past, column, context.window.start, context.window.end)
    found = looks(of)
    whole = next((each for each in found if each.whole), None)
    if value.value is None or value.low is None:
        return Judged(value, None, "unknown", "there are too few hours to tell how sure that is")
    if whole is None:
        missing = max(LEAST_DAYS - int((of.past & (of.served > 0)).sum()), 1)
        return Judged(value, None, "unknown", f"there is too little past to hold that against: it needs about {missing} more days")
    adjusted, _ = benjamini_hochberg([each.p_value for each in found], context.budget)
    told = sorted((verdict(each, float(p), context) for each, p in zip(found, adjusted, strict=True)), key=lambda each: each.order)
    worst = told[0]
    when = began(of, context.window.start, context.window.end) if needs_action(worst.severity) else None
    return Judged(value, worst, worst.severity, compared(worst, whole), tuple(told), when)


def verdict(each: Look, adjusted: float, context: Context) -> Told:
    """How bad one look is."""
    watch, act = max(WATCH, each.varies), max(ACT, each.varies)
    if each.grown >= act and adjusted <= context.budget * ACT_SHARE:
        return Told(each, "act", act, adjusted)
    return Told(each, "watch" if each.grown >= watch and adjusted <= context.budget else "ok", watch, adjusted)


def compared(told: Told, whole: Look) -> str:
    """How it stands to the past."""
    past, each = "that of the model's own 28 days before", told.look
    if needs_action(told.severity):
        if each.whole:
            return f"{each.grown:.2g} times {past}, more than chance"
        when = "on the last day" if each.days == 1 else f"in the last {each.days:g} days"
        return f"{when} {each.grown:.2g} times {past}, more than chance ({whole.grown:.2g} times over the whole window)"
    if abs(whole.grown - 1) < 0.005:
        return f"the same as {past}"
    side = "above" if whole.grown > 1 else "below"
    held = "no alarm" if whole.grown < told.limit else "not surely more than chance"
    varies = f": its own days vary up to {whole.varies:.2g} times" if whole.grown >= WATCH and whole.varies > WATCH else ""
    return f"{100 * abs(whole.grown - 1):.0f} % {side} {past}, which is {held}{varies}"


def scaled(each: Interval, by: float) -> Interval:
    """An interval in another unit."""
    value, low, high = (None if one is None else one * by for one in (each.value, each.low, each.high))
    return Interval(value, low, high, each.n)


def filled(finding: Finding, judged: Judged, **changes: Any) -> Finding:
    """The finding with the value, the interval and the severity of what was judged. Of a look at the last days value and interval are theirs."""
    told, alarming = judged.told, needs_action(judged.severity)
    value, low, high = judged.now.value, judged.now.low, judged.now.high
    if told is not None and alarming and not told.look.whole:
        value, low, high = (1000.0 * each for each in (told.look.value, told.look.low, told.look.high))
    evidence: dict[str, Any] = {
        "baseline": judged.before,
        "times_the_past": told and told.look.grown,
        "p_value": told and told.look.p_value,
        "p_adjusted": told and told.adjusted,
        "varies_up_to": told and told.look.varies,
        "look_days": max((each.look.days for each in judged.windows), default=None) if not alarming or told is None else told.look.days,
        "windows": [row(each) for each in sorted(judged.windows, key=lambda each: each.look.days)],
    }
    return replace(
        finding,
        value=value,
        low=low,
        high=high,
        limit=None if told is None or judged.before is None else judged.before * told.limit,
        severity=judged.severity,
        onset=judged.since.at if judged.since else None,
        likely_source="system" if alarming else None,
        rank=4.0 + min(told.look.grown, 5.0) if told is not None and alarming else 0.0,
        **{**changes, "evidence": evidence | changes.get("evidence", {}) | (judged.since.evidence if judged.since else {})},
    )


def row(told: Told) -> dict[str, Any]:
    """What one look says."""
    each = told.look
    return {
        "days": each.days, "value": 1000.0 * each.value, "low": 1000.0 * each.low, "high": 1000.0 * each.high, "baseline": 1000.0 * each.before, "times_the_past": each.grown, "limit": told.limit,
        "varies_up_to": each.varies, "p_value": each.p_value, "p_adjusted": told.adjusted,
        "edge": 1000.0 * each.before * told.limit, "standing": False, "severity": told.severity,
    }  # fmt: skip


def by_day(rows: "DataFrame", columns: Sequence[str]) -> list[list[Any]]:
    """[day or hour, served, and the columns] of the last parts, for a page."""
    kept = rows.sort_index().tail(DAYS_KEPT)
    return [[str(at)[:16], float(served), *(float(each) for each in more)] for at, served, *more in kept[["served", *columns]].itertuples()]


def number(value: float | None) -> str:
    """A figure with three significant digits."""
    if value is None:
        return "unknown"
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
