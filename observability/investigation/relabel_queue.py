"""Predictions to relabel, and the worksheet for annotators.

A request is an action (`do: relabel`). It is done if a label has arrived since the request, or if the state of the action says so. The
worksheet is blind: it shows the inputs, but neither label nor score. Once filled in, `load --kind label` accepts it.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from observability.core.errors import ObservabilityError
from observability.core.finding import iso
from observability.investigation.find_prediction import of_model
from observability.store.types import decision_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from observability.store.engine import Store

State = Literal["open", "done", "cancelled"]
PEOPLE = 2
"""Number of annotators per prediction. Each labels without seeing the labels of the others."""
MAX_ROWS = 5000
"""Maximum number of rows of a worksheet; the oldest requests come first."""
WORKSHEET_COLUMNS = ("id", "model", "at", "value", "annotator", "source", "note")
"""Columns of a worksheet before the inputs."""


@dataclass(frozen=True)
class Wanted:
    """A request to relabel one prediction. since: time of the (newest) request; labels: number of labels that arrived since then; newest:
    when the last label arrived. state: open, done (a label arrived, or the action is done) or cancelled.
    """

    model: str
    prediction: str
    state: State
    author: str
    since: datetime
    note: str
    owner: str | None
    due: datetime | None
    labels: int
    newest: datetime | None
    action: str


def relabel_queue(store: "Store", model: str | None = None, prediction: str | None = None) -> tuple[Wanted, ...]:
    """All requests of one model, or of all models: open requests first (oldest first), then the rest (newest first)."""
    items = [each for each in store.actions(model, prediction) if each.fields.get("do") == "relabel" and each.fields.get("prediction")]
    arrivals: dict[str, dict[str, list[datetime]]] = {}
    for name in {str(each.fields["model"]) for each in items if each.fields.get("model")}:
        arrivals[name] = store.label_arrivals(name, [str(each.fields["prediction"]) for each in items if each.fields.get("model") == name])
    found = [relabel_request(each, arrivals.get(str(each.fields.get("model")), {})) for each in items]
    waiting = sorted((each for each in found if each.state == "open"), key=lambda each: (each.since, each.prediction))
    return (*waiting, *(each for each in found if each.state != "open"))


def relabel_request(item: decision_items.DecisionItem, arrivals: dict[str, list[datetime]]) -> Wanted:
    """The request that an action makes."""
    fields, entry = item.fields, item.said("state")
    since = entry.at if entry is not None and item.state == "open" else item.first.at
    came = [each for each in arrivals.get(str(fields["prediction"]), []) if each > since]
    state: State = "cancelled" if item.state == "cancelled" else "done" if came or item.state == "done" else "open"
    return Wanted(
        str(fields.get("model") or ""),
        str(fields["prediction"]),
        state,
        item.first.author,
        since,
        str(fields.get("text") or ""),
        fields.get("owner"),
        fields.get("due"),
        len(came),
        max(came, default=None),
        item.id,
    )


def requests_worksheet(store: "Store", waiting: "Sequence[Wanted]", now: datetime) -> "DataFrame":
    """Open requests as a table to fill in: one row per prediction, without label and score.

    Columns: `id`, `model`, `at` (of the label: `now`), `value` and `annotator` (empty), `source`, `note`, and the inputs as `feature.NAME`.
    Predictions that no longer exist are left out.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for request in [request for request in waiting if request.state == "open"][:MAX_ROWS]:
        try:
            row = of_model(store, store.catalog().model(request.model), request.prediction, None)
        except ObservabilityError:
            continue
        if row is not None:
            head = dict(zip(WORKSHEET_COLUMNS, (row.id, row.model.name, iso(now), "", "", "human", request.note)))
            rows.append(head | {f"feature.{name}": value for name, value in row.features.items()})
    return pd.DataFrame(rows, columns=list(dict.fromkeys((*WORKSHEET_COLUMNS, *(name for row in rows for name in row)))))


def request_json(request: Wanted) -> dict[str, Any]:
    """One request as JSON, in the form in which the command prints it."""
    names = {"author": "asked_by", "labels": "labels_since", "newest": "newest_label"}
    return {names.get(name, name): iso(value) if isinstance(value, datetime) else value for name, value in asdict(request).items()}
