"""Importance of the parameters of a search (PED-ANOVA): how much the distribution of a parameter differs between the best trials and all
trials.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

Array = np.ndarray[Any, np.dtype[Any]]
GRID = 50
MIN_BEST = 10
"""Minimum number of trials among the best: with fewer, chance moves the result as much as an effect does."""


def best_quantile(n: int) -> float:
    """Share of the trials that count as the best: a tenth, or more if a tenth is fewer than ten trials, but at most a half.

    Parameters
    ----------
    n : int
        Number of trials.

    Returns
    -------
    float
    """
    return min(max(0.1, MIN_BEST / max(n, 1)), 0.5)


def number_cells(values: Array, low: float, high: float, *, log: bool = False, cells: int = GRID) -> Array:
    """Cell of each value on an even grid from low to high, or on a grid that is even in the logarithm. A tie goes to the lower cell.

    Parameters
    ----------
    values : Array
        Numbers between low and high; above 0 if log.
    low : float
        First grid point.
    high : float
        Last grid point.
    log : bool
        Whether the grid is even in the logarithm.
    cells : int
        Number of grid points.

    Returns
    -------
    Array
        Integers from 0 to cells - 1.
    """
    if log:
        values, low, high = np.log(values), float(np.log(low)), float(np.log(high))
    step = (high - low) / (cells - 1)
    return np.asarray(np.clip(np.ceil((values - low) / step - 0.5), 0, cells - 1).astype(int))


def _density_of_numbers(counts: Array) -> Array:
    """Density on a grid: truncated discretised normal kernels with Scott's bandwidth, and one wide kernel as prior."""
    size = len(counts)
    places = np.flatnonzero(counts)
    weights = counts[places].astype(float)
    total = weights.sum()
    order = np.cumsum(counts[places])
    mean = float(places @ weights) / total
    sd = float(np.sqrt(((places - mean) ** 2 @ weights) / max(1.0, total - 1)))
    first = int(np.searchsorted(order, int(total) // 4, side="left"))
    third = int(np.searchsorted(order, int(total) * 3 // 4, side="right"))
    spread = float(places[min(len(places) - 1, third)] - places[first])
    width = max(1.059 * min(spread / 1.34, sd) * total**-0.2, 0.5 / 1.64)
    centres = np.append(places, (size - 1) / 2.0)
    widths = np.append(np.full(len(places), width), float(size))
    grid = np.arange(size)
    upper = special.ndtr((grid[:, None] + 0.5 - centres) / widths)
    lower = special.ndtr((grid[:, None] - 0.5 - centres) / widths)
    inside = special.ndtr((size - 0.5 - centres) / widths) - special.ndtr((-0.5 - centres) / widths)
    return np.asarray((upper - lower) / inside @ (np.append(weights, 1.0) / (total + 1.0)))


def _density_of_levels(counts: Array) -> Array:
    """Density over levels, each observed level smoothed by the prior."""
    levels = len(counts)
    places = np.flatnonzero(counts)
    kernels = np.full((len(places) + 1, levels), 1.0 / (len(places) + 1))
    kernels[np.arange(len(places)), places] += 1
    kernels /= kernels.sum(axis=1, keepdims=True)
    weights = np.append(counts[places].astype(float), 1.0)
    return np.asarray(weights / weights.sum() @ kernels)


def ped_anova_importance(cells: Array, size: int, cost: Array, quantile: float, *, levels: bool = False) -> float:
    """Importance of one parameter for being among the best trials: the Pearson divergence of the best trials' density from the density of
    all trials.

    Parameters
    ----------
    cells : Array
        Cell of each trial on the parameter's grid (`number_cells`), or its level.
    size : int
        Number of cells or levels.
    cost : Array
        Value of each trial; lower is better.
    quantile : float
        Share of the trials that count as the best.
    levels : bool
        Whether the cells are levels without an order.

    Returns
    -------
    float
        0 if the best trials have the same distribution as all trials.

    References
    ----------
    * Watanabe, Bansal and Hutter (2023), PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces.
    """
    density = _density_of_levels if levels else _density_of_numbers
    kept = best_trials(cost, quantile)
    best = density(np.bincount(cells[kept], minlength=size)) + 1e-12
    every = density(np.bincount(cells, minlength=size)) + 1e-12
    return float(every @ (best / every - 1) ** 2) * (kept.sum() / len(cost)) ** 2


def best_trials(cost: Array, quantile: float) -> Array:
    """Mask of the trials at or below the quantile of the cost.

    Parameters
    ----------
    cost : Array
        Value of each trial; lower is better.
    quantile : float
        Share of the trials.

    Returns
    -------
    Array
    """
    place = int(np.ceil(quantile * len(cost))) - 1
    return np.asarray(cost <= np.partition(cost, place)[place])


def importance_p_value(
    cells: Array, size: int, cost: Array, quantile: float, *, levels: bool = False, draws: int = 99, seed: int = 0
) -> float:
    """Probability of an importance at least this large if the values of the trials do not depend on the parameter (permutation test).

    Parameters
    ----------
    cells : Array
        As in `ped_anova_importance`.
    size : int
        As there.
    cost : Array
        As there.
    quantile : float
        As there.
    levels : bool
        As there.
    draws : int
        Number of permutations.
    seed : int
        Seed of the permutations.

    Returns
    -------
    float
        At least 1 / (draws + 1).
    """
    rng = np.random.default_rng(seed)
    seen = ped_anova_importance(cells, size, cost, quantile, levels=levels)
    found = [ped_anova_importance(cells, size, rng.permutation(cost), quantile, levels=levels) for _ in range(draws)]
    return float((1 + sum(each >= seen for each in found)) / (draws + 1))


def expected_best(ordered: Array, k: int) -> float:
    """Expected lowest value of k trials: the mean over all subsets of k of the n trials. It is descending and convex in k.

    Therefore the next m trials are expected to improve the best value by no more than the last m trials did.

    Parameters
    ----------
    ordered : Array
        Value of each trial, ascending; lower is better.
    k : int
        Size of the subsets, from 1 to n.

    Returns
    -------
    float

    References
    ----------
    * Dodge et al. (2019), Show Your Work: Improved Reporting of Experimental Results (there with replacement).
    """
    weights = _lowest_weights(len(ordered), k)
    return float(weights @ ordered[: len(weights)])


@lru_cache(64)
def _lowest_weights(n: int, k: int) -> Array:
    """For each of the first n - k + 1 of n ordered values: the share of the subsets of k values in which it is the lowest. Read-only."""
    log_factorial = special.gammaln(np.arange(n + 1) + 1.0)
    rest = np.arange(n - 1, k - 2, -1)  # of the n - 1 - i values above value i, k - 1 complete a subset in which value i is the lowest
    log_ways = log_factorial[rest] - log_factorial[k - 1] - log_factorial[rest - k + 1]
    log_all = log_factorial[n] - log_factorial[k] - log_factorial[n - k]
    found = np.exp(log_ways - log_all)
    found.flags.writeable = False
    return np.asarray(found)
