"""How are models, versions, columns, edges and streams read from the store and written to it?

Every function takes a cursor; those that write are for the cursor of `Store.write`, so that the catalog changes together with the rows.
Instants are UTC: aware in the catalog, naive in the tables.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import duckdb

from observability.core.catalog import Catalog, Column, Edges, Kind, Model, Task, Version
from observability.core.questions import NULL, UNKNOWN
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc, naive_utc
from observability.store.db.results import one
from observability.store.db.schema import COLUMN_TYPES, LATENCY, create_model_tables, model_table

Cursor = duckdb.DuckDBPyConnection


def read_catalog(cursor: Cursor) -> Catalog:
    """Everything the catalog tables hold, models by name. Read-only."""
    columns: dict[int, list[Column]] = {}
    for key, *values in cursor.execute('SELECT key, id, name, "column", kind, role, sensitive FROM columns ORDER BY key, id').fetchall():
        columns.setdefault(key, []).append(Column(*values))
    edges: dict[tuple[int, str], dict[str, Edges]] = {}
    for key, version, reference, text in cursor.execute("SELECT key, version, reference, edges FROM edges").fetchall():
        edges.setdefault((key, version), {})[reference] = edges_from(json.loads(text))
    versions: dict[int, list[Version]] = {}
    for key, name, registered_at, features, rows, in_sample, artifact, inferred in cursor.execute(
        "SELECT key, version, registered_at, features, reference_rows, in_sample, artifact, inferred FROM versions ORDER BY key, version"
    ).fetchall():
        versions.setdefault(key, []).append(
            Version(
                name, aware(registered_at), texts(features), edges.get((key, name), {}), rows, in_sample, artifact, texts(inferred)
            )
        )  # fmt: skip
    models = cursor.execute("SELECT key, name, task, classes, settings, sample FROM models ORDER BY name").fetchall()
    return Catalog(
        tuple(
            Model(
                key, name, task, texts(classes), tuple(columns.get(key, ())), tuple(versions.get(key, ())), settings_of(settings), sample
            )
            for key, name, task, classes, settings, sample in models
        )
    )  # fmt: skip


def find_model(cursor: Cursor, name: str) -> Model | None:
    """The model of that name as the writer sees it now, or None."""
    return next((each for each in read_catalog(cursor).models if each.name == name), None)


def add_model(
    writer: Cursor, name: str, *, task: Task | None = None, classes: Sequence[str] = (), settings: ModelSettings | None = None,
    sample: bool = False, now: datetime | None = None,
) -> int:  # fmt: skip
    """Makes a model that is not there yet, with its tables; gives its key."""
    (key,) = one(writer, "SELECT coalesce(max(key), 0) + 1 FROM models")
    writer.execute(
        "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            key,
            name,
            task,
            json.dumps(list(classes)),
            settings_text(settings or ModelSettings()),
            sample,
            naive_utc(now or datetime.now(UTC)),
        ],
    )
    keep_settings(writer, key, settings or ModelSettings(), now)
    create_model_tables(writer, key)
    return int(key)


def update_model(
    writer: Cursor, key: int, *, task: Task | None = None, classes: Sequence[str] | None = None, settings: ModelSettings | None = None,
    sample: bool | None = None, now: datetime | None = None,
) -> None:  # fmt: skip
    """Changes what is given of a model. Decisions and labels that are already counted follow only after `rollup.rebuild`."""
    if settings is not None:
        keep_settings(writer, key, settings, now)
    values = {
        "task": task,
        "classes": None if classes is None else json.dumps(list(classes)),
        "settings": None if settings is None else settings_text(settings),
        "sample": sample,
    }
    for column, value in values.items():
        if value is not None:
            writer.execute(f"UPDATE models SET {column} = ? WHERE key = ?", [value, key])


def keep_settings(writer: Cursor, key: int, settings: ModelSettings, now: datetime | None) -> None:
    """Keeps from when on settings hold, where they are others than those before (store/db/settings_history.py)."""
    last = writer.execute('SELECT settings FROM settings_kept WHERE key = ? ORDER BY "at" DESC, rowid DESC LIMIT 1', [key]).fetchone()
    if last is None or settings_of(last[0]) != settings:
        writer.execute("INSERT INTO settings_kept VALUES (?, ?, ?)", [key, naive_utc(now or datetime.now(UTC)), settings_text(settings)])


def save_version(writer: Cursor, key: int, version: Version) -> None:
    """Writes a version, in place of one with that name. Its edges are written too, in place of the old ones."""
    writer.execute("DELETE FROM versions WHERE key = ? AND version = ?", [key, version.name])
    writer.execute(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            key, version.name, None if version.registered_at is None else naive_utc(version.registered_at), json.dumps(list(version.features)),
            version.reference_rows, version.in_sample, version.artifact, json.dumps(list(version.inferred)),
        ],
    )  # fmt: skip
    save_edges(writer, key, version.name, version.edges)


def save_edges(writer: Cursor, key: int, version: str, edges: Mapping[str, Edges]) -> None:
    """Writes the edges of a version by column reference, in place of all that it had."""
    writer.execute("DELETE FROM edges WHERE key = ? AND version = ?", [key, version])
    rows = [[key, version, reference, json.dumps(asdict(each))] for reference, each in sorted(edges.items())]
    if rows:
        writer.executemany("INSERT INTO edges VALUES (?, ?, ?, ?)", rows)


def add_columns(writer: Cursor, key: int, wanted: Iterable[tuple[str, str, Kind]], sensitive: Iterable[str] = ()) -> dict[str, Column]:
    """Gives a model the columns (role, name, kind) that it has not yet, in the catalog and in its predictions table.

    sensitive: references (`feature.sex`) of new columns that fairness is judged on. Gives all asked for, by reference; kinds of those that were
    there stay as they are. In the rows that are there already a new column is null, and is counted so.
    """
    rows = writer.execute('SELECT id, name, "column", kind, role, sensitive FROM columns WHERE key = ? ORDER BY id', [key]).fetchall()
    known = {each.reference: each for each in (Column(*row) for row in rows)}
    asked, added = [], []
    for role, name, kind in wanted:
        reference = f"{role}.{name}"
        asked.append(reference)
        if reference in known:
            continue
        number = max((each.id for each in known.values()), default=0) + 1
        column = Column(number, name, f"f{number}", kind, "group" if role == "group" else "feature", reference in set(sensitive))
        writer.execute(
            "INSERT INTO columns VALUES (?, ?, ?, ?, ?, ?, ?)", [key, number, name, column.column, kind, column.role, column.sensitive]
        )
        writer.execute(f"ALTER TABLE {model_table('predictions', key)} ADD COLUMN {column.column} {COLUMN_TYPES[kind]}")
        known[reference] = column
        added.append(number)
    if added:
        writer.execute(
            f"""INSERT INTO {model_table("counts", key)}
            SELECT stream, period, 0, unnest({added}), {NULL}, 0, {UNKNOWN}, 0, arrived, n, w, w2 FROM (
                SELECT stream, (floor(period / 24) * 24)::INTEGER AS period, arrived, sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2
                FROM {model_table("counts", key)} WHERE measure = {LATENCY} AND slice = 0 GROUP BY ALL)"""
        )
    return {reference: known[reference] for reference in asked}


def set_sensitive(writer: Cursor, key: int, references: Iterable[str]) -> None:
    """Says which columns fairness is judged on: these and no others. Slices follow after `rollup.rebuild`."""
    writer.execute("UPDATE columns SET sensitive = list_contains(?, role || '.' || name) WHERE key = ?", [list(references), key])


def set_kind(writer: Cursor, key: int, column: Column, kind: Kind) -> None:
    """Changes the kind of a column: values that have no form in the new kind become null. Rollups follow after `rollup.rebuild`."""
    table, source = model_table("predictions", key), column.column
    text = f"CASE WHEN {source} = floor({source}) AND abs({source}) < 1e15 THEN {source}::BIGINT::VARCHAR ELSE {source}::VARCHAR END"
    value = text if (column.kind, kind) == ("number", "category") else source
    writer.execute(f"ALTER TABLE {table} ALTER {source} TYPE {COLUMN_TYPES[kind]} USING TRY_CAST({value} AS {COLUMN_TYPES[kind]})")
    writer.execute("UPDATE columns SET kind = ? WHERE key = ? AND id = ?", [kind, key, column.id])


def streams(cursor: Cursor, key: int) -> dict[tuple[str, str], int]:
    """Number of each (version, environment) of a model that has rows. Read-only."""
    rows = cursor.execute("SELECT version, environment, stream FROM streams WHERE key = ?", [key]).fetchall()
    return {(version, environment): stream for version, environment, stream in rows}


def stream(writer: Cursor, key: int, version: str, environment: str) -> int:
    """Number of the stream of a version in an environment, made where it is new; so is a version that nobody registered."""
    known = streams(writer, key)
    if (version, environment) in known:
        return known[version, environment]
    number = max(known.values(), default=-1) + 1
    writer.execute("INSERT INTO streams VALUES (?, ?, ?, ?)", [key, number, version, environment])
    if not one(writer, "SELECT count(*) FROM versions WHERE key = ? AND version = ?", [key, version])[0]:
        save_version(writer, key, Version(version))
    return number


def edges_from(body: dict[str, Any]) -> Edges:
    """Edges from their JSON object."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}
    return Edges(**fields)


def settings_text(settings: ModelSettings) -> str:
    """Settings as JSON."""
    return json.dumps(asdict(settings))


def settings_of(text: str | None) -> ModelSettings:
    """Settings from JSON; what is not there keeps its default."""
    body: dict[str, Any] = json.loads(text) if text else {}
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}
    return ModelSettings(**fields)


def texts(text: str | None) -> tuple[str, ...]:
    """A tuple of texts from a JSON list."""
    return tuple(json.loads(text)) if text else ()


def aware(instant: datetime | None) -> datetime | None:
    """A naive UTC instant of a table as an aware one."""
    return None if instant is None else aware_utc(instant)


def with_settings(catalog: Catalog, settings: Mapping[str, ModelSettings]) -> Catalog:
    """The catalog with other settings of some models; where the threshold is another one, decisions are made by it and not read."""

    def then(model: Model) -> Model:
        own = settings.get(model.name, model.settings)
        return replace(model, settings=own, redecided=model.task == "binary" and own.threshold != model.settings.threshold)

    return Catalog(tuple(map(then, catalog.models)))
