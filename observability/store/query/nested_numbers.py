"""Read nested numbers, such as the statistics of a batch by column, from the columns that keep them (`db/kept_numbers.py`)."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from observability.core.json_values import stored_json
from observability.core.named_numbers import NamedNumbers, named_numbers
from observability.core.view_names import quoted_identifier
from observability.store.db.kept_numbers import NAMES, kept_column
from observability.store.db.results import Cursor

if TYPE_CHECKING:
    from pandas import DataFrame


def numbers_columns(field: str, numbers: Sequence[str]) -> str:
    """The columns of a SELECT, as SQL: the row's `rowid`, and the kept names and numbers of a field."""
    return ", ".join(["rowid", *(quoted_identifier(kept_column(field, name)) for name in (NAMES, *numbers))])


def read_numbers(cursor: Cursor, table: str, frame: "DataFrame", field: str, numbers: Sequence[str]) -> list[NamedNumbers]:
    """The numbers of each row of a frame selected with `numbers_columns`. For rows without kept numbers, the stored JSON is read and parsed
    row by row.
    """
    places = frame.loc[frame[kept_column(field, NAMES)].isna(), "rowid"].tolist()
    column = quoted_identifier(field)
    asked = f"SELECT rowid, {column}::VARCHAR FROM {table} WHERE {column} IS NOT NULL AND rowid IN (SELECT unnest($places::BIGINT[]))"
    texts = dict(cursor.execute(asked, {"places": places}).fetchall()) if places else {}
    names_of: dict[str, tuple[str, ...]] = {}
    columns = [frame[kept_column(field, name)].tolist() for name in numbers]
    found = []
    for place, names, *lists in zip(frame["rowid"].tolist(), frame[kept_column(field, NAMES)].tolist(), *columns, strict=True):
        if not isinstance(names, str):
            found.append(named_numbers(stored_json(texts[place]) if place in texts else None, numbers))
            continue
        if names not in names_of:
            names_of[names] = tuple(json.loads(names))
        held = {name: values for name, values in zip(numbers, lists, strict=True) if isinstance(values, np.ndarray)}
        found.append(NamedNumbers(names_of[names], held))
    return found
