"""Search for slices that changed differently from the rest, with every comparison counted.

A slice is one level of a column (a category, a band of a number, a missing value) or two levels of two columns. In each slice the change of
the mean of a target (an error, a missing value, the rank of a feature) is compared with its change in all other rows. So a change that is
common to all rows does not point to any slice. Without an earlier side, the slice is compared with the other rows alone (its peers).

The z of each slice is divided by the square root of an inflation: the median of z² over all slices of the target, divided by its value by
chance. Seasons that move slices apart inflate all slices, while a fault inflates only its own slice (genomic control: Devlin and Roeder
1999). Rows within a day are correlated (stats/slice_days.py). All comparisons are counted: every slice by every target, and also pairs that
were never formed. P-values are adjusted for any dependence between them (Benjamini and Yekutieli 2001). The targets that the caller names
as a family share half of the budget, all other targets the other half, so that the few errors are not penalized for the many columns. The
shortest rule wins: a pair is reported only if the rest of each parent changed by less than half as much.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri, stdtrit

from observability.stats.interval import two_sided_p_value
from observability.stats.multiple_testing import benjamini_yekutieli
from observability.stats.slice_days import MANY, SliceDesign, independent_design, slice_design
from observability.stats.slice_moments import (
    Cut,
    Floats,
    Mask,
    NowBefore,
    SliceGrid,
    SliceMoments,
    SliceSide,
    SliceTarget,
    comparable_slices,
    excess_change,
    rest_moments,
    variance_of_change,
)

MIN_ROWS, MAX_REPORTED, PARENTS, SHOWN = 100, 3, 8, 12
"""Minimum number of rows of a slice on each side; maximum number of reported slices of one target; number of single slices of a target with
which pairs are formed; number of single slices that are returned in any case.
"""
PAIR_FROM, APART, CONCENTRATED = 2.5, 4.0, 0.5
"""Minimum z of a parent to form pairs; minimum z of a pair against the rest of each parent; maximum share of the pair's change that the
rest may have.
"""
MEDIAN_SQUARE = 0.4549
"""Median of z² by chance."""
WIDE = 1.5
"""If a target has at least this inflation, it is checked whether one slice alone causes it: without the rows of that slice, the inflation
must be below this.
"""
ENOUGH_SLICES = 10
"""Minimum number of slices for a target to have its own inflation; with fewer, the inflation of all targets is used."""
Adjust = Callable[[float], float]
"""A function from a p-value to its adjusted p-value."""


@dataclass(frozen=True)
class SliceComparison:
    """A slice and the rest, now and before (None if there is no earlier side)."""

    now: SliceSide
    before: SliceSide | None
    rest_now: SliceSide
    rest_before: SliceSide | None


@dataclass(frozen=True)
class ChangedSlice(SliceComparison):
    """A slice that changed differently from the rest.

    excess: change in the slice minus change in the rest (without an earlier side: slice minus rest); low, high: its 95 % interval,
    inflation included. error: standard error of the excess from rows and days, without the inflation; freedom: its degrees of freedom.
    coverage: share of the whole change that lies in the slice, 0 to 1 (without an earlier side: share of the excess over the rest's mean).
    share: share of the rows whose value is known. peeled: slices found earlier for the same target; their rows are left out of these
    figures.
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
    error: float = 0.0
    freedom: float = float("inf")
    peeled: tuple["ChangedSlice", ...] = ()

    @property
    def change(self) -> float:
        """Change of the slice, or its distance from the rest if there is no earlier side."""
        return self.now.mean - (self.rest_now.mean if self.before is None else self.before.mean)

    @property
    def rest_change(self) -> float:
        """The change of the other rows; 0 if there is no earlier side."""
        return 0.0 if self.rest_before is None else self.rest_now.mean - self.rest_before.mean


@dataclass(frozen=True)
class SliceSearch:
    """found: the slices found, best first. looks: number of comparisons counted (single slices, pairs). inflation: inflation of each
    target. single: the strongest single slices of the targets that are shown, significant or not.
    """

    found: tuple[ChangedSlice, ...]
    looks: tuple[int, int]
    inflation: dict[str, float]
    single: dict[str, tuple[ChangedSlice, ...]]


def search_slices(
    cuts: Sequence[Cut],
    targets: Sequence[SliceTarget],
    days: Floats | None = None,
    *,
    least: int = MIN_ROWS,
    most: int = MAX_REPORTED,
    pairs: bool = True,
    shown: Collection[str] | None = None,
    listed: int = SHOWN,
    family: Collection[str] = (),
) -> SliceSearch:
    """Slices of `cuts` in which a target changed differently from the rest, at most `most` of each target, by z.

    The slices returned are not tested yet: they carry `p_adjusted`, and the caller applies limits to it and to the size of the effect. Of
    several overlapping slices, only the strongest is returned, because its rows are left out of the search for the next one.

    Parameters
    ----------
    cuts : Sequence[Cut]
        Columns to slice by.
    targets : Sequence[SliceTarget]
        Numbers whose means are compared.
    days : Floats | None
        Day number of each row now; None for independent rows.
    least : int
        Rows that a slice needs on each side.
    most : int
        Slices of each target at most.
    pairs : bool
        Search pairs of levels too.
    shown : Collection[str] | None
        Targets whose strongest single slices are returned as well; None for all.
    listed : int
        Single slices of such a target that are returned at most.
    family : Collection[str]
        Targets whose comparisons are adjusted by themselves, at half of the budget; the others share the other half.

    Returns
    -------
    SliceSearch

    References
    ----------
    * Devlin and Roeder (1999), Genomic control for association studies.
    * Benjamini and Yekutieli (2001), The control of the false discovery rate in multiple testing under dependency.
    """
    grid = SliceGrid(cuts)
    singles = grid.all_singles(targets)
    designs, present = [independent_design(len(grid.of)) for _ in targets], np.ones(len(grid.of), bool)
    if days is not None and targets:
        designs, present = slice_design(grid, targets, days, [now for now, _ in singles])
    scored = [
        by.standard(np.where(present, _slice_scores(single, grid, target, least), np.nan))
        for single, target, by in zip(singles, targets, designs)
    ]
    inflation = _inflations([_scores_among_siblings(sides, z, by, grid) for sides, z, by in zip(singles, scored, designs)])
    for place, (target, sides, z, by) in enumerate(zip(targets, singles, scored, designs, strict=True)):
        if inflation[place] > WIDE:
            left = _inflation_without_strongest(target, grid, by, np.where(_own_changes(sides), z, np.nan), least)
            inflation[place] = left if left <= WIDE else inflation[place]
    tested = [np.abs(each / np.sqrt(by)) for each, by in zip(scored, inflation)]
    looks = (sum(int((~np.isnan(each)).sum()) for each in tested), sum(grid.pairs(target) for target in targets) if pairs else 0)
    adjustments = _adjustments(grid, targets, tested, family)
    found: list[ChangedSlice] = []
    every: dict[str, tuple[ChangedSlice, ...]] = {}
    for target, sides, z, by, wider in zip(targets, singles, tested, designs, inflation):
        finder = SliceFinder(target, grid, by, wider, present, least)
        adjust, adjust_pair = adjustments[target.name in family]
        if shown is None or target.name in shown:
            strongest = [int(place) for place in np.argsort(-np.nan_to_num(z), kind="stable")[:listed] if not np.isnan(z[place])]
            every[target.name] = tuple(finder.found(sides, (place,), adjust) for place in strongest)
        found += finder.peeled(sides, most, adjust, adjust_pair if pairs else None)
    order = sorted(found, key=lambda each: (each.p_adjusted, -abs(each.z), len(each.conditions), each.target, each.conditions))
    return SliceSearch(tuple(order), looks, {target.name: by for target, by in zip(targets, inflation)}, every)


def _adjustments(
    grid: SliceGrid, targets: Sequence[SliceTarget], tested: Sequence[Floats], family: Collection[str]
) -> dict[bool, tuple[Adjust, Adjust]]:
    """The adjustments for p-values of single slices and of pairs, by whether a target belongs to the named family.

    If both families have targets, each family has half of the budget, so its adjusted p-values are doubled.
    """
    members = [target.name in family for target in targets]
    share = len(set(members)) or 1
    found = {}
    for own in (False, True):
        scores = [z[~np.isnan(z)] for z, member in zip(tested, members, strict=True) if member == own]
        p_values = two_sided_p_value(np.concatenate(scores)) if scores else np.empty(0)
        pairs = sum(grid.pairs(target) for target, member in zip(targets, members, strict=True) if member == own)
        adjusters = benjamini_yekutieli(p_values, max(p_values.size, 1)), benjamini_yekutieli(np.empty(0), max(pairs, 1))
        found[own] = _times(adjusters[0], share), _times(adjusters[1], share)
    return found


def _times(adjust: Adjust, share: int) -> Adjust:
    """An adjustment of p-values that multiplies them by the number of families (`share`) that share the budget."""
    return lambda p: min(share * adjust(p), 1.0)


def _slice_scores(sides: NowBefore, grid: SliceGrid, target: SliceTarget, least: int) -> Floats:
    """Standard score of each single slice, NaN if it is not compared."""
    if not grid.of:
        return np.empty(0)
    outside = rest_moments(sides)
    excess, error = excess_change(sides, outside)
    z = np.where(error > 0, excess / np.where(error > 0, error, 1.0), 0.0)
    looked = comparable_slices(sides, outside, least)[:-1] & grid.allowed(target)
    return np.where(looked, z[:-1], np.nan)


def _scores_among_siblings(sides: NowBefore, z: Floats, by: SliceDesign, grid: SliceGrid) -> Floats:
    """Standard score of each slice's own change against the median of the levels of its column. The inflation is estimated from these
    scores.

    A fault of one level changes the rest of all other levels, but not the median. Slices of columns with two levels get the score 0.
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


def _inflations(scores: Sequence[Floats]) -> list[float]:
    """Inflation of each target, at least 1."""
    of_all = _inflation(np.concatenate(scores)) if any(score.size for score in scores) else 1.0
    return [_inflation(score) if score.size >= ENOUGH_SLICES else of_all for score in scores]


def _inflation_without_strongest(target: SliceTarget, grid: SliceGrid, by: SliceDesign, z: Floats, least: int) -> float:
    """Smallest inflation that remains if the rows of one of the strongest slices are left out.

    Columns are correlated (a carrier and its airports), so a fault of one level moves most levels of another column. The inflation that
    remains without the rows of that level comes from seasons.
    """
    found = []
    for place in (int(each) for each in np.argsort(-np.abs(np.nan_to_num(z)), kind="stable")[:MAX_REPORTED]):
        kept = ~grid.rows("now", place), ~grid.rows("before", place) if target.before.size else np.ones(0, bool)
        sides = grid.singles(target, kept)
        found.append(_inflation(_scores_among_siblings(sides, by.standard(_slice_scores(sides, grid, target, least)), by, grid)))
    return min(found)


def _inflation(z: Floats) -> float:
    """Median of z² divided by its value by chance, at least 1; slices in which nothing can vary are ignored."""
    moving = z[z != 0]
    return max(1.0, float(np.median(moving**2)) / MEDIAN_SQUARE) if moving.size >= ENOUGH_SLICES else 1.0


@dataclass(frozen=True)
class SliceFinder:
    """Search of the slices of one target.

    design, inflation: factors on the variance of each single slice's excess beyond its rows. present: mask of the slices that are
    compared.
    """

    target: SliceTarget
    grid: SliceGrid
    design: SliceDesign
    inflation: float
    present: Mask
    least: int

    def standard(self, z: Floats, places: tuple[int, ...] | slice = slice(None)) -> Floats:
        """Standard score beyond what days and seasons explain."""
        return self.design.standard(z, places if isinstance(places, slice) else list(places)) / np.sqrt(self.inflation)

    def found(self, sides: NowBefore, places: tuple[int, ...], adjust: Adjust) -> ChangedSlice:
        """A single slice, or a pair of slices; for a pair, `sides` hold the second slice inside the first. The last place of `sides` is
        all rows.
        """
        now, before = sides
        place, last = places[-1], now.n.size - 1
        inside = now.at(place), None if before is None else before.at(place)
        outside = now.at(last).less(inside[0]), None if before is None or inside[1] is None else before.at(last).less(inside[1])
        (excess,), (error,) = excess_change(inside, outside)
        z = float(self.standard(np.array([excess / error]), places)[0]) if error > 0 else 0.0
        p = float(two_sided_p_value(np.array([z]))[0])
        wide, freedom = self.design.factor[list(places)].max(), self.design.freedom[list(places)].min()
        reach = float((ndtri(0.975) if freedom > MANY else stdtrit(freedom, 0.975)) * error * np.sqrt(wide * self.inflation))
        held = SliceComparison(
            inside[0].side(),
            None if inside[1] is None else inside[1].side(),
            outside[0].side(),
            None if outside[1] is None else outside[1].side(),
        )
        return ChangedSlice(
            **vars(held),
            target=self.target.name,
            conditions=self.grid.conditions(*places),
            excess=float(excess),
            low=float(excess) - reach,
            high=float(excess) + reach,
            z=z,
            p_value=p,
            p_adjusted=adjust(p),
            coverage=change_coverage(held),
            share=float(inside[0].n[0] / max(now.n[-1], 1.0)),
            error=float(error * np.sqrt(wide)),
            freedom=float(freedom),
        )

    def peeled(self, sides: NowBefore, most: int, adjust: Adjust, adjust_pair: Adjust | None) -> list[ChangedSlice]:
        """The best slice, then the best slice among the remaining rows, and so on, as long as each exceeds chance."""
        kept = np.ones(self.target.now.size, bool), np.ones(self.target.before.size, bool)
        found: list[ChangedSlice] = []
        while len(found) < most:
            best = self.best(sides, kept, adjust, adjust_pair)
            if best is None or best[0].p_adjusted >= 1:
                break
            found.append(replace(best[0], peeled=tuple(found)))
            inside = self.rows(best[1], kept)
            kept = kept[0] & ~inside[0], kept[1] & ~inside[1]
            sides = self.grid.singles(self.target, kept)
        return found

    def best(
        self, sides: NowBefore, kept: tuple[Mask, Mask], adjust: Adjust, adjust_pair: Adjust | None
    ) -> tuple[ChangedSlice, tuple[int, ...]] | None:
        """The strongest slice whose change is its own, and its places; or a pair, if the pair beats its parents."""
        z = np.abs(np.nan_to_num(self.standard(_slice_scores(sides, self.grid, self.target, self.least)))) * self.present
        order = [int(place) for place in np.argsort(-z, kind="stable") if z[place] >= PAIR_FROM]
        single = next((each for each in (self.found(sides, (place,), adjust) for place in order) if is_own_change(each)), None)
        pair = None if adjust_pair is None else self.best_pair(sides, kept, order[:PARENTS], adjust_pair)
        if pair is not None and (single is None or _replaces(pair[0], single)):
            return pair
        return None if single is None else (single, tuple(place for place in order if self.grid.conditions(place) == single.conditions))

    def rows(self, places: Sequence[int], kept: tuple[Mask, Mask]) -> tuple[Mask, Mask]:
        """The kept rows that are in all these slices, on both sides."""
        now, before = kept
        for place in places:
            now = now & self.grid.rows("now", place)
            before = before & self.grid.rows("before", place) if before.size else before
        return now, before

    def best_pair(
        self, sides: NowBefore, kept: tuple[Mask, Mask], parents: Sequence[int], adjust: Adjust
    ) -> tuple[ChangedSlice, tuple[int, ...]] | None:
        """The strongest pair of a parent and a level of another column whose change exceeds the change of the rest of either parent."""
        best: tuple[ChangedSlice, tuple[int, ...]] | None = None
        for parent in parents:
            inside = _pair_moments(self.grid.singles(self.target, self.rows((parent,), kept)), sides)
            outside = rest_moments(inside)
            others = (self.grid.owner != self.grid.owner[parent]) & self.grid.allowed(self.target) & self.present
            looked = np.append(others, False) & comparable_slices(inside, outside, self.least)
            excess, error = excess_change(inside, outside)
            raw = np.where(looked & (error > 0), np.abs(excess) / np.where(error > 0, error, 1.0), 0.0)
            z = self.standard(raw[:-1])
            for place in (int(each) for each in np.argsort(-z, kind="stable")[:3]):
                if z[place] < PAIR_FROM or (best is not None and z[place] <= abs(best[0].z)):
                    break
                found = self.found(inside, (parent, place), adjust)
                if is_own_change(found) and all(self.beats(inside, place, sides, one) for one in (parent, place)):
                    best = found, (parent, place)
        return best

    def beats(self, pair: NowBefore, place: int, singles: NowBefore, parent: int) -> bool:
        """Whether a pair changed significantly more than the remaining rows of one of its parents."""
        now, before = pair[0].at(place), None if pair[1] is None else pair[1].at(place)
        left = singles[0].at(parent).less(now)
        left_before = None if before is None or singles[1] is None else singles[1].at(parent).less(before)
        if left.n[0] < 1 or (left_before is not None and left_before.n[0] < 1):
            return False
        (excess,), (error,) = excess_change((now, before), (left, left_before))
        apart = error > 0 and abs(self.standard(np.array([excess / error]), (parent,))[0]) >= APART
        if before is None or left_before is None:
            return bool(apart)
        moved, moved_left = now.mean[0] - before.mean[0], left.mean[0] - left_before.mean[0]
        return bool(apart and moved_left * np.sign(moved) <= CONCENTRATED * abs(moved))


def _pair_moments(pairs: NowBefore, sides: NowBefore) -> NowBefore:
    """Moments of pairs; the last place holds the moments of all rows, not only of the parent's rows."""
    now, before = pairs
    return _with_all(now, sides[0]), None if before is None or sides[1] is None else _with_all(before, sides[1])


def _with_all(part: SliceMoments, whole: SliceMoments) -> SliceMoments:
    """Moments of `part`, with the last place replaced by the last place of `whole`."""
    columns = ((part.n, whole.n), (part.total, whole.total), (part.squares, whole.squares), (part.served, whole.served))
    return SliceMoments(*(np.append(mine[:-1], others[-1]) for mine, others in columns))


def _replaces(pair: ChangedSlice, single: ChangedSlice) -> bool:
    """Whether a pair that beats its parents is reported before the best single slice: it is if that slice is one of its parents, or is
    weaker.
    """
    return set(single.conditions) < set(pair.conditions) or abs(pair.z) > abs(single.z)


def is_own_change(found: ChangedSlice) -> bool:
    """Whether the change is the slice's own, and not a change of the rest.

    This is so if the rest moved by less than half as much in the same direction, or by less than twice as much in the opposite direction.
    If the slice stayed and the rest moved, the slice did not change.

    Parameters
    ----------
    found : ChangedSlice
        A slice and the rest.

    Returns
    -------
    bool
    """
    return bool(_own(np.array([found.change]), np.array([found.rest_change]))[0])


def _own(change: Floats, rest: Floats) -> Mask:
    """`is_own_change` for arrays: changes of slices, and changes of their rests."""
    along = rest * np.sign(change)
    return np.asarray((along <= CONCENTRATED * np.abs(change)) & (-along * CONCENTRATED <= np.abs(change)) & (change != 0), bool)


def _own_changes(sides: NowBefore) -> Mask:
    """`is_own_change` for every single slice; without an earlier side it is True for all."""
    now, before = sides
    rest_now, rest_before = rest_moments(sides)
    if before is None or rest_before is None:
        return np.ones(now.n.size - 1, bool)
    change, rest = ((after.mean - then.mean)[:-1] for after, then in ((now, before), (rest_now, rest_before)))
    return _own(change, rest)


def change_coverage(held: SliceComparison) -> float:
    """Share of the whole change that lies in the slice: its change times its rows, divided by the sum of this product over all rows that
    moved in the same direction.

    Parameters
    ----------
    held : SliceComparison
        A slice and the rest.

    Returns
    -------
    float
        Without a before, the slice's share of the total.
    """
    if held.before is None or held.rest_before is None:
        inside, outside = held.now.n * held.now.mean, held.rest_now.n * held.rest_now.mean
    else:
        inside, outside = held.now.n * (held.now.mean - held.before.mean), held.rest_now.n * (held.rest_now.mean - held.rest_before.mean)
    if inside * outside <= 0:
        return 1.0 if inside else 0.0
    return inside / (inside + outside)
