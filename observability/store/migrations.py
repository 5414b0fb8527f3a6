"""Does the schema of the database fit this code, and if it is older, what has to be done?

Steps are numbered and each is run once, in order, in the transaction that opens the store. The tables of the other kinds of records follow
`record.KINDS`: a kind or a field that is new gets its table or column at the next start.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import duckdb

from observability.core.errors import StoreBrokenError
from observability.core.time import naive_utc
from observability.store.db.record_tables import content_hash, kind_columns, kind_tables, schema_version
from observability.store.db.results import first, one
from observability.store.db.schema import BASE_TABLES, DAY_OUTCOMES, MODEL_TABLES, OUTCOMES, create_table, model_table, quoted

Step = Callable[[duckdb.DuckDBPyConnection], object]

HASH_PROBE = "observability"
"""A text whose hash is kept: another version of DuckDB may hash otherwise, and then all stored hashes are computed again."""


def first_schema(writer: duckdb.DuckDBPyConnection) -> None:
    """The tables every store has."""
    for statement in BASE_TABLES.split(";"):
        if statement.strip():
            writer.execute(statement)


def attributions_schema(writer: duckdb.DuckDBPyConnection) -> None:
    """The tables of attributions, for the models that are there already."""
    for (key,) in writer.execute("SELECT key FROM models ORDER BY key").fetchall():
        for table in ("attributions", "enrichment"):
            writer.execute(create_table(model_table(table, key), MODEL_TABLES[table]))


def slices_of_bands_and_servers(writer: duckdb.DuckDBPyConnection) -> None:
    """Makes every rollup anew: bands of sensitive numbers became slices, and replicas and devices got their latencies. About as long as loading took."""
    from observability.store.rollup.rollup import rebuild

    for (name,) in writer.execute("SELECT name FROM models ORDER BY key").fetchall():
        rebuild(writer, name)


def estimates_schema(writer: duckdb.DuckDBPyConnection) -> None:
    """The table of estimated errors, for the models that are there already."""
    for (key,) in writer.execute("SELECT key FROM models ORDER BY key").fetchall():
        writer.execute(create_table(model_table("estimates", key), MODEL_TABLES["estimates"]))


def computed_schema(writer: duckdb.DuckDBPyConnection) -> None:
    """The table of what model files said about single predictions, for the models that are there already."""
    for (key,) in writer.execute("SELECT key FROM models ORDER BY key").fetchall():
        writer.execute(create_table(model_table("computed", key), MODEL_TABLES["computed"]))


def settings_schema(writer: duckdb.DuckDBPyConnection) -> None:
    """The table of settings with their times, for stores made before there was one: what held before now was not recorded."""
    writer.execute('CREATE TABLE IF NOT EXISTS settings_kept (key INTEGER NOT NULL, "at" TIMESTAMP NOT NULL, settings JSON NOT NULL)')
    known = "SELECT key FROM settings_kept"
    writer.execute(
        f"INSERT INTO settings_kept SELECT key, ?, settings FROM models WHERE key NOT IN ({known})", [naive_utc(datetime.now(UTC))]
    )


def outcomes_by_day(writer: duckdb.DuckDBPyConnection) -> None:
    """Adds the outcomes of all rows by day, which earlier stores kept by hour alone."""
    for (key,) in writer.execute("SELECT key FROM models ORDER BY key").fetchall():
        table = model_table("counts", key)
        writer.execute(f"DELETE FROM {table} WHERE measure = {DAY_OUTCOMES}")
        writer.execute(
            f"""INSERT INTO {table} SELECT stream, period - (period % 24 + 24) % 24 AS day, slice, {DAY_OUTCOMES}, bin, decision, label, status, arrived,
                sum(n)::BIGINT, sum(w), sum(w2) FROM {table} WHERE measure = {OUTCOMES} AND slice = 0 GROUP BY ALL"""
        )


STEPS: tuple[Step, ...] = (
    first_schema,
    attributions_schema,
    slices_of_bands_and_servers,
    estimates_schema,
    computed_schema,
    settings_schema,
    outcomes_by_day,
)
"""Step i leads to schema version i + 1."""


def migrate(writer: duckdb.DuckDBPyConnection) -> None:
    """Brings the schema up to date. Raises StoreBrokenError where it is newer than this code."""
    writer.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at TIMESTAMP NOT NULL)")
    version = schema_version(writer)
    if version > len(STEPS):
        raise StoreBrokenError(
            "the store was written by a newer version of this software", got=f"schema {version}", expected=f"at most {len(STEPS)}",
            attempt="Update the software, or use another home",
        )  # fmt: skip
    for number, step in enumerate(STEPS[version:], start=version + 1):
        step(writer)
        writer.execute("INSERT INTO migrations VALUES (?, ?)", [number, naive_utc(datetime.now(UTC))])
    follow_kinds(writer)
    follow_hash(writer)


def follow_kinds(writer: duckdb.DuckDBPyConnection) -> None:
    """Makes the tables and columns of the kinds that are not there yet."""
    rows = writer.execute("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'main'").fetchall()
    there: dict[str, set[str]] = {}
    for table, column in rows:
        there.setdefault(table, set()).add(column)
    for kind, table in kind_tables().items():
        columns = kind_columns(kind)
        if table not in there:
            writer.execute(create_table(table, columns))
            continue
        for column, type_name in columns.items():
            if column not in there[table]:
                writer.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(column)} {type_name}")


def follow_hash(writer: duckdb.DuckDBPyConnection) -> None:
    """Computes all stored hashes again where this DuckDB hashes otherwise than the one that stored them."""
    (now,) = one(writer, "SELECT hash(?)", [HASH_PROBE])
    known = first(writer, "SELECT value FROM hashing")
    if known is not None and known[0] == now:
        return
    if known is not None:
        for (key,) in writer.execute("SELECT key FROM models").fetchall():
            writer.execute(f"UPDATE predictions_{key} SET id_hash = hash(id)")
            writer.execute(f"UPDATE labels_{key} SET id_hash = hash(id)")
            writer.execute(f"UPDATE attributions_{key} SET id_hash = hash(id)")
            writer.execute(f"UPDATE estimates_{key} SET id_hash = hash(id)")
            writer.execute(f"UPDATE computed_{key} SET id_hash = hash(id)")
        for kind, table in kind_tables().items():
            writer.execute(f"UPDATE {table} SET content_hash = {content_hash(kind)}")
    writer.execute("DELETE FROM hashing")
    writer.execute("INSERT INTO hashing VALUES (?)", [now])
