"""The variance between days is recovered despite a fault and a weekly pattern, and the null distributions hold in simulation."""

import numpy as np
import pytest
from scipy import stats

from observability.stats import distance
from observability.stats.dispersion import (
    PRIOR_DAYS,
    DayVariation,
    GammaNull,
    consecutive_day_variation,
    consecutive_day_variations,
    day_residuals,
    estimate_day_variation,
    estimate_day_variations,
    mean_variance_ratio,
    psi_null,
    psi_null_of_days,
    trimmed_variance,
)

DAYS = np.arange(20_000, 20_056)


def test_the_trimmed_variance_is_that_of_a_normal_with_and_without_a_fault() -> None:
    rng = np.random.default_rng(1)
    rest = rng.normal(0, 2, (4000, 3))
    assert trimmed_variance(rest) == pytest.approx([4, 4, 4], rel=0.08)
    rest[:400] += 50
    assert (trimmed_variance(rest) < 6.5).all()
    assert trimmed_variance(rest, kept=1.0)[0] > 100


@pytest.mark.parametrize("days", [DAYS, DAYS[:30], DAYS[[0, 1, 2, 5, 7, 8, 14, 21, 22, 28, 29, 35, 40, 41, 50]]])
def test_each_day_is_compared_with_the_middle_value_of_its_weekday(days: np.ndarray) -> None:
    values = np.random.default_rng(7).normal(size=(days.size, 3))
    left = day_residuals(values, days, weekly=True)
    for day, row, found in zip(days, values, left, strict=True):
        own = values[days % 7 == day % 7]
        alone = len(own) == 1
        middle, scale = np.median(values if alone else own, axis=0), 1.0 if alone else np.sqrt(len(own) / (len(own) - 1))
        assert found == pytest.approx((row - middle) * scale, rel=1e-14)


def test_the_variance_between_days_is_estimated_without_the_weekly_pattern() -> None:
    rng = np.random.default_rng(2)
    found, plain, none = [], [], []
    for _ in range(60):
        rows = rng.normal(0, 0.05, (56, 1))
        week = np.where(DAYS % 7 < 2, 1.0, 0.0)[:, None]
        days = rng.normal(0, 0.1, (56, 1))
        found.append(estimate_day_variation(rows + week + days, 0.0025, DAYS).between[0])
        plain.append(estimate_day_variation(rows + week + days, 0.0025, DAYS, weekly=False).between[0])
        none.append(estimate_day_variation(rows, 0.0025, DAYS).between[0])
    assert np.mean(found) == pytest.approx(0.01, rel=0.15)
    assert np.median(plain) > 2 * np.median(found)
    assert np.mean(none) < 0.0025 * 0.45


def test_correlated_days_are_distinguished_from_uncorrelated_days() -> None:
    rng = np.random.default_rng(3)
    slow, quick = [], []
    for _ in range(60):
        day, series = 0.0, []
        for _ in range(56):
            day = 0.7 * day + rng.normal(0, np.sqrt(1 - 0.49))
            series.append(day)
        slow.append(estimate_day_variation(np.array(series) + rng.normal(0, 0.3, 56), 0.09, DAYS, weekly=False).correlation)
        quick.append(estimate_day_variation(rng.normal(0, 1, 56) + rng.normal(0, 0.3, 56), 0.09, DAYS, weekly=False).correlation)
    assert np.mean(slow) > 0.45 and np.mean(quick) < 0.15


def test_the_variance_of_a_mean_of_days_equals_that_of_the_covariance_matrix() -> None:
    for days, rho in ((1, 0.5), (7, 0.0), (7, 0.6), (28, 0.9)):
        matrix = rho ** np.abs(np.subtract.outer(np.arange(days), np.arange(days)))
        assert mean_variance_ratio(days, rho) == pytest.approx(matrix.sum() / days**2)
    assert DayVariation(np.array([0.7]), 0.0, 28).of_mean(7) == pytest.approx([0.1])


def test_with_too_few_days_the_stated_prior_variance_is_used() -> None:
    few = estimate_day_variation([[0.1]] * 3, 0.01, DAYS[:3])
    assert few.days == 0 and few.between == pytest.approx([0.01])
    assert few.freedom == 2 * PRIOR_DAYS - 1


def test_without_variance_between_days_the_null_is_chi_squared_in_the_rows() -> None:
    null = psi_null(5000, 700, 11)
    value = 0.03
    assert null.p_value(value) == pytest.approx(distance.psi_p_value(value, 5000, 700, 11))
    assert null.quantile(0.95) == pytest.approx(distance.psi_null_quantile(5000, 700, 11))
    assert psi_null(100, 100, 1).p_value(0.0) == 1.0 and np.isnan(psi_null(0, 10, 5).p_value(0.1))


def test_the_null_with_an_estimated_scale_is_an_f() -> None:
    null = GammaNull(2.0, 0.5, 30.0)
    assert null.p_value(6.0) == pytest.approx(stats.f.sf(3.0, 1, 30))
    assert null.p_value(null.quantile(0.99)) == pytest.approx(0.01)


