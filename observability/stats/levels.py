"""Did two levels of a category trade places: one fell, another rose by as much, and the others stayed?

Many small levels hide a trade from a distance of whole distributions: a twentieth of the rows under another name moves the PSI by 0.02. Each level is held
against itself, over what its days add: the signed root of its likelihood ratio, whose tails hold at small counts too. What is judged is how far the level that
fell most surely and the one that rose most surely are apart (a studentized range), with every pair of levels counted as a look.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.dispersion import ENDLESS

Floats = NDArray[np.float64]
FEWEST = 3
"""Levels: of two, one always rises by what the other falls."""


@dataclass(frozen=True)
class Trade:
    """The level that fell most surely and the one that rose most surely, as places among the groups, with their shares before and now.

    rest: how much of all that moved is of other levels, beyond what chance and days move. p_value: how often those part any two levels so far.
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
        """The smaller change over the larger, if the level that moved more had moved alone and all others had made room, each by its share: rows that come
        on top (a burst, a new customer) do so, and with three levels that looks much like a trade.
        """
        fell, rose = (abs(now - before) for now, before in zip(self.now, self.before, strict=True))
        more, less = self.before if fell > rose else self.before[::-1]
        return less / (1 - more) if more < 1 else 1.0


@dataclass(frozen=True)
class Compared:
    """Two sides of a category by group. n: effective rows of both; from_days: variance that days add to the difference of each share; freedom: degrees of freedom of
    that; judged: which groups are single levels; wild: how much farther two levels came apart on days of the past than days of a normal distribution do (`wildest`).
    """

    before: Floats
    now: Floats
    n: tuple[float, float]
    from_days: Floats
    freedom: float
    judged: NDArray[np.bool_]
    wild: float = 1.0

    @cached_property
    def shares(self) -> tuple[Floats, Floats]:
        """Shares of the groups before and now."""
        return self.before / self.before.sum(), self.now / self.now.sum()

    @cached_property
    def pooled(self) -> Floats:
        """Shares of the groups in both sides together, each side by its effective rows."""
        (p, q), (n, m) = self.shares, self.n
        return np.asarray((p * n + q * m) / (n + m))

    @cached_property
    def of_rows(self) -> Floats:
        """The variance that rows alone give the difference of each share."""
        return np.asarray(self.pooled * (1 - self.pooled) * (1 / self.n[0] + 1 / self.n[1]))

    @cached_property
    def moved(self) -> Floats:
        """How surely each group moved, in standard errors; 0 of what is no single level."""
        rows = self.of_rows
        known = self.judged & (rows > 0)
        widened = np.sqrt(1 + self.from_days / np.where(known, rows, 1.0))
        return np.asarray(np.where(known, roots(*self.shares, *self.n) / widened, 0.0))


def roots(p: ArrayLike, q: ArrayLike, n: float, m: float | Floats) -> Floats:
    """The signed root of the likelihood ratio of each share, p of n rows before and q of m rows now: standard normal where nothing changed."""
    before, now = np.asarray(p, np.float64), np.asarray(q, np.float64)
    pooled = (before * n + now * m) / (n + m)
    inner, outer = entropy(before, n) + entropy(now, m), entropy(pooled, n + m)
    return np.asarray(np.sign(now - before) * np.sqrt(np.maximum(2 * (inner - outer), 0.0)))


def wildest(shares: Floats, n: Floats, from_days: Floats, judged: NDArray[np.bool_]) -> float:
    """How many times as far two levels came apart on the wildest of some past days as the wildest of so many normal days would have them; 1 where no farther.

    shares: days × groups; n: effective rows of each day; from_days: variance that days add to each share. Shares of days are skewed, and the variance of days is a robust one, so
    that one day far out is no fault: this is what keeps it from being an alarm.
    """
    from scipy.special import ndtri

    kept, levels = n > 0, int(judged.sum())
    if levels < FEWEST or kept.sum() < 2:
        return 1.0
    days, size, added = shares[kept][:, judged], n[kept], from_days[judged]
    whole = np.average(days, axis=0, weights=size)
    rows = whole * (1 - whole) / size[:, None]
    z = roots(whole, days, float(size.sum()), size[:, None]) / np.sqrt(1 + added / np.where(rows > 0, rows, 1.0))
    apart = float((z.max(axis=1) - z.min(axis=1)).max()) / np.sqrt(2)
    return max(apart / float(-ndtri(0.5 / (size.size * levels * (levels - 1)))), 1.0)


def entropy(share: Floats, n: float | Floats) -> Floats:
    """The log-likelihood of n rows of which a share is of a level, at that share: n (p ln p + (1 - p) ln(1 - p))."""
    from scipy.special import xlog1py, xlogy

    return np.asarray(n * (xlogy(share, share) + xlog1py(1 - share, -share)))


def trade(of: Compared, pair: tuple[int, int] | None = None) -> Trade | None:
    """The trade that stands out most, or that of a pair (fell, rose), which is one look; None where fewer than three levels are judged, or none fell and none rose."""
    from scipy.special import stdtr

    looks = int(of.judged.sum())
    if looks < FEWEST or min(of.before.sum(), of.now.sum(), *of.n) <= 0:
        return None
    z = of.moved
    fell, rose = pair or (int(z.argmin()), int(z.argmax()))
    if not z[fell] < 0 < z[rose]:
        return None
    two, rows, (p, q) = np.array([fell, rose]), of.of_rows, of.shares
    odds = of.pooled[two] / (1 - of.pooled[two])
    apart = float((z[rose] - z[fell]) / np.sqrt(2 * (1 + np.sqrt(odds.prod())))) / of.wild
    part = float(of.from_days[two].sum() / (of.from_days[two].sum() + rows[two].sum()))
    freedom = min(of.freedom / max(part, 1e-9) ** 2, ENDLESS)
    change = np.abs(q - p)
    by_chance = np.sqrt(2 / np.pi * (rows + of.from_days))
    beyond = max(float(np.delete(change - by_chance, two).sum()), 0.0)
    return Trade(
        fell, rose, (float(p[fell]), float(p[rose])), (float(q[fell]), float(q[rose])),
        beyond / (beyond + float(change[two].sum())), min(float(stdtr(freedom, -apart)) * (1 if pair else looks * (looks - 1)), 1.0),
    )  # fmt: skip
