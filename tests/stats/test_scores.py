"""The fixed score bins preserve AUC and thresholds."""

import numpy as np
import pytest
import sklearn.metrics

from observability.stats.distance import merge_bins
from observability.stats.score_intervals import delong_auc
from observability.stats.scores import COARSE_EDGES, COARSE_GROUP, SCORE_EDGES, bin_middles


def counts(scores: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(SCORE_EDGES, scores, side="right"), minlength=SCORE_EDGES.size + 1)


def draw(kind: str, n: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    scores = {
        "spread": lambda: rng.beta(2, 3, n),
        "rare": lambda: 1 / (1 + np.exp(-rng.normal(-6, 1.5, n))),
        "very rare": lambda: 1 / (1 + np.exp(-rng.normal(-9, 1, n))),
        "near certain": lambda: 1 / (1 + np.exp(-rng.normal(5, 1.5, n))),
        "both ends": lambda: rng.beta(0.25, 0.25, n),
        "0.15 in the middle": lambda: rng.uniform(0.35, 0.5, n),
    }[kind]()
    odds = np.argsort(np.argsort(scores)) / n
    return scores, rng.random(n) < odds


@pytest.mark.parametrize("kind", ["spread", "rare", "very rare", "near certain", "both ends", "0.15 in the middle"])
def test_auc_from_counts_is_within_a_thousandth(kind: str) -> None:
    scores, labels = draw(kind)
    found, _ = delong_auc(counts(scores[labels]), counts(scores[~labels]))
    assert found == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores), abs=1e-3)


@pytest.mark.parametrize("threshold", [0.005, 0.3, 0.5, 0.695, 0.995])
def test_thresholds_on_steps_are_exact(threshold: float) -> None:
    scores, labels = draw("spread")
    scores[:100] = threshold
    first = np.searchsorted(SCORE_EDGES, threshold, side="right")
    matrix = [[held[:first].sum(), held[first:].sum()] for held in (counts(scores[~labels]), counts(scores[labels]))]
    np.testing.assert_array_equal(matrix, sklearn.metrics.confusion_matrix(labels, scores >= threshold))


def test_edges_are_fixed_and_probabilities_are_inside() -> None:
    assert SCORE_EDGES.size == 482 and (np.diff(SCORE_EDGES) > 0).all() and SCORE_EDGES[0] == 0
    held = counts(np.array([0.0, 1.0, 0.5]))
    assert held[0] == held[-1] == 0 and held[-2] == 1 and held[1] == 1
    with pytest.raises(ValueError, match="read-only"):
        SCORE_EDGES[0] = 1


def test_coarse_groups_are_unions_of_fine_bins() -> None:
    assert set(COARSE_EDGES) <= set(SCORE_EDGES)
    assert COARSE_GROUP.size == SCORE_EDGES.size + 1 and COARSE_GROUP[0] == 0 and COARSE_GROUP[-1] == 19
    scores, _ = draw("both ends")
    by_hand = np.bincount(np.searchsorted(COARSE_EDGES, scores, side="right"), minlength=20)
    np.testing.assert_array_equal(merge_bins(counts(scores), COARSE_GROUP), by_hand)


def test_middles_lie_in_their_bins() -> None:
    middles = bin_middles()
    assert middles.size == SCORE_EDGES.size + 1
    assert middles[0] == 0 and middles[-1] == 1
    np.testing.assert_array_equal(np.searchsorted(SCORE_EDGES, middles[1:-2], side="right"), np.arange(1, SCORE_EDGES.size - 1))
