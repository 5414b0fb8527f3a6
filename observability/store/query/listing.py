"""Which single rows are there: a repeatable sample, a small table for a page, one prediction, what happened, who is active?"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.questions import Sample
from observability.core.window import Window
from observability.stats.binning import bin_numbers
from observability.store.db.catalog_store import streams
from observability.store.db.results import no_rows
from observability.store.db.schema import LATENCY, OUTCOMES, PREDICTION_COLUMNS, model_table
from observability.store.query.answer import Part, arrays_of, filled, named, texts
from observability.store.query.bin_plans import SCORE_PLAN
from observability.store.query.raw_rows import used
from observability.store.query.references import Field, find_field
from observability.store.query.source import Rows, from_clause, known_streams, rows_of, snapshot, stored

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

SURELY = 6.0
"""Standard deviations beyond the expected number of rows: fewer than are wanted lie below about once in 10⁹ samples."""
PLAIN = ("id", "at", "subject", "arrived")
"""Columns beside the column references: the prediction's id, event time, subject, and when it arrived."""


def sample(store: "Store", sample: Sample, window: Window) -> "DataFrame":
    """At most `sample.rows` rows of a window, those with the smallest stored hash of the id, in order of it: the same on every engine.

    One column a reference: numbers float64, `decision`, `label` and `score_bin` int64, times naive UTC, others objects (None where
    missing). Raises NotFoundError for an unknown model, version or column.
    """
    model = store.catalog().model(window.model)
    fields = fields_of(model, sample.columns, outcomes=sample.table == "outcomes")
    with snapshot(store) as cursor:
        found = rows_of(model, window, known_streams(store, cursor, model.key))
        return fetched(cursor, found, fields, smallest_hashes(cursor, found, int(sample.rows)), "p.sample_hash, p.id")


def smallest_hashes(cursor: duckdb.DuckDBPyConnection, found: Rows, wanted: int) -> list[int]:
    """Row numbers of so many rows, those with the smallest hashes of the id.

    Hashes are spread evenly, so of many rows those below a share of all hashes are enough, unless chance has it otherwise; only these are put in order.
    """
    table = model_table("predictions", found.model.key)
    ((held,),) = cursor.execute(f"SELECT count(*) FROM {table} WHERE {found.where}", found.values).fetchall()
    share = (wanted + SURELY * math.sqrt(wanted)) / max(held, 1)
    for below in (f" AND sample_hash < {int(share * 2**64)}", "") if share < 1 else ("",):
        chosen = cursor.execute(
            f"SELECT rowid FROM {table} WHERE {found.where}{below} ORDER BY sample_hash, id LIMIT {wanted}", found.values
        ).fetchall()
        if len(chosen) == min(wanted, held):
            break
    return [number for (number,) in chosen]


def rows(
    store: "Store", window: Window, columns: Sequence[str], limit: int = 100, order: str = "-at", *, outcomes: bool = True
) -> "DataFrame":
    """At most `limit` raw rows of a window as a table, for a page; columns and types as in `sample`.

    order: a column reference or one of PLAIN, descending where a `-` stands before it; missing values come last, ties by id.
    """
    model = store.catalog().model(window.model)
    fields = fields_of(model, columns, outcomes=outcomes)
    by = fields_of(model, [order.removeprefix("-")], outcomes=outcomes)[0]
    ordering = f"{by.sql} {'DESC' if order.startswith('-') else 'ASC'} NULLS LAST, p.id"
    with snapshot(store) as cursor:
        found = rows_of(model, window, known_streams(store, cursor, model.key))
        clause, source, parameters = from_clause(cursor, found, [by.sql], by.labelled)
        source = source.replace("(SELECT *", "(SELECT rowid AS place, *", 1)
        chosen = cursor.execute(
            f"{clause} SELECT p.place {source} ORDER BY {ordering} LIMIT {int(limit)}", used(clause + source, parameters)
        )
        return fetched(cursor, found, fields, [number for (number,) in chosen.fetchall()], ordering, extra=(by,))


def fields_of(model: Model, columns: Sequence[str], *, outcomes: bool) -> list[Field]:
    """The fields of a table's columns."""
    return [
        Field(name, f'p."{name}"', "code") if name in PLAIN else find_field(model, name, outcomes=outcomes, role="sample")
        for name in columns
    ]  # fmt: skip


