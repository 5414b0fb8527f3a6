"""Weights that turn a sample into another population: one in which a part has a larger share, or one with the means of another sample.

Among all such weights, these are nearest to equal weights by the Kullback-Leibler divergence (in nats). Weights have the mean 1.
"""

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats

RIDGE = 1e-3
"""Penalty on the exponents. With it, a mean that no weights reach is approached, and the other means are met to about a thousandth."""
STEPS, SMALL = 100, 1e-9


def weight_divergence(weights: ArrayLike) -> float:
    """Kullback-Leibler divergence of the weighted rows from the equally weighted ones.

    Parameters
    ----------
    weights : ArrayLike
        Weight of each row, not negative.

    Returns
    -------
    float
        Nats; 0 for equal weights.
    """
    shares = np.asarray(weights, np.float64)
    shares = shares[shares > 0] / shares.sum()
    return float(max((shares * np.log(shares * np.size(weights))).sum(), 0.0))


def effective_rows(weights: ArrayLike) -> float:
    """Rows of an unweighted sample with the same information: (Σw)² / Σw² (Kish 1965).

    Parameters
    ----------
    weights : ArrayLike
        Weight of each row.

    Returns
    -------
    float
        Rows; 0 without weight.
    """
    own = np.asarray(weights, np.float64)
    return float(own.sum() ** 2 / (own**2).sum()) if own.any() else 0.0


def raised_share(share: float, divergence: float) -> float:
    """The share to which a part of the rows must be raised so that the population is at a given divergence from the original.

    Parameters
    ----------
    share : float
        Share of the part, above 0 and below 1.
    divergence : float
        Kullback-Leibler divergence in nats.

    Returns
    -------
    float
        1 if even the part alone has a smaller divergence.
    """
    if -np.log(share) <= divergence:
        return 1.0
    low, high = share, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if middle * np.log(middle / share) + (1 - middle) * np.log((1 - middle) / (1 - share)) > divergence:
            high = middle
        else:
            low = middle
    return low


def raising_weights(part: ArrayLike, divergence: float) -> Floats:
    """Weights that raise the share of a part of the rows until the population is at a given divergence from the original.

    Parameters
    ----------
    part : ArrayLike
        Whether each row is in the part; some are, and some are not.
    divergence : float
        Kullback-Leibler divergence in nats.

    Returns
    -------
    Floats
        Weight of each row.
    """
    inside = np.asarray(part, np.bool_)
    share = float(inside.mean())
    raised = raised_share(share, divergence)
    return np.where(inside, raised / share, (1 - raised) / (1 - share))


def balancing_weights(columns: Floats, means: ArrayLike) -> Floats:
    """Weights with which the columns of a sample have the means of another sample (entropy balancing).

    Parameters
    ----------
    columns : Floats
        Rows × columns, of about unit spread.
    means : ArrayLike
        Wanted mean of each column.

    Returns
    -------
    Floats
        Weight of each row. If no weights reach the means, they come as near as possible.

    References
    ----------
    * Hainmueller (2012), Entropy balancing for causal effects.
    """
    centred = np.asarray(columns, np.float64) - np.asarray(means, np.float64)
    exponents, shares = np.zeros(centred.shape[1]), np.full(len(centred), 1 / len(centred))
    value = _dual(centred, exponents)
    for _ in range(STEPS):
        shares = _shares(centred @ exponents)
        slope = shares @ centred + RIDGE * exponents
        if np.abs(slope).max(initial=0.0) < SMALL:
            break
        spread = (centred * shares[:, None]).T @ centred - np.outer(shares @ centred, shares @ centred)
        step, length = np.linalg.solve(spread + RIDGE * np.eye(len(exponents)), slope), 1.0
        while (reached := _dual(centred, exponents - length * step)) > value - 1e-4 * length * float(slope @ step) and length > SMALL:
            length /= 2
        exponents, value = exponents - length * step, reached
    return np.asarray(_shares(centred @ exponents) * len(centred), np.float64)


def _shares(logarithms: Floats) -> Floats:
    """Shares that add up to 1, from their logarithms."""
    raised = np.exp(logarithms - logarithms.max())
    return np.asarray(raised / raised.sum(), np.float64)


def _dual(centred: Floats, exponents: Floats) -> float:
    """The convex function whose minimum gives the weights."""
    logarithms = centred @ exponents
    top = logarithms.max()
    return float(top + np.log(np.exp(logarithms - top).mean()) + RIDGE / 2 * (exponents**2).sum())
