"""Simulated days with correlated rows vary as real days do, and use only rows of the log."""

import numpy as np
import pytest

from observability.simulation.clean_log import CleanStream
from observability.simulation.day_correlation import DayCorrelation, normal_scores
from observability.simulation.log_rows import LogRows
from tests.support.simulation_world import credit

SHARE, DAYS, SIZE = 0.05**0.5, 400, 400


@pytest.fixture(scope="module")
def weather() -> LogRows:
    """Rain in one hour and in three hours, wind, and a number that is null half of the time."""
    rng = np.random.default_rng(1)
    wet = rng.random(6000) < 0.08
    rain = np.where(wet, rng.gamma(1, 0.1, 6000), 0.0)
    wind = rng.normal(10, 3, 6000)
    return LogRows({
        "feature.rain": rain, "feature.rain_3h": rain + np.where(rng.random(6000) < 0.05, 0.05, 0.0), "feature.wind": wind,
        "feature.gust": np.where(rng.random(6000) < 0.5, np.nan, wind + 5), "label": (rng.random(6000) < 0.2 + 0.3 * wet).astype(float),
    })  # fmt: skip


@pytest.fixture(scope="module")
def drawn(weather: LogRows) -> np.ndarray:
    """Days × row indices of the log, with a random effect on each day."""
    luck, rng = DayCorrelation.of(weather, SHARE), np.random.default_rng(2)
    return np.array([rng.choice(len(weather), SIZE, p=luck.weights(rng)) for _ in range(DAYS)])


@pytest.mark.parametrize("name", ["feature.rain", "feature.rain_3h", "feature.wind"])
def test_a_day_shares_about_a_twentieth_of_the_variance(weather: LogRows, drawn: np.ndarray, name: str) -> None:
    found = normal_scores(weather[name])[drawn]
    between = found.mean(axis=1).var() - found.var(axis=1).mean() / SIZE
    assert 0.03 < between < 0.07


def test_over_many_days_the_means_of_the_log_are_unchanged(weather: LogRows, drawn: np.ndarray) -> None:
    for name in ("feature.rain", "feature.wind", "label"):
        assert abs(weather[name][drawn].mean() - weather[name].mean()) < 0.05 * weather[name].std()
    wet = (weather["feature.rain"][drawn] > 0).mean(axis=1)
    assert wet.std() > 2.5 * np.sqrt(0.08 * 0.92 / SIZE), "the share of zeros varies far more than sampling of rows explains"
    pairs = (weather["feature.rain"][drawn.ravel()], weather["feature.rain_3h"][drawn.ravel()])
    assert np.all(pairs[0] <= pairs[1]), "columns that belong together stay together"


def test_rows_of_a_stream_are_whole_rows_of_its_log_and_the_same_each_time() -> None:
    base = credit(1)
    day = CleanStream(base, seed=1, rows_a_day=500, day_effect=SHARE).day(3)
    known = {(age, score) for age, score in zip(base.pool["feature.age"].tolist(), base.pool["score"].tolist(), strict=True)}
    assert all(each in known for each in zip(day["feature.age"].tolist(), day["score"].tolist(), strict=True))
    again = CleanStream(base, seed=1, rows_a_day=500, day_effect=SHARE).day(3)
    assert np.array_equal(day["feature.age"], again["feature.age"]) and np.array_equal(day["at"], again["at"])
