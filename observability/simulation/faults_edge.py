"""Faults of devices that serve a model: late answers, crashes, lack of memory, answers that differ from the server's, slowness, wrong
versions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.simulation.fault import NamedFault

if TYPE_CHECKING:
    from pandas import DataFrame

SHARE = "share of the devices"
ROLLED_OUT = "a later version"


@dataclass(frozen=True)
class EdgeFaultPlant:
    """Where and how strongly a fault is planted. reports: one week of reports from the devices that it affects; amount: the fault's own
    figure.
    """

    reports: "DataFrame"
    amount: float
    rng: np.random.Generator

    def with_affected(self, change: Callable[["DataFrame"], "DataFrame"]) -> "DataFrame":
        """The reports, changed for the share of devices that `amount` states. These devices are drawn at random."""
        names = np.array(sorted(self.reports["device"].unique()))
        chosen = set(self.rng.choice(names, round(self.amount * names.size), replace=False))
        mask = self.reports["device"].isin(chosen)
        changed = self.reports.copy()
        changed.loc[mask] = change(self.reports[mask].copy())
        return changed


@dataclass(frozen=True)
class EdgeFault(NamedFault):
    """A fault of devices that serve a model. everywhere: whether it affects all devices and not only one level of `group`."""

    everywhere: bool = False
    group: str = "device_class"
    section: str = "serving"


def late_devices(plant: EdgeFaultPlant) -> "DataFrame":
    """Devices of one class send their answers three days late."""
    return plant.with_affected(lambda rows: rows.assign(synced_at=rows["synced_at"] + timedelta(days=3)))


def crashing_devices(plant: EdgeFaultPlant) -> "DataFrame":
    """The service of devices of one class crashes."""
    return plant.with_affected(lambda rows: rows.assign(crashes=rows["crashes"].fillna(0) + 1))


def starved_devices(plant: EdgeFaultPlant) -> "DataFrame":
    """Devices of one class run out of memory."""
    return plant.with_affected(lambda rows: rows.assign(out_of_memory=rows["out_of_memory"].fillna(0) + 1))


def differing_devices(plant: EdgeFaultPlant) -> "DataFrame":
    """Devices of one class give other answers than the server to a tenth of the compared inputs."""
    return plant.with_affected(lambda rows: rows.assign(agreed=(0.9 * rows["compared"]).round()))


def slow_devices(plant: EdgeFaultPlant) -> "DataFrame":
    """The p99 latency of the devices of one class rises."""
    return plant.reports.assign(latency_p99_ms=plant.reports["latency_p99_ms"] * plant.amount)


def stuck_roll_out(plant: EdgeFaultPlant) -> "DataFrame":
    """Devices still report a version that another one replaced."""
    return plant.with_affected(lambda rows: rows.assign(version="an earlier version"))


def crashing_roll_out(plant: EdgeFaultPlant) -> "DataFrame":
    """A new version reaches the devices of one ring, and crashes there."""
    return crashing_devices(replace(plant, reports=plant.reports.assign(version=ROLLED_OUT)))


FAULTS: dict[str, EdgeFault] = {
    each.name: each
    for each in (
        EdgeFault("late_devices", (0.15, 0.6, 0.95), SHARE, "device_late_share", late_devices),
        EdgeFault("crashing_devices", (0.15, 0.6, 0.95), SHARE, "device_crash_share", crashing_devices),
        EdgeFault("starved_devices", (0.15, 0.6, 0.95), SHARE, "device_memory_share", starved_devices),
        EdgeFault("differing_devices", (0.15, 0.6, 0.95), SHARE, "device_disagree_share", differing_devices),
        EdgeFault("slow_devices", (1.1, 1.6, 3.0), "times as long", "device_latency_ratio", slow_devices),
        EdgeFault("stuck_roll_out", (0.12, 0.25, 0.6), SHARE, "device_stale_share", stuck_roll_out, everywhere=True),
        EdgeFault("crashing_roll_out", (0.15, 0.4, 0.8), SHARE, "ring_crash_gap", crashing_roll_out, group="ring"),
    )
}
