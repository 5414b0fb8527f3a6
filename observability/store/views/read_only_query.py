"""Run an SQL query that a person wrote over the documented views: one SELECT, read-only, without files, with limits.

The query is parsed before it is run. It may name the views, its own common table expressions and a few table functions, and nothing else,
so that no file, setting or table is in reach; the connection opens no file and no network in any case (store/db/connection.py).
The views are temporary: they are made on the query's own connection, for the models that it names.
"""

import difflib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from observability.core.catalog import Model
from observability.core.distinct_names import distinct_names
from observability.core.errors import ForbiddenError, NotFoundError, StoreBrokenError, UsageError
from observability.core.view_names import quoted_identifier, view_name
from observability.store.db.record_tables import kind_tables
from observability.store.db.results import Cursor
from observability.store.types.query_answer import QueryAnswer
from observability.store.views.model_views import AS_OF, MODEL_VIEWS, masked_view_columns, model_view_sql, predictions_sql
from observability.store.views.store_views import masked_record_columns, store_view_sql, view_columns_sql

if TYPE_CHECKING:
    from observability.store.db.database import Database

ViewStatements = dict[str, Callable[[], str]]
TABLE_FUNCTIONS = ("range", "generate_series", "unnest")
"""Table functions that a query may call; others read files, settings or other queries."""
FORBIDDEN_FUNCTIONS = ("current_setting", "getvariable", "nextval", "pg_sleep", "sleep_ms", "write_log")
STORED = "SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND NOT temporary"
SIMPLE_NAME = re.compile(r"(?!duckdb_|pg_|sqlite_)[A-Za-z_][A-Za-z0-9_]*")
"""Names of common table expressions: none of them is a file or a table of the system."""
WORD = re.compile(rb"[A-Za-z_]+")
MAX_QUOTED = 20
"""Maximum number of names that are put in double quotes, one after the other, to find the correct form of a query that cannot be read."""
SPILL = "512MB"
"""Memory for sorts and hash tables of one query; beyond it DuckDB uses the disk."""
ATTEMPT = "`SELECT * FROM view_columns` lists the views and their columns"


def run_read_only_query(store: "Database", query: str, *, most_rows: int, seconds: float, masked: bool = False) -> QueryAnswer:
    """The first `most_rows` rows of a query over the views, from one state of the store. masked: over views without masked columns.

    Raises UsageError if the query is not one SELECT, is wrong, or takes longer than `seconds`, NotFoundError if it names a view that
    does not exist.
    """
    with store.cursor() as cursor:
        made = checked_views(cursor, query, store.catalog().models, masked=masked)[1]
        for statement in made.values():
            cursor.execute(statement)
        cursor.execute(f"SET operator_memory_limit = '{SPILL}'")
        with limited_reading(cursor, seconds, "the query took too long", "Ask for fewer rows: name a version, an environment and times"):
            found = cursor.execute(query)
            names = distinct_names(enumerate((column[0] for column in found.description or ()), 1))
            rows = found.fetchmany(most_rows + 1)
    return QueryAnswer(tuple(names), rows[:most_rows], len(rows) > most_rows)


@contextmanager
def limited_reading(cursor: Cursor, seconds: float, late: str, attempt: str) -> Iterator[None]:
    """Run the body in one read-only transaction, for at most `seconds`.

    late, attempt: texts of the error that is raised after that time. Raises UsageError after that time, or if a query or a file fails, and
    StoreBrokenError if the database fails.
    """
    is_late = threading.Event()

    def stop() -> None:
        is_late.set()
        cursor.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        yield
    except duckdb.FatalException as error:
        raise StoreBrokenError("the database failed", got=error_line(error), attempt="Run the query again") from error
    except (duckdb.Error, OSError) as error:
        if is_late.is_set():
            raise UsageError(late, expected=f"at most {seconds:g} seconds", attempt=attempt) from error
        raise UsageError("the query failed", got=error_line(error), attempt=ATTEMPT) from error
    finally:
        timer.cancel()
        timer.join()
        with suppress(duckdb.Error):
            cursor.execute("ROLLBACK")


