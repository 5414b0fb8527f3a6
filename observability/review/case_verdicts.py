"""Collect the verdicts on single predictions of a week.

They are not part of the frozen numbers, because a verdict belongs to the week of its prediction, whenever it is given.
"""

from dataclasses import dataclass
from datetime import datetime

from observability.core.errors import NotFoundError
from observability.core.weeks import Week
from observability.investigation import find_prediction
from observability.store.engine import Store
from observability.store.types import decision_items

MAX_VERDICTS = 500
"""Maximum number of verdicts that are read, newest first."""


@dataclass(frozen=True)
class Concluded:
    """A verdict in force on a prediction of the week. wrong: yes, no or label_wrong; recurring: whether the model has a verdict with the
    same source from an earlier week.
    """

    prediction: str
    model: str
    at: datetime
    source: str
    wrong: str | None
    severity: str | None
    note: str | None
    author: str
    recurring: bool


def week_verdicts(store: Store, week: Week) -> tuple[list[Concluded], str | None]:
    """The verdicts on predictions of a week, oldest prediction first, and a sentence about the sources of confirmed errors (None without
    confirmed errors).
    """
    placed: list[tuple[decision_items.DecisionItem, datetime]] = []
    for item in store.verdicts()[:MAX_VERDICTS]:
        if item.state != "standing":
            continue
        try:
            placed.append((item, find_prediction.prediction_row(store, str(item.fields["prediction"]), model=str(item.fields["model"])).at))
        except NotFoundError:
            continue
    mine = [(item, at) for item, at in placed if week.start <= at < week.end]
    before = {(item.fields["model"], item.fields["source"]) for item, at in placed if at < week.start}
    rows = [
        Concluded(
            str(item.fields["prediction"]),
            str(item.fields["model"]),
            at,
            str(item.fields["source"]),
            item.fields.get("wrong"),
            item.fields.get("severity"),
            item.fields.get("note"),
            item.last.author,
            (item.fields["model"], item.fields["source"]) in before,
        )
        for item, at in mine
    ]
    return sorted(rows, key=lambda verdict: (verdict.at, verdict.prediction)), decision_items.error_source_sentence(
        item for item, _ in mine
    )
