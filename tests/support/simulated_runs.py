"""Simulated clean training runs, as records: one of one process, one of four."""

from datetime import UTC, datetime, timedelta

import numpy as np

START = datetime(2026, 3, 2, tzinfo=UTC)
STEPS = 200
CURVE = 0.3 + 2 * np.arange(1, STEPS + 1) ** -0.35


def run_that_can_have(fault: str) -> str:
    """The simulated run that has what a fault needs."""
    return "ranks" if "slow_rank" in fault else "curves"


def simulated_run_records(seed: int = 5) -> list[dict]:
    """Two runs: `curves` of one process with training and held-out rows on an accelerator, `ranks` of four processes."""
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
