"""Make items to be labelled from the rows of a table, and a table from the settled labels of a project."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.metrics.crowd_quality import Crowd

MAX_CHARACTERS = 500_000
"""Maximum number of characters in the content of one item, as JSON."""
MAX_NAME = 200
"""Maximum number of characters in the name of an item."""
NAME_LENGTH = 16
"""Number of characters in a name that is derived from the content."""
NO_NAME, NO_CONTENT, CONFLICT, TOO_LARGE = "no_name", "no_content", "conflicting_item", "too_large"


@dataclass(frozen=True)
class RefusedItem:
    """A row that is refused as an item. row: its number, from 1. reason: a code, the same for all rows refused for this reason."""

    row: int
    reason: str
    because: str


@dataclass
class ItemRows:
    """Items of a table. contents: by name, in the order of the rows. duplicates: number of rows that are equal to an earlier one."""

    contents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: list[RefusedItem] = field(default_factory=list)
    duplicates: int = 0


def items_of_rows(rows: Iterable[Mapping[str, Any]], name: str | None, columns: Sequence[str]) -> ItemRows:
    """The items of rows, each exactly once.

    Parameters
    ----------
    rows : Iterable[Mapping[str, Any]]
        Values by column.
    name : str | None
        The column that names an item. None: an item is named after its content, so that the same row is the same item in every file.
    columns : Sequence[str]
        Columns of the content.

    Returns
    -------
    ItemRows
        Every row is an item, a duplicate or refused. A name with two contents keeps the first.
    """
    found = ItemRows()
    for number, row in enumerate(rows, start=1):
        content = {column: plain_value(row.get(column)) for column in columns}
        refused = _refused(row, name, content)
        own = content_name(content) if name is None else str(plain_value(row.get(name)))
        if refused is None and own in found.contents:
            if found.contents[own] == content:
                found.duplicates += 1
                continue
            refused = CONFLICT, f"the item {own[:60]!r} was given before with another content"
        if refused is None:
            found.contents[own] = content
        else:
            found.refused.append(RefusedItem(number, *refused))
    return found


def _refused(row: Mapping[str, Any], name: str | None, content: Mapping[str, Any]) -> tuple[str, str] | None:
    """The reason why a row is no item, as a code and in words; None if it is an item."""
    given = "" if name is None else plain_value(row.get(name))
    if name is not None and (given is None or not str(given).strip()):
        return NO_NAME, f"it has no {name}"
    if len(str(given)) > MAX_NAME:
        return TOO_LARGE, f"its {name} has more than {MAX_NAME} characters"
    if all(value is None or value == "" for value in content.values()):
        return NO_CONTENT, f"{', '.join(content)}: empty" if len(content) < 5 else "all of its columns are empty"
    if sum(len(value) for value in content.values() if isinstance(value, str)) > MAX_CHARACTERS:
        return TOO_LARGE, f"its content has more than {MAX_CHARACTERS:,} characters"
    return None


def content_name(content: Mapping[str, Any]) -> str:
    """A name for an item, derived from its content: equal contents get the same name."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:NAME_LENGTH]


def plain_value(value: Any) -> Any:
    """A cell as a number, text, boolean or None. A float without a fraction becomes an integer, a date an ISO 8601 text, a list or an
    object JSON.
    """
    if isinstance(value, float):
        return None if not math.isfinite(value) else int(value) if value.is_integer() and abs(value) < 2**53 else value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if hasattr(value, "isoformat") else json.dumps(value, ensure_ascii=False, default=str)


def settled_labels_table(crowd: "Crowd | None", contents: Mapping[str, Mapping[str, Any]], left_out: Iterable[str] = ()) -> "DataFrame":
    """The settled labels of a project: item, label, labels, agree, and a column for each name of the contents.

    Parameters
    ----------
    crowd : Crowd | None
        The labels of the project.
    contents : Mapping[str, Mapping[str, Any]]
        Content by item; items without one have empty columns.
    left_out : Iterable[str]
        Items that are being labelled again.

    Returns
    -------
    DataFrame
        A row for each settled item, in the order of their names. labels: annotators who labelled it; agree: those with the settled label.
        A column of the contents with the name of one of these is called `content.NAME`.
    """
    import pandas as pd

    own = ["item", "label", "labels", "agree"]
    if crowd is None:
        return pd.DataFrame(columns=own)
    counts, again = crowd.votes.counts, set(left_out)
    places = [place for place in np.flatnonzero(crowd.settled) if crowd.items[place] not in again]
    inside = [contents.get(crowd.items[place], {}) for place in places]
    names = list(dict.fromkeys(name for content in inside for name in content))
    rows = [
        [
            crowd.items[place],
            crowd.classes[int(counts[place].argmax())],
            int(counts[place].sum()),
            int(counts[place].max()),
            *(content.get(name) for name in names),
        ]
        for place, content in zip(places, inside, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*own, *(f"content.{name}" if name in own else name for name in names)])
