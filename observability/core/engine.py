"""Who answers what the analyzers ask, where it is not a store?

`run` asks a store. Replays over thousands of planted faults ask tables in memory instead (observability/lab), with the same questions and equal answers.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from observability.core.questions import Question
from observability.core.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.core.analyzer import Analyzer, Context
    from observability.core.finding import Finding


@runtime_checkable
class Answers(Protocol):
    """Something that answers in place of a store; each method answers as the store's own function of the same meaning does."""

    def put(self, question: Question, window: Window) -> "DataFrame":
        """The answer to a question of any type, as store/query/aggregates.py and its neighbours give it."""
        ...

    def counters(self, model: str, window: Window) -> dict[str, Any]:
        """What the loader counted about a model in a window, as store/registry/admin.py gives it."""
        ...

    def events(self, model: str | None, start: datetime, end: datetime) -> "DataFrame":
        """What happened in [start, end), as store/query/listing.py gives it."""
        ...

    def said(self, analyzer: "Analyzer", frames: "Mapping[str, DataFrame]", context: "Context") -> "list[Finding]":
        """What an analyzer says about its frames; it is pure, so that it need not be asked twice about equal ones."""
        ...
