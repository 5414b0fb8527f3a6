"""The content of the page Programme: its months as one data frame, which the chart, the table and the CSV show."""

from collections.abc import Sequence

import pandas as pd

from observability.core.time import naive_utc
from observability.dashboard import frame
from observability.dashboard.charts.programme import programme_panels
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import plain_caption
from observability.review.programme import MEASURES, MIN_ITEMS, SHARES, MonthValue

FEW = 10
"""A value of fewer items than this is drawn hollow."""
MAX_MONTHS = 24
PROGRAMME_COLUMNS = (
    column("month", "Month", strong=True, short=True),
    column(
        "kept",
        "Actions in time",
        short=True,
        help="Share of the actions due in the month that were done by their first due date; cancelled actions are left out",
    ),
    column("useful", "Alerts useful", help="Share rated useful, among the rated alerts that were resolved in the month"),
    column(
        "detect",
        "To detect",
        phone=False,
        help="Median time from onset to alert. In brackets: alerts with a dated onset, of the month's alerts whose incident is in a frozen "
        "week",
    ),
    column(
        "acknowledge", "To acknowledge", phone=False, help="Median time. In brackets: alerts acknowledged, of those opened in the month"
    ),
    column(
        "resolve",
        "To resolve",
        help="Median time of resolved alerts; open ones would make it longer. In brackets: alerts resolved, of those opened in the month",
    ),
)


def programme_frame(values: Sequence[MonthValue]) -> pd.DataFrame:
    """The values as a frame: measure, month, value, unit (share, h), n, words, left."""
    rows = [
        {
            "measure": found.measure,
            "month": naive_utc(found.month),
            "value": found.value,
            "unit": "share" if found.measure in SHARES else "h",
            "n": found.n,
            "words": found.words,
            "left": found.left,
        }
        for found in values
    ]
    return pd.DataFrame(rows).astype({"value": float})


def programme_section(values: Sequence[MonthValue]) -> None:
    """Draw the months as small panels (if any month has a value) and as a table with the same numbers. values: not empty."""
    months = sorted({found.month for found in values})[-MAX_MONTHS:]
    shown = [found for found in values if found.month in months]
    rows = programme_frame(shown)
    if rows["value"].notna().any():
        plain_caption(f"Hollow: fewer than {FEW} items. Fewer than {MIN_ITEMS}: counts only, no value.")
        frame.chart_with_table(programme_panels(rows, MEASURES, few=FEW), rows, key="programme", alt=latest_month_sentence(shown))
    else:
        plain_caption(latest_month_sentence(shown))
    draw_table("programme-months", "Months, newest first", PROGRAMME_COLUMNS, month_rows(shown), compact=True)


def month_rows(values: Sequence[MonthValue]) -> list[dict[str, object]]:
    """A row for each month, newest first, with the values of the chart."""
    cells: dict[str, dict[str, Cell | str | None]] = {}
    for found in reversed(values):
        own = cells.setdefault(f"{found.month:%b %Y}", {"month": f"{found.month:%b %Y}"})
        own[found.measure] = {"t": found.words, "sub": found.left or None}
    return [table_row(own) for own in cells.values()]


def latest_month_sentence(values: Sequence[MonthValue]) -> str:
    """A sentence about the newest month that has a value, or a sentence that no month has one yet."""
    months = [found.month for found in values if found.value is not None]
    if not months:
        return f"No month has {MIN_ITEMS} values of a measure yet."
    said = [f"{MEASURES[found.measure]}: {found.words}" for found in values if found.month == months[-1] and found.value is not None]
    return f"{months[-1]:%b %Y}. {'; '.join(said)}."
