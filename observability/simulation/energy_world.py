"""Simulate a clean month of training: a run each night on one accelerator, hourly carbon intensities, and a sweep of a power cap.

There are also two audits that measure the energy of batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.settings import ModelSettings
from observability.metrics.serving_power import ENERGY_AUDITS, CorePower, batch_joules, core_power, repeated_interval
from observability.metrics.trade_offs import SERVED_FORM

if TYPE_CHECKING:
    from pandas import DataFrame

END = datetime(2026, 3, 9, tzinfo=UTC)
NIGHTS, CAP_NAME, KNEE_W = 35, "power_cap_w", 300.0
CAPS = ((400.0, 390.0, 1.0), (KNEE_W, 385.0, 1.01), (200.0, 380.0, 1.02))
"""For each cap of the sweep: the cap in watts, the watts used, and the time as a multiple. The clean job hardly reaches its caps, so they
save little.
"""
REPEATS, READINGS = 5, 24
BATCH_SECONDS = {1: 0.08, 10: 0.017, 100: 0.012}
"""Processor seconds per thousand predictions, by the number of rows in a batch."""
RUN_COLUMNS = ("run", "at", "event", "version", "hardware", "status", "dataset", "study", "params")


@dataclass(frozen=True)
class EnergyWorld:
    """Records about a model's training. runs, readings, prices, steps (none), batches: in the form that the analyzer operations/energy
    reads.

    newest: the last run. batches: two audits of the energy of batches, the older one first.
    """

    runs: "DataFrame"
    readings: "DataFrame"
    prices: "DataFrame"
    steps: "DataFrame"
    batches: "DataFrame"
    newest: str


def simulated_energy(seed: int) -> EnergyWorld:
    """A clean month: runs of two hours at 02:00 UTC, when carbon intensity is lowest, and a sweep in which no cap saves 5 % of the
    energy.
    """
    import pandas as pd

    rng = np.random.default_rng([seed, 53])
    runs: list[dict[str, Any]] = []
    readings: list[dict[str, Any]] = []

    def add(name: str, start: datetime, seconds: float, watts: float, **about: Any) -> None:
        stop = start + timedelta(seconds=seconds)
        runs.extend(
            ({"run": name, "at": start, "event": "start", **about}, {"run": name, "at": stop, "event": "end", "status": "finished"})
        )
        for place in range(READINGS):
            drawn = {"watts": watts * rng.lognormal(0, 0.03), "utilisation": float(np.clip(rng.normal(0.85, 0.05), 0, 1))}
            at = start + timedelta(seconds=seconds * (place + 1) / READINGS)
            where = {"device": "gpu0", "host": "node1", "seconds": seconds / READINGS, "temperature_c": rng.normal(70, 2)}
            readings.append({"run": name, "at": at, "source": "measured", **drawn, **where})

    for night in range(NIGHTS):
        start = END - timedelta(days=NIGHTS - night) + timedelta(hours=2)
        add(f"nightly-{night:02}", start, 7200 * rng.lognormal(0, 0.04), 300.0 * rng.lognormal(0, 0.03), params={"layers": 4})
    began = END - timedelta(days=9) + timedelta(hours=6)
    for cap, watts, slower in CAPS:
        for place in range(REPEATS):
            about = {"study": "power caps", "params": {CAP_NAME: cap, "layers": 2, "seed": place}}
            add(f"cap-{cap:g}-{place}", began, 1800 * slower * rng.lognormal(0, 0.01), watts * rng.lognormal(0, 0.01), **about)
            began += timedelta(hours=1)
    hours = [END - timedelta(days=NIGHTS) + timedelta(hours=hour) for hour in range(24 * (NIGHTS + 1))]
    weather = np.repeat(rng.normal(0, 25, NIGHTS + 1), 24)
    grams = 300 - 110 * np.cos(2 * np.pi * (np.array([at.hour for at in hours]) - 3) / 24) + weather + rng.normal(0, 8, len(hours))
    listed = [
        {"from": at, "resource": "kwh", "amount": 0.2, "currency": "EUR", "carbon_g_per_kwh": value}
        for at, value in zip(hours, np.maximum(grams, 20.0), strict=True)
    ]
    price_columns = ("from", "resource", "amount", "currency", "model", "device", "region", "carbon_g_per_kwh", "pue", "embodied_g")
    reading_columns = (
        *("at", "device", "watts", "utilisation", "run", "version", "host", "energy_j", "seconds", "source"),
        *("temperature_c", "memory_gb"),
    )
    tables = (
        _table(pd, runs, RUN_COLUMNS, "at"),
        _table(pd, readings, reading_columns, "at"),
        _table(pd, listed, price_columns, "from"),
        _table(pd, [], ("run", "at", "step", "stride"), "at"),
        _table(pd, list(_batch_audits(seed)), tuple(ENERGY_AUDITS.columns or ()), "at"),
    )
    return EnergyWorld(*tables, newest=f"nightly-{NIGHTS - 1:02}")


def _batch_audits(seed: int) -> Iterator[dict[str, Any]]:
    """Two audits of the energy of batches, a week apart. They differ only by chance."""
    rng, power = np.random.default_rng([seed, 54]), core_power(ModelSettings())
    for days in (8, 1):
        costs = {batch: repeated_interval((seconds * rng.lognormal(0, 0.04, 6)).tolist()) for batch, seconds in BATCH_SECONDS.items()}
        batches = [measured_size(batch, ends, power) for batch, ends in costs.items()]
        about = {"model": "", "version": "", "audit": "energy", "at": END - timedelta(days=days), "expires": None}
        yield about | {"results": {"batches": batches, "power": power.words, "hardware": {"processor": "simulated"}}}


def measured_size(batch: int, cpu_seconds: tuple[float, float, float], power: CorePower) -> dict[str, Any]:
    """One batch size of the served form, as in the results of an audit. cpu_seconds: its processor time, with the ends of the interval."""
    named = {"cpu_seconds": cpu_seconds, "joules": batch_joules(cpu_seconds, power)}
    ends = {name: dict(zip(("value", "low", "high"), values, strict=True)) for name, values in named.items()}
    return {"form": SERVED_FORM, "precision": "fp64", "batch": batch, "rows": 1000, "repeats": 6, "source": power.source} | ends


NUMBERS = {"watts", "utilisation", "energy_j", "seconds", "temperature_c", "memory_gb", "amount", "carbon_g_per_kwh", "pue", "embodied_g"}


def _table(pandas: Any, rows: list[dict[str, Any]], columns: tuple[str, ...], time: str) -> "DataFrame":
    """Records in the form that the store returns: missing texts as None, missing numbers as NaN, naive times."""
    frame = pandas.DataFrame([{name: row.get(name) for name in columns} for row in rows], columns=list(columns))
    for name in columns:
        if name == time:
            frame[name] = pandas.to_datetime(frame[name], utc=True).dt.tz_localize(None).astype("datetime64[us]")
        elif name in NUMBERS:
            frame[name] = frame[name].astype(float)
        else:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame
