"""What does each look at the last days of a window say, side by side: one day, three, seven, the whole?

A fault of one day is lost in a month, a slow one in a day, so several stretches are held against the same limits, and chance is counted over all of
them. Of a model's main metric a sequential test looks at every day besides; its rate of false alarms is stated.
"""

from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding, needs_action
from observability.dashboard.table import Cell, column, row, table

COLUMNS = (
    column("days", "Looked at", width="9rem", strong=True),
    column("value", "Value", align="right", help="With its 95 % interval"),
    column("edge", "Limit", align="right", help="From which it is watched, or acted on where it is an act"),
    column("chance", "By chance", align="right", help="How often chance does this, corrected for all that was looked at in this run"),
    column("n", "n", align="right", help="Rows that the value rests on"),
    column("status", "Status", width="9rem"),
)  # fmt: skip


def draw(finding: Finding) -> None:
    """A table of the looks, where there are several, and what the look at every day says."""
    looks = sorted(finding.evidence.get("windows") or [], key=lambda each: float(each["days"]))
    if len(looks) > 1:
        longest = looks[-1]["days"]
        rows = [as_row(each, finding, whole=each["days"] == longest) for each in looks]
        late = judged_days(finding)
        st.caption(f"The last days side by side: few days vary more, so their limits lie farther.{f' {late}' if late else ''}")
        table("looks", f"{formatting.metric_title(finding.metric)} over the last days, side by side", COLUMNS, rows, compact=True)
    if (said := every_day(finding)) is not None:
        st.caption(formatting.plain(said))


def judged_days(finding: Finding) -> str | None:
    """Which days were judged, where labels are too young to judge those of the window."""
    first, last = finding.evidence.get("measured") or (None, None)
    if last is None or datetime.fromisoformat(last).date() >= (finding.end - timedelta(microseconds=1)).date():
        return None
    return f"The days that have their labels are judged: {first} to {last}."


def as_row(look: dict[str, Any], finding: Finding, *, whole: bool) -> dict[str, Any]:
    """One look. whole: at all of the window."""
    days = f"{look['days']:g}"
    ends = (look.get("low"), look.get("high"))
    value: Cell = {"t": formatting.amount(look["value"], finding.unit)}
    if None not in ends:
        value["sub"] = " to ".join(formatting.amount(each, finding.unit) for each in ends)
    status: Cell = {"s": look["severity"], "t": formatting.STATUS_WORDS[look["severity"]]}
    if look.get("standing"):
        status["sub"] = "so in its past too"
    elif look["severity"] == "ok" and needs_action(finding.severity) and look["days"] == finding.evidence.get("look_days"):
        status = {"s": finding.severity, "t": formatting.STATUS_WORDS[finding.severity], "sub": "by the look at every day"}
    return row(
        {
            "days": {"t": "the last day" if days == "1" else f"all {days} days" if whole else f"the last {days} days"},
            "value": value,
            "edge": {"t": formatting.amount(look.get("edge"), finding.unit)},
            "chance": {"t": formatting.number(look.get("p_adjusted"))},
            "n": {"t": f"{look['n']:,}" if look.get("n") is not None else formatting.DASH},
            "status": status,
        },
        selected=look["days"] == finding.evidence.get("look_days"),
    )


def every_day(finding: Finding) -> str | None:
    """What the sequential test says, which looks at every day of the last four weeks; None of a metric that it does not look at."""
    once_in = finding.evidence.get("creep_once_in")
    if once_in is None:
        return None
    rate = f"a clean series raises it at most once in {once_in:,.0f} days"
    if (days := finding.evidence.get("creep")) is None:
        return (
            f"Every day is looked at in turn too, for a slow creep ({rate}), where five weeks of labelled days are known: nothing creeps."
        )
    return f"Every day is looked at in turn too, for a slow creep ({rate}): this looks so once in {min(days, 1e5):,.0f} days without one."
