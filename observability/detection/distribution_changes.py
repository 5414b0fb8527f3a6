"""Measures how far a column's distribution is from the reference and from the model's own past, and how much it varies naturally.

The statistic is the PSI, computed from daily counts. Its null distribution has two parts: sampling noise of the rows, and the variance
between days (stats/dispersion.py). The whole window is judged as a level, so the variance between consecutive days is used. The last days
are judged as a change, so the variance between all past days is used. A column follows the calendar if the rows of a day share its value
(weekday, month, weather). Such a column cannot be compared with a reference of other days; it is reported if it is farther from the
reference than any equally long period of past days.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.finding import Severity
from observability.detection.change import USUAL_SHARE, Limits, WindowChange, at_least
from observability.detection.histogram_distance import intervals_around
from observability.detection.repeating_days import lacks_such_days
from observability.detection.windows import WEEK, Floats, last_day_masks, reference_days, same_weekdays
from observability.metrics.histograms import (
    CALENDAR_ROWS,
    CALENDAR_SHARE,
    ColumnAxis,
    ColumnHistogram,
    DailyHistogram,
    grouped_counts,
    one_value_a_day,
)
from observability.stats import distance
from observability.stats.dispersion import (
    LARGE_FREEDOM,
    MIN_DAYS,
    DayVariation,
    GammaNull,
    consecutive_day_variations,
    estimate_day_variations,
    fast_median,
    mean_variance_ratio,
    psi_null,
    psi_null_of_days,
)
from observability.stats.level_swap import LevelShares, level_shares, past_day_excesses
from observability.stats.multiple_testing import ACT_SHARE

PAST_DAYS = 28
BLOCK = 256
"""Maximum number of columns that are measured together; this limits the memory that is needed."""
MINIMUM_ROWS = 100
OF_THE_DAY = 0.5
"""A column follows the calendar if the diversity of its values within a usual day is at most this fraction of the diversity in the
reference.
"""
OWN_VALUE = 0.8
"""A column has its own value each day if, on most days, at least this share of the rows has one value, and if at least this share of days
has a different value than the day before.
"""
FARTHER = 1.1
"""The drift of a column that follows the calendar is new if the window is farther from the reference than any equally long period of past
days by more than this factor.
"""


@dataclass(frozen=True)
class WindowDays:
    """The days of a window, as numbers of days since 1970.

    start: the day in which the window starts; first, last: its first and last whole day; length: its length in days.
    """

    start: int
    first: int
    last: int
    length: float

    def whole(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return a mask that selects the whole days of the window."""
        return (numbers >= self.first) & (numbers <= self.last)

    def past(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return a mask that selects the whole days of the past. If a window starts within a day, its past starts at the same time
        of day.
        """
        return (numbers >= self.first - PAST_DAYS) & (numbers < self.start)


@dataclass(frozen=True)
class PsiDistance:
    """The PSI between two sides, with its null distribution. groups: number of groups that have rows; n: effective rows of the baseline
    side.
    """

    psi: float
    groups: int
    null: GammaNull
    p_value: float
    n: float

    @cached_property
    def varies(self) -> float:
        """The PSI that unchanged windows do not exceed (the share USUAL_SHARE of them)."""
        return self.null.quantile(USUAL_SHARE)


@dataclass(frozen=True, kw_only=True)
class DistributionChange(WindowChange):
    """The change of a column in one window. effect: the PSI against the reference.

    interval: the 95 % interval of the PSI. past: the distance from the model's own past, None if unknown; past_rows: rows of the own past.
    groups: counts by group in the reference and in the window. stated: the limits before they are raised to the natural variation. usual:
    for a column that follows the calendar, the largest distance from the reference over the same number of past days. one_value_a_day:
    whether all rows of a day have the same value. week_before: PSI of the week before the window. levels, past_levels: for a category, both
    sides level by level, against the reference and against the own past. repeats: whether the last days are like the same weekdays of the
    past, and the reference certainly contains no such days.
    """

    after: ColumnHistogram
    groups: tuple[Floats, Floats]
    interval: tuple[float, float]
    reference: PsiDistance
    past: PsiDistance | None
    stated: Limits
    usual: float | None = None
    one_value_a_day: bool = False
    week_before: float | None = None
    levels: LevelShares | None = None
    past_levels: LevelShares | None = None
    past_rows: ColumnHistogram | None = None
    repeats: bool = False

    @property
    def as_usual(self) -> bool:
        """Whether the column follows the calendar and is no farther from the reference than the same number of past days was."""
        return self.usual is not None and self.effect <= self.usual * FARTHER

    def is_new(self, severity: Severity, budget: float) -> bool:
        """Whether the column also differs from the model's own past.

        For the last days at `act`, this difference from the same weekdays of the past must also reach `act`, because single days vary more.
        """
        if self.as_usual:
            return False
        if self.past is None:
            return True
        sure = severity == "act" and not self.whole
        limit = at_least(self.stated, self.past.varies)[sure]
        return self.past.psi >= limit and self.past.p_value <= budget * (ACT_SHARE if sure else 1.0)

    @property
    def comparable(self) -> bool:
        """Whether the window can be judged by the reference. It cannot if the column has one value a day and the reference covers other
        days of the calendar.
        """
        return not (self.one_value_a_day and self.as_usual)

    @property
    def earlier_effect(self) -> float | None:
        """The PSI of the week before the window."""
        return self.week_before


@dataclass(frozen=True)
class ColumnDrift:
    """The measured drift of one column (name: the subject of the finding about it).

    known_days: number of past days from which its natural variation is estimated (0: none). by_day: (day number, PSI against the reference,
    rows) of the window's whole days (of all days if none is whole); empty for a column that has one value a day, or a different value each
    day. weeks: the PSI of each whole week before the window, newest first. days, past: whole days; the day that contains the boundary
    belongs to `days`.
    """

    reference: str
    name: str
    axis: ColumnAxis
    before: ColumnHistogram
    windows: tuple[DistributionChange, ...]
    by_day: tuple[tuple[int, float, int], ...]
    weeks: tuple[float, ...]
    known_days: int
    days: DailyHistogram
    past: DailyHistogram | None

    @property
    def whole(self) -> DistributionChange:
        """The change over the whole window."""
        return self.windows[0]


@dataclass(frozen=True)
class ComparedColumn:
    """A column to compare. before: its reference; now: its days in the window; everything: its days before the window, None if there are
    none.
    """

    reference: str
    name: str
    axis: ColumnAxis
    before: ColumnHistogram
    now: DailyHistogram
    everything: DailyHistogram | None

    def past(self, days: WindowDays) -> DailyHistogram | None:
        """Return the column's whole days before the window; None if there are none."""
        known = None if self.everything is None else self.everything.at(days.past(self.everything.numbers))
        return known if known is not None and known.numbers.size else None


def column_drifts(columns: Iterable[ComparedColumn], days: WindowDays, stated: Limits) -> list[ColumnDrift]:
    """Return the drift of each column in the window against the reference and the model's own past; columns with an empty side are left
    out.

    Columns with the same days and groups are measured together. stated: the PSI from which a column is `watch` and `act`.
    """
    blocks: dict[tuple[Any, ...], list[tuple[int, ComparedColumn, DailyHistogram | None]]] = {}
    for place, column in enumerate(columns):
        if column.before.n > 0 and column.now.w.sum() > 0:
            past, axis = column.past(days), column.axis
            dates = [(side.numbers.tobytes(), side.rows.tobytes()) for side in (column.now, past) if side is not None]
            blocks.setdefault((axis.ordered, axis.own_groups, int(axis.group[-1]), *dates), []).append((place, column, past))
    found: dict[int, ColumnDrift] = {}
    for block in blocks.values():
        for start in range(0, len(block), BLOCK):
            places, members, pasts = zip(*block[start : start + BLOCK], strict=True)
            found.update(zip(places, ColumnBlock(members, pasts, stated, days).drifts(), strict=True))
    return [found[place] for place in sorted(found)]


@dataclass(frozen=True)
class ColumnBlock:
    """Columns that have the same days, the same rows by day and the same number of groups, in the window and in the model's own past.

    Arrays are columns × days × groups; where a side is taken as a whole, columns × groups.
    """

    columns: tuple[ComparedColumn, ...]
    pasts: tuple[DailyHistogram | None, ...]
    stated: Limits
    window_days: WindowDays

    @property
    def now(self) -> DailyHistogram:
        """The window's days of the first column; their dates and rows are the same for all columns."""
        return self.columns[0].now

    @property
    def past(self) -> DailyHistogram | None:
        """The own past's days of the first column; their dates and rows are the same for all columns. None without a past."""
        return self.pasts[0]

    @property
    def past_numbers(self) -> NDArray[np.int64]:
        """The numbers of the days of the own past."""
        return self.now.numbers[:0] if self.past is None else self.past.numbers

    @cached_property
    def now_weights(self) -> tuple[Floats, Floats]:
        """Σw and Σw² of each day of the window, columns × days."""
        return np.stack([column.now.w for column in self.columns]), np.stack([column.now.w2 for column in self.columns])

    @cached_property
    def past_weights(self) -> tuple[Floats, Floats]:
        """Σw and Σw² of each day of the own past, columns × days; without a past there are no days."""
        known = [past for past in self.pasts if past is not None]
        empty = np.zeros((len(self.columns), 0))
        return (np.stack([past.w for past in known]), np.stack([past.w2 for past in known])) if known else (empty, empty)

    @cached_property
    def base(self) -> Floats:
        """Counts of the references, columns × groups of bins."""
        return np.stack([grouped_counts(column.before, column.axis.group) for column in self.columns])

    @cached_property
    def base_shares(self) -> Floats:
        """Shares of the groups in the references."""
        return np.asarray(self.base / np.maximum(self.base.sum(axis=1, keepdims=True), 1.0))

    @cached_property
    def now_groups(self) -> Floats:
        """The window's days by group."""
        return np.stack([distance.merge_bins(column.now.counts, column.axis.group) for column in self.columns])

    @cached_property
    def past_groups(self) -> Floats:
        """The days of the own past by group; without a past there are no days."""
        sides = zip(self.columns, self.pasts, strict=True)
        known = [distance.merge_bins(past.counts, column.axis.group) for column, past in sides if past is not None]
        return np.stack(known) if known else self.now_groups[:, :0]

    @cached_property
    def past_shares(self) -> Floats:
        """The shares of the groups on each day of the past; NaN for a day without weight."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.past_groups / self.past_groups.sum(axis=2, keepdims=True))

    @cached_property
    def shares(self) -> Floats:
        """The shares of the groups in reference and past together, none of them zero; variances are expressed relative to them."""
        own = self.past_groups.sum(axis=1)
        weight = own.sum(axis=1, keepdims=True)
        both = (self.base_shares + own / np.where(weight > 0, weight, 1.0)) / 2
        return np.maximum(np.where(weight > 0, both, self.base_shares), 1e-4)

    @cached_property
    def level_shares(self) -> Floats:
        """The shares of the groups in reference and window together, so that a group that is new in the window also has a variance."""
        now = self.now_groups.sum(axis=1)
        return np.asarray(np.maximum((self.base_shares + now / np.maximum(now.sum(axis=1, keepdims=True), 1.0)) / 2, 1e-4))

    @cached_property
    def rows_a_day(self) -> list[float]:
        """Effective rows of a usual day."""
        w, w2 = self.past_weights if self.past_numbers.size >= MIN_DAYS else self.now_weights
        held = w2 > 0
        if held.all():
            return list(fast_median(w**2 / w2, 1).tolist())
        apart = zip(w, w2, held, strict=True)
        return [float(fast_median(a[kept] ** 2 / b[kept], 0)) if kept.any() else 0.0 for a, b, kept in apart]

    @cached_property
    def weekly(self) -> list[DayVariation]:
        """The variance of the share of each group between days, after removal of the weekly pattern."""
        return self._variations(weekly=True)

    @cached_property
    def daily(self) -> list[DayVariation]:
        """The variance of the share of each group between days, including the weekly pattern."""
        return self._variations(weekly=False)

    @cached_property
    def consecutive(self) -> list[DayVariation]:
        """Variance of the share of each group between consecutive days, in the past and the window."""
        w, w2 = (np.concatenate(sides, axis=1) for sides in zip(self.past_weights, self.now_weights, strict=True))
        groups = np.concatenate([self.past_groups, self.now_groups], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            noise = (self.level_shares * (1 - self.level_shares))[:, None] * (w2 / w**2)[:, :, None]
            shares = groups / groups.sum(axis=2, keepdims=True)
        return consecutive_day_variations(shares, noise, np.concatenate([self.past_numbers, self.now.numbers]))

    def _variations(self, *, weekly: bool) -> list[DayVariation]:
        chance = self.shares * (1 - self.shares)
        if self.past_numbers.size < MIN_DAYS:
            return [DayVariation(each / max(rows, 1.0), 0.0, 0) for each, rows in zip(chance, self.rows_a_day, strict=True)]
        w, w2 = self.past_weights
        with np.errstate(invalid="ignore", divide="ignore"):
            noise = chance[:, None] * (w2 / w**2)[:, :, None]
        return estimate_day_variations(self.past_shares, noise, self.past_numbers, weekly=weekly)

    @cached_property
    def of_the_day(self) -> list[bool]:
        """For each column, whether it follows the calendar, that is, whether the rows of a day share its value. At least two weeks of past
        are needed.
        """
        if self.past_numbers.size < 2 * WEEK:
            return [False] * len(self.columns)
        within = 1 - np.sum(np.nan_to_num(self.past_shares) ** 2, axis=2)
        whole = 1 - np.sum((self.base / self.base.sum(axis=1, keepdims=True)) ** 2, axis=1)
        return list((fast_median(within, 1) <= OF_THE_DAY * whole).tolist())

    def _all_days(self, at: int) -> DailyHistogram:
        """The days of one column, of the past and of the window."""
        past, now = self.pasts[at], self.columns[at].now
        return now if past is None else past.joined(now)

    @cached_property
    def one_value_a_day(self) -> list[bool]:
        """For each column, whether all rows of a day have the same value and days differ, as for weekday, month or holiday."""
        known = enumerate(zip(self.columns, self.of_the_day, strict=True))
        return [calendar and one_value_a_day(self._all_days(at), column.before) for at, (column, calendar) in known]

    @cached_property
    def own_value_each_day(self) -> list[bool]:
        """For each column, whether most rows of a day have the same value and the next day has another one, as for a weekday. Most rows
        are enough, because a day in UTC holds the end of one local day and most of the next one.
        """
        rows = np.concatenate([*([] if self.past is None else [self.past.rows]), self.now.rows])
        groups = np.concatenate([self.past_groups, self.now_groups], axis=1)[:, rows >= CALENDAR_ROWS]
        if groups.shape[1] < WEEK:
            return [False] * len(self.columns)
        # a bin holds at most as many rows as its group
        possible = (groups.max(axis=2) >= OWN_VALUE * groups.sum(axis=2)).mean(axis=1) >= CALENDAR_SHARE
        return [bool(each) and has_own_value_each_day(self._all_days(at)) for at, each in enumerate(possible)]

    def usual(self, at: int, days: int) -> float | None:
        """The largest distance of one column from the reference over any period of past days of the same length (a week for a longer
        window).

        None for a column that does not follow the calendar.
        """
        if self.past is None or not self.of_the_day[at]:
            return None
        length, numbers = min(days, WEEK), self.past_numbers
        ends = numbers[numbers - length + 1 >= numbers[0]][:, None]
        kept = (numbers > ends - length) & (numbers <= ends)
        return max(distance.psi_by_row(self.base[at], kept @ self.past_groups[at]).tolist(), default=None)

    def distances(
        self,
        base: Floats,
        n: Sequence[float],
        counts: Floats,
        after: Sequence[ColumnHistogram],
        days: int,
        other_days: Sequence[float],
        varies: Sequence[DayVariation],
        *,
        whole: bool,
    ) -> list[tuple[PsiDistance, LevelShares | None]]:
        """Return the distance between two sides of each column, with its null distribution. For categories that do not follow the calendar,
        also the comparison level by level.

        base, counts: both sides by group. n: effective rows of the baseline side. days, other_days: number of days of both sides. varies:
        the variance between days. whole: whether the whole window is compared with the reference; then a day of a column that follows the
        calendar counts as one draw.
        """
        lengths = [
            mean_variance_ratio(days, each.correlation) + mean_variance_ratio(other, each.correlation)
            for each, other in zip(varies, other_days, strict=True)
        ]
        from_days = np.stack([each.between for each in varies]) * np.array(lengths)[:, None]
        relative = np.sum(from_days / (self.level_shares if whole else self.shares), axis=1).tolist()
        values, groups = distance.psi_by_row(base, counts).tolist(), np.count_nonzero(base + counts, axis=1).tolist()
        freedom = [each.freedom if each.days else LARGE_FREEDOM for each in varies]
        found = []
        for at, side in enumerate(after):
            if whole and self.of_the_day[at]:
                null = psi_null_of_days(self.base[at], days, other_days[at])
            else:
                null = psi_null(n[at], side.n, groups[at], relative[at], freedom[at])
            found.append(PsiDistance(values[at], groups[at], null, null.p_value(values[at]), n[at]))
        levels: list[LevelShares | None] = [None] * len(after)
        if not self.columns[0].axis.ordered and not all(self.of_the_day):
            wild = [1 + (each - 1) / np.sqrt(max(days, 1)) for each in self.wild]
            sizes = n, [side.n for side in after]
            known = level_shares(base, counts, sizes, from_days, freedom, self.single, wild)
            levels = [None if calendar else shares for shares, calendar in zip(known, self.of_the_day, strict=True)]
        return list(zip(found, levels, strict=True))

    @cached_property
    def single(self) -> NDArray[np.bool_]:
        """Mask of the groups that are single levels of a category."""
        return np.arange(self.base.shape[1]) < self.columns[0].axis.own_groups

    @cached_property
    def wild(self) -> list[float]:
        """The largest divergence of two levels on a past day, beyond that of normal days. Over several days it shrinks with the root of
        their number.
        """
        if self.past_numbers.size < MIN_DAYS:
            return [1.0] * len(self.columns)
        w, w2 = self.past_weights
        n = np.where(w2 > 0, w**2 / np.where(w2 > 0, w2, 1.0), 0.0)
        return past_day_excesses(np.nan_to_num(self.past_shares), n, np.stack([each.between for each in self.daily]), self.single)

    def changes(self, kept: NDArray[np.bool_], days: int, *, whole: bool) -> list[DistributionChange]:
        """Return, for each column, the change of some days of the window against the reference and the past."""
        after, counts, past = [column.now.over(kept) for column in self.columns], self.now_groups[:, kept].sum(axis=1), self.past
        n = [column.before.n for column in self.columns]
        spans = [reference_days(rows, a_day) for rows, a_day in zip(n, self.rows_a_day, strict=True)]
        varies = self.weekly if days >= WEEK else self.daily
        if whole and not all(self.of_the_day):
            both = zip(varies, self.consecutive, self.of_the_day, strict=True)
            varies = [calendar if of_day else consecutive for calendar, consecutive, of_day in both]
        references = self.distances(self.base, n, counts, after, days, spans, varies, whole=whole)
        measured = [each.psi for each, _ in references], [each.groups for each, _ in references]
        ends = intervals_around(*measured, (self.base, counts), (n, [side.n for side in after]))
        intervals = list(zip(*(each.tolist() for each in ends), strict=True))
        own: list[tuple[PsiDistance | None, LevelShares | None]] = [(None, None)] * len(after)
        own_rows: list[ColumnHistogram | None] = [None] * len(after)
        repeats = [False] * len(after)
        if past is not None and past.numbers.size >= MIN_DAYS:
            alike = np.ones(past.numbers.size, bool)
            if days < WEEK and past.numbers.size >= 2 * WEEK:
                alike = same_weekdays(past.numbers, self.now.numbers[kept])
                far = [not whole and reference.psi >= self.stated[0] for reference, _ in references]
                repeats = [beyond and self._lacks(at, counts[at], alike, spans[at]) for at, beyond in enumerate(far)]
            if past.rows[alike].sum() >= MINIMUM_ROWS:
                before = [each.over(alike) for each in self.pasts if each is not None]
                base, others = self.past_groups[:, alike].sum(axis=1), [max(float(alike.sum()), 1.0)] * len(after)
                own = [*self.distances(base, [each.n for each in before], counts, after, days, others, self.weekly, whole=False)]
                own_rows = [*before]
        return [
            DistributionChange(
                days=days,
                whole=whole,
                effect=reference.psi,
                p_value=reference.p_value,
                limits=self.stated if whole else at_least(self.stated, reference.varies),
                varies=reference.varies,
                after=after[at],
                groups=(self.base[at], counts[at]),
                interval=intervals[at],
                reference=reference,
                past=own[at][0],
                stated=self.stated,
                usual=self.usual(at, days),
                one_value_a_day=self.one_value_a_day[at],
                week_before=self.weeks[at][0] if self.weeks[at] else None,
                levels=levels,
                past_levels=own[at][1],
                past_rows=own_rows[at],
                repeats=repeats[at],
            )
            for at, (reference, levels) in enumerate(references)
        ]

    def _lacks(self, at: int, such: Floats, alike: NDArray[np.bool_], span: float) -> bool:
        """Whether the reference of a column clearly contains no such days (repeating_days.py); always false for a column that follows the
        calendar.

        such: counts of these days by group. alike: the days of the past with the same weekdays.
        """
        if self.of_the_day[at]:
            return False
        varies = self.weekly[at]
        rows = self.shares[at] * (1 - self.shares[at]) / max(self.columns[at].before.n, 1.0)
        both = rows + varies.between * mean_variance_ratio(span, varies.correlation)
        others, earlier = (self.past_groups[at][kept].sum(axis=0) for kept in (~alike, alike))
        return lacks_such_days(self.base[at], others, earlier, such, float(alike.mean()), float(rows.sum() / both.sum()), self.stated[0])

    @cached_property
    def weeks(self) -> list[tuple[float, ...]]:
        """The PSI of each week before the window, newest first, up to the first week that has too few rows."""
        past = self.past
        if past is None:
            return [()] * len(self.columns)
        kept = (self.window_days.start - 1 - past.numbers) // WEEK == np.arange(PAST_DAYS // WEEK)[:, None]
        enough = kept @ past.rows >= MINIMUM_ROWS
        known = enough.size if enough.all() else int(enough.argmin())
        return [tuple(each) for each in distance.psi_by_row(self.base[:, None], kept[:known] @ self.past_groups).tolist()]

    def drifts(self) -> list[ColumnDrift]:
        """Return the drift of each column."""
        days, now, past = self.window_days, self.now, self.past
        length = min(int(now.numbers.max()) - int(now.numbers.min()) + 1, max(round(days.length), 1))
        windows = [self.changes(np.ones(now.numbers.size, bool), length, whole=True)]
        if past is not None and past.numbers.size >= 2 * WEEK:
            masks = last_day_masks(now.numbers, days.last, length, lambda kept: now.rows[kept].sum() >= MINIMUM_ROWS, first=days.first)
            windows += [self.changes(kept, short, whole=False) for short, kept in masks]
        whole = days.whole(now.numbers)
        shown = whole if whole.any() else np.ones(now.numbers.size, bool)
        psi = distance.psi_by_row(self.base[:, None], self.now_groups[:, shown]).tolist()
        numbers, rows = now.numbers[shown].tolist(), now.rows[shown].tolist()
        dated = days.first > days.start and bool((now.numbers == days.start).any()) and whole.any()
        found = []
        for at, (column, changes) in enumerate(zip(self.columns, zip(*windows, strict=True), strict=True)):
            # if each day has a different value, every single day is far from the reference
            apart = self.one_value_a_day[at] or self.own_value_each_day[at]
            by_day = () if apart else tuple(zip(numbers, psi[at], rows, strict=True))
            own_days = column.now.at(shown)
            if column.everything is not None and dated:
                first = column.everything.at(column.everything.numbers == days.start)
                own_days = first.joined(column.now.at(column.now.numbers == days.start)).joined(own_days)
            of = column.reference, column.name, column.axis, column.before
            found.append(ColumnDrift(*of, changes, by_day, self.weeks[at], self.weekly[at].days, own_days, self.pasts[at]))
        return found


def has_own_value_each_day(by_day: DailyHistogram) -> bool:
    """Return whether most rows of a day have the same value, and the next day has another."""
    counts = by_day.counts[by_day.rows >= CALENDAR_ROWS]
    if len(counts) < WEEK:
        return False
    shared, most = counts.max(axis=1) >= OWN_VALUE * counts.sum(axis=1), counts.argmax(axis=1)
    return bool(shared.mean() >= CALENDAR_SHARE and (most[1:] != most[:-1]).mean() >= OWN_VALUE)
