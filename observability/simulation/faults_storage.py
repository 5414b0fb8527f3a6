"""Faults of places that store data: no space, growth, late removal, waste, slow or failing disks, bad blocks, backups and restore tests
that are missing.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.simulation.fault import NamedFault

if TYPE_CHECKING:
    from pandas import DataFrame

DAYS, TIMES = "days", "times as long"


@dataclass(frozen=True)
class StorageFaultPlant:
    """Where and how strongly a fault is planted.

    reports: the reports of one place, oldest first, either all or those of its last week. growth: the usual number of bytes added per day;
    net: the usual growth per day after removals.
    """

    reports: "DataFrame"
    growth: float
    net: float
    amount: float
    rng: np.random.Generator

    @property
    def days(self) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Days from the first report of the week to each report."""
        at = self.reports["at"]
        return ((at - at.min()).dt.total_seconds() / 86_400).to_numpy(float)


@dataclass(frozen=True)
class StorageFault(NamedFault):
    """A fault of a place that stores data. needs: columns that its reports must have. whole: whether the fault began before the weeks that
    are read.
    """

    needs: tuple[str, ...] = ()
    whole: bool = False
    section: str = "data"


def full_place(plant: StorageFaultPlant) -> "DataFrame":
    """A share of the room of a place is used."""
    return plant.reports.assign(used_bytes=np.maximum(plant.amount * plant.reports["capacity_bytes"], plant.reports["used_bytes"]))


def filling_place(plant: StorageFaultPlant) -> "DataFrame":
    """A place has less free space: only a part of what it needs for 30 days at its present growth."""
    room = 30 * (1 - plant.amount) * plant.net
    return plant.reports.assign(capacity_bytes=plant.reports["used_bytes"].iloc[-1] + room)


def growing_place(plant: StorageFaultPlant) -> "DataFrame":
    """A place grows several times as fast as before."""
    return plant.reports.assign(used_bytes=plant.reports["used_bytes"] + (plant.amount - 1) * plant.growth * (plant.days + 1))


def stopped_removal(plant: StorageFaultPlant) -> "DataFrame":
    """Data are kept some days longer than stated."""
    keep = plant.reports["keep_days"].map(lambda days: timedelta(days=float(days) + plant.amount))
    return plant.reports.assign(oldest_at=plant.reports["at"] - keep)


def copied_content(plant: StorageFaultPlant) -> "DataFrame":
    """A share of the stored bytes is stored twice."""
    return plant.reports.assign(duplicate_bytes=plant.amount * plant.reports["used_bytes"])


def unread_data(plant: StorageFaultPlant) -> "DataFrame":
    """Nothing reads a share of the bytes of a fast place."""
    return plant.reports.assign(cold_bytes=plant.amount * plant.reports["used_bytes"])


def tiny_files(plant: StorageFaultPlant) -> "DataFrame":
    """A share of the files is smaller than 1 MB."""
    return plant.reports.assign(small_files=(plant.amount * plant.reports["files"]).round())


def slow_reads(plant: StorageFaultPlant) -> "DataFrame":
    """Reads take several times as long."""
    return plant.reports.assign(read_p99_ms=plant.amount * plant.reports["read_p99_ms"])


def failing_writes(plant: StorageFaultPlant) -> "DataFrame":
    """A share of the writes fails."""
    writes = plant.reports["writes"].to_numpy(float).astype(int)
    return plant.reports.assign(write_errors=plant.rng.binomial(writes, plant.amount) + plant.reports["write_errors"].to_numpy(float))


def bad_blocks(plant: StorageFaultPlant) -> "DataFrame":
    """A share of the checked blocks has another checksum."""
    checked = plant.reports["checked"].to_numpy(float).astype(int)
    return plant.reports.assign(corrupt=plant.rng.binomial(checked, plant.amount).astype(float))


def missed_backups(plant: StorageFaultPlant) -> "DataFrame":
    """The newest backup is some hours old."""
    last = plant.reports["at"].max() - timedelta(hours=plant.amount)
    return plant.reports.assign(backup_at=plant.reports["backup_at"].clip(upper=last))


def untested_restores(plant: StorageFaultPlant) -> "DataFrame":
    """No backup was restored for some days."""
    return plant.reports.assign(
        restored_at=plant.reports["restored_at"].clip(upper=plant.reports["at"].max() - timedelta(days=plant.amount))
    )


def lagging_copy(plant: StorageFaultPlant) -> "DataFrame":
    """A copy lacks what its source got in the last hours."""
    last = plant.reports["at"].max() - timedelta(hours=plant.amount)
    return plant.reports.assign(complete_to=plant.reports["complete_to"].clip(upper=last))


FAULTS: dict[str, StorageFault] = {
    each.name: each
    for each in (
        StorageFault(
            "full_place", (0.91, 0.95, 0.99), "of the room", "storage_used_share", full_place, needs=("used_bytes", "capacity_bytes")
        ),
        StorageFault(
            "filling_place",
            (0.2, 0.65, 0.87),
            "share of 30 days of room gone",
            "storage_days_left",
            filling_place,
            needs=("used_bytes", "capacity_bytes"),
        ),
        StorageFault("growing_place", (2.5, 5, 12), "times the growth", "storage_growth", growing_place, needs=("used_bytes",)),
        StorageFault(
            "stopped_removal", (1.5, 5, 30), DAYS, "storage_retention_overdue_days", stopped_removal, needs=("oldest_at", "keep_days")
        ),
        StorageFault(
            "copied_content",
            (0.22, 0.35, 0.6),
            "share of the bytes",
            "storage_duplicate_share",
            copied_content,
            needs=("used_bytes", "duplicate_bytes"),
        ),
        StorageFault(
            "unread_data", (0.52, 0.65, 0.9), "share of the bytes", "storage_cold_share", unread_data, needs=("used_bytes", "cold_bytes")
        ),
        StorageFault(
            "tiny_files", (0.52, 0.7, 0.95), "share of the files", "storage_small_file_share", tiny_files, needs=("files", "small_files")
        ),
        StorageFault("slow_reads", (2.2, 4, 12), TIMES, "storage_read_p99_ms", slow_reads, needs=("read_p99_ms",)),
        StorageFault(
            "failing_writes",
            (0.003, 0.01, 0.1),
            "share of the writes",
            "storage_error_rate",
            failing_writes,
            needs=("writes", "write_errors"),
        ),
        StorageFault(
            "bad_blocks", (0.0002, 0.002, 0.02), "share of the blocks", "storage_corrupt_rate", bad_blocks, needs=("checked", "corrupt")
        ),
        StorageFault("lagging_copy", (40, 60, 168), "hours", "storage_behind_hours", lagging_copy, needs=("complete_to",)),
        StorageFault("missed_backups", (40, 60, 168), "hours", "storage_backup_age_hours", missed_backups, needs=("backup_at",)),
        StorageFault(
            "untested_restores", (35, 50, 120), DAYS, "storage_restore_age_days", untested_restores, needs=("restored_at",), whole=True
        ),
    )
}
