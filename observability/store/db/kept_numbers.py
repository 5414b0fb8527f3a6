"""Numbers inside stored objects that are also kept in columns beside the objects: the statistics of batches.

The numbers are computed when a record is stored, so that a question need not parse the objects. The columns are part of the record's row:
they are copied, moved and deleted with it.
"""

import json

from observability.core.view_names import quoted_identifier
from observability.records.kinds import BATCH_STATISTICS
from observability.store.db.expressions import sql_literal
from observability.store.db.results import Cursor

KEPT_NUMBERS: dict[str, tuple[str, tuple[str, ...]]] = {"batch": ("stats", BATCH_STATISTICS)}
"""For each kind, the field whose objects hold further objects, and the names of the numbers in the inner objects."""
NAMES = "names"
OPENED = quoted_identifier("opened objects")


def kept_column(field: str, name: str) -> str:
    """The name of the column that keeps a number. The column holds a list in the order of the field's names; the column of NAMES holds
    these names as a JSON list.
    """
    return f"{field}.{name}"


def kept_columns(kind: str) -> dict[str, str]:
    """The columns of a kind's table that hold kept numbers, and their SQL types; empty for most kinds."""
    if kind not in KEPT_NUMBERS:
        return {}
    field, numbers = KEPT_NUMBERS[kind]
    return {kept_column(field, NAMES): "VARCHAR", **{kept_column(field, name): "DOUBLE[]" for name in numbers}}


def with_kept_numbers(kind: str, source: str) -> str:
    """A query for the rows of another query, with the columns of `kept_columns` added. `source` has the field as compact JSON with sorted
    keys.

    A cast turns texts and booleans into numbers, and a value that is no object into an object without numbers. So nothing is kept for rows
    that may hold such values.
    """
    if kind not in KEPT_NUMBERS:
        return source
    field, numbers = KEPT_NUMBERS[kind]
    column, types = quoted_identifier(field), sql_literal(json.dumps(dict.fromkeys(numbers, "DOUBLE")))
    values = {name: f"each.{quoted_identifier(name)}" for name in numbers}
    other = " OR ".join(f"contains({column}, '{begin}')" for begin in (':"', ":t", ":f"))
    empty = f"[each FOR each IN {OPENED} IF {' AND '.join(f'{value} IS NULL' for value in values.values())}]"
    kept = {kept_column(field, NAMES): f"to_json(json_keys({column}))::VARCHAR"}
    for name, value in values.items():
        list_of = f"[coalesce({value}, 'NaN'::DOUBLE) FOR each IN {OPENED}]"
        kept[kept_column(field, name)] = f"CASE WHEN list_any_value([{value} FOR each IN {OPENED}]) IS NOT NULL THEN {list_of} END"
    picked = ", ".join(f"CASE WHEN NOT odd THEN {value} END AS {quoted_identifier(name)}" for name, value in kept.items())
    return f"""SELECT * EXCLUDE ({OPENED}, odd), {picked} FROM (
        SELECT *, ({other}) OR len({empty}) > 0 AS odd FROM (
            SELECT *, [json_transform(each, {types}) FOR each IN json_extract({column}, '$.*')] AS {OPENED} FROM ({source})))"""


def keep_numbers(writer: Cursor, kind: str, table: str) -> None:
    """Compute the kept numbers of every stored record of a kind."""
    if columns := [quoted_identifier(name) for name in kept_columns(kind)]:
        field = quoted_identifier(KEPT_NUMBERS[kind][0])
        values = with_kept_numbers(kind, f"SELECT rowid AS place, {field} FROM {table}")
        assigned = ", ".join(f"{name} = kept.{name}" for name in columns)
        writer.execute(f"UPDATE {table} SET {assigned} FROM ({values}) AS kept WHERE {table}.rowid = kept.place")
