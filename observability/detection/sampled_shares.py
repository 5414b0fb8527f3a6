"""Compares a share of the rows of a sample with the month before. The comparison is by days, because rows of the same day are not
independent.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.core.formatting import plural
from observability.detection.daily_rates import rate_variation
from observability.metrics.column_counts import ColumnShare, DailyShares
from observability.stats.change import proportion_score
from observability.stats.dispersion import MIN_DAYS
from observability.stats.interval import Interval, rate_interval


@dataclass(frozen=True)
class SampledShare:
    """A share of the window's rows, with its interval, and the p-value of no difference from the month before. before: the share in that
    month.

    rows: number of rows in the window. score: the difference, from rows alone, in standard errors; 0 if a side has no rows. past_days:
    number of earlier days with rows.
    """

    interval: Interval
    before: float
    p_value: float
    rows: int
    score: float
    past_days: int

    @property
    def value(self) -> float:
        """The share; NaN without rows."""
        return float("nan") if self.interval.value is None else self.interval.value

    def doubt(self, level: float) -> str:
        """A clause that states why a share that is not significantly larger may be unchanged. level: significance level of the p-value."""
        from scipy.special import ndtri

        needed = -float(ndtri(level / 2))
        if not self.value > self.before:
            return "no more than in the month before"
        if self.score < needed:
            more = math.ceil(self.rows * ((needed / max(self.score, 0.01)) ** 2 - 1))
            return f"but that may be chance: a decision needs about {plural(max(more, 1), 'more prediction')}"
        if self.past_days < MIN_DAYS:
            return f"but how days differ is not known yet: a decision needs about {plural(MIN_DAYS - self.past_days, 'more day')} of past"
        return "but days of the month before differ as much, so it is not decided yet"


def shares_by_day(at: NDArray[np.datetime64], hits: NDArray[np.datetime64]) -> DailyShares:
    """Return the share of each day's rows that are hits. at: times of all rows; hits: times of the hits."""
    days, total = np.unique(at.astype("datetime64[D]"), return_counts=True)
    found, counts = np.unique(hits.astype("datetime64[D]"), return_counts=True)
    own = np.zeros(days.size)
    own[np.searchsorted(days, found)] = counts
    rows = total.astype(float)
    return DailyShares(days, own, rows, rows, rows)


def sampled_share(now: DailyShares, past: DailyShares) -> SampledShare:
    """Return the share over the days of the window, compared with the past.

    The error of the difference between days is estimated from the past (`RateVariation`), so that a fault on one day does not hide itself.
    The interval of the share also includes how much the days of the window differ. With fewer than seven days of past, days are assumed to
    double the variance of rows.
    """
    here, before = whole_share(now), whole_share(past)
    variation, own = rate_variation(past, here), rate_variation(now, here)
    days, past_days = float(max(now.days.size, 1)), float(max(past.days.size, 1))
    design = max(each.design(here, days) for each in (variation, own) if each is variation or each.known is not None)
    interval = rate_interval(here.hits, here.total, here.squares * design)
    score = proportion_score(here.hits, here.total, before.hits, before.total, here.squares, before.squares)
    chance, past_used = variation.p_value(here, days, before, past_days), int((past.n > 0).sum())
    return SampledShare(interval, before.value, chance, here.rows, 0.0 if score is None else float(score), past_used)


def whole_share(days: DailyShares) -> ColumnShare:
    """Return the share over all days."""
    return ColumnShare(float(days.hits.sum()), float(days.total.sum()), float(days.squares.sum()), int(days.rows.sum()))
