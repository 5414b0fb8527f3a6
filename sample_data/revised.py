"""The changes from one version of a dataset to the next. `python sample_data/revised.py`

The first version holds the rows of the reference of flights-late. The second is a revision such as a team would make: a calm has no
direction (the source says 0 degrees, which is north), flights without any weather are left out, and the flights of April and May are added
from the reference of the second version of the model. All rows are real. The product's own command `audit-storage` measures both versions,
and counts what the second one added, changed and deleted (`--before`). Both are dated at the times when the versions of the model began to
serve.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_data import flights, provenance
from sample_data.deliveries import utc
from sample_data.sources import FLIGHTS
from sample_data.spec import VERSION
from sample_data.stored import command

HERE = Path(__file__).resolve().parent
FILE, DATASET = "revised.jsonl", "flights-late labelled rows"


def versions(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of both versions: id, at, label and the features."""
    columns = ["id", "at", "label", *flights.FEATURES]
    first, later = (pd.read_parquet(folder / spec.reference, columns=columns) for spec in (flights.LATE, flights.CHALLENGER))
    second = first[~provenance.unobserved(first)].copy()
    second["wind_direction_degrees"] = second["wind_direction_degrees"].mask(second["wind_speed_mph"] == 0)
    added = later[~later["id"].isin(first["id"]) & (later["id"].str.slice(stop=8) >= flights.SERVES_FROM.replace("-", ""))]
    return first, pd.concat([second, added], ignore_index=True)


def make(out: Path) -> None:
    """Write the record of each version."""
    records: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="sample-revised-") as home:
        paths = [Path(home) / f"{version}.parquet" for version in ("1", "2")]
        for rows, path in zip(versions(out), paths, strict=True):
            rows.to_parquet(path, index=False)
        since = ("--before", str(paths[0]), "--before-version", "1")
        for path, spec, more in zip(paths, (flights.LATE, flights.CHALLENGER), ((), since), strict=True):
            about = ("--dataset", DATASET, "--data-version", spec.version, "--dry-run")
            record: dict[str, Any] = command(home, "audit-storage", str(path), *about, *more)
            at = utc(pd.Timestamp(spec.deployed)).isoformat()
            origin = f"{spec.trained_on}@{VERSION}" if spec is flights.LATE else f"{FLIGHTS.package}@{FLIGHTS.version}"
            records.append(record | {"at": at, "received_at": at, "parents": [*record.get("parents", ()), origin]})
    lines = (json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in records)
    (out / FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    make(HERE)
