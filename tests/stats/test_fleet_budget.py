"""The false-alarm budget of a fleet: p-values compared with those of other models, shares of the budget, and faults that models share."""

import numpy as np
import pytest
from scipy.stats import norm

from observability.stats.fleet_budget import MIN_PEERS, fleet_threshold, peer_adjusted_p_values, shared_p_value
from tests.support.fleet_weeks import simulate_fleet_weeks
from tests.support.length import repeats


def test_independent_models_stay_as_they_are():
    p = norm.sf(norm.ppf((np.arange(999) + 0.5) / 999))
    assert peer_adjusted_p_values(p) == pytest.approx(p, rel=0.02)


def test_a_change_of_all_models_is_no_news_of_one_model():
    rng = np.random.default_rng(1)
    z = 4.0 + 0.4 * rng.normal(size=200)
    beside = peer_adjusted_p_values(norm.sf(z))
    assert (norm.sf(z) < 0.01).all() and (beside < 0.01).mean() < 0.05
    z[0] = 8.0
    assert peer_adjusted_p_values(norm.sf(z))[0] < 1e-12


def test_few_peers_change_nothing_and_an_unknown_one_stays_unknown():
    p = [0.01] * (MIN_PEERS - 1) + [np.nan]
    assert np.array_equal(peer_adjusted_p_values(p), p, equal_nan=True)
    assert np.isnan(peer_adjusted_p_values([0.01] * MIN_PEERS + [np.nan])[-1])


def test_the_budget_of_a_fleet_is_shared_and_a_small_fleet_keeps_its_own():
    assert fleet_threshold(0.02, 0.4, 1000) == pytest.approx(0.0004)
    assert fleet_threshold(0.02, 0.4, 10) == 0.02
    with pytest.raises(ValueError, match="at least one model"):
        fleet_threshold(0.02, 0.4, 0)


def test_models_that_changed_together_are_one_test_under_any_dependence():
    assert shared_p_value([], 10) == 1.0
    assert shared_p_value([0.5], 1000) == 1.0
    harmonic = (1 / np.arange(1, 101)).sum()
    assert shared_p_value([1e-5] * 30, 100) == pytest.approx(1e-5 * 100 * harmonic / 30)
    rng = np.random.default_rng(2)
    alike = [shared_p_value(np.full(50, p), 50) for p in rng.uniform(size=2000)]
    assert np.mean(np.asarray(alike) <= 0.1) <= 0.1


@pytest.mark.parametrize(("models", "weeks"), [(10, repeats(80, 300)), (100, repeats(30, 150)), (1000, repeats(3, 15))])
@pytest.mark.parametrize("correlation", [0.4, 0.9])
def test_a_fleet_of_correlated_models_keeps_its_budget_and_finds_what_one_model_finds(models, weeks, correlation):
    found = simulate_fleet_weeks(models, correlation, weeks=weeks, effect=2.4, seed=models)
    assert found.false_fleet <= 0.5
    assert found.power_alone > 0.9 and found.power_fleet >= found.power_alone - 0.05
    assert found.shared_found > 0.8 and found.shared_alarms <= found.shared_found + 0.5
    if models == 1000 and correlation == 0.4:
        assert found.false_alone > 5, "judged alone, the same models raise many false alarms"
