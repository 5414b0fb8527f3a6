"""Membership statistics: the curve agrees with scikit-learn, intervals contain the truth, likelihood ratios find members, and canaries are
ranked as by hand.
"""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from observability.stats.exposure import attack_curve, attack_true_positive_rate, canary_exposure, likelihood_ratios, thinned_curve


def test_the_curve_agrees_with_scikit_learn_ties_included() -> None:
    rng = np.random.default_rng(1)
    members, others = rng.normal(0.4, 1, 700).round(1), rng.normal(0, 1, 900).round(1)
    curve = attack_curve(members, others)
    plain = roc_auc_score(np.r_[np.ones(700), np.zeros(900)], np.r_[members, others])
    assert curve.auc.value == pytest.approx(plain, abs=1e-12)
    assert curve.auc.low is not None and curve.auc.high is not None and curve.auc.low < plain < curve.auc.high
    assert np.trapezoid(curve.true_positive, curve.false_positive) == pytest.approx(plain, abs=1e-12)
    points = thinned_curve(curve)
    assert points[0] == (0.0, 0.0) and points[-1] == (1.0, 1.0) and points == sorted(points)


def test_a_rate_at_few_false_positives_is_that_of_the_threshold_within_them() -> None:
    others, members = np.arange(1000.0), np.array([988.5, 990.5, 998.5, 2000.0])
    found = attack_true_positive_rate(members, others, 0.01)
    assert found.value == 3 / 4  # 990 of the others are below 990, so ten are false positives
    assert attack_true_positive_rate(members, others, 0.001).value == 1 / 2
    assert attack_true_positive_rate(members, others, 0.0001).value == 1 / 4


def test_the_interval_at_few_false_positives_covers_the_rate_under_chance() -> None:
    rng = np.random.default_rng(2)
    for rate in (0.01, 0.001):
        covered = 0
        for _ in range(200):
            found = attack_true_positive_rate(rng.normal(size=400), rng.normal(size=400), rate)
            assert found.low is not None and found.high is not None
            covered += found.low <= rate <= found.high
        assert covered >= 186  # 95 % minus three standard errors


def test_likelihood_ratios_find_members_of_a_model_that_is_surer_of_them() -> None:
    rng = np.random.default_rng(3)
    easy, member = rng.normal(0, 3, 600), rng.random(600) < 0.5
    shadows = rng.random((16, 600)) < 0.5
    confidence = easy + 1.5 * shadows + rng.normal(0, 1, shadows.shape)
    target = easy + 1.5 * member + rng.normal(0, 1, 600)
    ratio = likelihood_ratios(target, np.where(shadows, confidence, np.nan), np.where(shadows, np.nan, confidence))
    calibrated, plain = (roc_auc_score(member, each) for each in (ratio, target))
    assert calibrated > 0.8 > 0.7 > plain


def test_exposure_is_log2_of_the_candidates_less_log2_of_the_rank_by_hand() -> None:
    found = canary_exposure([9.0, 3.0, -1.0, 5.5], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert found.ranks.tolist() == [1, 5, 8, 2], "a tie counts against the canary"
    assert found.bits == pytest.approx([3.0, np.log2(8 / 5), 0.0, 2.0])
    assert canary_exposure([9.0], np.arange(7.0)).p_value == pytest.approx(1 / 8), "one of eight possible ranks"


def test_ranks_of_canaries_that_were_not_seen_are_chance() -> None:
    rng = np.random.default_rng(6)
    found = [canary_exposure(rng.normal(size=20), rng.normal(size=500)) for _ in range(400)]
    assert np.mean([each.bits.mean() for each in found]) == pytest.approx(1 / np.log(2), abs=0.03)
    assert 0.02 <= np.mean([each.p_value <= 0.05 for each in found]) <= 0.08
    assert np.mean([each.bits >= 3 for each in found]) == pytest.approx(1 / 8, abs=0.01)


@pytest.mark.parametrize("members", [[], [np.nan]])
def test_values_that_are_not_finite_are_refused(members: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        attack_curve(members, [1.0])
