"""Status of the store and of each model, rejected lines, load counters, and sizes."""

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import duckdb

from observability.core.catalog import Model, computed_values
from observability.core.errors import StoreBrokenError
from observability.core.formatting import plural, with_full_stop
from observability.core.questions import NULL
from observability.core.time import aware_utc, naive_utc
from observability.core.window import EPOCH as FIRST_HOUR
from observability.core.window import HOUR, Window
from observability.lake.schedule_state import source_problems, source_rows
from observability.store.db.connection import log_path
from observability.store.db.database import FLOOR_BYTES, Counted, Database
from observability.store.db.erasures import erasure_problems, erasures
from observability.store.db.expressions import sql_literal
from observability.store.db.failures import error_summary
from observability.store.db.keeping import keeping_problems, last_done
from observability.store.db.record_tables import kind_tables, schema_version
from observability.store.db.repairs import repairs
from observability.store.db.results import Cursor, single_row
from observability.store.db.schema import MODEL_TABLES, model_table
from observability.store.db.shared_tables import shared_row_counts, shared_table, table_sources
from observability.store.ingest import landing
from observability.store.query import attributions
from observability.store.query.source import MODELS_A_QUERY, counted_by_model, snapshot_cursor, snapshot_streams

if TYPE_CHECKING:
    from pandas import DataFrame

RULE = "string_split_regex(message, '; |: the ')[1]"
"""The rule that a rejected line broke: its message without the value."""
UNREADABLE = "The database cannot be read"
STATUS, BLOCKS = "status", "blocks"
"""The names of a model's counts in the status."""
SLOW_COUNT = 0.08
"""If the last count took more than this many seconds of processor time, its result may be returned for a while (`most_age` of
`storage_status`), so that a status takes about a tenth of a second.
"""
GROWN = 0.05
"""Share of its rows by which a model must grow or shrink before its blocks are counted again; counting blocks takes six times as long as
all the rest.
"""
PACKAGES = ("duckdb", "streamlit", "pandas", "pyarrow", "numba")


def storage_status(store: Database, most_age: float = 0.0) -> dict[str, Any]:
    """The state of the store, as JSON can carry it. Read-only. Sizes in bytes, instants RFC 3339 in UTC, None if unknown.

    home; database {path, bytes, schema}; disk {free_bytes, floor_bytes}; versions {package: version}; models: a list of {model, task,
    sample, versions, predictions, reference_rows, labels, first, last, last_arrived, hours_since_last, bytes}; controllers: the same of
    models that only steer a system, whose predictions are decisions; records {kind: rows}; landing {segments, bytes, open, failed}; waiting
    {at, seconds} of the oldest published segment; set_aside: the failed segments with their reasons; loaded {segments, last}; erasures
    {subjects, last}; sources: rows as `source_rows` of lake/schedule_state.py gives them. keeping {backup, verified_restore, retention,
    night}: the last run of each, with its time (at) and the hours since then (hours), None if there was none; rejected {total, reasons:
    {reason: n}, last}; repairs: the repairs of the store, each with what was damaged and what may be missing; problems: sentences that a
    person should know. If the database or landing cannot be read, one of the problems says why, and the fields that come from it are empty
    or None. counted_at: when the counts were made.

    most_age: with 0, everything is counted now. With more seconds, the last counts of the database are returned if nothing was committed
    since, or if they are younger than most_age and records wait or the last count took longer than SLOW_COUNT. Otherwise only models that
    changed are counted again, even if the last count is of an earlier process (bytes: see `_model_bytes`).
    """
    unread: str | None = None
    body: dict[str, Any] = {
        "home": str(store.home),
        "database": {"path": str(store.path), "bytes": _file_bytes(store), "schema": None},
        "disk": {"free_bytes": store.free_bytes(), "floor_bytes": FLOOR_BYTES},
        "versions": package_versions(),
        "models": [],
        "controllers": [],
        "records": {},
        "landing": {"segments": None, "bytes": None, "open": None, "failed": None},
        "waiting": {"at": None, "seconds": None},
        "set_aside": [],
        "loaded": {"segments": None, "last": None},
        "rejected": {"total": None, "reasons": {}, "last": None},
        "repairs": repairs(store.home),
        "erasures": {"subjects": None, "last": None},
        "keeping": _keeping_status(store),
        "sources": [],
        "problems": [],
        "counted_at": None,
    }
    with suppress(StoreBrokenError):  # told by `storage_problems`
        erased = erasures(store.home)
        body["erasures"] = {"subjects": len(erased), "last": max((erasure.at for erasure in erased), default=None)}
    with suppress(OSError):  # read first, so that with an empty backlog all later counts are complete; `storage_problems` reports a failure
        body["landing"] = landing.landing_backlog(store.landing)
        body["waiting"] = landing.oldest_waiting(store.landing)
        body["set_aside"] = landing.segments_set_aside(store.landing)
    try:
        waiting = bool(body["landing"]["segments"] or body["landing"]["open"])
        counts = _counts_of_database(store, most_age, waiting=waiting)
        aged = {
            name: [model | {"hours_since_last": _hours_since(model["last"])} for model in counts[name]]
            for name in ("models", "controllers")
        }
        sources = source_rows(store.home, counts["sources"])
        body |= counts | {"database": body["database"] | counts["database"], **aged, "sources": sources}
    except (duckdb.Error, StoreBrokenError) as error:
        unread = f"{UNREADABLE}: {error_summary(error)}."
    told = storage_problems(store)
    body["problems"] = told if unread is None or (told[:1] and told[0].startswith(UNREADABLE)) else [unread, *told]
    return body


