"""Which single predictions of a week did people look into, and what did they conclude?

People's words, not frozen numbers: a verdict belongs to the week of its prediction, whenever it was said.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.errors import NotFoundError
from observability.core.weeks import Week
from observability.investigation import find_prediction
from observability.store.query import decision_log

if TYPE_CHECKING:
    from observability.store.db.database import Store

MOST = 500
"""Verdicts that are looked up, the newest."""


@dataclass(frozen=True)
class Concluded:
    """A standing verdict about a prediction of the week. wrong: yes, no or label_wrong; recurring: the model has a verdict with the same source from an
    earlier week.
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


def concluded(store: "Store", week: Week) -> tuple[list[Concluded], str | None]:
    """The verdicts about predictions of a week, oldest prediction first, and where the confirmed errors came from in a sentence (None without any)."""
    placed: list[tuple[decision_log.Item, datetime]] = []
    for item in decision_log.verdicts(store)[:MOST]:
        if item.state != "standing":
            continue
        try:
            placed.append((item, find_prediction.opened(store, str(item.fields["prediction"]), model=str(item.fields["model"])).at))
        except NotFoundError:
            continue
    mine = [(item, at) for item, at in placed if week.start <= at < week.end]
    before = {(item.fields["model"], item.fields["source"]) for item, at in placed if at < week.start}
    rows = [
        Concluded(
            str(item.fields["prediction"]), str(item.fields["model"]), at, str(item.fields["source"]), item.fields.get("wrong"),
            item.fields.get("severity"), item.fields.get("note"), item.last.author, (item.fields["model"], item.fields["source"]) in before,
        )
        for item, at in mine
    ]  # fmt: skip
    return sorted(rows, key=lambda each: (each.at, each.prediction)), decision_log.errors_sentence(item for item, _ in mine)
