"""What does a model lean on, by the attributions (SHAP values) of a sample, has that changed beyond chance, and do the attributions add up?

Values are (rows, features). Importance is the mean absolute value, a share is a feature's part of the sum of all; weights say for how many predictions
a row stands. Sign and unit of the values do not matter to shares, so models with different links may be compared by them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
TOLERANCE = 0.01
"""A row adds up where its residual is at most this share of |base| + Σ|values|."""
SCORE_TOLERANCE = 0.001
"""It adds up too where the score that follows from base + Σ values is a probability so near to the logged one: logged scores are rounded."""
Z = 1.959963984540054


@dataclass(frozen=True)
class Importance:
    """By feature: mean absolute value and share, with 95 % intervals. n: rows."""

    mean: Floats
    low: Floats
    high: Floats
    share: Floats
    share_low: Floats
    share_high: Floats
    n: int


@dataclass(frozen=True)
class Compared:
    """A number of two samples: its value, a conservative 95 % interval, how often chance alone goes as far (p_value), and the point that chance
    passes in 5 % of the cases (null).
    """

    value: float
    low: float
    high: float
    p_value: float
    null: float


@dataclass(frozen=True)
class Change:
    """How far importance moved. distance: total variation distance of the shares. ndcg: of the reference's importances in the current order.
    shares: current less reference, by feature, with low, high and p-values.
    """

    distance: Compared
    ndcg: Compared
    shares: Floats
    low: Floats
    high: Floats
    p_values: Floats


def importance(values: ArrayLike, weights: ArrayLike | None = None) -> Importance:
    """Importance of each feature, with intervals by linearisation (Särndal, Swensson and Wretman 1992, ch. 5). NaN without rows."""
    size, w = prepared(values, weights)
    n, features = size.shape
    if n == 0 or features == 0:
        nothing = np.full(features, np.nan)
        return Importance(nothing, nothing, nothing, nothing, nothing, nothing, n)
    mean = w @ size
    spread = np.sqrt(np.sum((w[:, None] * (size - mean)) ** 2, axis=0) * n / max(n - 1, 1))
    share, influence = shares_of(size, w)
    share_spread = np.sqrt(np.sum(influence**2, axis=0) * n / max(n - 1, 1))
    return Importance(
        mean, np.maximum(mean - Z * spread, 0), mean + Z * spread,
        share, np.maximum(share - Z * share_spread, 0), np.minimum(share + Z * share_spread, 1), n,
    )  # fmt: skip


def prepared(values: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Absolute values (rows, features), and weights that add up to 1."""
    size = np.abs(np.asarray(values, np.float64))
    w = np.ones(len(size)) if weights is None else np.asarray(weights, np.float64)
    total = w.sum()
    return size, w / total if total > 0 else w


