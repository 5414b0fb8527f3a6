"""Read the numbers of objects of objects, as the statistics of a batch by column, from the columns that keep them (`db/kept_numbers.py`)."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from observability.core.named_numbers import NamedNumbers, named_numbers
from observability.core.view_names import quoted_identifier
from observability.store.db.kept_numbers import NAMES, kept_column

if TYPE_CHECKING:
    from pandas import DataFrame


def numbers_columns(field: str, numbers: Sequence[str]) -> str:
    """What to select: the kept names and numbers, and the field as text of rows of which none are kept, which are parsed one by one."""
    column, names = quoted_identifier(field), quoted_identifier(kept_column(field, NAMES))
    kept = [names, *(quoted_identifier(kept_column(field, name)) for name in numbers)]
    return f"CASE WHEN {names} IS NULL THEN {column}::VARCHAR END AS {column}, {', '.join(kept)}"


def read_numbers(frame: "DataFrame", field: str, numbers: Sequence[str]) -> list[NamedNumbers]:
    """The numbers of each row of an answer to that query."""
    names_of: dict[str, tuple[str, ...]] = {}
    columns = [frame[kept_column(field, name)].tolist() for name in numbers]
    found = []
    for text, names, *lists in zip(frame[field].tolist(), frame[kept_column(field, NAMES)].tolist(), *columns, strict=True):
        if not isinstance(names, str):
            found.append(named_numbers(json.loads(text) if isinstance(text, str) else None, numbers))
            continue
        if names not in names_of:
            names_of[names] = tuple(json.loads(names))
        held = {name: values for name, values in zip(numbers, lists, strict=True) if isinstance(values, np.ndarray)}
        found.append(NamedNumbers(names_of[names], held))
    return found
