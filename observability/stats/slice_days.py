"""How much less do rows of one day say than as many independent ones, where slices are compared?

Rows of a day share its weather, its campaign, its outage. What all slices share cancels where a slice is held against the rest; what only the
levels of one column share does not, and is estimated here: from one day to the next the excess of a slice over the rest jumps by more than its rows
explain. Jumps, because a fault that begins in the middle of the window makes one only; the days on which most jump are left out for that reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtri, stdtr

from observability.stats.slice_moments import Floats, Grid, Kept, Moments, Target

FEW = 5
"""Rows of a slice on a day from which the day counts; jumps from which a column has an estimate of its own."""
PART = 0.25
"""Of a slice's busiest day: days with fewer rows are passed over."""
MANY = 1000
"""Degrees of freedom from which Student's law is the normal one."""
DAYS = 4
"""Days on which a slice must have rows, of windows that are that long."""


@dataclass(frozen=True)
class Design:
    """By slice: the factor by which days widen the variance of its mean (at least 1), and the degrees of freedom of that."""

    factor: Floats
    freedom: Floats

    def standard(self, z: Floats, places: Sequence[int] | slice = slice(None)) -> Floats:
        """The z that is as improbable under a normal law as the widened one is under Student's; of a pair (places) the more cautious."""
        wide, freedom = self.factor[places], self.freedom[places]
        if not isinstance(places, slice):
            wide, freedom = np.full_like(z, wide.max()), np.full_like(z, freedom.min())
        reached = np.abs(z) / np.sqrt(wide)
        exact = -ndtri(np.maximum(stdtr(freedom, -reached), 1e-300))
        return np.asarray(np.sign(z) * np.where(freedom > MANY, reached, exact), float)


def independent(slices: int) -> Design:
    """Rows that all speak for themselves."""
    return Design(np.ones(slices), np.full(slices, np.inf))


def design(grid: Grid, targets: Sequence[Target], days: Floats, whole: Sequence[Moments]) -> tuple[list[Design], Kept]:
    """(the design by target; which slices have rows on days enough).

    days: a number of the day of each row now. whole: moments of each slice now, all rows last. The variance by days rests on the slice's days less
    one, that by rows on the rows: degrees of freedom of both together by Satterthwaite.
    """
    names = np.unique(days)
    by_day = [grid.many("now", [target.now for target in targets], days == day) for day in names]
    served = np.array([part[0].served[:-1] for part in by_day]).T if by_day else np.empty((len(grid.of), 0))
    present = (served >= np.maximum(FEW, PART * served.max(axis=1, initial=0, keepdims=True))).sum(axis=1)
    found = []
    for place, moments in enumerate(whole):
        wide = factor(grid, [part[place] for part in by_day], moments)
        freedom = wide**2 / (1 / np.maximum(moments.n[:-1], 1) + (wide - 1) ** 2 / np.maximum(present - 1, 1))
        found.append(Design(wide, freedom))
    return found, np.asarray(present >= min(DAYS, names.size), bool)


def factor(grid: Grid, by_day: Sequence[Moments], whole: Moments) -> Floats:
    """The factor of one target for each slice: that of its column. On days on which the rest has no row (slices of weekdays), it is held against all
    days of the rest.
    """
    if len(by_day) < 2:
        return np.ones(len(grid.of))
    n, total = (np.array([getattr(part, name) for part in by_day]).T for name in ("n", "total"))
    inside_n, inside = n[:-1], total[:-1]
    rest_n, rest = n[-1] - inside_n, total[-1] - inside
    beside = rest_n >= FEW
    usual = (whole.total[-1] - whole.total[:-1]) / np.maximum(whole.n[-1] - whole.n[:-1], 1)
    excess = inside / np.maximum(inside_n, 1) - np.where(beside, rest / np.maximum(rest_n, 1), usual[:, None])
    spread = whole.variance[:-1, None] / np.maximum(inside_n, 1) + np.where(beside, whole.variance[-1] / np.maximum(rest_n, 1), 0.0)
    jumps = jumps_of(excess, spread, inside_n >= np.maximum(FEW, PART * inside_n.max(axis=1, keepdims=True)))
    overall = settled(jumps)
    found = [settled(jumps[grid.owner == owner], overall) for owner in range(len(grid.cuts))]
    return np.array(found)[grid.owner] if grid.of else np.empty(0)


def jumps_of(excess: Floats, spread: Floats, known: Kept) -> Floats:
    """Squared jumps from each known day of a slice to its next known one, against their variance by rows alone; NaN where there is none."""
    found = np.full(excess.shape, np.nan)
    held_excess, held_spread = np.full(len(excess), np.nan), np.full(len(excess), np.nan)
    for day in range(excess.shape[1]):
        here = known[:, day]
        scale = spread[:, day] + held_spread
        found[:, day] = np.where(here & (scale > 0), (excess[:, day] - held_excess) ** 2 / np.where(scale > 0, scale, 1.0), np.nan)
        held_excess, held_spread = np.where(here, excess[:, day], held_excess), np.where(here, spread[:, day], held_spread)
    return found


def settled(jumps: Floats, otherwise: float = 1.0) -> float:
    """Mean of squared jumps (slices of one column × days) against what chance gives, without the days on which most jump; 1 where that is no more than
    chance shows in one of forty; `otherwise` where there are few.
    """
    there = np.isfinite(jumps)
    counts = there.sum(axis=0)
    if there.sum() < FEW:
        return otherwise
    known = counts > 0
    of_days = np.where(there, jumps, 0.0).sum(axis=0)[known] / counts[known]
    days, levels = of_days.size, max(round(counts[known].mean()) - (len(jumps) > 1), 1)
    kept = days - left_out(days)
    found = float(np.sort(of_days)[:kept].mean()) / chance(days, levels)
    return found if found > 1 + 2 * np.sqrt(3 / (kept * levels)) else 1.0


def left_out(days: int) -> int:
    """How many of the days with the largest jumps are left out: a fault that comes, or comes and goes."""
    return max(days // 4, 1) if days >= 4 else 0


@cache
def chance(days: int, levels: int) -> float:
    """Mean of the squared jumps that are kept where rows are independent, drawn 2,000 times."""
    drawn = np.random.default_rng(4).chisquare(levels, (2000, days)) / levels
    return float(np.sort(drawn, axis=1)[:, : days - left_out(days)].mean())