def fetched(
    cursor: duckdb.DuckDBPyConnection, found: Rows, fields: Sequence[Field], places: list[int], ordering: str, extra: Sequence[Field] = ()
) -> "DataFrame":
    """The rows with these row numbers, in an order."""
    some = replace(found, conditions=("rowid IN (SELECT unnest($places::BIGINT[]))",), parameters=(("places", places),))
    needed = [*fields, *extra]
    labelled = any(each.labelled for each in needed)
    clause, source, parameters = from_clause(cursor, some, [each.sql for each in needed], labelled, held=len(places))
    picked = ", ".join(f"{each.sql} AS x{place}" for place, each in enumerate(fields)) or "p.id"
    arrays: Any = cursor.execute(f"{clause} SELECT {picked} {source} ORDER BY {ordering}", used(clause + source, parameters)).fetchnumpy()
    versions = {number: version.name for number, version in found.streams.items()}
    return typed(arrays, fields, versions)


def typed(found: "Part | DataFrame", fields: Sequence[Field], versions: Mapping[int, str | None]) -> "DataFrame":
    """The columns `x0`, `x1`, … (masked where missing) as a frame with the names and types that `sample` promises."""
    import pandas as pd

    arrays, columns = arrays_of(found), dict[str, Any]()
    for place, field in enumerate(fields):
        values = arrays[f"x{place}"]
        if field.reference in ("at", "arrived"):
            columns[field.reference] = np.ma.filled(values, np.datetime64("NaT", "us")).astype("datetime64[us]")
        elif field.reference == "score_bin":
            scores = filled(values).astype(np.float64)
            columns[field.reference] = (
                bin_numbers(scores, SCORE_PLAN, ~np.isnan(scores)).astype(np.int64) if field.sql != "-1" else scores.astype(np.int64)
            )
        elif field.reference in ("decision", "label"):
            columns[field.reference] = filled(values).astype(np.int64)
        elif field.kind == "number":
            columns[field.reference] = filled(values).astype(np.float64)
        else:
            held = named(versions, filled(values)) if field.reference == "version" else texts(filled(values))
            columns[field.reference] = pd.Series(held, dtype=object, copy=False)
    return pd.DataFrame(columns)


def row(store: "Store", model: str, id: str) -> dict[str, Any]:  # noqa: A002 - the record's own word
    """Everything that is stored about one prediction: its fields, `version`, `environment`, `features` and `groups` by name, and
    `labels`, every revision in order of arrival, the current one (greatest at, arrived, value) with `current` true.

    Times are naive UTC. Raises NotFoundError where the model or the id is not there.
    """
    known = store.catalog().model(model)
    table, labels = model_table("predictions", known.key), model_table("labels", known.key)
    with snapshot(store) as cursor:
        names = [f'"{name}"' for name in PREDICTION_COLUMNS] + [each.column for each in known.columns]
        held = of_id(cursor, table, names, id)
        if not held:
            raise NotFoundError(
                f"prediction {id!r} is not in {model}", attempt="Check the id; predictions that were rejected are on the store's page"
            )
        values = dict(zip([*PREDICTION_COLUMNS, *(each.column for each in known.columns)], held[0], strict=True))
        of_stream = {number: key for key, number in streams(cursor, known.key).items()}
        fields = ["at", "arrived", "value", "number", "source", "annotator", "guideline", "extra"]
        found = sorted(
            (dict(zip(fields, each, strict=True)) for each in of_id(cursor, labels, [f'"{name}"' for name in fields], id)),
            key=lambda each: (each["arrived"], each["at"], each["value"]),
        )
    current = max(found, key=lambda each: (each["at"], each["arrived"], each["value"]), default=None)
    version, environment = of_stream[values.pop("stream")]
    by_id = {each.id: each.reference for each in known.columns}
    record: dict[str, Any] = {
        name: decoded(name, value) for name, value in values.items() if name in PREDICTION_COLUMNS and not name.endswith("_hash")
    }
    for name in ("absent", "wrong"):
        record[name] = [by_id[each] for each in values[name] or () if each in by_id]
    return record | {
        "model": known.name,
        "version": version,
        "environment": environment,
        "features": {each.name: values[each.column] for each in known.features()},
        "groups": {each.name: values[each.column] for each in known.columns if each.role == "group"},
        "labels": [{**each, "extra": decoded("extra", each["extra"]), "current": each is current} for each in found],
    }


