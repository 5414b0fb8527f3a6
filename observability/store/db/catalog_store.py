"""Read and write models, versions, columns, edges and streams in the catalog tables.

Every function takes a cursor. Functions that write take the cursor of `Store.write`, so that the catalog and the rows change in one
transaction. Times are UTC: aware in the catalog, naive in the tables.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

from observability.core.catalog import Catalog, Column, Edges, Kind, Model, Task, Version, natural_order
from observability.core.distinct_names import distinct_names
from observability.core.questions import NULL, UNKNOWN
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc, naive_utc
from observability.store.db.results import Cursor, single_row
from observability.store.db.schema import COLUMN_TYPES, LATENCY, create_model_tables, create_table_sql, model_table
from observability.store.db.shared_tables import (
    create_shared_views,
    give_own_tables,
    insert_sql,
    refresh_predictions_view,
    shares_tables,
)


def read_catalog(cursor: Cursor) -> Catalog:
    """All models, ordered by name, with their versions in natural order, columns and edges. Read-only."""
    return _with_names_in_sql(_read_models(cursor, None))


def reread_catalog(cursor: Cursor, known: Catalog, changed: Collection[str]) -> Catalog:
    """The catalog after a change of some models. Only the models in `changed` are read again; none of them may have been removed.
    Read-only.
    """
    if not changed:
        return known
    keys = [key for (key,) in cursor.execute("SELECT key FROM models WHERE list_contains(?, name)", [[*changed]]).fetchall()]
    read = {model.name: model for model in (_read_models(cursor, keys) if keys else ())}
    if not read:
        return known
    if read.keys() <= known.by_name.keys():  # without a new name, the names in SQL stay the same
        return Catalog(
            tuple(replace(found, name_in_sql=model.name_in_sql) if (found := read.get(model.name)) else model for model in known.models)
        )
    return _with_names_in_sql([*(model for model in known.models if model.name not in read), *read.values()])


def _with_names_in_sql(models: Iterable[Model]) -> Catalog:
    """The catalog of these models, each with its name in SQL, which depends on all names."""
    held = sorted(models, key=lambda model: model.key)
    names = distinct_names([(model.key, model.name) for model in held])
    own = [name if name != model.name else "" for model, name in zip(held, names, strict=True)]
    named = [model if name == model.name_in_sql else replace(model, name_in_sql=name) for model, name in zip(held, own, strict=True)]
    return Catalog(tuple(sorted(named, key=lambda model: model.name)))


def _read_models(cursor: Cursor, keys: Sequence[int] | None) -> list[Model]:
    """The models of these keys, or all, without their names in SQL.

    Rows are sorted and merged here: for a small catalog, DuckDB takes longer to plan a join than to read the tables.
    """

    def fetched(select: str) -> list[tuple[Any, ...]]:
        return cursor.execute(
            select if keys is None else f"{select} WHERE list_contains(?, key)", [] if keys is None else [[*keys]]
        ).fetchall()

    rows = fetched("SELECT name, key, task, classes, settings, sample FROM models")
    if not rows:
        return []
    columns: dict[int, list[Column]] = {}
    found = fetched('SELECT key, id, name, "column", kind, role, sensitive FROM columns')
    for key, *values in sorted(found, key=itemgetter(0, 1)):
        columns.setdefault(key, []).append(Column(*values))
    edges: dict[tuple[int, str], dict[str, Edges]] = {}
    for key, version, reference, text in fetched("SELECT key, version, reference, edges FROM edges"):
        edges.setdefault((key, version), {})[reference] = _edges_from_text(text)
    beside: dict[tuple[int, str], str] = {}
    for key, version, text in fetched("SELECT key, version, columns FROM reference_columns"):
        beside[key, version] = text
    versions: dict[int, list[Version]] = {}
    found = fetched("SELECT key, version, registered_at, features, reference_rows, in_sample, artifact, inferred FROM versions")
    for key, name, registered_at, features, count, in_sample, artifact, inferred in sorted(found, key=lambda row: natural_order(row[1])):
        since = None if registered_at is None else aware_utc(registered_at)
        own, others = edges.get((key, name), {}), json.loads(beside.get((key, name), "{}"))
        left_out, scores = others.get("left_out", {}), tuple(map(tuple, others.get("scores", ())))
        version = Version(name, since, _text_tuple(features), own, count, in_sample, artifact, _text_tuple(inferred), left_out, scores)
        versions.setdefault(key, []).append(version)
    marks = fetched("SELECT key, rows_from FROM (SELECT key, rows_from FROM retained UNION ALL SELECT key, NULL FROM shared_models)")
    kept = {key: start for key, start in marks if start is not None}
    shared = {key for key, start in marks if start is None}
    served: dict[int, set[str]] = {}
    for key, environment in fetched("SELECT key, environment FROM streams"):
        served.setdefault(key, set()).add(environment)
    steers = {key for key, environments in served.items() if environments - {"reference"} == {"controller"}}
    models = []
    for name, key, task, classes, text, sample in rows:
        settings, of_model = settings_from_json(text), tuple(columns.get(key, ()))
        since = aware_utc(kept[key]) if key in kept else None
        model = Model(key, name, task, _text_tuple(classes), of_model, tuple(versions.get(key, ())), settings, sample, rows_from=since)
        models.append(replace(model, shared=key in shared, steers=key in steers))
    return models


def keep_rows_from(writer: Cursor, key: int, start: datetime) -> None:
    """Note that a model's raw rows before an instant (UTC, naive) are removed. An earlier note with a later instant stays."""
    writer.execute(
        "INSERT INTO retained VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET rows_from = greatest(rows_from, excluded.rows_from)",
        [key, start],
    )


