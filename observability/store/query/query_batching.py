"""Batch overlapping queries: run the widest once, and derive the rest from its answer.

Analyzers ask for the same counts many times: by hour and by day, for the window and for the month before, for one version and for all
versions, with and without labels. Counts are additive, so the widest question holds the answers to the others. Likewise, the first rows of
a large sample are the smaller sample.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.questions import Aggregate, Bucket, By, Question, Records, Sample
from observability.core.time import naive_utc
from observability.core.window import EPOCH, HOUR, Window
from observability.store.query.answer import AnswerCells, KeyColumn, Part, group_sums, key_groups

if TYPE_CHECKING:
    from pandas import DataFrame

LOG = logging.getLogger(__name__)
BoundQuestion = tuple[Question, Window]
A_QUESTION = 4000.0
"""Cost of a question, in rows of an answer. Questions are not joined if the joint answer would be larger by more than this."""
LEVELS = {"version": 1, "status": 2, "decision": 2, "label": 3, "score_bin": 40}
OTHER_LEVELS, BINS = 8, {"latency_ms": 60}
OTHER_BINS = 12
"""Assumed number of levels of a key and of bins of a histogram, to estimate the size of an answer."""
GRAINS = {"hour": HOUR, "day": 24 * HOUR}
CELLS = 8
"""Number of sampled values that cost about as much as a row of counts."""


@dataclass(frozen=True)
class SharedQuestion:
    """A question whose answer holds the answers to all members (itself among them, if it was asked)."""

    question: Question
    window: Window
    members: tuple[BoundQuestion, ...]


def answer_batch(
    questions: Iterable[BoundQuestion], put: Callable[[Question, Window], "DataFrame"], count: Callable[[Aggregate, Window], AnswerCells]
) -> dict[BoundQuestion, "DataFrame"]:
    """Answers to the questions that can be derived from fewer shared questions; the caller asks the others. put: asks the store. count:
    asks for an aggregate.

    An answer is what `put` would have returned, apart from rounding of float64 figures. If a shared question fails, its members are left to
    the caller.
    """
    found: dict[BoundQuestion, DataFrame] = {}
    for shared in shared_questions(questions):
        try:
            if isinstance(shared.question, Aggregate):
                found |= dict(zip(shared.members, _aggregates_of_members(count(shared.question, shared.window), shared)))
                continue
            frame = put(shared.question, shared.window)
        except Exception:  # each member fails or succeeds when it is asked alone
            LOG.debug("%d questions are asked separately", len(shared.members), exc_info=True)
            continue
        if isinstance(shared.question, Records) and len(frame) < shared.question.rows:
            found |= dict(zip(shared.members, _records_of_members(frame, shared)))
        elif isinstance(shared.question, Sample):
            found |= {member: rows for member, rows in zip(shared.members, _samples_of_members(frame, shared)) if rows is not None}
    return found


def shared_questions(questions: Iterable[BoundQuestion]) -> list[SharedQuestion]:
    """The shared questions with more than one member, the largest first."""
    found: list[SharedQuestion] = []
    single = [asked for asked in dict.fromkeys(questions) if isinstance(asked[0], Aggregate | Records | Sample)]
    for question, window in sorted(single, key=lambda asked: _answer_size(*asked), reverse=True):
        for place, shared in enumerate(found):
            if (joined := _join(shared, question, window)) is not None:
                found[place] = joined
                break
        else:
            found.append(SharedQuestion(question, window, ((question, window),)))
    return [shared for shared in found if len(shared.members) > 1]


def _join(shared: SharedQuestion, question: Question, window: Window) -> SharedQuestion | None:
    """The shared question widened to hold another; None if that is impossible, or if the joint answer would be larger by more than the cost
    of a question.
    """
    if isinstance(shared.question, Aggregate) and isinstance(question, Aggregate):
        wider: tuple[Question, Window] | None = _wider_aggregate(shared.question, shared.window, question, window)
    elif isinstance(shared.question, Records) and isinstance(question, Records):
        wider = _wider_records(shared.question, shared.window, question, window)
    elif isinstance(shared.question, Sample) and isinstance(question, Sample):
        wider = _wider_sample(shared.question, shared.window, question, window)
    else:
        return None
    members = (*shared.members, (question, window))
    if wider is None or _answer_size(*wider) > _answer_size(shared.question, shared.window) + _answer_size(question, window) + A_QUESTION:
        return None
    return SharedQuestion(*wider, members) if all(_can_cut(wider, member) for _, member in members) else None


def _wider_aggregate(one: Aggregate, of: Window, other: Aggregate, and_of: Window) -> tuple[Aggregate, Window] | None:
    """The smallest question that holds two aggregates, or None. One of them holds the other, or only their columns differ.

    No keys or periods are added that nobody asked for: the rollups may not hold them, and then raw rows would be read.
    """
    window = _wider_window(of, and_of)
    kinds = [(aggregate.table, bool(aggregate.histogram), bool(aggregate.sums), _levels(aggregate)) for aggregate in (one, other)]
    if window is None or kinds[0] != kinds[1] or (window.environment == "reference" and of.version != and_of.version):
        return None
    if _keys(one) == _keys(other) and one.bucket == other.bucket:
        wide = replace(one, histogram=_united(one.histogram, other.histogram), sums=_united(one.sums, other.sums))
    elif _holds(one, other):
        wide = one
    elif _holds(other, one):
        wide = other
    else:
        return None
    if wide.bucket is None and window.environment != "reference" and (of.start, of.end) != (and_of.start, and_of.end):
        return None
    apart = of.version != and_of.version or any(By("version") in aggregate.keys for aggregate in (one, other))
    versions = [By("version")] if apart else []
    return replace(wide, keys=_united(wide.keys, versions)), window


def _holds(wide: Aggregate, narrow: Aggregate) -> bool:
    """Whether the answer to one question contains the answer to another: all of its keys, its periods or finer ones, and its columns."""
    finer = narrow.bucket is None or (wide.bucket is not None and GRAINS[wide.bucket.period] <= GRAINS[narrow.bucket.period])
    return finer and _keys(narrow) <= _keys(wide) and {*narrow.histogram, *narrow.sums} <= {*wide.histogram, *wide.sums}


def _united(some: Iterable[Any], more: Iterable[Any]) -> tuple[Any, ...]:
    """The elements of both, in order and without repetition."""
    return tuple(dict.fromkeys((*some, *more)))


def _levels(aggregate: Aggregate) -> set[str]:
    """Columns whose levels are counted separately."""
    return _keys(aggregate) - set(LEVELS)


def _keys(aggregate: Aggregate) -> set[str]:
    """Columns grouped by, apart from the period and the version."""
    return {key.column for key in aggregate.keys if isinstance(key, By)} - {"version"}


def _wider_records(one: Records, of: Window, other: Records, and_of: Window) -> tuple[Records, Window] | None:
    """The smallest question that holds two questions about records of one kind in a span."""
    window = _wider_window(of, and_of)
    if window is None or one.ever or replace(one, columns=None) != replace(other, columns=None):
        return None
    if one.columns is None or other.columns is None or not {"at"} <= {*one.columns} & {*other.columns}:
        return None
    return replace(one, columns=_united(one.columns, other.columns)), window


def _wider_sample(one: Sample, of: Window, other: Sample, and_of: Window) -> tuple[Sample, Window] | None:
    """The sample that holds two samples of the same span: it has the columns of both and the larger number of rows."""
    window = _wider_window(of, and_of)
    if window is None or (of.start, of.end) != (and_of.start, and_of.end):
        return None
    columns = _united(_united(one.columns, other.columns), ["version"] if of.version != and_of.version else [])
    return Sample("outcomes" if "outcomes" in (one.table, other.table) else "predictions", columns, max(one.rows, other.rows)), window


def _wider_window(one: Window, other: Window) -> Window | None:
    """The window that spans two windows, if they overlap or touch and differ at most in their version; else None."""
    alike = one.model == other.model and one.slice == other.slice and one.as_of == other.as_of and one.environment == other.environment
    if not alike or max(one.start, other.start) > min(one.end, other.end):
        return None
    version = one.version if one.version == other.version else None
    if version is None and one.version is not None and other.version is not None:
        return None
    return replace(one, start=min(one.start, other.start), end=max(one.end, other.end), version=version)


def _can_cut(wider: tuple[Question, Window], window: Window) -> bool:
    """Whether a window can be cut out of an answer: its ends are ends of the answer or boundaries of its periods."""
    question, whole = wider
    if isinstance(question, Records | Sample) or window.environment == "reference":
        return True
    grain = GRAINS[question.bucket.period] if isinstance(question, Aggregate) and question.bucket else None
    return all(
        mine == theirs or (grain is not None and (mine - EPOCH) % grain == timedelta(0))
        for mine, theirs in ((window.start, whole.start), (window.end, whole.end))
    )


def _answer_size(question: Question, window: Window) -> float:
    """Estimated number of rows of an answer."""
    if isinstance(question, Sample):
        return question.rows * len(question.columns) / CELLS
    if not isinstance(question, Aggregate):
        return window.days
    rows = 1.0
    if question.bucket and window.environment != "reference":
        rows = max((window.end - window.start) / GRAINS[question.bucket.period], 1.0)
    for key in _keys(question):
        rows *= LEVELS.get(key, OTHER_LEVELS)
    return rows * (sum(BINS.get(reference, OTHER_BINS) for reference in question.histogram) or len(question.sums) or 1)


def _records_of_members(frame: "DataFrame", shared: SharedQuestion) -> list["DataFrame"]:
    """The records of each member."""
    at, found = frame["at"].to_numpy("datetime64[us]"), []
    for question, window in shared.members:
        assert isinstance(question, Records) and question.columns is not None
        kept = (at >= _frame_time(window.start)) & (at < _frame_time(window.end))
        found.append(frame.loc[kept, list(question.columns)].reset_index(drop=True))
    return found


def _samples_of_members(frame: "DataFrame", shared: SharedQuestion) -> list["DataFrame | None"]:
    """The sample of each member; None if the shared sample has too few rows of a version.

    Rows are sorted by hash, so the first rows of a version are those with its smallest hashes. They are too few if the shared sample
    reached its size before it had enough of them.
    """
    assert isinstance(shared.question, Sample)
    found: list[DataFrame | None] = []
    for question, window in shared.members:
        assert isinstance(question, Sample)
        rows = frame if window.version == shared.window.version else frame[frame["version"] == window.version]
        whole = len(rows) >= question.rows or len(frame) < shared.question.rows
        found.append(rows.iloc[: question.rows][list(question.columns)].reset_index(drop=True) if whole else None)
    return found


def _frame_time(instant: datetime) -> np.datetime64:
    """An instant as in frames: naive UTC."""
    return np.datetime64(naive_utc(instant), "us")


def _aggregates_of_members(answer: AnswerCells, shared: SharedQuestion) -> list["DataFrame"]:
    """The answer to each member, added up from the rows of the shared answer."""
    return [
        _member_cells(answer, question, window, shared.window).table()
        for question, window in shared.members
        if isinstance(question, Aggregate)
    ]


def _member_cells(answer: AnswerCells, question: Aggregate, window: Window, whole: Window) -> AnswerCells:
    """The answer to one question."""
    keys, figures = answer.keys, answer.figures
    kept = np.ones(len(figures["n"]), bool)
    if window.environment != "reference" and (window.start, window.end) != (whole.start, whole.end):
        hours = keys["period"].numbers
        kept &= (hours >= (window.start - EPOCH) // HOUR) & (hours < -((EPOCH - window.end) // HOUR))
    if window.version is not None and window.version != whole.version:
        kept &= keys["version"].numbers == _number(keys["version"], window.version)
    chosen = question.histogram or question.sums
    kind = "column" if question.histogram else "measure"
    named: dict[str, KeyColumn] = {}
    for name in question.key_names:
        key = keys[name]
        if name == kind:
            place = {item: number for number, item in enumerate(chosen)}
            numbers = np.array([place.get(item, -1) for item in key.names or ()], np.int64)[key.numbers]
            key, kept = KeyColumn(numbers, list(chosen)), kept & (numbers >= 0)
        elif name == "period" and question.bucket == Bucket("day"):
            key = KeyColumn(key.numbers - key.numbers % 24)
        named[name] = key
    rows = {name: KeyColumn(key.numbers[kept], key.names) for name, key in named.items()}
    return _sum_cells(rows, {name: values[kept] for name, values in figures.items()})


def _number(key: KeyColumn, name: str) -> int:
    """The number of a text; -1 if it is missing."""
    return key.names.index(name) if key.names is not None and name in key.names else -1


def _sum_cells(keys: dict[str, KeyColumn], figures: Part) -> AnswerCells:
    """Rows with equal keys added up, sorted by the keys. Groups with n = 0 are left out."""
    order, firsts = key_groups([key.numbers for key in keys.values()], figures["n"].size)
    sums = group_sums({name: values[order] for name, values in figures.items()}, firsts)
    filled = sums["n"] != 0
    kept = order[firsts][filled]
    return AnswerCells(
        {name: KeyColumn(key.numbers[kept], key.names) for name, key in keys.items()},
        {name: values[filled] for name, values in sums.items()},
    )
