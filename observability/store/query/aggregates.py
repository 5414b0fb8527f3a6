"""Answer aggregates.

`answer_aggregate` reads whole periods from the rollups and the rest from raw rows, and adds them up. Every call takes its own cursor, so
any number of threads may call it.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.questions import Aggregate
from observability.core.window import Window
from observability.store.db.results import Cursor
from observability.store.db.schema import SLICED_FIELDS
from observability.store.query import from_rollup, raw_histograms, raw_rows
from observability.store.query.answer import AnswerCells, assemble_answer
from observability.store.query.answer import Part as Answered
from observability.store.query.from_rollup import RollupRange, RollupSlices
from observability.store.query.plan import RollupPlace, arrival_limit, level_key, rollup_place, split_window
from observability.store.query.references import FieldExpression, find_field
from observability.store.query.source import (
    WindowRows,
    hour_number,
    rows_by_place,
    snapshot_cursor,
    snapshot_streams,
    snapshot_value,
    window_rows,
)

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Database

Source = Literal["auto", "rollup", "raw"]


@dataclass(frozen=True)
class BoundAggregate:
    """An aggregate over a window, validated. slices: the slices of the rollups that it covers."""

    aggregate: Aggregate
    window: Window
    rows: WindowRows
    slices: RollupSlices | None
    level: str | None
    arrived: int | Literal["raw"] | None

    @property
    def model(self) -> Model:
        """The model of the window."""
        return self.rows.model

    @cached_property
    def fields(self) -> tuple[FieldExpression, ...]:
        """The fields of the histogram or sums, by position. Only raw rows are read by them; rollups need none."""
        outcomes = self.aggregate.table == "outcomes"
        histogram = [find_field(self.model, name, outcomes=outcomes, role="histogram") for name in self.aggregate.histogram]
        return (*histogram, *(find_field(self.model, name, outcomes=outcomes, role="sum") for name in self.aggregate.sums))

    @property
    def items(self) -> list[str | None]:
        """The histogrammed or summed references, or one None for plain counts."""
        return list(self.aggregate.histogram or self.aggregate.sums) or [None]


def answer_aggregate(store: "Database", aggregate: Aggregate, window: Window, *, source: Source = "auto") -> "DataFrame":
    """The answer to an aggregate over a window, as core/questions.py describes it. Without rows: an empty frame with the same columns.

    `period` is a naive UTC timestamp (1970-01-01 for a reference), `n`, `bin`, `decision`, `label` and `score_bin` are int64, other figures
    float64, names and levels objects (None if missing). Rows are sorted by the keys. For an unregistered version every number is in bin 0
    and every level is unseen.

    source: "auto" takes whole periods from the rollups if they have them; "raw" and "rollup" use only these, for tests and measurements.
    Raises NotFoundError for an unknown model, version or column, UsageError if a column does not support the question, or with "rollup" if
    the rollups do not hold the whole answer.
    """
    return aggregate_cells(store, aggregate, window, source=source).table()


def aggregate_cells(store: "Database", aggregate: Aggregate, window: Window, *, source: Source = "auto") -> AnswerCells:
    """The answer of `answer_aggregate` before it is a table, for callers that aggregate further (store/query/query_batching.py)."""
    model = store.catalog().model(window.model)
    with snapshot_cursor(store) as cursor:
        question = _bound_aggregate(store, cursor, model, aggregate, window)
        parts = list(_answer_parts(store, cursor, question, source)) if question.rows.streams else []
        return assemble_answer(aggregate, parts, {number: version.name for number, version in question.rows.streams.items()})


def _bound_aggregate(store: "Database", cursor: Cursor, model: Model, aggregate: Aggregate, window: Window) -> BoundAggregate:
    """The validated question with the columns and slices that it needs. Raises for unknown names."""
    found = window_rows(model, window, snapshot_streams(store, cursor, model.key))
    check_names(found, aggregate)
    level = level_key(model, aggregate)
    slices = _rollup_slices(
        lambda of: snapshot_value(store, ("levels", model.key, of), lambda: from_rollup.rollup_levels(cursor, found, of)),
        found,
        window,
        level,
    )
    compacted = snapshot_value(store, ("compacted", model.key), lambda: _compacted_before(cursor, model.key))
    arrived = None if found.timeless else arrival_limit(window.as_of, compacted)
    return BoundAggregate(aggregate, window, found, slices, level, arrived)


def check_names(rows: WindowRows, aggregate: Aggregate) -> None:
    """Raise for a key or a field of an aggregate that is unknown or cannot have this role."""
    outcomes = aggregate.table == "outcomes"
    for key in aggregate.keys:
        raw_rows.group_key(rows, key, outcomes)
    for name in aggregate.histogram:
        if rows.model.column(name) is None:  # every column has bins
            find_field(rows.model, name, outcomes=outcomes, role="histogram")
    for name in aggregate.sums:
        find_field(rows.model, name, outcomes=outcomes, role="sum")


def _compacted_before(cursor: Cursor, key: int) -> int:
    """The hour of arrival before which the counts of a model are coarsened to days; 0 if they are not."""
    ((hour,),) = cursor.execute("SELECT coalesce(max(compacted_before), 0) FROM rollups WHERE key = ?", [key]).fetchall()
    return int(hour)


def _rollup_slices(
    levels_of: Callable[[str], dict[int, str | None]], found: WindowRows, window: Window, level: str | None
) -> RollupSlices | None:
    """The slices of the rollups that hold the slice of the window, or the levels of a key; None if they are not rolled up.

    levels_of: levels of a reference.
    """
    conditions = [(found.model.resolve(name), value) for name, value in (window.slice.conditions if window.slice else ())]
    conditions = [(reference, value) for reference, value in conditions if reference != "version"]
    if level is not None:
        levels = levels_of(level)
        return RollupSlices(tuple(levels), level, levels) if (levels or level in SLICED_FIELDS) and not conditions else None
    if not conditions:
        return RollupSlices()
    (reference, value), *others = conditions
    if others or (reference in SLICED_FIELDS and value == "null"):
        return None
    numbers = [number for number, text in levels_of(reference).items() if (text or "null") == value]
    return RollupSlices(tuple(numbers), reference) if numbers else None


def _answer_parts(store: "Database", cursor: Cursor, question: BoundAggregate, source: Source) -> Iterator["Answered | DataFrame"]:
    """The parts of the answer. Items in the same rollup table with the same grain are read together."""
    groups: dict[tuple[str, int] | None, list[tuple[int, RollupPlace | None]]] = {}
    kept = source != "raw" and _is_rolled_up(question)
    for place, item in enumerate(question.items):
        where = _rollup_place(question, item) if kept else None
        groups.setdefault(None if where is None else (where.table, where.grain), []).append((place, where))
    for group, items in groups.items():
        known = [(place, where) for place, where in items if where is not None]
        cut: list[tuple[datetime, datetime] | None] | None = None
        if group is not None and known:
            cut = yield from _parts_from_rollups(cursor, question, group[1], known)
        if cut is None:
            cut = [question.rows.span]
        if cut and source == "rollup":
            got = ", ".join(map(str, question.items))
            raise UsageError("the rollups do not hold the whole answer", got=got, attempt="Ask with source auto")
        for span in cut:
            rows = question.rows if span is None else question.rows.within(*span)
            for there, some in rows_by_place(store, cursor, rows):
                yield from parts_from_raw_rows(there, question, some, [place for place, _ in items])


def _is_rolled_up(question: BoundAggregate) -> bool:
    """Whether the rollups may hold an answer to the question."""
    if question.slices is None or question.arrived == "raw":
        return False
    return not (question.model.redecided and _depends_on_decisions(question.aggregate))


def _rollup_place(question: BoundAggregate, item: str | None) -> RollupPlace | None:
    """Where the rollups keep an item of the question; None if they do not keep it."""
    assert question.slices is not None
    sliced = None if question.level else question.slices.reference
    return rollup_place(question.model, question.aggregate, item, sliced=sliced, level=question.level)


def _depends_on_decisions(aggregate: Aggregate) -> bool:
    """Whether the answer depends on decisions, which the rollups hold for the present threshold only."""
    return aggregate.table == "outcomes" or "decision" in aggregate.key_names


def _parts_from_rollups(
    cursor: Cursor, question: BoundAggregate, grain: int, items: list[tuple[int, RollupPlace]]
) -> Generator[Answered, None, list[tuple[datetime, datetime] | None] | None]:
    """Yield the parts of whole periods from the rollups; return the spans that are left for raw rows (None: everything is left)."""
    assert question.slices is not None
    periods: tuple[int, int] | None = None
    ends: list[tuple[datetime, datetime] | None] = []
    if not question.rows.timeless:
        cut = split_window(question.window, grain, question.aggregate.bucket)
        if cut.whole is None:
            return None
        periods, ends = (hour_number(cut.whole[0]), hour_number(cut.whole[1])), list(cut.ends)
    arrived = question.arrived if isinstance(question.arrived, int) else None
    part = RollupRange(question.rows, periods, arrived, question.slices)
    if question.level and not from_rollup.covers_all_rows(cursor, part):
        rest = from_rollup.with_missing_level(part, items[0][1])
        if rest is None:
            return None
        part = rest
    for some, kept_there in from_rollup.split_by_day(part, items, question.aggregate.bucket):
        yield from_rollup.read_rollup(cursor, question.aggregate, some, kept_there, question.level)
    return ends


def raw_parts(
    cursor: Cursor, model: Model, streams: dict[tuple[str, str], int], aggregate: Aggregate, window: Window
) -> Iterator["DataFrame"]:
    """The parts of the answer from raw rows alone, for engines that count each partition of the rows by itself and add the parts up.

    streams: number by version and environment. Raises as `answer_aggregate` does.
    """
    found = window_rows(model, window, streams)
    check_names(found, aggregate)
    question = BoundAggregate(aggregate, window, found, None, None, "raw")
    if found.streams:
        yield from parts_from_raw_rows(cursor, question, found, range(len(question.items)))


def parts_from_raw_rows(cursor: Cursor, question: BoundAggregate, rows: WindowRows, places: Sequence[int]) -> Iterator["DataFrame"]:
    """The parts of the answer for some items from the raw rows of one span."""
    aggregate = question.aggregate
    query = raw_rows.raw_query(cursor, rows, aggregate.keys, outcomes=aggregate.table == "outcomes")
    chosen = [(place, question.fields[place]) for place in places if question.fields]
    if aggregate.sums:
        yield raw_rows.raw_sums(query, chosen)
    elif not aggregate.histogram:
        yield raw_rows.raw_counts(query)
    else:
        numbers = [(place, field) for place, field in chosen if field.kind == "number"]
        yield from raw_histograms.number_histograms(query, numbers)
        for place, field in chosen:
            if field.kind != "number":
                yield raw_rows.category_histogram(query, place, field)
        yield from raw_rows.marked_values(query, chosen)
