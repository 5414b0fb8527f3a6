"""Single rows: repeatable samples, tables for pages, one prediction, events, activity of versions."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.json_values import stored_json
from observability.core.questions import Sample
from observability.core.time import aware_utc, naive_utc
from observability.core.window import Window
from observability.stats.binning import bin_numbers
from observability.store.db.catalog_store import stream_numbers
from observability.store.db.results import Cursor, empty_result
from observability.store.db.schema import LATENCY, OUTCOMES, PREDICTION_COLUMNS, model_table
from observability.store.db.shared_tables import table_sources
from observability.store.query.answer import Part, level_names, part_arrays, without_mask
from observability.store.query.bin_plans import SCORE_PLAN
from observability.store.query.decision_marks import SEEN, decision_marks
from observability.store.query.raw_rows import used_parameters
from observability.store.query.references import FieldExpression, find_field
from observability.store.query.source import (
    SAMPLE_ORDER,
    WindowRows,
    counted_by_model,
    from_clause,
    rows_by_place,
    snapshot_cursor,
    snapshot_streams,
    window_rows,
)
from observability.store.types.answer_columns import text_column

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Database

SURELY = 6.0
"""Number of standard deviations above the expected number of rows that is allowed for, so that too few rows are found only about once in
10⁹ samples.
"""
NAMES_A_QUERY = 2_000
"""Maximum number of columns that one query reads of the rows with an id."""
PLAIN = ("id", "at", "subject", "arrived", "prediction", "extra")
"""Columns beside the references: id, event time, subject, time of arrival, the answer and other fields (JSON text) of a prediction."""


def answer_sample(store: "Database", sample: Sample, window: Window) -> "DataFrame":
    """At most `sample.rows` rows of a window: those with the smallest stored hash of the id, sorted by this hash. The rows are the same on
    every engine.

    One column per reference: numbers float64, `decision`, `label` and `score_bin` int64, times naive UTC, others objects (None if missing).
    Raises NotFoundError for an unknown model, version or column.
    """
    model = store.catalog().model(window.model)
    fields = column_fields(model, sample.columns, outcomes=sample.table == "outcomes")
    with snapshot_cursor(store) as cursor:
        found = window_rows(model, window, snapshot_streams(store, cursor, model.key))
        wanted, places = int(sample.rows), rows_by_place(store, cursor, found)
        if len(places) == 1:
            ((there, rows),) = places
            return fetch_rows(there, rows, fields, _smallest_hashes(there, rows, wanted), SAMPLE_ORDER)
        ranked = [_smallest_hashes(there, rows, wanted, ranks=True) for there, rows in places]
        return _joined_rows(places, fields, ranked, SAMPLE_ORDER, wanted)


def _joined_rows(
    places: Sequence[tuple[Cursor, WindowRows]],
    fields: Sequence[FieldExpression],
    ranked: Sequence[list[Any]],
    ordering: str,
    wanted: int,
    extra: Sequence[FieldExpression] = (),
    order: Callable[[list[Any]], list[Any]] = sorted,
) -> "DataFrame":
    """The first rows of several places together. ranked: for each place, the sort keys of its first rows; each key ends with the row
    number. order: sorts the keys of all places.
    """
    import pandas as pd

    first = order([(*rank[:-1], place, number) for place, ranks in enumerate(ranked) for number, rank in enumerate(ranks)])[:wanted]
    kept = [sum(rank[-2] == place for rank in first) for place in range(len(places))]
    frames = [
        fetch_rows(there, rows, fields, [rank[-1] for rank in ranks[:count]], ordering, extra)
        for (there, rows), ranks, count in zip(places, ranked, kept, strict=True)
    ]
    starts = np.cumsum([0, *kept])
    whole = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    return whole.iloc[[starts[rank[-2]] + rank[-1] for rank in first]].reset_index(drop=True)


def _smallest_hashes(cursor: Cursor, found: WindowRows, wanted: int, *, ranks: bool = False) -> list[Any]:
    """Row numbers of the rows with the smallest hashes of the id. ranks: return instead tuples of the values of SAMPLE_ORDER and the row
    number.

    Hashes are uniform, so rows below a certain hash almost surely suffice; only these are sorted.
    """
    table = model_table("predictions", found.model.key)
    ((held,),) = cursor.execute(f"SELECT count(*) FROM {table} WHERE {found.where}", found.values).fetchall()
    picked = f"{SAMPLE_ORDER if ranks else 0}, rowid"
    share = (wanted + SURELY * math.sqrt(wanted)) / max(held, 1)
    for below in (f" AND sample_hash < {int(share * 2**64)}", "") if share < 1 else ("",):
        chosen = cursor.execute(
            f"SELECT {picked} FROM {table} p WHERE {found.where}{below} ORDER BY {SAMPLE_ORDER} LIMIT {wanted}", found.values
        ).fetchall()
        if len(chosen) == min(wanted, held):
            break
    return chosen if ranks else [number for _, number in chosen]


def list_rows(
    store: "Database", window: Window, columns: Sequence[str], limit: int = 100, order: str = "-at", *, outcomes: bool = True
) -> "DataFrame":
    """At most `limit` raw rows of a window as a table, for a page; columns and types as in `answer_sample`.

    order: a column reference or one of PLAIN; with a `-` before it the order is descending. Missing values come last, ties are ordered by
    id.
    """
    model = store.catalog().model(window.model)
    fields = column_fields(model, columns, outcomes=outcomes)
    by = column_fields(model, [order.removeprefix("-")], outcomes=outcomes)[0]
    with snapshot_cursor(store) as cursor:
        found = window_rows(model, window, snapshot_streams(store, cursor, model.key))
        return first_rows(rows_by_place(store, cursor, found), fields, by, limit, descending=order.startswith("-"))


def first_rows(
    places: Sequence[tuple[Cursor, WindowRows]],
    fields: Sequence[FieldExpression],
    by: FieldExpression,
    limit: int,
    *,
    descending: bool,
    where: Sequence[str] = (),
    values: Mapping[str, object] | None = None,
) -> "DataFrame":
    """The first `limit` rows that meet the conditions, sorted by a field. places: where the rows are (`rows_by_place`).

    where: conditions over `p` and `l`; values: their parameters.
    """
    ordering = f"{by.sql} {'DESC' if descending else 'ASC'} NULLS LAST, p.id, p.stream"
    labelled = by.labelled or any("l." in condition for condition in where)
    ranked: list[list[Any]] = []
    for cursor, rows in places:
        clause, source, parameters = from_clause(cursor, rows, [by.sql, *where], labelled, placed=True)
        chosen = f"{by.sql}, p.id, p.stream, p.place {source} WHERE {' AND '.join(where) or 'true'} ORDER BY {ordering} LIMIT {int(limit)}"
        statement = f"{clause} SELECT {chosen}"
        ranked.append(cursor.execute(statement, used_parameters(statement, {**parameters, **(values or {})})).fetchall())
    if len(places) == 1:
        ((cursor, rows),) = places
        return fetch_rows(cursor, rows, fields, [rank[-1] for rank in ranked[0]], ordering, extra=(by,))
    return _joined_rows(places, fields, ranked, ordering, limit, (by,), partial(_in_order_of_value, descending=descending))


def _in_order_of_value(ranks: list[Any], *, descending: bool) -> list[Any]:
    """Tuples of a value, an id, a stream and a place, sorted by value as in SQL: missing values last, NaN above every number, ties by id
    and stream.
    """
    tied = sorted(ranks, key=lambda rank: rank[1:3])
    held = [rank for rank in tied if rank[0] is not None]
    held.sort(key=lambda rank: (True, 0.0) if rank[0] != rank[0] else (False, rank[0]), reverse=descending)
    return held + [rank for rank in tied if rank[0] is None]


def column_fields(model: Model, columns: Sequence[str], *, outcomes: bool) -> list[FieldExpression]:
    """The fields of the columns of a table."""
    return [
        FieldExpression(name, f'p."{name}"', "code") if name in PLAIN else find_field(model, name, outcomes=outcomes, role="sample")
        for name in columns
    ]


def fetch_rows(
    cursor: Cursor,
    found: WindowRows,
    fields: Sequence[FieldExpression],
    places: list[int],
    ordering: str,
    extra: Sequence[FieldExpression] = (),
) -> "DataFrame":
    """The rows with these row numbers, sorted."""
    some = replace(found, conditions=("rowid IN (SELECT unnest($places::BIGINT[]))",), parameters=(("places", places),))
    needed = [*fields, *extra]
    labelled = any(field.labelled for field in needed)
    clause, source, parameters = from_clause(cursor, some, [field.sql for field in needed], labelled, held=len(places))
    picked = ", ".join(f"{field.sql} AS x{place}" for place, field in enumerate(fields)) or "p.id"
    arrays: Any = cursor.execute(
        f"{clause} SELECT {picked} {source} ORDER BY {ordering}", used_parameters(clause + source, parameters)
    ).fetchnumpy()
    versions = {number: version.name for number, version in found.streams.items()}
    return typed_frame(arrays, fields, versions)


def typed_frame(found: "Part | DataFrame", fields: Sequence[FieldExpression], versions: Mapping[int, str | None]) -> "DataFrame":
    """The columns `x0`, `x1`, … (masked where missing) as a frame with the names and types of `answer_sample`."""
    import pandas as pd

    arrays, columns = part_arrays(found), dict[str, Any]()
    for place, field in enumerate(fields):
        values = arrays[f"x{place}"]
        if field.reference in ("at", "arrived"):
            columns[field.reference] = np.ma.filled(values, np.datetime64("NaT", "us")).astype("datetime64[us]")
        elif field.reference == "score_bin":
            scores = without_mask(values).astype(np.float64)
            bins = scores if field.sql == "-1" else bin_numbers(scores, SCORE_PLAN, ~np.isnan(scores))
            columns[field.reference] = bins.astype(np.int64)
        elif field.reference in ("decision", "label"):
            columns[field.reference] = without_mask(values).astype(np.int64)
        elif field.kind == "number":
            columns[field.reference] = without_mask(values).astype(np.float64)
        else:
            held = level_names(versions, without_mask(values)) if field.reference == "version" else text_column(without_mask(values))
            columns[field.reference] = pd.Series(held, dtype=object, copy=False)
    return pd.DataFrame(columns)


def prediction_record(
    store: "Database",
    model: str,
    id: str,  # noqa: A002 - the record's own word
    version: str | None = None,
    environment: str | None = None,
    *,
    sources: tuple[str, str] | None = None,
    removed: bool = False,
) -> dict[str, Any]:
    """Everything that is stored about one prediction.

    sources: queries of the predictions and of the labels to look in, in place of the model's tables. removed: look also at days that
    retention removed, if a lake has them; a prediction from there has `from_lake`, its day.

    Its fields, `version`, `environment`, `features` and `groups` by name, and `labels`: every revision in order of arrival, the current one
    (greatest at, arrived, value) with `current` true. Times are naive UTC. If several predictions of the chosen version and environment
    have the id: the one in production, else the newest; `other_answers` has the rest in that order, with `version`, `environment`, `at`,
    `arrived`, `score`, `probabilities`, `prediction` and `decision`. Raises NotFoundError if the model or the id is unknown, or if no
    prediction has the chosen version and environment.
    """
    known = store.catalog().model(model)
    table, labels = model_table("predictions", known.key), model_table("labels", known.key)
    with snapshot_cursor(store) as cursor:
        names = [f'"{name}"' for name in PREDICTION_COLUMNS] + [column.column for column in known.columns]
        held = rows_of_id(cursor, table, names, id) if sources is None else _rows_of_id_in(cursor, sources[0], names, id)
        lake = store.removed_rows(known) if removed else None
        held += [] if lake is None else _rows_of_id_in(lake, f"FROM {table}", names, id)
        if not held:
            advice = "Check the id; rejected predictions are on the store's page"
            raise NotFoundError(f"prediction {id!r} is not in {model}", attempt=advice)
        of_stream = {number: key for key, number in stream_numbers(cursor, known.key).items()}
        columns = [*PREDICTION_COLUMNS, *(column.column for column in known.columns)]
        answers = _in_order_of_interest([dict(zip(columns, answer, strict=True)) for answer in held], of_stream)
        wanted = [found for found in answers if _matches_stream(of_stream[found["stream"]], version, environment)]
        if not wanted:
            there = ", ".join(" in ".join(of_stream[found["stream"]]) for found in answers)
            attempt = f"It has the answers of version {there}"
            raise NotFoundError(f"prediction {id!r} of {model} has no such version or environment", attempt=attempt)
        values = wanted[0]
        fields = ["at", "arrived", "value", "number", "source", "annotator", "guideline", "extra"]
        own = [f'"{name}"' for name in fields]
        revisions = rows_of_id(cursor, labels, own, id) if sources is None else _rows_of_id_in(cursor, sources[1], own, id)
        older = [] if lake is None else _rows_of_id_in(lake, f"FROM {labels}", own, id)
        revisions += [revision for revision in older if revision not in revisions]
    found = [dict(zip(fields, revision, strict=True)) for revision in revisions]
    found.sort(key=lambda label: (label["arrived"], label["at"], label["value"]))
    others = [_answer_of(of_stream[other["stream"]], other) for other in answers if other is not values]
    current = max(found, key=lambda label: (label["at"], label["arrived"], label["value"]), default=None)
    version, environment = of_stream[values["stream"]]
    by_id = {column.id: column.reference for column in known.columns}
    record: dict[str, Any] = {
        name: _decoded(name, value)
        for name, value in values.items()
        if name in PREDICTION_COLUMNS and name != "stream" and not name.endswith("_hash")
    }
    if known.rows_from is not None and environment != "reference" and values["at"] < naive_utc(known.rows_from):
        record["from_lake"] = values["at"].date()
    for name in ("absent", "wrong"):
        record[name] = [by_id[number] for number in values[name] or () if number in by_id]
    return record | {
        "other_answers": others,
        "model": known.name,
        "version": version,
        "environment": environment,
        "features": {feature.name: values[feature.column] for feature in known.features()},
        "groups": {column.name: values[column.column] for column in known.columns if column.role == "group"},
        "labels": [{**label, "extra": _decoded("extra", label["extra"]), "current": label is current} for label in found],
    }


def _matches_stream(stream: tuple[str, str], version: str | None, environment: str | None) -> bool:
    """Whether a stream has this version and environment; None stands for any."""
    return version in (None, stream[0]) and environment in (None, stream[1])


def _in_order_of_interest(rows: list[dict[str, Any]], of_stream: Mapping[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """The predictions of one id: production first, then the newest."""
    ordered = sorted(rows, key=lambda row: of_stream[row["stream"]], reverse=True)
    return sorted(ordered, key=lambda row: (of_stream[row["stream"]][1] == "production", row["at"]), reverse=True)


def _answer_of(stream: tuple[str, str], row: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of another version, or of the same version in another environment, under the same id."""
    names = ("at", "arrived", "score", "probabilities", "prediction", "decision")
    return {"version": stream[0], "environment": stream[1], **{name: _decoded(name, row[name]) for name in names}}


