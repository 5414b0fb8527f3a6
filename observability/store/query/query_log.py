"""Keep a log of the questions that the store was asked in the last weeks, with their durations and the columns that they read. The log is a
file, and its size for each day is bounded.

The file holds names of tables, models and columns and no value of a row. It is not synced to the disk: a loss of power may cost the last
minutes of the log, or all of it.
"""

import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.questions import Aggregate, Attributions, By, EstimatedErrors, Records, Sample
from observability.store.types.asked_questions import AskedQuestion, AskedQuestions

if TYPE_CHECKING:
    from observability.core.questions import Question
    from observability.core.window import Window

QUESTIONS_FILE = "questions.json"
MAX_LOG_DAYS = 28
"""Days that are kept, the present one included."""
MAX_KEPT_QUESTIONS = 500
"""Maximum number of different questions that are kept for the present day; the question that was asked least recently is dropped first."""
MAX_QUESTIONS_OF_DAY, MAX_QUESTIONS_OF_MODEL = 100, 10
"""Maximum number of questions of a day, and of one model on that day, that the file keeps: the slowest ones."""
MAX_NAMED_COLUMNS = 40
"""Maximum number of columns of a question that are named; the number of further columns follows."""
SAVE_SECONDS = 300.0
"""Seconds between two writes of the file while questions are asked."""
Key = tuple[str, str, tuple[str, ...]]


class QueryLog:
    """Measured questions of one store. path: the file of the log; None keeps it in memory alone."""

    def __init__(self, path: Path | None = None) -> None:
        self.since = datetime.now(UTC)
        self._path = path
        self._dropped = 0
        self._days: dict[str, OrderedDict[Key, AskedQuestion]] = {}
        self._read: dict[str, dict[str, str]] = {}
        """By model and column: the last day on which a question read it."""
        self._mutex, self._saving = threading.Lock(), threading.Lock()
        self._changed, self._save_at = False, time.monotonic() + SAVE_SECONDS
        if path is not None:
            with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
                self._take(json.loads(path.read_text(encoding="utf-8")))

    @contextmanager
    def timed(self, question: "Question", window: "Window") -> Iterator[None]:
        """Measure a question within the context. A question that fails is not kept."""
        began = time.perf_counter()
        yield
        self.note(question, window.model, time.perf_counter() - began)

    def note(self, question: "Question", model: str, seconds: float, now: datetime | None = None) -> None:
        """Keep one measured question, and write the file if it is time."""
        table, columns = question_columns(question)
        self.note_columns(table, columns, model, seconds, now)

    def note_columns(self, table: str, columns: tuple[str, ...], model: str, seconds: float, now: datetime | None = None) -> None:
        """Keep a measured reading of columns of a table, or of a query (its text without values), and write the file if it is time."""
        now = now or datetime.now(UTC)
        named = (
            columns if len(columns) <= MAX_NAMED_COLUMNS else (*columns[:MAX_NAMED_COLUMNS], f"{len(columns) - MAX_NAMED_COLUMNS:,} more")
        )
        key, day = (table, model, named), now.date().isoformat()
        with self._mutex:
            asked = self._days.get(day)
            if asked is None:
                self._forget_before(now.date() - timedelta(days=MAX_LOG_DAYS - 1))
                asked = self._days[day] = OrderedDict()
            entry = asked.setdefault(key, AskedQuestion(table, model, named))
            asked.move_to_end(key)
            entry.times, entry.seconds, entry.slowest = entry.times + 1, entry.seconds + seconds, max(entry.slowest, seconds)
            entry.last = now
            self._read.setdefault(model, {}).update(dict.fromkeys(columns, day))
            if len(asked) > MAX_KEPT_QUESTIONS:
                asked.popitem(last=False)
                self._dropped += 1
            self._changed = True
            due = time.monotonic() >= self._save_at
        if due:
            self.save()

    def asked(self, model: str) -> AskedQuestions:
        """The questions about one model of all days that are kept. With "", the questions about no model."""
        with self._mutex:
            own: dict[Key, AskedQuestion] = {}
            for asked in self._days.values():
                for key, each in asked.items():
                    if each.model == model:
                        own[key] = _joined(own[key], each) if key in own else replace(each)
            slowest = sorted(own.values(), key=lambda each: -each.slowest)
            return AskedQuestions(self.since, tuple(slowest), frozenset(self._read.get(model, ())), self._dropped)

    def keep_models(self, names: Collection[str]) -> None:
        """Forget the questions about every model but these, in the file too."""
        with self._mutex:
            kept = {"", *names}
            for asked in self._days.values():
                for key in [key for key, each in asked.items() if each.model not in kept]:
                    del asked[key]
            self._read = {model: columns for model, columns in self._read.items() if model in kept}
            self._changed = True
        self.save()

    def save(self) -> None:
        """Write the file if a question was asked since the last write. If the home cannot be written, no file is written."""
        with self._saving:  # a question waits for this copy only, not for the file
            with self._mutex:
                if self._path is None or not self._changed:
                    return
                self._changed, self._save_at = False, time.monotonic() + SAVE_SECONDS
                content = self._content()
            text = json.dumps(content, separators=(",", ":"))
            draft = self._path.with_name(f".{self._path.name}.draft")
            with suppress(OSError):
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                    file.write(text)
                draft.replace(self._path)

    def _content(self) -> dict[str, Any]:
        """The content of the file: the slowest questions of each day, and by model and day the columns that were last read on that day."""
        days = {
            day: [
                [e.table, e.model, e.columns, e.times, e.seconds, e.slowest, e.last.isoformat()] for e in slowest_questions(asked.values())
            ]
            for day, asked in self._days.items()
        }
        read: dict[str, dict[str, list[str]]] = {}
        for model, columns in self._read.items():
            for column, day in columns.items():
                read.setdefault(model, {}).setdefault(day, []).append(column)
        return {"since": self.since.isoformat(), "dropped": self._dropped, "days": days, "read": read}

    def _take(self, content: Any) -> None:
        """Take over the entries of an earlier process that are recent enough."""
        days: dict[str, OrderedDict[Key, AskedQuestion]] = {}
        for day, entries in content["days"].items():
            asked = days.setdefault(date.fromisoformat(day).isoformat(), OrderedDict())
            for table, model, columns, times, seconds, slowest, last in entries:
                entry = AskedQuestion(str(table), str(model), tuple(map(str, columns)), int(times), float(seconds), float(slowest))
                asked[entry.table, entry.model, entry.columns] = replace(entry, last=datetime.fromisoformat(last).astimezone(UTC))
        read = {model: {column: day for day, names in of.items() for column in names} for model, of in content["read"].items()}
        since, dropped = datetime.fromisoformat(content["since"]).astimezone(UTC), int(content["dropped"])
        self.since, self._dropped, self._days, self._read = since, dropped, days, read
        self._forget_before(datetime.now(UTC).date() - timedelta(days=MAX_LOG_DAYS - 1))

    def _forget_before(self, first: date) -> None:
        """Forget the days before one, and columns that were not read since."""
        oldest = first.isoformat()
        self._days = {day: asked for day, asked in self._days.items() if day >= oldest}
        kept = {model: {column: day for column, day in columns.items() if day >= oldest} for model, columns in self._read.items()}
        self._read = {model: columns for model, columns in kept.items() if columns}
        self.since = max(self.since, datetime(first.year, first.month, first.day, tzinfo=UTC))


