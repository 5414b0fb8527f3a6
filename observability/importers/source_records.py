"""What a reader of another tool's files returns: records to load, and the entries of the source that do not become records.

A reader only reads. Every entry of the source that it counts is either carried by one record or refused with a reason. Therefore the report
adds up: entries = carried + rejected. The ids of the records come from the source, so that a second import adds nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from observability.client.encode import RefusedError, encode_line, format_time
from observability.core.errors import UsageError
from observability.records.kinds import KINDS
from observability.records.record import validate
from observability.records.values import Rejected


@dataclass(frozen=True)
class CarriedRecord:
    """A record, and the number of source entries of each sort that it carries. A record that follows from other records carries none."""

    record: Mapping[str, Any]
    entries: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RefusedEntries:
    """Entries of one sort that do not become records. reason: a word; message: a sentence about the first of these entries."""

    sort: str
    reason: str
    message: str
    count: int = 1


SourceItem = CarriedRecord | RefusedEntries


@dataclass(frozen=True)
class ReadOptions:
    """Options that a user sets for an import. timezone: time zone of times without an offset. at: time of the records if the source has no
    times.

    known_start: a function that returns the start of a run that is already in the store, else None. now: the present time. run: name of the
    run if the source does not name it.
    """

    timezone: tzinfo | None = None
    at: datetime | None = None
    known_start: Callable[[str], datetime | None] = lambda _run: None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    run: str | None = None


@dataclass(frozen=True)
class SourceReading:
    """An opened source. title: the kind of source. items: its entries, read lazily."""

    title: str
    items: Iterable[SourceItem]


@dataclass
class SourceCounts:
    """Counts of a source's entries: entries that became records, and rejected entries by sort and by reason. examples: a message for each
    reason. lines: number of records written.
    """

    carried: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    lines: int = 0

    def refuse(self, sort: str, reason: str, message: str, count: int = 1) -> None:
        """Count entries that do not become records."""
        self.rejected[sort] += count
        self.reasons[reason] += count
        self.examples.setdefault(reason, message)

    @property
    def sorts(self) -> dict[str, int]:
        """Number of entries of each sort."""
        return dict(self.carried + self.rejected)

    @property
    def entries(self) -> int:
        """The number of all entries of the source."""
        return self.carried.total() + self.rejected.total()

    def to_json(self) -> dict[str, Any]:
        """The counts as {"entries", "carried", "rejected", "sorts": {sort: n}, "reasons": {reason: n}}."""
        return {
            "entries": self.entries,
            "carried": self.carried.total(),
            "rejected": self.rejected.total(),
            "sorts": self.sorts,
            "reasons": dict(sorted(self.reasons.items())),
        }


def write_record_lines(items: Iterable[SourceItem], out: BinaryIO, *, model: str | None = None, version: str | None = None) -> SourceCounts:
    """Write the records of a source as JSON lines, and count its entries. A record that breaks a rule of its kind is rejected.

    model, version: values for records that have such a field and leave it empty.
    """
    counts = SourceCounts()
    for item in items:
        if isinstance(item, RefusedEntries):
            counts.refuse(item.sort, item.reason, item.message, item.count)
            continue
        record = {name: value for name, value in item.record.items() if value is not None and value != {}}
        fields = KINDS[record["kind"]].fields
        record |= {
            name: value for name, value in (("model", model), ("version", version)) if value and name in fields and name not in record
        }
        try:
            line = encode_line(record)
            validate(json.loads(line))
        except RefusedError as error:
            _refuse_all(counts, item, "too_large", str(error))
        except Rejected as error:
            _refuse_all(counts, item, error.reason, error.message)
        else:
            out.write(line)
            counts.carried.update(item.entries)
            counts.lines += 1
    return counts


def _refuse_all(counts: SourceCounts, item: CarriedRecord, reason: str, message: str) -> None:
    """Count all source entries of a record as rejected."""
    for sort, count in item.entries.items():
        counts.refuse(sort, reason, message, count)


def epoch_time_text(seconds: float) -> str:
    """A time in seconds since 1970, as RFC 3339 text in UTC. A number beyond every date becomes a text that is not a date, so that its
    record is rejected.
    """
    try:
        return str(format_time(datetime.fromtimestamp(seconds, UTC)))
    except (OverflowError, ValueError, OSError):
        return f"{seconds!r} seconds since 1970"


def utc_time_text(text: str, timezone: tzinfo | None, where: str) -> str:
    """A time as RFC 3339 text in UTC. A time without an offset is read in the given time zone; raises UsageError if none is given.

    A text that is not a time is returned unchanged, so that its record is rejected.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    if moment.utcoffset() is None:
        if timezone is None:
            raise UsageError(
                "times have no offset",
                where=where,
                got=repr(text[:40]),
                attempt="Give their time zone, for example --timezone Europe/Paris",
            )
        moment = moment.replace(tzinfo=timezone)
    return str(format_time(moment))


def zone_named(name: str | None) -> tzinfo | None:
    """The time zone with an IANA name; None if the name is None. Raises UsageError for an unknown name."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError("unknown time zone", where="--timezone", got=name, expected="an IANA name, for example Europe/Paris") from None


def number_if_exact(text: Any) -> Any:
    """A text as a number, if this number would be written in exactly this way. Any other value is unchanged: "0.10" and
    "007" stay texts.
    """
    if not isinstance(text, str):
        return text
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text and number == number and abs(number) != float("inf"):
            return number
    return text


def steps_of_values(values: Iterable[tuple[str, float, float, int]]) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Group metric values (name, value, time, step), in the order of logging, into steps: (step, time of its first value, {name: value}).

    If a name occurs twice at one step, for example after a restart, the step gets a further entry.
    """
    groups: dict[tuple[int, int], tuple[float, dict[str, float]]] = {}
    repeats: Counter[tuple[str, int]] = Counter()
    for name, value, time, step in values:
        key = (step, repeats[name, step])
        repeats[name, step] += 1
        groups.setdefault(key, (time, {}))[1][name] = value
    for (step, _), (time, metrics) in sorted(groups.items()):
        yield step, time, metrics


def require_source(path: Path) -> None:
    """Raises UsageError if the path does not exist."""
    if not path.exists():
        raise UsageError("the source is not there", got=str(path), attempt="Check the path")


def error_line(error: object) -> str:
    """The message of an error, as one line of at most 100 printable characters."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(error)).split()
    return " ".join(words)[:100]
