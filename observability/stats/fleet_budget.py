"""The budget of false alarms of a fleet of models: the evidence of one model is compared with the evidence of its peers."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from observability.stats.arrays import Floats

MIN_PEERS = 8
"""Minimum number of peers for their median and spread to be used; with fewer peers a model is judged by its own test alone."""
MIN_SPREAD = 0.25
"""Lower limit of the peers' spread: a smaller spread cannot be estimated well from few peers."""


def peer_adjusted_p_values(p_values: ArrayLike) -> Floats:
    """P-values of one test in several models, each adjusted for the results of the other models.

    An effect that moves all models alike (a day, a season, a feed) is the middle of their z-scores. The evidence that is left for one model
    is its distance from this middle, in units of their spread. With independent models the middle is 0 and the spread 1, so nothing
    changes. A fault of a few models changes neither the middle nor the spread, because median and median absolute deviation hardly depend
    on a few models.

    Parameters
    ----------
    p_values : ArrayLike
        One for each model, of tests in which a small value speaks against no change; NaN if there is none.

    Returns
    -------
    Floats
        In their order. With fewer than `MIN_PEERS` they are returned as they are; NaN stays NaN.
    """
    p = np.clip(np.asarray(p_values, np.float64), 1e-300, 1 - 1e-9)
    known = np.isfinite(p)
    if known.sum() < MIN_PEERS:
        return np.asarray(p_values, np.float64)
    z = -ndtri(p)
    middle = float(np.median(z[known]))
    spread = float(np.median(np.abs(z[known] - middle))) / float(ndtri(0.75))
    return np.asarray(ndtr((middle - z) / max(spread, MIN_SPREAD)), np.float64)


def fleet_threshold(own: float, budget: float, models: int) -> float:
    """Largest weekly p-value at which a model in a fleet raises an alarm.

    The fleet's expected number of false alarms in a week is the sum over its models, however they depend on each other. So if each model
    spends an equal share of the budget, the fleet stays within it. A team of m models spends m shares.

    Parameters
    ----------
    own : float
        Largest weekly p-value at which a model alone alarms.
    budget : float
        Expected number of false alarms of the fleet in a week.
    models : int
        Models of the fleet.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        There is no model.
    """
    if models < 1:
        raise ValueError(f"a fleet has at least one model, got {models}")
    return min(own, budget / models)


def shared_p_value(p_values: ArrayLike, models: int) -> float:
    """P-value of "none of these models changed", for several models that changed together, valid under any dependence.

    Parameters
    ----------
    p_values : ArrayLike
        Of the models that changed.
    models : int
        All models that were looked at, these included.

    Returns
    -------
    float
        At most 1; 1 for no p-value.

    References
    ----------
    * Hommel (1983), Tests of the overall hypothesis for arbitrary dependence structures.
    """
    p = np.sort(np.asarray(p_values, np.float64))
    if not p.size:
        return 1.0
    ranks = np.arange(1, p.size + 1)
    harmonic = float((1 / np.arange(1, max(models, p.size) + 1)).sum())
    return float(min((p * models * harmonic / ranks).min(), 1.0))
