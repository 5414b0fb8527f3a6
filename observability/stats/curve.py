"""What does a learning curve say: where did it jump, does it still improve, is it past its best, and how much of it is noise?

A curve is an array of finite values in the order of their steps. Functions that judge take a *cost*: lower is better, so a metric of which more is
better comes in negated. Progress is what training brought after its first steps (`progress`), and is the yardstick: a change that is small beside
it is no matter, however surely it is there.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, signal, stats

Array = np.ndarray[Any, np.dtype[Any]]
MAD_TO_SD = 1.4826
LOCAL = 51
"""Differences around a step that say what is usual there."""
SPIKE_Z, SPIKE_HEIGHT = 6.0, 9.0
SPIKE_SHARE = 0.1
"""A spike is a step of 6 robust sd of the usual steps, to 9 robust sd of single values above the level before it, and at least a tenth of the
progress. Noise of heavy tails (Laplace) does that in about 3 of a hundred curves of a thousand steps, normal noise in none of 200 (tests)."""
RECOVERY_STEPS = 5
"""With fewer steps after it, nobody can say whether a spike was recovered from."""
PLATEAU_SHARE = 1 / 3
PLATEAU_TOLERANCE, PLATEAU_NOISE, PLATEAU_BLOCKS, PLATEAU_LEVEL = 0.02, 0.05, 90, 3
DIVERGED_SHARE = 0.5
OVERFIT_SHARE = 0.05
SURE = 0.001
"""Chance, over a whole curve, of calling noise a worsening."""


@dataclass(frozen=True)
class Noise:
    """sd: of one value around its trend. inflation: by how much neighbours that are alike enlarge the variance of a mean (1: independent)."""

    sd: float
    inflation: float

    def of_mean(self, n: float) -> float:
        """Standard error of a mean of n neighbouring values."""
        return float(self.sd * np.sqrt(self.inflation / max(n, 1.0)))


@dataclass(frozen=True)
class Spike:
    """at: index of the jump. jump: rise within one step, in the curve's unit. z: robust. before: level before it. peak: worst value until
    recovered. recovered: index at which it was back within a quarter of its height, None where it never was. early: too few steps followed to tell.
    """

    at: int
    jump: float
    z: float
    before: float
    peak: float
    recovered: int | None
    early: bool


@dataclass(frozen=True)
class Change:
    """A change between two stretches of a curve, or over one, with its 95 % interval, in the curve's unit. at: the index where it begins."""

    at: int
    value: float
    low: float
    high: float
    share: float
    """Of the progress."""


def smooth(values: Array, weight: float) -> Array:
    """Exponential moving average with its start corrected: weight 0 gives the values, 0.9 averages over about 10. NaN values are skipped.

    s_t = Σ w^(t-i) x_i / Σ w^(t-i) over the values seen so far (the debiased form of TensorBoard and of Adam, Kingma and Ba 2015).
    """
    if not 0 <= weight < 1:
        raise ValueError("the weight is at least 0 and below 1")
    known = np.isfinite(values)
    total = signal.lfilter([1.0], [1.0, -weight], np.where(known, values, 0.0))
    mass = signal.lfilter([1.0], [1.0, -weight], known.astype(float))
    return np.where(mass > 0, np.asarray(total) / np.where(mass > 0, mass, 1.0), np.nan)


