"""The height that a table keeps free until its script has come, so that what follows does not jump. The numbers are those of
`assets/ledger.css`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

REM = 16.0
"""Pixels of the page's own size of letters."""
TEXT, SUB, HEAD = 0.95 * 1.35 * REM, 0.82 * 1.35 * REM, 0.8 * 1.6 * REM + 0.4 * REM + 1
"""Pixels of a line of text, of a line under it, and of the titles of the columns."""
PADDING = {"": 1.1 * REM, "large": 1.1 * REM, "compact": 0.64 * REM}
"""Pixels above and below the text of a row, by the size of the table."""
LETTERS = {"": 1.0, "large": 1.15, "compact": 1.0}
MANY_COLUMNS, SMALLER = 7, 0.9
"""A table of more columns has smaller letters on a laptop."""
NOTE, GROUP, FILTER, COLUMNS, KEYS = TEXT + 0.8 * REM, 0.8 * 1.6 * REM + 1.45 * REM, 38.0, 30.0, 26.0
"""Pixels of a row's second line, of the line above a group, of the filter box, of the choice of columns, and of the line about keys."""
FILTERED_FROM = 6
"""The number of rows from which a table that sorts has a filter box."""


def least_table_height(data: Mapping[str, Any]) -> int:
    """Pixels that the table of this data takes at least where no text is broken into more lines.

    data: as `draw_table` gives it to the script: its columns, rows, size and the parts around them.
    """
    rows: Sequence[Mapping[str, Any]] = data["rows"]
    size = data["size"]
    letters = LETTERS[size] * (SMALLER if len(data["columns"]) > MANY_COLUMNS else 1.0)
    groups = [row.get("group") for row in rows]
    height = HEAD + sum(PADDING[size] + 1 + letters * _content_height(row, data["columns"]) for row in rows)
    height += NOTE * sum(bool(row["note"]) for row in rows)
    height += GROUP * sum(bool(group) and group != before for group, before in zip(groups, [None, *groups], strict=False))
    height += FILTER if data["sort"] and not data["paged"] and len(rows) >= FILTERED_FROM else 0
    height += COLUMNS if data["remembers"] else 0
    height += KEYS if data["keys"] else 0
    return int(height)


def _content_height(row: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> float:
    """Pixels of the highest cell of a row."""
    return max((_cell_height(row["cells"].get(column["key"]) or {}) for column in columns), default=0.0)


def _cell_height(cell: Mapping[str, Any]) -> float:
    """Pixels of a cell: its text, the lines under it and its figure."""
    more = cell.get("more") or []
    lines = [*str(cell["sub"]).split("\n")] if cell.get("sub") else []
    lines += more if isinstance(more, list) else [more]
    spark = cell["spark"]["height"] + 0.2 * REM if cell.get("spark") else 0.0
    others = 0.77 * REM * bool(cell.get("bar")) + 1.25 * REM * bool(cell.get("marks"))
    text = TEXT * any(cell.get(part) for part in ("t", "s", "act", "mark", "dot"))
    return text + SUB * len(lines) + float(spark) + others
