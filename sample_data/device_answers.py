"""Answers of devices to flights-late requests that the server answered too. `python sample_data/device_answers.py`

The answers are real: those of the shipped trees with leaves in int8, one request at a time. The device in ring 0 is SIMULATED, and each
record states this (`device_source`): it is a device whose next report (`edge.py`) covers the request. In the reports of ring 0 on version
`1 int8`, `compared` and `agreed` are counted from these rows.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_data import collecting, edge
from sample_data.flights import LATE
from sample_data.serving import Service
from sample_data.spec import hashes

HERE = Path(__file__).resolve().parent
FILE, RING, FIRST_DAY = "flights-late.devices.predictions.parquet", "ring 0", "20131220"
STEPS = 127
"""Number of int8 steps on either side of the middle of a tree's leaves."""


def int8_leaves(model: str) -> str:
    """The text of a LightGBM model in which each leaf has one of 255 values: 8 bits per leaf, and a scale and a middle per tree."""
    lines = (line for line in model.split("\n") if not line.startswith("tree_sizes="))  # lengths in bytes, which LightGBM does not need
    return "\n".join(f"leaf_value={_int8(line[11:])}" if line.startswith("leaf_value=") else line for line in lines)


def _int8(values: str) -> str:
    """The leaf values of one tree, each moved to the nearest of 255 values."""
    leaves = np.array(values.split(), np.float64)
    middle, scale = (leaves.max() + leaves.min()) / 2, (leaves.max() - leaves.min()) / 2 / STEPS
    steps = np.round((leaves - middle) / scale).astype(np.int8) if scale else np.zeros(len(leaves), np.int8)
    return " ".join(repr(float(middle + scale * step)) for step in steps)


def int8_service(artifact: Path) -> Service:
    """The scoring service of a model file whose leaves were rounded to int8."""
    with tempfile.TemporaryDirectory(prefix="sample-int8-") as folder:
        own = Path(folder) / "int8.lightgbm.txt"
        own.write_text(int8_leaves(lightgbm.Booster(model_file=str(artifact)).model_to_string(num_iteration=-1)), encoding="utf-8")
        return Service(LATE, artifact, booster=lightgbm.Booster(model_file=str(own)))


def asked_devices(served: pd.DataFrame, reports: pd.DataFrame) -> pd.DataFrame:
    """The requests that devices answered too, with `device`, `synced_at`, and the position in `reports` of the report that counts them.

    served: id and at of the server's answers.
    """
    own = reports[(reports["ring"] == RING) & (reports["version"] == edge.NEW)]
    recent = served[served["id"].str.slice(stop=8) >= FIRST_DAY]
    pairs = recent[["id", "at"]].merge(own[["device", "oldest_at", "synced_at"]].assign(until=own["at"], report=own.index), how="cross")
    pairs = pairs[(pairs["at"] >= pairs["oldest_at"]) & (pairs["at"] < pairs["until"])]
    drawn = pairs.assign(luck=hashes(f"{device} {name}" for device, name in zip(pairs["device"], pairs["id"])))
    chosen = drawn.sort_values("luck").groupby("id", sort=False).head(1)
    return recent.merge(chosen[["id", "device", "synced_at", "report"]], on="id")


def device_answers(served: pd.DataFrame, reports: pd.DataFrame, service: Service) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The predictions of devices in shadow, and the reports with `compared` and `agreed` counted from these rows."""
    asked, threshold = asked_devices(served, reports), float(LATE.settings["threshold"])
    rows: list[dict[str, Any]] = []
    for row in asked.to_dict("records"):
        features = {name: None if row[name] != row[name] else row[name] for name in LATE.features}
        about = {"id": row["id"], "model": LATE.name, "version": edge.NEW, "environment": "shadow", "at": row["at"]}
        about |= {"device": row["device"], "device_source": "simulated", "synced_at": row["synced_at"], "received_at": row["synced_at"]}
        rows.append({**about, "score": service.answer(features)[1], **features})
    found = pd.DataFrame(rows)
    same = (found["score"] >= threshold).to_numpy() == (asked["score"] >= threshold).to_numpy()
    counted = asked.assign(agreed=same).groupby("report")["agreed"].agg(["size", "sum"]).reindex(reports.index)
    ring = (reports["ring"] == RING) & (reports["version"] == edge.NEW)
    counts = {"compared": counted["size"].fillna(0), "agreed": counted["sum"].fillna(0)}
    return found, reports.assign(**{name: reports[name].where(~ring, values).astype(int) for name, values in counts.items()})


def make(out: Path) -> None:
    """Write the predictions of devices, and the reports that count them."""
    served = pd.read_parquet(out / f"{LATE.name}.predictions.parquet")
    found, reports = device_answers(served, edge.simulated_table(), int8_service(out / LATE.artifact))
    collecting.write_table(found, out / FILE, LATE.together)
    edge.write(reports, out)


if __name__ == "__main__":
    make(HERE)
