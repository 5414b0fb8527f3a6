"""One-sided test of a rate against an earlier rate, with overdispersed days, and the segment in which the rate is highest above a level.

Requests come in bursts: the failures and slow answers of one day are correlated, so a binomial test would take one bad day for proof.
Therefore the dispersion of past days is estimated, and counts are divided by it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

Blocks = tuple[ArrayLike, ArrayLike]
"""Successes and rows of one series by block (day)."""
PRIOR_BLOCKS, PRIOR_DISPERSION = 3, 3.0
"""Prior before any block was seen: a dispersion of three, with the weight of three blocks."""


def count_dispersion(blocks: Sequence[Blocks]) -> tuple[float, int]:
    """Dispersion of blocks of several series, each series around its own rate.

    This is Pearson's chi-square divided by its degrees of freedom, mixed with a prior that is worth PRIOR_BLOCKS blocks.

    Parameters
    ----------
    blocks : Sequence[Blocks]
        Successes and rows of the blocks of each series.

    Returns
    -------
    tuple[float, int]
        (dispersion, at least 1; degrees of freedom).

    References
    ----------
    * McCullagh and Nelder (1989), Generalized Linear Models.
    """
    square, freedom = PRIOR_DISPERSION * PRIOR_BLOCKS, PRIOR_BLOCKS
    for successes, n in blocks:
        hits, rows = np.asarray(successes, np.float64), np.asarray(n, np.float64)
        held = rows > 0
        hits, rows = hits[held], rows[held]
        if hits.size < 2:
            continue
        share = hits.sum() / rows.sum()
        freedom += hits.size - 1
        if 0 < share < 1:
            square += float(((hits - rows * share) ** 2 / (rows * share * (1 - share))).sum())
        else:
            square += hits.size - 1
    return max(square / freedom, 1.0), freedom


def higher_rate_test(successes: float, n: float, before: float, n_before: float, spread: tuple[float, int]) -> float:
    """One-sided p-value that a rate is higher than an earlier one.

    By chance, a share n / (n + n_before) of all successes falls on this side (binomial, on counts divided by the dispersion). The tail is
    read from Student's t, because the dispersion is an estimate too.

    Parameters
    ----------
    successes : float
        Successes now.
    n : float
        Rows now.
    before : float
        Successes before.
    n_before : float
        Rows before.
    spread : tuple[float, int]
        Result of `count_dispersion`.

    Returns
    -------
    float
        1 if a side has no rows.
    """
    from scipy.special import betainc, ndtri, stdtr

    factor, freedom = spread
    hits, total = successes / factor, (successes + before) / factor
    if n <= 0 or n_before <= 0 or hits <= 0:
        return 1.0
    tail = float(betainc(hits, total - hits + 1, n / (n + n_before)))
    score = float(ndtri(min(max(tail, 1e-300), 1.0)))
    return float(stdtr(freedom, score)) if np.isfinite(score) else 1.0


def elevated_segment(successes: ArrayLike, n: ArrayLike, rate: float) -> tuple[int, int] | None:
    """Range of places [first, last) in which the successes exceed a rate most significantly.

    Parameters
    ----------
    successes : ArrayLike
        Successes by place.
    n : ArrayLike
        Rows by place.
    rate : float
        Rate to exceed.

    Returns
    -------
    tuple[int, int] | None
        None if they exceed it nowhere.
    """
    hits, rows = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    if rows.size == 0 or rows.sum() <= 0:
        return None
    share = min(max(rate, 0.5 / (rows.sum() + 1)), 1 - 1e-9)
    above = np.concatenate([[0.0], np.cumsum(hits - share * rows)])
    weight = np.concatenate([[0.0], np.cumsum(rows * share * (1 - share))])
    gain, spread = above[None, :] - above[:, None], weight[None, :] - weight[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        surety = np.where(spread > 1e-12, gain / np.sqrt(np.maximum(spread, 1e-300)), -np.inf)
    first, last = np.unravel_index(int(np.argmax(np.round(surety, 9))), surety.shape)
    return (int(first), int(last)) if surety[first, last] > 0 else None
