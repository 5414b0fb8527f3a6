"""Do days that share their luck move numbers as real days do?"""

import numpy as np

from observability.lab.base import Stream, with_luck
from tests.lab_world import credit

SHARE = 0.05**0.5


def days(values: np.ndarray, count: int = 400, rows: int = 400) -> np.ndarray:
    """Days of rows of a log, each with its luck."""
    rng = np.random.default_rng(1)
    ordered = np.sort(values)
    return np.array([with_luck(rng.choice(values, rows), ordered, rng, SHARE) for _ in range(count)])


def test_a_day_shares_a_twentieth_of_a_normal_numbers_variance() -> None:
    found = days(np.random.default_rng(2).normal(40, 12, 20_000))
    between = found.mean(axis=1).var() - found.var() / 400
    assert abs(between / found.var() - 0.05) < 0.01
    assert abs(found.mean() - 40) < 0.5 and abs(found.std() / 12 - 1) < 0.02, "over many days the log is as before"


def test_of_a_number_that_is_nearly_always_zero_the_share_of_zeros_moves() -> None:
    rain = np.where(np.random.default_rng(3).random(5000) < 0.08, np.random.default_rng(4).gamma(1, 0.1, 5000), 0.0)
    found = days(rain)
    assert set(np.unique(found)) <= set(rain.tolist()), "what was never there does not come"
    wet = (found > 0).mean(axis=1)
    assert abs(wet.mean() - (rain > 0).mean()) < 0.01
    assert wet.std() > 1.5 * np.sqrt(0.08 * 0.92 / 400), "days differ by more than their rows"


def test_a_stream_with_luck_keeps_nulls_and_its_other_columns() -> None:
    plain, lucky = (Stream(credit(1), seed=1, rows_a_day=500, day_effect=share).day(3) for share in (0.0, SHARE))
    assert np.array_equal(np.isnan(plain["feature.tenure"]), np.isnan(lucky["feature.tenure"]))
    assert np.array_equal(plain["score"], lucky["score"]) and not np.array_equal(plain["feature.age"], lucky["feature.age"])
