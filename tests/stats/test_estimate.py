"""The estimate equals the expected metric of labels drawn with the calibrated probabilities (computed with scikit-learn on raw rows), and
its interval contains the true value.
"""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from observability.stats.estimate import Calibrator, binary_metric_estimates, binary_metric_values, score_calibrator
from observability.stats.scores import SCORE_EDGES, bin_middles
from tests.support.length import some

MIDDLES = bin_middles()
OF_SKLEARN = {
    "accuracy": lambda y, d, s: metrics.accuracy_score(y, d),
    "precision": lambda y, d, s: metrics.precision_score(y, d),
    "recall": lambda y, d, s: metrics.recall_score(y, d),
    "f1": lambda y, d, s: metrics.f1_score(y, d),
    "roc_auc": lambda y, d, s: metrics.roc_auc_score(y, s),
    "pr_auc": lambda y, d, s: metrics.average_precision_score(y, s),
    "log_loss": lambda y, d, s: metrics.log_loss(y, s),
    "brier": lambda y, d, s: metrics.brier_score_loss(y, s),
}


def world(n: int, seed: int, power: float = 1.3):
    """For each row: the bin, the score (the middle of the bin), and a label with probability score ** power."""
    rng = np.random.default_rng(seed)
    place = np.searchsorted(SCORE_EDGES, rng.beta(1, 2, n), side="right")
    return place, MIDDLES[place], rng.random(n) < MIDDLES[place] ** power


def by_decision(place, w=None):
    decided = MIDDLES[place] >= 0.5
    w = np.ones(len(place)) if w is None else w
    return np.stack([np.bincount(place[kept], w[kept], MIDDLES.size) for kept in (~decided, decided)])


def of_reference(n: int, seed: int):
    place, _, label = world(n, seed)
    return np.bincount(place, label, MIDDLES.size), np.bincount(place, minlength=MIDDLES.size)


def test_calibration_is_scikit_learns_isotonic_regression() -> None:
    _, score, label = world(3000, 1)
    found = score_calibrator(*of_reference(3000, 1))
    wanted = IsotonicRegression(out_of_bounds="clip").fit(score, label).predict(MIDDLES)
    assert found.rates == pytest.approx(wanted, abs=1e-12)
    assert (np.diff(found.draws, axis=1) >= -1e-12).all() and found.n == 3000


def test_the_estimate_is_the_mean_over_drawn_labels() -> None:
    """NannyML's formula is computed by hand: the labels expected from the calibrated probabilities, on raw rows."""
    chances = score_calibrator(*of_reference(5000, 2))
    place, score, _ = world(1200, 3)
    decided = score >= 0.5
    found = binary_metric_estimates(by_decision(place), None, chances)
    p = chances.rates[place]
    assert found["accuracy"].value == pytest.approx(np.where(decided, p, 1 - p).mean())
    assert found["precision"].value == pytest.approx(p[decided].mean())
    assert found["recall"].value == pytest.approx(p[decided].sum() / p.sum())
    assert found["f1"].value == pytest.approx(2 * p[decided].sum() / (decided.sum() + p.sum()))
    doubled = np.concatenate([np.ones(1200), np.zeros(1200)])
    twice, weights = np.concatenate([score, score]), np.concatenate([p, 1 - p])
    assert found["roc_auc"].value == pytest.approx(metrics.roc_auc_score(doubled, twice, sample_weight=weights))
    assert found["pr_auc"].value == pytest.approx(metrics.average_precision_score(doubled, twice, sample_weight=weights))
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(doubled, twice, sample_weight=weights))
    assert found["brier"].value == pytest.approx(metrics.brier_score_loss(doubled, twice, sample_weight=weights))


@pytest.mark.parametrize("metric", some(OF_SKLEARN, 3))
def test_gradients_are_what_drawn_labels_scatter_by(metric: str) -> None:
    place, score, _ = world(1500, 4)
    rates = np.clip(MIDDLES**1.3, 0, 1)
    exact = Calibrator(rates, rates[None, :], 1e9)
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(250):
        label = rng.random(1500) < rates[place]
        drawn.append(OF_SKLEARN[metric](label, score >= 0.5, score))
    found = binary_metric_estimates(by_decision(place), None, exact)[metric]
    assert found.window_error == pytest.approx(np.std(drawn), rel=0.18) and found.calibration_error == 0
    assert found.value == pytest.approx(np.mean(drawn), abs=4 * found.window_error / 15 + 0.003)


def test_intervals_hold_what_labels_then_show() -> None:
    held = dict.fromkeys(OF_SKLEARN, 0)
    for seed in range(100):
        chances = score_calibrator(*of_reference(3000, 1000 + seed))
        place, score, label = world(1000, 2000 + seed)
        found = binary_metric_estimates(by_decision(place), None, chances)
        for name, function in OF_SKLEARN.items():
            side = found[name].interval(bounded=name != "log_loss")
            held[name] += side.low <= function(label, score >= 0.5, score) <= side.high
    assert min(held.values()) >= 88, held


def test_known_labels_give_the_metrics_themselves() -> None:
    place, score, label = world(900, 6)
    cells = by_decision(place)
    positive = by_decision(place[label])
    values = binary_metric_values(cells, positive)
    for name, function in OF_SKLEARN.items():
        assert values[name] == pytest.approx(function(label, score >= 0.5, score)), name


def test_weights_count_and_widen() -> None:
    chances = score_calibrator(*of_reference(5000, 7))
    place, score, _ = world(1000, 8)
    w = np.where(np.arange(1000) % 2, 5.0, 1.0)
    found = binary_metric_estimates(by_decision(place, w), by_decision(place, w**2), chances)
    p = chances.rates[place]
    assert found["accuracy"].value == pytest.approx(np.average(np.where(score >= 0.5, p, 1 - p), weights=w))
    assert found["accuracy"].window_error == pytest.approx(np.sqrt((w**2 * p * (1 - p)).sum()) / w.sum())


def test_calibration_flatters_its_own_rows_no_more_than_new_rows() -> None:
    """A noisy calibration gives uninformative scores an AUC above 0.5, for its own rows and for other rows alike."""
    rng = np.random.default_rng(9)
    own, new = [], []
    for _ in range(60):
        place, other = (np.searchsorted(SCORE_EDGES, rng.random(400), side="right") for _ in range(2))
        positive, total = np.bincount(place, rng.random(400) < 0.4, MIDDLES.size), np.bincount(place, minlength=MIDDLES.size)
        chances = score_calibrator(positive, total, draws=2)
        own.append(binary_metric_estimates(by_decision(place), None, chances)["roc_auc"].value)
        new.append(binary_metric_estimates(by_decision(other), None, chances)["roc_auc"].value)
    assert np.mean(own) > 0.53 and np.mean(own) == pytest.approx(np.mean(new), abs=0.004)


def test_undefined_metric_estimates_are_left_out() -> None:
    chances = score_calibrator(*of_reference(2000, 10))
    assert binary_metric_estimates(np.zeros((2, MIDDLES.size)), None, chances) == {}
    only = np.zeros((2, MIDDLES.size))
    only[0, 60] = 10
    assert "precision" not in binary_metric_estimates(only, None, chances)
    assert score_calibrator(np.zeros(MIDDLES.size), np.zeros(MIDDLES.size)) is None
