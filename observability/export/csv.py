"""Writes CSV that contains no spreadsheet formulas (OWASP, CSV injection).

A spreadsheet interprets a cell that begins with = + - @, a tab or a line break as a formula, even if its text comes from a log. Such texts
and column names get a leading apostrophe. Numbers, and texts that are numbers, are unchanged.
"""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

FORMULA = re.compile(r"^[\s\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]*[=+\-@\t\r\n＝＋－＠]|^[\t\r\n]")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def inert_csv(frame: "DataFrame") -> str:
    """The table as CSV, without its index and without formulas."""
    inert = frame.copy()
    inert.columns = [inert_text(str(name)) for name in frame.columns]
    for place, kind in enumerate(frame.dtypes):
        if kind.kind not in "biufcmM":
            inert.isetitem(place, [inert_text(value) for value in inert.iloc[:, place]])
    return inert.to_csv(index=False)


def rows_kept_as_logged(frame: "DataFrame", column: str) -> "DataFrame":
    """The rows whose text in a column can be exported unchanged. The others are left out, because an id with an added apostrophe would not
    match on import.
    """
    return frame[[inert_text(value) == value for value in frame[column]]]


def inert_text(value: Any) -> Any:
    """A text, with an apostrophe in front if a spreadsheet would take it for a formula. Any other value is unchanged."""
    if not isinstance(value, str) or not FORMULA.match(value) or NUMBER.fullmatch(value):
        return value
    return f"'{value}"
