"""Make a training run on 64 processes, and one on four accelerators, one of which is hot. `python sample_data/simulated_runs.py`

Both runs are SIMULATED: their names, their parameters and each of their records state this. No device or host exists, and nothing was
learned. In the first, eight hosts of eight ranks average their gradients in each step; the communication of one rank takes longer, so that
all others wait for it (`sync`). In the second, four accelerators are read every two seconds: one becomes hot and draws less power at the
same utilisation. Everything is drawn with one seed.
"""

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
RUNS, STEPS, READINGS = "simulated.runs.jsonl", "simulated.steps.parquet", "simulated.readings.parquet"
MODEL, SEED = "flights-late", 53
RANKS, A_HOST, RANK_STEPS, STRAGGLER = 64, 8, 60, 37
"""Number of ranks, ranks per host, logged steps, and the rank whose communication takes EXTRA_MS longer."""
EXTRA_MS = 22.0
OF_RANKS, OF_DEVICES = "simulated-64-ranks", "simulated-4-accelerators"
RANKS_BEGIN, DEVICES_BEGIN = datetime(2024, 11, 26, 12, 45, tzinfo=UTC), datetime(2024, 11, 26, 12, 50, tzinfo=UTC)
"""Both start before the real training runs, so that pages which list the newest runs of the model list the real ones."""
DEVICES, MOMENTS, EVERY, HOT = 4, 60, 2.0, 2
"""Number of accelerators, number of readings of each, seconds between readings, and which accelerator is hot."""


def rank_phases() -> dict[str, np.ndarray[Any, Any]]:
    """Milliseconds of each phase, ranks × steps. All ranks wait in `sync` for the rank that sends its gradient last."""
    rng, shape = np.random.default_rng(SEED), (RANKS, RANK_STEPS)
    data = rng.lognormal(np.log(2.4), 0.15, shape)
    compute = 212 + rng.normal(0, 1.5, (1, RANK_STEPS)) + rng.normal(0, 0.8, (RANKS, 1)) + rng.normal(0, 0.7, shape)
    communication = rng.lognormal(np.log(38), 0.02, shape)
    communication[STRAGGLER] += EXTRA_MS
    own = data + compute + communication
    sync = own.max(axis=0) - own + rng.lognormal(np.log(0.4), 0.2, shape)
    return {
        name: table.round(1) for name, table in (("data", data), ("compute", compute), ("communication", communication), ("sync", sync))
    }


def falling_loss(steps: int) -> list[float]:
    """A loss that falls without noise, so that nobody mistakes it for a real loss."""
    return np.round(0.69 * np.exp(-np.arange(1, steps + 1) / 25) + 0.45, 4).tolist()


def steps_of_ranks() -> pd.DataFrame:
    """The records of the steps of the first run, rank by rank; a step ends for all ranks at the same time."""
    phases = rank_phases()
    lasted = np.stack(list(phases.values())).sum(axis=0).max(axis=0)
    ends = [RANKS_BEGIN + timedelta(milliseconds=round(float(passed))) for passed in np.cumsum(lasted)]
    loss = falling_loss(RANK_STEPS)
    rows = [
        {
            "run": OF_RANKS, "at": ends[step], "received_at": ends[step], "step": step + 1, "rank": f"{rank}",
            "host": f"invented-node-{1 + rank // A_HOST}", "device": f"gpu{rank % A_HOST}", "metrics": {"train_loss": loss[step]},
            "phase_ms": {name: float(table[rank, step]) for name, table in phases.items()}, "simulated": True,
        }
        for rank in range(RANKS)
        for step in range(RANK_STEPS)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def steps_of_devices() -> pd.DataFrame:
    """The records of the steps of the second run: one at each reading, without phases."""
    at = [DEVICES_BEGIN + timedelta(seconds=EVERY * place) for place in range(1, MOMENTS + 1)]
    metrics = [{"train_loss": loss} for loss in falling_loss(MOMENTS)]
    return pd.DataFrame(
        {"run": OF_DEVICES, "at": at, "received_at": at, "step": range(1, MOMENTS + 1), "metrics": metrics, "simulated": True}
    )


def readings_of_devices() -> pd.DataFrame:
    """The records of the second run, device by device: the hot one reaches its temperature in the first third and is then throttled."""
    rng, passed = np.random.default_rng(SEED + 1), np.arange(1, MOMENTS + 1) / MOMENTS
    at = [DEVICES_BEGIN + timedelta(seconds=EVERY * place) for place in range(1, MOMENTS + 1)]
    found = []
    for device in range(DEVICES):
        hot = device == HOT
        warm = 38 + (54.5 if hot else 29.0 + device) * (1 - np.exp(-passed / 0.08))
        throttled = 18.0 * (passed > 0.5) if hot else 0.0
        watts = 60 + rng.normal(0, 0.5, MOMENTS) - throttled
        table = {
            "run": OF_DEVICES, "at": at, "received_at": at, "model": MODEL, "device": f"gpu{device}", "host": "invented-node-1",
            "watts": watts.round(1), "utilisation": (0.93 + rng.normal(0, 0.01, MOMENTS)).clip(0, 1).round(2),
            "memory_gb": (11.2 + rng.normal(0, 0.02, MOMENTS)).round(2), "temperature_c": (warm + rng.normal(0, 0.4, MOMENTS)).round(0),
            "energy_j": (EVERY * watts).round(1), "seconds": EVERY, "source": "estimated", "simulated": True,
        }  # fmt: skip
        found.append(pd.DataFrame(table))
    return pd.concat(found, ignore_index=True)


def starts_and_ends(steps: pd.DataFrame, readings: pd.DataFrame) -> list[dict[str, Any]]:
    """The records that begin and end both runs: their description, and when they ended."""
    about = {
        OF_RANKS: ({"processes": RANKS, "batch_rows": 32 * RANKS, "slowed": f"rank {STRAGGLER}, in communication"}, RANKS_BEGIN, steps),
        OF_DEVICES: ({"devices": DEVICES, "hot": f"gpu{HOT}"}, DEVICES_BEGIN, readings),
    }
    found: list[dict[str, Any]] = []
    for run, (params, began, table) in about.items():
        common = {"kind": "run", "run": run, "model": MODEL, "simulated": True}
        hardware = {"host": "invented", "accelerator": "invented", "device_memory_gb": 16}
        stated = {"simulated": "learns nothing, runs nowhere", **params}
        found.append({**common, "event": "start", "at": began.isoformat(), "params": stated, "study": run, "hardware": hardware})
        found.append({**common, "event": "end", "at": table["at"].max().isoformat(timespec="milliseconds"), "status": "finished"})
    return found


def make(out: Path) -> None:
    """Write the three files."""
    from sample_data.collecting import write_sorted

    steps, readings = steps_of_ranks(), readings_of_devices()
    lines = (json.dumps(each, separators=(",", ":")) for each in starts_and_ends(steps, readings))
    (out / RUNS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    write_sorted(pd.concat([steps, steps_of_devices()], ignore_index=True), out / STEPS)
    write_sorted(readings, out / READINGS)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    parser = argparse.ArgumentParser(description="Draws the simulated runs.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: the one of this file)")
    make(parser.parse_args().out)
