"""The height that a table keeps free before its script has come is the height of its rows, counted from the style by hand."""

from typing import Any

import pytest

from observability.dashboard.table import column, sparkline, table_row
from observability.dashboard.table_height import LINE, REM, least_table_height

TWO = [column("name", "Name"), column("value", "Value")]
HEAD, COMPACT_HEAD, ROW = 0.8 * 1.6 + 0.4, 0.8 * 1.6 + 0.64, 1.1 + 0.95 * LINE


def of(rows: list[dict[str, Any]], columns: list[dict[str, Any]] = TWO, **more: Any) -> float:
    """The kept height in rem, of a table with these parts."""
    parts = {"columns": columns, "rows": rows, "size": "", "sort": False, "paged": False, "keys": None, "bulk": None, "remembers": None}
    return least_table_height(parts | more) / REM


@pytest.mark.parametrize(
    ("rows", "more", "rem"),
    [
        ([], {}, HEAD),
        ([table_row(name="a", value="1")], {}, HEAD + ROW),
        ([table_row(name="a", value=None)] * 3, {"size": "compact"}, COMPACT_HEAD + 3 * (0.64 + 0.95 * LINE)),
        ([table_row(name={"t": "a", "sub": "b\nc"}, value="1")], {}, HEAD + ROW + 2 * 0.82 * LINE),
        ([table_row(name={"t": "a", "more": [{"t": "b"}]}, value="1")], {}, HEAD + ROW + 0.82 * LINE),
        ([table_row({"name": "a"}, {"t": "A second line."})], {}, HEAD + ROW + 0.8 + 0.9 * LINE + 0.1 - 0.55),
        ([table_row(name="a", value={"spark": sparkline([1, 2], "trend", height=42)})], {}, HEAD + 1.1 + 42 / 14 + 0.2),
        ([table_row(name="a")] * 6, {"sort": True}, HEAD + 6 * ROW + 2.5),
        ([table_row(name="a")] * 6, {"sort": True, "paged": True}, HEAD + 6 * ROW),
        ([table_row(name="a")] * 5, {"sort": True}, HEAD + 5 * ROW),
        ([{**table_row(name="a"), "group": group} for group in "xxy"], {}, HEAD + 3 * ROW + 2 * (0.8 * 1.6 + 1.45)),
        ([table_row(name="a")], {"columns": TWO * 4}, 0.72 * 1.6 + 0.4 + 1.1 + 0.9 * 0.95 * LINE),
    ],
)
def test_the_kept_height_is_that_of_the_rows(rows: list[dict[str, Any]], more: dict[str, Any], rem: float) -> None:
    assert of(rows, **more) == pytest.approx(rem, abs=0.5 / REM)
