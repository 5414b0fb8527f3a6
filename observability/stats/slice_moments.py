"""How many rows has each slice, and what are the mean and the spread of a number in it, on two sides?

Sums by slice, from which every comparison of stats/slices.py is made; those of the rest are the sums of all rows less those of the slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Codes = NDArray[np.int16]
Kept = NDArray[np.bool_]
SIDES = ("now", "before")
COMPOSITION = 2.5
"""A slice whose share of the rows grew or fell by more is another slice than it was: that is a shift of inputs, told elsewhere."""


@dataclass(frozen=True)
class Cut:
    """A column to slice by: place of each row's level, -1 where it is in none. before: empty where there is none."""

    name: str
    levels: tuple[str, ...]
    now: Codes = field(repr=False)
    before: Codes = field(repr=False)


@dataclass(frozen=True)
class Target:
    """A number of each row whose mean is compared; NaN: not counted. own: names of cuts that would only say the same again."""

    name: str
    now: Floats = field(repr=False)
    before: Floats = field(repr=False)
    own: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Side:
    """Rows, mean and variance of a target in some rows."""

    n: float
    mean: float
    variance: float


@dataclass(frozen=True)
class Moments:
    """Sums by slice (and once for all rows) of a target on one side: rows, Σy, Σy²; `served`: rows whether counted or not."""

    n: Floats
    total: Floats
    squares: Floats
    served: Floats

    def less(self, other: "Moments") -> "Moments":
        """Without some of the rows."""
        return Moments(self.n - other.n, self.total - other.total, self.squares - other.squares, self.served - other.served)

    def at(self, place: int) -> "Moments":
        """Of one slice."""
        return Moments(*(each[place : place + 1] for each in (self.n, self.total, self.squares, self.served)))

    @property
    def mean(self) -> Floats:
        """Σy / n, 0 without rows."""
        return self.total / np.maximum(self.n, 1)

    @property
    def variance(self) -> Floats:
        """Sample variance, never below 0."""
        return np.maximum(self.squares - self.n * self.mean**2, 0.0) / np.maximum(self.n - 1, 1)

    def side(self, place: int = 0) -> Side:
        """One slice as plain numbers."""
        return Side(float(self.n[place]), float(self.mean[place]), float(self.variance[place]))


Pair = tuple[Moments, Moments | None]
"""Now and before."""


