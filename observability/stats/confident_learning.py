"""Suspect labels by confident learning."""

import numpy as np

from observability.stats.arrays import Bools, Floats, Integers


def suspect_labels(labels: Integers, probabilities: Floats) -> Bools:
    """Return which labels are suspect: the row is confidently of another class.

    Parameters
    ----------
    labels : Integers
        Class of each row, from 0.
    probabilities : Floats
        Probability of each class, rows × classes, of a model that was not fitted on the row.

    Returns
    -------
    Bools
        A mask of the rows. The threshold of a class is the mean probability of it in rows with its label. A row is suspect if the likeliest
        class among the classes whose threshold it reaches differs from its label and is more probable than its label.

    References
    ----------
    * Northcutt, Jiang and Chuang (2021), Confident learning: estimating uncertainty in dataset labels.
    """
    rows = np.arange(len(labels))
    thresholds = np.array(
        [probabilities[labels == place, place].mean() if (labels == place).any() else np.inf for place in range(probabilities.shape[1])]
    )
    confident = np.where(probabilities >= thresholds - 1e-6, probabilities, -np.inf)
    other = confident.argmax(1)
    found = np.isfinite(confident.max(1)) & (other != labels) & (probabilities.argmax(1) != labels)
    return np.asarray(found & (probabilities[rows, other] > probabilities[rows, labels]))
