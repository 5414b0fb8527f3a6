"""The change log: deploys, data versions, thresholds, incidents, alerts, reviews, decisions, signatures, actions and verdicts, in order of
time.

It is derived from records and the catalog, so nothing is stored for it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.finding import iso
from observability.core.formatting import format_day
from observability.core.numerals import short_checksum
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.records.values import AFTER_LAST
from observability.store.types.decision_items import SOURCE_WORDS

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

DECISION = "decision"
"""The additional field in which a note names the decision that it marks."""
MAX_ENTRIES = 2000
"""Maximum number of newest entries of each record kind."""


@dataclass(frozen=True)
class Entry:
    """One event. title: one sentence; author: None if nobody is recorded.

    about: the things to which it refers, by name (prediction, incident, action, decision, version, dataset, until).
    """

    at: datetime
    sort: str
    title: str
    model: str | None = None
    author: str | None = None
    about: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The entry as a JSON object."""
        return asdict(self) | {"at": iso(self.at), "about": dict(self.about)}


def change_entries(
    store: "Store", start: datetime, end: datetime, *, model: str | None = None, as_of: datetime | None = None
) -> list[Entry]:
    """The entries in a window whose end is excluded, newest first: of all models, or of one model together with entries that name no model.
    as_of: only what had arrived by then.
    """
    window = Window(model or "", start, end, as_of=as_of)
    found = [*registration_entries(store, start, end, model, as_of)]
    for kind, (read, columns) in READERS.items():
        frame = store.ask(Records(kind, columns, rows=MAX_ENTRIES), window)
        found += read(without_decision_marks(store, frame) if kind == "event" else frame)
    return sorted(found, key=lambda entry: (entry.at, entry.sort, entry.title), reverse=True)


def registration_entries(store: "Store", start: datetime, end: datetime, name: str | None, as_of: datetime | None) -> Iterable[Entry]:
    """Entries for the registered versions of one model, or of all models."""
    until = min(end, as_of) if as_of else end
    for model in store.catalog().models:
        for version in model.versions:
            at = version.registered_at
            if at is not None and start <= at < until and name in (None, model.name):
                title = f"{model.name} version {version.name} was registered."
                yield Entry(at, "registered", title, model.name, about=(("version", version.name),))


def without_decision_marks(store: "Store", events: "DataFrame") -> "DataFrame":
    """The `event` records without the notes that name a stored decision, because the decision has its own entry."""
    extras = events["extra"].where(events["what"] == "note")
    named = extras.map(lambda extra: str(extra[DECISION]) if isinstance(extra, Mapping) and DECISION in extra else None)
    if not (ids := tuple(sorted(set(named.dropna())))):
        return events
    question = Records("decision", ("decision",), ever=True, only=(("decision", ids),))
    return events[~named.isin(set(store.ask(question, Window("", EPOCH, AFTER_LAST))["decision"]))]


def event_entries(frame: "DataFrame") -> Iterable[Entry]:
    """Entries made from `event` records."""
    for row in frame.to_dict("records"):
        yield Entry(
            entry_time(row), str(row["what"]), str(row["text"]), row["model"], about=present_fields(row, "version", "prediction", "subject")
        )


def decision_event(decision: Mapping[str, Any]) -> dict[str, Any]:
    """The `event` record that marks a decision about a version, for readers of events; `decision` is the decision's record."""
    about = {name: decision[name] for name in ("at", "model", "version") if name in decision}
    return {"kind": "event", "what": "note", "text": f"Decided: {decision['statement']}", **about, DECISION: decision["decision"]}


def dataset_entries(frame: "DataFrame") -> Iterable[Entry]:
    """The entries of the change log that `dataset` records make."""
    for row in frame.to_dict("records"):
        changes = [f"{row[name]:,.0f} {name}" for name in ("added", "changed", "deleted") if row[name] == row[name] and row[name]]
        title = f"Dataset {row['dataset']} version {row['version']}: {row['rows']:,.0f} rows" + (
            f", {', '.join(changes)}" if changes else ""
        )
        if parents := row["parents"]:
            title += f", made from {', '.join(map(str, parents))}"
        if row["columns"]:
            title += f", {len(row['columns']):,} columns"
        if row["checksum"]:
            title += f", content {short_checksum(row['checksum'])}"
        yield Entry(entry_time(row), "data", f"{title}.", about=(("dataset", row["dataset"]), ("version", row["version"])))


def audit_entries(frame: "DataFrame") -> Iterable[Entry]:
    """The entries of the change log that `audit` records make."""
    for row in frame.to_dict("records"):
        title = f"{row['audit'].capitalize()} audit of version {row['version']}."
        yield Entry(entry_time(row), "audit", title, row["model"], about=present_fields(row, "version"))


