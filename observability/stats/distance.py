"""How far apart are two histograms over the same bins?

Every function takes counts over the same bins (floats where rows are weighted) and gives one float; NaN where either side is empty.
Sample sizes (`n_reference`, `n_current`) are rows, or the effective n = (Σw)² / Σw² of weighted rows.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

NAN = float("nan")


def shares(counts: ArrayLike) -> NDArray[np.float64] | None:
    """Counts as shares of their sum, None where the sum is not positive."""
    array = np.asarray(counts, np.float64)
    total = array.sum()
    return array / total if total > 0 else None


def merge_bins(counts: ArrayLike, group_index: ArrayLike) -> NDArray[np.float64]:
    """Counts of groups of bins. counts: (…, bins); group_index: (bins,) group of each bin, from 0; gives (…, groups)."""
    return np.asarray(np.matmul(np.asarray(counts, np.float64), members(np.asarray(group_index, np.int64).tobytes())), np.float64)


@lru_cache(maxsize=512)
def members(group_index: bytes) -> NDArray[np.float64]:
    """1 where a bin (row) is of a group (column), 0 elsewhere. group_index: as bytes of int64."""
    group = np.frombuffer(group_index, np.int64)
    return np.asarray(np.eye(int(np.max(group)) + 1 if group.size else 0)[group])


def coarsen(reference_counts: ArrayLike, target: int = 20, protected: ArrayLike | None = None) -> NDArray[np.int64]:
    """Group index (from 0) of each bin: neighbours merged into about `target` groups of near-equal reference mass.

    protected: mask of bins that stand alone where they hold half a group's share or more (atoms: `edges.atom_bins`). Jensen-Shannon and
    Hellinger grow with the number of bins, so they are asked of about 20.
    """
    counts = np.asarray(reference_counts, np.float64)
    size = counts.sum() / target
    alone = np.zeros(counts.size, bool) if protected is None else np.asarray(protected, bool) & (counts >= size / 2)
    group, held, current = np.zeros(counts.size, np.int64), 0.0, 0
    for i, count in enumerate(counts):
        nearer_without = held > 0 and held + count > size and held + count - size > size - held
        if i and (alone[i] or alone[i - 1] or nearer_without):
            current, held = current + 1, 0.0
        group[i] = current
        held += count
    return group


def occupied(reference: ArrayLike, current: ArrayLike) -> int:
    """How many bins hold something on either side? The `bins` of the PSI's null distribution."""
    return int(np.count_nonzero(np.asarray(reference, np.float64) + np.asarray(current, np.float64)))


def psi(reference: ArrayLike, current: ArrayLike, floor: float = 1e-4) -> float:
    """Population stability index Σ (q - p) ln(q / p), in nats; shares below `floor` are raised to it. Lewis 1994.

    Use the reference's decile groups, with missing as one more bin.
    """
    p, q = shares(reference), shares(current)
    if p is None or q is None:
        return NAN
    p, q = np.maximum(p, floor), np.maximum(q, floor)
    return float(np.sum((q - p) * np.log(q / p)))


def psi_each(reference: ArrayLike, current: ArrayLike, floor: float = 1e-4) -> NDArray[np.float64]:
    """The PSI of each row of counts against one reference. current: (…, bins); gives (…)."""
    p, rows = shares(reference), np.asarray(current, np.float64)
    total = rows.sum(axis=-1, keepdims=True)
    if p is None:
        return np.full(rows.shape[:-1], NAN)
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = np.maximum(p, floor), np.maximum(np.where(total > 0, rows / total, NAN), floor)
    return np.asarray(np.sum((q - p) * np.log(q / p), axis=-1))


def psi_null_quantile(n_reference: float, n_current: float, bins: int, quantile: float = 0.95) -> float:
    """The PSI that chance alone exceeds in 1 - quantile of the windows: χ²(bins - 1) × (1/n + 1/m). Yurdakul 2018.

    NaN where a side is empty; 0 for a single bin.
    """
    from scipy.special import chdtri

    if min(n_reference, n_current) <= 0:
        return NAN
    return float(chdtri(bins - 1, 1 - quantile)) * (1 / n_reference + 1 / n_current) if bins > 1 else 0.0


def psi_p_value(value: float, n_reference: float, n_current: float, bins: int) -> float:
    """How often chance alone gives a PSI of at least `value` (same null as `psi_null_quantile`)."""
    from scipy.special import chdtrc

    if not min(n_reference, n_current) > 0 or np.isnan(value):
        return NAN
    return float(chdtrc(bins - 1, value / (1 / n_reference + 1 / n_current))) if bins > 1 else 1.0


def jensen_shannon_distance(reference: ArrayLike, current: ArrayLike) -> float:
    """√(½ KL(p‖m) + ½ KL(q‖m)) with m = (p + q) / 2, base 2: 0 the same, 1 nothing in common. Depends on the bins (see `coarsen`)."""
    p, q = shares(reference), shares(current)
    if p is None or q is None:
        return NAN
    m = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = sum(np.where(side > 0, side * np.log2(side / m), 0.0).sum() for side in (p, q)) / 2
    return float(np.sqrt(min(max(divergence, 0.0), 1.0)))


