"""Design effect of days on comparisons of slices.

Rows of one day are correlated, because they share its weather, campaign or outage. An effect on all slices cancels where a slice is
compared with the rest. An effect on the levels of one column does not cancel. It is estimated here from the jumps, from one day to the
next, of a slice's excess over the rest, compared with the jumps that its number of rows explains. Jumps are used because a fault that
begins within the window causes only one; the days with the largest jumps are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtri, stdtr

from observability.stats.slice_moments import Floats, Mask, SliceGrid, SliceMoments, SliceTarget

FEW = 5
"""Minimum rows of a slice for a day to count; minimum jumps for a column to have its own estimate."""
PART = 0.25
"""Days with fewer rows than this share of a slice's busiest day are skipped."""
MANY = 1000
"""Degrees of freedom from which Student's t distribution is treated as normal."""
DAYS = 4
"""Number of days on which a slice must have rows, if the window has that many days."""


@dataclass(frozen=True)
class SliceDesign:
    """By slice: factor by which days widen the variance of its mean (at least 1), and its degrees of freedom."""

    factor: Floats
    freedom: Floats

    def standard(self, z: Floats, places: Sequence[int] | slice = slice(None)) -> Floats:
        """The standard score whose p-value under a normal distribution equals the p-value of the widened score under Student's t. For a
        pair of slices (`places`), the smaller score of both.
        """
        wide, freedom = self.factor[places], self.freedom[places]
        if not isinstance(places, slice):
            wide, freedom = np.full_like(z, wide.max()), np.full_like(z, freedom.min())
        reached = np.abs(z) / np.sqrt(wide)
        exact = -ndtri(np.maximum(stdtr(freedom, -reached), 1e-300))
        return np.asarray(np.sign(z) * np.where(freedom > MANY, reached, exact), float)


def independent_design(slices: int) -> SliceDesign:
    """Design of independent rows.

    Parameters
    ----------
    slices : int
        Number of slices.

    Returns
    -------
    SliceDesign
    """
    return SliceDesign(np.ones(slices), np.full(slices, np.inf))


def slice_design(
    grid: SliceGrid, targets: Sequence[SliceTarget], days: Floats, whole: Sequence[SliceMoments]
) -> tuple[list[SliceDesign], Mask]:
    """Design of each target, and a mask of the slices that have rows on enough days.

    The variance by days has as many degrees of freedom as the slice has days, minus one; the variance by rows has as many as there are
    rows. Satterthwaite's formula combines both.

    Parameters
    ----------
    grid : SliceGrid
        Rows by slice.
    targets : Sequence[SliceTarget]
        Targets.
    days : Floats
        Day number of each row now.
    whole : Sequence[SliceMoments]
        Moments of each slice now, all rows last.

    Returns
    -------
    tuple[list[SliceDesign], Mask]
        (design by target, mask of the slices).
    """
    names = np.unique(days)
    by_day = grid.by_day([target.now for target in targets], days)
    served = by_day[0].served[:-1]
    present = (served >= np.maximum(FEW, PART * served.max(axis=1, initial=0, keepdims=True))).sum(axis=1)
    found = []
    for part, moments in zip(by_day, whole, strict=True):
        wide = _variance_factors(grid, part, moments)
        freedom = wide**2 / (1 / np.maximum(moments.n[:-1], 1) + (wide - 1) ** 2 / np.maximum(present - 1, 1))
        found.append(SliceDesign(wide, freedom))
    return found, np.asarray(present >= min(DAYS, names.size), bool)


def _variance_factors(grid: SliceGrid, by_day: SliceMoments, whole: SliceMoments) -> Floats:
    """Factor of one target for each slice, equal within a column. by_day: slices × days.

    On days on which the rest has no row (slices of weekdays), a slice is compared with all days of the rest. The variance of rows is that
    of the whole window, or that of the day if it is larger. For example, a value that went missing in one group since the middle of the
    week varies from then on.
    """
    n, total = by_day.n, by_day.total
    if n.shape[1] < 2:
        return np.ones(len(grid.of))
    inside_n, inside = n[:-1], total[:-1]
    rest_n, rest = n[-1] - inside_n, total[-1] - inside
    beside = rest_n >= FEW
    usual = (whole.total[-1] - whole.total[:-1]) / np.maximum(whole.n[-1] - whole.n[:-1], 1)
    excess = inside / np.maximum(inside_n, 1) - np.where(beside, rest / np.maximum(rest_n, 1), usual[:, None])
    rows = np.maximum(whole.variance[:, None], by_day.variance)
    spread = rows[:-1] / np.maximum(inside_n, 1) + np.where(beside, rows[-1] / np.maximum(rest_n, 1), 0.0)
    jumps = _squared_jumps(excess, spread, inside_n >= np.maximum(FEW, PART * inside_n.max(axis=1, keepdims=True)))
    overall = trimmed_jump_ratio(jumps)
    found = [trimmed_jump_ratio(jumps[grid.owner == owner], overall) for owner in range(len(grid.cuts))]
    return np.array(found)[grid.owner] if grid.of else np.empty(0)


def _squared_jumps(excess: Floats, spread: Floats, known: Mask) -> Floats:
    """Squared jumps from each known day of a slice to its next known day, divided by the variance from rows alone; NaN where there is no
    jump.
    """
    found = np.full(excess.shape, np.nan)
    row, day = np.nonzero(known)
    follows = row[1:] == row[:-1]
    row, day, before = row[1:][follows], day[1:][follows], day[:-1][follows]
    scale = spread[row, day] + spread[row, before]
    jump = (excess[row, day] - excess[row, before]) ** 2
    found[row, day] = np.where(scale > 0, jump / np.where(scale > 0, scale, 1.0), np.nan)
    return found


def trimmed_jump_ratio(jumps: Floats, otherwise: float = 1.0) -> float:
    """Mean of squared jumps divided by the mean expected by chance; the days with the largest jumps are left out.

    Parameters
    ----------
    jumps : Floats
        Slices of one column × days.
    otherwise : float
        Result where there are few jumps.

    Returns
    -------
    float
        1 if the ratio is no more than chance shows in one of forty.
    """
    there = np.isfinite(jumps)
    counts = there.sum(axis=0)
    if there.sum() < FEW:
        return otherwise
    known = counts > 0
    of_days = np.where(there, jumps, 0.0).sum(axis=0)[known] / counts[known]
    days, levels = of_days.size, max(round(counts[known].mean()) - (len(jumps) > 1), 1)
    kept = days - _days_left_out(days)
    found = float(np.sort(of_days)[:kept].mean()) / _expected_jump(days, levels)
    return found if found > 1 + 2 * np.sqrt(3 / (kept * levels)) else 1.0


def _days_left_out(days: int) -> int:
    """Number of days with the largest jumps that are left out; they may be the beginning of a fault and its end."""
    return max(days // 4, 1) if days >= 4 else 0


@cache
def _expected_jump(days: int, levels: int) -> float:
    """Mean of the squared jumps that are kept if rows are independent, from 2,000 random draws."""
    drawn = np.random.default_rng(4).chisquare(levels, (2000, days)) / levels
    return float(np.sort(drawn, axis=1)[:, : days - _days_left_out(days)].mean())