def rows_of_id(cursor: Cursor, table: str, columns: Sequence[str], id: str) -> list[tuple[Any, ...]]:  # noqa: A002
    """Some columns of the rows with one id.

    The hashes alone are scanned, then the few rows are read by row number. With a second condition, or with the columns in the same query,
    DuckDB reads other columns of each block that it passes (tests/benchmarks/bench_case.py: three times as long). Columns are read
    NAMES_A_QUERY at a time, because the time to plan a query grows faster than the number of its columns.
    """
    places = cursor.execute(f"SELECT rowid FROM {table} WHERE id_hash = hash($id)", {"id": id}).fetchall()
    if not places:
        return []
    numbers = ", ".join(str(int(place)) for (place,) in places)
    held: dict[int, list[Any]] = {}
    for first in range(0, len(columns), NAMES_A_QUERY):  # without ORDER BY, which would take longer than reading the columns
        names = ", ".join(["rowid", "id", *columns[first : first + NAMES_A_QUERY]])
        for place, its_id, *values in cursor.execute(f"SELECT {names} FROM {table} WHERE rowid IN ({numbers})").fetchall():
            if its_id == id:
                held.setdefault(place, []).extend(values)
    return [tuple(values) for values in held.values()]


def _rows_of_id_in(cursor: Cursor, query: str, columns: Sequence[str], id_: str) -> list[tuple[Any, ...]]:
    """Some columns of the rows of a query with one id."""
    held = cursor.execute(f"SELECT {', '.join(columns)} FROM ({query}) WHERE id_hash = hash($id) AND id = $id", {"id": id_}).fetchall()
    return [tuple(row) for row in held]


