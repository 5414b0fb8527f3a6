"""The expected predictions of each airport's day at the end of 2013. `python sample_data/nightly.py`

flights-delay serves in batches: a batch holds the flights of one airport and day, in the time of New York. For the last four weeks, a
record of kind `expected_batch` declares how many rows the batch should have (as many as were served), and that it is due an hour after
midnight. One batch is simulated: for LaGuardia on 29 December eight more keys are declared, with names that mark them as simulated. So the
gate holds this batch.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
FILE, MODEL = "nightly.jsonl", "flights-delay"
ZONE, DAYS, DUE = "America/New_York", 28, pd.Timedelta(hours=1)
BAD, LOST = "LGA 2013-12-29", 8


def expected_batches(served: pd.DataFrame) -> list[dict[str, Any]]:
    """The records of the last four weeks, oldest first."""
    records = []
    for name, own in served.groupby("batch", sort=True):
        day = pd.Timestamp(str(name).split()[1], tz=ZONE)
        record: dict[str, Any] = {
            "kind": "expected_batch",
            "batch": str(name),
            "model": MODEL,
            "at": instant(day),
            "received_at": instant(day),
        }
        if name == BAD:
            record["keys"] = [*sorted(own["id"]), *(f"simulated-{place + 1}" for place in range(LOST))]
        else:
            record["rows"] = len(own)
        records.append(record | {"due": instant(day + pd.DateOffset(days=1) + DUE)})
    last = max(record["at"] for record in records)
    begin = instant(pd.Timestamp(last) - pd.Timedelta(days=DAYS))
    return sorted((record for record in records if record["at"] > begin), key=lambda record: (record["at"], record["batch"]))


def instant(moment: pd.Timestamp) -> str:
    """The instant in UTC as RFC 3339."""
    return moment.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")


def make(out: Path) -> None:
    """Writes nightly.jsonl from the served rows."""
    served = pd.read_parquet(out / f"{MODEL}.predictions.parquet", columns=["id", "batch"])
    lines = [json.dumps(record, separators=(",", ":")) for record in expected_batches(served)]
    (out / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    make(HERE)
