"""Do metrics from counts equal scikit-learn's on the rows?"""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.stats import confusion as c

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=1, max_size=80)


def matrix_of(labels: np.ndarray, decisions: np.ndarray, classes: int) -> np.ndarray:
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (labels, decisions), 1)
    return matrix


@settings(max_examples=120, deadline=None)
@given(ROWS, st.integers(0, 7))
def test_binary_equals_scikit_learn(rows: list[tuple[int, int]], threshold: int) -> None:
    labels, scores = np.array(rows).T
    positive, negative = (np.bincount(scores[labels == label], minlength=8) for label in (1, 0))
    edges, decisions = np.arange(1, 8), scores >= threshold
    matrix = c.confusion_at(positive, negative, edges, threshold) if threshold else matrix_of(labels, decisions.astype(int), 2)
    np.testing.assert_array_equal(matrix, matrix_of(labels, decisions.astype(int), 2))
    exact = {"abs": 1e-12}
    assert c.accuracy(matrix) == pytest.approx(sk.accuracy_score(labels, decisions), **exact)
    assert c.selection_rate(matrix) == pytest.approx(decisions.mean(), **exact)
    for ours, theirs in ((c.precision, sk.precision_score), (c.recall, sk.recall_score), (c.f1, sk.f1_score)):
        value, expected = ours(matrix), theirs(labels, decisions, zero_division=np.nan)
        assert value == pytest.approx(expected, **exact) if value is not None else np.isnan(expected) or expected == 0
    if labels.min() == 0:
        assert c.false_positive_rate(matrix) == pytest.approx(decisions[labels == 0].mean(), **exact)
    else:
        assert c.false_positive_rate(matrix) is None
    if labels.min() < labels.max():
        assert c.roc_auc(positive, negative) == pytest.approx(sk.roc_auc_score(labels, scores), **exact)
    else:
        assert c.roc_auc(positive, negative) is None
    if labels.max():
        assert c.average_precision(positive, negative) == pytest.approx(sk.average_precision_score(labels, scores), **exact)
    else:
        assert c.average_precision(positive, negative) is None


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_macro_equals_scikit_learn(rows: list[tuple[int, int]]) -> None:
    labels, decisions = np.array(rows).T
    matrix = matrix_of(labels, decisions, 4)
    for name, theirs in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        assert c.macro(matrix, name) == pytest.approx(theirs(labels, decisions, average="macro", zero_division=0), abs=1e-12)
    assert c.accuracy(matrix) == pytest.approx(sk.accuracy_score(labels, decisions), abs=1e-12)


def test_weights_equal_repeated_rows() -> None:
    labels, scores, weight = np.array([0, 1, 1, 0, 1]), np.array([0, 1, 2, 1, 0]), np.array([1.5, 2, 1, 3, 0.5])
    positive, negative = (np.bincount(scores[labels == label], weight[labels == label], 3) for label in (1, 0))
    assert c.roc_auc(positive, negative) == pytest.approx(sk.roc_auc_score(labels, scores, sample_weight=weight), abs=1e-12)
    assert c.average_precision(positive, negative) == pytest.approx(
        sk.average_precision_score(labels, scores, sample_weight=weight), abs=1e-12
    )


def test_nothing_is_unknown() -> None:
    empty = np.zeros((2, 2))
    for function in (c.accuracy, c.precision, c.recall, c.f1, c.false_positive_rate, c.selection_rate):
        assert function(empty) is None
    assert c.macro(np.zeros((3, 3)), "f1") is None
    assert c.roc_auc([], []) is None and c.average_precision([], []) is None
    assert c.macro(np.diag([2.0, 3.0, 1.0]), "false_positive_rate") == 0
