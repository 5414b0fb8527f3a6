"""How the carbon of training depends on the hour at which runs start. The hourly carbon intensity is logged with prices or set by the
owner.

The emissions of a run are its energy times the mean intensity over the hours that it covers. For each of some past days, the emissions with
the runs' own start times are compared with the emissions if all runs started at the same hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from observability.metrics.prices import PriceScope, stated_intensity
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
DAYS, MIN_DAYS = 28, 7
"""Number of days that are compared; minimum number of days with an hourly intensity for a conclusion."""
HOURS = 24
SHORTEST = 1 / 60
MAX_CORRELATED = 0.9


@dataclass(frozen=True)
class TimedRun:
    """A run: its start (UTC, naive), its duration in hours, and its energy with PUE, in Wh."""

    start: datetime
    hours: float
    wh: float

    @property
    def time_of_day(self) -> float:
        """Hours from midnight to the start of the run."""
        return self.start.hour + self.start.minute / 60 + self.start.second / 3600


@dataclass(frozen=True)
class StartHours:
    """Carbon of some runs by the hour (UTC) at which they start.

    grams: for each of 24 hours, the grams of all runs if they start at that hour, as a mean over days. usual: grams at the runs' own times
    of day. saved: the share that the best hour saves. days: number of compared days. typical: whether the intensity is a typical day that
    the owner set; there is then no interval. runs: number of compared runs.
    """

    grams: Floats
    usual: float
    saved: Interval
    days: int
    typical: bool
    runs: int

    @property
    def best(self) -> int:
        """The start hour with the least carbon."""
        return int(np.argmin(self.grams))


def carbon_by_start_hour(runs: Sequence[TimedRun], prices: "DataFrame", end: datetime, place: PriceScope) -> StartHours | None:
    """Return the carbon of runs by the hour of their start, over the DAYS complete days before a point in time.

    Parameters
    ----------
    runs : sequence of TimedRun
        Runs; those longer than a day are left out, as they meet every hour.
    prices : DataFrame
        Price records.
    end : datetime
        End of the last day (naive UTC).
    place : PriceScope
        Model and settings that select prices.

    Returns
    -------
    StartHours or None
        None without such runs, and if no day has an intensity that changes within it. `saved` has no value below MIN_DAYS days.
    """
    kept = [run for run in runs if run.hours <= HOURS and run.wh > 0]
    first = datetime(end.year, end.month, end.day) - timedelta(days=DAYS)
    typical = place.settings.carbon_by_hour
    intensity = stated_intensity(prices, np.datetime64(first, "us") + np.arange((DAYS + 1) * HOURS) * np.timedelta64(1, "h"), place)
    known = [day for day in range(DAYS) if _changes(intensity[day * HOURS : (day + 2) * HOURS])]
    if not kept or not known:
        return None
    summed = np.concatenate([[0.0], np.cumsum(np.nan_to_num(intensity))])
    start = HOURS * np.array(known, float)
    hourly = sum(run.wh / 1000 * mean_intensity(summed, start[:, None] + np.arange(HOURS), run.hours) for run in kept)
    usual = sum(run.wh / 1000 * mean_intensity(summed, start + run.time_of_day, run.hours) for run in kept)
    assert isinstance(hourly, np.ndarray) and isinstance(usual, np.ndarray)
    grams = hourly.mean(axis=0)
    only_set = len(typical) == HOURS and not prices["carbon_g_per_kwh"].notna().any()
    saved = saved_share(usual, hourly[:, int(np.argmin(grams))], only_set)
    return StartHours(grams, float(usual.mean()), saved, len(known), only_set, len(kept))


def _changes(two_days: Floats) -> bool:
    """Whether the intensity varies within the day, and is also known for the next day, into which runs extend."""
    return len(two_days) == 2 * HOURS and bool(np.isfinite(two_days).all()) and float(np.ptp(two_days[:HOURS])) > 0


def mean_intensity(summed: Floats, start: Floats, hours: float) -> Floats:
    """Return the mean intensity over `hours` from each start on. summed: the intensity summed over the hours before each whole hour,
    starting at 0; start: in hours.
    """
    length, places = max(hours, SHORTEST), np.arange(summed.size)
    return (np.interp(start + length, places, summed) - np.interp(start, places, summed)) / length


def saved_share(usual: Floats, best: Floats, typical: bool) -> Interval:
    """Return the share that the best hour saves, with an interval that allows for the choice among 23 hours.

    Consecutive days are correlated. The variance of their mean is therefore increased, as for a first-order autoregression.

    Parameters
    ----------
    usual : array
        Grams of each day at the usual times.
    best : array
        Grams of each day at the best hour.
    typical : bool
        The days are copies of one that the owner set: the share has no error.

    Returns
    -------
    Interval
        Without a value below MIN_DAYS days.
    """
    n, total = len(usual), float(usual.mean())
    if total <= 0 or (n < MIN_DAYS and not typical):
        return Interval(None, None, None, n)
    share = 1 - float(best.mean()) / total
    if typical:
        return Interval(share, share, share, n)
    rest = (usual - best) - share * usual
    spread = float(np.sum(rest**2))
    rho = float(np.clip(np.sum(rest[1:] * rest[:-1]) / spread, 0, MAX_CORRELATED)) if spread > 0 else 0.0
    error = float(np.sqrt(spread / (n - 1) / n * (1 + rho) / (1 - rho))) / total
    half = float(stdtrit(n - 1, 1 - 0.05 / (2 * (HOURS - 1)))) * error
    return Interval(share, share - half, share + half, n)
