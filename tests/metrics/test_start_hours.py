"""Carbon by the hour at which runs start, computed minute by minute."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.metrics.start_hours import DAYS, MIN_DAYS, StartHours, TimedRun, carbon_by_start_hour, saved_share
from tests.support.operations_world import START, place, prices

END = START + timedelta(days=1)
HOURS = 24 * (DAYS + 1)


def hourly_prices(seed: int = 0, swing: float = 100.0) -> pd.DataFrame:
    """A price record for each hour of the days up to and including the day of END. Carbon is lowest at about 02:00."""
    rng = np.random.default_rng(seed)
    first = -24 * (DAYS - 1)
    day = 300 - swing * np.cos(2 * np.pi * (np.arange(HOURS) - 2) / 24)
    grams = day + np.repeat(rng.normal(0, 20, DAYS + 1), 24)
    return prices(*({"resource": "kwh", "from": first + hour, "carbon_g_per_kwh": float(each)} for hour, each in enumerate(grams)))


def by_minute(grid: pd.DataFrame, run: TimedRun, day: int, hour: float) -> float:
    """Grams of carbon of a run that starts on the given day and hour, summed over its minutes."""
    first = END.replace(hour=0) - timedelta(days=DAYS) + timedelta(days=day, hours=hour)
    minutes = [first + timedelta(minutes=each) for each in range(round(60 * run.hours))]
    known = grid.set_index("from")["carbon_g_per_kwh"]
    return float(np.mean([known[minute.replace(minute=0, second=0)] for minute in minutes])) * run.wh / 1000


def test_grams_at_each_hour_are_those_summed_by_the_minute() -> None:
    grid = hourly_prices()
    runs = [TimedRun(START + timedelta(hours=13, minutes=30), 2.5, 900.0), TimedRun(START + timedelta(hours=20), 1.0, 300.0)]
    found = carbon_by_start_hour(runs, grid, END, place())
    assert found is not None and (found.days, found.runs, found.typical) == (DAYS, 2, False)
    for hour in (2, 15):
        expected = np.mean([sum(by_minute(grid, run, day, hour) for run in runs) for day in range(DAYS)])
        assert found.grams[hour] == pytest.approx(expected)
    usual = [sum(by_minute(grid, run, day, run.time_of_day) for run in runs) for day in range(DAYS)]
    assert found.usual == pytest.approx(np.mean(usual)) and found.best == int(np.argmin(found.grams)) in (1, 2)
    assert found.saved.value == pytest.approx(1 - found.grams[found.best] / found.usual)


def test_the_interval_of_independent_days_is_students_and_covers_in_95_of_100_cases() -> None:
    rng, held, wide = np.random.default_rng(4), 0, 0.05 / 46
    for _ in range(200):
        usual = rng.normal(300, 30, 28)
        best = 0.7 * usual + rng.normal(0, 15, 28)
        found = saved_share(usual, best, False)
        held += found.low <= 0.3 <= found.high
    assert held >= 190
    usual, best = np.array([300.0, 310, 290, 305, 295, 301, 299]), np.array([200.0, 215, 190, 202, 199, 203, 197])
    found = saved_share(usual, best, False)
    share = 1 - best.sum() / usual.sum()
    rest = (usual - best) - share * usual
    rho = max(float(np.sum(rest[1:] * rest[:-1]) / np.sum(rest**2)), 0.0)
    half = stats.t.ppf(1 - wide, 6) * stats.sem(rest) / usual.mean() * np.sqrt((1 + rho) / (1 - rho))
    assert (found.value, found.low, found.high) == pytest.approx((share, share - half, share + half))


def test_days_without_an_hourly_intensity_are_not_compared() -> None:
    run = [TimedRun(START + timedelta(hours=13), 1.0, 100.0)]
    assert carbon_by_start_hour(run, prices({"resource": "kwh", "carbon_g_per_kwh": 300.0, "from": -24 * 40}), END, place()) is None
    assert carbon_by_start_hour(run, prices(), END, place(carbon_g_per_kwh=300.0)) is None
    assert carbon_by_start_hour([TimedRun(START, 30.0, 100.0)], hourly_prices(), END, place()) is None
    few = hourly_prices().iloc[-24 * MIN_DAYS :]
    found = carbon_by_start_hour(run, few, END, place())
    assert isinstance(found, StartHours) and found.days == MIN_DAYS - 1 and found.saved.value is None


def test_a_typical_day_that_the_owner_set_gives_the_share_without_an_interval() -> None:
    day = tuple(100.0 if hour == 2 else 200.0 for hour in range(24))
    found = carbon_by_start_hour([TimedRun(START + timedelta(hours=13), 1.0, 1000.0)], prices(), END, place(carbon_by_hour=day))
    assert found is not None and found.typical and found.best == 2
    assert found.saved.triple == (0.5, 0.5, 0.5) and found.usual == pytest.approx(200.0)
