"""What is in the store, how large and how fresh is it, what was refused, and how is a model taken out of it?"""

import json
import os
import platform
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import duckdb

from observability.core.catalog import Model
from observability.core.questions import NULL
from observability.core.time import naive_utc
from observability.core.window import EPOCH as FIRST_HOUR
from observability.core.window import HOUR, Window
from observability.store.db.catalog_store import aware, streams
from observability.store.db.database import FLOOR_BYTES, Store
from observability.store.db.record_tables import kind_columns, kind_tables, schema_version
from observability.store.db.results import one
from observability.store.db.schema import MODEL_TABLES, drop_model_tables, model_table
from observability.store.ingest import landing
from observability.store.query import attributions
from observability.store.query.source import known_streams, snapshot

if TYPE_CHECKING:
    from pandas import DataFrame

PACKAGES = ("duckdb", "streamlit", "pandas", "pyarrow", "numba")


def status(store: Store) -> dict[str, Any]:
    """The state of the store, as JSON can carry it. Read-only; sizes in bytes, instants RFC 3339 in UTC, None where unknown.

    home; database {path, bytes, schema}; disk {free_bytes, floor_bytes}; versions {package: version}; models: a list of {model, task, sample,
    versions, predictions, reference_rows, labels, first, last, last_arrived, hours_since_last, bytes}; records {kind: rows}; landing {segments,
    bytes, open, failed}; loaded {segments, last}; rejected {total, reasons: {reason: n}, last}.
    """
    cursor = store.cursor()
    try:
        now = datetime.now(UTC)
        waiting = landing.backlog(store.landing)  # first: where nothing waits, all that follows counts everything that came
        reasons = dict(cursor.execute("SELECT reason, count(*) FROM rejected GROUP BY reason ORDER BY count(*) DESC, reason").fetchall())
        segments, last_loaded = one(cursor, "SELECT count(*), max(loaded_at) FROM manifest")
        (last_rejected,) = one(cursor, "SELECT max(at_loaded) FROM rejected")
        return {
            "home": str(store.home),
            "database": {"path": str(store.path), "bytes": file_bytes(store), "schema": schema_version(cursor)},
            "disk": {"free_bytes": store.free_bytes(), "floor_bytes": FLOOR_BYTES},
            "versions": versions(),
            "models": [model_status(cursor, model, now) for model in store.catalog().models],
            "records": {kind: one(cursor, f"SELECT count(*) FROM {table}")[0] for kind, table in kind_tables().items()},
            "landing": waiting,
            "loaded": {"segments": segments, "last": stamp(last_loaded)},
            "rejected": {"total": sum(reasons.values()), "reasons": reasons, "last": stamp(last_rejected)},
        }
    finally:
        cursor.close()