def decision_entries(frame: "DataFrame") -> Iterable[Entry]:
    """The entries of the change log that `decision` records make."""
    names = ("decision", "review", "version", "choice", "decider", "dissent", "options", "evidence", "revisit", "item")
    statements: dict[str, str] = {}
    for row in frame.to_dict("records"):
        known = statements.get(row["decision"])
        title = str(row["statement"] or f"A decision was {row['state'] or 'extended'}{f': {known}' if known else ''}")
        statements |= {row["decision"]: row["statement"]} if row["statement"] else {}
        yield Entry(entry_time(row), "decision", title, row["model"], row["author"], present_fields(row, *names))


def signature_entries(frame: "DataFrame") -> Iterable[Entry]:
    """The entries of the change log that `signature` records make."""
    for row in frame.to_dict("records"):
        subject = str(row["subject"])
        title = f"{subject[:1].upper()}{subject[1:]} accepted until {format_day(row['until'])}." + (
            f" {row['note']}" if row["note"] else ""
        )
        yield Entry(entry_time(row), "signature", title, row["model"], row["author"], present_fields(row, "review", "subject"))


def action_entries(frame: "DataFrame") -> Iterable[Entry]:
    """Entries of `action` records: actions created, and their changes of state."""
    texts = {row["action"]: row["text"] for row in frame.to_dict("records") if row["text"]}
    for row in frame.to_dict("records"):
        text = texts.get(row["action"]) or row["do"] or "an earlier action"
        title = f"Action {row['state'] or 'open'}: {text}".rstrip(".")
        about = present_fields(row, "action", "review", "prediction", "owner", "due", "metric", "reason")
        yield Entry(entry_time(row), "action", f"{title}.", row["model"], row["author"], about)


def verdict_entries(frame: "DataFrame") -> Iterable[Entry]:
    """The entries of the change log that `verdict` records make."""
    for row in frame.to_dict("records"):
        wrong = {"yes": "was wrong", "no": "was correct", "label_wrong": "has a wrong label"}.get(row["wrong"], "was reviewed")
        title = f"Prediction {row['prediction']} {wrong}: {SOURCE_WORDS[row['source']]}." + (f" {row['note']}" if row["note"] else "")
        if row["state"] == "withdrawn":
            title = f"A verdict on prediction {row['prediction']} was withdrawn."
        yield Entry(
            entry_time(row), "verdict", title, row["model"], row["author"], present_fields(row, "prediction", "verdict", "severity")
        )


def review_entries(frame: "DataFrame") -> Iterable[Entry]:
    """Entries of `review` records: one for each frozen week."""
    for row in frame[frame["model"].isna()].to_dict("records"):
        yield Entry(entry_time(row), "review", f"Week {row['week']} was frozen.", None, row["author"], present_fields(row, "review"))


SAYS = {"opened": "opened", "worse": "worse", "resolved": "resolved", "acknowledged": "acknowledged"}
SAYS |= {"snoozed": "snoozed", "woken": "snooze ended", "reopened": "reopened", "assigned": "assigned"}
"""States of an alert that the change log shows, in the words for people."""


def alert_entries(frame: "DataFrame") -> Iterable[Entry]:
    """Entries of `alert` records: incidents, and the actions of people on their alerts."""
    titles = {row["incident"]: row["title"] for row in frame.to_dict("records") if row["title"]}
    for row in frame.to_dict("records"):
        if row["says"] in SAYS:
            title = f"Alert {SAYS[row['says']]}: {titles.get(row['incident'], 'an earlier incident')}"
            yield Entry(
                entry_time(row),
                "alert",
                title,
                row["model"],
                row["author"],
                present_fields(row, "incident", "until", "reason", "severity", "text"),
            )


READERS: dict[str, tuple[Callable[["DataFrame"], Iterable[Entry]], tuple[str, ...] | None]] = {
    "event": (event_entries, ("at", "what", "text", "model", "version", "prediction", "subject", "extra")),
    "dataset": (dataset_entries, None),
    "audit": (audit_entries, None),
    "decision": (decision_entries, None),
    "signature": (signature_entries, None),
    "action": (action_entries, None),
    "verdict": (verdict_entries, None),
    "review": (review_entries, ("review", "week", "at", "author", "model")),
    "alert": (alert_entries, None),
}
"""For each record kind: the function that makes entries from its records, and the fields to read (None: all)."""


def entry_time(row: dict[Any, Any]) -> datetime:
    """Time of a record, UTC."""
    return aware_utc(row["at"].to_pydatetime())


def present_fields(row: dict[Any, Any], *names: str) -> tuple[tuple[str, str], ...]:
    """Those of the named fields that have a value, as text."""
    given = ((name, row.get(name)) for name in names)
    return tuple((name, field_text(value)) for name, value in given if value is not None and (isinstance(value, list) or value == value))


def field_text(value: Any) -> str:
    """A field as text: a list is joined by semicolons, a time becomes its day."""
    return (
        "; ".join(map(str, value)) if isinstance(value, list) else f"{format_day(value)}" if hasattr(value, "to_pydatetime") else str(value)
    )
