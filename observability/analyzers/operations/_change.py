"""Is a ratio (energy, money a prediction) unlike the model's own past, and how is that said?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from observability.analyzer import Context
from observability.finding import Finding, Severity
from observability.stats.interval import Interval
from observability.stats.ratio import RatioChange, ratio_change, ratio_interval

if TYPE_CHECKING:
    from pandas import DataFrame

ACT_SHARE = 0.2
"""An act may spend a fifth of the run's budget of false discoveries, a watch all of it."""
WATCH, ACT = 1.2, 1.5
"""How many times its own past a ratio has to be, at the least, to matter."""
LEAST_DAYS = 7
"""Days of the past below which nothing is held against it."""
DAYS_KEPT = 62


@dataclass(frozen=True)
class Judged:
    """A ratio of a thousand with its interval, what it was, how it changed, and what that comes to."""

    now: Interval
    before: float | None
    change: RatioChange
    severity: Severity
    said: str


def judge(now: "DataFrame", past: "DataFrame", column: str, context: Context, *, act_at: float = ACT) -> Judged:
    """now, past: sums by day with the columns `served` and `column`; the ratio is taken for a thousand served.

    Watch from 1.2 times the past, act from 1.5 times (act_at), where chance alone seldom does that; unknown below a week of past or three parts.
    """
    value = scaled(ratio_interval(now[column], now["served"]), 1000.0)
    held = past[past["served"] > 0]
    before = 1000.0 * float(held[column].sum() / held["served"].sum()) if len(held) else None
    change = ratio_change(now[column], now["served"], past[column], past["served"])
    if value.value is None or value.low is None:
        return Judged(value, before, change, "unknown", "there are too few hours to tell how sure that is")
    if len(held) < LEAST_DAYS or change.value is None or change.p_value is None or before is None:
        missing = max(LEAST_DAYS - len(held), 1)
        return Judged(
            value, before, change, "unknown", f"there is too little past to hold that against: it needs about {missing} more days"
        )
    grown = change.value
    if grown >= act_at and change.p_value <= context.budget * ACT_SHARE:
        severity: Severity = "act"
    elif grown >= min(WATCH, act_at) and change.p_value <= context.budget:
        severity = "watch"
    else:
        severity = "ok"
    return Judged(value, before, change, severity, compared(grown, severity))


def compared(grown: float, severity: Severity) -> str:
    """How it stands to the past."""
    past = "that of the model's own 28 days before"
    if severity in ("watch", "act"):
        return f"{grown:.2g} times {past}, more than chance"
    if abs(grown - 1) < 0.005:
        return f"the same as {past}"
    return f"{abs(grown - 1):.0%} {'above' if grown > 1 else 'below'} {past}, which is {'no alarm' if grown < WATCH else 'not surely more than chance'}"


def scaled(each: Interval, by: float) -> Interval:
    """An interval in another unit."""
    value, low, high = (None if one is None else one * by for one in (each.value, each.low, each.high))
    return Interval(value, low, high, each.n)


def filled(finding: Finding, judged: Judged, *, act_at: float = ACT, **changes: Any) -> Finding:
    """The finding with the value, the interval and the severity of what was judged."""
    limit = None if judged.before is None else judged.before * (act_at if judged.severity == "act" else min(WATCH, act_at))
    evidence = {
        "baseline": judged.before,
        "times_the_past": judged.change.value,
        "p_value": judged.change.p_value,
        "parts": judged.change.n,
    }
    return replace(
        finding,
        value=judged.now.value,
        low=judged.now.low,
        high=judged.now.high,
        limit=limit,
        severity=judged.severity,
        likely_source="system" if judged.severity in ("watch", "act") else None,
        rank=4.0 + min(judged.change.value or 0.0, 5.0) if judged.severity in ("watch", "act") else 0.0,
        **{**changes, "evidence": evidence | changes.get("evidence", {})},
    )


def by_day(rows: "DataFrame", columns: Sequence[str]) -> list[list[Any]]:
    """[day or hour, served, and the columns] of the last parts, for a page."""
    kept = rows.sort_index().tail(DAYS_KEPT)
    return [[str(at)[:16], float(served), *(float(each) for each in more)] for at, served, *more in kept[["served", *columns]].itertuples()]


def number(value: float | None) -> str:
    """A figure with three significant digits."""
    if value is None:
        return "unknown"
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
