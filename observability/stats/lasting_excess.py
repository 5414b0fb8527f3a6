"""Find the point since which a series has been lastingly beyond a level."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.onset import Floats, point_variances

SURE_Z = 3.0
"""Standard errors from which points together are significantly on one side of a level."""
MIN_POINTS = 3
"""Number of consecutive points within the level that end an excess."""
WEEK, WEEKEND = 7, 2
"""Points of a week, and of a weekend: a stretch shorter than a week counts as within the level only if it is still within after its WEEKEND
lowest points are left out."""


def lasting_excess_start(excess: ArrayLike, errors: ArrayLike) -> int | None:
    """Index of the point from which a series is farthest beyond its level until its end, if that is significant.

    A stretch that is significantly within the level (`starts_within`) ends an earlier excess. A stretch that is significantly on neither
    side ends nothing.

    Parameters
    ----------
    excess : ArrayLike
        How far each point is beyond the level, positive beyond; NaN if nothing was measured.
    errors : ArrayLike
        Standard errors of the points; variation beyond them is estimated from the differences of neighbours.

    Returns
    -------
    int | None
        The first measured point where the series is farthest beyond from there on. None if its end is not significantly beyond the
        level, or with fewer than MIN_POINTS points.
    """
    kept, x, weights = _measured_points(excess, errors)
    if kept.size < MIN_POINTS:
        return None
    sums, known = (np.concatenate([[0.0], np.cumsum(each)]) for each in (x * weights, weights))
    within = starts_within(x, weights)
    last = int(within[-1]) if within.size else 0
    first = last + int(np.flatnonzero(sums[last:] == sums[last:].min())[-1])
    if first == kept.size or (sums[-1] - sums[first]) / np.sqrt(known[-1] - known[first]) < SURE_Z:
        return None
    return int(kept[first])


def has_stretch_within(excess: ArrayLike, errors: ArrayLike) -> bool:
    """Whether a stretch of a series is significantly within its level (`starts_within`).

    Parameters
    ----------
    excess : ArrayLike
        How far each point is beyond the level, positive beyond; NaN if nothing was measured.
    errors : ArrayLike
        Standard errors of the points.

    Returns
    -------
    bool
        False with fewer than MIN_POINTS points.
    """
    kept, x, weights = _measured_points(excess, errors)
    return kept.size >= MIN_POINTS and starts_within(x, weights).size > 0


def _measured_points(excess: ArrayLike, errors: ArrayLike) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Indices of the points that were measured, their values, and their inverse variances (of MIN_POINTS or more)."""
    everything, own = np.asarray(excess, np.float64).ravel(), np.asarray(errors, np.float64).ravel()
    kept = np.flatnonzero(np.isfinite(everything) & np.isfinite(own))
    x = everything[kept]
    return kept, x, 1 / point_variances(x, own[kept]) if kept.size >= MIN_POINTS else np.empty(0)


def starts_within(x: Floats, weights: Floats) -> NDArray[np.int64]:
    """First points of the stretches that are significantly within the level.

    A stretch shorter than a week must also be within the level without its WEEKEND lowest points.

    Parameters
    ----------
    x : Floats
        How far each point is beyond the level.
    weights : Floats
        Inverse variances of the points.

    Returns
    -------
    NDArray[np.int64]
        Indices of the first points, rising, each once.
    """
    if not (x < 0).any():  # no stretch is below the level
        return np.empty(0, np.int64)
    sums, known = (np.concatenate([[0.0], np.cumsum(each)]) for each in (x * weights, weights))
    places = np.arange(x.size + 1)
    long = places[None, :] - places[:, None] >= WEEK
    z = np.where(long, sums[None, :] - sums[:, None], 0.0) / np.sqrt(np.where(long, known[None, :] - known[:, None], 1.0))
    found = [np.flatnonzero((z <= -SURE_Z).any(axis=1))]
    for length in range(MIN_POINTS, min(WEEK, x.size + 1)):
        stretches = _stretches(x.size, length)
        kept = np.take_along_axis(stretches, np.argsort(x[stretches], axis=1)[:, WEEKEND:], axis=1)
        of = weights[kept]
        found.append(np.flatnonzero((x[kept] * of).sum(axis=1) <= -SURE_Z * np.sqrt(of.sum(axis=1))))
    return np.unique(np.concatenate(found))


@cache
def _stretches(size: int, length: int) -> NDArray[np.int64]:
    """The points of every stretch of a length, a row each."""
    return np.arange(size - length + 1)[:, None] + np.arange(length)
