"""The windows of a finding side by side: the last day, the last three and seven days, the whole window.

A fault of one day is lost in a month, and a slow one in a day. Several windows are therefore compared with the same limits and corrected
together. The main metric of a model also has a sequential test, which tests every day at a stated rate of false alarms.
"""

from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.dashboard.cells import interval_cell, severity_cell
from observability.dashboard.table import column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import plain_caption

COLUMNS = columns_on_phone(
    "days value edge status",
    column("days", "Window", width="9rem", strong=True),
    column("value", "Value", align="right", help="With its 95 % interval"),
    column("edge", "Limit", align="right", help="The critical limit if the value is critical, else the warning limit"),
    column("chance", "p-value", align="right", help="Corrected for all tests of this run"),
    column("n", "n", align="right", help="Rows behind the value"),
    column("status", "Status", width="9rem"),
)


def window_comparison_table(finding: Finding) -> None:
    """Draw the windows of a finding if there are several, and the result of the sequential test."""
    windows = sorted(finding.evidence.get("windows") or [], key=lambda window: float(window["days"]))
    if len(windows) > 1:
        rows = [window_row(window, finding, whole=window is windows[-1]) for window in windows]
        st.caption(" ".join(filter(None, ("Shorter windows have wider limits.", analyzed_days_note(finding)))))
        draw_table("looks", f"{formatting.metric_title(finding.metric)} by window", COLUMNS, rows, compact=True)
    if (note := sequential_test_note(finding)) is not None:
        plain_caption(note)


def analyzed_days_note(finding: Finding) -> str | None:
    """Return the days that were analyzed, if they differ from those of the window because labels are missing; else None."""
    first, last = finding.evidence.get("measured") or (None, None)
    if last is None or datetime.fromisoformat(last).date() >= (finding.end - timedelta(microseconds=1)).date():
        return None
    start, end = datetime.fromisoformat(str(first)), datetime.fromisoformat(last)
    return f"Days with labels: {formatting.format_span(start, end + timedelta(days=1))}."


def window_row(window: dict[str, Any], finding: Finding, *, whole: bool) -> dict[str, Any]:
    """Return one window as a table row. whole: whether the window has all days of the finding."""
    days = f"{window['days']:g}"
    claimed = window["days"] == finding.evidence.get("look_days")
    status = severity_cell(window["severity"])
    if not whole and is_undecided_by_length(window, finding):
        status = {**severity_cell("unknown"), "sub": "cannot tell from so few days"}
    elif window.get("standing"):
        beyond = window["severity"] == "ok"  # a value of the last days is reported only if it is new: without a report they are not OK
        moved = finding.news if claimed and finding.news in ("worse", "improving") else None
        status = {**({"t": "Ongoing"} if beyond else status), "sub": moved or "unchanged from its past"}
    elif window["severity"] == "ok" and finding.needs_action and claimed:
        status = {**severity_cell(finding.severity), "sub": "by the sequential test"}
    return table_row(
        {
            "days": {"t": "last day" if days == "1" else f"all {days} days" if whole else f"last {days} days"},
            "value": interval_cell(window["value"], window.get("low"), window.get("high"), finding.unit),
            "edge": {"t": formatting.format_value(window.get("edge"), finding.unit)},
            "chance": {"t": formatting.format_number(window.get("p_adjusted"), 2)},
            "n": {"t": f"{window['n']:,}" if window.get("n") is not None else formatting.DASH},
            "status": status,
        },
        selected=claimed,
    )


def is_undecided_by_length(window: dict[str, Any], finding: Finding) -> bool:
    """Whether the last days are beyond the limit of the whole window, but within their own limit. The limit of a short window is wider,
    because short windows vary more.
    """
    value, own = window["value"], window.get("edge")
    of_whole = max(finding.evidence["windows"], key=lambda each: float(each["days"])).get("edge")
    if window["severity"] != "ok" or window.get("standing") or value is None or own is None or of_whole is None:
        return False
    return min(own, of_whole) < value < max(own, of_whole)


MAX_DAYS = 100_000
"""Maximum number of days between false alarms that is written out; a larger one is written as rarer than this."""


def sequential_test_note(finding: Finding) -> str | None:
    """Return the result of the sequential test, which tests every day of the last four weeks at one common rate of false alarms; None for a
    metric without the test.
    """
    once_in = finding.evidence.get("creep_once_in")
    if once_in is None:
        return None
    if (days := finding.evidence.get("creep")) is None:
        return f"Gradual-shift test: none found (at most one false alarm in {once_in:,.0f} days; needs five weeks of labelled days)."
    chance = f"less than once in {MAX_DAYS:,}" if days >= MAX_DAYS else f"about once in {days:,.0f}"
    return f"Gradual-shift test: by chance such a shift occurs {chance} days."
