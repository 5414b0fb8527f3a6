"""How many predictions came in each hour, and how many were expected at that hour of the week?

Hours are whole hours of the clock (UTC), numbered from 1970. What is expected is the mean of the same hour of the week in the four weeks before
the window, as far as the model has lived that long.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import Context
from observability.core.window import EPOCH, HOUR
from observability.detection.significant_claims import PAST_DAYS

if TYPE_CHECKING:
    from pandas import DataFrame

WEEK, DAY = 168, 24
MINIMUM_DAYS = 14
"""Two weeks of past: each hour of the week has been met twice."""
FIRST_MONDAY = 96
"""1970 began on a Thursday; its first Monday began in this hour."""


@dataclass(frozen=True)
class Hours:
    """Predictions by whole hour: `counts[i]` is that of hour `first + i`; the window's whole hours begin at `begin` and end with the array.

    counts before `begin` are the past, from the model's first hour in it on. later: predictions in the hour that is not over yet. rows: all.
    """

    first: int
    counts: NDArray[np.float64]
    begin: int
    later: int
    rows: int

    @property
    def past_days(self) -> float:
        """Days of past."""
        return self.begin / DAY

    @property
    def size(self) -> int:
        """Whole hours, past and window."""
        return self.counts.size

    @property
    def window(self) -> NDArray[np.float64]:
        """The window's counts."""
        return self.counts[self.begin :]

    @property
    def place_in_week(self) -> NDArray[np.int64]:
        """Hour of the week of each hour: 0 is midnight of Monday."""
        return (np.arange(self.size) + self.first - FIRST_MONDAY) % WEEK

    def at(self, place: int) -> datetime:
        """When an hour starts."""
        return EPOCH + HOUR * (self.first + place)


def hours_of(current: "DataFrame", past: "DataFrame", context: Context) -> Hours:
    """Both answers by hour on one line. A clock hour that the window cuts in two counts whole, as past."""
    start, now = context.window.start, min(context.window.end, context.now)
    begin = -((EPOCH - start) // HOUR)
    end = max((now - EPOCH) // HOUR, begin)
    earliest = begin - PAST_DAYS * DAY
    numbers = np.concatenate([each["period"].to_numpy("datetime64[h]").astype(np.int64) for each in (current, past)])
    n = np.concatenate([each["n"].to_numpy(np.int64) for each in (current, past)])
    known = (numbers >= earliest) & (numbers < end)
    before = numbers[known & (numbers < begin) & (n > 0)]
    first = int(before.min()) if before.size else begin
    kept = known & (numbers >= first)
    counts = np.bincount(numbers[kept] - first, n[kept], end - first).astype(np.float64)
    return Hours(first, counts, begin - first, int(n[numbers >= end].sum()), int(n.sum()))


def expected(hours: Hours) -> NDArray[np.float64]:
    """What was expected in each hour, of the past leaving out the hour itself, so that it is no easier to expect than the window."""
    places, past = hours.place_in_week, np.arange(hours.size) < hours.begin
    total = np.bincount(places[past], hours.counts[past], WEEK)
    weeks = np.bincount(places[past], minlength=WEEK)
    own, one = np.where(past, hours.counts, 0.0), past.astype(np.int64)
    others = weeks[places] - one
    return np.divide(total[places] - own, others, out=np.zeros(hours.size), where=others > 0)


def spread(hours: Hours, usual: NDArray[np.float64]) -> float:
    """How much more the hours of the past vary than chance, as a variance in units of the squared mean (negative binomial's 1/size); 0 or more."""
    past = usual[: hours.begin]
    weeks = max(hours.past_days / 7, 2.0)
    excess = float(np.sum((hours.counts[: hours.begin] - past) ** 2 * (weeks - 1) / weeks - past))
    squares = float(np.sum(past**2))
    return max(excess / squares, 0.0) if squares > 0 else 0.0
