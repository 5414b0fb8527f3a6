"""Make the reports of devices. `device_answers.py` counts the rows of ring 0 and writes them.

They are SIMULATED, and each states this (`source`): 300 devices in three classes that serve flights-late over five weeks of December 2013.
Version `1 int8` reaches ring after ring in the last twelve days. Two things go wrong in the last week: version `1 int8` crashes on firmware
5.3, which only devices of the rings 2 and 3 have, and tablets send late. So ring 1 passes, ring 2 should stop, and ring 0 has too few
devices for a decision. Everything is drawn with one seed.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FILE = "edge.reports.parquet"
MODEL, OLD, NEW, SEED = "flights-late", "1", "1 int8", 21
DEVICES, IN_RINGS, DAYS = 300, 90, 35
"""Number of devices, how many of them are spread over the four rings equally (the others are in the rings 1 to 3), and number of days."""
START = datetime(2013, 11, 27, 21, tzinfo=UTC)
CLASSES, FIRMWARE, NEWEST = ("phone", "tablet", "kiosk"), ("5.1", "5.2"), "5.3"
ROLL_OUT = {"ring 0": 23, "ring 1": 27, "ring 2": 31}
"""The day on which each ring gets the new version; ring 3 keeps the old one."""
LAST_WEEK = DAYS - 7


def device_firmware(place: int, ring: int) -> str:
    """The firmware of a device: the newest for every third device in the rings 2 and 3."""
    return NEWEST if ring >= 2 and (place // 3) % 3 == 2 else FIRMWARE[(place // 3) % 3 % 2]


def simulated_reports() -> list[dict[str, Any]]:
    """One report per device and day."""
    rng = np.random.default_rng(SEED)
    found = []
    for place in range(DEVICES):
        number = (place // 9) % 4 if place < IN_RINGS else 1 + (place // 9) % 3
        kind, firmware, ring = CLASSES[place % 3], device_firmware(place, number), f"ring {number}"
        clumsy = 0.0015 * float(rng.gamma(0.5, 2.0))
        for day in range(DAYS):
            at = START + timedelta(days=day, minutes=float(rng.uniform(0, 90)))
            bad = day >= LAST_WEEK
            version = NEW if day >= ROLL_OUT.get(ring, DAYS) else OLD
            answers = int(rng.poisson(60))
            compared = int(rng.binomial(answers, 0.3))
            late = bad and kind == "tablet" and rng.random() < 0.12
            lag = float(rng.exponential(3.0)) + (40.0 if late or rng.random() < 0.002 else 0.0)
            crashes = int(rng.random() < clumsy + (0.2 if bad and firmware == NEWEST and version == NEW else 0.0))
            found.append(
                {
                    "device": f"{kind}-{place:02}",
                    "at": at,
                    "model": MODEL,
                    "version": version,
                    "synced_at": at + timedelta(hours=lag),
                    "oldest_at": at - timedelta(hours=float(rng.uniform(1, 8))),
                    "device_class": kind,
                    "firmware": firmware,
                    "ring": ring,
                    "answers": answers,
                    "crashes": crashes,
                    "out_of_memory": int(rng.random() < 0.002),
                    "compared": compared,
                    "agreed": compared - int(rng.binomial(compared, 0.004)),
                    "battery": round(float(rng.uniform(0.15, 1.0)), 2),
                    "memory_peak_mb": round(float(rng.normal({"phone": 180, "tablet": 210, "kiosk": 260}[kind], 9)), 1),
                    "latency_p99_ms": round(float(rng.normal(40 if version == OLD else 22, 3)), 1),
                    "source": "simulated",
                }
            )
    return sorted(found, key=lambda row: row["at"])


def simulated_table() -> pd.DataFrame:
    """The reports as a table, with times in milliseconds."""
    table = pd.DataFrame(simulated_reports())
    table["received_at"] = table["synced_at"]
    times = ["at", "synced_at", "oldest_at", "received_at"]
    table[times] = table[times].astype("datetime64[ms, UTC]")
    return table


def write(reports: pd.DataFrame, out: Path) -> None:
    """Write the file."""
    reports.to_parquet(out / FILE, index=False, compression="zstd")