def find_model(cursor: Cursor, name: str) -> Model | None:
    """The model with this name as the open transaction sees it, or None; without its name in SQL, which depends on all models."""
    keys = [key for (key,) in cursor.execute("SELECT key FROM models WHERE name = ?", [name]).fetchall()]
    return next(iter(_read_models(cursor, keys)), None) if keys else None


def require_model(cursor: Cursor, name: str) -> Model:
    """The result of `find_model`. Raises NotFoundError with the nearest name if there is no such model."""
    return find_model(cursor, name) or read_catalog(cursor).model(name)


def add_model(
    writer: Cursor,
    name: str,
    *,
    task: Task | None = None,
    classes: Sequence[str] = (),
    settings: ModelSettings | None = None,
    sample: bool = False,
    shared: bool = False,
    now: datetime | None = None,
) -> int:
    """Create a model and its tables, or views of the shared tables; return its key."""
    settings, created = settings or ModelSettings(), naive_utc(now or datetime.now(UTC))
    (key,) = single_row(writer, "SELECT coalesce(max(key), 0) + 1 FROM models")
    values = [key, name, task, json.dumps(list(classes)), _settings_to_json(settings), sample, created]
    writer.execute("INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    record_settings(writer, key, settings, now)
    if shared:
        writer.execute("INSERT INTO shared_models VALUES (?)", [key])
        create_shared_views(writer, key)
    else:
        create_model_tables(writer, key)
    return int(key)


def add_shared_models(
    writer: Cursor, columns: Mapping[str, Sequence[tuple[str, str, Kind]]], *, sample: bool, now: datetime
) -> dict[str, int]:
    """Create models that share tables; return their keys by name. columns: for the name of each model, its columns (role, name, kind).
    Apart from its rows, a model costs only one view per table.
    """
    (first,) = single_row(writer, "SELECT coalesce(max(key), 0) + 1 FROM models")
    keys = {name: int(first) + place for place, name in enumerate(columns)}
    numbered = {
        name: [
            (number, own, f"f{number}", kind, "group" if role == "group" else "feature") for number, (role, own, kind) in enumerate(of, 1)
        ]
        for name, of in columns.items()
    }
    flat = [(keys[name], *column) for name, own in numbered.items() for column in own]
    fields = ("key", "id", "name", "column", "kind", "role")
    created, settings = naive_utc(now), _settings_to_json(ModelSettings())
    _insert_all(
        writer, "models", {"key": list(keys.values()), "name": list(keys)}, "key, name, NULL, '[]', ?, ?, ?", [settings, sample, created]
    )
    _insert_all(writer, "settings_kept", {"key": list(keys.values())}, "key, ?, ?", [created, settings])
    _insert_all(writer, "shared_models", {"key": list(keys.values())}, "key", [])
    if flat:
        values = dict(zip(fields, map(list, zip(*flat, strict=True)), strict=True))
        _insert_all(writer, "columns", values, 'key, id, name, "column", kind, role, false', [])
    for name, own in numbered.items():
        create_shared_views(writer, keys[name], [(number, column, kind) for number, _, column, kind, _ in own])
    return keys


def _insert_all(writer: Cursor, table: str, values: Mapping[str, list[Any]], picked: str, parameters: Sequence[object]) -> None:
    """Insert rows into a table of the catalog. values: lists by name, to which `picked` refers."""
    import pyarrow as pa

    writer.register("new_rows", pa.table(dict(values)))
    writer.execute(f"INSERT INTO {table} SELECT {picked} FROM new_rows", list(parameters))
    writer.unregister("new_rows")


def update_model(
    writer: Cursor,
    key: int,
    *,
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    settings: ModelSettings | None = None,
    sample: bool | None = None,
    now: datetime | None = None,
) -> None:
    """Change the given properties of a model. Stored decisions and rollups change only after `rollup.rebuild_rollups`."""
    if settings is not None:
        record_settings(writer, key, settings, now)
    values = {
        "task": task,
        "classes": None if classes is None else json.dumps(list(classes)),
        "settings": None if settings is None else _settings_to_json(settings),
        "sample": sample,
    }
    for column, value in values.items():
        if value is not None:
            writer.execute(f"UPDATE models SET {column} = ? WHERE key = ?", [value, key])


def record_settings(writer: Cursor, key: int, settings: ModelSettings, now: datetime | None) -> None:
    """Append settings to the settings history if they differ from the newest ones (store/db/settings_history.py)."""
    last = writer.execute('SELECT settings FROM settings_kept WHERE key = ? ORDER BY "at" DESC, rowid DESC LIMIT 1', [key]).fetchone()
    if last is None or settings_from_json(last[0]) != settings:
        writer.execute(
            "INSERT INTO settings_kept VALUES (?, ?, ?)", [key, naive_utc(now or datetime.now(UTC)), _settings_to_json(settings)]
        )


def save_version(writer: Cursor, key: int, version: Version) -> None:
    """Write a version, its edges and its reference columns that are not features. An existing version of that name is replaced."""
    writer.execute("DELETE FROM versions WHERE key = ? AND version = ?", [key, version.name])
    since = None if version.registered_at is None else naive_utc(version.registered_at)
    features, inferred = json.dumps(list(version.features)), json.dumps(list(version.inferred))
    values = [key, version.name, since, features, version.reference_rows, version.in_sample, version.artifact, inferred]
    writer.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    save_edges(writer, key, version.name, version.edges)
    writer.execute("DELETE FROM reference_columns WHERE key = ? AND version = ?", [key, version.name])
    if version.left_out or version.scores:
        beside = json.dumps({"left_out": dict(version.left_out), "scores": version.scores})
        writer.execute("INSERT INTO reference_columns VALUES (?, ?, ?)", [key, version.name, beside])


def save_edges(writer: Cursor, key: int, version: str, edges: Mapping[str, Edges]) -> None:
    """Replace all edges of a version. edges: by column reference."""
    writer.execute("DELETE FROM edges WHERE key = ? AND version = ?", [key, version])
    held = sorted(edges.items())
    if held:  # one statement: DuckDB plans each row of `executemany` anew
        references, bodies = [reference for reference, _ in held], [json.dumps(asdict(own)) for _, own in held]
        writer.execute(
            "INSERT INTO edges SELECT ?, ?, unnest(?::VARCHAR[]), unnest(?::VARCHAR[])::JSON", [key, version, references, bodies]
        )


def add_columns(writer: Cursor, key: int, wanted: Iterable[tuple[str, str, Kind]], sensitive: Iterable[str] = ()) -> dict[str, Column]:
    """Add the columns (role, name, kind) that a model lacks to the catalog and to its predictions table.

    sensitive: references (`feature.sex`) of new columns that are protected attributes. Returns all requested columns by reference; an
    existing column keeps its kind. Rows that are already stored have null in a new column, and the rollups count them as null.
    """
    rows = writer.execute('SELECT id, name, "column", kind, role, sensitive FROM columns WHERE key = ? ORDER BY id', [key]).fetchall()
    known = {column.reference: column for column in (Column(*row) for row in rows)}
    shared = shares_tables(writer, key)
    requested, added, protected = [], list[Column](), set(sensitive)
    last = max((column.id for column in known.values()), default=0)
    for role, name, kind in wanted:
        reference = f"{role}.{name}"
        requested.append(reference)
        if reference in known:
            continue
        number = last + len(added) + 1
        column = Column(number, name, f"f{number}", kind, "group" if role == "group" else "feature", reference in protected)
        known[reference] = column
        added.append(column)
    if added:
        facts = [[getattr(column, field) for column in added] for field in ("id", "name", "column", "kind", "role", "sensitive")]
        types = ("INTEGER", "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "BOOLEAN")
        picked = ", ".join(f"unnest(?::{type_name}[])" for type_name in types)
        writer.execute(f"INSERT INTO columns SELECT ?, {picked}", [key, *facts])
        if shared:
            refresh_predictions_view(writer, key)
        else:
            _widen_table(writer, model_table("predictions", key), {column.column: COLUMN_TYPES[column.kind] for column in added})
        missing = f"""SELECT stream, period, 0, unnest({[column.id for column in added]}), {NULL}, 0, {UNKNOWN}, 0, arrived, n, w, w2 FROM (
            SELECT stream, (floor(period / 24) * 24)::INTEGER AS period, arrived, sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2
            FROM {model_table("counts", key)} WHERE measure = {LATENCY} AND slice = 0 GROUP BY ALL)"""
        writer.execute(insert_sql("counts", key, missing, shared=shared))
    return {reference: known[reference] for reference in requested}


def _widen_table(writer: Cursor, table: str, columns: Mapping[str, str]) -> None:
    """Add columns to a table. An empty table is created again instead, because ALTER TABLE takes time in proportion to the number of
    columns for each added column.
    """
    ((held,),) = writer.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1)").fetchall()
    if held or len(columns) == 1:
        for name, type_name in columns.items():
            writer.execute(f"ALTER TABLE {table} ADD COLUMN {name} {type_name}")
        return
    before = {name: type_name for name, type_name, *_ in writer.execute(f"DESCRIBE {table}").fetchall()}
    writer.execute(f"DROP TABLE {table}")
    writer.execute(create_table_sql(table, {**before, **columns}))


def set_sensitive(writer: Cursor, key: int, references: Iterable[str]) -> None:
    """Mark exactly these columns as sensitive. Slices change only after `rollup.rebuild_rollups`."""
    writer.execute("UPDATE columns SET sensitive = list_contains(?, role || '.' || name) WHERE key = ?", [list(references), key])


def group_to_feature(writer: Cursor, model: Model, group: Column) -> None:
    """Make a sensitive group a feature as well: the column keeps its values, edges, counts and sensitivity under its name as a feature."""
    give_own_tables(writer, model.key)
    after = f"feature.{group.name}"
    writer.execute("UPDATE columns SET role = 'feature' WHERE key = ? AND id = ?", [model.key, group.id])
    writer.execute("UPDATE edges SET reference = ? WHERE key = ? AND reference = ?", [after, model.key, group.reference])
    writer.execute(f"UPDATE {model_table('slices', model.key)} SET reference = ? WHERE reference = ?", [after, group.reference])
    said = f"{group.name} arrived among the features, so it is a feature as well as a sensitive attribute."
    for version in model.versions:
        if group.reference in version.edges:
            features, inferred = json.dumps([*version.features, group.name]), json.dumps([*version.inferred, said])
            writer.execute(
                "UPDATE versions SET features = ?, inferred = ? WHERE key = ? AND version = ?",
                [features, inferred, model.key, version.name],
            )


def set_kind(writer: Cursor, key: int, column: Column, kind: Kind) -> tuple[int, int]:
    """Change the kind of a column; return how many values predictions logged in it, and how many of them could not be converted.

    Values that could not be converted count as values of another type, and stay in `extra`. Rollups change only after
    `rollup.rebuild_rollups`.
    """
    give_own_tables(writer, key)
    table, source = model_table("predictions", key), column.column
    text = f"CASE WHEN {source} = floor({source}) AND abs({source}) < 1e15 THEN {source}::BIGINT::VARCHAR ELSE {source}::VARCHAR END"
    value = text if (column.kind, kind) == ("number", "category") else source
    converted = f"TRY_CAST({value} AS {COLUMN_TYPES[kind]})"
    logged = f"""FROM {table} WHERE {source} IS NOT NULL
        AND stream NOT IN (SELECT stream FROM streams WHERE key = {key} AND environment = 'reference')"""
    values, lost = single_row(writer, f"SELECT count(*), count(*) FILTER ({converted} IS NULL) {logged}")
    if lost:
        part = "groups" if column.role == "group" else "features"
        writer.execute(
            f"""UPDATE {table} SET wrong = list_append(coalesce(wrong, []), {column.id}::USMALLINT),
            extra = json_merge_patch(coalesce(extra, '{{}}'::JSON), json_object(?, json_object(?, {source})))
            WHERE {source} IS NOT NULL AND {converted} IS NULL""",
            [part, column.name],
        )
    writer.execute(f"ALTER TABLE {table} ALTER {source} TYPE {COLUMN_TYPES[kind]} USING {converted}")
    writer.execute("UPDATE columns SET kind = ? WHERE key = ? AND id = ?", [kind, key, column.id])
    return values, lost


def stream_numbers(cursor: Cursor, key: int) -> dict[tuple[str, str], int]:
    """The number of every stream of a model, by (version, environment). Read-only."""
    rows = cursor.execute("SELECT version, environment, stream FROM streams WHERE key = ?", [key]).fetchall()
    return {(version, environment): stream for version, environment, stream in rows}


def streams_of_models(cursor: Cursor, keys: Sequence[int]) -> dict[int, dict[tuple[str, str], int]]:
    """The result of `stream_numbers` for several models, by key. Read-only."""
    found: dict[int, dict[tuple[str, str], int]] = {key: {} for key in keys}
    asked = "SELECT key, version, environment, stream FROM streams WHERE list_contains(?, key)"
    for key, version, environment, stream in cursor.execute(asked, [list(keys)]).fetchall():
        found[key][version, environment] = stream
    return found


def ensure_stream(writer: Cursor, key: int, version: str, environment: str) -> int:
    """Number of the stream of a version in an environment. Creates the stream, and an unregistered version, if they do not exist."""
    known = stream_numbers(writer, key)
    if (version, environment) in known:
        return known[version, environment]
    number = max(known.values(), default=-1) + 1
    writer.execute("INSERT INTO streams VALUES (?, ?, ?, ?)", [key, number, version, environment])
    if not single_row(writer, "SELECT count(*) FROM versions WHERE key = ? AND version = ?", [key, version])[0]:
        save_version(writer, key, Version(version))
    return number


@lru_cache(maxsize=20_000)
def _edges_from_text(text: str) -> Edges:
    """Edges from their JSON text, cached: the catalog is read after every commit, but edges change only when a version is registered."""
    return Edges(**_with_tuples(json.loads(text)))


def _settings_to_json(settings: ModelSettings) -> str:
    return json.dumps(asdict(settings))


def settings_from_json(text: str | None) -> ModelSettings:
    """Settings from JSON; missing fields have their defaults."""
    return ModelSettings(**_with_tuples(json.loads(text) if text else {}))


def _with_tuples(body: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with its lists as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}


def _text_tuple(text: str | None) -> tuple[str, ...]:
    """A tuple of texts from a JSON list."""
    return tuple(json.loads(text)) if text else ()


def catalog_with_settings(catalog: Catalog, settings: Mapping[str, ModelSettings]) -> Catalog:
    """The catalog with other settings for some models. If the threshold differs, decisions are derived from scores instead of read."""

    def changed(model: Model) -> Model:
        own = settings.get(model.name, model.settings)
        return replace(model, settings=own, redecided=model.task == "binary" and own.threshold != model.settings.threshold)

    return Catalog(tuple(map(changed, catalog.models)))
