"""Measured questions of a store (store/query/query_log.py)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass
class AskedQuestion:
    """One question, for any dates. table: the kind of records, or the table of the model. columns: the columns that it reads. seconds:
    total time; slowest: the slowest time.
    """

    table: str
    model: str
    columns: tuple[str, ...]
    times: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    last: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class AskedQuestions:
    """The questions about one model, or about no model, of at most four weeks.

    since: start of the log. entries: slowest first. For a past day, only the slowest questions are kept. For the present day, the least
    recently asked ones may be dropped; `dropped` is their number. used: references of all columns that any question read, including
    questions that were dropped from the list.
    """

    since: datetime
    entries: tuple[AskedQuestion, ...]
    used: frozenset[str]
    dropped: int
