"""False alarms are as rare as stated in simulation, and a slow ramp is detected earlier than by a weekly test."""

import numpy as np
import pytest
from scipy import stats

from observability.stats.sequential import LARGEST, alarm_threshold, shift_start, shiryaev_roberts
from tests.support.length import repeats


def waits(rng: np.random.Generator, threshold: float, runs: int, days: int, draw) -> np.ndarray:
    """Days until the first alarm on clean series; `days` if there was none."""
    found = []
    for _ in range(runs):
        over = np.flatnonzero(shiryaev_roberts(draw(rng, days)) >= threshold)
        found.append(over[0] + 1 if over.size else days)
    return np.array(found, float)


@pytest.mark.parametrize(
    "draw",
    [lambda rng, n: rng.normal(0, 1, n), lambda rng, n: rng.standard_t(8, n) * np.sqrt(6 / 8), lambda rng, n: rng.normal(-0.3, 1, n)],
    ids=["normal", "heavy tails", "better than allowed"],
)
def test_the_mean_time_between_false_alarms_is_at_least_the_threshold(draw) -> None:
    """With a threshold of 100 days, the mean time to a false alarm is at least 100. Waits are cut off at 1,200 days, which only lowers the
    mean.
    """
    found = waits(np.random.default_rng(1), 100, repeats(40, 120), 1200, draw)
    assert found.mean() + 2 * found.std() / np.sqrt(found.size) >= 100
    if draw(np.random.default_rng(2), 4000).mean() > -0.1:
        assert found.mean() < 1000


def test_the_chance_of_an_alarm_in_a_month_is_at_most_days_over_the_threshold() -> None:
    """E[sum after t days] = t, so by Markov's inequality P(alarm by day 28) is below 28 / threshold. This is checked over 1,000 clean
    months.
    """
    rng = np.random.default_rng(3)
    count = sum(bool((shiryaev_roberts(rng.normal(0, 1, 28)) >= 350).any()) for _ in range(1000))
    assert stats.binom.sf(count - 1, 1000, 28 / 350) > 0.01


def test_the_statistic_of_the_first_day_equals_the_one_by_hand() -> None:
    z = 1.5
    by_hand = np.mean([np.exp(d * z - d * d / 2) for d in (0.5, 1.0, 2.0)])
    assert shiryaev_roberts([z])[0] == pytest.approx(by_hand)
    assert shiryaev_roberts([float("nan"), z])[1] == pytest.approx(by_hand)
    assert shiryaev_roberts([])[-1:].size == 0


def test_a_slow_ramp_is_found_sooner_than_by_weeks_at_the_same_rate() -> None:
    """Over 28 days the figure rises by 1.5 standard deviations of a day. It is compared with a test of weekly means that has as many false
    alarms.
    """
    rng = np.random.default_rng(4)
    by_day, by_week = [], []
    for _ in range(200):
        series = rng.normal(0, 1, 42) + np.concatenate([np.zeros(7), np.linspace(0, 1.5, 28), np.full(7, 1.5)])
        over = np.flatnonzero(shiryaev_roberts(series) >= 350)
        by_day.append(over[0] if over.size else 42)
        level = stats.norm.isf(7 / 350)
        weeks = [6 + 7 * k for k in range(6) if series[7 * k : 7 * k + 7].mean() * np.sqrt(7) >= level]
        by_week.append(weeks[0] if weeks else 42)
    assert np.median(by_day) <= np.median(by_week)
    assert np.mean(np.array(by_day) < 42) > 0.9


def test_one_extreme_day_is_capped_and_the_start_of_a_shift_is_found() -> None:
    assert shiryaev_roberts([0, 0, 1e9])[-1] == shiryaev_roberts([0, 0, LARGEST])[-1]
    assert shift_start([0.0] * 10 + [2.0] * 5) == 10
    assert shift_start([-1.0] * 5) is None and shift_start([]) is None
    assert alarm_threshold(0.01) == 100
    with pytest.raises(ValueError, match="above 0"):
        alarm_threshold(0)
