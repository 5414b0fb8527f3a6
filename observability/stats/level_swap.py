"""Detect two levels of a category that traded places: one fell, another rose by as much, and the others stayed.

A distance between whole distributions hardly shows a swap among many small levels: renaming a twentieth of the rows moves the PSI by 0.02.
Each level is therefore tested by the signed root of its likelihood ratio, which is accurate in the tails at small counts too; the variance
that days add is included. The statistic is the distance between the level that fell and the level that rose, for the most significant pair
(a studentized range). Every pair of levels counts as a test.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr, xlog1py, xlogy

from observability.stats.arrays import Bools, Floats
from observability.stats.dispersion import LARGE_FREEDOM

MIN_SWAP_LEVELS = 3
"""Minimum number of levels: with only two, one always rises by as much as the other falls."""


@dataclass(frozen=True)
class LevelSwap:
    """The levels that fell and rose most significantly, as places among the groups, with their shares before and now.

    rest: the other levels' share of the whole movement, beyond what chance and days explain. p_value: probability that chance and days
    alone move any two levels at least that far apart.
    """

    fell: int
    rose: int
    before: tuple[float, float]
    now: tuple[float, float]
    rest: float
    p_value: float

    @property
    def changes(self) -> tuple[float, float]:
        """The smaller and the larger of the two changes, without signs."""
        one, other = (abs(now - before) for now, before in zip(self.now, self.before, strict=True))
        return min(one, other), max(one, other)

    @property
    def diluted(self) -> float:
        """Ratio of the smaller to the larger change if only the level that moved more had moved, and all others had made room in
        proportion.

        Added rows (a burst, a new customer) have this effect, and with three levels it looks much like a swap.
        """
        fell, rose = (abs(now - before) for now, before in zip(self.now, self.before, strict=True))
        more, less = self.before if fell > rose else self.before[::-1]
        return less / (1 - more) if more < 1 else 1.0


@dataclass(frozen=True)
class LevelShares:
    """Shares of a category on two sides, by group.

    shares: shares before and now, NaN for a side without rows; pooled: shares of both sides together, each weighted by its effective rows
    (n). of_rows, from_days: variance that rows and days add to the difference of each share; freedom: degrees of freedom of the variance of
    days. judged: mask of the groups that are single levels. moved: change of each group in standard errors, 0 for a group of several
    levels. wild: see `past_day_excesses`.
    """

    shares: tuple[Floats, Floats]
    pooled: Floats
    n: tuple[float, float]
    of_rows: Floats
    from_days: Floats
    freedom: float
    judged: Bools
    moved: Floats
    wild: float = 1.0


def level_shares(
    before: Floats,
    now: Floats,
    n: tuple[ArrayLike, ArrayLike],
    from_days: Floats,
    freedom: Sequence[float],
    judged: Bools,
    wild: Sequence[float],
) -> list[LevelShares]:
    """Shares of many categories with equally many groups, computed together.

    Parameters
    ----------
    before : Floats
        Counts before, columns × groups.
    now : Floats
        Counts now.
    n : tuple[ArrayLike, ArrayLike]
        Effective rows of both sides of each column.
    from_days : Floats
        Variance that days add to the difference of each share, columns × groups.
    freedom : Sequence[float]
        Degrees of freedom of that, of each column.
    judged : Bools
        Mask of the groups that are single levels.
    wild : Sequence[float]
        `past_day_excesses` of each column.

    Returns
    -------
    list[LevelShares]
    """
    then_rows, now_rows = (np.asarray(each, np.float64)[:, None] for each in n)
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = before / before.sum(axis=1, keepdims=True), now / now.sum(axis=1, keepdims=True)
        pooled = (p * then_rows + q * now_rows) / (then_rows + now_rows)
        of_rows = pooled * (1 - pooled) * (1 / then_rows + 1 / now_rows)
        known = judged & (of_rows > 0)
        widened = np.sqrt(1 + from_days / np.where(known, of_rows, 1.0))
        moved = np.where(known, signed_likelihood_roots(p, q, then_rows, now_rows) / widened, 0.0)
    rows = list(zip(then_rows[:, 0].tolist(), now_rows[:, 0].tolist(), strict=True))
    return [
        LevelShares((p[at], q[at]), pooled[at], rows[at], of_rows[at], from_days[at], freedom[at], judged, moved[at], wild[at])
        for at in range(len(p))
    ]


def signed_likelihood_roots(p: ArrayLike, q: ArrayLike, n: float | Floats, m: float | Floats) -> Floats:
    """Signed root of the likelihood ratio for the change of each share; standard normal if nothing changed.

    Parameters
    ----------
    p : ArrayLike
        Shares before.
    q : ArrayLike
        Shares now.
    n : float | Floats
        Effective rows before.
    m : float | Floats
        Effective rows now.

    Returns
    -------
    Floats
    """
    before, now = np.asarray(p, np.float64), np.asarray(q, np.float64)
    pooled = (before * n + now * m) / (n + m)
    inner, outer = _binomial_log_likelihood(before, n) + _binomial_log_likelihood(now, m), _binomial_log_likelihood(pooled, n + m)
    return np.asarray(np.sign(now - before) * np.sqrt(np.maximum(2 * (inner - outer), 0.0)))


def past_day_excesses(shares: Floats, n: Floats, from_days: Floats, judged: Bools) -> list[float]:
    """Largest distance of two levels of each column on past days, divided by the largest distance expected in that number of normal days.

    Shares of days are skewed, and the variance of days is estimated robustly. So one outlying day is no fault, and this factor keeps it
    from raising an alarm.

    Parameters
    ----------
    shares : Floats
        Columns × days × groups.
    n : Floats
        Effective rows of each day, columns × days.
    from_days : Floats
        Variance that days add to each share, columns × groups.
    judged : Bools
        Mask of the groups that are single levels.

    Returns
    -------
    list[float]
        At least 1 each.
    """
    levels = int(judged.sum())
    if not (n > 0).all():  # each column has its own days
        apart = zip(shares, n, from_days, strict=True)
        return [past_day_excesses(x[None, m > 0], m[None, m > 0], added[None], judged)[0] for x, m, added in apart]
    if levels < MIN_SWAP_LEVELS or n.shape[1] < 2:
        return [1.0] * len(shares)
    days, size, added = shares[:, :, judged], n[:, :, None], from_days[:, judged]
    total = n.sum(axis=1)[:, None, None]
    whole = (days * size).sum(axis=1, keepdims=True) / total
    rows = whole * (1 - whole) / size
    z = signed_likelihood_roots(whole, days, total, size) / np.sqrt(1 + added[:, None] / np.where(rows > 0, rows, 1.0))
    apart = (z.max(axis=2) - z.min(axis=2)).max(axis=1) / np.sqrt(2)
    expected = float(-ndtri(0.5 / (n.shape[1] * levels * (levels - 1))))
    return list(np.maximum(apart / expected, 1.0).tolist())


def _binomial_log_likelihood(share: Floats, n: float | Floats) -> Floats:
    """Log-likelihood of n rows with a share of one level, at that share: n (p ln p + (1 - p) ln(1 - p))."""
    return np.asarray(n * (xlogy(share, share) + xlog1py(1 - share, -share)))


def find_level_swap(of: LevelShares, pair: tuple[int, int] | None = None) -> LevelSwap | None:
    """The most significant swap of two levels, or the swap of a given pair.

    Parameters
    ----------
    of : LevelShares
        Counts of both sides.
    pair : tuple[int, int] | None
        Levels (fell, rose), tested as a single pair; None to search all pairs.

    Returns
    -------
    LevelSwap | None
        None if fewer than three levels are tested, or none fell and none rose.
    """
    looks = int(of.judged.sum())
    if looks < MIN_SWAP_LEVELS or not all(np.isfinite(each).all() for each in of.shares) or min(of.n) <= 0:
        return None
    z = of.moved
    fell, rose = pair or (int(z.argmin()), int(z.argmax()))
    if not z[fell] < 0 < z[rose]:
        return None
    two, rows, (p, q) = np.array([fell, rose]), of.of_rows, of.shares
    odds = of.pooled[two] / (1 - of.pooled[two])
    apart = float((z[rose] - z[fell]) / np.sqrt(2 * (1 + np.sqrt(odds.prod())))) / of.wild
    part = float(of.from_days[two].sum() / (of.from_days[two].sum() + rows[two].sum()))
    freedom = min(of.freedom / max(part, 1e-9) ** 2, LARGE_FREEDOM)
    change = np.abs(q - p)
    by_chance = np.sqrt(2 / np.pi * (rows + of.from_days))
    beyond = max(float(np.delete(change - by_chance, two).sum()), 0.0)
    return LevelSwap(
        fell,
        rose,
        (float(p[fell]), float(p[rose])),
        (float(q[fell]), float(q[rose])),
        beyond / (beyond + float(change[two].sum())),
        min(float(stdtr(freedom, -apart)) * (1 if pair else looks * (looks - 1)), 1.0),
    )
