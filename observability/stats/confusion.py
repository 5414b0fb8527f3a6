"""Confusion counts and ranking metrics of a classifier, from counts alone.

matrix[i, j] counts rows of label i with decision j, as in scikit-learn; class 1 of a 2 × 2 matrix is the positive one. Score counts have
one entry per score bin, in order, for rows with a positive and for rows with a negative label. Scores in one bin are ties, so results equal
those of scikit-learn on scores rounded to their bins. Counts may be weighted.
"""

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats


def binary_cells(matrix: ArrayLike) -> tuple[float, float, float, float]:
    """True positives, false positives, false negatives, true negatives of a 2 × 2 matrix.

    Parameters
    ----------
    matrix : ArrayLike
        Label × decision.

    Returns
    -------
    tuple[float, float, float, float]
    """
    (tn, fp), (fn, tp) = np.asarray(matrix, np.float64)
    return float(tp), float(fp), float(fn), float(tn)


def one_vs_rest(matrix: ArrayLike) -> list[Floats]:
    """The 2 × 2 matrix of each class against all others, for classes that occur as a label or a decision.

    Parameters
    ----------
    matrix : ArrayLike
        Label × decision, K × K.

    Returns
    -------
    list[Floats]
    """
    array = np.asarray(matrix, np.float64)
    labelled, decided, right = array.sum(axis=1), array.sum(axis=0), np.diag(array)
    parts = []
    for i in np.flatnonzero(labelled + decided > 0):
        fn, fp = labelled[i] - right[i], decided[i] - right[i]
        parts.append(np.array([[array.sum() - right[i] - fn - fp, fp], [fn, right[i]]]))
    return parts


def average_ranks(counts: Floats) -> Floats:
    """The average rank of each bin: the mass below the bin plus half of the bin's own mass.

    Parameters
    ----------
    counts : Floats
        Mass of each bin; bins lie along the last axis.

    Returns
    -------
    Floats
    """
    return np.cumsum(counts, axis=-1) - counts / 2


def average_precision(positive_counts: ArrayLike, negative_counts: ArrayLike) -> float | None:
    """PR AUC as Σ (Rₙ - Rₙ₋₁) Pₙ over thresholds from high to low, as in scikit-learn.

    Parameters
    ----------
    positive_counts : ArrayLike
        Rows with a positive label, by score bin.
    negative_counts : ArrayLike
        Rows with a negative label, by score bin.

    Returns
    -------
    float | None
        None without positives.
    """
    positive = np.asarray(positive_counts, np.float64)[::-1]
    decided = np.cumsum(positive + np.asarray(negative_counts, np.float64)[::-1])
    total = positive.sum()
    if not total > 0:
        return None
    found = np.cumsum(positive)
    return float(np.sum(positive / total * found / np.where(decided > 0, decided, 1.0)))


def ranking_bounds(positive_counts: ArrayLike, negative_counts: ArrayLike) -> tuple[float, float]:
    """Largest possible errors of ROC AUC and average precision that are computed from bins, over all orders of the scores inside a bin.

    Parameters
    ----------
    positive_counts : ArrayLike
        Rows with a positive label, by score bin.
    negative_counts : ArrayLike
        Rows with a negative label, by score bin.

    Returns
    -------
    tuple[float, float]
        Largest distance of each of the two; NaN without rows of both labels. The extremes are all positives of a bin above or below its
        negatives.
    """
    positive, negative = (np.asarray(each, np.float64)[::-1] for each in (positive_counts, negative_counts))
    rows, others = float(positive.sum()), float(negative.sum())
    value = average_precision(positive_counts, negative_counts)
    if value is None or not others > 0:
        return float("nan"), float("nan")
    found, wrong = np.cumsum(positive) - positive, np.cumsum(negative) - negative
    decided = found + wrong
    highest = float(np.sum(positive * (found + positive) / np.where(positive > 0, decided + positive, 1.0))) / rows
    before = decided + negative
    rising = np.log1p(positive / np.where(before > 0, before, 1.0))
    lowest = float(np.sum(positive - np.where(before > 0, (wrong + negative) * rising, 0.0))) / rows
    return float(positive @ negative) / (2 * rows * others), max(highest - value, value - lowest, 0.0)
