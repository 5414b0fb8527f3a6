"""Events of the fleet, newest first, as rows of a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from observability.core import formatting
from observability.dashboard import time_zone
from observability.dashboard.overview.model_status import ModelStatus
from observability.dashboard.table import column, table_row

CHANGE_COLUMNS = (column("at", "When (UTC)", width="9rem"), column("what", "What", wide=True))


def event_rows(statuses: Sequence[ModelStatus]) -> list[dict[str, Any]]:
    """Return the events of the windows as rows, newest first; an event of several models appears once."""
    found: dict[tuple[datetime, str, str], list[str]] = {}
    for status in statuses:
        for at, what, words in zip(status.events["at"], status.events["what"], status.events["text"]):
            found.setdefault((at.to_pydatetime(), str(what), str(words)), []).append(status.model.name)
    rows = []
    for (at, what, words), models in sorted(found.items(), key=lambda item: item[0][0], reverse=True):
        cell = {"t": formatting.truncate(words, 120), "sub": f"{formatting.join_words(list(dict.fromkeys(models)))}, {what}"}
        rows.append(table_row(at=time_zone.zoned_minute(at), what=cell))
    return rows
