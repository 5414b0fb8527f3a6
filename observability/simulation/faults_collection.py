"""Faults of a device that collects data: stuck, miscalibrated, saturated, noisy, with missing or impossible values, or with a clock that is
ahead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from observability.detection.batch_statistics import MEAN, NAMES, NULLS, OUTSIDE, SATURATED, SKEW, STD, STUCK
from observability.simulation.fault import DescribedFault

if TYPE_CHECKING:
    from pandas import DataFrame

HOURS = "hours"


@dataclass(frozen=True)
class DeviceFaultPlant:
    """Where and how strongly a fault is planted.

    batches: the batches of one device from the onset on; column: a column in its `stats`; amount: in the fault's unit; spread: the usual
    standard deviation of the column.
    """

    batches: "DataFrame"
    column: str
    amount: float
    spread: float

    def with_statistic(self, metric: str, change: Callable[[float], float]) -> "DataFrame":
        """The batches, with one statistic of the column changed. A statistic that was not logged counts as 0."""
        cells: list[Any] = []
        for stats in self.batches["stats"]:
            own = dict(stats.get(self.column) or {}) if isinstance(stats, Mapping) else {}
            name = next((each for each in NAMES[metric] if each in own), NAMES[metric][0])
            own[name] = change(float(own.get(name) or 0.0))
            cells.append({**(stats or {}), self.column: own})
        return self.batches.assign(stats=type(self.batches["stats"])(cells, index=self.batches.index, dtype=object))


@dataclass(frozen=True)
class DeviceFault(DescribedFault):
    """A fault of a device that collects data. amounts: weak, middle, strong, in `unit`. metric: the metric of the finding that names the
    fault; needs: the statistic that the column must have, None if it needs none.
    """

    name: str
    amounts: tuple[float, float, float]
    unit: str
    metric: str
    needs: str | None
    plant: Callable[[DeviceFaultPlant], "DataFrame"]
    section: str = "data"


def stuck_sensor(plant: DeviceFaultPlant) -> "DataFrame":
    """A sensor repeats its last value for a share of the readings."""
    return plant.with_statistic(STUCK, lambda share: min(share + plant.amount, 1.0))


def frozen_sensor(plant: DeviceFaultPlant) -> "DataFrame":
    """The spread of a sensor's readings shrinks by a share; at the strongest, the sensor shows a single value."""
    return plant.with_statistic(STD, lambda spread: spread * (1.0 - plant.amount))


def miscalibrated_sensor(plant: DeviceFaultPlant) -> "DataFrame":
    """A sensor reads too high by some of its standard deviations."""
    return plant.with_statistic(MEAN, lambda mean: mean + plant.amount * plant.spread)


def noisy_sensor(plant: DeviceFaultPlant) -> "DataFrame":
    """The standard deviation of a sensor's readings is multiplied."""
    return plant.with_statistic(STD, lambda spread: spread * plant.amount)


def saturated_sensor(plant: DeviceFaultPlant) -> "DataFrame":
    """A share of the readings is at the end of the sensor's range."""
    return plant.with_statistic(SATURATED, lambda share: min(share + plant.amount, 1.0))


def missing_readings(plant: DeviceFaultPlant) -> "DataFrame":
    """A share of the rows has no reading of one column."""
    return plant.with_statistic(NULLS, lambda share: min(share + plant.amount, 1.0))


def impossible_readings(plant: DeviceFaultPlant) -> "DataFrame":
    """A share of the readings is outside the possible range."""
    return plant.with_statistic(OUTSIDE, lambda share: min(share + plant.amount, 1.0))


def device_clock_ahead(plant: DeviceFaultPlant) -> "DataFrame":
    """A device's clock is ahead, so its captures seem to end after they arrived."""
    return plant.batches.assign(captured_to=plant.batches["at"] + timedelta(hours=plant.amount))


FAULTS: dict[str, DeviceFault] = {
    each.name: each
    for each in (
        DeviceFault("stuck_sensor", (0.1, 0.3, 1.0), "share of readings", STUCK, STUCK, stuck_sensor),
        DeviceFault("frozen_sensor", (0.7, 0.95, 1.0), "share of the spread", STD, STD, frozen_sensor),
        DeviceFault("miscalibrated_sensor", (1.0, 3.0, 10.0), "standard deviations", MEAN, MEAN, miscalibrated_sensor),
        DeviceFault("noisy_sensor", (3.0, 6.0, 15.0), "times the spread", STD, STD, noisy_sensor),
        DeviceFault("saturated_sensor", (0.06, 0.2, 0.6), "share of readings", SATURATED, SATURATED, saturated_sensor),
        DeviceFault("missing_readings", (0.15, 0.4, 0.6), "share of rows", NULLS, NULLS, missing_readings),
        DeviceFault("impossible_readings", (0.06, 0.2, 0.6), "share of readings", OUTSIDE, OUTSIDE, impossible_readings),
        DeviceFault("device_clock_ahead", (1.0, 6.0, 26.0), HOURS, SKEW, None, device_clock_ahead),
    )
}
