"""The calendar of reviews: one row for each month of a year, with the weeks of that month and the state of their reviews."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.weeks import Week
from observability.dashboard import links
from observability.dashboard.table import Cell, column, draw_table, table_row

STATES = {"closed": "Closed", "held": "Held", "frozen": "Frozen", "draft": "Draft", "missing": "Missing"}
"""States of a week. closed: the meeting of its review was closed. held: people wrote in its review, and the meeting is open. frozen: nobody
has written in its review yet. draft: only a draft exists. missing: the week has predictions but no review.
"""
WIDTH = 520
"""Width of the calendar in pixels."""
COLUMNS = (
    column("month", "Month", width="3rem"),
    *(column(f"week{place}", f"Week {place}", short=True) for place in range(1, 6)),
)


def week_states(frozen: Collection[str], drafts: Collection[str], served: Iterable[Week], written: Mapping[str, bool]) -> dict[Week, str]:
    """The state (a key of STATES) of each week that is frozen, drafted or has predictions, oldest week first.

    served: the complete weeks with predictions. written: for each review in which people wrote, whether its meeting is closed.
    """
    found = dict.fromkeys(served, "missing") | {Week.parse(name): "draft" for name in drafts}
    for name in frozen:
        found[Week.parse(name)] = "frozen" if name not in written else "closed" if written[name] else "held"
    return dict(sorted(found.items()))


def month_of_week(week: Week) -> tuple[int, int]:
    """The year and month of a week's Thursday; most days of the week are in that month."""
    thursday = week.start + (week.end - week.start) / 2
    return thursday.year, thursday.month


def month_rows(states: Mapping[Week, str], year: int, chosen: str | None) -> list[dict[str, Any]]:
    """One row for each month of a year, from the first to the last month with a known week. chosen: the review that is open."""
    months = [month for found, month in map(month_of_week, states) if found == year]
    rows = []
    for month in range(min(months, default=1), max(months, default=0) + 1):
        weeks = [week for week in weeks_of_year(year) if month_of_week(week) == (year, month)]
        cells = {f"week{place}": week_cell(week, states.get(week), chosen) for place, week in enumerate(weeks, 1)}
        rows.append(table_row({"month": {"t": f"{weeks[0].end:%b}"}, **cells}))
    return rows


def weeks_of_year(year: int) -> list[Week]:
    """Every ISO week of a year."""
    week, found = Week(year, 1), []
    while week.year == year:
        found.append(week)
        week = week.back(-1)
    return found


def week_cell(week: Week, state: str | None, chosen: str | None) -> Cell:
    """The days of a week with the state of its review below, as a link to the review; only the days if no model was in production."""
    last = week.end - (week.end - week.start) / 7
    days = f"{week.start:%-d}–{last:%-d}"
    if state is None:
        return {"t": days, "quiet": True, "title": f"{week}: no predictions"}
    words = f"{week}, {formatting.format_span(week.start, week.end)}: {STATES[state].lower()}"
    link = links.link_cell(days, "review", review=str(week))
    return {**link, "sub": STATES[state], "week": f"{state} {'open' if str(week) == chosen else ''}".strip(), "title": words}


def draw_calendar(states: Mapping[Week, str], chosen: str | None) -> None:
    """Draw the calendar. It begins with the year of the chosen review."""
    years = sorted({month_of_week(week)[0] for week in states}, reverse=True)
    here = Week.parse(chosen).year if chosen else None
    year = st.selectbox("Year", years, years.index(here) if here in years else 0, key=f"calendar-year-{here}", width=140)
    counted = [state for week, state in states.items() if month_of_week(week)[0] == year]
    st.caption(state_counts(counted))
    with st.container(width=WIDTH):  # a popover is as wide as its content
        draw_table("calendar", f"Weeks of {year}", COLUMNS, month_rows(states, year, chosen), compact=True)


def state_counts(counted: Sequence[str]) -> str:
    """The number of weeks in each state, for example `3 closed · 1 held · 40 missing`."""
    return " · ".join(f"{counted.count(state):,} {title.lower()}" for state, title in STATES.items() if state in counted)
