"""What is the answer to an aggregate?

`ask` is the one door: it reads whole periods from the rollups and the rest from raw rows, and adds up. Every call takes a cursor of its
own, so any number of threads may ask at once.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import duckdb

from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.questions import Aggregate
from observability.core.window import Window
from observability.store.db.schema import SLICED_FIELDS
from observability.store.query import from_rollup, raw_histograms, raw_rows
from observability.store.query.answer import Cells, assemble
from observability.store.query.answer import Part as Answered
from observability.store.query.from_rollup import Part, Slices
from observability.store.query.plan import Kept, arrival_limit, kept, level_key, spans
from observability.store.query.references import Field, find_field
from observability.store.query.source import Rows, hour_number, known_streams, remembered, rows_of, snapshot

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

Source = Literal["auto", "rollup", "raw"]


@dataclass(frozen=True)
class Question:
    """An aggregate over a window, checked. fields: those of its histogram or sums, by place. sliced: the slices of the rollups that it is
    about.
    """

    aggregate: Aggregate
    window: Window
    rows: Rows
    fields: tuple[Field, ...]
    slices: Slices | None
    level: str | None
    arrived: int | Literal["raw"] | None

    @property
    def model(self) -> Model:
        """The model that is asked about."""
        return self.rows.model

    @property
    def items(self) -> list[str | None]:
        """What is asked: references, or one None for plain counts."""
        return list(self.aggregate.histogram or self.aggregate.sums) or [None]


def ask(store: "Store", aggregate: Aggregate, window: Window, *, source: Source = "auto") -> "DataFrame":
    """The answer to an aggregate over a window, as aggregate.py describes it; an empty frame with the same columns where there are no rows.

    `period` is a naive UTC timestamp (1970-01-01 for a reference), `n`, `bin`, `decision`, `label` and `score_bin` are int64, other figures
    float64, names and levels objects (None where missing). Rows are in order of the keys. Of a version that was not registered every number
    is in bin 0 and every level unseen.

    source: "auto" takes whole periods from the rollups where they have them; "raw" and "rollup" ask only there, for tests and measurements.
    Raises NotFoundError for an unknown model, version or column, UsageError where a column cannot be asked that, or with "rollup" where the
    rollups do not hold the whole answer.
    """
    return cells(store, aggregate, window, source=source).table()


def cells(store: "Store", aggregate: Aggregate, window: Window, *, source: Source = "auto") -> Cells:
    """The answer that `ask` makes a table of, for who adds more of it up first (store/query/query_batching.py)."""
    model = store.catalog().model(window.model)
    with snapshot(store) as cursor:
        question = checked(store, cursor, model, aggregate, window)
        parts = list(answered(cursor, question, source)) if question.rows.streams else []
        return assemble(aggregate, parts, {number: version.name for number, version in question.rows.streams.items()})


def checked(store: "Store", cursor: duckdb.DuckDBPyConnection, model: Model, aggregate: Aggregate, window: Window) -> Question:
    """The question with everything that it needs to know about the store; raises for what is not there."""
    outcomes = aggregate.table == "outcomes"
    found = rows_of(model, window, known_streams(store, cursor, model.key))
    for key in aggregate.keys:
        raw_rows.key_of(found, key, outcomes)
    fields = [find_field(model, name, outcomes=outcomes, role="histogram") for name in aggregate.histogram]
    fields += [find_field(model, name, outcomes=outcomes, role="sum") for name in aggregate.sums]
    level = level_key(model, aggregate)
    slices = slices_of(
        lambda of: remembered(store, ("levels", model.key, of), lambda: from_rollup.levels_of(cursor, found, of)), found, window, level
    )
    compacted = remembered(store, ("compacted", model.key), lambda: compacted_before(cursor, model.key))
    arrived = None if found.timeless else arrival_limit(window.as_of, compacted)
    return Question(aggregate, window, found, tuple(fields), slices, level, arrived)


def compacted_before(cursor: duckdb.DuckDBPyConnection, key: int) -> int:
    """The hour of arrival before which a model's counts are coarsened to days; 0 where they are not."""
    ((hour,),) = cursor.execute("SELECT coalesce(max(compacted_before), 0) FROM rollups WHERE key = ?", [key]).fetchall()
    return int(hour)


