"""A share of sampled rows is compared with past days: varying days raise nothing, the interval contains the truth, and a fault is found."""

import numpy as np
import pytest

from observability.detection.sampled_shares import SampledShare, sampled_share, shares_by_day
from observability.metrics.column_counts import DailyShares
from observability.stats.change import proportion_score
from observability.stats.interval import rate_interval, two_sided_p_value

A_DAY, BUDGET, WEEKS = 500, 0.1 / 7, 200


def drawn(shares: np.ndarray, rng: np.random.Generator, first: int) -> DailyShares:
    """Rows of some days; the given share of each day's rows are hits."""
    days = np.datetime64("2026-03-02", "D") + np.arange(first, first + shares.size).astype("timedelta64[D]")
    at = np.repeat(days, A_DAY)
    return shares_by_day(at, at[rng.random(at.size) < np.repeat(shares, A_DAY)])


def clean_week(rng: np.random.Generator) -> tuple[DailyShares, DailyShares]:
    """A week and the four weeks before. Days have about 10 % hits each, from 2 to 25 %."""
    shares = rng.beta(2.0, 18.0, 35)
    return drawn(shares[28:], rng, 0), drawn(shares[:28], rng, -28)


def by_rows(now: DailyShares, past: DailyShares) -> tuple[float, bool]:
    """The p-value, and whether the interval contains 10 %, computed as if rows were independent."""
    hits, n, then, before = (float(each.sum()) for each in (now.hits, now.total, past.hits, past.total))
    interval = rate_interval(hits, n)
    return float(two_sided_p_value(proportion_score(hits, n, then, before))), (interval.low or 0) <= 0.1 <= (interval.high or 0)


def test_clean_weeks_with_varying_days_raise_no_alarm_and_their_intervals_cover() -> None:
    rng = np.random.default_rng(1)
    weeks = [clean_week(rng) for _ in range(WEEKS)]
    found = [sampled_share(*each) for each in weeks]
    held = sum((each.interval.low or 0) <= 0.1 <= (each.interval.high or 0) for each in found)
    assert sum(each.p_value <= BUDGET for each in found) <= 0.03 * WEEKS and held >= 0.9 * WEEKS
    rows = [by_rows(*each) for each in weeks]
    assert sum(p <= BUDGET for p, _ in rows) > 0.3 * WEEKS and sum(holds for _, holds in rows) < 0.6 * WEEKS, (
        "judged by rows alone, there would be many alarms and narrow intervals"
    )


@pytest.mark.parametrize("days", [1, 3, 7])
def test_a_fault_of_some_days_is_significant(days: int) -> None:
    rng = np.random.default_rng(days)
    week = np.full(7, 0.02)
    week[-days:] = 0.5
    found = sampled_share(drawn(week, rng, 0), drawn(np.full(28, 0.02), rng, -28))
    assert found.p_value < BUDGET / 100 and found.value == pytest.approx(week.mean(), abs=0.02)
    assert found.interval.low is not None and found.interval.low < found.value < (found.interval.high or 0)


def test_without_a_past_daily_variation_is_assumed_to_double_the_variance() -> None:
    rng = np.random.default_rng(4)
    now, past = drawn(np.full(3, 0.1), rng, 0), drawn(np.full(3, 0.1), rng, -3)
    found: SampledShare = sampled_share(now, past)
    half = rate_interval(now.hits.sum() / 2, now.total.sum() / 2)
    assert (found.interval.low, found.interval.high) == pytest.approx((half.low, half.high))