def _counts_of_database(store: Database, most_age: float, *, waiting: bool) -> dict[str, Any]:
    """The part of the status that is read from the database. With a most_age above 0, the last counts are returned again in two cases:
    nothing was committed since; or they are younger than most_age and cover exactly the present models, and records wait or the last count
    took longer than SLOW_COUNT.
    """
    generation, held = store.generation, store.counted
    if held is not None and most_age:
        told = {model["model"] for name in ("models", "controllers") for model in held.counts[name]}
        young = time.monotonic() - held.at < most_age and told == {model.name for model in store.catalog().models}
        if held.generation == generation or (young and (waiting or held.seconds > SLOW_COUNT)):
            return held.counts
    start = time.thread_time()
    counts = _database_status(store, again=not most_age)
    store.counted = Counted(generation, time.monotonic(), time.thread_time() - start, counts)
    if store.counted.seconds > SLOW_COUNT:  # saved now, so that the next process has the counts even if this one is killed
        store.keep_new_counts()
    return counts


def storage_problems(store: Database) -> list[str]:
    """Problems as sentences: a database that does not answer, repairs that nobody has seen, segments that were set aside, too little
    space. Reads no more of the database than `/readyz`.
    """
    found = []
    try:
        store.require_readable()
    except StoreBrokenError as error:
        found.append(f"{UNREADABLE}: {error}")
    found += [f"{entry['what']} May be missing: {entry['missing']}" for entry in repairs(store.home) if not entry.get("seen_at")]
    aside = []
    try:
        aside = landing.segments_set_aside(store.landing)
        landing.landing_backlog(store.landing)
    except OSError as error:
        found.append(f"The landing folder cannot be read: {error_summary(error)}")
    if aside:
        reasons = sorted({str(segment["reason"]) for segment in aside if segment["reason"]})
        why = f" ({'; '.join(reasons[:3])})" if reasons else ""
        found.append(
            f"{plural(len(aside), 'segment')} could not be loaded, set aside in landing/failed{why}. "
            "Retry on the page Store, or run: observability retry"
        )
    if (free := store.free_bytes()) < FLOOR_BYTES:
        found.append(
            f"The disk has {free // 2**20} MB free. Nothing is loaded below {FLOOR_BYTES // 2**20} MB; records wait in landing. "
            "Free some space"
        )
    found += erasure_problems(store.home) + keeping_problems(store.home) + source_problems(store.home)
    return [with_full_stop(sentence) for sentence in found]


def _database_status(store: Database, *, again: bool) -> dict[str, Any]:
    """The parts of the status that are read from the database. again: also count models that did not change."""
    if again:
        store.counted_models = {key: held for key, held in store.counted_models.items() if key[0] not in (STATUS, BLOCKS)}
    with store.cursor() as cursor:
        now = datetime.now(UTC)
        reasons = dict(cursor.execute("SELECT reason, count(*) FROM rejected GROUP BY reason ORDER BY count(*) DESC, reason").fetchall())
        models = store.catalog().models
        counted = counted_by_model(store, STATUS, models, _model_statuses)
        sizes = _model_bytes(store, cursor, models, counted)
        counted = {name: {**status, "bytes": sizes[name]} for name, status in counted.items()}
        segments, last_loaded = single_row(cursor, "SELECT count(*), max(loaded_at) FROM manifest")
        (last_rejected,) = single_row(cursor, "SELECT max(at_loaded) FROM rejected")
        return {
            "database": {"schema": schema_version(cursor)},
            "counted_at": _utc_text(naive_utc(now)),
            "models": [counted[model.name] for model in models if not model.steers],
            "controllers": [counted[model.name] for model in models if model.steers],
            "records": {kind: single_row(cursor, f"SELECT count(*) FROM {table}")[0] for kind, table in kind_tables().items()},
            "loaded": {"segments": segments, "last": _utc_text(last_loaded)},
            "rejected": {"total": sum(reasons.values()), "reasons": reasons, "last": _utc_text(last_rejected)},
            "sources": _taken_sources(cursor),
        }