def slices_of(levels_of: Callable[[str], dict[int, str | None]], found: Rows, window: Window, level: str | None) -> Slices | None:
    """The slices of the rollups that hold the window's slice, or the levels of a key; None where they are not rolled up. levels_of: those of a reference."""
    conditions = [(found.model.resolve(name), value) for name, value in (window.slice.conditions if window.slice else ())]
    conditions = [(reference, value) for reference, value in conditions if reference != "version"]
    if level is not None:
        levels = levels_of(level)
        return Slices(tuple(levels), level, levels) if (levels or level in SLICED_FIELDS) and not conditions else None
    if not conditions:
        return Slices()
    (reference, value), *others = conditions
    if others or (reference in SLICED_FIELDS and value == "null"):
        return None
    numbers = [number for number, text in levels_of(reference).items() if (text or "null") == value]
    return Slices(tuple(numbers), reference) if numbers else None


def answered(cursor: duckdb.DuckDBPyConnection, question: Question, source: Source) -> Iterator["Answered | DataFrame"]:
    """The parts of the answer. Items that the rollups keep by the same grain in the same table are read together."""
    groups: dict[tuple[str, int] | None, list[tuple[int, Kept | None]]] = {}
    for place, item in enumerate(question.items):
        where = None if source == "raw" else where_kept(question, item)
        groups.setdefault(None if where is None else (where.table, where.grain), []).append((place, where))
    for group, items in groups.items():
        known = [(place, where) for place, where in items if where is not None]
        cut: list[tuple[datetime, datetime] | None] | None = None
        if group is not None and known:
            cut = yield from rolled_up(cursor, question, group[1], known)
        if cut is None:
            cut = [question.rows.span]
        if cut and source == "rollup":
            raise UsageError(
                "the rollups do not hold the whole answer", got=", ".join(map(str, question.items)), attempt="Ask with source auto"
            )
        for span in cut:
            rows = question.rows if span is None else question.rows.within(*span)
            yield from from_raw(cursor, question, rows, [place for place, _ in items])


def where_kept(question: Question, item: str | None) -> Kept | None:
    """Where the rollups keep an item of the question, None where they do not."""
    if question.slices is None or question.arrived == "raw" or (question.model.redecided and decides(question.aggregate)):
        return None
    sliced = None if question.level else question.slices.reference
    return kept(question.model, question.aggregate, item, sliced=sliced, level=question.level)


def decides(aggregate: Aggregate) -> bool:
    """Whether an answer depends on the decisions, which the rollups hold as the present threshold makes them."""
    return aggregate.table == "outcomes" or "decision" in aggregate.key_names


def rolled_up(
    cursor: duckdb.DuckDBPyConnection, question: Question, grain: int, items: list[tuple[int, Kept]]
) -> Generator[Answered, None, list[tuple[datetime, datetime] | None] | None]:
    """Reads whole periods from the rollups; returns the spans that are left for the raw rows, None for everything."""
    assert question.slices is not None
    periods: tuple[int, int] | None = None
    ends: list[tuple[datetime, datetime] | None] = []
    if not question.rows.timeless:
        cut = spans(question.window, grain, question.aggregate.bucket)
        if cut.whole is None:
            return None
        periods, ends = (hour_number(cut.whole[0]), hour_number(cut.whole[1])), list(cut.ends)
    arrived = question.arrived if isinstance(question.arrived, int) else None
    part = Part(question.rows, periods, arrived, question.slices)
    if question.level and not from_rollup.complete(cursor, part):
        rest = from_rollup.with_rest(part, items[0][1])
        if rest is None:
            return None
        part = rest
    for some, kept_there in from_rollup.in_days(part, items, question.aggregate.bucket):
        yield from_rollup.read(cursor, question.aggregate, some, kept_there, question.level)
    return ends


def from_raw(cursor: duckdb.DuckDBPyConnection, question: Question, rows: Rows, places: Sequence[int]) -> Iterator["DataFrame"]:
    """The parts of the answer for some items from the raw rows of one span."""
    aggregate = question.aggregate
    asked = raw_rows.query(cursor, rows, aggregate.keys, outcomes=aggregate.table == "outcomes")
    chosen = [(place, question.fields[place]) for place in places if question.fields]
    if aggregate.sums:
        yield raw_rows.sums(asked, chosen)
    elif not aggregate.histogram:
        yield raw_rows.counts(asked)
    else:
        numbers = [(place, field) for place, field in chosen if field.kind == "number"]
        yield from raw_histograms.number_histograms(asked, numbers)
        for place, field in chosen:
            if field.kind != "number":
                yield raw_rows.categories(asked, place, field)
        yield from raw_rows.marks(asked, chosen)
