"""Build the FROM clause that selects the raw rows of a window with their labels.

`p` is the predictions of the window, with `by_class` (the probabilities of a multiclass model as a list); `l` their current labels: of all
revisions that had arrived by `as_of`, the one with the greatest (at, arrived, value), with `code`, its class index.
"""

import math
import re
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import duckdb

from observability.core.catalog import Model, Version, band_limits
from observability.core.errors import NotFoundError, UsageError
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.store.db.catalog_store import stream_numbers
from observability.store.db.database import Database
from observability.store.db.expressions import decision_sql, label_code_sql, probability_list_sql
from observability.store.db.results import Cursor
from observability.store.db.schema import PREDICTION_COLUMNS, model_table
from observability.store.query.references import known_field

HOUR = timedelta(hours=1)
SAMPLE_ORDER = 'p.sample_hash, p.id, p."at", p.stream'
"""The order of a sample of rows `p`. Several versions may answer one request under its id."""
COLUMN_NAME = re.compile(r"\bp\.(\w+)")
Parameters = dict[str, object]
MODELS_A_QUERY = 50
"""Maximum number of models with tables of their own that one query counts: planning a query over many tables costs more than running it.
Models that share tables are counted by one query over these tables.
"""


@dataclass(frozen=True)
class WindowRows:
    """The rows of a window: streams by number with their version, the span in event time (None: all), and the slice as SQL conditions."""

    model: Model
    streams: dict[int, Version]
    span: tuple[datetime, datetime] | None
    as_of: datetime | None
    conditions: tuple[str, ...] = ()
    parameters: tuple[tuple[str, object], ...] = ()

    @property
    def timeless(self) -> bool:
        """Whether these are rows of a reference, which have no times: their period is 0."""
        return self.span is None

    def within(self, start: datetime, end: datetime) -> "WindowRows":
        """The same rows, limited to another span."""
        return self if self.timeless else replace(self, span=(start, end))

    def of_version(self, version: Version) -> "WindowRows":
        """Those of these rows that belong to one version."""
        return replace(self, streams={number: known for number, known in self.streams.items() if known is version})

    @property
    def where(self) -> str:
        """The conditions on the predictions table."""
        parts = [f"stream IN ({', '.join(map(str, sorted(self.streams))) or 'NULL'})"]
        if self.span:
            parts += ['"at" >= $start', '"at" < $end']
        if self.as_of:
            parts.append("arrived <= $as_of")
        return " AND ".join([*parts, *self.conditions])

    @property
    def values(self) -> Parameters:
        """The values of the parameters in `where`."""
        found: Parameters = dict(self.parameters)
        if self.span:
            found |= {"start": naive_utc(self.span[0]), "end": naive_utc(self.span[1])}
        return found | ({"as_of": naive_utc(self.as_of)} if self.as_of else {})


_held = threading.local()
T = TypeVar("T")


@contextmanager
def snapshot_cursor(store: Database) -> Iterator[Cursor]:
    """A cursor whose reads all see one state of the store, whatever is loaded meanwhile.

    Inside another snapshot of this thread, the cursor of that snapshot is used, so that many questions see one state. If a question fails,
    the following questions continue on the newest state.
    """
    outer: Cursor | None = getattr(_held, "cursors", {}).get(store)
    if outer is not None:
        try:
            yield outer
        except BaseException:
            with suppress(duckdb.Error):
                outer.rollback()
            outer.begin()
            _held.known[store].clear()
            raise
        return
    cursor = store.cursor()
    _held.cursors = {**getattr(_held, "cursors", {}), store: cursor}
    _held.known = {**getattr(_held, "known", {}), store: {}}
    try:
        cursor.begin()
        yield cursor
    finally:
        _held.cursors, _held.known = (
            {key: value for key, value in held.items() if key is not store} for held in (_held.cursors, _held.known)
        )
        with suppress(duckdb.Error):
            cursor.rollback()
        with suppress(duckdb.Error):
            cursor.close()


def holds_snapshot(store: Database) -> bool:
    """Whether this thread is within a snapshot, whose state may be older than the newest commit."""
    return store in getattr(_held, "cursors", {})