def versions() -> dict[str, str | None]:
    """Python and the packages that numbers depend on, with their versions."""
    return {"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}}


def model_status(cursor: duckdb.DuckDBPyConnection, model: Model, now: datetime) -> dict[str, Any]:
    """What is stored of one model. first, last and freshness are of what was served, the reference left out."""
    references = [number for (_, environment), number in streams(cursor, model.key).items() if environment == "reference"]
    served = f"stream NOT IN ({', '.join(map(str, references))})" if references else "true"
    rows, served_rows, first, last, arrived = one(
        cursor,
        f"""SELECT count(*), count(*) FILTER ({served}), min("at") FILTER ({served}), max("at") FILTER ({served}), max(arrived) FILTER ({served})
        FROM {model_table("predictions", model.key)}""",
    )
    prefixes = [f"reference/{version.name}/" for version in model.versions]
    of_references = " OR ".join(["starts_with(id, ?)"] * len(prefixes)) or "false"
    (labels,) = one(cursor, f"SELECT count(*) FROM {model_table('labels', model.key)} WHERE NOT ({of_references})", prefixes)
    return {
        "model": model.name,
        "task": model.task,
        "sample": model.sample,
        "versions": len(model.versions),
        "predictions": served_rows,
        "reference_rows": rows - served_rows,
        "labels": labels,
        "first": stamp(first),
        "last": stamp(last),
        "last_arrived": stamp(arrived),
        "hours_since_last": None if last is None else round((naive_utc(now) - last) / HOUR, 2),
        "bytes": sum(table_bytes(cursor, model_table(table, model.key)) for table in MODEL_TABLES),
    }


def table_bytes(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    """Bytes of the blocks that a table occupies in the file; what has not been written to it yet is not counted."""
    blocks, size = one(
        cursor,
        f"""SELECT count(DISTINCT block_id) FILTER (persistent AND block_id >= 0), (SELECT block_size FROM pragma_database_size() LIMIT 1)
        FROM pragma_storage_info('{table}')""",
    )
    return int(blocks or 0) * int(size)


def file_bytes(store: Store) -> int:
    """Bytes of the database and its write-ahead log on disk."""
    total = 0
    for path in (store.path, store.path.with_name(store.path.name + ".wal")):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def installed(package: str) -> str | None:
    """The version of a package, without importing it; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def rejected(store: Store, limit: int = 100, model: str | None = None) -> "DataFrame":
    """The lines that were rejected last, newest first: at_loaded, segment, line, reason, message, kind, model, raw. Read-only."""
    cursor = store.cursor()
    try:
        only = "WHERE model = $model" if model is not None else ""
        return cursor.execute(
            f"""SELECT at_loaded, segment, line, reason, message, kind, model, raw FROM rejected {only}
            ORDER BY at_loaded DESC, segment DESC, line DESC LIMIT $limit""",
            {"limit": limit} | ({} if model is None else {"model": model}),
        ).df()
    finally:
        cursor.close()


def counters(store: Store, model: str, window: Window) -> dict[str, Any]:
    """What the loader counted about a model: {"lines", "stored", "duplicates", "rejected", "unknown_columns": {name: n}}, and
    "not_explained": {version: why its artifact failed}. Read-only.

    The lines are those that arrived in the hours of the window, by `as_of` where it is given. unknown_columns: features that predictions of the
    window's days carried although their version was registered without them, and how often. Raises NotFoundError for an unknown model.
    """
    known = store.catalog().model(model)
    end = window.end if window.as_of is None else min(window.end, window.as_of)
    with snapshot(store) as cursor:
        stored, duplicates, refused = one(
            cursor,
            """SELECT coalesce(sum(stored), 0)::BIGINT, coalesce(sum(duplicates), 0)::BIGINT, coalesce(sum(rejected), 0)::BIGINT FROM arrivals
            WHERE model = ? AND kind = 'prediction' AND hour >= ? AND hour + INTERVAL 1 HOUR <= ?""",
            [model, naive_utc(window.start - (window.start - FIRST_HOUR) % HOUR), naive_utc(whole_hour(end))],
        )
        return {
            "lines": stored + duplicates + refused,
            "stored": stored,
            "duplicates": duplicates,
            "rejected": refused,
            "unknown_columns": unknown_columns(cursor, known, known_streams(store, cursor, known.key), window),
            "not_explained": attributions.failures(cursor, known),
        }


def whole_hour(instant: datetime) -> datetime:
    """The next whole hour, or the instant itself where it is one."""
    over = (instant - FIRST_HOUR) % HOUR
    return instant if not over else instant + HOUR - over


def unknown_columns(cursor: duckdb.DuckDBPyConnection, model: Model, numbers: dict[tuple[str, str], int], window: Window) -> dict[str, int]:
    """Features that arrived and are not in the registered version, with the number of predictions that carried them. numbers: of the streams."""
    day = timedelta(days=1)
    first, last = (window.start - FIRST_HOUR) // day * 24, -((FIRST_HOUR - window.end) // day) * 24
    arrived = "" if window.as_of is None else f"AND arrived <= {(window.as_of - FIRST_HOUR) // HOUR}"
    found: dict[str, int] = {}
    for (name, environment), stream in numbers.items():
        known = model.version(name)
        if environment != window.environment or window.version not in (None, name) or known is None or not known.registered:
            continue
        others = {each.id: each.name for each in model.features() if each.name not in known.features}
        if not others:
            continue
        rows = cursor.execute(
            f"""SELECT measure, sum(n)::BIGINT FROM {model_table("counts", model.key)} WHERE stream = {stream} AND slice = 0
            AND measure IN ({", ".join(map(str, others))}) AND bin <> {NULL} AND period >= {first} AND period < {last} {arrived}
            GROUP BY measure HAVING sum(n) > 0"""
        ).fetchall()
        for measure, count in rows:
            found[others[measure]] = found.get(others[measure], 0) + count
    return found


def remove_model(store: Store, name: str) -> dict[str, Any]:
    """Removes a model and all of its records: tables, catalog, rejected lines, arrivals, runs, events, artifacts, and its lines in loaded segments.

    Gives {"model", "predictions", "labels", "records", "rejected", "artifacts"}: how many of each went. Lines that wait in landing come in
    with the next load. Raises NotFoundError where there is no such model.
    """
    model = store.catalog().model(name)
    with store.write() as writer:
        counts = {table: one(writer, f"SELECT count(*) FROM {model_table(table, model.key)}")[0] for table in ("predictions", "labels")}
        refused = deleted(writer, "DELETE FROM rejected WHERE model = ?", name)
        writer.execute("DELETE FROM arrivals WHERE model = ?", [name])
        records = deleted(writer, "DELETE FROM steps WHERE run IN (SELECT run FROM runs WHERE model = ?)", name)
        for kind, table in kind_tables().items():
            if "model" in kind_columns(kind):
                records += deleted(writer, f"DELETE FROM {table} WHERE model = ?", name)
        drop_model_tables(writer, model.key)
        for table in ("versions", "columns", "edges", "streams", "rollups", "settings_kept", "models"):
            writer.execute(f"DELETE FROM {table} WHERE key = ?", [model.key])
    with store.loading:
        forget_lines(store, name)
    return {"model": name, **counts, "records": records, "rejected": refused, "artifacts": remove_artifacts(store, model)}


def deleted(writer: duckdb.DuckDBPyConnection, statement: str, name: str) -> int:
    """Runs a DELETE; gives how many rows it took."""
    return int(one(writer, statement, [name])[0])


def remove_artifacts(store: Store, model: Model) -> int:
    """Deletes the artifacts of a model that lie in the home and that no other model names."""
    kept = {each.artifact for other in store.catalog().models for each in other.versions}
    count = 0
    for artifact in sorted({each.artifact for each in model.versions if each.artifact} - kept):
        path = (store.home / artifact).resolve()
        if path.is_relative_to(store.home.resolve()) and path.is_file():
            path.unlink()
            count += 1
    return count


def forget_lines(store: Store, name: str) -> None:
    """Writes loaded segments anew without the lines of a model, so that they cannot come back from there."""
    needle = json.dumps(name)[1:-1].encode()
    for segment in landing.plain_files(store.landing / "loaded"):
        lines = landing.read(segment.path).splitlines(keepends=True)
        kept = [line for line in lines if (needle not in line and name.encode() not in line) or not is_of(line, name)]
        if len(kept) < len(lines):
            draft = segment.path.with_suffix(".draft")
            draft.write_bytes(b"".join(kept))
            shutil.copystat(segment.path, draft)
            os.replace(draft, segment.path)


def is_of(line: bytes, name: str) -> bool:
    """Whether a line is a record of the model."""
    try:
        return bool(json.loads(line).get("model") == name)
    except (ValueError, AttributeError):
        return False


def stamp(instant: datetime | None) -> str | None:
    """A naive UTC instant as RFC 3339."""
    known = aware(instant)
    return None if known is None else known.isoformat().replace("+00:00", "Z")
