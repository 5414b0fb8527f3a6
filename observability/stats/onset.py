"""On which day did a series change, if the days tell?"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Known = Literal["dated", "open", "vague"]
MAD_TO_SD = 1.4826
SURE = 9.0
"""Twice the log likelihood ratio from which a change is dated. Noise alone reaches it in about 5 of 100 series whose errors are known, and in up to 15 of
100 where they have to be guessed from neighbours (tests); what is dated was judged to be a change before."""
COSTS = {"step": 0.0, "pulse": 4.0, "ramp": 2.0}
"""What a shape has to gain over a step that lasts to be preferred: a pulse has an end as well, a ramp takes half a step's noise for a slope."""


@dataclass(frozen=True)
class Onset:
    """at: index of the first changed point. known: "dated"; "open" where the first point was changed already, so that it began there or earlier; "vague"
    where no point stands out, and `at` is 0. shape: "step" (it lasts), "pulse" (it ended), "ramp" (it grows). gain: twice the log likelihood ratio.
    """

    at: int
    known: Known
    shape: str
    gain: float


WILD = 4.0
"""A single point is wild where it is so many times as far from both neighbours as neighbours usually are from each other."""
RAMP_LEAST, PULSE_MOST = 4, 31
"""Points from which a ramp is told from a step, and beyond which a change that ended is no pulse any more."""


def onset(values: ArrayLike, errors: ArrayLike | None = None, *, before: tuple[float, float] | None = None, worse: int = 0) -> Onset | None:
    """The most likely point from which a series is changed: the maximum-likelihood split into unchanged and changed points.

    values: one per day or hour in order, the clean past first where there is one; NaN where nothing was measured. errors: standard errors of the
    values; what points vary beyond them is added from the differences of neighbours. before: level and standard error that the series had before its first point,
    where that is known from elsewhere (the reference): without it a series cannot have been changed throughout. worse: 1 where only a rise
    matters, -1 a fall, 0 either. A single point that falls out, on either side, does not move the answer where the rest tells. None below two points.
    """
    all_values = np.asarray(values, np.float64).ravel()
    kept = np.flatnonzero(np.isfinite(all_values))
    if kept.size < 2:
        return None
    x = all_values[kept]
    own = np.zeros(x.size) if errors is None else np.nan_to_num(np.asarray(errors, np.float64).ravel()[kept], nan=0.0, posinf=1e9)
    tamed = limited(x)
    found = best(tamed, 1 / variances(tamed, own), before, worse) if tamed is not None else None
    if found is None or found.gain < SURE:
        found = best(x, 1 / variances(x, own), before, worse)
    if found is None or found.gain < SURE:
        return Onset(int(kept[0]), "vague", "step", 0.0 if found is None else found.gain)
    return Onset(int(kept[found.at]), "open" if found.at == 0 else "dated", found.shape, found.gain)


def variances(x: Floats, errors: Floats) -> Floats:
    """Variance of each point: its own error, and what neighbours differ beyond that (robust: one change of level is one difference of many)."""
    spread = (MAD_TO_SD * float(np.median(np.abs(np.diff(x))))) ** 2 / 2
    extra = max(spread - float(np.median(errors**2)), 0.0)
    least = (1e-3 * max(float(np.ptp(x)), float(np.abs(x).max()) * 1e-6, 1e-12)) ** 2
    return np.asarray(np.maximum(errors**2 + extra, least))


def limited(x: Floats) -> Floats | None:
    """The series with its wildest inner point on each side, if it is wild, at its neighbours' middle; None where no point is, or it is too short."""
    if x.size < 5:
        return None
    middle = x.copy()
    middle[1:-1] = np.sort([x[:-2], x[1:-1], x[2:]], axis=0)[1]
    away = x - middle
    usual = MAD_TO_SD * float(np.median(np.sort(np.abs(np.diff(x)))[: x.size - 3]))  # without the two steps that a wild point makes
    wild = [int(at) for at in (away.argmax(), away.argmin()) if abs(away[at]) > WILD * usual]
    if not wild:
        return None
    tamed = x.copy()
    tamed[wild] = middle[wild]
    return tamed


def best(x: Floats, weights: Floats, before: tuple[float, float] | None, worse: int) -> Onset | None:
    """The shape that explains most, at the point where it does; None where none does."""
    level, known = (0.0, 0.0) if before is None else (before[0], 1 / max(before[1] ** 2, 1 / float(weights.max())))
    total = known + weights.sum()
    mean = (known * level + float(weights @ x)) / total
    rest = x - mean
    flat = known * (level - mean) ** 2 + float(weights @ rest**2)
    names, first, patterns = shapes(x.size, before is not None)
    size = patterns**2 @ weights - (patterns @ weights) ** 2 / total
    held = size > 1e-12 * total
    effect = patterns @ (weights * rest) / np.where(held, size, 1.0)
    if worse:
        held &= effect * worse > 0
    if not held.any():
        return None
    gain = effect**2 * size
    noise = np.maximum((flat - gain) / max(x.size - 2 + (before is not None), 1), 1.0)
    score = np.where(held, gain / noise - np.array([COSTS[name] for name in names]), -np.inf)
    at = int(np.argmax(np.round(score, 9)))
    return Onset(first[at], "dated", names[at], float(score[at]))


@cache
def shapes(size: int, whole: bool) -> tuple[tuple[str, ...], tuple[int, ...], Floats]:
    """Every way to be changed from a point on: name, first changed point, and how much of the change each point has (a row each). whole: from the first
    point on as well.
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
    return names, first, np.array(patterns)
