"""Which predictions wait to be labelled again, and what does a person who does it need?

Who sends a case to be labelled again writes an action (`do: relabel`); this is the list of them, and it is done where a label arrived since, or where
somebody said so. The worksheet is blind: inputs, and neither the label nor the score; filled in, `load --kind label` takes it as it is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from observability.core.errors import ObservabilityError
from observability.core.finding import iso
from observability.core.time import aware_utc
from observability.investigation.find_prediction import of_model
from observability.store.db.schema import model_table
from observability.store.query import decision_log
from observability.store.query.source import snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from observability.store.db.database import Store

State = Literal["open", "done", "cancelled"]
PEOPLE = 2
"""How many are asked to label it, each without seeing the other's label."""
MOST_ROWS = 5000
"""Rows of a worksheet, those that were asked for first."""


@dataclass(frozen=True)
class Wanted:
    """One prediction that somebody sent to be labelled again. since: when it was asked (or asked again); labels: how many arrived since then, and
    `newest` when the last of them did. state: open, done (a label arrived, or somebody said so) or cancelled.
    """

    action: str
    model: str
    prediction: str
    author: str
    since: datetime
    note: str
    owner: str | None
    due: datetime | None
    state: State
    labels: int
    newest: datetime | None = None


def queue(store: "Store", model: str | None = None, prediction: str | None = None) -> tuple[Wanted, ...]:
    """Everything that was sent to be labelled again, of one model or of all: what is open first, the oldest first; then the newest of the others."""
    items = [
        each
        for each in decision_log.actions(store, model, prediction)
        if each.fields.get("do") == "relabel" and each.fields.get("prediction")
    ]
    arrivals: dict[str, dict[str, list[datetime]]] = {}
    for name in {str(each.fields["model"]) for each in items if each.fields.get("model")}:
        arrivals[name] = arrived(store, name, [str(each.fields["prediction"]) for each in items if each.fields.get("model") == name])
    found = [wanted(each, arrivals.get(str(each.fields.get("model")), {})) for each in items]
    waiting = sorted((each for each in found if each.state == "open"), key=lambda each: (each.since, each.prediction))
    return (*waiting, *(each for each in found if each.state != "open"))


def wanted(item: decision_log.Item, arrivals: dict[str, list[datetime]]) -> Wanted:
    """One action as a wish for labels."""
    fields, entry = item.fields, item.said("state")
    since = entry.at if entry is not None and item.state == "open" else item.first.at
    came = [each for each in arrivals.get(str(fields["prediction"]), []) if each > since]
    state: State = "cancelled" if item.state == "cancelled" else "done" if came or item.state == "done" else "open"
    return Wanted(
        item.id, str(fields.get("model") or ""), str(fields["prediction"]), item.first.author, since, str(fields.get("text") or ""),
        fields.get("owner"), fields.get("due"), state, len(came), max(came, default=None),
    )  # fmt: skip


def arrived(store: "Store", model: str, predictions: "Sequence[str]") -> dict[str, list[datetime]]:
    """When each label of some predictions arrived, by id. A model that is gone has none."""
    known = next((each for each in store.catalog().models if each.name == model), None)
    if known is None:
        return {}
    with snapshot(store) as cursor:
        rows = cursor.execute(
            f"""SELECT id, arrived FROM {model_table("labels", known.key)}
            WHERE id_hash IN (SELECT hash(unnest($ids::VARCHAR[]))) AND id IN (SELECT unnest($ids::VARCHAR[]))""",
            {"ids": list(predictions)},
        ).fetchall()
    found: dict[str, list[datetime]] = {}
    for name, at in rows:
        found.setdefault(name, []).append(aware_utc(at))
    return found


def worksheet(store: "Store", waiting: "Sequence[Wanted]", now: datetime) -> "DataFrame":
    """What is open as a table to be filled in, one row a prediction: `id`, `model`, `at` (of the label: `now`), `value` and `annotator` (empty), `source`, `note`,
    and the inputs as `feature.NAME`. Neither label nor score stands in it. A prediction that is gone is left out.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for each in [each for each in waiting if each.state == "open"][:MOST_ROWS]:
        try:
            row = of_model(store, store.catalog().model(each.model), each.prediction, None)
        except ObservabilityError:
            continue
        if row is not None:
            own = {
                "id": row.id,
                "model": row.model.name,
                "at": iso(now),
                "value": "",
                "annotator": "",
                "source": "human",
                "note": each.note,
            }
            rows.append(own | {f"feature.{name}": value for name, value in row.features.items()})
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["id", "model", "at", "value", "annotator", "source", "note"]
    return pd.DataFrame(rows, columns=columns)


def as_json(each: Wanted) -> dict[str, Any]:
    """One wish as the command gives it."""
    times = {name: iso(value) if (value := getattr(each, name)) is not None else None for name in ("since", "due", "newest")}
    return {
        "model": each.model, "prediction": each.prediction, "state": each.state, "asked_by": each.author, "since": times["since"], "note": each.note,
        "owner": each.owner, "due": times["due"], "labels_since": each.labels, "newest_label": times["newest"], "action": each.action,
    }  # fmt: skip