def checked_views(cursor: Cursor, query: str, models: tuple[Model, ...], *, masked: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """The syntax tree of a query, and the statement that makes each view that it names. masked: the views lack the masked columns.

    Raises UsageError if it is not one SELECT over the views, NotFoundError if it names a view that does not exist, ForbiddenError
    if it names a masked column.
    """
    tree = _parsed_query(cursor, query)
    known = _view_statements(models, masked=masked)
    _check_common_tables(cursor, tree, known)
    needed = _needed_views(tree, known)
    if masked:
        _refuse_masked_columns(tree, needed, models)
    return tree, needed


def _refuse_masked_columns(tree: dict[str, Any], needed: dict[str, str], models: tuple[Model, ...]) -> None:
    """Raise ForbiddenError if a query names a masked column of its views. The views lack the column in any case; this error gives the
    reason.
    """
    hidden: dict[str, str] = {}
    for model in models:
        if any(_bare_name(model, view).lower() in needed for view in ("predictions", "labels", AS_OF)):
            hidden |= {name.lower(): name for name in masked_view_columns(model)}
    for kind, table in kind_tables().items():
        if table in needed:
            hidden |= {name: name for name in masked_record_columns(kind)}
    for node in syntax_nodes(tree):
        named = node.get("column_names") if node.get("class") == "COLUMN_REF" else None
        if found := next((name for name in named or () if str(name).lower() in hidden), None):
            attempt = "Leave it out, or ask an administrator"
            raise ForbiddenError(f"the column {hidden[str(found).lower()]!r} is masked", expected="administrator", attempt=attempt)


def _parsed_query(cursor: Cursor, query: str) -> dict[str, Any]:
    """The syntax tree of a query. Raises UsageError if it is not one SELECT."""
    answer: dict[str, Any] = json.loads(cursor.execute("SELECT json_serialize_sql($query)", {"query": query}).fetchall()[0][0])
    expected = "one SELECT statement over the views"
    if answer["error"] and answer.get("error_type") == "parser":
        attempt = _keyword_advice(cursor, query) or ATTEMPT
        raise UsageError("the query cannot be read", got=error_line(answer["error_message"]), expected=expected, attempt=attempt)
    if answer["error"] or len(answer["statements"]) != 1:
        got = "another statement" if answer["error"] else f"{len(answer['statements'])} statements"
        raise UsageError("only one SELECT can be run", got=got, expected=expected, attempt=ATTEMPT)
    tree: dict[str, Any] = answer["statements"][0]
    return tree


def _keyword_advice(cursor: Cursor, query: str) -> str | None:
    """Advice for a query that cannot be read because its column names are SQL keywords: the query with these names in double quotes. None
    if that is not the reason.
    """
    reserved = f"""SELECT DISTINCT "column" FROM ({view_columns_sql()}) JOIN duckdb_keywords() ON lower("column") = keyword_name
        WHERE keyword_category IN ('reserved', 'type_function')"""
    columns = {name for (name,) in cursor.execute(reserved).fetchall()}
    if len(re.findall(r"\bfrom\b", query, re.IGNORECASE)) < 2:
        columns -= {"from"}
    quoted, written = set[str](), query
    for _ in range(MAX_QUOTED):
        answer = json.loads(cursor.execute("SELECT json_serialize_sql($query)", {"query": written}).fetchall()[0][0])
        if not answer["error"] or answer.get("error_type") != "parser":
            names = ", ".join(map(quoted_identifier, sorted(quoted)))
            return f"A column whose name is an SQL keyword needs double quotes ({names}): {written}"
        content, failed = written.encode(), int(answer.get("position") or 0)
        words = [place for place, _ in duckdb.tokenize(written) if place <= failed][-2:]
        found = [(place, match[0].decode()) for place in words if (match := WORD.match(content, place))]
        culprit = next(((place, word) for place, word in found if word.lower() in columns), None)
        if culprit is None:
            return None
        place, word = culprit
        quoted.add(word.lower())
        written = (content[:place] + quoted_identifier(word).encode() + content[place + len(word) :]).decode()
    return None


def _view_statements(models: tuple[Model, ...], *, masked: bool) -> ViewStatements:
    """Functions that return the SQL statement that makes a view or table function, by its name in lower case. masked: without masked
    columns.
    """
    made: ViewStatements = {}
    for name, sql in store_view_sql(masked=masked).items():
        made[name] = partial(_view_statement, quoted_identifier(name), partial(str, sql))
    made["view_columns"] = partial(_view_statement, "view_columns", view_columns_sql)
    for model in models:
        hidden = masked_view_columns(model) if masked else frozenset[str]()
        for view in MODEL_VIEWS:
            select = partial(model_view_sql, model, view, hidden)
            made[_bare_name(model, view).lower()] = partial(_view_statement, view_name(model, view), select)
        made[_bare_name(model, AS_OF).lower()] = partial(_as_of_statement, model, hidden)
    return made


def _view_statement(name: str, select: Callable[[], str]) -> str:
    """The statement that makes a view."""
    return f"CREATE TEMP VIEW {name} AS {select()}"


def _as_of_statement(model: Model, left_out: frozenset[str]) -> str:
    """The statement that makes the table function of a model."""
    return f"CREATE TEMP MACRO {view_name(model, AS_OF)}(until) AS TABLE {predictions_sql(model, 'until', left_out=left_out)}"


def _bare_name(model: Model, view: str) -> str:
    """The name of a view of a model without its quotes."""
    return view_name(model, view)[1:-1].replace('""', '"')


def syntax_nodes(part: object) -> Iterator[dict[str, Any]]:
    """Every object of a syntax tree."""
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from syntax_nodes(value)
    elif isinstance(part, list):
        for value in part:
            yield from syntax_nodes(value)


def _common_tables(tree: dict[str, Any]) -> set[str]:
    """Names of the common table expressions of a query, in lower case."""
    maps = (node["cte_map"]["map"] for node in syntax_nodes(tree) if isinstance(node.get("cte_map"), dict))
    return {entry["key"].lower() for entries in maps for entry in entries}


def _check_common_tables(cursor: Cursor, tree: dict[str, Any], views: ViewStatements) -> None:
    """Raise UsageError if a common table expression has the name of something that a query may not read."""
    if not (own := _common_tables(tree)):
        return
    tables = {name.lower() for (name,) in cursor.execute(STORED).fetchall()} - set(views)
    for name in sorted(own):
        if name in tables or not SIMPLE_NAME.fullmatch(name):
            expected = "letters, digits and underscores, and no table's name"
            raise UsageError("a common table expression cannot have this name", got=repr(name), expected=expected)


def _needed_views(tree: dict[str, Any], known: ViewStatements) -> dict[str, str]:
    """Statements that make the views of a query, by the view's name in lower case.

    Raises NotFoundError or UsageError if the query names anything else.
    """
    own, needed = _common_tables(tree), dict[str, str]()
    for node in syntax_nodes(tree):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            path = node["qualified_name"]["path"]
            name = path[-1].lower()
            if len(path) > 1 or (name not in known and name not in own) or name.endswith(f".{AS_OF}"):
                raise _unknown_view(path[0] if len(path) == 1 else ".".join(f'"{each}"' for each in path), known)
            if name in known:
                needed[name] = known[name]()
        elif kind == "TABLE_FUNCTION":
            path = node["function"]["qualified_name"]["path"]
            name = path[-1].lower()
            if len(path) == 1 and name.endswith(f".{AS_OF}") and name in known:
                needed[name] = known[name]()
            elif path not in [[each] for each in TABLE_FUNCTIONS]:
                raise UsageError(f"the table function {'.'.join(path)!r} is not available", expected=", ".join(TABLE_FUNCTIONS))
        elif kind == "SHOW_REF" and not node.get("query"):
            raise UsageError("this statement cannot be run", expected="one SELECT statement over the views", attempt=ATTEMPT)
        elif node.get("class") == "FUNCTION" and str(node.get("function_name")).lower() in FORBIDDEN_FUNCTIONS:
            raise UsageError(f"the function {node['function_name']!r} is not available")
    return needed


def _unknown_view(name: str, known: ViewStatements) -> NotFoundError:
    """The error for a name that is not a view; it names the view with the most similar name."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return NotFoundError(f"there is no view {name!r}", attempt=f"Did you mean {quoted_identifier(near[0])}? {ATTEMPT}" if near else ATTEMPT)


def error_line(error: object) -> str:
    """The first line of an error message of the database, without its type and final full stop."""
    line = str(error).strip().split("\n", 1)[0]
    return re.sub(r"^(?:[A-Z][A-Za-z]* )+Error: ", "", line).rstrip(".!")