class Grid:
    """Which rows are in which single slice, on both sides."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        self.cuts = cuts
        self.of = [(place, level) for place, cut in enumerate(cuts) for level in range(len(cut.levels))]
        self.owner = np.array([place for place, _ in self.of], np.int64)
        first = np.concatenate([[0], np.cumsum([len(cut.levels) for cut in cuts])])
        self.places = {
            side: np.column_stack(
                [np.where(getattr(cut, side) >= 0, getattr(cut, side) + start, len(self.of)) for cut, start in zip(cuts, first)]
            )
            if self.of
            else np.empty((0, 0), np.int64)
            for side in SIDES
        }

    def rows(self, side: str, place: int) -> Kept:
        """Which rows of a side are in a slice."""
        return np.asarray(self.places[side][:, self.of[place][0]] == place, bool)

    def conditions(self, *places: int) -> tuple[tuple[str, str], ...]:
        """The slice or slices as (name, value), sorted."""
        return tuple(
            sorted((self.cuts[self.of[place][0]].name, self.cuts[self.of[place][0]].levels[self.of[place][1]]) for place in places)
        )

    def all_singles(self, targets: Sequence[Target]) -> list[Pair]:
        """Moments of each single slice for every target, of all rows last: one product of matrices a side."""
        sides = [self.many(side, [getattr(target, side) for target in targets]) for side in SIDES]
        return [(now, None if target.before.size == 0 else before) for target, now, before in zip(targets, *sides)]

    def many(self, side: str, values: Sequence[Floats], keep: Kept | None = None) -> list[Moments]:
        """Moments of several targets on one side, among the rows that are kept."""
        places = self.places[side] if keep is None else self.places[side][keep]
        rows = len(places)
        used = [each if keep is None else each[keep] for each in values]
        used = [each if each.size == rows else np.full(rows, np.nan) for each in used]
        there = [np.isfinite(each) for each in used]
        plain = [np.where(known, each, 0.0) for known, each in zip(there, used)]
        columns = [*there, *plain, *(each * each for each in plain), np.ones(rows)]
        weighed = np.column_stack(columns).astype(np.float64)
        inside = csr_array((np.ones(places.size), places.ravel(), np.arange(rows + 1) * places.shape[1]), shape=(rows, len(self.of) + 1))
        sums = inside.T @ weighed
        sums[-1] = weighed.sum(axis=0)
        k = len(used)
        return [Moments(sums[:, i], sums[:, k + i], sums[:, 2 * k + i], sums[:, -1]) for i in range(k)]

    def singles(self, target: Target, keep: tuple[Kept, Kept]) -> Pair:
        """Moments of each single slice among the rows that are kept, of all of these last."""
        now = self.some("now", target.now, keep[0])
        return now, None if target.before.size == 0 else self.some("before", target.before, keep[1])

    def some(self, side: str, values: Floats, keep: Kept) -> Moments:
        """Moments among some rows of one side."""
        chosen = np.flatnonzero(keep)
        y = values[chosen]
        there = np.isfinite(y)
        plain = np.where(there, y, 0.0)
        places, wide = self.places[side][chosen], self.places[side].shape[1]
        flat, size = places.ravel(), len(self.of) + 1
        columns = (there.astype(float), plain, plain * plain, np.ones(chosen.size))
        sums = [np.append(np.bincount(flat, np.repeat(each, wide), size)[:-1], each.sum()) for each in columns]
        return Moments(*sums)

    def allowed(self, target: Target) -> NDArray[np.bool_]:
        """Which slices a target is looked at in."""
        return np.array([self.cuts[place].name not in target.own for place, _ in self.of], bool)

    def pairs(self, target: Target) -> int:
        """How many pairs of levels of two columns there are."""
        sizes = [len(cut.levels) for cut in self.cuts if cut.name not in target.own]
        return sum(a * b for a, b in combinations(sizes, 2))


def variance_of_change(now: Moments, before: Moments | None) -> Floats:
    """Squared standard error of a change of means: of the two sides' own variances and of the pooled one whichever is larger (a side without a single
    hit has no variance of its own).
    """
    own = now.variance / np.maximum(now.n, 1)
    if before is None:
        return own
    pooled = Moments(now.n + before.n, now.total + before.total, now.squares + before.squares, now.served + before.served).variance
    return np.maximum(own + before.variance / np.maximum(before.n, 1), pooled * (1 / np.maximum(now.n, 1) + 1 / np.maximum(before.n, 1)))


def excess_of(inside: Pair, outside: Pair) -> tuple[Floats, Floats]:
    """(change inside less change outside, its standard error)."""
    (now, before), (rest, rest_before) = inside, outside
    excess = now.mean - rest.mean
    if before is None or rest_before is None:
        pooled = Moments(now.n + rest.n, now.total + rest.total, now.squares + rest.squares, now.served).variance
        own = now.variance / np.maximum(now.n, 1) + rest.variance / np.maximum(rest.n, 1)
        return excess, np.sqrt(np.maximum(own, pooled * (1 / np.maximum(now.n, 1) + 1 / np.maximum(rest.n, 1))))
    excess = excess - before.mean + rest_before.mean
    return excess, np.sqrt(variance_of_change(now, before) + variance_of_change(rest, rest_before))


def outside_of(sides: Pair) -> Pair:
    """All rows less each slice; all rows are last."""
    now, before = sides
    return everything(now).less(now), None if before is None else everything(before).less(before)


def everything(sums: Moments) -> Moments:
    """All rows, as often as there are slices."""
    return Moments(*(np.full_like(each, each[-1]) for each in (sums.n, sums.total, sums.squares, sums.served)))


def enough(inside: Pair, outside: Pair, least: int) -> NDArray[np.bool_]:
    """Which slices have rows enough inside and outside, on both sides, and are still of about the same share of the rows."""
    (now, before), (rest, rest_before) = inside, outside
    kept = (now.n >= least) & (rest.n >= least)
    if before is None or rest_before is None:
        return np.asarray(kept, bool)
    share = now.served / np.maximum(now.served + rest.served, 1)
    then = before.served / np.maximum(before.served + rest_before.served, 1)
    alike = (share <= COMPOSITION * then) & (then <= COMPOSITION * share)
    alike &= (1 - share <= COMPOSITION * (1 - then)) & (1 - then <= COMPOSITION * (1 - share))
    return np.asarray(kept & (before.n >= least) & (rest_before.n >= least) & alike, bool)
