"""What happened when: deploys, data versions, thresholds, incidents, alerts, reviews, and what people decided, signed, promised and concluded, in one list?

Read from records and from the catalog; a store of its own for it does not exist.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from observability.core.finding import iso
from observability.core.numerals import short_checksum
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Window
from observability.store.query import records
from observability.store.query.decision_log import SOURCE_WORDS

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

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
    "review",
    "alert",
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
    for kind, (read, columns) in READERS.items():
        found += read(records.fetch(store, Records(kind, columns, rows=MOST), window))
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
        if parents := row["parents"]:
            title += f", made from {', '.join(str(each) for each in parents)}"
        if row["columns"]:
            title += f", {len(row['columns']):,} columns"
        if row["checksum"]:
            title += f", content {short_checksum(row['checksum'])}"
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


def actions(frame: "DataFrame") -> Iterable[Entry]:
    """Of `action` records: what has to be done, and what became of it."""
    texts = {row["action"]: row["text"] for row in frame.to_dict("records") if row["text"]}
    for row in frame.to_dict("records"):
        words, state = texts.get(row["action"]), row["state"]
        title = f"{'To do' if not state or state == 'open' else BECAME[state]}: {words or row['do'] or 'an action that is older than this list'}"
        pointing = about(row, "action", "review", "prediction", "owner", "due", "metric", "reason")
        yield Entry(moment(row), "action", f"{title.rstrip('.')}.", row["model"], row["author"], pointing)


BECAME = {"done": "Done", "cancelled": "Given up", "extended": "Put off", "escalated": "Passed up"}
"""States of an action as the beginning of a title."""


def verdicts(frame: "DataFrame") -> Iterable[Entry]:
    """Of `verdict` records."""
    for row in frame.to_dict("records"):
        wrong = {"yes": "was wrong", "no": "was not wrong", "label_wrong": "has a wrong label"}.get(row["wrong"], "was looked into")
        note = f" {row['note']}" if row["note"] else ""
        title = f"A verdict about prediction {row['prediction']} was withdrawn." if row["state"] == "withdrawn" else f"Prediction {row['prediction']} {wrong}: {SOURCE_WORDS[row['source']]}.{note}"  # fmt: skip
        yield Entry(moment(row), "verdict", title, row["model"], row["author"], about(row, "prediction", "verdict", "severity"))


def reviews(frame: "DataFrame") -> Iterable[Entry]:
    """Of `review` records: one for each week that was frozen."""
    for row in frame[frame["model"].isna()].to_dict("records"):
        yield Entry(moment(row), "review", f"Week {row['week']} was frozen.", None, row["author"], about(row, "review"))


SAYS = {"opened": "opened", "worse": "got worse", "resolved": "resolved", "acknowledged": "acknowledged", "snoozed": "snoozed", "woken": "back after its snooze", "reopened": "reopened"}  # fmt: skip
"""What is said about an alert that stands in the ledger, as people read it."""


def alerts(frame: "DataFrame") -> Iterable[Entry]:
    """Of `alert` records: incidents that were found and told, and what people did about them."""
    titles = {row["incident"]: row["title"] for row in frame.to_dict("records") if row["title"]}
    for row in frame.to_dict("records"):
        if row["says"] in SAYS:
            title = f"Alert {SAYS[row['says']]}: {titles.get(row['incident'], 'an incident that is older than this list')}"
            yield Entry(moment(row), "alert", title, row["model"], row["author"], about(row, "incident", "until", "severity", "text"))


READERS: dict[str, tuple[Callable[["DataFrame"], Iterable[Entry]], tuple[str, ...] | None]] = {
    "event": (events, None), "dataset": (datasets, None), "audit": (audits, None), "decision": (decisions, None), "signature": (signatures, None),
    "action": (actions, None), "verdict": (verdicts, None), "review": (reviews, ("review", "week", "at", "author", "model")), "alert": (alerts, None),
}  # fmt: skip
"""How each kind of record becomes entries, and which of its fields are read (None: all)."""


def moment(row: dict[Any, Any]) -> datetime:
    """When it happened, UTC."""
    return aware_utc(row["at"].to_pydatetime())


def about(row: dict[Any, Any], *names: str) -> tuple[tuple[str, str], ...]:
    """The named fields that are there."""
    given = ((name, row.get(name)) for name in names)
    return tuple((name, in_words(value)) for name, value in given if value is not None and (isinstance(value, list) or value == value))


def in_words(value: Any) -> str:
    """A field as a text: a list with semicolons, an instant as its day."""
    return "; ".join(map(str, value)) if isinstance(value, list) else f"{value:%Y-%m-%d}" if hasattr(value, "to_pydatetime") else str(value)
