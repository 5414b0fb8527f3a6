"""Which questions the store was asked since it was opened, how long they took, and which columns they read: bounded, in memory."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from observability.core.questions import Aggregate, Attributions, By, EstimatedErrors, Records, Sample
from observability.store.types.asked_questions import AskedQuestion, AskedQuestions

if TYPE_CHECKING:
    from observability.core.questions import Question
    from observability.core.window import Window

MAX_KEPT_QUESTIONS = 500
"""Different questions that are kept; the one that was asked least recently is dropped first."""


class QueryLog:
    """Measured questions of one open store."""

    def __init__(self) -> None:
        self.since = datetime.now(UTC)
        self._dropped = 0
        self._asked: OrderedDict[tuple[str, str, tuple[str, ...]], AskedQuestion] = OrderedDict()
        self._columns: dict[str, set[str]] = {}
        self._mutex = threading.Lock()

    @contextmanager
    def timed(self, question: "Question", window: "Window") -> Iterator[None]:
        """Measure a question; one that fails is not kept."""
        began = time.perf_counter()
        yield
        self.note(question, window.model, time.perf_counter() - began)

    def note(self, question: "Question", model: str, seconds: float) -> None:
        """Keep one measured question."""
        table, columns = question_columns(question)
        with self._mutex:
            key = (table, model, columns)
            entry = self._asked.setdefault(key, AskedQuestion(table, model, columns))
            self._asked.move_to_end(key)
            entry.times, entry.seconds, entry.slowest = entry.times + 1, entry.seconds + seconds, max(entry.slowest, seconds)
            entry.last = datetime.now(UTC)
            self._columns.setdefault(model, set()).update(columns)
            if len(self._asked) > MAX_KEPT_QUESTIONS:
                self._asked.popitem(last=False)
                self._dropped += 1

    def asked(self, model: str) -> AskedQuestions:
        """The questions about one model, or with "" those about none."""
        with self._mutex:
            own = sorted((replace(each) for each in self._asked.values() if each.model == model), key=lambda each: -each.slowest)
            return AskedQuestions(self.since, tuple(own), frozenset(self._columns.get(model, ())), self._dropped)


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
