"""Which records of the other kinds are there: runs, steps, resources, prices, annotations and the rest?"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb

from observability.core.errors import NotFoundError
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Window
from observability.records.kinds import KINDS
from observability.records.validation import Field
from observability.store.db.record_tables import FIELD_TYPES, kind_tables
from observability.store.db.results import no_rows
from observability.store.db.schema import model_table, quoted
from observability.store.query.source import remembered, snapshot, stored

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

OF_RUNS = ("step", "resource")
"""Kinds whose records belong to the model of their run where they name none themselves."""
FRAME_TYPES = {"TIMESTAMP": "datetime64[us]", "DOUBLE": "float64", "BIGINT": "Int64"}
"""Types of columns in an answer, by the type of the table; the others are objects."""


def fetch(store: "Store", records: Records, window: Window) -> "DataFrame":
    """The records that a question asks for, oldest first; ties in the order of their content.

    One column a field: numbers float64 (NaN where missing), integers Int64, times naive UTC, objects and lists parsed (NaN and infinities as floats), others objects (None where
    missing). The slice, version and environment of the window are not looked at. Raises NotFoundError for an unknown kind or field.
    """
    import pandas as pd

    fields = fields_of(records.kind)
    names = records.columns or tuple(fields)
    for name in (*names, *(name for name, _ in records.only)):
        if name not in fields:
            raise NotFoundError(f"field {name!r} is not in records of kind {records.kind}", attempt=f"It has {', '.join(fields)}")
    where, values = conditions(records.kind, window.model, window.end, window.as_of, None if records.ever else window.start)
    for place, (name, wanted) in enumerate(records.only):
        held = f"{quoted(name)} = $only_{place}" if isinstance(wanted, str) else f"list_contains($only_{place}::VARCHAR[], {quoted(name)})"
        where, values = f"{where} AND {held}", values | {f"only_{place}": wanted if isinstance(wanted, str) else list(wanted)}
    at = quoted(moment_of(records.kind))
    table, ties = table_of(store, records.kind, window.model, values)
    nothing = no_rows({name: FRAME_TYPES.get(FIELD_TYPES[fields[name].type], "object") for name in names})
    with snapshot(store) as cursor:
        if records.kind != "label" and records.kind not in kinds_there(store, cursor):
            return nothing
        frame = cursor.execute(
            f"""SELECT {", ".join(quoted(name) for name in names)} FROM (
                SELECT * FROM {table} WHERE {where} ORDER BY {at} DESC, {ties} DESC LIMIT {int(records.rows)})
            ORDER BY {at}, {ties}""",
            values,
        ).df()
    if frame.empty:
        return nothing
    return pd.DataFrame({name: typed(frame[name], fields[name]) for name in names})


def kinds_there(store: "Store", cursor: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The kinds of which there is any record, read once in a snapshot: most stores have few of them."""
    asked = " UNION ALL ".join(f"(SELECT '{kind}' FROM {table} LIMIT 1)" for kind, table in kind_tables().items())
    return remembered(store, "kinds there", lambda: frozenset(kind for (kind,) in cursor.execute(asked).fetchall()))


def table_of(store: "Store", kind: str, model: str, values: dict[str, Any]) -> tuple[str, str]:
    """Where records of a kind stand, and the column that breaks ties of time. Labels stand with their model, whose name is no column there."""
    if kind != "label":
        return kind_tables()[kind], "content_hash"
    values["model"] = model
    return f"(SELECT *, $model AS model FROM {model_table('labels', store.catalog().model(model).key)})", "id_hash"


def newest(store: "Store", kinds: Sequence[str], model: str, before: datetime, as_of: datetime | None = None) -> datetime | None:
    """Event time of the newest record of some kinds before an instant, of one model ("" for all of them); None where there is none."""
    found: list[datetime] = []
    with snapshot(store) as cursor:
        for kind in kinds:
            where, values = conditions(kind, model, before, as_of, None)
            ((last,),) = cursor.execute(
                f"SELECT max({quoted(moment_of(kind))}) FROM {kind_tables()[kind]} WHERE {where}", values
            ).fetchall()
            found += [last] if last is not None else []
    return aware_utc(max(found)) if found else None


def fields_of(kind: str) -> dict[str, Field]:
    """Fields of a kind by name; raises NotFoundError for one that has no table of its own."""
    if kind not in (*kind_tables(), "label"):
        raise NotFoundError(f"records of kind {kind!r} cannot be fetched", attempt=f"There is {', '.join(kind_tables())}")
    return {name: field for name, field in KINDS[kind].fields.items() if name != "received_at"}


def moment_of(kind: str) -> str:
    """The field that says when a record holds: `at`, of a price `from`."""
    return "at" if "at" in KINDS[kind].fields else "from"


def conditions(kind: str, model: str, end: datetime, as_of: datetime | None, start: datetime | None) -> tuple[str, dict[str, Any]]:
    """The WHERE of a question, and its parameters."""
    at = quoted(moment_of(kind))
    where = [f"{at} < $end"]
    values: dict[str, Any] = {"end": stored(end)}
    if start is not None:
        where, values = [*where, f"{at} >= $start"], values | {"start": stored(start)}
    if as_of is not None:
        where, values = [*where, "arrived <= $as_of"], values | {"as_of": stored(as_of)}
    if model:
        values["model"] = model
        of_model = ["model = $model"] if "model" in KINDS[kind].fields else []
        own = "model IS NULL AND " if of_model else ""
        of_run = [f"({own}run IN (SELECT run FROM runs WHERE model = $model))"] if kind in OF_RUNS else []
        shared = ["model IS NULL"] if kind == "price" else []
        if either := [*of_model, *of_run, *shared]:
            where.append(f"({' OR '.join(either)})")
        else:
            del values["model"]
    return " AND ".join(where), values


def typed(values: Any, field: Field) -> Any:
    """A column in the type that `fetch` promises."""
    kind = FIELD_TYPES[field.type]
    if kind in FRAME_TYPES:
        return values.astype(FRAME_TYPES[kind])
    texts = values.astype(object).where(values.notna(), None)
    return texts.map(lambda each: parsed(each, field)).astype(object) if kind == "JSON" else texts


def parsed(text: str | None, field: Field) -> Any:
    """A nested value; "NaN", "Infinity" and "-Infinity" are numbers where only numbers may stand."""
    value = None if text is None else json.loads(text)
    if field.members == "number" and isinstance(value, dict):
        return {name: float(each) if isinstance(each, str) else each for name, each in value.items()}
    return value
