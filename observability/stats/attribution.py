"""Feature importance from attributions (SHAP values) of a sample: its change beyond chance, and the additivity of each row.

Values are (rows, features). Importance is the mean absolute value; a share is a feature's part of the sum over features; a weight is
the number of predictions that a row stands for. Shares do not depend on sign or unit, so models with different links can be compared
by them.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Bools, Floats
from observability.stats.interval import two_sided_p_value

TOLERANCE = 0.01
"""A row is additive if its residual is at most this share of |base| + Σ|values|."""
SCORE_TOLERANCE = 0.001
"""A row is also additive if base + Σ values, as a score, is a probability this close to the logged score, because logged scores are
rounded.
"""
Z = 1.959963984540054
MOST_EXPLAINED = 100
"""Largest number of inputs whose attributions are kept and shown one by one; the attributions of all other inputs are one sum."""
OTHER_INPUTS = " other inputs"
"""Suffix of the name of the sum of all other inputs; the number of inputs comes before it."""
NAME_OF_OTHERS = re.compile(rf"\d{{1,3}}(,\d{{3}})*{OTHER_INPUTS}")


@dataclass(frozen=True)
class Importance:
    """Mean absolute value and share by feature, with 95 % intervals. n: rows."""

    mean: Floats
    low: Floats
    high: Floats
    share: Floats
    share_low: Floats
    share_high: Floats
    n: int


@dataclass(frozen=True)
class AttributionDistance:
    """A distance or similarity of two samples with a conservative 95 % interval.

    p_value: the probability of a value at least as far from "no change" by chance alone. null: the value that chance alone exceeds in 5 %
    of the cases.
    """

    value: float
    low: float
    high: float
    p_value: float
    null: float


@dataclass(frozen=True)
class AttributionChange:
    """Change of importance between two samples.

    distance: total variation distance of the shares. ndcg: NDCG of the reference's importances in the current order. shares: current minus
    reference share of each feature; low, high, p_values: interval and p-value of this difference.
    """

    distance: AttributionDistance
    ndcg: AttributionDistance
    shares: Floats
    low: Floats
    high: Floats
    p_values: Floats


def feature_importance(values: ArrayLike, weights: ArrayLike | None = None) -> Importance:
    """Importance of each feature with linearised intervals; NaN without rows.

    Parameters
    ----------
    values : ArrayLike
        Attributions, rows × features.
    weights : ArrayLike | None
        Predictions that each row stands for; None for equal weights.

    Returns
    -------
    Importance

    References
    ----------
    * Särndal, Swensson and Wretman (1992), Model Assisted Survey Sampling, chapter 5.
    """
    size, w = _absolute_and_weights(values, weights)
    n, features = size.shape
    if n == 0 or features == 0:
        nothing = np.full(features, np.nan)
        return Importance(nothing, nothing, nothing, nothing, nothing, nothing, n)
    mean = w @ size
    spread = np.sqrt(np.sum((w[:, None] * (size - mean)) ** 2, axis=0) * n / max(n - 1, 1))
    share, influence = _shares_and_influence(size, w)
    share_spread = np.sqrt(np.sum(influence**2, axis=0) * n / max(n - 1, 1))
    return Importance(
        mean,
        np.maximum(mean - Z * spread, 0),
        mean + Z * spread,
        share,
        np.maximum(share - Z * share_spread, 0),
        np.minimum(share + Z * share_spread, 1),
        n,
    )


def _absolute_and_weights(values: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Absolute values (rows × features), and weights that sum to 1."""
    size = np.abs(np.asarray(values, np.float64))
    w = np.ones(len(size)) if weights is None else np.asarray(weights, np.float64)
    total = w.sum()
    return size, w / total if total > 0 else w


