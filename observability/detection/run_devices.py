"""Checks the readings of the devices of a training run: idle, hot, throttled, or memory nearly full."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.finding import Severity
from observability.detection.device_figures import device_unit, use_of_run
from observability.detection.device_readings import temperature_limits
from observability.detection.run_claims import RunClaim, run_figure
from observability.metrics.energy_readings import is_processor
from observability.metrics.training_curves import TrainingRun

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_READINGS = 20
IDLE_BELOW, IDLE_SHARE = 0.1, 0.5
HOT_SHARE = 0.1
"""A device counts as hot if at least this share of its readings reaches the limit for a warning."""
POWER_LEFT, SAME_UTILISATION = 0.75, 0.9
MEMORY_SHARE = 0.97
OTHER_DEVICE = 1.01
"""If a device used more than this multiple of the stated memory, the statement is about another device, for example in a run on several
machines.
"""


def claims_about_devices(run: TrainingRun, readings: "DataFrame") -> list[RunClaim]:
    """Return a claim for each device of a run and each kind of problem; empty with fewer than MIN_READINGS readings.

    readings: resource records of this run (at, device, host, watts, utilisation, temperature_c, memory_gb).
    """
    found: list[RunClaim] = []
    for (host, device), own in readings.groupby([readings["host"].fillna(""), "device"], sort=True):
        rows = own.sort_values("at")
        name = f"`{device}`{f' on host `{host}`' if host else ''}"
        told = [hot_device(run, name, rows, temperature_limits(device)), throttled_device(run, name, rows)]
        if not is_processor(device):  # an idle processor costs little, and `device_memory_gb` is the memory of an accelerator
            told += [idle_device(run, name, rows), full_memory(run, name, rows)]
        reader, subject = {"reader": {"device": device, "host": host}}, f"{use_of_run(run).subject}{device_unit(device, host or None)}"
        found += [replace(each, subject=subject, evidence=each.evidence | reader) for each in told if each is not None]
    return found


def device_claim(metric: str, n: int, severity: Severity, because: str, value: float, limit: float, name: str, rank: float) -> RunClaim:
    """Return a claim about a device; the measured value has no interval."""
    evidence = {"device": name.replace("`", "")}
    return RunClaim(
        metric, n, severity, because, value=value, low=value, high=value, limit=limit, source="system", rank=rank, evidence=evidence
    )


def idle_device(run: TrainingRun, name: str, rows: "DataFrame") -> RunClaim | None:
    """Return the claim that a device was almost idle in at least half of its readings; None if it was not."""
    used = rows["utilisation"].dropna().to_numpy(float)
    share = float((used < IDLE_BELOW).mean()) if len(used) >= MIN_READINGS else 0.0
    if share < IDLE_SHARE:
        return None
    because = (
        f"Device {name} of run `{run.name}` was used below {100 * IDLE_BELOW:.0f} % in {100 * share:.0f} % of its {len(used):,} readings."
    )
    return device_claim("device_idle_share", len(used), "watch", because, share, IDLE_SHARE, name, 4.5)


def hot_device(run: TrainingRun, name: str, rows: "DataFrame", limits: tuple[float, float]) -> RunClaim | None:
    """Return the claim that a device was hot in at least a tenth of its readings. limits: for `watch` and for `act`. If the run's hardware
    states `temperature_limit_c`, it replaces the first limit, and moves the second by the same difference.
    """
    known = rows["temperature_c"].dropna().to_numpy(float)
    stated = run.hardware.get("temperature_limit_c")
    limit = float(stated) if isinstance(stated, int | float) and stated > 0 else limits[0]
    if len(known) < MIN_READINGS or float((known >= limit).mean()) < HOT_SHARE:
        return None
    top = float(np.quantile(known, 1 - HOT_SHARE))
    severity: Severity = "act" if top >= limit + limits[1] - limits[0] else "watch"
    because = (
        f"Device {name} of run `{run.name}` was at {top:.0f} °C or more in a tenth of its {len(known):,} readings (limit {limit:.0f} °C): "
        "it may slow down. Look at its cooling."
    )
    return device_claim("device_temperature", len(known), severity, because, top, limit, name, 6.2)


def throttled_device(run: TrainingRun, name: str, rows: "DataFrame") -> RunClaim | None:
    """Return the claim that a device draws much less power at the end than in the first half, although its utilisation is the same."""
    known = rows[["watts", "utilisation"]].dropna()
    n = len(known)
    if n < 2 * MIN_READINGS:
        return None
    early, late = known.iloc[: n // 2].median(), known.iloc[-n // 4 :].median()
    if early["watts"] <= 0 or early["utilisation"] < 0.5 or late["utilisation"] < SAME_UTILISATION * early["utilisation"]:
        return None
    ratio = float(late["watts"] / early["watts"])
    if ratio > POWER_LEFT:
        return None
    because = (
        f"Device {name} of run `{run.name}` is throttled: it draws {run_figure(late['watts'])} W in the last quarter of its readings, "
        f"where it drew {run_figure(early['watts'])} W in the first half at the same utilisation. Look at its temperature and power limit."
    )
    return device_claim("device_power_drop", n, "watch", because, ratio, POWER_LEFT, name, 6.4)


def full_memory(run: TrainingRun, name: str, rows: "DataFrame") -> RunClaim | None:
    """Return the claim that the memory of a device is nearly full. None if it is not, if there are too few readings, or if the hardware of
    the run states no `device_memory_gb` or less than was used.
    """
    size = run.hardware.get("device_memory_gb")
    used = rows["memory_gb"].dropna().to_numpy(float)
    if not isinstance(size, int | float) or not size > 0 or len(used) < MIN_READINGS:
        return None
    share = float(used.max()) / float(size)
    if not MEMORY_SHARE <= share <= OTHER_DEVICE:
        return None
    because = f"Device {name} of run `{run.name}` used {run_figure(used.max())} of {run_figure(float(size))} GB of memory: little is left."
    return device_claim("device_memory_share", len(used), "watch", because, share, MEMORY_SHARE, name, 5.2)
