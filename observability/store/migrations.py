"""Migrate an older database schema to the present one.

Steps are numbered. Each is run once, in order, in the transaction that opens the store. The tables of the other record kinds follow
`records.kinds.KINDS`, so a new kind or field gets its table or column at the next start.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import duckdb

from observability.core.errors import StoreBrokenError
from observability.core.time import naive_utc
from observability.core.view_names import quoted_identifier
from observability.store.db.kept_numbers import keep_numbers, kept_columns
from observability.store.db.record_tables import content_hash, kind_columns, kind_tables, schema_version
from observability.store.db.results import first_row, single_row
from observability.store.db.schema import (
    BASE_TABLES,
    DAY_OUTCOMES,
    LATE_ROUNDS,
    MODEL_TABLES,
    NOT_FINITE_STEPS,
    OUTCOMES,
    RANK_BLOCKS,
    REFERENCE_COLUMNS,
    STEP_EXTREMES,
    TAKEN_FILES,
    create_table_sql,
    model_table,
)
from observability.store.db.shared_tables import create_shared_tables, shared_table
from observability.store.rollup.noted_steps import note_not_finite_steps, note_step_extremes
from observability.store.rollup.rank_blocks import note_steps_of_ranks

Step = Callable[[duckdb.DuckDBPyConnection], object]

HASH_PROBE = "observability"
"""A text whose hash is stored. If this version of DuckDB hashes it differently, all stored hashes are recomputed."""


def _first_schema(writer: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that every store has."""
    for statement in BASE_TABLES.split(";"):
        if statement.strip():
            writer.execute(statement)


def _add_model_tables(*tables: str) -> Step:
    """A step that creates these tables for every existing model."""

    def step(writer: duckdb.DuckDBPyConnection) -> None:
        for (key,) in writer.execute("SELECT key FROM models ORDER BY key").fetchall():
            for table in tables:
                writer.execute(create_table_sql(model_table(table, key), MODEL_TABLES[table]))

    return step


def rebuild_every_rollup(writer: duckdb.DuckDBPyConnection) -> None:
    """Rebuild every rollup, because bands of sensitive numbers became slices, and replicas and devices got latencies. This takes about as
    long as loading took.
    """
    from observability.store.rollup.rollup import rebuild_rollups

    for (name,) in writer.execute("SELECT name FROM models ORDER BY key").fetchall():
        rebuild_rollups(writer, name)


def _settings_schema(writer: duckdb.DuckDBPyConnection) -> None:
    """Create the settings history and begin it with the present settings; earlier ones were not recorded."""
    writer.execute('CREATE TABLE IF NOT EXISTS settings_kept (key INTEGER NOT NULL, "at" TIMESTAMP NOT NULL, settings JSON NOT NULL)')
    known = "SELECT key FROM settings_kept"
    writer.execute(
        f"INSERT INTO settings_kept SELECT key, ?, settings FROM models WHERE key NOT IN ({known})", [naive_utc(datetime.now(UTC))]
    )


def outcomes_by_day(writer: duckdb.DuckDBPyConnection) -> None:
    """Add the daily outcomes of all rows; earlier stores kept them by hour only."""
    for (key,) in writer.execute("SELECT key FROM models ORDER BY key").fetchall():
        table = model_table("counts", key)
        writer.execute(f"DELETE FROM {table} WHERE measure = {DAY_OUTCOMES}")
        writer.execute(
            f"""INSERT INTO {table} SELECT stream, period - (period % 24 + 24) % 24 AS day, slice, {DAY_OUTCOMES}, bin, decision, label,
                status, arrived, sum(n)::BIGINT, sum(w), sum(w2) FROM {table} WHERE measure = {OUTCOMES} AND slice = 0 GROUP BY ALL"""
        )


def arrivals_by_sender(writer: duckdb.DuckDBPyConnection) -> None:
    """Count lines from services separately from lines that people loaded from files; earlier stores did not.

    Rejected lines are split exactly. All other lines count as sent if the store has loaded any segment, else as loaded from files.
    """
    if "sent" in {name for _, name, *_ in writer.execute("PRAGMA table_info('arrivals')").fetchall()}:
        return
    writer.execute("CREATE TEMP TABLE arrivals_before AS FROM arrivals")
    writer.execute("DROP TABLE arrivals")
    writer.execute(next(each for each in BASE_TABLES.split(";") if "CREATE TABLE arrivals " in each))
    writer.execute(
        """INSERT INTO arrivals
        WITH any_sent AS (SELECT count(*) > 0 AS sent FROM manifest),
        of_files AS (
            SELECT coalesce(model, '') AS model, coalesce(kind, '') AS kind, date_trunc('hour', at_loaded) AS hour, count(*) AS n
            FROM rejected WHERE segment NOT IN (SELECT segment FROM manifest) GROUP BY ALL)
        SELECT model, kind, hour, sent, sum(stored), sum(duplicates), sum(rejected) FROM (
            SELECT model, kind, hour, sent, stored, duplicates, rejected FROM arrivals_before, any_sent
            UNION ALL SELECT model, kind, hour, sent, 0, 0, -n FROM of_files, any_sent
            UNION ALL SELECT model, kind, hour, false, 0, 0, n FROM of_files)
        GROUP BY model, kind, hour, sent HAVING sum(stored) <> 0 OR sum(duplicates) <> 0 OR sum(rejected) <> 0"""
    )
    writer.execute("DROP TABLE arrivals_before")


