"""Compare a share of the rows of a sample with the month before, by days: rows of one day are not independent."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.detection.daily_rates import rate_variation
from observability.metrics.column_counts import ColumnShare, DailyShares
from observability.stats.interval import Interval, rate_interval


@dataclass(frozen=True)
class SampledShare:
    """A share of the window's rows, its interval, and the p-value of no difference from the month before (value: before)."""

    interval: Interval
    before: float
    p_value: float

    @property
    def value(self) -> float:
        """The share; NaN without rows."""
        return float("nan") if self.interval.value is None else self.interval.value


def shares_by_day(at: NDArray[np.datetime64], hits: NDArray[np.datetime64]) -> DailyShares:
    """Return the share of each day's rows that are hits. at: of all rows; hits: of those among them that count."""
    days, total = np.unique(at.astype("datetime64[D]"), return_counts=True)
    found, counts = np.unique(hits.astype("datetime64[D]"), return_counts=True)
    own = np.zeros(days.size)
    own[np.searchsorted(days, found)] = counts
    rows = total.astype(float)
    return DailyShares(days, own, rows, rows, rows)


def sampled_share(now: DailyShares, past: DailyShares) -> SampledShare:
    """Return the share over the days of the window, compared with the past.

    What days add to the error of the difference is estimated from the past (`RateVariation`), so that a fault of one day does not hide
    itself; the interval of the share holds how much the days of the window differ too. With fewer than seven days of past they are assumed
    to double the variance of rows.
    """
    here, before = whole_share(now), whole_share(past)
    variation, own = rate_variation(past, here), rate_variation(now, here)
    days, past_days = float(max(now.days.size, 1)), float(max(past.days.size, 1))
    design = max(each.design(here, days) for each in (variation, own) if each is variation or each.known is not None)
    interval = rate_interval(here.hits, here.total, here.squares * design)
    return SampledShare(interval, before.value, variation.p_value(here, days, before, past_days))


def whole_share(days: DailyShares) -> ColumnShare:
    """Return the share over all days."""
    return ColumnShare(float(days.hits.sum()), float(days.total.sum()), float(days.squares.sum()), int(days.rows.sum()))