def hellinger(reference: ArrayLike, current: ArrayLike) -> float:
    """√(1 - Σ √(p q)): 0 the same, 1 nothing in common. Depends on the bins (see `coarsen`)."""
    p, q = shares(reference), shares(current)
    if p is None or q is None:
        return NAN
    return float(np.sqrt(min(np.square(np.sqrt(p) - np.sqrt(q)).sum() / 2, 1.0)))


def total_variation(reference: ArrayLike, current: ArrayLike) -> float:
    """½ Σ |p - q|: the share of rows that would have to move."""
    p, q = shares(reference), shares(current)
    return NAN if p is None or q is None else min(float(np.abs(p - q).sum() / 2), 1.0)


def l_infinity(reference: ArrayLike, current: ArrayLike) -> float:
    """Largest |p - q|: the change in the share of one bin or category."""
    p, q = shares(reference), shares(current)
    return NAN if p is None or q is None else float(np.abs(p - q).max())


def kolmogorov_smirnov(reference: ArrayLike, current: ArrayLike) -> float:
    """Largest |F - G| at the edges of ordered bins: never above the exact D, and within the mass of one bin of it."""
    p, q = shares(reference), shares(current)
    return NAN if p is None or q is None else min(float(np.abs(np.cumsum(p - q)).max()), 1.0)


def kolmogorov_smirnov_p_value(d: float, n_reference: float, n_current: float) -> float:
    """How often chance alone gives a D of at least `d`, for continuous values (with ties it is conservative).

    The Kolmogorov limit with Stephens' correction for finite n (Stephens 1970), within a tenth of the exact p: λ = (√n + 0.12 + 0.11 / √n) d
    at n = n₁ n₂ / (n₁ + n₂).
    """
    from scipy.special import kolmogorov

    if not min(n_reference, n_current) > 0 or np.isnan(d):
        return NAN
    root = np.sqrt(n_reference * n_current / (n_reference + n_current))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * d))


def wasserstein_binned(
    reference_counts: ArrayLike,
    current_counts: ArrayLike,
    edges: ArrayLike,
    scale: float | None,
    winsorise: tuple[float, float] | None = None,
) -> float:
    """Wasserstein-1 distance ∫ |F - G| dx between limits, in units of `scale` (the reference's standard deviation).

    Counts have len(edges) + 1 bins, the first below edges[0], the last at or above edges[-1]. The distribution functions are exact at the
    edges and straight between them, which is mass spread evenly in a bin. winsorise: values outside the limits count as the limits, which is
    the integral between them; without, the limits are the outer edges, so that mass beyond counts as lying on them.
    NaN where a side is empty or the scale is None or 0.
    """
    p, q = shares(reference_counts), shares(current_counts)
    at = np.asarray(edges, np.float64)
    if p is None or q is None or not scale or at.size == 0:
        return NAN
    gap = np.cumsum(p - q)[:-1]
    if winsorise is not None:
        low, high = winsorise
        inside = (at > low) & (at < high)
        ends = np.interp([low, high], at, gap, left=0.0, right=0.0)
        at, gap = np.concatenate([[low], at[inside], [high]]), np.concatenate([ends[:1], gap[inside], ends[1:]])
    left, right = gap[:-1], gap[1:]
    size = np.abs(left) + np.abs(right)
    crossing = (left**2 + right**2) / np.where(size > 0, 2 * size, 1.0)
    mean_gap = np.where(left * right < 0, crossing, size / 2)
    return float(np.sum(mean_gap * (at[1:] / scale - at[:-1] / scale)))


def chi_squared(reference: ArrayLike, current: ArrayLike, n_reference: float | None, n_current: float | None) -> tuple[float, int, float]:
    """χ² of the 2 × bins table without empty bins, its degrees of freedom, and n; NaN where a side is empty."""
    p, q = shares(reference), shares(current)
    if p is None or q is None:
        return NAN, 0, 0.0
    n = float(np.sum(np.asarray(reference, np.float64))) if n_reference is None else n_reference
    m = float(np.sum(np.asarray(current, np.float64))) if n_current is None else n_current
    held = (p + q) > 0
    p, q = p[held], q[held]
    pooled = (n * p + m * q) / (n + m)
    statistic = float(np.sum(n * (p - pooled) ** 2 / pooled + m * (q - pooled) ** 2 / pooled))
    return statistic, p.size - 1, n + m


def chi_squared_p_value(
    reference: ArrayLike, current: ArrayLike, n_reference: float | None = None, n_current: float | None = None
) -> float:
    """Pearson's test that both come from one distribution; 1 for a single category. Effective sample sizes where rows are weighted."""
    from scipy.special import chdtrc

    statistic, freedom, _ = chi_squared(reference, current, n_reference, n_current)
    if np.isnan(statistic):
        return NAN
    return float(chdtrc(freedom, statistic)) if freedom else 1.0


def cramers_v(reference: ArrayLike, current: ArrayLike, n_reference: float | None = None, n_current: float | None = None) -> float:
    """√(χ² / n), Cramér's V of a 2 × categories table: 0 the same, 1 nothing in common."""
    statistic, _, n = chi_squared(reference, current, n_reference, n_current)
    return float(np.sqrt(min(statistic / n, 1.0))) if n > 0 else NAN
