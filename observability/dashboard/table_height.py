"""The height that a table keeps until its script has come, so that what follows does not jump. The lengths are those of
`assets/ledger.css`, in rem.
"""

from collections.abc import Mapping, Sequence
from typing import Any

REM = 14.0
"""Pixels of a rem: the theme's size of letters."""
LINE = 1.35
TEXT, SUB = 0.95 * LINE, 0.82 * LINE
"""A line of text, and a line under it."""
TITLE = 0.8 * 1.6
"""A line of the titles of columns and groups."""
ROW_PADDING, TITLE_PADDING, GROUP_PADDING = 1.1, 0.4, 1.45
COMPACT_PADDING = 0.64
"""Of rows, titles and groups of a compact table."""
LARGE = 1.15
"""How much larger the letters of a table in large print are."""
MANY_COLUMNS = 7
"""A table of more columns has smaller letters on a laptop."""
MANY_TEXT, MANY_SUB, MANY_TITLE = 0.9 * TEXT, 0.72 * LINE, 0.72 * 1.6
NOTE = 0.9 * LINE + 0.8
"""A row's second line."""
UNDER_NOTED = 0.1
"""Below the text of a row that has a second line, in place of half of its padding."""
FILTER, COLUMNS, KEYS = 2.5, 2.1, 1.6
"""The filter box, the choice of columns, and the line about keys."""
FILTERED_FROM = 6
"""The number of rows from which a table that sorts has a filter box."""


def least_table_height(data: Mapping[str, Any]) -> int:
    """Pixels that a table takes at least: its height on a laptop if no text is broken into more lines.

    data: what `draw_table` gives to the script: columns, rows, size, and which parts stand around the rows.
    """
    rows: Sequence[Mapping[str, Any]] = data["rows"]
    compact, many = data["size"] == "compact", len(data["columns"]) > MANY_COLUMNS
    letters = LARGE if data["size"] == "large" else 1.0
    text, sub = (MANY_TEXT, MANY_SUB) if many else (TEXT * letters, SUB * letters)
    padding = COMPACT_PADDING if compact else ROW_PADDING
    height = (MANY_TITLE if many else TITLE) + (COMPACT_PADDING if compact else TITLE_PADDING)
    for before, row in zip([None, *rows], rows, strict=False):
        height += padding + max((_cell_height(row["cells"].get(column["key"]) or {}, text, sub) for column in data["columns"]), default=0.0)
        height += NOTE + UNDER_NOTED - padding / 2 if row["note"] else 0.0
        if row.get("group") and (before is None or before.get("group") != row["group"]):
            height += TITLE + (COMPACT_PADDING if compact else GROUP_PADDING)
    height += FILTER if data["sort"] and not data["paged"] and len(rows) >= FILTERED_FROM else 0.0
    height += COLUMNS if data["remembers"] else 0.0
    height += KEYS if data["keys"] else 0.0
    return max(round(height * REM), 1)


def _cell_height(cell: Mapping[str, Any], text: float, sub: float) -> float:
    """The height of a cell in rem: its text, the lines under it and its figures."""
    more = cell.get("more") or []
    under = (str(cell["sub"]).count("\n") + 1 if cell.get("sub") else 0) + (len(more) if isinstance(more, list) else 1)
    spark = cell["spark"]["height"] / REM + 0.2 if cell.get("spark") else 0.0
    figures = spark + 0.77 * bool(cell.get("bar")) + 1.25 * bool(cell.get("marks"))
    return float(text * any(cell.get(part) for part in ("t", "s", "act", "mark", "dot")) + sub * under + figures)
