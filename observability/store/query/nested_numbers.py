"""Read numbers out of objects of objects, as the statistics of a batch by column, without parsing them one by one."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from observability.core.named_numbers import NamedNumbers, named_numbers
from observability.core.view_names import quoted_identifier
from observability.store.db.expressions import sql_literal

if TYPE_CHECKING:
    from pandas import DataFrame

OPENED, NAMES = "opened objects", "names of objects"
"""Columns that the query adds for a while."""


def numbers_source(source: str, field: str, numbers: Sequence[str]) -> str:
    """A query for the rows of another with the objects of a field as a list of structs, in the order of their names."""
    wanted = sql_literal(json.dumps(dict.fromkeys(numbers, "DOUBLE")))
    column = quoted_identifier(field)
    return f"""SELECT *, [json_transform(each, {wanted}) FOR each IN json_extract({column}, '$.*')] AS {quoted_identifier(OPENED)}
        FROM ({source})"""


def numbers_columns(field: str, numbers: Sequence[str]) -> str:
    """What to select from `numbers_source`: names and numbers, and the field as text where it may hold anything else.

    Stored objects are compact JSON with sorted keys. A cast makes numbers of texts and booleans, and of what is no object one without
    numbers; rows that may have either are parsed one by one.
    """
    column, opened = quoted_identifier(field), quoted_identifier(OPENED)
    values = [f"each.{quoted_identifier(name)}" for name in numbers]
    other = " OR ".join(f"contains({column}, '{begin}')" for begin in (':"', ":t", ":f"))
    empty = f"[each FOR each IN {opened} IF {' AND '.join(f'{value} IS NULL' for value in values)}]"
    lists = [
        f"""CASE WHEN list_any_value([{value} FOR each IN {opened}]) IS NOT NULL
        THEN [coalesce({value}, 'NaN'::DOUBLE) FOR each IN {opened}] END AS {quoted_identifier(f"{field}.{name}")}"""
        for name, value in zip(numbers, values, strict=True)
    ]
    return f"""CASE WHEN {other} OR len({empty}) > 0 THEN {column}::VARCHAR END AS {column},
        to_json(json_keys({column}))::VARCHAR AS {quoted_identifier(NAMES)}, {", ".join(lists)}"""


def read_numbers(frame: "DataFrame", field: str, numbers: Sequence[str]) -> list[NamedNumbers]:
    """The numbers of each row of an answer to that query."""
    names_of: dict[str, tuple[str, ...]] = {}
    columns = [frame[f"{field}.{name}"].tolist() for name in numbers]
    found = []
    for text, names, *lists in zip(frame[field].tolist(), frame[NAMES].tolist(), *columns, strict=True):
        if isinstance(text, str) or not isinstance(names, str):
            found.append(named_numbers(json.loads(text) if isinstance(text, str) else None, numbers))
            continue
        if names not in names_of:
            names_of[names] = tuple(json.loads(names))
        held = {name: values for name, values in zip(numbers, lists, strict=True) if isinstance(values, np.ndarray)}
        found.append(NamedNumbers(names_of[names], held))
    return found
