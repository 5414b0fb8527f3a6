"""How far is a column from the reference, and from its own past, in the window and in its last days; and how far does it stray by itself?

The window, its last 1, 3 and 7 days are looked at side by side, from the same counts by day: a fault of yesterday shows in the last day while the
week still dilutes it. Each look has its own null: what rows give by chance, and what days of the past add to that (stats/dispersion.py). Last days are
whole days, for half a day holds other hours; looks shorter than a week are held against the same weekdays of the past. A column that the rows of a day
share (the weekday, the month, the weather) moves with the calendar: it has to go farther from the reference than as many days of the past went.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from observability.detection.onset import Since, since
from observability.metrics.histograms import Axis, Daily, Side, grouped
from observability.stats import distance
from observability.stats.dispersion import ENDLESS, LEAST_DAYS, Null, Variation, middle, psi_null, share_left, variation
from observability.stats.interval import effective_n
from observability.stats.levels import Compared, wildest

LOOKS = (1, 3, 7)
PAST_DAYS = 28
WEEK = 7
MINIMUM_ROWS = 100
LEAST_SHARE = 1e-3
"""Of a group, so that one that was empty does not decide alone on which day it began."""
MOST_REFERENCE_DAYS = 90
VARIES = 0.99
"""What a clean window stays under in so many of the cases is what a column varies up to by itself."""
OF_THE_DAY = 0.5
"""A column whose values within a usual day are at most so diverse as those of the reference is one of the day: its rows say the same over and over."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Days:
    """Which days a window has, as numbers since 1970. start: the one that it starts in; first, last: the first and the last whole one; length: of the window."""

    start: int
    first: int
    last: int
    length: float

    def whole(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which days are whole ones of the window."""
        return (numbers >= self.first) & (numbers <= self.last)

    def past(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which days are whole ones of the past: where the window starts within a day, so does the past."""
        return (numbers >= self.first - PAST_DAYS) & (numbers < self.start)


@dataclass(frozen=True)
class Gap:
    """A distance (PSI), what a clean window shows, and how easily a clean window gives as much. n: effective rows of the other side."""

    psi: float
    groups: int
    null: Null
    p_value: float
    n: float

    @cached_property
    def varies(self) -> float:
        """What it varies up to by itself."""
        return self.null.quantile(VARIES)


@dataclass(frozen=True)
class Look:
    """One stretch that ends where the window ends. days: its length; whole: the window itself. past: the distance from the own past, None where unknown.

    groups: counts by group of the PSI, in the reference and in the look.
    usual: the farthest that as many days of the past were from the reference, of a column that the rows of a day share; None of another. levels, past_levels: of a
    category, both sides level by level, since the reference and since the own past.
    """

    days: int
    whole: bool
    after: Side
    groups: tuple[Floats, Floats]
    reference: Gap
    past: Gap | None
    usual: float | None = None
    levels: Compared | None = None
    past_levels: Compared | None = None


@dataclass(frozen=True)
class Moved:
    """What was measured of one column (name: the subject of its finding). known_days: of past that tell how far it strays by itself (0: none).

    by_day: (day number, PSI against the reference, rows) of the window's whole days (of all where none is); weeks: the PSI of each whole week before the
    window, newest first; days, past: whole days, where the one in which both meet is in `days`.
    """

    reference: str
    name: str
    axis: Axis
    before: Side
    looks: tuple[Look, ...]
    by_day: tuple[tuple[int, float, int], ...]
    weeks: tuple[float, ...]
    known_days: int
    days: Daily
    past: Daily | None

    @property
    def whole(self) -> Look:
        """The look at the whole window."""
        return self.looks[0]


@dataclass(frozen=True)
class Baseline:
    """The own past by day, and what days add to the share of each group."""

    axis: Axis
    before: Side
    now: Daily
    past: Daily | None

    @cached_property
    def shares(self) -> Floats:
        """Shares of the groups in reference and past together, none of them zero: what variances are taken relative to."""
        total = self.base / max(self.base.sum(), 1.0)
        own = self.past_groups.sum(axis=0)
        if own.sum() > 0:
            total = (total + own / own.sum()) / 2
        return np.asarray(np.maximum(total, 1e-4))

    @cached_property
    def rows_a_day(self) -> float:
        """Effective rows of a usual day."""
        side = self.past if self.past is not None and self.past.numbers.size >= LEAST_DAYS else self.now
        held = side.w2 > 0
        return float(middle(side.w[held] ** 2 / side.w2[held], 0)) if held.any() else 0.0

    @cached_property
    def reference_days(self) -> float:
        """Days that the reference is taken to span: its rows at the traffic of a usual day, from one week up, as it is stored without times."""
        return min(max(self.before.n / self.rows_a_day, WEEK), MOST_REFERENCE_DAYS) if self.rows_a_day > 0 else float(WEEK)

    def varies(self, *, weekly: bool) -> Variation:
        """What days add to the share of each group."""
        return self.weekly if weekly else self.daily

    @cached_property
    def weekly(self) -> Variation:
        """Without the pattern of the week."""
        return self.variation(weekly=True)

    @cached_property
    def daily(self) -> Variation:
        """With it."""
        return self.variation(weekly=False)

    def variation(self, *, weekly: bool) -> Variation:
        """See `varies`."""
        chance = self.shares * (1 - self.shares)
        past = self.past
        if past is None or past.numbers.size < LEAST_DAYS:
            return Variation(chance / max(self.rows_a_day, 1.0), 0.0, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            noise = chance * (past.w2 / past.w**2)[:, None]
        return variation(self.past_shares, noise, past.numbers, weekly=weekly)

    @cached_property
    def base(self) -> Floats:
        """The reference by group."""
        return grouped(self.before, self.axis.group)

    @cached_property
    def now_groups(self) -> Floats:
        """The window's days by group."""
        return distance.merge_bins(self.now.counts, self.axis.group)

    @cached_property
    def past_groups(self) -> Floats:
        """The days of the own past by group; no days where there is none."""
        return self.now_groups[:0] if self.past is None else distance.merge_bins(self.past.counts, self.axis.group)

    @cached_property
    def past_shares(self) -> Floats:
        """The same as shares of their day; NaN on a day of no weight."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.past_groups / self.past_groups.sum(axis=1, keepdims=True))

    @cached_property
    def of_the_day(self) -> bool:
        """Whether the rows of a day share the column's value, by two weeks of past or more."""
        if self.past is None or self.past.numbers.size < 2 * WEEK:
            return False
        within, whole = 1 - np.sum(np.nan_to_num(self.past_shares) ** 2, axis=1), 1 - float(np.sum((self.base / self.base.sum()) ** 2))
        return bool(middle(within, 0) <= OF_THE_DAY * whole)

    def usual(self, days: int) -> float | None:
        """The farthest from the reference that as many days of the past were (a week of a longer window); None where that is no matter of days."""
        if self.past is None or not self.of_the_day:
            return None
        length, numbers = min(days, WEEK), self.past.numbers
        ends = numbers[numbers - length + 1 >= numbers[0]][:, None]
        kept = (numbers > ends - length) & (numbers <= ends)
        return max(distance.psi_each(self.base, kept @ self.past_groups).tolist(), default=None)

    def against(
        self, base: Floats, n: float, counts: Floats, after: Side, days: int, other_days: float, *, weekly: bool
    ) -> tuple[Gap, Compared | None]:
        """The distance of two sides with its null; and level by level, but of numbers and of a column that the calendar moves. base, counts: of both by group;
        n: effective rows of the other side.
        """
        value, groups = distance.psi(base, counts), distance.occupied(base, counts)
        from_days, freedom = self.strays(days, other_days, weekly=weekly)
        null = psi_null(n, after.n, groups, float(np.sum(from_days / self.shares)), freedom)
        gap = Gap(value, groups, null, null.p_value(value), n)
        if self.axis.ordered or self.of_the_day:
            return gap, None
        wild = 1 + (self.wild - 1) / np.sqrt(max(days, 1))
        return gap, Compared(base, counts, (n, after.n), from_days, freedom, self.single, wild)

    def strays(self, days: int, other_days: float, *, weekly: bool) -> tuple[Floats, float]:
        """The variance that days add to the difference of each group's share on two sides, and the degrees of freedom of that estimate."""
        varies = self.varies(weekly=weekly)
        over = share_left(days, varies.correlation) + share_left(other_days, varies.correlation)
        return varies.between * over, varies.freedom if varies.days else ENDLESS

    @cached_property
    def single(self) -> NDArray[np.bool_]:
        """Which groups are single levels of a category."""
        return np.arange(self.base.size) < len(self.axis.common)

    @cached_property
    def wild(self) -> float:
        """How far two levels came apart on the wildest day of the past, beyond what normal days do; over several days it shrinks by their root."""
        if self.past is None or self.past.numbers.size < LEAST_DAYS:
            return 1.0
        n = np.where(self.past.w2 > 0, self.past.w**2 / np.where(self.past.w2 > 0, self.past.w2, 1.0), 0.0)
        return wildest(np.nan_to_num(self.past_shares), n, self.daily.between, self.single)


def measure(reference: str, name: str, axis: Axis, before: Side, of: Daily, everything: Daily | None, days: Days) -> Moved | None:
    """One column in the window against the reference and its own past; None where a side is empty. of, everything: its days in the window and before."""
    if before.n <= 0 or of.w.sum() <= 0:
        return None
    known = None if everything is None else everything.at(days.past(everything.numbers))
    known = None if known is None or not known.numbers.size else known
    side = Baseline(axis, before, of, known)
    length = min(int(of.numbers.max()) - int(of.numbers.min()) + 1, max(round(days.length), 1))
    held = [look(side, of, known, np.ones(of.numbers.size, bool), length, whole=True)]
    if known is not None and known.numbers.size >= 2 * WEEK:
        for short in LOOKS:
            kept = (of.numbers > days.last - short) & days.whole(of.numbers)
            if short < length and of.rows[kept].sum() >= MINIMUM_ROWS:
                held.append(look(side, of, known, kept, short, whole=False))
    whole = days.whole(of.numbers)
    shown = whole if whole.any() else np.ones(of.numbers.size, bool)
    by_day = zip(
        of.numbers[shown].tolist(), distance.psi_each(side.base, side.now_groups[shown]).tolist(), of.rows[shown].tolist(), strict=True
    )
    shared = everything is not None and days.first > days.start and bool((of.numbers == days.start).any()) and whole.any()
    dated = of.at(shown)
    if shared and everything is not None:
        dated = everything.at(everything.numbers == days.start).joined(of.at(of.numbers == days.start)).joined(dated)
    return Moved(reference, name, axis, before, tuple(held), tuple(by_day), weeks_of(side, days.start), side.weekly.days, dated, known)


def began(moved: Moved, at: Look, start: datetime, weights: Floats | None = None) -> Since:
    """Since when a column is as a look found it.

    The series is the one that tells the two distributions apart best: the mean of log(now / reference) over each day's rows, by the groups of the PSI; or that of
    given weights by group. What a single day has by nature (one weekday) is no change in it.
    """
    reference, after = (
        np.maximum(each / each.sum(), LEAST_SHARE)
        for each in (grouped(moved.before, moved.axis.group), grouped(at.after, moved.axis.group))
    )
    weights = np.log(after / reference) if weights is None else weights
    sides = [each for each in (moved.past, moved.days) if each is not None]
    counts = np.concatenate([distance.merge_bins(each.counts, moved.axis.group) for each in sides])
    w, w2, numbers = (np.concatenate([getattr(each, name) for each in sides]) for name in ("w", "w2", "numbers"))
    spread = [float(side @ weights**2 - (side @ weights) ** 2) for side in (reference / reference.sum(), after / after.sum())]
    with np.errstate(invalid="ignore", divide="ignore"):
        values, errors = counts @ weights / w, np.sqrt(max(spread) * w2 / w**2)
    level = float(reference @ weights / reference.sum())
    short = moved.past is None or moved.past.numbers.size < LEAST_DAYS
    before = (level, float(np.sqrt(spread[0] / max(moved.before.n, 1.0)))) if short else None
    return since([np.datetime64(int(each), "D") for each in numbers], values, errors, start=start, before=before, worse=1)


def look(side: Baseline, now: Daily, past: Daily | None, kept: NDArray[np.bool_], days: int, *, whole: bool) -> Look:
    """One stretch against the reference and the past."""
    after, counts = now.over(kept), side.now_groups[kept].sum(axis=0)
    reference, levels = side.against(side.base, side.before.n, counts, after, days, side.reference_days, weekly=days >= WEEK)
    own, own_levels = None, None
    if past is not None and past.numbers.size >= LEAST_DAYS:
        alike = np.ones(past.numbers.size, bool)
        if days < WEEK and past.numbers.size >= 2 * WEEK:
            weekdays = np.zeros(WEEK, bool)
            weekdays[now.numbers[kept] % WEEK] = True
            alike = weekdays[past.numbers % WEEK]
        if past.rows[alike].sum() >= MINIMUM_ROWS:
            base, n = side.past_groups[alike].sum(axis=0), effective_n(float(past.w[alike].sum()), float(past.w2[alike].sum()))
            other_days = max(float(alike.sum()), 1.0)
            own, own_levels = side.against(base, n, counts, after, days, other_days, weekly=True)
    return Look(days, whole, after, (side.base, counts), reference, own, side.usual(days), levels, own_levels)


def weeks_of(side: Baseline, first: int) -> tuple[float, ...]:
    """The PSI of each of the weeks before the window, newest first, until one has too few rows."""
    past = side.past
    if past is None:
        return ()
    kept = (first - 1 - past.numbers) // WEEK == np.arange(PAST_DAYS // WEEK)[:, None]
    enough = kept @ past.rows >= MINIMUM_ROWS
    told = enough.size if enough.all() else int(enough.argmin())
    return tuple(distance.psi_each(side.base, kept[:told] @ side.past_groups).tolist())
