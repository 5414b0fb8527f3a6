"""Settings of each model at an instant: threshold, costs, limits, criteria.

Every change is stored with its time (`settings_kept`) in the transaction that makes it. `Store.under` answers questions with these
settings.
"""

from datetime import datetime

from observability.core.settings import DatedSettings
from observability.core.time import naive_utc
from observability.store.db.catalog_store import settings_from_json
from observability.store.db.database import Database


def settings_at(store: Database, at: datetime, otherwise: datetime) -> dict[str, DatedSettings]:
    """The settings of every model at an instant, by model name.

    If a model had no recorded settings at that instant, those at the instant `otherwise` are returned, or else the first ones; `known` is
    then False.
    """
    query = 'SELECT name, k."at", k.settings FROM settings_kept k JOIN models m ON m.key = k.key ORDER BY k."at"'
    with store.cursor() as cursor:
        rows = cursor.execute(query).fetchall()
    kept: dict[str, list[tuple[datetime, str]]] = {}
    for name, since, text in rows:
        kept.setdefault(name, []).append((since, text))
    found = {}
    for name, entries in kept.items():
        then, later = ([entry for entry in entries if entry[0] <= naive_utc(instant)] for instant in (at, otherwise))
        since, text = (then or later or entries[:1])[-1]
        found[name] = DatedSettings(settings_from_json(text), since, bool(then))
    return found
