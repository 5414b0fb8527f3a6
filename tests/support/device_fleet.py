"""Batches of collecting devices with column statistics, without faults or with a fault."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.analyzers.data import devices
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window

START = datetime(2026, 3, 2)
END = START + timedelta(days=7)
COLUMNS = ["batch", "at", "source", "rows", "device", "rejected_rows", "captured_to", "stats"]


def device_batches(
    rng: np.random.Generator, *, fleet: int = 6, before: int = 60, rows: int = 500, weather: float = 3.0, level: float = 1.0
) -> list[dict[str, Any]]:
    """One batch per device and day: a temperature that all devices share (weather), each device's own humidity, and shares of missing and
    bad values.
    """
    season = np.cumsum(rng.normal(0, weather / 3, before + 7))
    own, found = rng.normal(0, level, fleet), []
    for place, day in enumerate(range(-before, 7)):
        for device in range(fleet):
            at = START + timedelta(days=day, hours=6, minutes=float(rng.uniform(0, 20)))
            n = int(rng.poisson(rows))
            nulls, outside = rng.binomial(n, 0.03) / n, rng.binomial(n, 0.005) / n
            temperature = {"mean": 20 + season[place] + own[device] + rng.normal(0, 0.4), "std": 4 * float(np.exp(rng.normal(0, 0.12)))}
            humidity = {"mean": 50 + rng.normal(0, 3), "std": 9 * float(np.exp(rng.normal(0, 0.12)))}
            shares = {"null_share": nulls, "stuck_share": rng.binomial(n, 0.01) / n, "saturated_share": rng.binomial(n, 0.002) / n}
            found.append(
                {
                    "batch": f"d{device} {day}",
                    "at": at,
                    "source": "greenhouse",
                    "rows": n,
                    "device": f"d{device}",
                    "rejected_rows": int(rng.binomial(n, 0.01)),
                    "captured_to": at - timedelta(minutes=float(rng.uniform(5, 15))),
                    "stats": {"temperature": temperature | shares | {"out_of_range_share": outside}, "humidity": humidity | shares},
                }
            )
    return found


def of_device(batches: list[dict[str, Any]], device: str, since: int = 0) -> list[dict[str, Any]]:
    """The batches of a device, from the given day of the window on."""
    return [each for each in batches if each["device"] == device and each["at"] >= START + timedelta(days=since)]


def stored_batches(batches: list[dict[str, Any]]) -> pd.DataFrame:
    """The batches in the form in which the store returns them."""
    rows = pd.DataFrame(batches, columns=COLUMNS)
    return rows.astype({"at": "datetime64[us]", "captured_to": "datetime64[us]", "rows": "Int64", "rejected_rows": "Int64"})


def device_findings(batches: list[dict[str, Any]], budget: float = 0.0143) -> list[Finding]:
    """The findings about the devices of the week."""
    frame = stored_batches(batches)
    frame[["source", "device"]] = frame[["source", "device"]].astype(object)
    context = Context(
        EVERY_MODEL, NO_VERSION, Window("", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC)), END.replace(tzinfo=UTC), budget
    )
    frames = {"batches": frame[frame["at"] >= START], "past batches": frame[frame["at"] < START]}
    return devices.analyze({name: each.reset_index(drop=True) for name, each in frames.items()}, context)
