"""Faults in the deliveries of a source: a batch that is late, short, missing or mostly rejected, planted in the batches of the window.

The fault is planted in a series of batches with a long enough past: those of one device, or of a source without devices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.core.errors import UsageError
from observability.core.time import naive_utc
from observability.detection.batch_history import DELAY, GAP, REJECTED, ROWS
from observability.detection.own_history import MIN_PAST_VALUES
from observability.simulation.faults_frames import FrameFault, FramesPlant, PlantedFrames
from observability.stats.arrays import Bools

if TYPE_CHECKING:
    from pandas import DataFrame

BATCHES = "data/batches"


@dataclass(frozen=True)
class Delivery:
    """A batch in the window that is changed. batches: the batches of the window; place: position of its row; later: positions of the later
    batches in its series.
    """

    batches: "DataFrame"
    source: str
    place: int
    later: tuple[int, ...]

    @property
    def here(self) -> Bools:
        """A mask of the changed batch."""
        return np.arange(len(self.batches)) == self.place


def _delivery(plant: FramesPlant, column: str, later: int = 0) -> Delivery:
    """A batch of the window that has a value in a column, at least `later` batches of its series after it, and enough batches before it."""
    now, past = plant.frames["batches"].reset_index(drop=True), plant.frames["past batches"]
    held, found = now[column].notna().to_numpy(bool), []
    for (source, device), own in now.groupby(["source", now["device"].fillna("")], sort=True):
        before = past[(past["source"] == source) & (past["device"].fillna("") == device)]
        series = [int(place) for place in own.sort_values(["at", "batch"]).index.to_list()]
        if before[column].notna().sum() >= MIN_PAST_VALUES:
            usable = enumerate(series[: max(len(series) - later, 0)], 1)
            found += [Delivery(now, str(source), place, tuple(series[order:])) for order, place in usable if held[place]]
    if not found:
        wanted = f"{later + 1} batches of a source or device with `{column}` in the window, and {MIN_PAST_VALUES} before it"
        raise UsageError("no batch to plant a fault in", got=f"{len(now):,} batches", expected=wanted)
    return found[int(plant.rng.integers(len(found)))]


def _planted(plant: FramesPlant, chosen: Delivery, batches: "DataFrame") -> PlantedFrames:
    """The frames in which batches of the window are changed."""
    faulty = {**plant.frames, "batches": batches.sort_values(["at", "batch"]).reset_index(drop=True)}
    about = f"Batch {chosen.batches['batch'].iloc[chosen.place]} of source {chosen.source}."
    return PlantedFrames(faulty, plant.frames, plant.context, f"source:{chosen.source}", about)


def _changed(plant: FramesPlant, column: str, change: Callable[[float, float], float]) -> PlantedFrames:
    """The frames in which a number of one batch is changed. change: a function of the batch's value and its number of rows that returns the
    new value. The new value is limited to the number of rows.
    """
    chosen = _delivery(plant, column)
    value, rows = (float(chosen.batches[name].to_numpy(float)[chosen.place]) for name in (column, "rows"))
    changed = chosen.batches[column].mask(chosen.here, round(min(change(value, rows), rows)))
    return _planted(plant, chosen, chosen.batches.assign(**{column: changed}))


def late_delivery(plant: FramesPlant) -> PlantedFrames:
    """The delay from the capture of a batch's data to its arrival grows by some hours."""
    chosen, end = _delivery(plant, "captured_to", 1), naive_utc(plant.context.window.end) - timedelta(seconds=1)
    at, later = chosen.batches["at"], chosen.batches["at"] + timedelta(hours=plant.amount)
    return _planted(plant, chosen, chosen.batches.assign(at=at.mask(chosen.here, later.mask(later > end, end))))


def short_delivery(plant: FramesPlant) -> PlantedFrames:
    """A batch lacks a share of its rows."""
    return _changed(plant, "rows", lambda rows, _: rows * (1 - plant.amount))


def rejected_delivery(plant: FramesPlant) -> PlantedFrames:
    """A further share of the rows of a batch is rejected."""
    return _changed(plant, "rejected_rows", lambda rejected, rows: rejected + plant.amount * rows)


def missed_delivery(plant: FramesPlant) -> PlantedFrames:
    """Some consecutive batches do not arrive."""
    count = int(plant.amount)
    chosen = _delivery(plant, "at", count)
    gone = np.isin(np.arange(len(chosen.batches)), [chosen.place, *chosen.later[: count - 1]])
    return _planted(plant, chosen, chosen.batches[~gone])


FAULTS: dict[str, FrameFault] = {
    each.name: each
    for each in (
        FrameFault("late_delivery", (2.5, 6.0, 20.0), "hours", DELAY, late_delivery, BATCHES),
        FrameFault("short_delivery", (0.3, 0.5, 0.9), "share of rows", ROWS, short_delivery, BATCHES),
        FrameFault("rejected_delivery", (0.05, 0.15, 0.5), "share of rows", REJECTED, rejected_delivery, BATCHES),
        FrameFault("missed_delivery", (1.0, 2.0, 3.0), "batches", GAP, missed_delivery, BATCHES),
    )
}
