"""Training-serving skew: offline and online values of the same request.

A batch that computes features offline logs them as predictions with the environment `validation`, with ids of its own, and with the subject
and event time of the request. Records of the same subject at the same time should have equal values.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from observability.core.catalog import Column
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Environment, Window
from observability.investigation.logged_prediction import Row
from observability.investigation.version_replay import equal_values
from observability.store.engine import Store

SAME = timedelta(seconds=1)
"""Largest time difference between two records of one request."""
MAX_ROWS = 500


@dataclass(frozen=True)
class Twin:
    """The record of the same request on the other side. side: offline or online. values: by feature, None if missing."""

    id: str
    side: str
    values: dict[str, Any]


def offline_record(store: Store, row: Row, columns: list[Column]) -> Twin | None:
    """The nearest record of the same subject at the same time on the other side (offline or online); None if there is none."""
    subject = row.stored.get("subject")
    if subject is None or row.environment == "reference":
        return None
    online = row.environment == "validation"
    environment: Environment = "production" if online else "validation"
    window = Window(
        row.model.name, max(row.at - SAME, EPOCH), row.at + SAME + timedelta(microseconds=1), as_of=row.as_of, environment=environment
    )
    names = ["id", "at", "subject", *(each.reference for each in columns)]
    frame = store.rows(window, names, MAX_ROWS, outcomes=False)
    frame = frame[frame["subject"] == subject]
    if frame.empty:
        return None
    far = (frame["at"] - naive_utc(row.at)).abs()
    found = frame.loc[far.sort_values(kind="stable").index[0]]
    values = {each.name: None if found[each.reference] != found[each.reference] else found[each.reference] for each in columns}
    return Twin(str(found["id"]), "online" if online else "offline", values)


def differing_features(row: Row, other: Twin) -> list[str]:
    """Features whose values differ between the two sides."""
    return [name for name, value in other.values.items() if not equal_values(row.features.get(name), value)]