def counted_by_model(
    store: Database, what: str, models: Sequence[Model], count: Callable[[Cursor, Sequence[Model]], dict[str, T]]
) -> dict[str, T]:
    """The result of `count` for each model, by name. It is called only for models that changed since its last call.

    what: the name of the count. Within a snapshot everything is counted, since its state may be older than the newest commit.
    """
    commits = {model.name: store.model_commit(model.name) for model in models}  # first: what is committed meanwhile is counted again
    known = {} if holds_snapshot(store) else store.counted_models
    found = {name: held[1] for name, commit in commits.items() if (held := known.get((what, name))) and held[0] == commit}
    changed = [model for model in models if model.name not in found]
    own = [model for model in changed if not model.shared]
    parts = [own[first : first + MODELS_A_QUERY] for first in range(0, len(own), MODELS_A_QUERY)]
    for part in filter(None, [*parts, [model for model in changed if model.shared]]):
        with snapshot_cursor(store) as cursor:
            counted = count(cursor, part)
        found |= counted
        known |= {(what, name): (commits[name], value) for name, value in counted.items()}
    return {model.name: found[model.name] for model in models}


def snapshot_value(store: Database, what: Hashable, read: Callable[[], T]) -> T:
    """The result of `read`, cached for the snapshot of this thread."""
    known: dict[Hashable, T] = _held.known[store]
    if what not in known:
        known[what] = read()
    return known[what]


def snapshot_streams(store: Database, cursor: Cursor, key: int) -> dict[tuple[str, str], int]:
    """The streams of a model (`catalog_store.stream_numbers`), read once per snapshot."""
    return snapshot_value(store, ("streams", key), lambda: stream_numbers(cursor, key))


def window_rows(model: Model, window: Window, streams: dict[tuple[str, str], int]) -> WindowRows:
    """The rows of a window. streams: number by (version, environment).

    Raises NotFoundError if the version or a column of the slice is unknown.
    """
    if window.version is not None and model.version(window.version) is None:
        known = ", ".join(version.name for version in model.versions[:12]) or "no version yet"
        raise NotFoundError(f"version {window.version!r} of {model.name} is not in the store", attempt=f"There is {known}")
    chosen = {
        number: model.version(version) or Version(version)
        for (version, environment), number in streams.items()
        if environment == window.environment and window.version in (None, version)
    }
    timeless = window.environment == "reference"
    rows = WindowRows(model, chosen, None if timeless else (window.start, window.end), None if timeless else window.as_of)
    for place, (name, value) in enumerate(window.slice.conditions if window.slice else ()):
        reference = model.resolve(name)
        if reference == "version":
            rows = replace(rows, streams={number: version for number, version in rows.streams.items() if version.name == value})
            continue
        sql, parameter = _slice_condition(model, reference, value, f"slice_{place}")
        parameters = {} if parameter is None else {f"slice_{place}": parameter}
        rows = replace(rows, conditions=(*rows.conditions, sql), parameters=(*rows.parameters, *parameters.items()))
    return rows


def _slice_condition(model: Model, reference: str, value: str, name: str) -> tuple[str, object]:
    """A condition of a slice as SQL, and its parameter or None. `null` is a missing value; `10 to below 20` of a number is a band."""
    field = known_field(model, reference)
    assert field is not None
    sql = field.sql.removeprefix("p.")
    if field.kind == "boolean":
        if value not in ("true", "false", "null"):
            return "false", None
        return (f"{sql} IS NULL" if value == "null" else sql if value == "true" else f"NOT {sql}"), None
    if field.kind != "number":
        return (f"({sql} IS NULL OR {sql} = 'null')", None) if value == "null" else (f"{sql} = ${name}", value)
    if value in ("null", "NaN"):
        return (f"{sql} IS NULL" if value == "null" else f"isnan({sql})"), None
    if limits := band_limits(value):
        parts = [f"{sql} {sign} {limit!r}" for sign, limit in zip((">=", "<"), limits) if math.isfinite(limit)]
        return " AND ".join(["NOT isnan(" + sql + ")", *parts]), None
    try:
        return f"{sql} = ${name}", float(value)
    except ValueError:
        return "false", None


