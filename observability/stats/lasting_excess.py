"""Since when a series has lastingly been beyond a level."""

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.onset import point_variances

SURE_Z = 3.0
"""Standard errors by which points together are surely on one side of a level."""
MIN_POINTS = 3
"""Consecutive points from which a stretch within the level ends what was beyond it: two are a weekend."""


def lasting_excess_start(excess: ArrayLike, errors: ArrayLike) -> int | None:
    """Index of the first point from which a series is surely beyond its level until its end.

    A stretch of at least MIN_POINTS points that is surely within the level ends what was before it. Points that are together surely on
    neither side end nothing.

    Parameters
    ----------
    excess : ArrayLike
        How far each point is beyond the level, positive beyond; NaN where nothing was measured.
    errors : ArrayLike
        Standard errors of the points; variation beyond them is estimated from the differences of neighbours.

    Returns
    -------
    int | None
        0 where no stretch was within the level: it was beyond at every point. None where its end is not surely beyond the level, or with
        fewer than MIN_POINTS points.
    """
    everything, own = np.asarray(excess, np.float64).ravel(), np.asarray(errors, np.float64).ravel()
    kept = np.flatnonzero(np.isfinite(everything) & np.isfinite(own))
    if kept.size < MIN_POINTS:
        return None
    x = everything[kept]
    weights = 1 / point_variances(x, own[kept])
    sums, known = (np.concatenate([[0.0], np.cumsum(each)]) for each in (x * weights, weights))
    places = np.arange(kept.size + 1)
    far = places[None, :] - places[:, None] >= MIN_POINTS
    z = np.where(far, sums[None, :] - sums[:, None], 0.0) / np.sqrt(np.where(far, known[None, :] - known[:, None], 1.0))
    within = np.flatnonzero((z <= -SURE_Z).any(axis=1))
    first = 0
    if within.size:
        last = int(within[-1])
        first = last + int(np.flatnonzero(sums[last:] == sums[last:].min())[-1])
    if first == kept.size or (sums[-1] - sums[first]) / np.sqrt(known[-1] - known[first]) < SURE_Z:
        return None
    return int(kept[first]) if first else 0
