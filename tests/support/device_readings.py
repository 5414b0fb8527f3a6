"""Simulated readings of the devices of a training run, correlated in time."""

from datetime import timedelta

import numpy as np
import pandas as pd

from observability.metrics.training_curves import TrainingRun
from tests.support.run_frames import START

UNITS = {"watts": 300.0, "utilisation": 0.85, "temperature_c": 70.0, "memory_gb": 60.0}
NOISE = {"watts": 12.0, "utilisation": 0.05, "temperature_c": 2.5, "memory_gb": 0.8}


def correlated(rng: np.random.Generator, n: int, by: float = 0.8) -> np.ndarray:
    """An AR(1) series with variance 1."""
    found = np.empty(n)
    found[0] = rng.normal()
    for place in range(1, n):
        found[place] = by * found[place - 1] + np.sqrt(1 - by**2) * rng.normal()
    return found


def device_rows(run: str, seed: int, *, devices: int = 4, n: int = 160, start: int = 0, each: float = 2.0, **moved: float) -> pd.DataFrame:
    """Readings every 10 s, of accelerators that share a load and differ a little. moved: for each kind of reading, the amount that is added
    on the first device.

    start: hours after START. each: standard deviation of the temperatures between devices, in °C; other readings vary in proportion.
    """
    rng = np.random.default_rng([seed, 61])
    shared, parts = {name: correlated(rng, n, 0.95) for name in UNITS}, []
    for place in range(devices):
        own = {
            name: UNITS[name] + NOISE[name] * (shared[name] + correlated(rng, n) + each / 2.5 * 0.5 * rng.normal())
            for name in UNITS
        }  # fmt: skip
        own |= {name: own[name] + value for name, value in moved.items()} if place == 0 else {}
        own["utilisation"] = np.clip(own["utilisation"], 0, 1)
        at = pd.date_range((START + timedelta(hours=start)).replace(tzinfo=None), periods=n, freq="10s") + pd.Timedelta(place, "s")
        parts.append(pd.DataFrame({"run": run, "at": at, "device": f"gpu{place}", "host": "node-1", "model": "loan", **own}))
    return pd.concat(parts, ignore_index=True)


def plain_run(name: str, start: int = 0, **hardware: float) -> TrainingRun:
    """A run of the model `loan` without steps. start: hours after START."""
    at = START + timedelta(hours=start)
    return TrainingRun(
        name=name, model="loan", version=None, study=None, dataset=None, status=None, seed=None, params={"depth": 3}, hardware=hardware,
        final={}, started=at, ended=None, last=at, steps=0, ranks=(),
    )  # fmt: skip