def from_clause(
    cursor: Cursor, rows: WindowRows, columns: Sequence[str], labelled: bool, *, held: int | None = None, placed: bool = False
) -> tuple[str, str, Parameters]:
    """(WITH clause or nothing, FROM clause, parameters) of the rows.

    columns: the expressions of the statement; of the features, only those that the expressions name are read. labelled: join the current
    labels. held: number of rows, if known. placed: `p.place` is the row number.
    """
    table, parameters = model_table("predictions", rows.model.key), rows.values
    picked = [*(["rowid AS place"] if placed else []), *_predicted_columns(rows.model, columns)]
    if rows.model.task == "multiclass" and rows.model.classes and any("by_class" in column for column in columns):
        picked.append(f"{probability_list_sql(rows.model)} AS by_class")
    predictions = f"(SELECT {', '.join(picked)} FROM {table} WHERE {rows.where}) p"
    if not labelled:
        return "", f"FROM {predictions}", parameters
    return (
        f"WITH {_current_labels(cursor, rows, held)}",
        f"FROM {predictions} LEFT JOIN current_labels l ON l.id_hash = p.id_hash AND l.id = p.id",
        parameters,
    )


def _predicted_columns(model: Model, expressions: Sequence[str]) -> list[str]:
    """The selected columns of a table of predictions: the columns that every such table has, and the model's own columns that the
    expressions name as `p.name`.

    DuckDB takes longer to bind the names of thousands of columns than to answer most questions.
    """
    named = {name for expression in expressions for name in COLUMN_NAME.findall(expression)}
    fixed = [f'"{name}"' for name in PREDICTION_COLUMNS if name != "decision" or not model.redecided]
    decided = [f"{decision_sql(model)} AS decision"] if model.redecided else []
    return [*fixed, *decided, *(column.column for column in model.columns if column.column in named)]


def _current_labels(cursor: Cursor, rows: WindowRows, held: int | None = None) -> str:
    """Common table expressions ending in `current_labels` (id_hash, id, value, number, code), one row per labelled id.

    Only ids with several revisions are grouped, because grouping is most of the cost. For a small part of the model, only its own labels
    are read.
    """
    predictions, labels = model_table("predictions", rows.model.key), model_table("labels", rows.model.key)
    arrived = "WHERE arrived <= $as_of" if rows.as_of else "WHERE true"
    if held is None:
        ((held,),) = cursor.execute(f"SELECT count(*) FROM {predictions} WHERE {rows.where}", rows.values).fetchall()
    ((known,),) = cursor.execute(f"SELECT count(*) FROM {labels}").fetchall()
    few = f" AND id_hash IN (SELECT id_hash FROM {predictions} WHERE {rows.where})" if 4 * held < known else ""
    latest = 'max(struct_pack(a := "at", b := arrived, c := value, d := number))'
    return f"""known_labels AS {"MATERIALIZED" if few else "NOT MATERIALIZED"} (
            SELECT id_hash, id, "at", arrived, value, number FROM {labels} {arrived}{few}),
        revised AS MATERIALIZED (SELECT id_hash FROM known_labels GROUP BY id_hash HAVING count(*) > 1),
        chosen AS (
            SELECT id_hash, id, value, number FROM known_labels WHERE id_hash NOT IN (FROM revised)
            UNION ALL SELECT id_hash, id, latest.c, latest.d FROM (
                SELECT id_hash, id, {latest} AS latest FROM known_labels WHERE id_hash IN (FROM revised) GROUP BY id_hash, id)),
        current_labels AS (SELECT *, {label_code_sql(rows.model)} AS code FROM chosen)"""


def rows_by_place(store: Database, cursor: Cursor, rows: WindowRows) -> list[tuple[Cursor, WindowRows]]:
    """The rows in parts, each from one database: the lake gives the days that retention removed (if it has them), and the store gives all
    other days.

    cursor: cursor of the store.
    """
    since = rows.model.rows_from
    if since is None or rows.span is None or rows.span[0] >= since:
        return [(cursor, rows)]
    start, end = rows.span
    if (lake := store.removed_rows(rows.model, (start, min(end, since)))) is None:
        return [(cursor, rows)]
    older = (lake, rows.within(start, min(end, since)))
    return [older] if end <= since else [older, (cursor, rows.within(since, end))]


def hour_number(instant: datetime) -> int:
    """Whole hours since 1970. Raises UsageError for any other instant."""
    if (instant - EPOCH) % HOUR:
        raise UsageError("not a whole hour", got=instant)
    return (instant - EPOCH) // HOUR
