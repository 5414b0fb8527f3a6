"""Estimate the daily variation of a column's rate.

Rows within a day are correlated (weather, upstream jobs, campaigns); the between-day variance of a rate reduces the effective number of
rows. For a change it is estimated from the past month without its most extreme day (such as a single outage): events on two or more days
of a month count as usual. For the level of the window it is that between consecutive days, which a lasting fault does not widen.
"""

from dataclasses import dataclass

import numpy as np

from observability.detection.windows import reference_days
from observability.metrics.column_counts import ColumnCounts, ColumnShare, DailyShares
from observability.stats.change import proportion_score
from observability.stats.dispersion import (
    MIN_DAYS,
    PRIOR_EFFECT,
    DayVariation,
    consecutive_day_variation,
    estimate_day_variation,
    fast_median,
    mean_variance_ratio,
)
from observability.stats.interval import two_sided_p_value

KEPT = 0.95
"""Share of past days that are used, those nearest to the median: of four weeks all but one."""
BY_ITSELF = 0.001
"""Probability below which a rate is not explained by its daily variation."""


@dataclass(frozen=True)
class RateVariation:
    """The between-day variation of a rate.

    known: None with fewer than seven days; days are then assumed to double the variance. chance: variance of one row. rows: of a
    usual day.
    """

    known: DayVariation | None
    chance: float
    rows: float

    def design(self, side: ColumnShare, days: float) -> float:
        """Return the design effect: variance of a rate over so many days relative to its sampling variance."""
        if self.known is None:
            return 1 + PRIOR_EFFECT
        return 1 + float(self.known.between[0]) * mean_variance_ratio(days, self.known.correlation) * side.n / self.chance

    def reference_days(self, reference: ColumnShare) -> float:
        """Return the number of days that a reference is assumed to span."""
        return reference_days(reference.n, self.rows)

    def p_value(self, now: ColumnShare, now_days: float, before: ColumnShare, before_days: float) -> float:
        """Return the two-sided p-value of a difference, given rows and days; 1 where a side has no rows."""
        wide = [side.squares * self.design(side, days) for side, days in ((now, now_days), (before, before_days))]
        score = proportion_score(now.hits, now.total, before.hits, before.total, *wide)
        if score is None:
            return 1.0
        if self.known is None:
            return float(two_sided_p_value(score))
        from scipy.special import stdtr

        return float(2 * stdtr(self.known.freedom, -abs(score)))

    def up_to(self, now: ColumnShare, now_days: float, past: ColumnShare, past_days: float) -> float:
        """Return the 99.9 % upper limit of the rate of such a window, from the past."""
        from scipy.special import ndtri, stdtrit

        error = np.sqrt(self.chance * sum(self.design(side, days) / side.n for side, days in ((now, now_days), (past, past_days))))
        reach = -ndtri(BY_ITSELF) if self.known is None else stdtrit(self.known.freedom, 1 - BY_ITSELF)
        return float(min(past.value + reach * error, 1.0))


def rate_variation(past: DailyShares, otherwise: ColumnShare) -> RateVariation:
    """Return the variation of a rate from its daily shares. otherwise: the side whose rate is used where there is no past."""
    past = past.at(past.n > 0)
    n, value = past.n, past.value
    rows, hits = float(n.sum()), float(value @ n)
    if not n.size:
        rows, hits = otherwise.n, otherwise.value * otherwise.n if otherwise.n > 0 else 0.0
    rate = (hits + 0.5) / (rows + 1)
    chance = rate * (1 - rate)
    usual = float(fast_median(n, 0)) if n.size else 0.0
    if n.size < MIN_DAYS:
        return RateVariation(None, chance, usual)
    return RateVariation(estimate_day_variation(value, chance / n, past.days.astype(np.int64), kept=KEPT), chance, usual)


def level_variation(days: DailyShares, now: ColumnShare, before: ColumnShare) -> RateVariation:
    """Return the variation of a rate between consecutive days. days: those of the past and of the window."""
    days = days.at(days.n > 0)
    n, value = days.n, days.value
    together = (now.hits + before.hits + 0.5) / (now.total + before.total + 1)
    chance = together * (1 - together)
    usual = float(fast_median(n, 0)) if n.size else 0.0
    rate = (float(value @ n) + 0.5) / (float(n.sum()) + 1)
    numbers = days.days.astype("datetime64[D]").astype(np.int64)
    known = consecutive_day_variation(value, rate * (1 - rate) / np.maximum(n, 1.0), numbers) if n.size else None
    return RateVariation(known if known is not None and known.days >= MIN_DAYS else None, chance, usual)


def days_of(counts: ColumnCounts) -> int:
    """Return the number of days with rows; at least 1."""
    return max(counts.days.size, 1)
