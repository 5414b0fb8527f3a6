"""Onset of a change in a series: the maximum-likelihood split into unchanged and changed points."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.arrays import Bools, Floats
from observability.stats.dispersion import MAD_TO_SD, fast_median

Known = Literal["dated", "open", "vague"]
SURE = 9.0
"""Twice the log likelihood ratio from which a change is dated. Noise alone reaches it in about 5 % of series with known errors, and in up
to 15 % where errors are estimated from neighbours (tests). Only series that were already found to have changed are dated.
"""
COSTS = {"step": 0.0, "pulse": 4.0, "ramp": 2.0}
"""By how much the gain of a shape must exceed the gain of a lasting step, because a pulse has an end to fit as well, and a ramp can fit
noise as a slope.
"""


@dataclass(frozen=True)
class Onset:
    """Onset of a change.

    at: index of the first changed point. known: "dated"; "open" if the first point was changed already, so that the change began there or
    earlier; "vague" if no point stands out, and `at` is 0. shape: "step" (it lasts), "pulse" (it ended), "ramp" (it grows). gain: twice the
    log likelihood ratio.
    """

    at: int
    known: Known
    shape: str
    gain: float


OUTLIER_RATIO = 4.0
"""A single point is an outlier where its distance from both neighbours is this many times the usual distance of neighbours."""
RAMP_LEAST, PULSE_MOST = 4, 31
"""Minimum points to distinguish a ramp from a step; maximum points of a pulse, a change that ended."""
BLOCK = 256
"""Maximum number of series that are computed together, which bounds the memory."""


def change_onset(
    values: ArrayLike, errors: ArrayLike | None = None, *, before: tuple[float, float] | None = None, worse: int = 0
) -> Onset | None:
    """Most likely first changed point of a series.

    A single outlier on either side does not change the result if the other points are informative.

    Parameters
    ----------
    values : ArrayLike
        One per day or hour in order, beginning with the clean past if there is one; NaN if nothing was measured.
    errors : ArrayLike | None
        Standard errors of the values; variation beyond them is estimated from the differences of neighbours. None for 0.
    before : tuple[float, float] | None
        Level and standard error before the first point, where known from elsewhere (the reference); without it a series cannot have
        been changed throughout.
    worse : int
        1 if only a rise matters, -1 for a fall, 0 for both.

    Returns
    -------
    Onset | None
        None below two points.
    """
    return change_onsets([values], None if errors is None else [errors], before=None if before is None else [before], worse=worse)[0]


def change_onsets(
    values: Sequence[ArrayLike],
    errors: Sequence[ArrayLike] | None = None,
    *,
    before: Sequence[tuple[float, float] | None] | None = None,
    worse: int = 0,
) -> list[Onset | None]:
    """`change_onset` of many series; those with equally many measured points are computed together.

    Parameters
    ----------
    values : Sequence[ArrayLike]
        Values of each series.
    errors : Sequence[ArrayLike] | None
        Standard errors of each; None for 0.
    before : Sequence[tuple[float, float] | None] | None
        Level and standard error before each, where known.
    worse : int
        1 where only a rise matters, -1 for a fall, 0 for both.

    Returns
    -------
    list[Onset | None]
        None below two points.
    """
    found: list[Onset | None] = [None] * len(values)
    alike: dict[tuple[int, bool], list[tuple[int, NDArray[np.int64], Floats, Floats, tuple[float, float]]]] = {}
    for place, series in enumerate(values):
        points = np.asarray(series, np.float64).ravel()
        kept = np.flatnonzero(np.isfinite(points))
        own = np.zeros(kept.size) if errors is None else np.nan_to_num(np.asarray(errors[place], np.float64).ravel()[kept], posinf=1e9)
        level = None if before is None else before[place]
        if kept.size >= 2:
            alike.setdefault((kept.size, level is not None), []).append((place, kept, points[kept], own, level or (0.0, 0.0)))
    for (_, whole), members in alike.items():
        for first in range(0, len(members), BLOCK):
            places, kept_points, x, own_errors, levels = zip(*members[first : first + BLOCK], strict=True)
            shapes = _shapes_of_series(np.stack(x), np.stack(own_errors), np.array(levels) if whole else None, worse)
            for place, kept, (at, shape, gain) in zip(places, kept_points, shapes, strict=True):
                if gain < SURE:
                    found[place] = Onset(int(kept[0]), "vague", "step", 0.0 if gain == -np.inf else gain)
                else:
                    found[place] = Onset(int(kept[at]), "open" if at == 0 else "dated", shape, gain)
    return found


def _shapes_of_series(x: Floats, errors: Floats, before: Floats | None, worse: int) -> list[tuple[int, str, float]]:
    """First changed point, shape and gain of each series (series × points). Outliers are replaced first, if the other points are
    informative without them.
    """
    cleaned, some = _without_outliers(x)
    at, names, gain = _best_shapes(cleaned, 1 / point_variances(cleaned, errors), before, worse)
    again = np.flatnonzero(some & ~(gain >= SURE))
    if again.size:
        level = None if before is None else before[again]
        at[again], names[again], gain[again] = _best_shapes(x[again], 1 / point_variances(x[again], errors[again]), level, worse)
    return list(zip(at.tolist(), names.tolist(), gain.tolist(), strict=True))


def point_variances(x: Floats, errors: Floats) -> Floats:
    """Variance of each point: its own error, and the robust variation of neighbours beyond that.

    Parameters
    ----------
    x : Floats
        The points of a series, at least two; (…, points).
    errors : Floats
        Their standard errors.

    Returns
    -------
    Floats
        A variance for each point, above 0.
    """
    spread = (MAD_TO_SD * fast_median(np.abs(x[..., 1:] - x[..., :-1]), -1)) ** 2 / 2
    extra = np.maximum(spread - fast_median(errors**2, -1), 0.0)
    reach = np.maximum(x.max(axis=-1) - x.min(axis=-1), np.maximum(np.abs(x).max(axis=-1) * 1e-6, 1e-12))
    return np.asarray(np.maximum(errors**2 + extra[..., None], ((1e-3 * reach) ** 2)[..., None]))


def _without_outliers(x: Floats) -> tuple[Floats, Bools]:
    """Each series with its most outlying inner point on each side replaced by its neighbours' median, and whether it has any; a short
    series has none.
    """
    if x.shape[1] < 5:
        return x, np.zeros(len(x), bool)
    middle = x.copy()
    middle[:, 1:-1] = np.sort([x[:, :-2], x[:, 1:-1], x[:, 2:]], axis=0)[1]
    away, cleaned, each = x - middle, x.copy(), np.arange(len(x))
    steps = np.sort(np.abs(x[:, 1:] - x[:, :-1]), axis=1)[:, : x.shape[1] - 3]  # without the two steps that an outlier makes
    usual, some = MAD_TO_SD * fast_median(steps, 1), np.zeros(len(x), bool)
    for at in (away.argmax(axis=1), away.argmin(axis=1)):
        far = np.abs(away[each, at]) > OUTLIER_RATIO * usual
        cleaned[each[far], at[far]] = middle[each[far], at[far]]
        some |= far
    return cleaned, some


def _best_shapes(x: Floats, weights: Floats, before: Floats | None, worse: int) -> tuple[NDArray[np.int64], NDArray[np.str_], Floats]:
    """For each series, the shape and point that explain most of the variation: first changed point, shape, and gain. The gain is -inf if no
    shape explains any variation.
    """
    level, known = np.zeros(len(x)), np.zeros(len(x))
    if before is not None:
        level, known = before[:, 0], 1 / np.maximum(before[:, 1] ** 2, 1 / weights.max(axis=1))
    total = known + weights.sum(axis=1)
    mean = (known * level + np.vecdot(weights, x)) / total
    rest = x - mean[:, None]
    flat = known * (level - mean) ** 2 + np.vecdot(weights, rest**2)
    names, first, patterns, squares, costs = _change_shapes(x.shape[1], before is not None)
    size = np.matvec(squares, weights) - np.matvec(patterns, weights) ** 2 / total[:, None]
    held = size > 1e-12 * total[:, None]
    effect = np.matvec(patterns, weights * rest) / np.where(held, size, 1.0)
    if worse:
        held &= effect * worse > 0
    gain = effect**2 * size
    noise = np.maximum((flat[:, None] - gain) / max(x.shape[1] - 2 + (before is not None), 1), 1.0)
    score = np.where(held, gain / noise - costs, -np.inf)
    at = np.argmax(np.round(score, 9), axis=1)
    return first[at], names[at], score[np.arange(len(x)), at]


@cache
def _change_shapes(size: int, whole: bool) -> tuple[NDArray[np.str_], NDArray[np.int64], Floats, Floats, Floats]:
    """All shapes of a change: their names, first changed points, the part of the change at each point (one row per shape), the squares of
    these parts, and the costs of the shapes.

    whole: include changes from the first point on.
    """
    places = np.arange(size, dtype=np.float64)
    found: list[tuple[str, int, Floats]] = []
    for at in range(0 if whole else 1, size):
        found.append(("step", at, (places >= at).astype(np.float64)))
        if size - at >= RAMP_LEAST:
            found.append(("ramp", at, np.maximum(places - at + 1, 0.0)))
        found += [
            ("pulse", at, ((places >= at) & (places < end)).astype(np.float64)) for end in range(at + 1, min(size, at + PULSE_MOST + 1))
        ]
    names, first, patterns = zip(*found, strict=True)
    parts = np.array(patterns)
    return np.array(names), np.array(first), parts, parts**2, np.array([COSTS[name] for name in names])
