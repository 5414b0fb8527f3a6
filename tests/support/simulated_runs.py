"""Simulated training runs without faults, as records: a run of one process, a run of four processes, and a run on four accelerators with
earlier runs of its kind.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from tests.support.device_readings import correlated
from tests.support.run_frames import frame_of

START = datetime(2026, 3, 2, tzinfo=UTC)
STEPS = 200
KINDS = (("runs", "run"), ("steps", "step"), ("resources", "resource"), ("events", "event"))
"""The names under which training/runs reads records, and their kinds."""
CURVE = 0.3 + 2 * np.arange(1, STEPS + 1) ** -0.35


def run_that_can_have(fault: str) -> str:
    """The simulated run with the records that a fault changes."""
    return "accelerators" if fault.endswith(("_peers", "_past")) else "ranks" if "slow_rank" in fault else "curves"


def simulated_run_records(seed: int = 5) -> list[dict]:
    """Two runs: `curves` of one process on an accelerator, with training and held-out metrics, and `ranks` of four processes."""
    rng, drawn = np.random.default_rng(seed), np.random.default_rng([seed, 3])
    found = []
    for run, ranks in (("curves", (None,)), ("ranks", (0, 1, 2, 3))):
        found.append({"kind": "run", "run": run, "model": "loan", "event": "start", "at": START.isoformat()})
        for step in range(STEPS):
            for rank in ranks:
                losses = CURVE[step] + rng.normal(0, 0.01, 2)
                metrics = {"train_loss": losses[0], "val_loss": losses[1] + 0.1}
                if rank is None:
                    metrics |= {"val_accuracy": 1 - losses[1] / 5, "grad_norm": rng.lognormal(0, 0.4), "learning_rate": 0.1 * 0.99**step}
                    metrics |= {"dead_units": abs(rng.normal(0.1, 0.02)), "update_ratio": 1e-3 * rng.lognormal(0, 0.3)}
                found.append(
                    {
                        "kind": "step",
                        "run": run,
                        "at": (START + timedelta(seconds=30 * step)).isoformat(),
                        "step": step + 1,
                        "metrics": metrics,
                    }
                )
                if rank is None:
                    found[-1]["batch"] = f"part-{step % 20}"
                    read = {"watts": drawn.normal(300, 15), "utilisation": drawn.uniform(0.7, 1), "temperature_c": drawn.normal(72, 3)}
                    found.append({"kind": "resource", "run": run, "at": found[-1]["at"], "device": "gpu0", "host": "node-1", **read})
                else:
                    work = {"forward": rng.normal(40, 1), "backward": rng.normal(60, 1), "communication": rng.normal(12, 1)}
                    found[-1] |= {"rank": rank, "phase_ms": work}
        found.append(
            {
                "kind": "run",
                "run": run,
                "model": "loan",
                "event": "end",
                "status": "finished",
                "at": (START + timedelta(hours=3)).isoformat(),
            }
        )
    return found


def accelerator_run_records(seed: int = 5, earlier: int = 6) -> list[dict]:
    """A run `accelerators` on four devices, and earlier runs of its kind, which have only starts, ends and readings."""
    found: list[dict] = []
    for place in range(earlier + 1):
        last = place == earlier
        name, begun = "accelerators" if last else f"accelerators-{place}", START - timedelta(hours=4 * (earlier - place))
        count = STEPS if last else 50
        rng = np.random.default_rng([seed, place, 67])
        common = {"kind": "run", "run": name, "model": "loan", "params": {"depth": 12}}
        found.append(common | {"event": "start", "at": begun.isoformat()})
        shared = correlated(rng, count, 0.95)
        for device in range(4):
            temperatures, memory = (correlated(rng, count) for _ in range(2))
            warmer = rng.normal(0, 1.5)
            for step in range(count):
                read = {"watts": rng.normal(300, 15), "utilisation": rng.uniform(0.7, 1), "memory_gb": 60 + 0.5 * memory[step]}
                read["temperature_c"] = 68 + warmer + 2 * shared[step] + temperatures[step]
                at = (begun + timedelta(seconds=30 * step)).isoformat()
                found.append({"kind": "resource", "run": name, "at": at, "device": f"gpu{device}", "host": "node-1", **read})
        for step in range(STEPS if last else 0):
            metrics = {"train_loss": CURVE[step] + rng.normal(0, 0.01)}
            at = (begun + timedelta(seconds=30 * step)).isoformat()
            found.append({"kind": "step", "run": name, "at": at, "step": step + 1, "metrics": metrics})
        found.append(common | {"event": "end", "status": "finished", "at": (begun + timedelta(hours=3)).isoformat()})
    return found


def simulated_run_frames(run: str, seed: int) -> dict[str, pd.DataFrame]:
    """The records of a run without faults and of earlier runs of its kind, in the frames that the analyzer reads."""
    simulated = accelerator_run_records if run == "accelerators" else simulated_run_records
    records = [each for each in simulated(seed) if each["run"].startswith(run)]
    return {name: frame_of(kind, [each for each in records if each["kind"] == kind]) for name, kind in KINDS}
