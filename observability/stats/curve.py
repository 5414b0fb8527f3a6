"""Learning curves: spikes, divergence, overfitting, plateaus and noise.

A curve is an array of finite values in the order of their steps. Functions that test a curve take a *cost*, for which lower is better; a
metric for which higher is better is negated first. `training_progress` is the improvement after the first steps. Changes are compared with
it, since a change that is small relative to the progress does not matter, however significant it is.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special
from scipy.linalg import solve_banded

from observability.stats.arrays import Array
from observability.stats.dispersion import MAD_TO_SD
from observability.stats.tail_gaps import chosen_gap_level, tail_gap_level

LOCAL = 51
"""Number of differences around a step from which the usual difference at this step is estimated."""
SPIKE_Z, SPIKE_HEIGHT = 6.0, 9.0
SPIKE_SHARE = 0.1
TAIL_Z, SPIKE_CHANCE = 3.0, 0.015
"""A spike meets four conditions. It rises by 6 robust sd of the usual steps. It reaches 9 robust sd of single values above the level before
it. It rises by at least a tenth of the progress. It lies beyond the tail of the smaller rises (those from 3 robust sd on), with this chance
of error (`tail_gap_level`; `chosen_gap_level` where some values were chosen). A longer curve therefore needs a higher spike unless its
noise has light tails. Decisions 0213 and 0217 have the measured shares.
"""
RECOVERY_STEPS = 5
"""If fewer steps follow a spike, it is unknown whether the curve recovered."""
PLATEAU_SHARE = 1 / 3
PLATEAU_TOLERANCE, PLATEAU_NOISE, PLATEAU_BLOCKS, PLATEAU_LEVEL = 0.02, 0.05, 90, 3
DIVERGED_SHARE = 0.5
OVERFIT_SHARE = 0.05
SURE = 0.001
"""Probability that noise anywhere in a curve is reported as a worsening."""


@dataclass(frozen=True)
class CurveNoise:
    """sd: standard deviation of one value around its trend. inflation: factor by which autocorrelation enlarges the variance of a mean (1
    without autocorrelation).
    """

    sd: float
    inflation: float

    def of_mean(self, n: float) -> float:
        """Standard error of a mean of n neighbouring values."""
        return float(self.sd * np.sqrt(self.inflation / max(n, 1.0)))


@dataclass(frozen=True)
class CurveSpike:
    """A jump of the cost.

    at: index of the jump. z: robust standard score of the jump. before: level before the jump. peak: worst value until recovery. recovered:
    index at which the curve was back within a quarter of the spike's height; None if it never was. early: whether too few steps followed to
    judge recovery.
    """

    at: int
    z: float
    before: float
    peak: float
    recovered: int | None
    early: bool


@dataclass(frozen=True)
class CurveChange:
    """A change between two stretches of a curve, or over one stretch, with its 95 % interval, in the curve's unit. at: the index at which
    the change begins.
    """

    at: int
    value: float
    low: float
    high: float
    share: float
    """The change as a share of the progress."""


def exponential_moving_average(values: Array, weight: float) -> Array:
    """Exponential moving average with bias correction; NaN values are skipped.

    s_t = Σ w^(t-i) x_i / Σ w^(t-i) over the values so far (the debiased form of TensorBoard and of Adam).

    Parameters
    ----------
    values : Array
        Values in order.
    weight : float
        0 gives the values, 0.9 averages over about 10.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        The weight is not in [0, 1).

    References
    ----------
    * Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """
    if not 0 <= weight < 1:
        raise ValueError("the weight is at least 0 and below 1")
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), np.nan)
    each = np.column_stack([np.where(known, values, 0.0), known])
    bands = np.tile([[1.0], [-weight]], len(each))  # s_t - w s_(t-1) = x_t
    total, mass = solve_banded((1, 0), bands, each).T
    return np.where(mass > 0, total / np.where(mass > 0, mass, 1.0), np.nan)


def downsampled_indices(values: Array, limit: int) -> Array:
    """Indices of about `limit` values whose plot looks like that of all values: first, last, and the extremes of each of limit / 2
    stretches.

    No spike is lost, whatever the width of the chart (M4 by stretches of steps). NaN values are kept only where a stretch has
    nothing else.

    Parameters
    ----------
    values : Array
        Values in order.
    limit : int
        About how many indices to return.

    Returns
    -------
    Array

    References
    ----------
    * Jugel, Jerzak, Hackenbroich and Markl (2014), M4: a visualization-oriented time series data aggregation.
    """
    n = len(values)
    if n <= max(limit, 4):
        return np.arange(n)
    bounds = np.linspace(0, n, max(limit // 2, 2) + 1).astype(int)
    begins, stretch = bounds[:-1], np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    known = np.logical_or.reduceat(np.isfinite(values), begins)
    kept: list[Array] = [np.array([0, n - 1]), begins[~known]]
    for extreme, otherwise in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        filled = np.where(np.isnan(values), otherwise, values)
        places = np.flatnonzero((filled == extreme.reduceat(filled, begins)[stretch]) & known[stretch])
        kept.append(places[np.unique(stretch[places], return_index=True)[1]])
    return np.unique(np.concatenate(kept))


def robust_sd(values: Array) -> float:
    """1.4826 × the median absolute deviation from the median.

    Parameters
    ----------
    values : Array
        Values.

    Returns
    -------
    float
        NaN of no values.
    """
    return float(MAD_TO_SD * _median(np.abs(values - _median(values)))) if len(values) else float("nan")


def _median(values: Array) -> float:
    """The median of one value or more; NaN if any value is NaN. It equals `np.median` without the overhead, which matters for short
    curves.
    """
    n = len(values)
    middle, last = n // 2, n - 1
    parted = np.partition(values, (middle, last) if n % 2 else (middle - 1, middle, last))
    if parted[last] != parted[last]:
        return float("nan")
    return float(parted[middle]) if n % 2 else float(parted[middle - 1] + parted[middle]) / 2


@lru_cache(256)
def _parabola_fit(window: int) -> Array:
    """The matrix that maps neighbouring values to the values of the least-squares parabola through them."""
    orthogonal, _ = np.linalg.qr(np.vander(np.linspace(-1.0, 1.0, window), 3))
    return orthogonal @ orthogonal.T


def _local_parabolas(values: Array, window: int) -> Array:
    """For each value, the value of the least-squares parabola through the window around it. Near both ends, the parabola of the outermost
    window is used.
    """
    fit, half = _parabola_fit(window), window // 2
    middle = np.convolve(values, fit[half], "valid")
    return np.concatenate([fit[:half] @ values[:window], middle, fit[half + 1 :] @ values[-window:]])


def curve_noise(values: Array) -> CurveNoise:
    """Scatter of single values around the curve's own trend.

    The larger of two robust estimates: one from second differences, which a smooth trend does not affect, and one from the residuals of a
    local quadratic over a third of the steps, which also contain autocorrelated noise. Their lag-1 correlation ρ, corrected for its bias in
    short series, gives the inflation (1 + ρ) / (1 − ρ) of a mean's variance (AR(1)).

    Parameters
    ----------
    values : Array
        Values in order.

    Returns
    -------
    CurveNoise
        sd is NaN with fewer than 7 values.

    References
    ----------
    * Savitzky and Golay (1964), Smoothing and differentiation of data by simplified least squares procedures.
    * Kendall (1954), Note on bias in the estimation of autocorrelation.
    """
    n = len(values)
    if n < 7:
        return CurveNoise(float("nan"), 1.0)
    from_differences = robust_sd(np.diff(values, 2)) / np.sqrt(6.0)
    window = min(max(7, n // 3 | 1), 101) if n >= 12 else 5
    residuals = values - _local_parabolas(values, window)
    weight = _parabola_fit(window)[window // 2, window // 2]
    sd = robust_sd(residuals) / np.sqrt(max(1.0 - weight, 0.05))
    kept = np.clip(residuals, -4 * sd, 4 * sd) if sd > 0 else residuals
    power = float(kept @ kept)
    seen = float(kept[1:] @ kept[:-1] / power) if power > 0 else 0.0
    rho = float(np.clip(seen + (1 + 3 * max(seen, 0.0)) / n, 0.0, 0.9))
    return CurveNoise(max(float(from_differences), float(sd)), (1 + rho) / (1 - rho))


def training_progress(cost: Array) -> float:
    """Improvement over training: the level after the first twentieth of the steps minus the best level (medians of 3).

    The first steps are left out, since a loss often falls far in them.

    Parameters
    ----------
    cost : Array
        Cost in order of steps.

    Returns
    -------
    float
        0 if nothing improved.
    """
    if len(cost) < 3:
        return 0.0
    before, after = np.concatenate([cost[:1], cost[:-1]]), np.concatenate([cost[1:], cost[-1:]])
    level = np.maximum(np.minimum(before, cost), np.minimum(np.maximum(before, cost), after))
    return max(float(level[len(level) // 20] - level.min()), 0.0)


def _moving_means(cost: Array, k: int) -> Array:
    """The mean of every k neighbouring values."""
    total = np.cumsum(np.concatenate([[0.0], cost]))
    return (total[k:] - total[:-k]) / k


def cost_spikes(cost: Array, chosen: Array | None = None, stride: int = 1) -> list[CurveSpike]:
    """Jumps of the cost in order: those that exceed the usual differences around them and are large compared with the progress.

    Differences are taken of the logarithm if the bulk of a positive cost spans more than a factor of ten, otherwise of the value itself.
    The usual difference at a step is given by the median and MAD of the 51 differences around it, and is at least 0.7 of the usual
    difference over the whole curve. Heavy-tailed noise rises higher the longer the curve is, so a spike must also lie beyond the tail of
    all smaller rises. Further jumps before the curve has recovered belong to the same spike.

    Parameters
    ----------
    cost : Array
        Cost in order of steps; fewer than 12 values have no spikes.
    chosen : Array | None
        If only every n-th step was read: a mask of the further values, which were chosen because they stand out.
    stride : int
        The n of every n-th step.

    Returns
    -------
    list[CurveSpike]
    """
    from scipy import ndimage

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
    brought = training_progress(level)
    scale = np.maximum(np.maximum(local, 0.7 * robust_sd(steps)), max(brought * 1e-3, np.abs(level).max() * 1e-12))
    z = (steps - centre) / scale
    needed = SPIKE_SHARE * max(brought, robust_sd(level))
    if chosen is None or not chosen.any():
        beyond = tail_gap_level(z, TAIL_Z, SPIKE_Z, SPIKE_CHANCE)
    else:
        beyond = chosen_gap_level(z, chosen[1:] | chosen[:-1], stride, TAIL_Z, SPIKE_Z, SPIKE_CHANCE)
    found: list[CurveSpike] = []
    after = 0
    for place in np.flatnonzero((z >= beyond) & (steps >= needed)):
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
            CurveSpike(
                at=at,
                z=float(z[place]),
                before=float(np.median(cost[max(at - 5, 0) : at])),
                peak=float(cost[at:after].max()),
                recovered=recovered,
                early=recovered is None and n - 1 - at < RECOVERY_STEPS,
            )
        )
    return found


def _worsening(cost: Array, k: int) -> tuple[CurveChange, float, CurveNoise]:
    """Rise of the mean of the last k values above the best mean of k neighbours, its z, and the noise of single values.

    The interval is that of a difference of two means with the curve's noise. The limit `_needed_z(n, k)` allows for the search for the best
    stretch.
    """
    means = _moving_means(cost, k)
    best = int(means.argmin())
    rise = float(means[-1] - means[best])
    spread = curve_noise(cost[len(cost) // 3 :] if len(cost) >= 30 else cost)
    error = float(np.sqrt(2.0)) * spread.of_mean(k)
    brought = training_progress(cost)
    share = rise / brought if brought > 0 else (np.inf if rise > 0 else 0.0)
    z = rise / error if error > 0 else (np.inf if rise > 0 else 0.0)
    return CurveChange(best + k // 2, rise, rise - 1.96 * error, rise + 1.96 * error, share), float(z), spread


def _needed_z(n: int, k: int) -> float:
    """Standard score above which the last k of n values are significantly worse than the best k: Bonferroni over n / k windows."""
    return float(-special.ndtri(SURE / max(n / k, 1.0)))


def divergence_at_end(cost: Array) -> CurveChange | None:
    """The rise at the end of training that undoes at least half of the progress, beyond noise.

    Parameters
    ----------
    cost : Array
        Cost in order of steps.

    Returns
    -------
    CurveChange | None
        None without such a rise, or with fewer than 20 values.
    """
    n = len(cost)
    if n < 20:
        return None
    k = max(5, n // 20)
    rise, z, spread = _worsening(cost, k)
    return rise if z > _needed_z(n, k) and rise.share >= DIVERGED_SHARE and rise.value > 5 * spread.sd else None


def overfitting_width(n: int) -> int:
    """Number of neighbouring values that are averaged in the search for overfitting.

    Parameters
    ----------
    n : int
        Values of the curve.

    Returns
    -------
    int
    """
    return max(min(n // 5, 6), n // 15)


def overfitting_onset(steps: Array, cost: Array, training_steps: Array, training_cost: Array) -> CurveChange | None:
    """Rise of the validation cost since its best value, by at least a twentieth of its progress and beyond noise, while the training cost
    continued to improve.

    Parameters
    ----------
    steps : Array
        Steps of the validation cost.
    cost : Array
        Validation cost, at least 10 values.
    training_steps : Array
        Steps of the training cost.
    training_cost : Array
        Training cost.

    Returns
    -------
    CurveChange | None
        The change begins at the best stretch. None without such a rise, or where training no longer improved.
    """
    n = len(cost)
    if n < 10:
        return None
    k = overfitting_width(n)
    rise, z, _ = _worsening(cost, k)
    if z <= _needed_z(n, k) or rise.share < OVERFIT_SHARE:
        return None
    later = training_cost[training_steps >= steps[rise.at]]
    if len(later) < 5:
        return None
    trained = linear_improvement(later, curve_noise(training_cost))
    return rise if trained.low > 0 else None


def linear_improvement(cost: Array, spread: CurveNoise) -> CurveChange:
    """Improvement of a stretch of a curve from end to end along its least-squares line, with the noise's 95 % interval.

    Parameters
    ----------
    cost : Array
        Cost in order of steps.
    spread : CurveNoise
        Noise of single values.

    Returns
    -------
    CurveChange
    """
    n = len(cost)
    centred = np.arange(n) - (n - 1) / 2
    squares = float(centred @ centred)
    gained = -float(centred @ cost) / squares * (n - 1) if squares > 0 else 0.0
    error = float(spread.sd * np.sqrt(spread.inflation / squares) * (n - 1)) if squares > 0 else float("inf")
    return CurveChange(0, gained, gained - 1.96 * error, gained + 1.96 * error, 0.0)


def plateau_start(cost: Array) -> CurveChange | None:
    """Start of the plateau: a stretch up to the end of the curve, at least its last third, over which the curve no longer improves.

    The start is the earliest of 24 candidates that meets three conditions. The line from there to the end improves no more than noise does.
    The line's 95 % interval excludes an improvement of more than 2 % of the progress (a test of equivalence, so that a noisy curve is not
    called flat for lack of power). No three neighbours lie below the first three by more than that (so that a curve which falls and rises
    again is not called flat from before its fall). Longer curves are tested on means of 90 stretches.

    Parameters
    ----------
    cost : Array
        Cost in order of steps.

    Returns
    -------
    CurveChange | None
        The improvement since then. None without a plateau, where single values scatter by more than a twentieth of the progress, or
        with fewer than 20 values.

    References
    ----------
    * Schuirmann (1987), A comparison of the two one-sided tests procedure and the power approach.
    """
    n = len(cost)
    if (averaged := _plateau_blocks(cost)) is None:
        return None
    blocks, block, brought, spread = averaged
    for begin in np.unique(np.linspace(len(blocks) // 10, int(len(blocks) * (1 - PLATEAU_SHARE)), 24).astype(int)):
        found = linear_improvement(blocks[begin:], spread)
        allowed = PLATEAU_TOLERANCE * brought
        if found.low <= 0 and found.high <= allowed and not _fell(blocks[begin:], spread, allowed):
            return CurveChange(n % block + int(begin) * block, found.value, found.low, found.high, found.value / brought)
    return None


def may_improve_since(cost: Array, begin: int) -> bool:
    """Return whether a curve significantly improved from a place to its end, or cannot be judged by `plateau_start`.

    It improved if the 95 % interval of the line's improvement is above 0, or if three neighbours lie below the first three by more than
    noise and 2 % of the progress. A curve that only lacks the power to be called flat does not count as improved.

    Parameters
    ----------
    cost : Array
        The curve, better where lower.
    begin : int
        Place from which the curve is judged.

    Returns
    -------
    bool
        True as well where the curve is too short or scatters too much to be judged.
    """
    if (averaged := _plateau_blocks(cost)) is None:
        return True
    blocks, block, brought, spread = averaged
    rest = blocks[min(max(begin - len(cost) % block, 0) // block, len(blocks) - PLATEAU_LEVEL) :]
    return linear_improvement(rest, spread).low > 0 or _fell(rest, spread, PLATEAU_TOLERANCE * brought)


def _plateau_blocks(cost: Array) -> tuple[Array, int, float, CurveNoise] | None:
    """Means of stretches of a curve, the length of a stretch, the curve's progress and its noise; None if the curve is too short or too
    noisy.
    """
    n = len(cost)
    if n < 20:
        return None
    block = max(n // PLATEAU_BLOCKS, 1)
    blocks = cost[n % block :].reshape(-1, block).mean(axis=1)
    brought = training_progress(blocks)
    spread = curve_noise(blocks[len(blocks) // 3 :])
    return None if brought <= 0 or spread.sd > PLATEAU_NOISE * brought else (blocks, block, brought, spread)


def _fell(blocks: Array, spread: CurveNoise, allowed: float) -> bool:
    """Whether three neighbours lie below the first three by more than `allowed` and noise together."""
    level = _moving_means(blocks, PLATEAU_LEVEL)
    return bool(level[0] - level.min() > allowed + 2 * np.sqrt(2.0) * spread.of_mean(PLATEAU_LEVEL))
