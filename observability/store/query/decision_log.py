"""What have people said about predictions, and what is to be done?

Records of one id are entries of one item. Nothing is overwritten: the item shows, field by field, the newest value that somebody said, and
keeps every entry with its author and time, so two people who write about one item lose no words.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Window
from observability.records.kinds import KINDS, TRIAGE_SOURCES
from observability.records.values import AFTER_LAST, FIRST
from observability.stats.interval import Interval, rate_interval
from observability.store.query import records

if TYPE_CHECKING:
    from observability.store.db.database import Store

What = Literal["verdict", "action", "decision", "what_if"]
OWN = ("at", "author")
"""Fields that belong to an entry, not to the item."""
ENOUGH = 10
"""Confirmed errors below which no share of them is said."""
SOURCE_WORDS = {
    "input": "upstream data",
    "far_from_reference": "cases unlike the reference",
    "label": "wrong labels",
    "weak_slice": "a slice known to be weak",
    "boundary": "cases near the boundary",
    "version": "a change of version",
    "degraded_path": "a degraded path, such as a fallback",
    "unknown": "no known source",
}
"""What errors come from, as the end of a sentence."""


@dataclass(frozen=True)
class Entry:
    """What one person said at one time (UTC), and nothing else: only the fields that this record has."""

    at: datetime
    author: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One verdict, action, decision or what-if as its entries, oldest first, make it. `fields` has the newest value said of each field."""

    kind: What
    id: str
    entries: tuple[Entry, ...]

    @property
    def fields(self) -> dict[str, Any]:
        """Field: the newest value that somebody said."""
        merged: dict[str, Any] = {}
        for each in self.entries:
            merged |= each.fields
        return merged

    @property
    def first(self) -> Entry:
        """The entry that began it."""
        return self.entries[0]

    @property
    def last(self) -> Entry:
        """The newest entry."""
        return self.entries[-1]

    @property
    def state(self) -> str:
        """Of a verdict, a decision or a what-if standing or withdrawn, of an action open until something else is said."""
        return str(self.fields.get("state") or ("open" if self.kind == "action" else "standing"))

    def said(self, field: str) -> Entry | None:
        """The entry whose value of a field holds; None where nobody said one."""
        return next((each for each in reversed(self.entries) if field in each.fields), None)


@dataclass(frozen=True)
class SourceShare:
    """How many of the confirmed errors came from one source, with the share's 95 % interval (None below ENOUGH errors)."""

    source: str
    errors: int
    share: Interval | None


def verdicts(store: "Store", model: str | None = None, prediction: str | None = None, as_of: datetime | None = None) -> tuple[Item, ...]:
    """Verdicts, those whose newest entry is newest first; of one model, and of one of its predictions. as_of: entries that had arrived by then."""
    return items(store, "verdict", model, as_of, prediction=prediction)


def actions(store: "Store", model: str | None = None, prediction: str | None = None, as_of: datetime | None = None) -> tuple[Item, ...]:
    """Actions, those whose newest entry is newest first; of one model (None: of all and of none), and about one of its predictions."""
    return tuple(
        each
        for each in items(store, "action", None, as_of)
        if (model is None or each.fields.get("model") == model) and (prediction is None or each.fields.get("prediction") == prediction)
    )


def what_ifs(store: "Store", model: str, prediction: str) -> tuple[Item, ...]:
    """What-ifs of a prediction that somebody saved and nobody withdrew, the newest first."""
    return tuple(each for each in items(store, "what_if", model, prediction=prediction) if each.state == "standing")


def decisions(store: "Store", model: str | None = None, as_of: datetime | None = None) -> tuple[Item, ...]:
    """Decisions, those whose newest entry is newest first; of one model (None: of all and of none)."""
    return tuple(each for each in items(store, "decision", None, as_of) if model is None or each.fields.get("model") == model)


def items(store: "Store", kind: What, model: str | None = None, as_of: datetime | None = None, **only: str | None) -> tuple[Item, ...]:
    """Everything that was said in records of a kind, merged by id. only: fields that every entry must have with that value."""
    question = Records(kind, ever=True, only=tuple((name, value) for name, value in only.items() if value is not None))
    frame = records.fetch(store, question, Window(model or "", FIRST, AFTER_LAST, as_of=as_of))
    names = [name for name in KINDS[kind].fields if name in frame and name not in OWN]
    entries: dict[tuple[str, ...], list[Entry]] = {}
    for row in frame.to_dict("records"):
        said = {name: row[name] for name in names if is_said(row[name])}
        key = tuple(str(said[name]) for name in (("model", "prediction", "verdict") if kind == "verdict" else (kind,)))
        fields = {name: aware(value) for name, value in said.items() if name != kind}
        entries.setdefault(key, []).append(Entry(aware(row["at"]), str(row["author"]), fields))
    found = [Item(kind, key[-1], tuple(each)) for key, each in entries.items()]
    return tuple(sorted(found, key=lambda each: (each.last.at, each.id), reverse=True))


def is_said(value: Any) -> bool:
    """Whether a record has a value there: neither None nor a missing number or time."""
    return value is not None and value == value


def aware(value: Any) -> Any:
    """A stored (naive UTC) time as an instant; anything else as it is."""
    return aware_utc(value.to_pydatetime()) if hasattr(value, "to_pydatetime") else value


def confirmed(verdicts: Iterable[Item]) -> list[Item]:
    """The standing verdicts that a prediction was wrong, the newest of each prediction: one error is counted once."""
    newest: dict[tuple[Any, Any], Item] = {}
    for each in sorted(verdicts, key=lambda item: (item.last.at, item.id)):
        if each.state == "standing":
            newest[each.fields["model"], each.fields["prediction"]] = each
    return [each for each in newest.values() if each.fields.get("wrong") == "yes"]


def errors_by_source(verdicts: Iterable[Item]) -> list[SourceShare]:
    """Where confirmed errors came from, the most frequent source first."""
    counts = Counter(str(each.fields["source"]) for each in confirmed(verdicts))
    total = counts.total()
    shares = {source: rate_interval(errors, total) if total >= ENOUGH else None for source, errors in counts.items()}
    ordered = sorted(counts, key=lambda source: (-counts[source], TRIAGE_SOURCES.index(source)))
    return [SourceShare(source, counts[source], shares[source]) for source in ordered]


def errors_sentence(verdicts: Iterable[Item]) -> str | None:
    """`41 % of 51 confirmed errors came from upstream data (21; 95 % interval 29 to 55 %).` None where no error is confirmed."""
    shares = errors_by_source(verdicts)
    if not shares:
        return None
    total, top = sum(each.errors for each in shares), shares[0]
    of_all = f"{total} confirmed error{'s' * (total != 1)}"
    if top.share is None or top.share.low is None or top.share.high is None:
        return f"{top.errors} of {of_all} came from {SOURCE_WORDS[top.source]}; a share is said from {ENOUGH} on, {ENOUGH - total} more."
    low, high = 100 * top.share.low, 100 * top.share.high
    return (
        f"{100 * top.errors / total:.0f} % of {of_all} came from {SOURCE_WORDS[top.source]} ({top.errors}; "
        f"95 % interval {low:.0f} to {high:.0f} %)."
    )
