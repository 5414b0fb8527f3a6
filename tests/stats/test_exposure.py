"""Membership statistics: the curve agrees with scikit-learn, intervals cover, and likelihood ratios find members."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from observability.stats.exposure import attack_curve, likelihood_ratios, thinned_curve, true_positives_at


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
    found = true_positives_at(members, others, 0.01)
    assert found.value == 3 / 4  # nine hundred and ninety others lie below 990, so ten are false positives
    assert true_positives_at(members, others, 0.001).value == 1 / 2
    assert true_positives_at(members, others, 0.0001).value == 1 / 4


def test_the_interval_at_few_false_positives_covers_where_members_are_told_by_chance_only() -> None:
    rng = np.random.default_rng(2)
    for rate in (0.01, 0.001):
        covered = 0
        for _ in range(200):
            found = true_positives_at(rng.normal(size=400), rng.normal(size=400), rate)
            assert found.low is not None and found.high is not None
            covered += found.low <= rate <= found.high
        assert covered >= 186  # 95 % less three standard errors


def test_likelihood_ratios_find_members_of_a_model_that_is_surer_of_them() -> None:
    rng = np.random.default_rng(3)
    easy, member = rng.normal(0, 3, 600), rng.random(600) < 0.5
    shadows = rng.random((16, 600)) < 0.5
    confidence = easy + 1.5 * shadows + rng.normal(0, 1, shadows.shape)
    target = easy + 1.5 * member + rng.normal(0, 1, 600)
    ratio = likelihood_ratios(target, np.where(shadows, confidence, np.nan), np.where(shadows, np.nan, confidence))
    calibrated, plain = (roc_auc_score(member, each) for each in (ratio, target))
    assert calibrated > 0.8 > 0.7 > plain


@pytest.mark.parametrize("members", [[], [np.nan]])
def test_values_that_say_nothing_are_refused(members: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        attack_curve(members, [1.0])
