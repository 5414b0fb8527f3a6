"""The power of a processor: idle watts and watts per busy core are recovered, and the stated error is that for new readings."""

import numpy as np
import pytest

from observability.stats.power_fit import fitted_power


def readings(rng: np.random.Generator, noise: float, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    seconds, load = rng.uniform(2, 20, n), rng.uniform(0, 2, n)
    watts = (14.0 + 5.5 * load) * (1 + noise * rng.standard_normal(n))
    return load * seconds, seconds, watts * seconds


def test_watts_of_an_exact_meter_are_found_again() -> None:
    fit = fitted_power(*readings(np.random.default_rng(1), 0.0))
    assert fit is not None and (fit.idle, fit.per_core) == pytest.approx((14.0, 5.5)) and fit.error < 1e-9 and fit.n == 40


def test_the_stated_error_covers_readings_that_the_fit_has_not_seen() -> None:
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        fit = fitted_power(*readings(rng, 0.08))
        assert fit is not None and fit.error == pytest.approx(0.16, abs=0.09)
        busy, seconds, joules = readings(rng, 0.08, 200)
        predicted = fit.idle * seconds + fit.per_core * busy
        inside.append(float((np.abs(predicted - joules) / joules <= fit.error).mean()))
    assert 0.88 <= np.mean(inside) <= 0.99


def test_few_readings_one_load_and_broken_meters_give_no_fit() -> None:
    busy, seconds, joules = readings(np.random.default_rng(2), 0.05)
    assert fitted_power(busy[:7], seconds[:7], joules[:7]) is None
    assert fitted_power(seconds, seconds, joules) is None, "a single load does not determine the idle power"
    assert fitted_power(busy, seconds, np.where(np.arange(40) < 36, np.nan, joules)) is None
    falling = fitted_power(busy, seconds, (30 - 4 * busy / seconds) * seconds)
    assert falling is not None and falling.per_core == 0, "power is not allowed to fall with load"