def _decoded(name: str, value: Any) -> Any:
    """A stored value, with JSON parsed."""
    kind = PREDICTION_COLUMNS.get(name)
    return stored_json(value) if kind == "JSON" and isinstance(value, str) else value


ORDER = ("at", "what", "text", "model", "version")
"""The columns by which events are sorted; missing values come last."""


def list_events(store: "Database", model: str | None, start: datetime, end: datetime, as_of: datetime | None = None) -> "DataFrame":
    """Deploys, incidents, notes and other events in [start, end), sorted by time. Exports are left out, because they change nothing in a
    model.

    Each choice of a standing decision to promote, hold or reject a version is an event of the sort `decision`, at the time of the first
    record with this choice. Only records before `end` count. A note that names a stored decision is left out, because the decision is the
    event. as_of: only records that had arrived by then.

    Columns: `at` (naive UTC), `model`, `version`, `what`, `text`, `prediction`, `subject`. For one model: its events and those that name no
    model; without a model, all events.
    """
    import pandas as pd

    first, last, until = naive_utc(start), naive_utc(end), None if as_of is None else naive_utc(as_of)
    with snapshot_cursor(store) as cursor:
        frame = cursor.execute(
            f"""SELECT "at", model, version, what, text, prediction, subject FROM events
            WHERE {SEEN} AND "at" >= $start AND ($model IS NULL OR model IS NULL OR model = $model) AND what != 'export' AND NOT
              (what = 'note' AND coalesce(json_extract_string(extra, '$.decision') IN (SELECT decision FROM decisions), false))
            ORDER BY {", ".join(f'"{name}"' for name in ORDER)}""",
            {"start": first, "end": last, "model": model, "as_of": until},
        ).df()
        marks = decision_marks(cursor, model, first, last, until)
    if marks:
        frame = pd.concat([frame, pd.DataFrame(marks, dtype=object)], ignore_index=True).sort_values(list(ORDER), ignore_index=True)
    if frame.empty:
        return empty_result({name: "datetime64[us]" if name == "at" else "object" for name in frame.columns})
    for name in frame.columns.drop("at"):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame.astype({"at": "datetime64[us]"})