def slowest_questions(asked: Iterable[AskedQuestion]) -> list[AskedQuestion]:
    """The slowest questions of a day, at most MAX_QUESTIONS_OF_MODEL of a model and MAX_QUESTIONS_OF_DAY in all, slowest first."""
    found: list[AskedQuestion] = []
    of_model: dict[str, int] = {}
    for each in sorted(asked, key=lambda each: -each.slowest):
        if len(found) < MAX_QUESTIONS_OF_DAY and of_model.get(each.model, 0) < MAX_QUESTIONS_OF_MODEL:
            found.append(each)
            of_model[each.model] = of_model.get(each.model, 0) + 1
    return found


def _joined(one: AskedQuestion, other: AskedQuestion) -> AskedQuestion:
    """The same question with the times of two entries added up."""
    seconds, slowest, last = one.seconds + other.seconds, max(one.slowest, other.slowest), max(one.last, other.last)
    return replace(one, times=one.times + other.times, seconds=seconds, slowest=slowest, last=last)


def question_columns(question: "Question") -> tuple[str, tuple[str, ...]]:
    """The table of a question, and the columns that it reads, in order of name."""
    if isinstance(question, Records):
        return question.kind, tuple(sorted(question.columns or ("all",)))
    if isinstance(question, Sample):
        return question.table, tuple(sorted(question.columns))
    if isinstance(question, Aggregate):
        keys = [key.column for key in question.keys if isinstance(key, By)]
        return question.table, tuple(sorted({*keys, *question.histogram, *question.sums}))
    if isinstance(question, Attributions):
        return "attributions", tuple(sorted(question.columns))
    return ("estimated errors", ()) if isinstance(question, EstimatedErrors) else ("other", ())
