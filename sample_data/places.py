"""Make the reports of places that store data. `python sample_data/places.py`

They are SIMULATED, and each record states this (`source`): three places (folders or buckets that store data) over nine weeks to the end of
2013. In the last days the bucket with texts of requests grows several times as fast, and its removal of old data has stopped. The disk with
features is nearly full, and none of its backups was tested. Everything is drawn with one seed.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
FILE = "places.reports.parquet"
SEED, DAYS, GB = 29, 63, 10**9
START = datetime(2013, 10, 30, 3, tzinfo=UTC)
PLACES = {"raw flights": (2_000, 0.42, 0.0012), "features": (400, 0.82, 0.0018), "request texts": (1_000, 0.35, 0.0015)}
"""For each place: its capacity in gigabytes, the share used at first, and the share by which it grows per day."""
LAST_WEEK = DAYS - 7


def simulated_places() -> list[dict[str, Any]]:
    """One report per place and day."""
    rng, found = np.random.default_rng(SEED), []
    for name, (room, share, growth) in PLACES.items():
        used, last_removal, backup = room * share * GB, START, START - timedelta(hours=2)
        read = float(rng.uniform(18, 45))
        for day in range(DAYS):
            at = START + timedelta(days=day, minutes=float(rng.uniform(0, 20)))
            texts, features, bad = name == "request texts", name == "features", day >= LAST_WEEK
            used += room * growth * GB * float(rng.gamma(5, 0.2)) * (6 if texts and bad else 1)
            last_removal = last_removal if texts and day >= DAYS - 10 else at
            backup = at - timedelta(hours=2, minutes=float(rng.uniform(0, 40))) if rng.random() > 0.02 else backup
            files, reads = int(used / (25_000_000 if features else 45_000_000)), int(rng.poisson(40_000))
            found.append(
                {
                    "place": name,
                    "at": at,
                    "tier": "hot",
                    "capacity_bytes": room * GB,
                    "used_bytes": int(used),
                    "files": files,
                    "small_files": int(files * rng.normal(0.22, 0.01)),
                    "duplicate_bytes": int(used * (0.27 if name == "raw flights" else 0.02)),
                    "cold_bytes": int(used * rng.normal(0.35, 0.01)),
                    "oldest_at": last_removal - timedelta(days=180 - float(rng.uniform(0, 0.8))),
                    "keep_days": 180.0,
                    "reads": reads,
                    "read_errors": int(rng.poisson(0.4)),
                    "read_p99_ms": round(read * float(np.exp(rng.normal(0, 0.1))), 2),
                    "writes": reads // 5,
                    "write_errors": int(rng.poisson(0.1)),
                    "write_p99_ms": round(1.4 * read * float(np.exp(rng.normal(0, 0.12))), 2),
                    "checked": 1500,
                    "corrupt": int(name == "raw flights" and day == DAYS - 3),
                    "backup_at": backup,
                    "backup_hours": 36.0,
                    "restored_at": START - timedelta(days=2) if features else START + timedelta(days=18 * (day // 18)),
                    "restore_days": 30.0,
                    "source": "simulated",
                }
            )
    return sorted(found, key=lambda row: row["at"])


def main() -> None:
    """Write the file."""
    table = pd.DataFrame(simulated_places())
    table["received_at"] = table["at"]
    times = ["at", "oldest_at", "backup_at", "restored_at", "received_at"]
    table[times] = table[times].astype("datetime64[ms, UTC]")
    table.to_parquet(HERE / FILE, index=False, compression="zstd")


if __name__ == "__main__":
    main()
