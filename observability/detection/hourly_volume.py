"""Counts predictions by hour, and estimates how many are expected at each hour of the week.

Hours are whole clock hours (UTC), numbered since 1970. The expected number is the mean of the same hour of the week over the four weeks
before the window, or over fewer weeks if the model is younger.
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
"""Two weeks of past, in which each hour of the week occurs twice."""
FIRST_MONDAY = 96
"""Number of the hour in which the first Monday of 1970 began (1970 began on a Thursday)."""


@dataclass(frozen=True)
class Hours:
    """Predictions by whole hour. `counts[i]` belongs to hour `first + i`; the whole hours of the window start at index `begin`.

    counts before `begin` are the past, starting at the model's first hour. later: predictions in the current, incomplete hour. rows: total
    number.
    """

    first: int
    counts: NDArray[np.float64]
    begin: int
    later: int
    rows: int

    @property
    def past_days(self) -> float:
        """The number of days of the known past."""
        return self.begin / DAY

    @property
    def size(self) -> int:
        """Number of whole hours of past and window."""
        return self.counts.size

    @property
    def window(self) -> NDArray[np.float64]:
        """Predictions in each whole hour of the window."""
        return self.counts[self.begin :]

    @property
    def place_in_week(self) -> NDArray[np.int64]:
        """For each hour, its place in the week: 0 is midnight at the start of Monday."""
        return (np.arange(self.size) + self.first - FIRST_MONDAY) % WEEK

    def at(self, place: int) -> datetime:
        """The time at which the hour at this index starts."""
        return EPOCH + HOUR * (self.first + place)


def volume_hours(current: "DataFrame", past: "DataFrame", context: Context) -> Hours:
    """Return past and window as one series of hours. If the window starts within a clock hour, that hour counts as past."""
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


def expected_by_hour(hours: Hours) -> NDArray[np.float64]:
    """Return the expected number of predictions in each hour.

    For past hours the hour itself is left out (leave-one-out), so that their errors are comparable with those of the window.
    """
    places, past = hours.place_in_week, np.arange(hours.size) < hours.begin
    total = np.bincount(places[past], hours.counts[past], WEEK)
    weeks = np.bincount(places[past], minlength=WEEK)
    own, one = np.where(past, hours.counts, 0.0), past.astype(np.int64)
    others = weeks[places] - one
    return np.divide(total[places] - own, others, out=np.zeros(hours.size), where=others > 0)


def overdispersion(hours: Hours, usual: NDArray[np.float64]) -> float:
    """Return the overdispersion of past hours: the excess variance divided by the squared mean (1/size of a negative binomial); at
    least 0.
    """
    past = usual[: hours.begin]
    weeks = max(hours.past_days / 7, 2.0)
    excess = float(np.sum((hours.counts[: hours.begin] - past) ** 2 * (weeks - 1) / weeks - past))
    squares = float(np.sum(past**2))
    return max(excess / squares, 0.0) if squares > 0 else 0.0
