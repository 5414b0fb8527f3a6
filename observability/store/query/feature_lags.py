"""Ages of feature values at prediction time, from the logged read times."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.time import naive_utc
from observability.core.window import Window
from observability.store.db.schema import model_table
from observability.store.query.source import snapshot_cursor, snapshot_streams, window_rows

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Database

ROWS = 2_000


def feature_ages(store: "Database", window: Window, *, before: datetime, limit: int = ROWS) -> "DataFrame":
    """`feature` and `age` in seconds, for the features of at most `limit` predictions of a window before an instant (smallest hashes).

    Predictions without `feature_at` are left out, and so are times that cannot be parsed.
    """
    import pandas as pd

    model = store.catalog().model(window.model)
    with snapshot_cursor(store) as cursor:
        found = window_rows(model, window, snapshot_streams(store, cursor, model.key))
        held = cursor.execute(
            f"""SELECT "at", feature_at FROM {model_table("predictions", model.key)}
            WHERE {found.where} AND feature_at IS NOT NULL AND "at" < $before ORDER BY sample_hash LIMIT {int(limit)}""",
            found.values | {"before": naive_utc(before)},
        ).fetchall()
    known = [
        (name, (at - when).total_seconds()) for at, text in held for name, read in json.loads(text).items() if (when := _naive_time(read))
    ]
    return pd.DataFrame(known, columns=["feature", "age"]).astype({"feature": object, "age": float})


def _naive_time(text: object) -> datetime | None:
    """A time as naive UTC; None if the value is not a time."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return naive_utc(found)
