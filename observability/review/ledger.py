"""What happened when: deploys, data versions, thresholds, guidelines, incidents, complaints, decisions, signatures, in one list?

Read from records and from the catalog; a store of its own for it does not exist.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from observability.aggregate import Records
from observability.finding import iso
from observability.store import records
from observability.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.database import Store

Sort = Literal[
    "deploy",
    "data",
    "threshold",
    "guideline",
    "incident",
    "complaint",
    "export",
    "note",
    "registered",
    "decision",
    "signature",
    "action",
    "verdict",
    "audit",
]
MOST = 2000
"""Entries of each kind of record, the newest."""


@dataclass(frozen=True)
class Entry:
    """One thing that happened. title: one sentence as it was logged or put together here; author: who said it, where somebody did.

    about: what it points to, by name (prediction, incident, action, decision, version, dataset, until).
    """

    at: datetime
    sort: str
    title: str
    model: str | None = None
    author: str | None = None
    about: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON."""
        return asdict(self) | {"at": iso(self.at), "about": dict(self.about)}


def entries(store: "Store", start: datetime, end: datetime, *, model: str | None = None, as_of: datetime | None = None) -> list[Entry]:
    """Everything in the half-open span, of one model (and of none) or of all, newest first. as_of: only what had arrived by then."""
    window = Window(model or "", start, end, as_of=as_of)
    found = [*registrations(store, start, end, model, as_of)]
    for kind, read in READERS.items():
        found += read(records.fetch(store, Records(kind, rows=MOST), window))
    return sorted(found, key=lambda each: (each.at, each.sort, each.title), reverse=True)


def registrations(store: "Store", start: datetime, end: datetime, model: str | None, as_of: datetime | None) -> Iterable[Entry]:
    """Versions that were registered."""
    until = min(end, as_of) if as_of else end
    for each in store.catalog().models:
        for version in each.versions:
            at = version.registered_at
            if at is not None and start <= at < until and model in (None, each.name):
                yield Entry(
                    at, "registered", f"{each.name} version {version.name} was registered.", each.name, about=(("version", version.name),)
                )


def events(frame: "DataFrame") -> Iterable[Entry]:
    """Of `event` records."""
    for row in frame.to_dict("records"):
        yield Entry(moment(row), str(row["what"]), str(row["text"]), row["model"], about=about(row, "version", "prediction", "subject"))


def datasets(frame: "DataFrame") -> Iterable[Entry]:
    """Of `dataset` records."""
    for row in frame.to_dict("records"):
        changes = [f"{row[name]:,.0f} {name}" for name in ("added", "changed", "deleted") if row[name] == row[name] and row[name]]
        title = f"Dataset {row['dataset']} version {row['version']}: {row['rows']:,.0f} rows" + (
            f", {', '.join(changes)}" if changes else ""
        )
        yield Entry(moment(row), "data", f"{title}.", about=(("dataset", row["dataset"]), ("version", row["version"])))


def audits(frame: "DataFrame") -> Iterable[Entry]:
    """Of `audit` records."""
    for row in frame.to_dict("records"):
        yield Entry(
            moment(row),
            "audit",
            f"{row['audit'].capitalize()} audit of version {row['version']}.",
            row["model"],
            about=about(row, "version"),
        )


def decisions(frame: "DataFrame") -> Iterable[Entry]:
    """Of `decision` records."""
    for row in frame.to_dict("records"):
        yield Entry(
            moment(row),
            "decision",
            str(row["statement"] or f"A decision is {row['state'] or 'added to'}"),
            row["model"],
            row["author"],
            about(row, "decision", "review", "version", "choice", "decider", "dissent", "options", "evidence", "revisit", "item"),
        )


def signatures(frame: "DataFrame") -> Iterable[Entry]:
    """Of `signature` records."""
    for row in frame.to_dict("records"):
        title = f"{row['subject']} accepted until {row['until']:%Y-%m-%d}." + (f" {row['note']}" if row["note"] else "")
        yield Entry(moment(row), "signature", title, row["model"], row["author"], about(row, "review", "subject"))


READERS = {"event": events, "dataset": datasets, "audit": audits, "decision": decisions, "signature": signatures}
"""How each kind of record becomes entries."""


def moment(row: dict[Any, Any]) -> datetime:
    """When it happened, UTC."""
    return row["at"].to_pydatetime().replace(tzinfo=UTC)


def about(row: dict[Any, Any], *names: str) -> tuple[tuple[str, str], ...]:
    """The named fields that are there."""
    given = ((name, row.get(name)) for name in names)
    return tuple((name, in_words(value)) for name, value in given if value is not None and (isinstance(value, list) or value == value))


def in_words(value: Any) -> str:
    """A field as a text: a list with semicolons, an instant as its day."""
    return "; ".join(map(str, value)) if isinstance(value, list) else f"{value:%Y-%m-%d}" if hasattr(value, "to_pydatetime") else str(value)