def version_activity(store: "Database", as_of: datetime | None = None, model: str | None = None) -> "DataFrame":
    """Every version in every environment that has rows, of one model or of all, from the rollups.

    Columns: `model`, `version`, `environment`, `rows`, `first` and `last` (start of the hour of the oldest and of the newest prediction,
    naive UTC), `last_arrived` (the newest arrival of a prediction or label, rounded up to the hour). The three times of a reference are
    NaT. as_of: only what had arrived by the whole hour before it (references excepted).
    """
    import pandas as pd

    catalog = store.catalog()
    models = catalog.models if model is None else (catalog.model(model),)
    if as_of is None:
        by_model = counted_by_model(store, "activity", models, partial(_stream_activity, limit=2**31 - 1))
    else:
        with snapshot_cursor(store) as cursor:
            by_model = _stream_activity(cursor, models, int(as_of.timestamp() // 3600))
    found = [(known.name, *figures) for known in models for figures in by_model[known.name]]
    frame = pd.DataFrame(found, columns=["model", "version", "environment", "rows", "first", "last", "last_arrived"])
    timeless = (frame["environment"] == "reference").to_numpy(bool)
    for name in ("first", "last", "last_arrived"):
        hours = frame[name].to_numpy(np.int64).astype("datetime64[h]").astype("datetime64[us]")
        frame[name] = pd.Series(np.where(timeless, np.datetime64("NaT", "us"), hours))
    return frame.astype({"model": object, "version": object, "environment": object, "rows": np.int64})


def _stream_activity(cursor: Cursor, models: Sequence[Model], limit: int) -> dict[str, list[tuple[Any, ...]]]:
    """Version, environment, rows, first, last and newest arrival (whole hours since 1970) of each stream that has rows, by model.

    limit: only what had arrived by this hour.
    """
    found: dict[str, list[tuple[Any, ...]]] = {model.name: [] for model in models}
    names = {model.key: model.name for model in models}
    queries = [
        f"SELECT key, stream, measure, n, period, arrived FROM {source} WHERE measure IN ({LATENCY}, {OUTCOMES}) AND slice = 0"
        for source in table_sources(cursor, "counts", names)
    ]
    if not queries:
        return found
    counted = cursor.execute(
        f"""SELECT key, version, environment, served, first, last, newest FROM (
            SELECT key, stream, sum(n) FILTER (measure = {LATENCY})::BIGINT AS served,
            min(period) FILTER (measure = {LATENCY}) AS first, max(period) FILTER (measure = {LATENCY}) AS last,
            max(arrived) FILTER (measure = {OUTCOMES}) AS newest
            FROM ({" UNION ALL ".join(queries)}) WHERE arrived <= $limit
            GROUP BY key, stream HAVING served > 0 AND newest IS NOT NULL)
        JOIN streams USING (key, stream) ORDER BY key, stream""",
        {"limit": limit},
    )
    for key, *figures in counted.fetchall():
        found[names[key]].append(tuple(figures))
    return found


def label_arrival_times(store: "Database", model: str, predictions: Sequence[str]) -> dict[str, list[datetime]]:
    """Times of arrival (UTC) of the labels of some predictions, by id. Empty for an unknown model."""
    known = next((known for known in store.catalog().models if known.name == model), None)
    if known is None:
        return {}
    with snapshot_cursor(store) as cursor:
        rows = cursor.execute(
            f"""SELECT id, arrived FROM {model_table("labels", known.key)}
            WHERE id_hash IN (SELECT hash(unnest($ids::VARCHAR[]))) AND id IN (SELECT unnest($ids::VARCHAR[]))""",
            {"ids": list(predictions)},
        ).fetchall()
    found: dict[str, list[datetime]] = {}
    for name, at in rows:
        found.setdefault(name, []).append(aware_utc(at))
    return found
