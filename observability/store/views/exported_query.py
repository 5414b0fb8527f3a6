"""Run a query over views in another process: the owner exports the columns that it names, and the other process runs it on these files.

Only one process may open the database. So the owner runs no SQL of the person's here: it parses the query and copies the columns that the
query names to Parquet files, without the rows that its conditions on times and texts leave out. The process that runs the query reads
nothing else.
"""

import itertools
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.view_names import quoted_identifier, view_name
from observability.store.db.results import Cursor
from observability.store.types.query_answer import ExportedQuery
from observability.store.views.early_conditions import early_conditions
from observability.store.views.model_views import AS_OF, MODEL_VIEWS
from observability.store.views.read_only_query import ATTEMPT, checked_views, error_line, limited_reading, syntax_nodes

if TYPE_CHECKING:
    import pandas as pd

    from observability.store.db.database import Database

BATCH_ROWS = 100_000
MAX_QUERY_TEXT = 200
CALL = re.compile(r'"((?:[^"]|"")+\.' + re.escape(AS_OF) + r""")"\s*\(\s*(TIMESTAMP\s*'[0-9 T:.+-]*')\s*\)""", re.IGNORECASE)
"""A call of the table function of a model, as proofs write it."""
FLAT = (
    "BIGINT",
    "INTEGER",
    "SMALLINT",
    "TINYINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "DOUBLE",
    "FLOAT",
    "BOOLEAN",
    "DATE",
    "VARCHAR",
)


def export_query_views(store: "Database", query: str, folder: Path, *, most_mb: int, seconds: float, masked: bool = False) -> ExportedQuery:
    """For each view that a query reads, write the columns that it names to Parquet files in a folder. masked: as for `checked_views`.

    Raises UsageError or NotFoundError as `run_read_only_query` does, and UsageError if the files are larger than `most_mb` together or
    take longer than `seconds`.
    """
    with store.cursor() as cursor:
        tree, statements = checked_views(cursor, query, store.catalog().models, masked=masked)
        for statement in statements.values():
            cursor.execute(statement)
        names = _names_in(tree)
        query, calls = _without_calls(query)
        sources = {name: quoted_identifier(name) for name in statements if not name.endswith(f".{AS_OF}")}
        sources |= {name: f"{quoted_identifier(name.rpartition(' ')[0])}({instant})" for name, instant in calls.items()}
        if sum(name.endswith(f".{AS_OF}") for name in statements) > len({name.rpartition(" ")[0].lower() for name in calls}):
            expected = f"\"MODEL.{AS_OF}\"(TIMESTAMP '2026-07-01')"
            raise UsageError("the time of an earlier state is written as a literal here", expected=expected)
        left, files, columns = most_mb * 1024**2, dict[str, Path](), dict[str, tuple[str, ...]]()
        with limited_reading(cursor, seconds, "reading the views took too long", "Name fewer columns than `*`"):
            for place, (name, source) in enumerate(sources.items()):
                files[name] = folder / f"view-{place}.parquet"
                select, columns[name] = _needed_rows(cursor, source, names, tree)
                left -= _export_rows(cursor, select, files[name], left)
    return ExportedQuery(query, files, columns)


def _names_in(tree: Mapping[str, Any]) -> set[str] | None:
    """Every text of a syntax tree in lower case, the names of columns among them; None if the query needs all columns of its views:
    by a star, a place (`#2`), a natural join, or a row as one value (`SELECT p FROM … p`).
    """
    nodes = list(syntax_nodes(tree))
    views = [node for node in nodes if node.get("type") in ("BASE_TABLE", "TABLE_FUNCTION")]
    rows = {str(node.get("alias") or "").lower() for node in views}
    rows |= {str(node["qualified_name"]["path"][-1]).lower() for node in views if "qualified_name" in node}
    for node in nodes:
        row = node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1 and node["column_names"][0].lower() in rows
        everything = node.get("class") in ("STAR", "POSITIONAL_REFERENCE") or node.get("type") == "SHOW_REF"
        if row or everything or node.get("ref_type") == "NATURAL":
            return None
    found = set[str]()
    pending: list[Any] = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            found.add(part.lower())
        elif isinstance(part, dict):
            pending += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            pending += part
    return found


def _without_calls(query: str) -> tuple[str, dict[str, str]]:
    """The query with each call of a model's table function replaced by a view name, and the time argument of each call by that name."""
    calls: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        name = found[1].replace('""', '"') + f" {len(calls)}"
        calls[name] = found[2]
        return quoted_identifier(name)

    return CALL.sub(named, query), calls


