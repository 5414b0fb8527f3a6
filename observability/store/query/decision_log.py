"""Verdicts, actions, decisions, saved what-ifs, saved cases and dashboards.

Records with the same id are entries of one item. Nothing is overwritten: an item has the newest value of each field, and keeps every entry
with its author and time.
"""

from datetime import datetime
from typing import Any

from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Window
from observability.records.kinds import KINDS
from observability.records.values import AFTER_LAST, FIRST
from observability.store.db.database import Database
from observability.store.query import records
from observability.store.types.decision_items import DecisionEntry, DecisionItem, DecisionKind

SCOPED = ("verdict", "saved_case")
"""Kinds whose ids are unique within one prediction. The same id on another prediction names another item."""
OWN = ("at", "author")
"""Fields of an entry, not of the item."""


def logged_verdicts(
    store: Database, model: str | None = None, prediction: str | None = None, as_of: datetime | None = None
) -> tuple[DecisionItem, ...]:
    """Verdicts, newest entry first. model: only verdicts about this model. prediction: only verdicts about this prediction of the model.
    as_of: only entries that had arrived by then count.
    """
    return _decision_items(store, "verdict", model, as_of, prediction=prediction)


def logged_actions(
    store: Database, model: str | None = None, prediction: str | None = None, as_of: datetime | None = None
) -> tuple[DecisionItem, ...]:
    """Actions, newest entry first. model: only its actions (None: all actions, also those without a model). prediction: only actions
    about it.
    """
    found = _items_of_model(store, "action", model, as_of)
    return tuple(item for item in found if prediction is None or item.fields.get("prediction") == prediction)


def standing_what_ifs(store: Database, model: str, prediction: str) -> tuple[DecisionItem, ...]:
    """Saved what-ifs of a prediction that were not withdrawn, newest first."""
    return tuple(item for item in _decision_items(store, "what_if", model, prediction=prediction) if item.state == "standing")


def standing_saved_cases(store: Database, model: str | None = None) -> tuple[DecisionItem, ...]:
    """Saved cases that were not removed, newest entry first; for one model or for all."""
    return tuple(item for item in _decision_items(store, "saved_case", model) if item.state == "standing")


def logged_decisions(store: Database, model: str | None = None, as_of: datetime | None = None) -> tuple[DecisionItem, ...]:
    """Decisions, newest entry first. model: only its decisions (None: all decisions, also those without a model)."""
    return _items_of_model(store, "decision", model, as_of)


def standing_dashboards(store: Database) -> tuple[DecisionItem, ...]:
    """Dashboards that were not withdrawn, newest entry first, followed by the figures and texts on them."""
    boards = [item for item in _decision_items(store, "dashboard") if item.state == "standing"]
    known = {board.id for board in boards}
    pins = _decision_items(store, "pin") if boards else ()
    return (*boards, *(pin for pin in pins if pin.state == "standing" and pin.fields.get("dashboard") in known))


def _items_of_model(store: Database, kind: DecisionKind, model: str | None, as_of: datetime | None) -> tuple[DecisionItem, ...]:
    return tuple(item for item in _decision_items(store, kind, None, as_of) if model is None or item.fields.get("model") == model)


def _decision_items(
    store: Database, kind: DecisionKind, model: str | None = None, as_of: datetime | None = None, **only: str | None
) -> tuple[DecisionItem, ...]:
    """All records of a kind, merged by id. only: fields that every entry must have with that value."""
    question = Records(kind, ever=True, only=tuple((name, value) for name, value in only.items() if value is not None))
    frame = records.answer_records(store, question, Window(model or "", FIRST, AFTER_LAST, as_of=as_of))
    names = [name for name in KINDS[kind].fields if name in frame and name not in OWN]
    entries: dict[tuple[str, ...], list[DecisionEntry]] = {}
    for row in frame.to_dict("records"):
        values = {name: row[name] for name in names if _has_value(row[name])}
        key = tuple(str(values[name]) for name in (("model", "prediction", kind) if kind in SCOPED else (kind,)))
        fields = {name: _aware(value) for name, value in values.items() if name != kind}
        entries.setdefault(key, []).append(DecisionEntry(_aware(row["at"]), str(row["author"]), fields))
    found = [DecisionItem(kind, key[-1], tuple(own)) for key, own in entries.items()]
    return tuple(sorted(found, key=lambda item: (item.last.at, item.id), reverse=True))


def _has_value(value: Any) -> bool:
    """Whether a value is neither None nor NaN nor NaT."""
    return value is not None and value == value


def _aware(value: Any) -> Any:
    """A stored (naive UTC) time as an aware one; other values unchanged."""
    return aware_utc(value.to_pydatetime()) if hasattr(value, "to_pydatetime") else value
