"""How stable an explanation is when its background rows are resampled, as a number of stars."""

import numpy as np
from numpy.typing import ArrayLike

from observability.core.formatting import plural
from observability.core.numerals import percent
from observability.investigation.model_answers import Stability
from observability.stats.arrays import Bools, Floats

DRAWS, TOP = 200, 3
MIN_ROWS = 10
STARS = ((0.95, 5), (0.85, 4), (0.7, 3), (0.5, 2))
"""Minimum score for each number of stars; below all of them, one star. The scale is our own, because there is no agreed one."""


def stability(shown: ArrayLike, by_row: ArrayLike, *, part: bool = False, seed: int = 0, draws: int = DRAWS) -> Stability | None:
    """How similar the shown attributions (features,) are to those of bootstrap resamples of the background, by_row (rows, features).

    The similarity combines two figures from 0 to 1: the rank correlation (Spearman, mid-ranks; negative counts as 0) of the absolute
    attributions, and the share of the three largest that stay among the three largest. None if the background has fewer than 10 rows. The
    seed determines the resamples. part: whether the model has more features than those shown.
    """
    values, rows = np.asarray(shown, np.float64), np.asarray(by_row, np.float64)
    n, features = rows.shape
    if n < MIN_ROWS or features < 1 or not np.isfinite(rows).all():
        return None
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    drawn = np.abs(counts @ rows / n)
    correlation = float(np.mean(np.clip(rank_correlations(np.abs(values), drawn), 0, 1)))
    overlap = float(np.mean(shared_leaders(np.abs(values), drawn)))
    score = (correlation + overlap) / 2
    stars = next((number for limit, number in STARS if score >= limit), 1)
    which = f"the {plural(features, 'shown feature')}" if part else "all features"
    because = (
        f"Over {draws} resamples of the {n} background rows, {percent(overlap, 2)} of the {min(TOP, features)} largest features stay among "
        f"the largest, and the rank correlation of {which} is {correlation:.2f}"
    )
    return Stability(stars, score, correlation, overlap, draws, n, because)


def rank_correlations(one: Floats, many: Floats) -> Floats:
    """Spearman's correlation of a list with each row of a matrix, with mid-ranks for ties. It is 1 if both are constant, and 0 if only one
    of them is.
    """
    from scipy.stats import rankdata

    a, b = rankdata(one), rankdata(many, axis=1)
    a, b = a - a.mean(), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt((a**2).sum() * (b**2).sum(axis=1))
    flat = np.where((a**2).sum() == (b**2).sum(axis=1), 1.0, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(size > 0, (b @ a) / size, flat), np.float64)


def shared_leaders(one: Floats, many: Floats) -> Floats:
    """For each row of `many`, the share of the largest entries of `one` that are also among its largest. Features without effect never
    count.
    """
    own = largest_mask(one[None, :])[0]
    if not own.any():
        return np.asarray(~largest_mask(many).any(axis=1), np.float64)
    return np.asarray((largest_mask(many) & own).sum(axis=1) / own.sum(), np.float64)


def largest_mask(sizes: Floats) -> Bools:
    """A mask of the TOP largest entries of each row."""
    order = np.argsort(-sizes, axis=1, kind="stable")[:, :TOP]
    found = np.zeros(sizes.shape, np.bool_)
    np.put_along_axis(found, order, True, axis=1)
    return np.asarray(found & (sizes > 0), np.bool_)
