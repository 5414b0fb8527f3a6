"""Which of several questions does one answer hold, and how is each of them read from it?

Analyzers ask the same counts many times over: by the hour and by the day, of the window and of the month before it, of one version and of all, with
labels and without. Counts add up, so the widest of such questions holds the answers to the others. A check therefore asks it alone. So it is with
samples: the first rows of the larger one are the smaller one.
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
from observability.store.query.answer import Cells, Keyed, Part, groups_of, sums_of

if TYPE_CHECKING:
    from pandas import DataFrame

LOG = logging.getLogger(__name__)
Asked = tuple[Question, Window]
A_QUESTION = 4000.0
"""A question costs about as much as so many rows of an answer: what joined would be larger by more is asked apart."""
LEVELS = {"version": 1, "status": 2, "decision": 2, "label": 3, "score_bin": 40}
OTHER_LEVELS, BINS = 8, {"latency_ms": 60}
OTHER_BINS = 12
"""How many levels a key and bins a histogram are taken to have, to guess how large an answer is."""
GRAINS = {"hour": HOUR, "day": 24 * HOUR}
CELLS = 8
"""So many values of a sample cost about as much as a row of counts."""


@dataclass(frozen=True)
class Shared:
    """A question whose answer holds those of all its members (itself among them, where somebody asked it)."""

    question: Question
    window: Window
    members: tuple[Asked, ...]


def answers(
    asked: Iterable[Asked], put: Callable[[Question, Window], "DataFrame"], count: Callable[[Aggregate, Window], Cells]
) -> dict[Asked, "DataFrame"]:
    """Answers to those of the questions that can be had from fewer; the rest is for the caller to ask. put: asks the store; count: asks it for an aggregate.

    An answer is what `put` would have given, figures in float64 apart from rounding. A question that cannot be put leaves its members to the caller.
    """
    found: dict[Asked, DataFrame] = {}
    for shared in plan(asked):
        try:
            if isinstance(shared.question, Aggregate):
                found |= dict(zip(shared.members, of_cells(count(shared.question, shared.window), shared)))
                continue
            frame = put(shared.question, shared.window)
        except Exception:  # each member fails, or does not, where it is asked alone
            LOG.debug("%d questions are asked apart", len(shared.members), exc_info=True)
            continue
        if isinstance(shared.question, Records) and len(frame) < shared.question.rows:
            found |= dict(zip(shared.members, of_records(frame, shared)))
        elif isinstance(shared.question, Sample):
            found |= {each: rows for each, rows in zip(shared.members, of_sample(frame, shared)) if rows is not None}
    return found


def plan(asked: Iterable[Asked]) -> list[Shared]:
    """The questions to put in place of several each, the largest first."""
    found: list[Shared] = []
    single = [each for each in dict.fromkeys(asked) if isinstance(each[0], Aggregate | Records | Sample)]
    for question, window in sorted(single, key=lambda each: size(*each), reverse=True):
        for place, shared in enumerate(found):
            if (joined := join(shared, question, window)) is not None:
                found[place] = joined
                break
        else:
            found.append(Shared(question, window, ((question, window),)))
    return [each for each in found if len(each.members) > 1]


def join(shared: Shared, question: Question, window: Window) -> Shared | None:
    """The shared question widened so that it holds another; None where it cannot, or where that would be larger by more than a question costs."""
    if isinstance(shared.question, Aggregate) and isinstance(question, Aggregate):
        wider: tuple[Question, Window] | None = wider_aggregate(shared.question, shared.window, question, window)
    elif isinstance(shared.question, Records) and isinstance(question, Records):
        wider = wider_records(shared.question, shared.window, question, window)
    elif isinstance(shared.question, Sample) and isinstance(question, Sample):
        wider = wider_sample(shared.question, shared.window, question, window)
    else:
        return None
    members = (*shared.members, (question, window))
    if wider is None or size(*wider) > size(shared.question, shared.window) + size(question, window) + A_QUESTION:
        return None
    return Shared(*wider, members) if all(held(wider, each) for _, each in members) else None


def wider_aggregate(one: Aggregate, of: Window, other: Aggregate, and_of: Window) -> tuple[Aggregate, Window] | None:
    """The smallest question that holds two: the one that holds the other, or both where only their columns differ; None where neither is so.

    Nothing is asked by keys or periods that nobody asked it by: the rollups may not hold that, and then raw rows would be read.
    """
    window = wider_window(of, and_of)
    kinds = [(each.table, bool(each.histogram), bool(each.sums), levels_of(each)) for each in (one, other)]
    if window is None or kinds[0] != kinds[1] or (window.environment == "reference" and of.version != and_of.version):
        return None
    if keys_of(one) == keys_of(other) and one.bucket == other.bucket:
        wide = replace(one, histogram=united(one.histogram, other.histogram), sums=united(one.sums, other.sums))
    elif holds(one, other):
        wide = one
    elif holds(other, one):
        wide = other
    else:
        return None
    if wide.bucket is None and window.environment != "reference" and (of.start, of.end) != (and_of.start, and_of.end):
        return None
    apart = of.version != and_of.version or any(By("version") in each.keys for each in (one, other))
    versions = [By("version")] if apart else []
    return replace(wide, keys=united(wide.keys, versions)), window


def holds(wide: Aggregate, narrow: Aggregate) -> bool:
    """Whether the answer to one question holds that to another: all of its keys, its periods or finer ones, and its columns."""
    finer = narrow.bucket is None or (wide.bucket is not None and GRAINS[wide.bucket.period] <= GRAINS[narrow.bucket.period])
    return finer and keys_of(narrow) <= keys_of(wide) and {*narrow.histogram, *narrow.sums} <= {*wide.histogram, *wide.sums}


def united(some: Iterable[Any], more: Iterable[Any]) -> tuple[Any, ...]:
    """Both, each once, in order."""
    return tuple(dict.fromkeys((*some, *more)))


def levels_of(aggregate: Aggregate) -> set[str]:
    """Columns whose levels are counted apart."""
    return keys_of(aggregate) - set(LEVELS)


def keys_of(aggregate: Aggregate) -> set[str]:
    """What is grouped by beside the period and the version, which everything is kept by."""
    return {each.column for each in aggregate.keys if isinstance(each, By)} - {"version"}


def wider_records(one: Records, of: Window, other: Records, and_of: Window) -> tuple[Records, Window] | None:
    """The smallest question that holds two about records of one kind in a span."""
    window = wider_window(of, and_of)
    same = replace(one, columns=None) == replace(other, columns=None)
    if (
        window is None
        or not same
        or one.ever
        or one.columns is None
        or other.columns is None
        or not {"at"} <= {*one.columns} & {*other.columns}
    ):
        return None
    return replace(one, columns=tuple(dict.fromkeys((*one.columns, *other.columns)))), window


def wider_sample(one: Sample, of: Window, other: Sample, and_of: Window) -> tuple[Sample, Window] | None:
    """The sample that holds two of one span: all their columns of the larger number of rows."""
    window = wider_window(of, and_of)
    if window is None or (of.start, of.end) != (and_of.start, and_of.end):
        return None
    columns = united(united(one.columns, other.columns), ["version"] if of.version != and_of.version else [])
    return Sample("outcomes" if "outcomes" in (one.table, other.table) else "predictions", columns, max(one.rows, other.rows)), window


def wider_window(one: Window, other: Window) -> Window | None:
    """The window that spans two which overlap or touch and are alike in all but their version; None where they do not."""
    alike = one.model == other.model and one.slice == other.slice and one.as_of == other.as_of and one.environment == other.environment
    if not alike or max(one.start, other.start) > min(one.end, other.end):
        return None
    version = one.version if one.version == other.version else None
    if version is None and one.version is not None and other.version is not None:
        return None
    return replace(one, start=min(one.start, other.start), end=max(one.end, other.end), version=version)


def held(wider: tuple[Question, Window], window: Window) -> bool:
    """Whether a window can be cut out of an answer: it starts and ends where the answer does, or between two of its periods."""
    question, whole = wider
    if isinstance(question, Records | Sample) or window.environment == "reference":
        return True
    grain = GRAINS[question.bucket.period] if isinstance(question, Aggregate) and question.bucket else None
    return all(
        mine == theirs or (grain is not None and (mine - EPOCH) % grain == timedelta(0))
        for mine, theirs in ((window.start, whole.start), (window.end, whole.end))
    )


def size(question: Question, window: Window) -> float:
    """A guess of how many rows an answer has."""
    if isinstance(question, Sample):
        return question.rows * len(question.columns) / CELLS
    if not isinstance(question, Aggregate):
        return window.days
    rows = 1.0
    if question.bucket and window.environment != "reference":
        rows = max((window.end - window.start) / GRAINS[question.bucket.period], 1.0)
    for each in keys_of(question):
        rows *= LEVELS.get(each, OTHER_LEVELS)
    return rows * (sum(BINS.get(each, OTHER_BINS) for each in question.histogram) or len(question.sums) or 1)


def of_records(frame: "DataFrame", shared: Shared) -> list["DataFrame"]:
    """The records of each member."""
    at, found = frame["at"].to_numpy("datetime64[us]"), []
    for question, window in shared.members:
        assert isinstance(question, Records) and question.columns is not None
        kept = (at >= moment(window.start)) & (at < moment(window.end))
        found.append(frame.loc[kept, list(question.columns)].reset_index(drop=True))
    return found


def of_sample(frame: "DataFrame", shared: Shared) -> list["DataFrame | None"]:
    """The sample of each member; None where the rows of one version among those of all are too few to tell.

    Rows are in order of their hashes, so the first of a version are those with its smallest hashes, unless the sample ended before there were enough.
    """
    assert isinstance(shared.question, Sample)
    found: list[DataFrame | None] = []
    for question, window in shared.members:
        assert isinstance(question, Sample)
        rows = frame if window.version == shared.window.version else frame[frame["version"] == window.version]
        whole = len(rows) >= question.rows or len(frame) < shared.question.rows
        found.append(rows.iloc[: question.rows][list(question.columns)].reset_index(drop=True) if whole else None)
    return found


def moment(instant: datetime) -> np.datetime64:
    """An instant as frames hold it: naive UTC."""
    return np.datetime64(naive_utc(instant), "us")


def of_cells(answer: Cells, shared: Shared) -> list["DataFrame"]:
    """The answer of each member, added up from the rows of the shared answer."""
    return [
        member(answer, question, window, shared.window).table() for question, window in shared.members if isinstance(question, Aggregate)
    ]


def member(answer: Cells, question: Aggregate, window: Window, whole: Window) -> Cells:
    """The answer to one question."""
    keys, figures = answer.keys, answer.figures
    kept = np.ones(len(figures["n"]), bool)
    if window.environment != "reference" and (window.start, window.end) != (whole.start, whole.end):
        hours = keys["period"].numbers
        kept &= (hours >= (window.start - EPOCH) // HOUR) & (hours < -((EPOCH - window.end) // HOUR))
    if window.version is not None and window.version != whole.version:
        kept &= keys["version"].numbers == number_of(keys["version"], window.version)
    chosen = question.histogram or question.sums
    kind = "column" if question.histogram else "measure"
    named: dict[str, Keyed] = {}
    for name in question.key_names:
        each = keys[name]
        if name == kind:
            place = {number_of(each, item): number for number, item in enumerate(chosen)}
            numbers = np.array([place.get(number, -1) for number in range(len(each.names or ()))], np.int64)[each.numbers]
            each, kept = Keyed(numbers, list(chosen)), kept & (numbers >= 0)
        elif name == "period" and question.bucket == Bucket("day"):
            each = Keyed(each.numbers - each.numbers % 24)
        named[name] = each
    rows = {name: Keyed(each.numbers[kept], each.names) for name, each in named.items()}
    return added_up(rows, {name: values[kept] for name, values in figures.items()})


def number_of(key: Keyed, name: str) -> int:
    """The number of a text; -1 where it is not there."""
    return key.names.index(name) if key.names is not None and name in key.names else -1


def added_up(keys: dict[str, Keyed], figures: Part) -> Cells:
    """Rows of equal keys added up, in order of the keys; those of no rows left out."""
    order, firsts = groups_of([each.numbers for each in keys.values()], figures["n"].size)
    sums = sums_of({name: values[order] for name, values in figures.items()}, firsts)
    filled = sums["n"] != 0
    kept = order[firsts][filled]
    return Cells(
        {name: Keyed(each.numbers[kept], each.names) for name, each in keys.items()},
        {name: values[filled] for name, values in sums.items()},
    )
