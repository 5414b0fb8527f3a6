"""The forecast of a sum has the stated coverage, follows a shift, and is refused if there are only a few days of history."""

import numpy as np
import pytest

from observability.stats.forecast import METHOD, WITH_WEEKDAYS, forecast_sum
from tests.support.length import repeats, some

WEEK = np.array([1.0, 1.1, 1.2, 1.1, 1.0, 0.4, 0.3])


def series(kind: str, days: int, rng: np.random.Generator) -> np.ndarray:
    """Daily cost of the given kind."""
    noise = rng.normal(0, 8, days)
    if kind == "weekly":
        return 100 * np.resize(WEEK, days) + noise
    if kind == "walk":
        return 200 + np.cumsum(rng.normal(0, 3, days)) + noise
    if kind == "skewed":
        return rng.gamma(2, 50, days)
    return 100 + noise


@pytest.mark.parametrize(
    ("kind", "history", "ahead"), some([("level", 14, 15), ("level", 60, 10), ("weekly", 40, 20), ("walk", 60, 10), ("skewed", 40, 15)], 2)
)
def test_the_forecast_interval_covers_the_later_sum(kind: str, history: int, ahead: int) -> None:
    rng, hits, rounds = np.random.default_rng(3), 0, repeats(30, 120)
    for _ in range(rounds):
        days = series(kind, history + ahead, rng)
        found = forecast_sum(days[:history], ahead)
        hits += found.low <= days[history:].sum() <= found.high
    assert hits / rounds >= 0.86, "95 % is stated; with few days to estimate the parameters, a random walk is covered a little less often"


def test_weekdays_are_learned_from_four_weeks_on() -> None:
    days = 100 * np.resize(WEEK, 63) + np.random.default_rng(4).normal(0, 1, 63)
    found = forecast_sum(days[:56], 7)
    assert found.method == WITH_WEEKDAYS and found.value == pytest.approx(100 * WEEK.sum(), rel=0.02)
    steps = np.diff(np.concatenate([[0.0], found.by_day[:, 0]]))
    assert steps == pytest.approx(100 * WEEK, rel=0.1, abs=4)
    assert forecast_sum(days[:20], 7).method == METHOD


def test_a_forecast_follows_a_shift_and_is_less_certain_over_more_days() -> None:
    rng = np.random.default_rng(5)
    days = np.concatenate([100 + rng.normal(0, 5, 40), 200 + rng.normal(0, 5, 16)])
    near, far = forecast_sum(days, 5), forecast_sum(days, 25)
    assert near.value == pytest.approx(1000, rel=0.1)
    assert (far.high - far.low) / 25 > (near.high - near.low) / 5
    assert (np.diff(far.by_day[:, 2] - far.by_day[:, 1]) > 0).all()


def test_a_constant_series_is_forecast_with_an_interval_and_too_few_days_are_unknown() -> None:
    flat = forecast_sum([3.0] * 20, 10)
    reach = 2.085963447265837 * 3 * np.sqrt((10 + 100 / 20) / 21)
    assert (flat.value, flat.low, flat.high) == pytest.approx((30, 30 - reach, 30 + reach)) and flat.by_day is not None
    assert np.all(np.diff(flat.by_day[:, 2] - flat.by_day[:, 1]) > 0)
    assert forecast_sum([0.0] * 20, 10).high == 0
    few = forecast_sum([3.0] * 13, 10)
    assert few.value is None and few.n == 13
    assert forecast_sum([1.0, 2.0] * 10, 0).value == 0
    gap = np.array([10.0, 11.0, 9.0, 12.0] * 6)
    gap[7] = np.nan
    assert forecast_sum(gap, 4).value == pytest.approx(42, rel=0.15)


def test_the_variance_of_the_sum_is_that_of_simulated_paths() -> None:
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    days = series("weekly", 56, np.random.default_rng(6))
    found = forecast_sum(days, 12)
    model = UnobservedComponents(days / days.std(), level="local level", seasonal=7, stochastic_seasonal=False)
    fitted = model.fit(disp=False, maxiter=200)
    paths = fitted.simulate(12, anchor="end", repetitions=4000, rng=np.random.default_rng(7))
    sums = np.asarray(paths).reshape(12, -1).sum(axis=0) * days.std()
    assert found.value == pytest.approx(sums.mean(), abs=4 * sums.std() / np.sqrt(4000))
    half = (found.high - found.low) / 2
    assert half / 2.01 == pytest.approx(sums.std(), rel=0.06)