@pytest.mark.parametrize("between", [0.0, 0.05])
def test_clean_weeks_exceed_a_quantile_of_the_null_no_more_often_than_nominal(between: float) -> None:
    """Weeks have 500 normal rows a day, and the mean moves from day to day. At most the nominal share of weeks exceeds the quantiles of the
    null.
    """
    rng = np.random.default_rng(4)
    cuts = stats.norm.ppf(np.arange(1, 10) / 10)

    def days(k: int) -> np.ndarray:
        means = rng.normal(0, np.sqrt(between), k)
        at = np.concatenate([[-np.inf], (cuts - 0), [np.inf]])
        shares = np.diff(stats.norm.cdf((at[None, :] - means[:, None]) / np.sqrt(1 - between)), axis=1)
        return np.array([rng.multinomial(500, each) for each in shares], float)

    beyond = {0.05: 0, 0.005: 0}
    runs = 400
    for _ in range(runs):
        reference, past, now = days(60).sum(axis=0), days(28), days(7).sum(axis=0)
        p = reference / reference.sum()
        known = estimate_day_variation(past / 500, p * (1 - p) / 500, DAYS[:28])
        over = mean_variance_ratio(7, known.correlation) + mean_variance_ratio(60, known.correlation)
        null = psi_null(30_000, 3500, 10, float(np.sum(known.between / p)) * over, known.freedom)
        p_value = null.p_value(distance.psi(reference, now))
        for level in beyond:
            beyond[level] += p_value <= level
    for level, count in beyond.items():
        assert stats.binom.sf(count - 1, runs, level) > 0.01, (level, count)


@pytest.mark.parametrize("correlation", [0.0, 0.02, 0.05, 0.2])
@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_the_correlation_of_days_is_estimated_about_right_on_skewed_days_too(correlation: float, skew: float) -> None:
    """There are ten quantities over four weeks. Each is a daily AR(1) process (made lognormal if `skew` is set), plus row noise with half
    its variance.
    """
    rng, found = np.random.default_rng(17), []
    for _ in range(60):
        steps = rng.normal(size=(78, 10))
        days = np.zeros((78, 10))
        for day in range(1, 78):
            days[day] = correlation * days[day - 1] + np.sqrt(1 - correlation**2) * steps[day]
        days = days[50:]
        if skew:
            days = (np.exp(skew * days) - np.exp(skew**2 / 2)) / np.sqrt((np.exp(skew**2) - 1) * np.exp(skew**2))
        values = days + rng.normal(size=(28, 10)) * np.sqrt(0.5)
        found.append(estimate_day_variation(values, np.full((28, 10), 0.5), np.arange(28)).correlation)
    assert correlation - 0.03 < np.mean(found) < correlation + (0.12 if skew else 0.06)


def test_the_variance_of_consecutive_days_ignores_slides_and_steps() -> None:
    rng, days = np.random.default_rng(7), np.arange(20_000, 20_400)
    noise = rng.normal(0, 0.02, days.size)
    slide, step = np.linspace(0, -0.3, days.size), np.where(days >= 20_200, -0.3, 0.0)
    moves = {"still": 0.0, "slide": slide, "step": step}
    found = {name: float(consecutive_day_variation(moved + noise, 0.0, days).between[0]) for name, moved in moves.items()}
    assert found["still"] == pytest.approx(0.02**2, rel=0.25)
    assert found["slide"] == pytest.approx(found["still"], rel=0.02) and found["step"] == pytest.approx(found["still"], rel=0.05)
    assert float(estimate_day_variation(slide + noise, 0.0, days, weekly=False).between[0]) > 5 * found["still"]


def test_only_consecutive_days_form_pairs_and_with_too_few_pairs_the_prior_is_kept() -> None:
    alone = consecutive_day_variation([0.1, 0.9, 0.2, 0.7], 0.01, [20_000, 20_002, 20_004, 20_006])
    assert alone.days == 0 and alone.between[0] == pytest.approx(0.01)


def test_the_psi_null_of_days_detects_a_single_group_and_ignores_one_rare_day() -> None:
    tenths, rare = np.full(10, 0.1), [0.97, 0.03]
    alone = distance.psi(tenths, np.eye(10)[0])
    assert psi_null_of_days(tenths, 7, 90).p_value(alone) < 1e-3 < 0.9 < psi_null_of_days(tenths, 7, 90).p_value(1.5)
    assert psi_null_of_days(rare, 7, 90).p_value(distance.psi(rare, [6, 1])) > 0.1
    rng = np.random.default_rng(11)
    draws = [distance.psi(rng.multinomial(90, tenths), rng.multinomial(14, tenths)) for _ in range(400)]
    assert np.mean([psi_null_of_days(tenths, 14, 90).p_value(value) < 0.05 for value in draws]) == pytest.approx(0.05, abs=0.04)


def test_the_variation_of_many_series_equals_that_of_each_series_alone() -> None:
    rng = np.random.default_rng(3)
    values, noise = rng.normal(0, 1, (6, 28, 4)), rng.uniform(0.01, 0.5, (6, 28, 4))
    values[1, 5], values[2, :, 1], noise[2, :, 1] = np.nan, 0.0, 0.0  # an unknown day, and a quantity that never varies
    days = np.delete(np.arange(29), 9)
    for weekly in (True, False):
        together = estimate_day_variations(values, noise, days, weekly=weekly)
        alone = [estimate_day_variation(x, of_rows, days, weekly=weekly) for x, of_rows in zip(values, noise, strict=True)]
        assert [(each.days, each.correlation) for each in together] == [(each.days, pytest.approx(each.correlation)) for each in alone]
        np.testing.assert_allclose([each.between for each in together], [each.between for each in alone])
    together, alone = (
        consecutive_day_variations(values, noise, days),
        [consecutive_day_variation(x, of_rows, days) for x, of_rows in zip(values, noise, strict=True)],
    )
    assert [each.days for each in together] == [each.days for each in alone] == [26, 24, 26, 26, 26, 26]
    np.testing.assert_allclose([each.between for each in together], [each.between for each in alone])
