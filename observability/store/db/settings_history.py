"""What were the settings of each model at an instant: its threshold, costs, limits, criteria?

Every change is kept with its time (`settings_kept`), in the transaction that makes it. `Store.under` asks the whole product with the settings of then.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.settings import ModelSettings
from observability.core.time import naive_utc
from observability.store.db.catalog_store import settings_of

if TYPE_CHECKING:
    from observability.store.db.database import Store


@dataclass(frozen=True)
class Then:
    """The settings of a model at an instant. since: from when on they hold; known: whether they were recorded by then."""

    settings: ModelSettings
    since: datetime
    known: bool


def settings_at(store: "Store", at: datetime, otherwise: datetime) -> dict[str, Then]:
    """The settings of every model at an instant, by its name.

    Of a model whose settings were first recorded later: those at the instant `otherwise`, else the first ones; `known` is False then.
    """
    cursor = store.cursor()
    try:
        rows = cursor.execute(
            'SELECT name, k."at", k.settings FROM settings_kept k JOIN models m ON m.key = k.key ORDER BY k."at"'
        ).fetchall()
    finally:
        cursor.close()
    kept: dict[str, list[tuple[datetime, str]]] = {}
    for name, since, text in rows:
        kept.setdefault(name, []).append((since, text))
    found = {}
    for name, entries in kept.items():
        by = [[each for each in entries if each[0] <= naive_utc(instant)] for instant in (at, otherwise)]
        since, text = by[0][-1] if by[0] else by[1][-1] if by[1] else entries[0]
        found[name] = Then(settings_of(text), since, bool(by[0]))
    return found