def _shares_and_influence(size: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Shares (features,) and each row's influence on them (rows × features). Shares are 0 if all values are 0."""
    mean = w @ size
    total = float(mean.sum())
    if not total > 0:
        return np.zeros_like(mean), np.zeros_like(size)
    share = mean / total
    return share, w[:, None] * (size - share * size.sum(axis=1, keepdims=True)) / total


def ndcg(reference: ArrayLike, current: ArrayLike) -> float:
    """Normalised discounted cumulative gain of the reference's importances in the current order (SageMaker Clarify).

    Σ a(f'ᵢ) / log₂(i + 1) divided by the same sum for the best order. Ties in the current order are broken in favour of the reference.

    Parameters
    ----------
    reference : ArrayLike
        Importances in the reference.
    current : ArrayLike
        Importances now, of the same features.

    Returns
    -------
    float
        1 for the same order; NaN if all importances are 0.
    """
    before, now = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    discount = 1 / np.log2(np.arange(2, before.size + 2))
    best = float(np.sort(before)[::-1] @ discount)
    return min(float(before[np.lexsort((-before, -now))] @ discount) / best, 1.0) if best > 0 else float("nan")


def total_variation(reference: ArrayLike, current: ArrayLike) -> float:
    """Total variation distance ½ Σ |sᵢ - s'ᵢ| of two lists of shares.

    Parameters
    ----------
    reference : ArrayLike
        Shares in the reference; they sum to 1.
    current : ArrayLike
        Shares now.

    Returns
    -------
    float
        0 for equal shares, 1 for disjoint ones.
    """
    return float(np.abs(np.asarray(reference, np.float64) - np.asarray(current, np.float64)).sum() / 2)


def attribution_change(
    reference: ArrayLike,
    current: ArrayLike,
    reference_weights: ArrayLike | None = None,
    current_weights: ArrayLike | None = None,
    *,
    resamples: int = 1999,
    seed: int = 0,
) -> AttributionChange:
    """Change of the features' importance between two samples of rows.

    Means of rows are nearly normal from 100 rows on, so importances are resampled from the normal distribution with the rows'
    covariance (a parametric bootstrap). The null of distance and NDCG draws both sides around their common shares; the interval
    draws each side around its own. Both figures are biased away from "no change", so the interval's end towards it is reflected
    (basic bootstrap) and the other end is shifted by the bias, which is conservative. Shares have normal intervals. The order of the
    rows does not matter.

    Parameters
    ----------
    reference : ArrayLike
        Attributions of the reference, rows × features.
    current : ArrayLike
        Attributions now, of the same features.
    reference_weights : ArrayLike | None
        Predictions that each row of the reference stands for.
    current_weights : ArrayLike | None
        The same of the current rows.
    resamples : int
        Bootstrap draws.
    seed : int
        Seed of the random draws.

    Returns
    -------
    AttributionChange

    References
    ----------
    * Davison and Hinkley (1997), Bootstrap Methods and their Application.
    """
    before, now = (
        _share_estimate(*_absolute_and_weights(reference, reference_weights)),
        _share_estimate(*_absolute_and_weights(current, current_weights)),
    )
    rng = np.random.default_rng(seed)
    noise = [rng.standard_normal((resamples, side.share.size)) @ side.root for side in (before, now)]
    common = (before.n * before.share + now.n * now.share) / (before.n + now.n)
    null = _resampled_distances(common + noise[0], common + noise[1])
    drawn = _resampled_distances(before.share + noise[0], now.share + noise[1])
    change, error = now.share - before.share, np.hypot(before.error, now.error)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(error > 0, change / error, 0.0)
    return AttributionChange(
        _distance_from_zero(total_variation(before.share, now.share), null[0], drawn[0]),
        _similarity_to_one(ndcg(before.share, now.share), null[1], drawn[1]),
        change,
        change - Z * error,
        change + Z * error,
        two_sided_p_value(z),
    )


@dataclass(frozen=True)
class ShareEstimate:
    """Shares of one sample with standard errors, effective n, and the square root of the importances' covariance (in units of their
    sum).
    """

    share: Floats
    error: Floats
    root: Floats
    n: float


def _share_estimate(size: Floats, w: Floats) -> ShareEstimate:
    """Shares of absolute values (rows × features) with weights that sum to 1."""
    share, influence = _shares_and_influence(size, w)
    n, total = len(size), float((w @ size).sum()) or 1.0
    centred = w[:, None] * (size / total - share)
    small = n / max(n - 1, 1)
    values, vectors = np.linalg.eigh(small * centred.T @ centred)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    return ShareEstimate(share, np.sqrt(small * np.sum(influence**2, axis=0)), root, 1 / max(float(np.sum(w**2)), 1e-300))


def _resampled_distances(before: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Distances and NDCGs of many resampled pairs of importances (resamples × features); importances that resampling made negative count as
    0.
    """
    before, now = np.maximum(before, 0.0), np.maximum(now, 0.0)
    totals = np.maximum(before.sum(axis=1, keepdims=True), 1e-300), np.maximum(now.sum(axis=1, keepdims=True), 1e-300)
    distance = np.abs(before / totals[0] - now / totals[1]).sum(axis=1) / 2
    discount = 1 / np.log2(np.arange(2, before.shape[1] + 2))
    best = np.sort(before, axis=1)[:, ::-1] @ discount
    gained = np.take_along_axis(before, np.argsort(-now, axis=1, kind="stable"), axis=1) @ discount
    return distance, np.minimum(gained / np.maximum(best, 1e-300), 1.0)


def _distance_from_zero(value: float, null: Floats, drawn: Floats) -> AttributionDistance:
    """Interval and p-value of a figure that is 0 without change."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = (1 + int((null >= value - 1e-12).sum())) / (null.size + 1)
    low, high = min(max(2 * value - high, 0.0), value), min(max(value, high - (drawn.mean() - value)), 1.0)
    return AttributionDistance(value, float(low), float(high), p, float(np.quantile(null, 0.95)))


def _similarity_to_one(value: float, null: Floats, drawn: Floats) -> AttributionDistance:
    """Interval and p-value of a figure that is 1 without change."""
    there = _distance_from_zero(1 - value, 1 - null, 1 - drawn)
    return AttributionDistance(value, 1 - there.high, 1 - there.low, there.p_value, 1 - there.null)


def attribution_rows_needed(null: float, limit: float, n: int, m: int) -> int | None:
    """Additional rows of the current sample that keep the effect of chance under a limit. This effect falls with √(1/n + 1/m).

    Parameters
    ----------
    null : float
        Value that chance stays under in 95 % of the cases today.
    limit : float
        Value that it should stay under.
    n : int
        Current rows.
    m : int
        Reference rows.

    Returns
    -------
    int | None
        None if no number of rows suffices.
    """
    if null <= limit:
        return 0
    wanted = (1 / n + 1 / m) * (limit / null) ** 2 - 1 / m
    return int(np.ceil(1 / wanted)) - n if wanted > 0 else None


def additive_rows(values: ArrayLike, base: ArrayLike, residual: ArrayLike) -> Bools:
    """Mask of the rows whose residual is small relative to their attributions (see TOLERANCE).

    Parameters
    ----------
    values : ArrayLike
        Attributions, rows × features.
    base : ArrayLike
        Base value of each row.
    residual : ArrayLike
        Output minus base minus Σ values of each row.

    Returns
    -------
    Bools
    """
    size = np.abs(np.asarray(base, np.float64)) + np.abs(np.asarray(values, np.float64)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.abs(np.asarray(residual, np.float64)) <= TOLERANCE * size + 1e-9


def is_other_inputs(name: str, features: Collection[str]) -> bool:
    """Whether a name denotes the sum of the inputs that are not kept.

    Parameters
    ----------
    name : str
        Name of an attribution.
    features : Collection[str]
        Names of the model's features; a feature never counts as a sum of other features, whatever its name.

    Returns
    -------
    bool
    """
    return NAME_OF_OTHERS.fullmatch(name) is not None and name not in features


def kept_attributions(
    known: Sequence[str], names: Sequence[str], values: ArrayLike, *, started: bool = False, features: Collection[str] = ()
) -> tuple[str, ...]:
    """Names of the attributions that are kept of a model, in their order in the rows.

    Parameters
    ----------
    known : Sequence[str]
        Names known so far, in order: the model's features, or those that stored rows hold.
    names : Sequence[str]
        Names of these attributions.
    values : ArrayLike
        Attributions, rows × names.
    started : bool
        Whether rows are stored in the order of `known`, which then keeps its names and places.
    features : Collection[str]
        Names of the model's features, which are never taken for the sum.

    Returns
    -------
    tuple[str, ...]
        All names where at most one would be added up; else the MOST_EXPLAINED with the largest mean size, and last the name of the sum
        of the others.
    """
    if known and is_other_inputs(known[-1], features):
        return tuple(known)
    every = tuple(dict.fromkeys([*known, *names]))
    if len(every) <= MOST_EXPLAINED + 1 or (started and len(every) <= len(known) + 1):
        return every
    size = dict(zip(names, np.abs(np.asarray(values, np.float64)).mean(axis=0).tolist(), strict=True))
    fixed = set(known) if started else set()
    largest = sorted((name for name in every if name not in fixed), key=lambda name: -size.get(name, 0.0))
    chosen = fixed | set(largest[: max(MOST_EXPLAINED - len(fixed), 0)])
    return (*(name for name in every if name in chosen), f"{len(every) - len(chosen):,}{OTHER_INPUTS}")


def attributions_in_order(values: ArrayLike, names: Sequence[str], order: Sequence[str]) -> Floats:
    """Attributions in the order of `kept_attributions`; the sum of each row does not change.

    Parameters
    ----------
    values : ArrayLike
        Attributions, rows × names.
    names : Sequence[str]
        Their names.
    order : Sequence[str]
        Names of the result; those that the order does not have are added up in its last place.

    Returns
    -------
    Floats
        Rows × order; 0 for names that have no attribution.
    """
    given = np.asarray(values, np.float64)
    found, places = np.zeros((len(given), len(order))), {name: place for place, name in enumerate(order)}
    own = np.array([name in places for name in names], bool)
    found[:, [places[name] for name in names if name in places]] = given[:, own]
    if not own.all():
        found[:, -1] += given[:, ~own].sum(axis=1)
    return found


def apply_inverse_link(output: ArrayLike, link: str) -> Floats:
    """Score of each model output (inverse link); the output is on the link's scale.

    Parameters
    ----------
    output : ArrayLike
        Model outputs.
    link : str
        "identity", "logit" or "log".

    Returns
    -------
    Floats
    """
    from scipy.special import expit

    found = np.asarray(output, np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(expit(found) if link == "logit" else np.exp(found) if link == "log" else found, np.float64)


def apply_link(score: ArrayLike, link: str) -> Floats:
    """Output on the link's scale for each score (link function); infinite at the ends of the score's range.

    Parameters
    ----------
    score : ArrayLike
        Scores.
    link : str
        "identity", "logit" or "log".

    Returns
    -------
    Floats
    """
    found = np.asarray(score, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(found) - np.log1p(-found) if link == "logit" else np.log(found) if link == "log" else found, np.float64)
