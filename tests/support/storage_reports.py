"""Reports of storage places without faults."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.analyzers.data import storage
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.metrics.form_decisions import FORM_DECISIONS
from observability.metrics.prices import PRICE_COLUMNS
from observability.metrics.storage_reports import PLACE_COLUMNS, TIMES
from observability.metrics.stored_forms import STORAGE_AUDITS

START = datetime(2026, 3, 2)
END = START + timedelta(days=7)
GB = 10**9
PLACES = ("lake", "features", "events")
"""One place grows evenly, one is cleaned up each week, and one reports four times a day."""


def place_reports(rng: np.random.Generator, place: str = "lake", *, before: int = 42, **fields: Any) -> list[dict[str, Any]]:
    """The reports of a place that has space, removes data in time, and has tested backups. `fields` replace fields in the reports of the
    last week.
    """
    capacity, share = 10_000 * GB, float(rng.uniform(0.4, 0.7))
    growth = float(rng.uniform(0.0005, 0.002)) * capacity
    used, weekly = share * capacity, 0.0
    read, rate = float(rng.uniform(20, 60)), float(10 ** rng.uniform(-6, -4.5))
    backup = START - timedelta(days=before, hours=1)
    restored = START - timedelta(days=before + int(rng.integers(0, 14)))
    slow, found = 0.0, []
    for day in range(-before, 7):
        midnight = START + timedelta(days=day)
        if rng.random() > 0.02:
            backup = midnight + timedelta(hours=1, minutes=float(rng.uniform(0, 50)))
        if (midnight - restored).days >= 21:
            restored = midnight
        slow = 0.6 * slow + float(rng.normal(0, 0.1))
        many = 4 if place == "events" else 1
        for part in range(many):
            step = growth / many * float(rng.gamma(4, 1 / 4)) * (1.3 if day % 7 < 5 else 0.4)
            used, weekly = used + step, weekly + step
            if place == "features" and day % 7 == 6 and part == many - 1:
                used, weekly = used - 0.7 * weekly, 0.0
            at = midnight + timedelta(hours=2 + 6 * part, minutes=float(rng.uniform(0, 20)))
            files, reads = int(used / (40 * 10**6)), int(rng.poisson(60_000 / many))
            burst = float(rng.gamma(0.5, 2.0))
            found.append(
                {
                    "place": place, "at": at, "dataset": None, "tier": "hot", "capacity_bytes": capacity, "used_bytes": int(used),
                    "files": files, "small_files": int(files * rng.normal(0.2, 0.01)), "duplicate_bytes": int(used * 0.03),
                    "cold_bytes": int(used * rng.normal(0.3, 0.01)),
                    "oldest_at": at - timedelta(days=400 - float(rng.uniform(0, 0.9))), "keep_days": 400.0, "reads": reads,
                    "read_errors": int(rng.poisson(reads * rate * burst)), "read_p99_ms": read * float(np.exp(slow + rng.normal(0, 0.08))),
                    "writes": reads // 4, "write_errors": int(rng.poisson(reads / 4 * rate * burst)),
                    "write_p99_ms": 1.5 * read * float(np.exp(slow + rng.normal(0, 0.1))), "checked": 2000 // many, "corrupt": 0,
                    "backup_at": backup, "backup_hours": 36.0, "restored_at": restored, "restore_days": 30.0, "source": "simulated",
                    "complete_to": at - timedelta(minutes=5),
                }
                | (fields if day >= 0 else {})
            )  # fmt: skip
    return found


def storage_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Reports in the form in which the store returns them."""
    frame = pd.DataFrame(list(rows), columns=list(PLACE_COLUMNS))
    return frame.astype(dict.fromkeys(TIMES, "datetime64[us]"))


def storage_findings(
    rows: Sequence[dict[str, Any]],
    prices: Sequence[dict[str, Any]] = (),
    budget: float = 0.0143,
    late: timedelta = timedelta(),
    datasets: Sequence[dict[str, Any]] = (),
    decisions: Sequence[dict[str, Any]] = (),
) -> list[Finding]:
    """The findings about the places and the stored datasets of the week. late: the time between the end of the week and the check."""
    frame, end = storage_frame(rows), END.replace(tzinfo=UTC)
    listed = pd.DataFrame(list(prices), columns=list(PRICE_COLUMNS)).astype({"from": "datetime64[us]", "amount": float})
    frames = {"reports": frame[frame["at"] >= START], "past reports": frame[frame["at"] < START], "prices": listed}
    for name, asked, records in (("datasets", STORAGE_AUDITS, datasets), ("decisions", FORM_DECISIONS, decisions)):
        frames[name] = pd.DataFrame(list(records), columns=list(asked.columns or ()))
    window = Window("", START.replace(tzinfo=UTC), end)
    return storage.analyze(frames, Context(EVERY_MODEL, NO_VERSION, window, end + late, budget))
