"""Find the point from which on a series has stayed beyond a level."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.arrays import Bools, Floats
from observability.stats.onset import BLOCK, point_variances

SURE_Z = 3.0
"""Number of standard errors from which several points together are significantly on one side of a level."""
MIN_POINTS = 3
"""Number of consecutive points within the level that end an excess."""
WEEK, WEEKEND = 7, 2
"""Number of points of a week, and of a weekend. A stretch shorter than a week counts as within the level only if it is still within the
level without its WEEKEND lowest points.
"""
CELLS = 2**20
"""Maximum number of pairs of points of the series that are computed together, which bounds the memory."""


def lasting_excess_start(excess: ArrayLike, errors: ArrayLike) -> int | None:
    """Index of the point from which the weighted excess up to the end of a series is largest, if that excess is significant.

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
        The first measured point from which the series is farthest beyond its level until its end. None if its end is not significantly
        beyond the level, or with fewer than MIN_POINTS points.
    """
    return lasting_excess_starts([excess], [errors])[0]


def lasting_excess_starts(excess: Sequence[ArrayLike], errors: Sequence[ArrayLike]) -> list[int | None]:
    """`lasting_excess_start` of many series; those with equally many measured points are computed together.

    Parameters
    ----------
    excess : Sequence[ArrayLike]
        How far each point of each series is beyond its level.
    errors : Sequence[ArrayLike]
        Standard errors of the points of each.

    Returns
    -------
    list[int | None]
    """
    found: list[int | None] = [None] * len(excess)
    for places, kept, x, weights in _measured_series(excess, errors):
        sums, known = _running_sums(x * weights), _running_sums(weights)
        within = starts_within(x, weights)
        points = np.arange(x.shape[1] + 1)
        last = np.where(within, points[:-1], 0).max(axis=1)[:, None]
        rest = np.where(points >= last, sums, np.inf)
        first = points[-1] - rest[:, ::-1].argmin(axis=1)  # the last of equal minima
        each = np.arange(len(x))
        some = first < points[-1]
        width = np.where(some, known[:, -1] - known[each, first], 1.0)
        sure = some & ~((sums[:, -1] - sums[each, first]) / np.sqrt(width) < SURE_Z)
        for at in np.flatnonzero(sure).tolist():
            found[places[at]] = int(kept[at][first[at]])
    return found


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
    return any(starts_within(x, weights).any() for _, _, x, weights in _measured_series([excess], [errors]))


def _measured_series(
    excess: Sequence[ArrayLike], errors: Sequence[ArrayLike]
) -> Iterator[tuple[Sequence[int], Sequence[NDArray[np.int64]], Floats, Floats]]:
    """Series in blocks of equally many measured points (MIN_POINTS or more): the places of the series, the indices of these points, their
    values, and their inverse variances (series × points).
    """
    alike: dict[int, list[tuple[int, NDArray[np.int64], Floats, Floats]]] = {}
    for place, (series, own) in enumerate(zip(excess, errors, strict=True)):
        everything, error = np.asarray(series, np.float64).ravel(), np.asarray(own, np.float64).ravel()
        kept = np.flatnonzero(np.isfinite(everything) & np.isfinite(error))
        if kept.size >= MIN_POINTS:
            alike.setdefault(kept.size, []).append((place, kept, everything[kept], error[kept]))
    for size, members in alike.items():
        block = max(min(BLOCK, CELLS // size**2), 1)
        for first in range(0, len(members), block):
            places, points, values, measured = zip(*members[first : first + block], strict=True)
            x = np.stack(values)
            yield places, points, x, 1 / point_variances(x, np.stack(measured))


def _running_sums(values: Floats) -> Floats:
    """For each series, the sum of the points before each point, and at the end the sum of all points."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def starts_within(x: Floats, weights: Floats) -> Bools:
    """Mask of the first points of the stretches that are significantly within the level.

    A stretch shorter than a week must also be within the level without its WEEKEND lowest points.

    Parameters
    ----------
    x : Floats
        How far each point is beyond the level, series × points.
    weights : Floats
        Inverse variances of the points.

    Returns
    -------
    Bools
        Series × points.
    """
    found = np.zeros(x.shape, bool)
    below = np.flatnonzero((x < 0).any(axis=1))  # all other series have no stretch below the level
    if not below.size:
        return found
    x, weights = x[below], weights[below]
    size = x.shape[1]
    sums, known = _running_sums(x * weights), _running_sums(weights)
    places = np.arange(size + 1)
    long = places[None, :] - places[:, None] >= WEEK
    z = np.where(long, sums[:, None, :] - sums[:, :, None], 0.0) / np.sqrt(np.where(long, known[:, None, :] - known[:, :, None], 1.0))
    starts = (z <= -SURE_Z).any(axis=2)[:, :-1]
    for length in range(MIN_POINTS, min(WEEK, size + 1)):
        stretches = _stretches(size, length)
        values, of = x[:, stretches], weights[:, stretches]
        kept = np.argsort(values, axis=2)[:, :, WEEKEND:]
        values, of = np.take_along_axis(values, kept, axis=2), np.take_along_axis(of, kept, axis=2)
        starts[:, : len(stretches)] |= (values * of).sum(axis=2) <= -SURE_Z * np.sqrt(of.sum(axis=2))
    found[below] = starts
    return found


@cache
def _stretches(size: int, length: int) -> NDArray[np.int64]:
    """The points of every stretch of `length` points, one row per stretch."""
    return np.arange(size - length + 1)[:, None] + np.arange(length)
