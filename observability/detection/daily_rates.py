"""Estimates how much a column's rate varies from day to day.

Rows of the same day are correlated (weather, upstream jobs, campaigns), so the variance of a rate between days reduces the effective number
of rows. For a change, this variance is estimated from the past month without its most extreme day, such as a single outage; events on two
or more days of a month count as usual. For the level of the window, the variance between consecutive days is used, because a lasting fault
does not increase it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.detection.windows import reference_days
from observability.metrics.column_counts import ColumnCounts, ColumnShare, DailyShares, Floats
from observability.stats.change import proportion_score
from observability.stats.dispersion import (
    MIN_DAYS,
    PRIOR_EFFECT,
    DayVariation,
    consecutive_day_variations,
    estimate_day_variations,
    fast_median,
    mean_variance_ratio,
)
from observability.stats.interval import two_sided_p_value

KEPT = 0.95
"""Share of past days that are used: those nearest to the median, which is all but one day of four weeks."""
BY_ITSELF = 0.001
"""If the probability is below this, the daily variation does not explain a rate."""


@dataclass(frozen=True)
class RateVariation:
    """The variation of a rate between days.

    known: None with fewer than seven days; days are then assumed to double the variance. chance: variance of one row. rows: rows of a usual
    day.
    """

    known: DayVariation | None
    chance: float
    rows: float

    def design(self, side: ColumnShare, days: float) -> float:
        """Return the design effect: the variance of a rate over several days divided by its sampling variance."""
        if self.known is None:
            return 1 + PRIOR_EFFECT
        return 1 + float(self.known.between[0]) * mean_variance_ratio(days, self.known.correlation) * side.n / self.chance

    def reference_days(self, reference: ColumnShare) -> float:
        """Return the number of days that a reference is assumed to span."""
        return reference_days(reference.n, self.rows)

    def p_value(self, now: ColumnShare, now_days: float, before: ColumnShare, before_days: float) -> float:
        """Return the two-sided p-value of a difference, given the rows and days of both sides; 1 if a side has no rows."""
        wide = [side.squares * self.design(side, days) for side, days in ((now, now_days), (before, before_days))]
        score = proportion_score(now.hits, now.total, before.hits, before.total, *wide)
        if score is None:
            return 1.0
        if self.known is None:
            return float(two_sided_p_value(score))
        from scipy.special import stdtr

        return float(2 * stdtr(self.known.freedom, -abs(score)))

    def up_to(self, now: ColumnShare, now_days: float, past: ColumnShare, past_days: float) -> float:
        """Return the 99.9 % upper limit that the past gives for the rate of such a window."""
        from scipy.special import ndtri, stdtrit

        error = np.sqrt(self.chance * sum(self.design(side, days) / side.n for side, days in ((now, now_days), (past, past_days))))
        reach = -ndtri(BY_ITSELF) if self.known is None else stdtrit(self.known.freedom, 1 - BY_ITSELF)
        return float(min(past.value + reach * error, 1.0))


def rate_variation(past: DailyShares, otherwise: ColumnShare) -> RateVariation:
    """Return the variation of a rate from its daily shares. otherwise: the share whose rate is used if there is no past."""
    return rate_variations([(past, otherwise)])[0]


def rate_variations(rates: Sequence[tuple[DailyShares, ColumnShare]]) -> list[RateVariation]:
    """Return the variation of each rate (`rate_variation`). Rates that cover the same days are computed together."""
    return variations_by_days([_with_rows(past) for past, _ in rates], lambda same, n, value, at: _rates_of_days(same, n, value, rates, at))


def _rates_of_days(
    days: NDArray[np.int64], n: Floats, value: Floats, rates: Sequence[tuple[DailyShares, ColumnShare]], at: Sequence[int]
) -> list[RateVariation]:
    """The variations of the rates at the positions `at`, from their shares by day."""
    if not days.size:
        sides = [rates[place][1] for place in at]
        rate = [((side.value * side.n if side.n > 0 else 0.0) + 0.5) / (side.n + 1) for side in sides]
        return [RateVariation(None, each * (1 - each), 0.0) for each in rate]
    held = (np.vecdot(value, n) + 0.5) / (n.sum(axis=1) + 1)
    chance = held * (1 - held)
    known: Sequence[DayVariation | None] = [None] * len(at)
    if days.size >= MIN_DAYS:
        known = estimate_day_variations(value[:, :, None], (chance[:, None] / n)[:, :, None], days, kept=KEPT)
    return list(map(RateVariation, known, chance.tolist(), fast_median(n, 1).tolist()))


def level_variations(rates: Sequence[tuple[DailyShares, ColumnShare, ColumnShare]]) -> list[RateVariation]:
    """Return the variation of each rate between consecutive days. Rates that cover the same days are computed together.

    rates: for each rate, the shares on the days of the past and of the window, the rate now, and the rate before.
    """
    return variations_by_days(
        [_with_rows(days) for days, _, _ in rates], lambda same, n, value, at: _levels_of_days(same, n, value, rates, at)
    )


def _levels_of_days(
    days: NDArray[np.int64], n: Floats, value: Floats, rates: Sequence[tuple[DailyShares, ColumnShare, ColumnShare]], at: Sequence[int]
) -> list[RateVariation]:
    """The variations between consecutive days of the rates at the positions `at`, from their shares by day."""
    sides = [rates[place][1:] for place in at]
    together = [(now.hits + before.hits + 0.5) / (now.total + before.total + 1) for now, before in sides]
    chance = [each * (1 - each) for each in together]
    if not days.size:
        return [RateVariation(None, each, 0.0) for each in chance]
    rate = ((np.vecdot(value, n) + 0.5) / (n.sum(axis=1) + 1))[:, None]
    known = consecutive_day_variations(value[:, :, None], (rate * (1 - rate) / np.maximum(n, 1.0))[:, :, None], days)
    return list(map(RateVariation, [each if each.days >= MIN_DAYS else None for each in known], chance, fast_median(n, 1).tolist()))


def variations_by_days(
    series: Sequence[DailyShares], measure: Callable[[NDArray[np.int64], Floats, Floats, Sequence[int]], list[RateVariation]]
) -> list[RateVariation]:
    """Return the variation of each series. Series that cover the same days are measured together.

    measure: returns the variations. It is given the days, the rows and the shares of each series on each day, and the positions of the
    series.
    """
    blocks: dict[bytes, list[int]] = {}
    for place, each in enumerate(series):
        blocks.setdefault(each.days.tobytes(), []).append(place)
    found: dict[int, RateVariation] = {}
    for places in blocks.values():
        days = series[places[0]].days.astype("datetime64[D]").astype(np.int64)
        n, value = (np.stack([getattr(series[place], name) for place in places]) for name in ("n", "value"))
        found.update(zip(places, measure(days, n, value, places), strict=True))
    return [found[place] for place in range(len(series))]


def _with_rows(days: DailyShares) -> DailyShares:
    """The days that have rows."""
    held = days.n > 0
    return days if held.all() else days.at(held)


def days_of(counts: ColumnCounts) -> int:
    """Return the number of days that have rows, at least 1."""
    return max(counts.days.size, 1)
