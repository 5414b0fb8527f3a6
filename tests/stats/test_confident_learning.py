"""The suspect labels are the same as cleanlab's."""

import numpy as np
import pytest

from observability.stats.confident_learning import suspect_labels


@pytest.mark.parametrize("classes", [2, 4])
def test_suspect_labels_equal_those_of_cleanlab(classes: int) -> None:
    from cleanlab.filter import find_label_issues

    rng = np.random.default_rng(classes)
    truth = rng.integers(0, classes, 600)
    chances = rng.dirichlet(np.ones(classes), 600) + 1.5 * np.eye(classes)[truth]
    chances /= chances.sum(1, keepdims=True)
    labels = np.where(rng.random(600) < 0.2, rng.integers(0, classes, 600), truth)
    found = suspect_labels(labels, chances)
    theirs = find_label_issues(labels, chances, filter_by="confident_learning", n_jobs=1)
    assert found.tolist() == theirs.tolist() and 20 < found.sum() < 200
