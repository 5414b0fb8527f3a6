"""Confusion counts and average precision equal scikit-learn's."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.stats.confusion import average_precision, binary_cells, one_vs_rest, ranking_bounds
from observability.stats.score_intervals import delong_auc
from tests.support.length import repeats

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=1, max_size=80)


def matrix_of(labels: np.ndarray, decisions: np.ndarray, classes: int) -> np.ndarray:
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (labels, decisions), 1)
    return matrix


@settings(max_examples=repeats(40, 120), deadline=None)
@given(ROWS)
def test_ranking_metrics_equal_scikit_learn(rows: list[tuple[int, int]]) -> None:
    labels, scores = np.array(rows).T
    positive, negative = (np.bincount(scores[labels == label], minlength=8) for label in (1, 0))
    auc, _ = delong_auc(positive, negative)
    if labels.min() < labels.max():
        assert auc == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    else:
        assert np.isnan(auc)
    if labels.max():
        assert average_precision(positive, negative) == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)
    else:
        assert average_precision(positive, negative) is None


@settings(max_examples=repeats(40, 120), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=80))
def test_the_scores_themselves_are_within_the_bounds_of_their_bins(rows: list[tuple[int, int, int, int]]) -> None:
    labels, bins, inside, weight = np.array(rows).T
    positive, negative = (np.bincount(bins[labels == label], weight[labels == label], 8) for label in (1, 0))
    of_auc, of_precision = ranking_bounds(positive, negative)
    if labels.min() == labels.max():
        assert np.isnan(of_auc) and np.isnan(of_precision)
        return
    scores = bins + inside / 10
    auc, precision = (figure(labels, scores, sample_weight=weight) for figure in (sk.roc_auc_score, sk.average_precision_score))
    assert abs(auc - delong_auc(positive, negative)[0]) <= of_auc + 1e-12
    assert abs(precision - (average_precision(positive, negative) or 0.0)) <= of_precision + 1e-12


@settings(max_examples=repeats(30, 80), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_one_vs_rest_equals_scikit_learn(rows: list[tuple[int, int]]) -> None:
    labels, decisions = np.array(rows).T
    expected = sk.multilabel_confusion_matrix(labels, decisions)
    found = one_vs_rest(matrix_of(labels, decisions, 4))
    np.testing.assert_array_equal(found, expected)
    for part, (tn, fp, fn, tp) in zip(found, expected.reshape(-1, 4), strict=True):
        assert binary_cells(part) == (tp, fp, fn, tn)


def test_weights_equal_repeated_rows() -> None:
    labels, scores, weight = np.array([0, 1, 1, 0, 1]), np.array([0, 1, 2, 1, 0]), np.array([1.5, 2, 1, 3, 0.5])
    positive, negative = (np.bincount(scores[labels == label], weight[labels == label], 3) for label in (1, 0))
    assert delong_auc(positive, negative)[0] == pytest.approx(sk.roc_auc_score(labels, scores, sample_weight=weight), abs=1e-12)
    expected = sk.average_precision_score(labels, scores, sample_weight=weight)
    assert average_precision(positive, negative) == pytest.approx(expected, abs=1e-12)


def test_empty_counts_have_no_average_precision() -> None:
    assert average_precision([], []) is None and one_vs_rest(np.zeros((3, 3))) == []
