"""How old were the values of features when predictions were made, as far as the records say when each was read?"""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.window import Window
from observability.store.db.schema import model_table
from observability.store.query.source import known_streams, rows_of, snapshot, stored

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

ROWS = 2_000


def ages(store: "Store", window: Window, *, before: datetime, limit: int = ROWS) -> "DataFrame":
    """`feature`, `age` in seconds of the features of at most `limit` predictions of a window before an instant, those with the smallest hash.

    Predictions without `feature_at` are not among them; times that cannot be read are left out.
    """
    import pandas as pd

    model = store.catalog().model(window.model)
    with snapshot(store) as cursor:
        found = rows_of(model, window, known_streams(store, cursor, model.key))
        held = cursor.execute(
            f"""SELECT "at", feature_at FROM {model_table("predictions", model.key)}
            WHERE {found.where} AND feature_at IS NOT NULL AND "at" < $before ORDER BY sample_hash LIMIT {int(limit)}""",
            found.values | {"before": stored(before)},
        ).fetchall()
    known = [(name, (at - when).total_seconds()) for at, text in held for name, read in json.loads(text).items() if (when := moment(read))]
    return pd.DataFrame(known, columns=["feature", "age"]).astype({"feature": object, "age": float})


def moment(text: object) -> datetime | None:
    """A time as naive UTC, None where it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return stored(found) if found.tzinfo else found
