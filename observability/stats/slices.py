"""Which slices of the rows changed otherwise than the rest, counting every look?

A slice is one level of a column (a category, a band of a number, a missing value) or two levels of two columns. In each slice the mean of a target
(an error, whether a value is missing, the rank of a feature) now is held against the same slice before, less the same change in all other
rows: what moved everywhere names no slice. Without a before, the slice is held against the other rows alone (its peers).

Sure enough: the z of each slice is divided by the root of an inflation, the median of z² over all slices of the target against what chance gives.
Seasons that move slices apart inflate all of them, a fault only its own (genomic control: Devlin and Roeder 1999). Rows of one day are not
taken for independent (stats/slice_days.py). Looks
are counted whole, every slice by every target, also pairs that were never formed, and p-values adjusted for any dependence between them
(Benjamini and Yekutieli 2001). The shortest rule wins: a pair is named only where what is left of either parent changed by less than half as much.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from observability.stats.multiple import adjusted_any
from observability.stats.slice_days import MANY, Design, design, independent
from observability.stats.slice_moments import (
    Cut,
    Floats,
    Grid,
    Kept,
    Moments,
    Pair,
    Side,
    Target,
    enough,
    excess_of,
    outside_of,
    variance_of_change,
)

LEAST, MOST, PARENTS, SHOWN = 100, 3, 8, 12
"""Rows of a slice on each side; slices that are named of one target at most; single slices of a target that pairs are formed with, and that are
given whatever they say."""
PAIR_FROM, APART, CONCENTRATED = 2.5, 4.0, 0.5
"""z of a parent from which pairs are looked at; z of a pair against what is left of each parent; how much of its change the rest may have."""
MEDIAN_SQUARE = 0.4549
"""Median of z² by chance."""
WIDE = 1.5
"""Inflation of a target from which it is asked whether one slice alone makes it: without its rows there has to be less than this."""
ENOUGH_SLICES = 10
"""Slices of a target from which its own inflation is told; below, that of all targets is taken."""


@dataclass(frozen=True)
class Compared:
    """A slice and the rest, now and before (None: there is none)."""

    now: Side
    before: Side | None
    rest_now: Side
    rest_before: Side | None


@dataclass(frozen=True)
class Found(Compared):
    """One slice that changed otherwise than the rest.

    excess: change in the slice less change in the rest (without a before: slice less rest), low, high: its 95 % interval, inflation included.
    coverage: share of the whole change (without a before: of the excess over the rest's mean) that sits in the slice, 0 to 1. share: of the rows.
    """

    target: str
    conditions: tuple[tuple[str, str], ...]
    excess: float
    low: float
    high: float
    z: float
    p_value: float
    p_adjusted: float
    coverage: float
    share: float

    @property
    def change(self) -> float:
        """How far the slice moved (without a before: how far it is from the rest)."""
        return self.now.mean - (self.rest_now.mean if self.before is None else self.before.mean)

    @property
    def rest_change(self) -> float:
        """How far the rest moved."""
        return 0.0 if self.rest_before is None else self.rest_now.mean - self.rest_before.mean


@dataclass(frozen=True)
class Search:
    """What a search found, best first; the looks it counted (single slices, pairs); inflation by target; the strongest single slices of the targets that are shown, whatever they say."""

    found: tuple[Found, ...]
    looks: tuple[int, int]
    inflation: dict[str, float]
    single: dict[str, tuple[Found, ...]]


def search(
    cuts: Sequence[Cut],
    targets: Sequence[Target],
    days: Floats | None = None,
    *,
    least: int = LEAST,
    most: int = MOST,
    pairs: bool = True,
    shown: Collection[str] | None = None,
) -> Search:
    """The slices of `cuts` in which a target changed otherwise than in the rest, at most `most` of each target, by z.

    days: a number of the day of each row now; None: they are independent. What is returned passed no test yet: it carries `p_adjusted`, and the
    caller holds it and the size of the effect against limits. A slice needs `least` counted rows on each side, and rows on several days; of several
    slices that say the same the strongest alone is given (its rows are left out when the next is sought). shown: the targets whose strongest single
    slices are given as well (None: all).
    """
    grid = Grid(cuts)
    singles = grid.all_singles(targets)
    designs, present = [independent(len(grid.of)) for _ in targets], np.ones(len(grid.of), bool)
    if days is not None and targets:
        designs, present = design(grid, targets, days, [now for now, _ in singles])
    scored = [
        by.standard(np.where(present, score(each, grid, target, least), np.nan)) for each, target, by in zip(singles, targets, designs)
    ]
    inflation = inflations([beside_siblings(sides, z, by, grid) for sides, z, by in zip(singles, scored, designs)])
    for place, (target, sides, z, by) in enumerate(zip(targets, singles, scored, designs, strict=True)):
        if inflation[place] > WIDE:
            left = without_strongest(target, grid, by, np.where(own_changes(sides), z, np.nan), least)
            inflation[place] = left if left <= WIDE else inflation[place]
    tested = [np.abs(each / np.sqrt(by)) for each, by in zip(scored, inflation)]
    looks = (sum(int((~np.isnan(each)).sum()) for each in tested), sum(grid.pairs(target) for target in targets) if pairs else 0)
    p_values = np.concatenate([two_sided(each[~np.isnan(each)]) for each in tested]) if tested else np.empty(0)
    adjust = adjusted_any(p_values, max(looks[0], 1))
    adjust_pair = adjusted_any(np.empty(0), max(looks[1], 1))
    found: list[Found] = []
    every: dict[str, tuple[Found, ...]] = {}
    for target, sides, z, by, wider in zip(targets, singles, tested, designs, inflation):
        finder = Finder(target, grid, by, wider, present, least)
        if shown is None or target.name in shown:
            strongest = [int(place) for place in np.argsort(-np.nan_to_num(z), kind="stable")[:SHOWN] if not np.isnan(z[place])]
            every[target.name] = tuple(finder.found(sides, (place,), adjust) for place in strongest)
        found += finder.peeled(sides, most, adjust, adjust_pair if pairs else None)
    order = sorted(found, key=lambda each: (each.p_adjusted, -abs(each.z), len(each.conditions), each.target, each.conditions))
    return Search(tuple(order), looks, {target.name: by for target, by in zip(targets, inflation)}, every)


def score(sides: Pair, grid: Grid, target: Target, least: int) -> Floats:
    """The z of each single slice, NaN where it is not looked at."""
    if not grid.of:
        return np.empty(0)
    outside = outside_of(sides)
    excess, error = excess_of(sides, outside)
    z = np.where(error > 0, excess / np.where(error > 0, error, 1.0), 0.0)
    looked = enough(sides, outside, least)[:-1] & grid.allowed(target)
    return np.where(looked, z[:-1], np.nan)


def beside_siblings(sides: Pair, z: Floats, by: Design, grid: Grid) -> Floats:
    """The z of each slice's own change against the middle one of the levels of its column, by which inflation is told: a fault of one level moves the
    rest of all others, but not the middle. Columns of two levels have none.
    """
    now, before = sides
    change = (now.mean - (0.0 if before is None else before.mean))[:-1]
    error = np.sqrt(variance_of_change(now, before)[:-1])
    found = np.zeros(len(grid.of))
    for owner in range(len(grid.cuts)):
        mine = np.flatnonzero((grid.owner == owner) & ~np.isnan(z))
        if mine.size > 2:
            found[mine] = (change[mine] - np.median(change[mine])) / np.where(error[mine] > 0, error[mine], np.inf)
    return by.standard(found)


def inflations(scores: Sequence[Floats]) -> list[float]:
    """How much wider z is spread than by chance, for each target; at least 1."""
    of_all = spread_of(np.concatenate(scores)) if any(each.size for each in scores) else 1.0
    return [spread_of(each) if each.size >= ENOUGH_SLICES else of_all for each in scores]


def without_strongest(target: Target, grid: Grid, by: Design, z: Floats, least: int) -> float:
    """How much wider z is spread than by chance among the rows that are not in one of the strongest slices, the least of them. Columns go together (a carrier and where it
    flies), so a fault of one level moves most levels of another column; what is left without its rows is what seasons do.
    """
    found = []
    for place in (int(each) for each in np.argsort(-np.abs(np.nan_to_num(z)), kind="stable")[:MOST]):
        kept = ~grid.rows("now", place), ~grid.rows("before", place) if target.before.size else np.ones(0, bool)
        sides = grid.singles(target, kept)
        found.append(spread_of(beside_siblings(sides, by.standard(score(sides, grid, target, least)), by, grid)))
    return min(found)


def spread_of(z: Floats) -> float:
    """Median of z² against that of chance, at least 1; slices in which nothing can vary count for nothing."""
    moving = z[z != 0]
    return max(1.0, float(np.median(moving**2)) / MEDIAN_SQUARE) if moving.size >= ENOUGH_SLICES else 1.0


def two_sided(z: Floats) -> Floats:
    """How often chance gives so large a z."""
    return np.asarray(2 * ndtr(-np.abs(z)), float)


Adjust = Callable[[float], float]


@dataclass(frozen=True)
class Finder:
    """Looks for the slices of one target. design, inflation: by how much the variance of each single slice's excess is wider than its rows alone say.
    present: which slices are looked at.
    """

    target: Target
    grid: Grid
    design: Design
    inflation: float
    present: Kept
    least: int

    def standard(self, z: Floats, places: tuple[int, ...] | slice = slice(None)) -> Floats:
        """The z beyond what days and seasons explain."""
        return self.design.standard(z, places if isinstance(places, slice) else list(places)) / np.sqrt(self.inflation)

    def found(self, sides: Pair, places: tuple[int, ...], adjust: Adjust) -> Found:
        """A single slice, or a pair (`sides` are then those of the last place inside the first), all rows last."""
        now, before = sides
        place, last = places[-1], now.n.size - 1
        inside = now.at(place), None if before is None else before.at(place)
        outside = now.at(last).less(inside[0]), None if before is None or inside[1] is None else before.at(last).less(inside[1])
        (excess,), (error,) = excess_of(inside, outside)
        z = float(self.standard(np.array([excess / error]), places)[0]) if error > 0 else 0.0
        p = float(two_sided(np.array([z]))[0])
        wide, freedom = self.design.factor[list(places)].max(), self.design.freedom[list(places)].min()
        reach = float((ndtri(0.975) if freedom > MANY else stdtrit(freedom, 0.975)) * error * np.sqrt(wide * self.inflation))
        held = Compared(
            inside[0].side(),
            None if inside[1] is None else inside[1].side(),
            outside[0].side(),
            None if outside[1] is None else outside[1].side(),
        )
        return Found(
            target=self.target.name,
            conditions=self.grid.conditions(*places),
            now=held.now,
            before=held.before,
            rest_now=held.rest_now,
            rest_before=held.rest_before,
            excess=float(excess),
            low=float(excess) - reach,
            high=float(excess) + reach,
            z=z,
            p_value=p,
            p_adjusted=adjust(p),
            coverage=coverage(held),
            share=float(inside[0].served[0] / max(now.served[-1], 1.0)),
        )

    def peeled(self, sides: Pair, most: int, adjust: Adjust, adjust_pair: Adjust | None) -> list[Found]:
        """The best slice, then the best of the rows that are left, while each is more than chance would show at all."""
        kept = np.ones(self.target.now.size, bool), np.ones(self.target.before.size, bool)
        found: list[Found] = []
        while len(found) < most:
            best = self.best(sides, kept, adjust, adjust_pair)
            if best is None or best[0].p_adjusted >= 1:
                break
            found.append(best[0])
            inside = self.rows(best[1], kept)
            kept = kept[0] & ~inside[0], kept[1] & ~inside[1]
            sides = self.grid.singles(self.target, kept)
        return found

    def best(
        self, sides: Pair, kept: tuple[Kept, Kept], adjust: Adjust, adjust_pair: Adjust | None
    ) -> tuple[Found, tuple[int, ...]] | None:
        """The strongest slice whose change is its own, and its places; a pair where it beats its parents."""
        z = np.abs(np.nan_to_num(self.standard(score(sides, self.grid, self.target, self.least)))) * self.present
        order = [int(place) for place in np.argsort(-z, kind="stable") if z[place] >= PAIR_FROM]
        single = next((each for each in (self.found(sides, (place,), adjust) for place in order) if own_change(each)), None)
        pair = None if adjust_pair is None else self.best_pair(sides, kept, order[:PARENTS], adjust_pair)
        if pair is not None and (single is None or replaces(pair[0], single)):
            return pair
        return None if single is None else (single, tuple(place for place in order if self.grid.conditions(place) == single.conditions))

    def rows(self, places: Sequence[int], kept: tuple[Kept, Kept]) -> tuple[Kept, Kept]:
        """Those of the kept rows that are in all these slices, on both sides."""
        now, before = kept
        for place in places:
            now = now & self.grid.rows("now", place)
            before = before & self.grid.rows("before", place) if before.size else before
        return now, before

    def best_pair(
        self, sides: Pair, kept: tuple[Kept, Kept], parents: Sequence[int], adjust: Adjust
    ) -> tuple[Found, tuple[int, ...]] | None:
        """The strongest pair of a parent and another level that changed by itself, beyond what is left of either parent."""
        best: tuple[Found, tuple[int, ...]] | None = None
        for parent in parents:
            inside = joined(self.grid.singles(self.target, self.rows((parent,), kept)), sides)
            outside = outside_of(inside)
            others = (self.grid.owner != self.grid.owner[parent]) & self.grid.allowed(self.target) & self.present
            looked = np.append(others, False) & enough(inside, outside, self.least)
            excess, error = excess_of(inside, outside)
            raw = np.where(looked & (error > 0), np.abs(excess) / np.where(error > 0, error, 1.0), 0.0)
            z = self.standard(raw[:-1])
            for place in (int(each) for each in np.argsort(-z, kind="stable")[:3]):
                if z[place] < PAIR_FROM or (best is not None and z[place] <= abs(best[0].z)):
                    break
                found = self.found(inside, (parent, place), adjust)
                if own_change(found) and all(self.beats(inside, place, sides, each) for each in (parent, place)):
                    best = found, (parent, place)
        return best

    def beats(self, pair: Pair, place: int, singles: Pair, parent: int) -> bool:
        """Whether a pair changed clearly more than what is left of one of its parents."""
        now, before = pair[0].at(place), None if pair[1] is None else pair[1].at(place)
        left = singles[0].at(parent).less(now)
        left_before = None if before is None or singles[1] is None else singles[1].at(parent).less(before)
        if left.n[0] < 1 or (left_before is not None and left_before.n[0] < 1):
            return False
        (excess,), (error,) = excess_of((now, before), (left, left_before))
        apart = error > 0 and abs(self.standard(np.array([excess / error]), (parent,))[0]) >= APART
        if before is None or left_before is None:
            return bool(apart)
        moved, moved_left = now.mean[0] - before.mean[0], left.mean[0] - left_before.mean[0]
        return bool(apart and moved_left * np.sign(moved) <= CONCENTRATED * abs(moved))


def joined(pairs: Pair, sides: Pair) -> Pair:
    """Moments of pairs, with those of all rows (not of the parent's) last."""
    now, before = pairs
    return with_all(now, sides[0]), None if before is None or sides[1] is None else with_all(before, sides[1])


def with_all(part: Moments, whole: Moments) -> Moments:
    """Some moments, with the last of others in the place of their last."""
    columns = ((part.n, whole.n), (part.total, whole.total), (part.squares, whole.squares), (part.served, whole.served))
    return Moments(*(np.append(mine[:-1], others[-1]) for mine, others in columns))


def replaces(pair: Found, single: Found) -> bool:
    """Whether a pair that beats its parents is named before the best single slice: one of its parents, or a weaker one."""
    return set(single.conditions) < set(pair.conditions) or abs(pair.z) > abs(single.z)


def own_change(found: Found) -> bool:
    """Whether the change is the slice's own: the rest moved by less than half as much the same way."""
    return found.rest_change * np.sign(found.change) <= CONCENTRATED * abs(found.change) and found.change * found.excess > 0


def own_changes(sides: Pair) -> Kept:
    """The same of every single slice; without a before all are their own."""
    now, before = sides
    rest_now, rest_before = outside_of(sides)
    if before is None or rest_before is None:
        return np.ones(now.n.size - 1, bool)
    change, rest = ((after.mean - then.mean)[:-1] for after, then in ((now, before), (rest_now, rest_before)))
    return np.asarray((rest * np.sign(change) <= CONCENTRATED * np.abs(change)) & (change * (change - rest) > 0), bool)


def coverage(held: Compared) -> float:
    """Share of the whole change that sits in the slice: its change times its rows, against that of all rows that moved the same way. Without a before:
    its share of the total.
    """
    if held.before is None or held.rest_before is None:
        inside, outside = held.now.n * held.now.mean, held.rest_now.n * held.rest_now.mean
    else:
        inside, outside = held.now.n * (held.now.mean - held.before.mean), held.rest_now.n * (held.rest_now.mean - held.rest_before.mean)
    if inside * outside <= 0:
        return 1.0 if inside else 0.0
    return inside / (inside + outside)
