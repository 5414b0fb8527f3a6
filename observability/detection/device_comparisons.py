"""Tables of the comparisons of devices, for one statistic and all columns of a kind.

The values are kept in arrays; an object is made only for a comparison that is reported.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.detection.batch_statistics import (
    StatisticComparison,
    reaches_limit,
)
from observability.detection.own_history import (
    Array,
)

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class ComparisonTable:
    """The comparisons of one statistic for the devices of a kind, either with their own past or with each other.

    devices: source and name of each device. The arrays are devices × columns. p_values: NaN where nothing is compared. varies: lowest and
    highest usual values. names: for each column, the name of the statistic in the batches. about: further evidence of a single comparison,
    by index of the device and of the column. watch_only: whether the comparison is at most a warning.
    """

    metric: str
    devices: tuple[tuple[str, str | None], ...]
    columns: Sequence[str]
    names: Sequence[str]
    p_values: Array
    value: Array
    usual: Array
    effect: Array
    varies: tuple[Array, Array]
    about: Callable[[int, int], dict[str, Any]]
    watch_only: bool = False

    def make(self, row: int, place: int) -> StatisticComparison:
        """The comparison of one device and one column, given by their indices."""
        (source, device), (low, high) = self.devices[row], self.varies
        return StatisticComparison(
            source=source,
            device=device,
            metric=self.metric,
            column=self.columns[place],
            name=self.names[place],
            value=float(self.value[row, place]),
            usual=float(self.usual[row, place]),
            effect=float(self.effect[row, place]),
            p_value=float(self.p_values[row, place]),
            varies=(float(low[row, place]), float(high[row, place])),
            **self.about(row, place),
        )

    def reaches(self, place: int) -> Array:
        """Mask of the effects that reach the limit for `watch` (place 0) or `act` (place 1)."""
        if place and self.watch_only:
            return np.zeros(self.effect.shape, bool)
        return np.asarray(reaches_limit(self.metric, self.value, self.usual, self.effect, place))

    @property
    def unusual(self) -> Array:
        """A mask of the comparisons that reach the limit for `watch` and whose value is outside its natural range."""
        low, high = self.varies
        return self.reaches(0) & ((self.value <= low) | (self.value >= high))


@dataclass(frozen=True)
class StatisticValues:
    """One statistic of the batches of a kind. names: for each column, the name of the statistic. The arrays are batches × columns.

    values: NaN if missing or computed from too few rows. scaled: values on a variance-stabilized scale. n: number of rows with a value.
    floor: minimum standard deviation between batches, devices × columns. rest: the scaled value minus the median deviation of the other
    devices on that day from their own levels.
    """

    metric: str
    names: Sequence[str]
    values: Array
    scaled: Array
    n: Array
    floor: Array
    rest: Array


@dataclass(frozen=True, kw_only=True)
class PastOfDevice:
    """The comparison of one statistic of a device with the device's own past. The arrays are by column.

    p: p-values, NaN if nothing is compared; worst: the most unusual batch; value, usual, effect: figures of that batch; low, high: natural
    range of the value; tests: number of batches with a p-value; earlier: number of past batches with a value; new: positions of the
    device's batches in the window; unusual: whether each of these batches is unusual, batches × columns. window: the comparison of the
    median over the window; None if there are too few batches. Past values are not kept.
    """

    p: Array
    value: Array
    usual: Array
    effect: Array
    low: Array
    high: Array
    worst: Array
    tests: Array
    earlier: Array
    new: Array
    unusual: Array
    window: dict[str, Array] | None
