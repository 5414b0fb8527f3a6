"""Verdicts, actions, decisions, what-ifs, saved cases and dashboards, merged from their entries.

Nothing is overwritten: an item has the newest value of each field, and keeps every entry with its author and time.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from observability.records.kinds import TRIAGE_SOURCES
from observability.stats.interval import Interval, rate_interval

DecisionKind = Literal["verdict", "action", "decision", "what_if", "saved_case", "dashboard", "pin"]
MINIMUM_ERRORS = 10
"""Minimum number of confirmed errors for a share with an interval."""
SOURCE_WORDS = {
    "input": "upstream data",
    "far_from_reference": "cases unlike the reference",
    "label": "wrong labels",
    "weak_slice": "a slice known to be weak",
    "boundary": "cases near the boundary",
    "version": "the version that answered",
    "degraded_path": "a degraded path, such as a fallback",
    "expected": "errors that are as frequent as expected",
    "unknown": "no known source",
}
"""Sources of errors, as the end of a sentence."""


@dataclass(frozen=True)
class DecisionEntry:
    """One record of one person at one time (UTC), with only the fields it sets."""

    at: datetime
    author: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class DecisionItem:
    """One verdict, action, decision, what-if, saved case, dashboard or pin with its entries, oldest first.

    `fields`: the newest value of each.
    """

    kind: DecisionKind
    id: str
    entries: tuple[DecisionEntry, ...]

    @property
    def fields(self) -> dict[str, Any]:
        """The newest value of each field."""
        merged: dict[str, Any] = {}
        for each in self.entries:
            merged |= each.fields
        return merged

    @property
    def first(self) -> DecisionEntry:
        """The oldest entry."""
        return self.entries[0]

    @property
    def last(self) -> DecisionEntry:
        """The newest entry."""
        return self.entries[-1]

    @property
    def state(self) -> str:
        """The state: an action is `open` until an entry changes this; any other item is `standing` or `withdrawn`."""
        return str(self.fields.get("state") or ("open" if self.kind == "action" else "standing"))

    def said(self, field: str) -> DecisionEntry | None:
        """The entry that set the present value of a field; None if no entry did."""
        return next((each for each in reversed(self.entries) if field in each.fields), None)


@dataclass(frozen=True)
class SourceShare:
    """Confirmed errors from one source, with the share's 95 % interval (None below MINIMUM_ERRORS errors)."""

    source: str
    errors: int
    share: Interval | None


def confirmed_errors(verdicts: Iterable[DecisionItem]) -> list[DecisionItem]:
    """The newest standing verdict of each prediction, if it confirms an error. Each error counts once."""
    newest: dict[tuple[Any, Any], DecisionItem] = {}
    for each in sorted(verdicts, key=lambda item: (item.last.at, item.id)):
        if each.state == "standing":
            newest[each.fields["model"], each.fields["prediction"]] = each
    return [each for each in newest.values() if each.fields.get("wrong") == "yes"]


def error_sources(verdicts: Iterable[DecisionItem]) -> list[SourceShare]:
    """Sources of confirmed errors, the most frequent first."""
    counts = Counter(str(each.fields["source"]) for each in confirmed_errors(verdicts))
    total = counts.total()
    shares = {source: rate_interval(errors, total) if total >= MINIMUM_ERRORS else None for source, errors in counts.items()}
    ordered = sorted(counts, key=lambda source: (-counts[source], TRIAGE_SOURCES.index(source)))
    return [SourceShare(source, counts[source], shares[source]) for source in ordered]


def error_source_sentence(verdicts: Iterable[DecisionItem]) -> str | None:
    """`41 % of 51 confirmed errors came from upstream data (21; 95 % interval 29 to 55 %).` None without confirmed errors."""
    shares = error_sources(verdicts)
    if not shares:
        return None
    total, top = sum(each.errors for each in shares), shares[0]
    of_all = f"{total} confirmed error{'s' * (total != 1)}"
    if top.share is None or top.share.low is None or top.share.high is None:
        rule = f"share shown after {MINIMUM_ERRORS} errors, {MINIMUM_ERRORS - total} more"
        return f"{top.errors} of {of_all} came from {SOURCE_WORDS[top.source]}; {rule}."
    low, high = 100 * top.share.low, 100 * top.share.high
    return (
        f"{100 * top.errors / total:.0f} % of {of_all} came from {SOURCE_WORDS[top.source]} ({top.errors}; "
        f"95 % interval {low:.0f} to {high:.0f} %)."
    )
