"""Faults of the deliveries of a source: a batch that is late, short, missing or largely rejected, planted on the batches of the window.

A series of batches is chosen that has enough past: of one device, or of a source without devices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.core.errors import UsageError
from observability.core.time import naive_utc
from observability.detection.batch_history import DELAY, GAP, REJECTED, ROWS
from observability.detection.own_history import LEAST
from observability.simulation.faults_frames import FrameFault, FramesPlant, PlantedFrames

if TYPE_CHECKING:
    from pandas import DataFrame, Index

BATCHES = "data/batches"


@dataclass(frozen=True)
class Delivery:
    """One batch of the window that is changed. place: its row; later: the rows of the batches after it of the same series."""

    source: str
    name: str
    place: int
    later: "Index"


def _delivery(plant: FramesPlant, column: str, later: int = 1) -> Delivery:
    """A batch of the window with a value in a column, `later` or more batches of its series after it, and enough of them before."""
    now, past = plant.frames["batches"], plant.frames["past batches"]
    found = []
    for (source, device), own in now.groupby(["source", now["device"].fillna("")], sort=True):
        before = past[(past["source"] == source) & (past["device"].fillna("") == device)]
        known = own.sort_values(["at", "batch"])
        usable = known.iloc[: max(len(known) - later, 0)]
        if before[column].notna().sum() >= LEAST:
            found += [(str(source), place, known.index) for place in usable.index[usable[column].notna()]]
    if not found:
        wanted = f"{later + 1} batches of a source or device with `{column}` in the window, and {LEAST} before it"
        raise UsageError("no batch to plant a fault in", got=f"{len(now):,} batches", expected=wanted)
    source, place, series = found[int(plant.rng.integers(len(found)))]
    return Delivery(source, str(now.at[place, "batch"]), place, series[series.get_loc(place) + 1 :])


def _planted(plant: FramesPlant, chosen: Delivery, batches: "DataFrame") -> PlantedFrames:
    """The frames with changed batches of the window."""
    faulty = {**plant.frames, "batches": batches.sort_values(["at", "batch"]).reset_index(drop=True)}
    return PlantedFrames(faulty, plant.frames, plant.context, f"source:{chosen.source}", f"Batch {chosen.name} of source {chosen.source}.")


def _changed(plant: FramesPlant, column: str, change: Callable[[float, float], float]) -> PlantedFrames:
    """A number of one batch is changed: (its value, its rows) to the new value."""
    chosen, now = _delivery(plant, column, later=0), plant.frames["batches"].copy()
    value = change(float(now.at[chosen.place, column]), float(now.at[chosen.place, "rows"]))
    now.loc[chosen.place, column] = round(min(value, float(now.at[chosen.place, "rows"])))
    return _planted(plant, chosen, now)


def late_delivery(plant: FramesPlant) -> PlantedFrames:
    """A batch arrives some hours later after its data were captured."""
    chosen, now = _delivery(plant, "captured_to"), plant.frames["batches"].copy()
    arrived = now.at[chosen.place, "at"] + timedelta(hours=plant.amount)
    now.loc[chosen.place, "at"] = min(arrived, naive_utc(plant.context.window.end) - timedelta(seconds=1))
    return _planted(plant, chosen, now)


def short_delivery(plant: FramesPlant) -> PlantedFrames:
    """A batch lacks a share of its rows."""
    return _changed(plant, "rows", lambda rows, _: rows * (1 - plant.amount))


def rejected_delivery(plant: FramesPlant) -> PlantedFrames:
    """A further share of the rows of a batch is rejected."""
    return _changed(plant, "rejected_rows", lambda rejected, rows: rejected + plant.amount * rows)


def missed_delivery(plant: FramesPlant) -> PlantedFrames:
    """Some batches in a row do not come."""
    count = int(plant.amount)
    chosen, now = _delivery(plant, "at", later=count), plant.frames["batches"]
    return _planted(plant, chosen, now.drop(index=np.array([chosen.place, *chosen.later[: count - 1]])))


FAULTS: dict[str, FrameFault] = {
    each.name: each
    for each in (
        FrameFault("late_delivery", (2.5, 6.0, 20.0), "hours", DELAY, late_delivery, BATCHES),
        FrameFault("short_delivery", (0.3, 0.5, 0.9), "share of rows", ROWS, short_delivery, BATCHES),
        FrameFault("rejected_delivery", (0.05, 0.15, 0.5), "share of rows", REJECTED, rejected_delivery, BATCHES),
        FrameFault("missed_delivery", (1.0, 2.0, 3.0), "batches", GAP, missed_delivery, BATCHES),
    )
}