def of_id(cursor: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], id: str) -> list[tuple[Any, ...]]:  # noqa: A002 - as above
    """Some columns of the rows of one id. The hashes alone are scanned, then the few rows are read by their number: with a second condition, or with
    the columns in the same question, DuckDB reads other columns for each block that it passes (tests/benchmarks/bench_case.py: three times as long).
    """
    places = cursor.execute(f"SELECT rowid FROM {table} WHERE id_hash = hash($id)", {"id": id}).fetchall()
    if not places:
        return []
    numbers = ", ".join(str(int(place)) for (place,) in places)
    held = cursor.execute(f"SELECT id, {', '.join(columns)} FROM {table} WHERE rowid IN ({numbers})").fetchall()
    return [each[1:] for each in held if each[0] == id]


def decoded(name: str, value: Any) -> Any:
    """A stored value, JSON read."""
    kind = PREDICTION_COLUMNS.get(name)
    return json.loads(value) if kind == "JSON" and isinstance(value, str) else value


def events(store: "Store", model: str | None, start: datetime, end: datetime) -> "DataFrame":
    """Deploys, incidents, notes and other events in [start, end), in order of time: `at` (naive UTC), `model`, `version`, `what`, `text`,
    `prediction`, `subject`; of one model together with those that name none, or of all models.
    """
    with snapshot(store) as cursor:
        frame = cursor.execute(
            """SELECT "at", model, version, what, text, prediction, subject FROM events
            WHERE "at" >= $start AND "at" < $end AND ($model IS NULL OR model IS NULL OR model = $model) ORDER BY "at", what, text""",
            {"start": stored(start), "end": stored(end), "model": model},
        ).df()
    if frame.empty:
        return no_rows({name: "datetime64[us]" if name == "at" else "object" for name in frame.columns})
    for name in frame.columns.drop("at"):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame.astype({"at": "datetime64[us]"})


def activity(store: "Store", as_of: datetime | None = None, model: str | None = None) -> "DataFrame":
    """Every version in every environment that has rows, of one model or of all: `model`, `version`, `environment`, `rows`, `first` and `last` (start of the hour
    of the oldest and of the newest prediction, naive UTC), `last_arrived` (the newest arrival of a prediction or label, rounded up to the
    hour).

    From the rollups, without reading a raw row. The three times are NaT of a reference. as_of: only what had arrived by the whole hour before
    it (references excepted).
    """
    import pandas as pd

    found: list[tuple[Any, ...]] = []
    limit = 2**31 - 1 if as_of is None else int(as_of.timestamp() // 3600)
    with snapshot(store) as cursor:
        catalog = store.catalog()
        for each in catalog.models if model is None else (catalog.model(model),):
            of_stream = {number: key for key, number in known_streams(store, cursor, each.key).items()}
            table = model_table("counts", each.key)
            counted = cursor.execute(
                f"""SELECT stream, sum(n) FILTER (measure = {LATENCY})::BIGINT AS n, min(period) FILTER (measure = {LATENCY}) AS first,
                max(period) FILTER (measure = {LATENCY}) AS last, max(arrived) FILTER (measure = {OUTCOMES}) AS arrived FROM {table}
                WHERE measure IN ({LATENCY}, {OUTCOMES}) AND slice = 0 AND arrived <= $limit
                GROUP BY stream HAVING n > 0 AND arrived IS NOT NULL ORDER BY stream""",
                {"limit": limit},
            )
            found += [(each.name, *of_stream[stream], *figures) for stream, *figures in counted.fetchall()]
    frame = pd.DataFrame(found, columns=["model", "version", "environment", "rows", "first", "last", "last_arrived"])
    timeless = (frame["environment"] == "reference").to_numpy(bool)
    for name in ("first", "last", "last_arrived"):
        hours = frame[name].to_numpy(np.int64).astype("datetime64[h]").astype("datetime64[us]")
        frame[name] = pd.Series(np.where(timeless, np.datetime64("NaT", "us"), hours))
    return frame.astype({"model": object, "version": object, "environment": object, "rows": np.int64})
