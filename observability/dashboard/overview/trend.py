"""The column of tables of findings and incidents that draws the leading metric by day."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from observability.core import formatting
from observability.core.finding import Finding
from observability.dashboard.cells import UNKNOWN_CELL
from observability.dashboard.table import Cell, column, sparkline
from observability.incidents.daily_values import daily_values, first_daily_finding

HELP = "Leading metric by day; dashed: its limit. Sorted by the last day over the limit"
TREND = column("trend", "Trend", width="6.4rem", help=HELP, phone=False)


def trend_cell(found: Sequence[Finding]) -> Cell:
    """Return a sparkline, with its limit, of the first of some findings whose metric is known by day. It shows the days of the incident's
    chart that lie in the window, read from the finding's evidence. A dash if that metric has fewer than two days.
    """
    finding = first_daily_finding(found)
    days = daily_values(finding.analyzer, finding.evidence) if finding else []
    if finding is None or len(days) < 2:
        return dict(UNKNOWN_CELL)
    values, low, high = [value for _, value, _, _ in days], [end for _, _, end, _ in days], [end for *_, end in days]
    limit = float(finding.limit) if isinstance(finding.limit, int | float) else None
    last = next((value for value in reversed(values) if value is not None and isfinite(value)), None)
    title = formatting.metric_title(finding.metric)
    words = f"{title} by day, last {formatting.format_value(last, finding.unit)}"
    whole = all(end is not None for end in (*low, *high))
    spark = sparkline(values, words, low=low if whole else None, high=high if whole else None, limit=limit, width=92, height=24)
    return {"spark": spark, "title": words, "k": last / limit if last is not None and limit else None}


def without_empty_trend(columns: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the columns of a table, without the trend column if no row has a trend."""
    drawn = any(row["cells"].get(TREND["key"], {}).get("spark") for row in rows)
    return [each for each in columns if drawn or each is not TREND]