def _number_commits(writer: duckdb.DuckDBPyConnection) -> None:
    """Create the table with the number of the last commit by scope (`Database.generations`). It shows which kept results are out of
    date.
    """
    writer.execute("CREATE TABLE IF NOT EXISTS commits (scope VARCHAR PRIMARY KEY, number BIGINT NOT NULL)")


def _note_ranks(writer: duckdb.DuckDBPyConnection) -> None:
    """Note the steps of the ranks of every run, so that the next load summarises their blocks."""
    columns = writer.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = 'steps' AND schema_name = 'main'").fetchall()
    if {"rank", "phase_ms"} <= {name for (name,) in columns}:
        note_steps_of_ranks(writer, "steps")


def _note_all_steps(note: Callable[[duckdb.DuckDBPyConnection, str], object]) -> Step:
    """Return a step that notes something about the metrics of all step records."""

    def step(writer: duckdb.DuckDBPyConnection) -> None:
        columns = writer.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = 'steps' AND schema_name = 'main'").fetchall()
        if ("metrics",) in columns:
            note(writer, "steps")

    return step


STEPS: tuple[Step, ...] = (
    _first_schema,
    _add_model_tables("attributions", "enrichment"),
    rebuild_every_rollup,
    _add_model_tables("estimates"),
    _add_model_tables("computed"),
    _settings_schema,
    outcomes_by_day,
    arrivals_by_sender,
    create_shared_tables,
    _number_commits,
    _note_ranks,
    _note_all_steps(note_not_finite_steps),
    _note_all_steps(note_step_extremes),
)
"""Step i leads to schema version i + 1."""


def migrate(writer: duckdb.DuckDBPyConnection) -> None:
    """Bring the schema up to date. Raises StoreBrokenError if it is newer than this code."""
    writer.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at TIMESTAMP NOT NULL)")
    writer.execute(
        "CREATE TABLE IF NOT EXISTS retained (key INTEGER PRIMARY KEY, rows_from TIMESTAMP NOT NULL)"
    )  # every step reads these two tables
    writer.execute("CREATE TABLE IF NOT EXISTS shared_models (key INTEGER PRIMARY KEY)")
    writer.execute(TAKEN_FILES)
    writer.execute(LATE_ROUNDS)
    writer.execute(REFERENCE_COLUMNS)
    writer.execute(NOT_FINITE_STEPS)
    writer.execute(STEP_EXTREMES)
    for statement in RANK_BLOCKS:
        writer.execute(statement)
    version = schema_version(writer)
    if version > len(STEPS):
        raise StoreBrokenError(
            "the store was written by a newer version of this software",
            got=f"schema {version}",
            expected=f"at most {len(STEPS)}",
            attempt="Update the software, or use another home",
        )
    for number, step in enumerate(STEPS[version:], start=version + 1):
        step(writer)
        writer.execute("INSERT INTO migrations VALUES (?, ?)", [number, naive_utc(datetime.now(UTC))])
    _sync_kind_tables(writer)
    _sync_hashes(writer)


def _sync_kind_tables(writer: duckdb.DuckDBPyConnection) -> None:
    """Create the missing tables and columns of record kinds. Records of a kind that got a field are hashed anew, so that a line that is
    loaded again stays a duplicate. Numbers that are kept beside the fields are computed for the existing records.
    """
    rows = writer.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'main'").fetchall()
    existing: dict[str, set[str]] = {}
    for table, column in rows:
        existing.setdefault(table, set()).add(column)
    for kind, table in kind_tables().items():
        columns, kept = kind_columns(kind), kept_columns(kind)
        if table not in existing:
            writer.execute(create_table_sql(table, columns | kept))
            continue
        missing = {column: type_name for column, type_name in (columns | kept).items() if column not in existing[table]}
        for column, type_name in missing.items():
            writer.execute(f"ALTER TABLE {table} ADD COLUMN {quoted_identifier(column)} {type_name}")
        if missing.keys() & columns.keys():
            writer.execute(f"UPDATE {table} SET content_hash = {content_hash(kind)}")
        if missing.keys() & kept.keys():
            keep_numbers(writer, kind, table)


def _sync_hashes(writer: duckdb.DuckDBPyConnection) -> None:
    """Recompute all stored hashes if this version of DuckDB hashes differently from the version that stored them."""
    (now,) = single_row(writer, "SELECT hash(?)", [HASH_PROBE])
    known = first_row(writer, "SELECT value FROM hashing")
    if known is not None and known[0] == now:
        return
    if known is not None:
        own = writer.execute("SELECT key FROM models WHERE key NOT IN (SELECT key FROM shared_models)").fetchall()
        for table in ("predictions", "labels", "attributions", "estimates", "computed"):
            for name in [shared_table(table), *(model_table(table, key) for (key,) in own)]:
                writer.execute(f"UPDATE {name} SET id_hash = hash(id)")
        for kind, table in kind_tables().items():
            writer.execute(f"UPDATE {table} SET content_hash = {content_hash(kind)}")
    writer.execute("DELETE FROM hashing")
    writer.execute("INSERT INTO hashing VALUES (?)", [now])
