"""Simulated deliveries of a source, and the frames that the analyzer data/batches reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.window import Window

START = datetime(2026, 3, 2)
END = START + timedelta(days=7)
COLUMNS = ["batch", "at", "source", "rows", "device", "rejected_rows", "captured_to"]


def delivered(rng: np.random.Generator, days: range, *, source: str = "clinic", skip: tuple[int, ...] = ()) -> list[dict]:
    """A batch for each morning, except on the weekdays in `skip`: about 1,000 rows, one in a hundred rejected, delivered an hour after
    capture.
    """
    found = []
    for day in days:
        at = START + timedelta(days=day, hours=6, minutes=float(rng.uniform(0, 20)))
        rows = int(1000 * np.exp(rng.normal(0, 0.05)))
        body = {"batch": f"{source} {day}", "at": at, "source": source, "rows": rows, "rejected_rows": int(rng.binomial(rows, 0.01))}
        if at.weekday() not in skip:
            found.append(body | {"captured_to": at - timedelta(minutes=float(rng.uniform(50, 70)))})
    return found


def delivery_frames(rows: list[dict[str, Any]], now: datetime = END, budget: float = 0.0143) -> tuple[dict[str, pd.DataFrame], Context]:
    """Batches of the week and of earlier days, in the form in which the store returns them, and the context of the week."""
    frame = pd.DataFrame(rows, columns=COLUMNS).astype(
        {"at": "datetime64[us]", "captured_to": "datetime64[us]", "rows": "Int64", "rejected_rows": "Int64"}
    )
    frame[["source", "device"]] = frame[["source", "device"]].astype(object)
    window = Window("", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))
    frames = {"batches": frame[frame["at"] >= START], "past batches": frame[frame["at"] < START]}
    context = Context(EVERY_MODEL, NO_VERSION, window, now.replace(tzinfo=UTC), budget)
    return {name: each.reset_index(drop=True) for name, each in frames.items()}, context