def _taken_sources(cursor: Cursor) -> list[dict[str, Any]]:
    """How much of each source was loaded, by the kind, model and version for which it was loaded."""
    rows = cursor.execute(
        """SELECT source, kind, model, version, count(*) FILTER (done), sum(lines)::BIGINT, sum(stored)::BIGINT, sum(duplicates)::BIGINT,
            sum(rejected)::BIGINT, max(taken_at) FROM taken_files GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    names = ("address", "kind", "model", "version", "files", "lines", "stored", "duplicates", "rejected")
    return [{**dict(zip(names, row, strict=False)), "last": _utc_text(row[-1])} for row in rows]


def _keeping_status(store: Database) -> dict[str, Any]:
    """The last backup, verified restore, retention and night, each with its age in hours; None if there was none."""
    done, now = last_done(store.home), datetime.now(UTC)
    return {
        name: None
        if name not in done
        else {**done[name], "hours": round((now - datetime.fromisoformat(done[name]["at"])).total_seconds() / 3600, 1)}
        for name in ("backup", "verified_restore", "retention", "night")
    }


def _hours_since(instant: str | None) -> float | None:
    """Hours since an instant (RFC 3339, UTC)."""
    return None if instant is None else round((datetime.now(UTC) - datetime.fromisoformat(instant)) / HOUR, 2)


@lru_cache(maxsize=1)
def package_versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{name: _installed_version(name) for name in PACKAGES}}


def _model_statuses(cursor: duckdb.DuckDBPyConnection, models: Sequence[Model]) -> dict[str, dict[str, Any]]:
    """Status of models, by name, without their bytes. first, last and last_arrived leave out the reference rows."""
    rows, labels = _stored_rows(cursor, models), _stored_labels(cursor, models)
    found = {}
    for model in models:
        stored, served, first, last, arrived = rows.get(model.key, (0, 0, None, None, None))
        found[model.name] = {
            "model": model.name,
            "task": model.task,
            "sample": model.sample,
            "versions": len(model.versions),
            "predictions": served,
            "reference_rows": stored - served,
            "labels": labels.get(model.key, (0,))[0],
            "first": _utc_text(first),
            "last": _utc_text(last),
            "last_arrived": _utc_text(arrived),
        }
    return found


def _model_bytes(store: Database, cursor: Cursor, models: Sequence[Model], counted: Mapping[str, dict[str, Any]]) -> dict[str, int]:
    """Bytes of the blocks of each model in the database file, by name. counted: the status of each.

    Blocks are counted again in five cases: the model is new; it has GROWN; values computed from its rows changed; its tables are no longer
    shared; or rows that were in the write-ahead log at the last count have since been written to the file (this causes only one new count).
    Models that share tables are counted together.
    """
    whole, written = not log_path(store.path).exists(), store.path.stat().st_mtime_ns
    rows = {name: status["predictions"] + status["reference_rows"] + status["labels"] for name, status in counted.items()}
    basis = {model.name: [model.shared, store.generations.get(computed_values(model.name), 0)] for model in models}
    known = {model.name: held for model in models if (held := store.counted_models.get((BLOCKS, model.name)))}

    def now_in_file(name: str) -> bool:
        """Whether all rows of a model are in the file: there is no log, or the file was written after the model's last commit."""
        return whole or (name in known and known[name][0] == store.model_commit(name) and known[name][1]["written"] != written)

    def outdated(model: Model) -> bool:
        if model.name not in known:
            return True
        then = known[model.name][1]
        grown = abs(rows[model.name] - then["rows"]) > GROWN * then["rows"]
        return grown or then["basis"] != basis[model.name] or (not then["complete"] and now_in_file(model.name))

    own = [model for model in models if not model.shared and outdated(model)]
    found: dict[str, int] = {}
    if own:
        (size,) = single_row(cursor, "SELECT block_size FROM pragma_database_size() LIMIT 1")
        for first in range(0, len(own), MODELS_A_QUERY):
            blocks = _figures_by_key(cursor, [_blocks_sql(model) for model in own[first : first + MODELS_A_QUERY]])
            found |= {model.name: int(blocks[model.key][0] or 0) * int(size) for model in own if model.key in blocks}
    if any(model.shared and outdated(model) for model in models):
        shared = _shared_bytes(cursor)
        found |= {model.name: shared.get(model.key, 0) for model in models if model.shared}
    for name, in_file in found.items():
        about = {"rows": rows[name], "bytes": in_file, "complete": now_in_file(name), "written": written, "basis": basis[name]}
        store.counted_models |= {(BLOCKS, name): (store.model_commit(name), about)}
    return {model.name: found[model.name] if model.name in found else known[model.name][1]["bytes"] for model in models}


def _figures_by_key(cursor: duckdb.DuckDBPyConnection, queries: Sequence[str]) -> dict[int, tuple[Any, ...]]:
    """The joined results of queries that select a key and figures, by key."""
    rows = cursor.execute(" UNION ALL ".join(queries)).fetchall() if queries else []
    return {key: tuple(figures) for key, *figures in rows}


def _stored_rows(cursor: duckdb.DuckDBPyConnection, models: Sequence[Model]) -> dict[int, tuple[Any, ...]]:
    """By key of each model with rows: number of rows, number of served rows, and first time, last time and newest arrival of the served
    rows.
    """
    stored = " UNION ALL ".join(
        f'SELECT key, stream, "at", arrived FROM {source}'
        for source in table_sources(cursor, "predictions", [model.key for model in models])
    )
    if not stored:
        return {}
    served = "FILTER (environment IS DISTINCT FROM 'reference')"
    return _figures_by_key(
        cursor,
        [
            f"""SELECT key, sum(n)::BIGINT, coalesce(sum(n) {served}, 0)::BIGINT, min(low) {served}, max(high) {served},
            max(newest) {served} FROM (SELECT key, stream, count(*) AS n, min("at") AS low, max("at") AS high, max(arrived) AS newest
            FROM ({stored}) GROUP BY key, stream) LEFT JOIN streams USING (key, stream) GROUP BY key"""
        ],
    )


def _stored_labels(cursor: duckdb.DuckDBPyConnection, models: Sequence[Model]) -> dict[int, tuple[Any, ...]]:
    """The number of labels that are not of references, by the key of a model that has any. Models that share tables have no reference."""
    versions = {model.key: () if model.shared else model.versions for model in models}
    queries = []
    for source, keys in table_sources(cursor, "labels", list(versions)).items():
        prefixes = [sql_literal(f"reference/{version.name}/") for version in versions[keys[0]]]
        of_references = " OR ".join(f"starts_with(id, {prefix})" for prefix in prefixes) or "false"
        queries.append(f"SELECT key FROM {source} WHERE NOT ({of_references})")
    return _figures_by_key(cursor, [f"SELECT key, count(*) FROM ({' UNION ALL '.join(queries)}) GROUP BY key"] if queries else [])


def _blocks_sql(model: Model) -> str:
    """The number of blocks of a model's tables in the database file. Rows that are not yet written to it are not counted."""
    parts = [
        f"SELECT {place} AS place, block_id, persistent FROM pragma_storage_info('{model_table(table, model.key)}')"
        for place, table in enumerate(MODEL_TABLES)
    ]
    return f"""SELECT {model.key}, count(DISTINCT (place, block_id)) FILTER (persistent AND block_id >= 0)
        FROM ({" UNION ALL ".join(parts)})"""


def _shared_bytes(cursor: duckdb.DuckDBPyConnection) -> dict[int, int]:
    """Bytes of each model in the shared tables, by its key: the bytes of these tables, divided in proportion to rows."""
    rows, size = shared_row_counts(cursor), sum(table_bytes(cursor, shared_table(table)) for table in MODEL_TABLES)
    return {key: round(size * count / sum(rows.values())) for key, count in rows.items()}


def table_bytes(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    """Bytes of the blocks of a table in the database file. Rows that are not yet written to it are not counted."""
    blocks, size = single_row(
        cursor,
        f"""SELECT count(DISTINCT block_id) FILTER (persistent AND block_id >= 0), (SELECT block_size FROM pragma_database_size() LIMIT 1)
        FROM pragma_storage_info('{table}')""",
    )
    return int(blocks or 0) * int(size)


def _file_bytes(store: Database) -> int:
    """Bytes of the database and its write-ahead log on disk."""
    total = 0
    for path in (store.path, store.path.with_name(store.path.name + ".wal")):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _installed_version(package: str) -> str | None:
    """The version of a package, without importing it; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def rejected_lines(store: Database, limit: int = 100, model: str | None = None) -> "DataFrame":
    """The lines that were rejected last, newest first: at_loaded, segment, line, reason, message, kind, model, raw. Read-only."""
    with store.cursor() as cursor:
        only = "WHERE model = $model" if model is not None else ""
        return cursor.execute(
            f"""SELECT at_loaded, segment, line, reason, message, kind, model, raw FROM rejected {only}
            ORDER BY at_loaded DESC, segment DESC, line DESC LIMIT $limit""",
            {"limit": limit} | ({} if model is None else {"model": model}),
        ).df()


def load_counters(store: Database, model: str, window: Window) -> dict[str, Any]:
    """The counts of the loader about a model. Read-only. Raises NotFoundError for an unknown model.

    Returns {"lines", "stored", "duplicates", "rejected", "duplicate_hours", "rejected_hours", "rules": {rule: n}, "unknown_columns": {name:
    n}, "not_explained": {version: why its artifact failed}}. The lines are those that services sent and that arrived in the hours of the
    window, and by `as_of` if it is given. Lines that a person loaded from a file do not count, because the load itself reports them.
    duplicate_hours, rejected_hours: numbers of hours in which such lines arrived. rules: the rules that the rejected lines broke, by
    frequency. unknown_columns: features that the registered version does not have but that its predictions on the days of the window carry,
    with the number of such predictions.
    """
    known = store.catalog().model(model)
    end = window.end if window.as_of is None else min(window.end, window.as_of)
    with snapshot_cursor(store) as cursor:
        hours = [model, naive_utc(window.start - (window.start - FIRST_HOUR) % HOUR), naive_utc(_next_whole_hour(end))]
        stored, duplicates, refused, *in_hours = single_row(
            cursor,
            """SELECT coalesce(sum(stored), 0)::BIGINT, coalesce(sum(duplicates), 0)::BIGINT, coalesce(sum(rejected), 0)::BIGINT,
                count(*) FILTER (duplicates > 0), count(*) FILTER (rejected > 0)
            FROM arrivals WHERE sent AND model = ? AND kind = 'prediction' AND hour >= ? AND hour + INTERVAL 1 HOUR <= ?""",
            hours,
        )
        broken = cursor.execute(
            f"""SELECT {RULE} AS rule, count(*) AS n FROM rejected WHERE model = ? AND kind = 'prediction' AND at_loaded >= ?
                AND at_loaded < ? AND segment IN (SELECT segment FROM manifest) GROUP BY rule ORDER BY n DESC, rule""",
            hours,
        ).fetchall()
        return {
            "lines": stored + duplicates + refused,
            "stored": stored,
            "duplicates": duplicates,
            "rejected": refused,
            "duplicate_hours": in_hours[0],
            "rejected_hours": in_hours[1],
            "rules": dict(broken),
            "unknown_columns": _unregistered_columns(cursor, known, snapshot_streams(store, cursor, known.key), window),
            "not_explained": attributions.explanation_failures(cursor, known),
        }


def _next_whole_hour(instant: datetime) -> datetime:
    """The instant rounded up to a whole hour."""
    over = (instant - FIRST_HOUR) % HOUR
    return instant if not over else instant + HOUR - over


def _unregistered_columns(
    cursor: duckdb.DuckDBPyConnection, model: Model, numbers: dict[tuple[str, str], int], window: Window
) -> dict[str, int]:
    """Features that arrived but are not in the registered version, with the number of predictions that carried them."""
    day = timedelta(days=1)
    first, last = (window.start - FIRST_HOUR) // day * 24, -((FIRST_HOUR - window.end) // day) * 24
    arrived = "" if window.as_of is None else f"AND arrived <= {(window.as_of - FIRST_HOUR) // HOUR}"
    found: dict[str, int] = {}
    for (name, environment), stream in numbers.items():
        known = model.version(name)
        if environment != window.environment or window.version not in (None, name) or known is None or not known.registered:
            continue
        expected = {*known.features, *(column.name for column in model.columns if column.role == "group" and column.sensitive)}
        others = {feature.id: feature.name for feature in model.features() if feature.name not in expected}
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


def _utc_text(instant: datetime | None) -> str | None:
    """A naive UTC instant as RFC 3339."""
    return None if instant is None else aware_utc(instant).isoformat().replace("+00:00", "Z")