def shares_of(size: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Shares (features,), and what each row adds to their error (rows, features). Shares are 0 where nothing has any effect."""
    mean = w @ size
    total = float(mean.sum())
    if not total > 0:
        return np.zeros_like(mean), np.zeros_like(size)
    share = mean / total
    return share, w[:, None] * (size - share * size.sum(axis=1, keepdims=True)) / total


def ndcg(reference: ArrayLike, current: ArrayLike) -> float:
    """Normalised discounted cumulative gain of the reference's importances, taken in the current order: 1 the same order (SageMaker Clarify).

    Σ a(f'ᵢ) / log₂(i + 1) over the same in the best order; ties in the current order count as the reference has them. NaN where all are 0.
    """
    before, now = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    discount = 1 / np.log2(np.arange(2, before.size + 2))
    best = float(np.sort(before)[::-1] @ discount)
    return min(float(before[np.lexsort((-before, -now))] @ discount) / best, 1.0) if best > 0 else float("nan")


def total_variation(reference: ArrayLike, current: ArrayLike) -> float:
    """½ Σ |sᵢ - s'ᵢ| of two lists of shares: 0 the same, 1 nothing in common."""
    return float(np.abs(np.asarray(reference, np.float64) - np.asarray(current, np.float64)).sum() / 2)


def attribution_change(
    reference: ArrayLike,
    current: ArrayLike,
    reference_weights: ArrayLike | None = None,
    current_weights: ArrayLike | None = None,
    *,
    resamples: int = 1999,
    seed: int = 0,
) -> Change:
    """How far the importance of the features moved between two samples of rows.

    Means of rows are nearly normal with a covariance that the rows give, so resamples of the importances are drawn from that normal distribution (a parametric
    bootstrap, Davison and Hinkley 1997; from 100 rows on). The null of distance and NDCG draws both sides around their common shares; the
    interval draws each around its own. Both numbers are biased away from "no change", so the end of the interval towards it is reflected
    (basic bootstrap) and the other is moved by the bias: conservative. Shares have normal intervals. The order of the rows does not matter.
    """
    before, now = shares_with_errors(*prepared(reference, reference_weights)), shares_with_errors(*prepared(current, current_weights))
    rng = np.random.default_rng(seed)
    noise = [rng.standard_normal((resamples, side.share.size)) @ side.root for side in (before, now)]
    common = (before.n * before.share + now.n * now.share) / (before.n + now.n)
    null = pairs(common + noise[0], common + noise[1])
    drawn = pairs(before.share + noise[0], now.share + noise[1])
    change, error = now.share - before.share, np.hypot(before.error, now.error)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(error > 0, change / error, 0.0)
    return Change(
        far(total_variation(before.share, now.share), null[0], drawn[0]),
        near(ndcg(before.share, now.share), null[1], drawn[1]),
        change, change - Z * error, change + Z * error, two_sided(z),
    )  # fmt: skip


@dataclass(frozen=True)
class Side:
    """Shares of one sample, their standard errors, the square root of the covariance of the importances (in units of their sum), and the effective n."""

    share: Floats
    error: Floats
    root: Floats
    n: float


def shares_with_errors(size: Floats, w: Floats) -> Side:
    """Shares of absolute values (rows, features) with weights that add up to 1."""
    share, influence = shares_of(size, w)
    n, total = len(size), float((w @ size).sum()) or 1.0
    centred = w[:, None] * (size / total - share)
    small = n / max(n - 1, 1)
    values, vectors = np.linalg.eigh(small * centred.T @ centred)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    return Side(share, np.sqrt(small * np.sum(influence**2, axis=0)), root, 1 / max(float(np.sum(w**2)), 1e-300))


def pairs(before: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Distances and NDCGs of many pairs of importances (resamples, features), which chance may have made negative."""
    before, now = np.maximum(before, 0.0), np.maximum(now, 0.0)
    totals = np.maximum(before.sum(axis=1, keepdims=True), 1e-300), np.maximum(now.sum(axis=1, keepdims=True), 1e-300)
    distance = np.abs(before / totals[0] - now / totals[1]).sum(axis=1) / 2
    discount = 1 / np.log2(np.arange(2, before.shape[1] + 2))
    best = np.sort(before, axis=1)[:, ::-1] @ discount
    gained = np.take_along_axis(before, np.argsort(-now, axis=1, kind="stable"), axis=1) @ discount
    return distance, np.minimum(gained / np.maximum(best, 1e-300), 1.0)


def far(value: float, null: Floats, drawn: Floats) -> Compared:
    """A number that is 0 where nothing changed."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = (1 + int((null >= value - 1e-12).sum())) / (null.size + 1)
    low, high = min(max(2 * value - high, 0.0), value), min(max(value, high - (drawn.mean() - value)), 1.0)
    return Compared(value, float(low), float(high), p, float(np.quantile(null, 0.95)))


def near(value: float, null: Floats, drawn: Floats) -> Compared:
    """A number that is 1 where nothing changed."""
    there = far(1 - value, 1 - null, 1 - drawn)
    return Compared(value, 1 - there.high, 1 - there.low, there.p_value, 1 - there.null)


def two_sided(z: Floats) -> Floats:
    """How often a standard normal number is as far from 0."""
    from scipy.special import ndtr

    return np.asarray(2 * ndtr(-np.abs(z)), np.float64)


def needed_rows(null: float, limit: float, n: int, m: int) -> int | None:
    """How many rows more the current sample (n) needs, with m of the reference, for chance alone to stay under `limit`; None where no number would do.

    Chance falls with √(1/n + 1/m).
    """
    if null <= limit:
        return 0
    wanted = (1 / n + 1 / m) * (limit / null) ** 2 - 1 / m
    return int(np.ceil(1 / wanted)) - n if wanted > 0 else None


def adds_up(values: ArrayLike, base: ArrayLike, residual: ArrayLike) -> NDArray[np.bool_]:
    """Whether the residual of each row is small beside what the row holds. values: (rows, features)."""
    size = np.abs(np.asarray(base, np.float64)) + np.abs(np.asarray(values, np.float64)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.abs(np.asarray(residual, np.float64)) <= TOLERANCE * size + 1e-9


def score_of(output: ArrayLike, link: str) -> Floats:
    """The score that belongs to an output in the space of a link: identity, logit or log."""
    from scipy.special import expit

    found = np.asarray(output, np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(expit(found) if link == "logit" else np.exp(found) if link == "log" else found, np.float64)


def output_of(score: ArrayLike, link: str) -> Floats:
    """The output in the space of a link that belongs to a score; infinite at the ends."""
    found = np.asarray(score, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(found) - np.log1p(-found) if link == "logit" else np.log(found) if link == "log" else found, np.float64)