def thin(values: Array, limit: int) -> Array:
    """Indices of at most about `limit` values that draw like all of them: first and last, and lowest and highest of each of limit / 2 stretches.

    So no spike is lost, whatever the width of the picture (the M4 idea of Jugel et al. 2014, by stretches of steps). NaN values are kept only
    where a stretch has nothing else.
    """
    n = len(values)
    if n <= max(limit, 4):
        return np.arange(n)
    bounds = np.linspace(0, n, max(limit // 2, 2) + 1).astype(int)
    kept = [0, n - 1]
    for begin, end in itertools.pairwise(bounds.tolist()):
        part = values[begin:end]
        if np.isfinite(part).any():
            kept += [begin + int(np.nanargmin(part)), begin + int(np.nanargmax(part))]
        else:
            kept.append(int(begin))
    return np.unique(kept)


def robust_sd(values: Array) -> float:
    """1.4826 × the median absolute deviation from the median; NaN of nothing."""
    return float(MAD_TO_SD * np.median(np.abs(values - np.median(values)))) if len(values) else float("nan")


def noise(values: Array) -> Noise:
    """How much single values scatter around the curve's own trend; NaN with fewer than 7 values.

    The larger of two robust estimates: from second differences, which any smooth trend leaves alone, and from the residuals of a local quadratic
    (Savitzky and Golay 1964) over a third of the steps, which also see noise whose neighbours are alike. Their lag-1 correlation ρ, corrected for
    its bias in short series (Kendall 1954), gives the inflation (1 + ρ) / (1 − ρ) of a mean's variance (AR(1)).
    """
    n = len(values)
    if n < 7:
        return Noise(float("nan"), 1.0)
    from_differences = robust_sd(np.diff(values, 2)) / np.sqrt(6.0)
    window = min(max(7, n // 3 | 1), 101) if n >= 12 else 5
    residuals = values - signal.savgol_filter(values, window, 2)
    weight = signal.savgol_coeffs(window, 2)[window // 2]
    sd = robust_sd(residuals) / np.sqrt(max(1.0 - weight, 0.05))
    kept = np.clip(residuals, -4 * sd, 4 * sd) if sd > 0 else residuals
    power = float(kept @ kept)
    seen = float(kept[1:] @ kept[:-1] / power) if power > 0 else 0.0
    rho = float(np.clip(seen + (1 + 3 * max(seen, 0.0)) / n, 0.0, 0.9))
    return Noise(max(float(from_differences), float(sd)), (1 + rho) / (1 - rho))


def progress(cost: Array) -> float:
    """What training brought: the level after the first twentieth of the steps less the best one (medians of 3). The first steps are left out,
    since a loss often falls far in them. 0 where nothing got better.
    """
    if len(cost) < 3:
        return 0.0
    level = ndimage.median_filter(cost, 3, mode="nearest")
    return max(float(level[len(level) // 20] - level.min()), 0.0)


def windows(cost: Array, k: int) -> Array:
    """Means of each k neighbouring values."""
    total = np.cumsum(np.concatenate([[0.0], cost]))
    return (total[k:] - total[:-k]) / k


def spikes(cost: Array) -> list[Spike]:
    """Jumps for the worse that stand out of the usual differences around them and matter beside the progress, in order.

    On the differences of the logarithm where the bulk of a positive cost spans more than a decade, else of the level. The usual is the median and
    MAD of the 51 differences around, at least 0.7 of that over the whole curve. Jumps before a spike is recovered from belong to it. At least 12
    values.
    """
    n = len(cost)
    if n < 12:
        return []
    few, most = np.quantile(cost, [0.05, 0.95])
    in_logs = bool(cost.min() > 0 and most > 10 * few)
    level = np.log(cost) if in_logs else cost
    steps = np.diff(level)
    size = min(LOCAL, len(steps) - 1 + len(steps) % 2)
    centre = ndimage.median_filter(steps, size, mode="nearest")
    local = MAD_TO_SD * ndimage.median_filter(np.abs(steps - centre), size, mode="nearest")
    brought = progress(level)
    scale = np.maximum(np.maximum(local, 0.7 * robust_sd(steps)), max(brought * 1e-3, np.abs(level).max() * 1e-12))
    z = (steps - centre) / scale
    needed = SPIKE_SHARE * max(brought, robust_sd(level))
    found: list[Spike] = []
    after = 0
    for place in np.flatnonzero((z >= SPIKE_Z) & (steps >= needed)):
        at = int(place) + 1
        if at < 5 or at < after:
            continue
        before = float(np.median(level[max(at - 5, 0) : at]))
        height = float(level[at]) - before
        if height < SPIKE_HEIGHT * scale[place] / np.sqrt(2.0):
            continue
        back = np.flatnonzero(level[at + 1 :] <= before + max(height / 4, 3 * float(scale[place])))
        recovered = at + 1 + int(back[0]) if len(back) else None
        after = n if recovered is None else recovered
        found.append(
            Spike(
                at=at, jump=float(cost[at] - cost[at - 1]), z=float(z[place]), before=float(np.median(cost[max(at - 5, 0) : at])),
                peak=float(cost[at:after].max()), recovered=recovered, early=recovered is None and n - 1 - at < RECOVERY_STEPS,
            )
        )  # fmt: skip
    return found


def worsening(cost: Array, k: int) -> tuple[Change, float]:
    """How far the last k values lie above the best k neighbours, and its z, corrected for having looked for the best among all of them.

    The interval is of a difference of two means with the curve's noise. z is comparable with a normal one: limit `needed_z(n, k)`.
    """
    means = windows(cost, k)
    best = int(means.argmin())
    rise = float(means[-1] - means[best])
    spread = noise(cost[len(cost) // 3 :] if len(cost) >= 30 else cost)
    error = float(np.sqrt(2.0)) * spread.of_mean(k)
    brought = progress(cost)
    share = rise / brought if brought > 0 else (np.inf if rise > 0 else 0.0)
    z = rise / error if error > 0 else (np.inf if rise > 0 else 0.0)
    return Change(best + k // 2, rise, rise - 1.96 * error, rise + 1.96 * error, share), float(z)


def needed_z(n: int, k: int) -> float:
    """The z above which the last k of n values are surely worse than the best k: a normal quantile for all the n / k windows looked at."""
    return float(stats.norm.isf(SURE / max(n / k, 1.0)))


def divergence(cost: Array) -> Change | None:
    """Whether training gave up at least half of what it had gained, beyond noise, at its end. None where it did not, or with fewer than 20 values."""
    n = len(cost)
    if n < 20:
        return None
    k = max(5, n // 20)
    rise, z = worsening(cost, k)
    spread = noise(cost[n // 3 :] if n >= 30 else cost).sd
    return rise if z > needed_z(n, k) and rise.share >= DIVERGED_SHARE and rise.value > 5 * spread else None


def overfitting(steps: Array, cost: Array, training_steps: Array, training_cost: Array) -> Change | None:
    """Whether validation got worse since its best, by at least a twentieth of its progress and beyond noise, while training went on improving.

    steps, cost: of validation, at least 10 values. The change begins at its best stretch. None where it did not, or where training improved no more.
    """
    n = len(cost)
    if n < 10:
        return None
    k = max(min(n // 5, 6), n // 15)
    rise, z = worsening(cost, k)
    if z <= needed_z(n, k) or rise.share < OVERFIT_SHARE:
        return None
    later = training_cost[training_steps >= steps[rise.at]]
    if len(later) < 5:
        return None
    trained = trend(later, noise(training_cost))
    return rise if trained.low > 0 else None


def trend(cost: Array, spread: Noise) -> Change:
    """By how much a stretch of a curve improved from end to end by its straight line (least squares), with the noise's 95 % interval."""
    n = len(cost)
    centred = np.arange(n) - (n - 1) / 2
    squares = float(centred @ centred)
    gained = -float(centred @ cost) / squares * (n - 1) if squares > 0 else 0.0
    error = float(spread.sd * np.sqrt(spread.inflation / squares) * (n - 1)) if squares > 0 else float("inf")
    return Change(0, gained, gained - 1.96 * error, gained + 1.96 * error, 0.0)


def plateau(cost: Array) -> Change | None:
    """Since when a curve no longer improves: at least its last third, and it is known well enough to say so.

    The earliest of 24 starts from which the straight line to the end improves no more than noise does, while the 95 % interval excludes an
    improvement of more than 2 % of the progress: a test of equivalence (Schuirmann 1987), so that a noisy curve is not called flat because
    nothing can be seen; and no three neighbours lie more than that below the first three, so that a curve which falls and rises again is not called
    flat from before its fall. Longer curves are judged on means of 90 stretches. The change is the improvement since then. None where there is none,
    where single values scatter by more than a twentieth of the progress, or with fewer than 20 values.
    """
    n = len(cost)
    if n < 20:
        return None
    block = max(n // PLATEAU_BLOCKS, 1)
    blocks = cost[n % block :].reshape(-1, block).mean(axis=1)
    brought = progress(blocks)
    spread = noise(blocks[len(blocks) // 3 :])
    if brought <= 0 or spread.sd > PLATEAU_NOISE * brought:
        return None
    for begin in np.unique(np.linspace(len(blocks) // 10, int(len(blocks) * (1 - PLATEAU_SHARE)), 24).astype(int)):
        found = trend(blocks[begin:], spread)
        level = windows(blocks[begin:], PLATEAU_LEVEL)
        allowed = PLATEAU_TOLERANCE * brought
        fell = level[0] - level.min() > allowed + 2 * np.sqrt(2.0) * spread.of_mean(PLATEAU_LEVEL)
        if found.low <= 0 and found.high <= allowed and not fell:
            return Change(n % block + int(begin) * block, found.value, found.low, found.high, found.value / brought)
    return None


def median_interval(values: Array, outside: float = 0.05) -> tuple[float, float, float]:
    """Median and its interval by order statistics, for any distribution: (median, low, high); the extremes where the values are too few.

    outside: the chance that the interval may miss, 5 % for one of 95 %.
    """
    ordered = np.sort(values)
    n = len(ordered)
    if n == 0:
        return float("nan"), float("nan"), float("nan")
    reach = int(stats.binom.ppf(outside / 2, n, 0.5))
    low = max(reach - 1, 0)
    return float(np.median(ordered)), float(ordered[low]), float(ordered[n - 1 - low])
