"""Verdicts, actions, decisions and what-ifs as their entries make them. Nothing is overwritten: an item shows, field by field, the newest value, and keeps every entry with its author and time."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from observability.records.kinds import TRIAGE_SOURCES
from observability.stats.interval import Interval, rate_interval

DecisionKind = Literal["verdict", "action", "decision", "what_if"]
MINIMUM_ERRORS = 10
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
class DecisionEntry:
    """What one person said at one time (UTC), and nothing else: only the fields that this record has."""

    at: datetime
    author: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class DecisionItem:
    """One verdict, action, decision or what-if as its entries, oldest first, make it. `fields` has the newest value said of each field."""

    kind: DecisionKind
    id: str
    entries: tuple[DecisionEntry, ...]

    @property
    def fields(self) -> dict[str, Any]:
        """Field: the newest value that somebody said."""
        merged: dict[str, Any] = {}
        for each in self.entries:
            merged |= each.fields
        return merged

    @property
    def first(self) -> DecisionEntry:
        """The entry that began it."""
        return self.entries[0]

    @property
    def last(self) -> DecisionEntry:
        """The newest entry."""
        return self.entries[-1]

    @property
    def state(self) -> str:
        """Of a verdict, a decision or a what-if standing or withdrawn, of an action open until something else is said."""
        return str(self.fields.get("state") or ("open" if self.kind == "action" else "standing"))

    def said(self, field: str) -> DecisionEntry | None:
        """The entry whose value of a field holds; None where nobody said one."""
        return next((each for each in reversed(self.entries) if field in each.fields), None)


@dataclass(frozen=True)
class SourceShare:
    """How many of the confirmed errors came from one source, with the share's 95 % interval (None below ENOUGH errors)."""

    source: str
    errors: int
    share: Interval | None


def confirmed_errors(verdicts: Iterable[DecisionItem]) -> list[DecisionItem]:
    """The standing verdicts that a prediction was wrong, the newest of each prediction: one error is counted once."""
    newest: dict[tuple[Any, Any], DecisionItem] = {}
    for each in sorted(verdicts, key=lambda item: (item.last.at, item.id)):
        if each.state == "standing":
            newest[each.fields["model"], each.fields["prediction"]] = each
    return [each for each in newest.values() if each.fields.get("wrong") == "yes"]


def error_sources(verdicts: Iterable[DecisionItem]) -> list[SourceShare]:
    """Where confirmed errors came from, the most frequent source first."""
    counts = Counter(str(each.fields["source"]) for each in confirmed_errors(verdicts))
    total = counts.total()
    shares = {source: rate_interval(errors, total) if total >= MINIMUM_ERRORS else None for source, errors in counts.items()}
    ordered = sorted(counts, key=lambda source: (-counts[source], TRIAGE_SOURCES.index(source)))
    return [SourceShare(source, counts[source], shares[source]) for source in ordered]


def error_source_sentence(verdicts: Iterable[DecisionItem]) -> str | None:
    """`41 % of 51 confirmed errors came from upstream data (21; 95 % interval 29 to 55 %).` None where no error is confirmed."""
    shares = error_sources(verdicts)
    if not shares:
        return None
    total, top = sum(each.errors for each in shares), shares[0]
    of_all = f"{total} confirmed error{'s' * (total != 1)}"
    if top.share is None or top.share.low is None or top.share.high is None:
        return f"{top.errors} of {of_all} came from {SOURCE_WORDS[top.source]}; a share is said from {MINIMUM_ERRORS} on, {MINIMUM_ERRORS - total} more."
    low, high = 100 * top.share.low, 100 * top.share.high
    return (
        f"{100 * top.errors / total:.0f} % of {of_all} came from {SOURCE_WORDS[top.source]} ({top.errors}; "
        f"95 % interval {low:.0f} to {high:.0f} %)."
    )
