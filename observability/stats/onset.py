"""Onset of a change in a series: the maximum-likelihood split into unchanged and changed points."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats
from observability.stats.dispersion import MAD_TO_SD, fast_median

Known = Literal["dated", "open", "vague"]
SURE = 9.0
"""Twice the log likelihood ratio from which a change is dated. Noise alone reaches it in about 5 % of series with known errors, and in
up to 15 % where errors are estimated from neighbours (tests); series that are dated were found to have changed before.
"""
COSTS = {"step": 0.0, "pulse": 4.0, "ramp": 2.0}
"""By how much the gain of a shape must exceed the gain of a lasting step: a pulse also fits its end, and a ramp also fits noise as a slope.
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


def change_onset(
    values: ArrayLike, errors: ArrayLike | None = None, *, before: tuple[float, float] | None = None, worse: int = 0
) -> Onset | None:
    """Most likely first changed point of a series.

    A single outlier on either side does not move the answer if the other points are informative.

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
    all_values = np.asarray(values, np.float64).ravel()
    kept = np.flatnonzero(np.isfinite(all_values))
    if kept.size < 2:
        return None
    x = all_values[kept]
    own = np.zeros(x.size) if errors is None else np.nan_to_num(np.asarray(errors, np.float64).ravel()[kept], nan=0.0, posinf=1e9)
    cleaned = _without_outliers(x)
    found = _best_shape(cleaned, 1 / point_variances(cleaned, own), before, worse) if cleaned is not None else None
    if found is None or found.gain < SURE:
        found = _best_shape(x, 1 / point_variances(x, own), before, worse)
    if found is None or found.gain < SURE:
        return Onset(int(kept[0]), "vague", "step", 0.0 if found is None else found.gain)
    return Onset(int(kept[found.at]), "open" if found.at == 0 else "dated", found.shape, found.gain)


def point_variances(x: Floats, errors: Floats) -> Floats:
    """Variance of each point: its own error, and the robust variation of neighbours beyond that.

    Parameters
    ----------
    x : Floats
        The points of a series, at least two.
    errors : Floats
        Their standard errors.

    Returns
    -------
    Floats
        A variance for each point, above 0.
    """
    spread = (MAD_TO_SD * float(fast_median(np.abs(x[1:] - x[:-1]), 0))) ** 2 / 2
    extra = max(spread - float(fast_median(errors**2, 0)), 0.0)
    least = (1e-3 * max(float(x.max() - x.min()), float(np.abs(x).max()) * 1e-6, 1e-12)) ** 2
    return np.asarray(np.maximum(errors**2 + extra, least))


def _without_outliers(x: Floats) -> Floats | None:
    """The series with its most outlying inner point on each side replaced by its neighbours' median; None without an outlier or for a
    short series.
    """
    if x.size < 5:
        return None
    middle = x.copy()
    middle[1:-1] = np.sort([x[:-2], x[1:-1], x[2:]], axis=0)[1]
    away = x - middle
    usual = MAD_TO_SD * float(fast_median(np.sort(np.abs(x[1:] - x[:-1]))[: x.size - 3], 0))  # without the two steps that an outlier makes
    outliers = [int(at) for at in (away.argmax(), away.argmin()) if abs(away[at]) > OUTLIER_RATIO * usual]
    if not outliers:
        return None
    cleaned = x.copy()
    cleaned[outliers] = middle[outliers]
    return cleaned


def _best_shape(x: Floats, weights: Floats, before: tuple[float, float] | None, worse: int) -> Onset | None:
    """The shape and the first changed point that explain most of the variation; None if none explains any."""
    level, known = (0.0, 0.0) if before is None else (before[0], 1 / max(before[1] ** 2, 1 / float(weights.max())))
    total = known + weights.sum()
    mean = (known * level + float(weights @ x)) / total
    rest = x - mean
    flat = known * (level - mean) ** 2 + float(weights @ rest**2)
    names, first, patterns, squares, costs = _change_shapes(x.size, before is not None)
    size = squares @ weights - (patterns @ weights) ** 2 / total
    held = size > 1e-12 * total
    effect = patterns @ (weights * rest) / np.where(held, size, 1.0)
    if worse:
        held &= effect * worse > 0
    if not held.any():
        return None
    gain = effect**2 * size
    noise = np.maximum((flat - gain) / max(x.size - 2 + (before is not None), 1), 1.0)
    score = np.where(held, gain / noise - costs, -np.inf)
    at = int(np.argmax(np.round(score, 9)))
    return Onset(first[at], "dated", names[at], float(score[at]))


@cache
def _change_shapes(size: int, whole: bool) -> tuple[tuple[str, ...], tuple[int, ...], Floats, Floats, Floats]:
    """Every shape of a change: its name, its first changed point, the part of the change that each point has (one row for each shape), the
    square of this row, and the penalty of the shape.

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
    return names, first, parts, parts**2, np.array([COSTS[name] for name in names])
