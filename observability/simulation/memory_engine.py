"""What is the answer to a question about rows that are held in memory?

The fast road: it answers what `run` asks with the same frames as the store's engine (tests/simulation/test_memory_engine.py holds them against each other). Rows are held by
day and version. A day's part of an answer is counted once for each state of what had arrived, and kept; parts add up, so that planting a fault
costs only the days that it changed, and a clean past is shared by everything that is planted on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model, Version
from observability.core.questions import Aggregate, Bucket, By, Question, Records, Sample
from observability.core.time import naive_utc
from observability.core.window import Slice, Window
from observability.simulation.coded_rows import Coded
from observability.simulation.counting import Figures, added, grouped
from observability.simulation.findings_cache import Remembered
from observability.simulation.log_rows import Array
from observability.store.query.answer import CODES, texts

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.core.analyzer import Analyzer, Context
    from observability.core.finding import Finding

DAY = np.timedelta64(1, "D")


@dataclass(eq=False)
class Part:
    """The rows of one version on one day of event time (of a reference: all of its rows).

    answers: what was counted, by question, slice and how much had arrived.
    """

    version: Version
    coded: Coded
    day: Any
    answers: dict[Any, Figures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = self.coded.rows
        self.arrivals = np.sort(rows["arrived"])
        labels = rows["label_arrived"]
        self.label_arrivals = np.sort(labels[~np.isnat(labels) & ~np.isnan(rows["label"])])

    def state(self, as_of: Any) -> tuple[int, int]:
        """How many predictions and labels had arrived: what is known grows with time, so that the two numbers say which it is."""
        if as_of is None:
            return len(self.arrivals), len(self.label_arrivals)
        return int(np.searchsorted(self.arrivals, as_of, "right")), int(np.searchsorted(self.label_arrivals, as_of, "right"))


@dataclass
class Tables:
    """A model's log in memory; it answers in place of a store (observability/core/engine.py).

    references: the reference by version. records: frames of other records by kind, oldest first. clean: ids of parts that nothing was planted in;
    answers over such parts only are kept in `shared`, whatever is planted on other days.
    before: what was said about equal answers. levels: texts of the levels of each key, whose places are the codes of the parts.
    """

    model: Model
    parts: dict[Any, list[Part]]
    references: dict[str, Part]
    records: Mapping[str, "DataFrame"] = field(default_factory=dict)
    clean: frozenset[int] = frozenset()
    shared: dict[Any, "DataFrame"] = field(default_factory=dict)
    before: Remembered = field(default_factory=Remembered)
    levels: dict[str, dict[str | None, int]] = field(default_factory=dict)

    def add(self, parts: Iterable[Part]) -> None:
        """More of the log."""
        for part in parts:
            self.parts.setdefault(part.day, []).append(part)

    def put(self, question: Question, window: Window) -> "DataFrame":
        """The answer to a question; empty where it is about something that is computed after loading (attributions, estimated errors)."""
        if isinstance(question, Aggregate):
            return self.aggregate(question, window)
        if isinstance(question, Sample):
            return self.sample(question, window)
        if isinstance(question, Records):
            return self.record_frame(question, window)
        from observability.simulation.empty_frames import nothing

        return nothing(question)

    def chosen(self, window: Window) -> list[Part]:
        """The parts that a window touches."""
        if window.environment == "reference":
            return [part for name, part in self.references.items() if window.version in (None, name)]
        if window.environment != "production":
            return []
        first, end = instant(window.start), instant(window.end)
        days = np.arange(first.astype("datetime64[D]"), (end - np.timedelta64(1, "us")).astype("datetime64[D]") + DAY)
        return [part for day in days for part in self.parts.get(day, ()) if window.version in (None, part.version.name)]

    def aggregate(self, question: Aggregate, window: Window) -> "DataFrame":
        """The answer to an aggregate."""
        parts = self.chosen(window)
        as_of = None if window.as_of is None or window.environment == "reference" else instant(window.as_of)
        key = (question, window.slice, tuple((id(part), part.state(as_of)) for part in parts), ragged(window))
        if (known := self.shared.get(key)) is not None:
            return known
        found = [self.counted(part, question, window, as_of) for part in parts]
        answer = self.assembled(question, added([each for each in found if each[0].size], question))
        return self.kept(key, parts, answer)

    def kept(self, key: Any, parts: list[Part], answer: "DataFrame") -> "DataFrame":
        """An answer, which is kept for whatever is planted where it is about clean parts only."""
        if all(id(part) in self.clean for part in parts):
            self.shared[key] = answer
            self.before.keep(answer)
        return answer

    def counted(self, part: Part, question: Aggregate, window: Window, as_of: Any) -> Figures:
        """One part's share of an answer."""
        cut = cuts(part, window)
        key = (question, window.slice, part.state(as_of), (window.start, window.end) if cut else None)
        if key not in part.answers:
            mask = part.coded.seen(as_of)
            if cut:
                at = part.coded.rows["at"]
                mask = mask & (at >= instant(window.start)) & (at < instant(window.end))
            part.answers[key] = self.count(part, question, window.slice, mask, as_of)
        return part.answers[key]

    def count(self, part: Part, question: Aggregate, where: Slice | None, mask: NDArray[np.bool_], as_of: Any) -> Figures:
        """Counts of the rows of a mask, by the question's keys."""
        coded = part.coded
        if where is not None:
            mask = mask & coded.within(where, part.version)
        keys = [self.key_codes(part, key, as_of) for key in question.keys]
        weights = coded.weights
        if question.histogram or question.sums:
            found = []
            for place, reference in enumerate(question.histogram or question.sums):
                if question.histogram:
                    bins, counted = coded.bins(reference, as_of)
                    item = [*keys, np.full(bins.size, place), bins]
                    found.append(grouped(item, mask & counted, weights, None))
                else:
                    values, counted = coded.summed(reference, as_of)
                    found.append(grouped([*keys, np.full(values.size, place)], mask & counted, weights, values))
            return tuple(np.concatenate(each) for each in zip(*found, strict=True))
        return grouped(keys, mask, weights, None)

    def key_codes(self, part: Part, key: Bucket | By, as_of: Any) -> Array:
        """Codes of one key: hours since 1970, class indices, or places in `levels`."""
        coded = part.coded
        if isinstance(key, Bucket):
            if part.day is None:
                return np.zeros(len(coded.rows), np.int64)
            return coded.hours - (coded.hours % 24 if key.period == "day" else 0)
        name = key.column
        if name == "version":
            return np.full(len(coded.rows), self.level("version", part.version.name))
        if name in CODES:
            return coded.codes(name, as_of)
        own, names = coded.levels(name)
        places = np.array([self.level(name, each) for each in names], np.int64)
        return places[own]

    def level(self, name: str, text: str | None) -> int:
        """The code of a level."""
        known = self.levels.setdefault(name, {})
        return known.setdefault(text, len(known))

    def assembled(self, question: Aggregate, figures: Figures) -> "DataFrame":
        """The frame that the store's engine gives: names, types, and rows in order of the keys."""
        import pandas as pd

        names = question.key_names
        counts = ("n", "w", "w2", *(("total", "squares", "low", "high") if question.sums else ()))
        if not figures:
            figures = tuple(np.empty(0, np.int64) for _ in range(len(names) + 1)) + tuple(np.empty(0) for _ in counts[1:])
            if not names:
                figures = tuple(np.zeros(1) for _ in counts)
        keys, values = list(figures[: len(names)]), figures[len(names) :]
        shown: list[Array] = []
        orders: list[Array] = []
        for place, name in enumerate(names):
            if place >= len(question.keys):
                items = np.array((*(question.histogram or question.sums), None), object)[:-1]
                shown.append(keys[place] if name == "bin" else items[keys[place]])
                orders.append(keys[place])
            elif isinstance(question.keys[place], Bucket):
                shown.append(keys[place].astype("datetime64[h]").astype("datetime64[us]"))
                orders.append(keys[place])
            elif name in CODES:
                shown.append(keys[place])
                orders.append(keys[place])
            else:
                known = list(self.levels.get(name, {})) or [None]
                shown.append(np.array([*known, None], object)[:-1][keys[place]])
                ranks = np.empty(len(known), np.int64)
                ranks[sorted(range(len(known)), key=lambda each: (known[each] is None, known[each] or ""))] = np.arange(len(known))
                orders.append(ranks[keys[place]])
        order = np.lexsort(orders[::-1]) if orders else np.arange(values[0].size)
        order = order[values[0][order] != 0]
        answer: dict[str, Any] = {}
        for place, name in enumerate(names):
            column = shown[place][order]
            answer[name] = texts(column) if column.dtype == object else pd.Series(column)
        for name, column in zip(counts, values, strict=True):
            answer[name] = pd.Series(column[order].astype(np.int64 if name == "n" else np.float64))
        return pd.DataFrame(answer)

    def sample(self, question: Sample, window: Window) -> "DataFrame":
        """The rows with the smallest hash of the id."""
        import pandas as pd

        as_of = None if window.as_of is None or window.environment == "reference" else instant(window.as_of)
        parts = self.chosen(window)
        key = (question, window.slice, tuple((id(part), part.state(as_of)) for part in parts), ragged(window))
        if (known := self.shared.get(key)) is not None:
            return known
        places, hashes, sources = [], [], []
        for number, part in enumerate(parts):
            mask = part.coded.seen(as_of)
            if cuts(part, window):
                at = part.coded.rows["at"]
                mask = mask & (at >= instant(window.start)) & (at < instant(window.end))
            if window.slice is not None:
                mask = mask & part.coded.within(window.slice, part.version)
            own = part.coded.by_hash[mask[part.coded.by_hash]][: question.rows]
            places.append(own)
            hashes.append(part.coded.sample_hash[own])
            sources.append(np.full(own.size, number))
        if not parts:
            return pd.DataFrame({name: [] for name in question.columns})
        place, source = np.concatenate(places), np.concatenate(sources)
        order = np.argsort(np.concatenate(hashes), kind="stable")[: question.rows]
        place, source = place[order], source[order]
        answer = {}
        for name in question.columns:
            column: Array | None = None
            for number, part in enumerate(parts):
                own = source == number
                values = part.coded.cells(name, as_of)
                if column is None:
                    column = np.empty(source.size, values.dtype)
                column[own] = values[place[own]]
            assert column is not None
            answer[name] = texts(column) if column.dtype == object else pd.Series(column)
        return self.kept(key, parts, pd.DataFrame(answer))

    def record_frame(self, question: Records, window: Window) -> "DataFrame":
        """Records of another kind, as store/query/records.py gives them."""
        from observability.simulation.empty_frames import no_records

        frame = self.records.get(question.kind)
        if frame is None:
            return no_records(question)
        moment = "at" if "at" in frame else "from"
        keep = frame[moment] < instant(window.end)
        if not question.ever:
            keep &= frame[moment] >= instant(window.start)
        if window.as_of is not None:
            keep &= frame["arrived"] <= instant(window.as_of)
        for name, wanted in question.only:
            keep &= frame[name].isin([wanted] if isinstance(wanted, str) else wanted)
        return frame.loc[keep, list(question.columns or frame.columns.drop("arrived"))].tail(question.rows).reset_index(drop=True)

    def counters(self, model: str, window: Window) -> dict[str, Any]:
        """What the loader would have counted."""
        end = instant(window.end if window.as_of is None else min(window.end, window.as_of))
        stored = duplicates = 0
        unknown: dict[str, int] = {}
        for parts in self.parts.values():
            for part in parts:
                arrived = part.coded.rows["arrived"]
                inside = (arrived >= instant(window.start)) & (arrived < end)
                stored += int(inside.sum())
                if (copies := part.coded.rows.get("copies")) is not None:
                    duplicates += int(copies[inside].sum())
        for part in self.chosen(window):
            seen = part.coded.seen(None if window.as_of is None else instant(window.as_of))
            for name, values in part.coded.rows.columns.items():
                if name.startswith("extra.") and (count := int((seen & part.coded.given(values)).sum())):
                    unknown[name.removeprefix("extra.")] = unknown.get(name.removeprefix("extra."), 0) + count
        return {"lines": stored + duplicates, "stored": stored, "duplicates": duplicates, "rejected": 0, "unknown_columns": unknown}

    def said(self, analyzer: "Analyzer", frames: "Mapping[str, DataFrame]", context: "Context") -> "list[Finding]":
        """What an analyzer says, now or before (remembered.py)."""
        return self.before.ask(analyzer, frames, context)

    def events(self, model: str | None, start: datetime, end: datetime) -> "DataFrame":
        """No events are planted."""
        import pandas as pd

        frame = pd.DataFrame(
            {name: pd.Series(dtype=object) for name in ("at", "model", "version", "what", "text", "prediction", "subject")}
        )
        return frame.astype({"at": "datetime64[us]"})


def instant(when: datetime) -> Any:
    """An instant as the arrays have it."""
    return np.datetime64(naive_utc(when), "us")


def ragged(window: Window) -> tuple[datetime, datetime] | None:
    """Start and end of a window that does not fall on whole days; None where it does, or has no time."""
    if window.environment == "reference" or window.on_grain(timedelta(days=1)):
        return None
    return window.start, window.end


def cuts(part: Part, window: Window) -> bool:
    """Whether a window holds only some of a part's day."""
    if part.day is None:
        return False
    return bool(instant(window.start) > part.day or instant(window.end) < part.day + DAY)
