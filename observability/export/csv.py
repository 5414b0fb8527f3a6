"""How does a table leave as CSV so that no text in it is run by the program that opens it?

A spreadsheet takes a cell that begins with = + - @, a tab or a line break for a formula, also where the text came out of a log. Such texts get an
apostrophe before them, names of columns too (OWASP, CSV injection); numbers, and texts that are numbers, stay as they are.
"""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

FORMULA = re.compile(r"^[\s\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]*[=+\-@\t\r\n＝＋－＠]|^[\t\r\n]")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def inert_csv(frame: "DataFrame") -> str:
    """The table as CSV without its index, every text inert."""
    inert = frame.copy()
    inert.columns = [inert_text(str(name)) for name in frame.columns]
    for place, kind in enumerate(frame.dtypes):
        if kind.kind not in "biufcmM":
            inert.isetitem(place, [inert_text(each) for each in inert.iloc[:, place]])
    return inert.to_csv(index=False)


def unaltered(frame: "DataFrame", column: str) -> "DataFrame":
    """The rows whose text in a column leaves as it is: an id that gets an apostrophe is another id when the table comes back."""
    return frame[[inert_text(each) == each for each in frame[column]]]


def inert_text(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula; what is no text stays as it is."""
    if not isinstance(value, str) or not FORMULA.match(value) or NUMBER.fullmatch(value):
        return value
    return f"'{value}"
