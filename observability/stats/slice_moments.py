"""Rows, mean and variance of a target in each slice, on two sides.

All comparisons of stats/slices.py use sums by slice; the sums of the other rows are the sums of all rows minus those of the slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from observability.stats.arrays import Bools, Floats

Codes = NDArray[np.int16]
Mask = Bools
SIDES = ("now", "before")
COMPOSITION = 2.5
"""If a slice's share of the rows changed by a larger factor, the slice is not compared: this is a shift of inputs, which is reported
elsewhere.
"""


@dataclass(frozen=True)
class Cut:
    """A column to slice by. now, before: place of each row's level, -1 if it has none; `before` is empty if there is no earlier side."""

    name: str
    levels: tuple[str, ...]
    now: Codes = field(repr=False)
    before: Codes = field(repr=False)


@dataclass(frozen=True)
class SliceTarget:
    """A value of each row whose mean is compared; rows with NaN are not counted.

    own: names of cuts in which the target is redundant. unclipped: the logged values of both sides, if `now` and `before` are clipped.
    """

    name: str
    now: Floats = field(repr=False)
    before: Floats = field(repr=False)
    own: frozenset[str] = frozenset()
    unclipped: tuple[Floats, Floats] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SliceSide:
    """Rows, mean and variance of a target in some rows."""

    n: float
    mean: float
    variance: float


@dataclass(frozen=True)
class SliceMoments:
    """Sums of a target by slice (and once for all rows) on one side: rows, Σy, Σy²; `served`: all rows, whether counted or not."""

    n: Floats
    total: Floats
    squares: Floats
    served: Floats

    def less(self, other: "SliceMoments") -> "SliceMoments":
        """These moments without some of the rows."""
        return SliceMoments(self.n - other.n, self.total - other.total, self.squares - other.squares, self.served - other.served)

    def at(self, place: int) -> "SliceMoments":
        """The moments of one slice."""
        return SliceMoments(*(each[place : place + 1] for each in (self.n, self.total, self.squares, self.served)))

    @property
    def mean(self) -> Floats:
        """Σy / n, 0 without rows."""
        return self.total / np.maximum(self.n, 1)

    @property
    def variance(self) -> Floats:
        """Sample variance, never below 0."""
        return np.maximum(self.squares - self.n * self.mean**2, 0.0) / np.maximum(self.n - 1, 1)

    def side(self, place: int = 0) -> SliceSide:
        """One slice as plain numbers."""
        return SliceSide(float(self.n[place]), float(self.mean[place]), float(self.variance[place]))


NowBefore = tuple[SliceMoments, SliceMoments | None]
"""Now and before."""


