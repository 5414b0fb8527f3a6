"""Paired differences, intervals and tests equal scipy's, statsmodels', scikit-learn's and brute force."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar

from observability.stats.paired import mcnemar_p_value, paired_means, paired_rates, paired_ratios, paired_rmse, paired_roc_auc
from tests.support.length import repeats

RANDOM = np.random.default_rng(5)


def two_models(n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and the scores of two models that share most of their information; b is the better model."""
    latent = random.normal(0, 1, n)
    label = (latent + random.normal(0, 1, n) > 0).astype(int)
    return label, latent + random.normal(0, 1.2, n), latent + random.normal(0, 0.6, n)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (3, 9), (9, 3), (40, 41), (120, 80), (0, 7)])
def test_the_mcnemar_p_value_equals_the_exact_test_of_statsmodels(only_a: int, only_b: int) -> None:
    expected = mcnemar([[50, only_a], [only_b, 60]], exact=True).pvalue if only_a + only_b else 1.0
    assert mcnemar_p_value(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_paired_rates_equal_those_computed_by_hand() -> None:
    a = np.array([True] * 60 + [True] * 25 + [False] * 10 + [False] * 5)
    b = np.array([True] * 60 + [False] * 25 + [True] * 10 + [False] * 5)
    found = paired_rates(a, b)
    assert (found.a, found.b, found.difference.value) == pytest.approx((0.85, 0.70, 0.15))
    p, q = 26 / 102, 11 / 102
    half = stats.norm.ppf(0.975) * np.sqrt((p + q - (p - q) ** 2) / 102)
    assert (found.difference.low, found.difference.high) == pytest.approx((p - q - half, p - q + half))
    assert found.p_value == pytest.approx(stats.binomtest(10, 35).pvalue)


def test_paired_means_equal_the_paired_t_test() -> None:
    a = RANDOM.gamma(2, 3, 200)
    b = a + RANDOM.normal(0.3, 1, 200)
    found, expected = paired_means(a, b), stats.ttest_rel(a, b)
    low, high = expected.confidence_interval()
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.difference.value, found.difference.low, found.difference.high) == pytest.approx((np.mean(a - b), low, high))
    same = paired_means(a, a)
    assert same.p_value == 1 and same.difference.low == same.difference.high == 0
    assert np.isnan(paired_means([1.0], [2.0]).p_value) and paired_means([], []).difference.value is None


def test_the_paired_roc_auc_equals_scikit_learn_and_delongs_covariance_by_brute_force() -> None:
    label, a, b = two_models(150, RANDOM)
    a, b = np.round(a, 1), np.round(b, 1)
    found = paired_roc_auc(a, b, label == 1)
    assert (found.a, found.b) == pytest.approx((metrics.roc_auc_score(label, a), metrics.roc_auc_score(label, b)))
    wins = [(np.sign(s[label == 1][:, None] - s[label == 0][None, :]) + 1) / 2 for s in (a, b)]
    of_positive, of_negative = np.cov([w.mean(axis=1) for w in wins]), np.cov([w.mean(axis=0) for w in wins])
    matrix = of_positive / (label == 1).sum() + of_negative / (label == 0).sum()
    error = np.sqrt(matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1])
    assert found.difference.high - found.difference.value == pytest.approx(stats.norm.ppf(0.975) * error)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(found.a - found.b) / error))
    assert paired_roc_auc([0.1, 0.2], [0.2, 0.1], [True, False]).difference.value is None
    assert paired_roc_auc(a, a, label == 1).p_value == 1


def ratios(label: np.ndarray, a: np.ndarray, b: np.ndarray, name: str):
    """Precision, recall or F1 of two sets of decisions as ratios of sums."""
    parts, wholes = [], []
    for decided in (a, b):
        hit = (decided & (label == 1)).astype(float)
        parts.append(2 * hit if name == "f1" else hit)
        wholes.append({"precision": decided, "recall": label == 1, "f1": decided.astype(float) + (label == 1)}[name].astype(float))
    return paired_ratios(parts[0], wholes[0], parts[1], wholes[1])


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_ratios_are_scikit_learns_and_as_sure_as_a_paired_bootstrap(name: str) -> None:
    random = np.random.default_rng(8)
    label, a, b = two_models(2000, random)
    a, b = a > 0.4, b > 0.2
    found, score = (
        ratios(label, a, b, name),
        {"precision": metrics.precision_score, "recall": metrics.recall_score, "f1": metrics.f1_score}[name],
    )
    assert (found.a, found.b) == pytest.approx((score(label, a), score(label, b)))
    draws = []
    for _ in range(repeats(150, 400)):
        rows = random.integers(0, 2000, 2000)
        draws.append(score(label[rows], a[rows]) - score(label[rows], b[rows]))
    reach = (found.difference.high - found.difference.low) / 2
    assert reach == pytest.approx(1.96 * np.std(draws), rel=0.12)


def test_equal_paired_ratios_have_an_interval_of_positive_width() -> None:
    label = np.array([1] * 100 + [0] * 100)
    found = ratios(label, label == 1, label == 1, "recall")
    assert found.difference.value == 0 and found.p_value == 1
    assert (found.difference.low, found.difference.high) == pytest.approx((-0.03, 0.03))
    assert ratios(label, label == 2, label == 1, "precision").difference.value is None


def test_rmse_is_scikit_learns_and_as_sure_as_a_paired_bootstrap() -> None:
    random = np.random.default_rng(9)
    truth = random.normal(0, 5, 1500)
    common = random.normal(0, 2, 1500)
    a, b = common + random.normal(0, 1, 1500), common + random.normal(0, 0.5, 1500)
    found = paired_rmse(a, b)
    assert found.a == pytest.approx(metrics.root_mean_squared_error(truth, truth + a))
    draws = [np.sqrt(np.mean(a[r] ** 2)) - np.sqrt(np.mean(b[r] ** 2)) for r in (random.integers(0, 1500, 1500) for _ in range(400))]
    assert (found.difference.high - found.difference.low) / 2 == pytest.approx(1.96 * np.std(draws), rel=0.12)
    assert found.p_value < 0.001


def test_intervals_cover_the_truth_at_least_at_about_the_nominal_rate() -> None:
    random = np.random.default_rng(10)
    label, a, b = two_models(200_000, random)
    truth = metrics.roc_auc_score(label, a) - metrics.roc_auc_score(label, b)
    rate = np.mean((a > 0) == (label == 1)) - np.mean((b > 0) == (label == 1))
    covered = []
    for _ in range(300):
        label, a, b = two_models(200, random)
        auc = paired_roc_auc(a, b, label == 1).difference
        right = paired_rates((a > 0) == (label == 1), (b > 0) == (label == 1)).difference
        covered.append((auc.low <= truth <= auc.high, right.low <= rate <= right.high))
    assert (np.mean(covered, axis=0) >= 0.92).all()