def _needed_rows(cursor: Cursor, source: str, names: set[str] | None, tree: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The SELECT statement for the part of a view that a query needs, and its columns: the columns that the query names (one if it names
    none), and the rows that it can use.
    """
    types = {str(name): str(kind) for name, kind, *_ in cursor.execute(f"SELECT * FROM {source} LIMIT 0").description or ()}
    kept = [name for name in types if names is None or name.lower() in names] or [*types][:1]
    conditions = early_conditions(tree, {name.lower(): kind for name, kind in types.items()})
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {', '.join(map(quoted_identifier, kept))} FROM {source}{where}", tuple(kept)


def _export_rows(cursor: Cursor, select: str, path: Path, most_bytes: int) -> int:
    """Write the rows of a statement; returns the bytes of the file. Raises UsageError if it grows beyond most_bytes."""
    import pyarrow.parquet as pq

    reader = cursor.sql(select).to_arrow_reader(BATCH_ROWS)
    with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            if path.stat().st_size > most_bytes:
                attempt = "Name fewer columns than `*`, or a version, an environment and times"
                raise UsageError("the rows that the query reads are too large", where=path.stem, attempt=attempt)
    return path.stat().st_size


def answer_exported_query(exported: ExportedQuery, folder: Path, *, most_rows: int, memory_mb: int) -> "tuple[pd.DataFrame, list[str]]":
    """The first rows of a query over exported views (one row more than `most_rows` if there are more), and the names of its columns.

    The frame's columns are numbered. Lists, objects and other nested values are JSON, large integers and decimals are floats. The query
    runs in this process, which should be confined. Raises UsageError if the query fails.
    """
    with _opened_views(exported, folder, memory_mb) as (connection, inner):
        shape = connection.sql(f"SELECT * FROM {inner} LIMIT 0")
        places = ", ".join(f"c{place}" for place in range(len(shape.columns)))
        values = ", ".join(_flat_value(f"c{place}", str(kind)) for place, kind in enumerate(shape.types))
        answer = connection.sql(f"SELECT {values} FROM {inner} AS answer({places}) LIMIT {most_rows + 1}").to_arrow_table()
        return answer.to_pandas(use_threads=False), list(shape.columns)


def exported_query_rows(
    exported: ExportedQuery, folder: Path, *, most_rows: int, memory_mb: int
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The same rows with values as Python has them, and the names of the columns. Raises UsageError if the query fails."""
    with _opened_views(exported, folder, memory_mb) as (connection, inner):
        answer = connection.sql(f"SELECT * FROM {inner} LIMIT {most_rows + 1}")
        return answer.fetchall(), list(answer.columns)


@contextmanager
def _opened_views(exported: ExportedQuery, folder: Path, memory_mb: int) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A connection with the exported views and nothing else, and the query in brackets. Raises UsageError if the query fails."""
    config: dict[str, Any] = {
        "memory_limit": f"{memory_mb}MB",
        "max_temp_directory_size": f"{memory_mb}MB",
        "temp_directory": str(folder / "spill"),
        "threads": 2,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute(f"SET allowed_directories = [{_literal(str(folder))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET TimeZone = 'UTC'")
        for name, path in exported.files.items():
            connection.execute(f"CREATE VIEW {quoted_identifier(name)} AS SELECT * FROM read_parquet({_literal(str(path))})")
        connection.execute("SET lock_configuration = true")
        try:
            yield connection, f"(\n{_without_end(exported.query)}\n)"
        except duckdb.OutOfMemoryException as error:
            attempt = "Ask for fewer rows, or aggregate them"
            raise UsageError("the query needs more memory than it may use", expected=f"at most {memory_mb} MB", attempt=attempt) from error
        except duckdb.Error as error:
            raise UsageError("the query failed", got=error_line(error), attempt=ATTEMPT) from error


def query_without_literals(query: str, names: Container[str]) -> str:
    """A query in one line without values: literals become `?`, and comments are left out. A name in double quotes becomes "?" in quotes,
    unless its lower-case form is in `names`. At most MAX_QUERY_TEXT characters.
    """
    content, words = query.encode(), list[str]()
    tokens = duckdb.tokenize(query)
    for (place, kind), (end, _) in itertools.pairwise([*tokens, (len(content), duckdb.token_type.comment)]):
        word = content[place:end].decode().strip()
        if kind in (duckdb.token_type.numeric_const, duckdb.token_type.string_const):
            words.append("?")
        elif kind != duckdb.token_type.comment:
            is_hidden = word.startswith('"') and word[1:-1].replace('""', '"').lower() not in names
            words.append('"?"' if is_hidden else word)
    return " ".join(words)[:MAX_QUERY_TEXT]


def columns_by_model(exported: ExportedQuery, models: Iterable[Model]) -> dict[str, tuple[str, ...]]:
    """The columns that an exported query reads by model, as questions name them; those of views of no model under ""."""
    owners = {view_name(model, view)[1:-1].replace('""', '"').lower(): model for model in models for view in (*MODEL_VIEWS, AS_OF)}
    found: dict[str, set[str]] = {}
    for view, columns in exported.columns.items():
        model = owners.get(view.lower()) or owners.get(view.rpartition(" ")[0].lower())
        references = {name: reference for reference, name in model.view_columns.items()} if model else {}
        found.setdefault(model.name if model else "", set()).update(references.get(name, name) for name in columns)
    return {name: tuple(sorted(columns)) for name, columns in found.items()}


def _without_end(query: str) -> str:
    """A query without its final semicolons and the comments after them, so that it can stand in brackets."""
    content = query.encode()
    for place, kind in reversed(duckdb.tokenize(query)):
        if content[place : place + 1] == b";":
            content = content[:place]
        elif kind != duckdb.token_type.comment:
            break
    return content.decode()


def _flat_value(name: str, kind: str) -> str:
    """A column as a type that a page can show: nested values as JSON, wide numbers as DOUBLE."""
    if kind in FLAT or kind.startswith("TIMESTAMP"):
        return f"{name}::TIMESTAMP AS {name}" if kind.startswith("TIMESTAMP") else name
    if kind.startswith("DECIMAL") or kind in ("HUGEINT", "UHUGEINT"):
        return f"{name}::DOUBLE AS {name}"
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
    return f"{f'to_json({name})' if nested else name}::VARCHAR AS {name}"


def _literal(text: str) -> str:
    """The text as an SQL literal in single quotes."""
    return "'" + text.replace("'", "''") + "'"