class SliceGrid:
    """Rows of each single slice, on both sides."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        self.cuts = cuts
        self.of = [(place, level) for place, cut in enumerate(cuts) for level in range(len(cut.levels))]
        self.owner = np.array([place for place, _ in self.of], np.int64)
        first = np.concatenate([[0], np.cumsum([len(cut.levels) for cut in cuts])])
        self.places = {
            side: np.column_stack(
                [np.where(getattr(cut, side) >= 0, getattr(cut, side) + start, len(self.of)) for cut, start in zip(cuts, first)]
            ).astype(np.int32)
            if self.of
            else np.empty((0, 0), np.int32)
            for side in SIDES
        }

    def rows(self, side: str, place: int) -> Mask:
        """Mask of the rows of a side that are in a slice."""
        return np.asarray(self.places[side][:, self.of[place][0]] == place, bool)

    def conditions(self, *places: int) -> tuple[tuple[str, str], ...]:
        """The slice or slices as (name, value), sorted."""
        return tuple(
            sorted((self.cuts[self.of[place][0]].name, self.cuts[self.of[place][0]].levels[self.of[place][1]]) for place in places)
        )

    def all_singles(self, targets: Sequence[SliceTarget]) -> list[NowBefore]:
        """Moments of each single slice for every target, and of all rows in the last place; one matrix product per side."""
        sides = [self.many(side, [getattr(target, side) for target in targets]) for side in SIDES]
        return [(now, None if target.before.size == 0 else before) for target, now, before in zip(targets, *sides)]

    def many(self, side: str, values: Sequence[Floats]) -> list[SliceMoments]:
        """Moments of several targets on one side."""
        places = self.places[side]
        weighed = np.column_stack(_summed_columns(values, len(places)))
        sums = _sums_by_place(places, weighed, len(self.of) + 1)
        sums[-1] = weighed.sum(axis=0)
        return _moments_of_targets(sums.T)

    def by_day(self, values: Sequence[Floats], days: Floats) -> list[SliceMoments]:
        """Moments of several targets on the side `now`, as slices × days, with the days in order."""
        names, day = np.unique(days, return_inverse=True)
        order, wide = np.argsort(day, kind="stable"), len(self.of) + 1
        places = self.places["now"][order] + (day[order] * wide)[:, None]
        weighed = np.column_stack(_summed_columns(values, len(places)))[order]
        sums = _sums_by_place(places, weighed, names.size * wide).reshape(names.size, wide, weighed.shape[1])
        first = np.searchsorted(day[order], np.arange(names.size + 1))
        for place in range(names.size):
            sums[place, -1] = weighed[first[place] : first[place + 1]].sum(axis=0)
        return _moments_of_targets(np.ascontiguousarray(sums.transpose(2, 1, 0)))

    def singles(self, target: SliceTarget, keep: tuple[Mask, Mask]) -> NowBefore:
        """Moments of each single slice among the kept rows, and of all kept rows in the last place."""
        now = self.some("now", target.now, keep[0])
        return now, None if target.before.size == 0 else self.some("before", target.before, keep[1])

    def some(self, side: str, values: Floats, keep: Mask) -> SliceMoments:
        """Moments among some rows of one side."""
        chosen = np.flatnonzero(keep)
        columns = _summed_columns([values[chosen]], chosen.size)
        sums = _sums_by_place(self.places[side][chosen], np.column_stack(columns), len(self.of) + 1)
        sums[-1] = [column.sum() for column in columns]
        return _moments_of_targets(np.ascontiguousarray(sums.T))[0]

    def allowed(self, target: SliceTarget) -> Bools:
        """Mask of the slices in which a target is compared."""
        return np.array([self.cuts[place].name not in target.own for place, _ in self.of], bool)

    def pairs(self, target: SliceTarget) -> int:
        """Number of pairs of levels of two columns."""
        sizes = [len(cut.levels) for cut in self.cuts if cut.name not in target.own]
        return sum(a * b for a, b in combinations(sizes, 2))


def _summed_columns(values: Sequence[Floats], rows: int) -> list[Floats]:
    """The quantities that are summed by slice: for each target, whether a row is counted, its value and its square; then 1 for each row."""
    used = [each if each.size == rows else np.full(rows, np.nan) for each in values]
    there = [np.isfinite(each) for each in used]
    plain = [np.where(known, each, 0.0) for known, each in zip(there, used)]
    return [*(each.astype(np.float64) for each in there), *plain, *(each * each for each in plain), np.ones(rows)]


def _sums_by_place(places: NDArray[np.integer], weighed: Floats, size: int) -> Floats:
    """Sums of the columns over the rows of each place. places: for each row, its place in each cut."""
    from scipy.sparse import csr_array

    rows, cuts = places.shape
    inside = csr_array((np.ones(places.size), places.ravel(), np.arange(rows + 1) * cuts), shape=(rows, size))
    return np.asarray(inside.T @ weighed, np.float64)


def _moments_of_targets(sums: Floats) -> list[SliceMoments]:
    """Moments of each target, from sums in the order of `_summed_columns`."""
    targets = len(sums) // 3
    return [SliceMoments(sums[place], sums[targets + place], sums[2 * targets + place], sums[-1]) for place in range(targets)]


def variance_of_change(now: SliceMoments, before: SliceMoments | None) -> Floats:
    """Squared standard error of a change of means: the larger of the value from the two sides' own variances and the value from the pooled
    variance.

    The pooled variance is needed because a side without a single hit has no variance of its own.

    Parameters
    ----------
    now : SliceMoments
        Moments now.
    before : SliceMoments | None
        Moments before; None without a before.

    Returns
    -------
    Floats
    """
    own = now.variance / np.maximum(now.n, 1)
    if before is None:
        return own
    pooled = SliceMoments(now.n + before.n, now.total + before.total, now.squares + before.squares, now.served + before.served).variance
    return np.maximum(own + before.variance / np.maximum(before.n, 1), pooled * (1 / np.maximum(now.n, 1) + 1 / np.maximum(before.n, 1)))


def excess_change(inside: NowBefore, outside: NowBefore) -> tuple[Floats, Floats]:
    """Change inside minus change outside, and its standard error.

    Parameters
    ----------
    inside : NowBefore
        Moments of the slices, now and before.
    outside : NowBefore
        Moments of the rest.

    Returns
    -------
    tuple[Floats, Floats]
        (excess, standard error).
    """
    (now, before), (rest, rest_before) = inside, outside
    excess = now.mean - rest.mean
    if before is None or rest_before is None:
        pooled = SliceMoments(now.n + rest.n, now.total + rest.total, now.squares + rest.squares, now.served).variance
        own = now.variance / np.maximum(now.n, 1) + rest.variance / np.maximum(rest.n, 1)
        return excess, np.sqrt(np.maximum(own, pooled * (1 / np.maximum(now.n, 1) + 1 / np.maximum(rest.n, 1))))
    excess = excess - before.mean + rest_before.mean
    return excess, np.sqrt(variance_of_change(now, before) + variance_of_change(rest, rest_before))


def rest_moments(sides: NowBefore) -> NowBefore:
    """Moments of all rows minus each slice.

    Parameters
    ----------
    sides : NowBefore
        Moments by slice, all rows last.

    Returns
    -------
    NowBefore
    """
    now, before = sides
    return _all_rows(now).less(now), None if before is None else _all_rows(before).less(before)


def _all_rows(sums: SliceMoments) -> SliceMoments:
    """Moments of all rows, repeated for each slice."""
    return SliceMoments(*(np.full_like(each, each[-1]) for each in (sums.n, sums.total, sums.squares, sums.served)))


def comparable_slices(inside: NowBefore, outside: NowBefore, least: int) -> Bools:
    """Mask of the slices with enough rows inside and outside, on both sides, and about the same share of the rows.

    Parameters
    ----------
    inside : NowBefore
        Moments of the slices, now and before.
    outside : NowBefore
        Moments of the rest.
    least : int
        Rows needed.

    Returns
    -------
    Bools
    """
    (now, before), (rest, rest_before) = inside, outside
    kept = (now.n >= least) & (rest.n >= least)
    if before is None or rest_before is None:
        return np.asarray(kept, bool)
    share = now.served / np.maximum(now.served + rest.served, 1)
    then = before.served / np.maximum(before.served + rest_before.served, 1)
    alike = (share <= COMPOSITION * then) & (then <= COMPOSITION * share)
    alike &= (1 - share <= COMPOSITION * (1 - then)) & (1 - then <= COMPOSITION * (1 - share))
    return np.asarray(kept & (before.n >= least) & (rest_before.n >= least) & alike, bool)
