"""How good are a classifier's decisions and scores, from counts alone?

matrix[i, j] counts rows of label i that were decided j, as in scikit-learn; class 1 of a 2 × 2 matrix is the positive one. Score counts are
one entry per ordered score bin, for rows with a positive and with a negative label; scores in one bin are ties, so the results equal
scikit-learn's on scores rounded to their bins. Counts may be weighted. None where a quantity is not defined (no rows to divide by).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ratio(part: float, whole: float) -> float | None:
    """Part of a whole, None where there is no whole."""
    return float(part / whole) if whole > 0 else None


def confusion_at(positive_counts: ArrayLike, negative_counts: ArrayLike, edges: ArrayLike, threshold: float) -> NDArray[np.float64]:
    """The 2 × 2 matrix of the decision score >= threshold, from counts of len(edges) + 1 bins closed on the left.

    Exact where the threshold is an edge; otherwise the edge below it decides, so that the whole bin of the threshold counts as positive.
    """
    first = int(np.searchsorted(np.asarray(edges, np.float64), threshold, side="right"))
    rows = [np.asarray(counts, np.float64) for counts in (negative_counts, positive_counts)]
    return np.array([[counts[:first].sum(), counts[first:].sum()] for counts in rows])


def binary(matrix: ArrayLike) -> tuple[float, float, float, float]:
    """True positives, false positives, false negatives, true negatives of a 2 × 2 matrix."""
    (tn, fp), (fn, tp) = np.asarray(matrix, np.float64)
    return float(tp), float(fp), float(fn), float(tn)


def accuracy(matrix: ArrayLike) -> float | None:
    """Share of decisions that were right; K × K."""
    array = np.asarray(matrix, np.float64)
    return ratio(np.trace(array), array.sum())


def precision(matrix: ArrayLike) -> float | None:
    """Share of positive decisions that were right; 2 × 2."""
    tp, fp, _, _ = binary(matrix)
    return ratio(tp, tp + fp)


def recall(matrix: ArrayLike) -> float | None:
    """Share of positives that were found, the true positive rate; 2 × 2."""
    tp, _, fn, _ = binary(matrix)
    return ratio(tp, tp + fn)


def f1(matrix: ArrayLike) -> float | None:
    """2 TP / (2 TP + FP + FN); 2 × 2. None without positives and positive decisions."""
    tp, fp, fn, _ = binary(matrix)
    return ratio(2 * tp, 2 * tp + fp + fn)


def false_positive_rate(matrix: ArrayLike) -> float | None:
    """Share of negatives that were decided positive; 2 × 2."""
    _, fp, _, tn = binary(matrix)
    return ratio(fp, fp + tn)


def selection_rate(matrix: ArrayLike) -> float | None:
    """Share of rows that were decided positive; 2 × 2."""
    tp, fp, fn, tn = binary(matrix)
    return ratio(tp + fp, tp + fp + fn + tn)


def one_vs_rest(matrix: ArrayLike) -> list[NDArray[np.float64]]:
    """The 2 × 2 matrix of each class against all others, for classes that were seen as a label or a decision."""
    array = np.asarray(matrix, np.float64)
    labelled, decided, right = array.sum(axis=1), array.sum(axis=0), np.diag(array)
    parts = []
    for i in np.flatnonzero(labelled + decided > 0):
        fn, fp = labelled[i] - right[i], decided[i] - right[i]
        parts.append(np.array([[array.sum() - right[i] - fn - fp, fp], [fn, right[i]]]))
    return parts


def macro(matrix: ArrayLike, metric: str) -> float | None:
    """Plain mean over the classes seen, of "precision", "recall", "f1" or "false_positive_rate"; K × K.

    A class for which the metric is not defined counts as 0, as in scikit-learn; None without rows.
    """
    function = {"precision": precision, "recall": recall, "f1": f1, "false_positive_rate": false_positive_rate}[metric]
    values = [function(part) or 0.0 for part in one_vs_rest(matrix)]
    return float(np.mean(values)) if values else None


def average_ranks(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each bin, the mass in bins below it plus half of its own. Bins lie along the last axis."""
    return np.cumsum(counts, axis=-1) - counts / 2


def roc_auc(positive_counts: ArrayLike, negative_counts: ArrayLike) -> float | None:
    """Chance that a positive scores above a negative, ties counting half; None where a class has no rows."""
    positive, negative = np.asarray(positive_counts, np.float64), np.asarray(negative_counts, np.float64)
    return ratio(float(positive @ average_ranks(negative)), positive.sum() * negative.sum())


def average_precision(positive_counts: ArrayLike, negative_counts: ArrayLike) -> float | None:
    """PR AUC as Σ (Rₙ - Rₙ₋₁) Pₙ over thresholds from high to low, as scikit-learn's; None where there are no positives."""
    positive = np.asarray(positive_counts, np.float64)[::-1]
    decided = np.cumsum(positive + np.asarray(negative_counts, np.float64)[::-1])
    total = positive.sum()
    if not total > 0:
        return None
    found = np.cumsum(positive)
    return float(np.sum(positive / total * found / np.where(decided > 0, decided, 1.0)))
