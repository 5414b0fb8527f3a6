"""Measure how far a column's distribution is from the reference and from its own past, and its natural variation.

The statistic is the PSI, from daily counts. Its null distribution has two parts: sampling noise of the rows, and variance between days
(stats/dispersion.py): of consecutive days for the whole window, which is judged against the level, of all past days for its last days,
which are judged as a change. A column follows the calendar where rows of a day share its value (weekday, month, weather). Such a
column cannot be held against a reference of other days; it is reported where it is farther than the same number of past days was.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.finding import Severity
from observability.detection.change import USUAL_SHARE, Limits, WindowChange, at_least
from observability.detection.days_beyond import evidence_of_days_beyond
from observability.detection.onset import OnsetEstimate, estimate_onset
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
    consecutive_day_variation,
    estimate_day_variation,
    fast_median,
    mean_variance_ratio,
    psi_null,
    psi_null_of_days,
)
from observability.stats.interval import effective_n
from observability.stats.level_swap import LevelShares, past_day_excess
from observability.stats.multiple_testing import ACT_SHARE

PAST_DAYS = 28
MINIMUM_ROWS = 100
MIN_SHARE = 1e-3
"""Smallest share of a group when the onset is estimated, so that a previously empty group does not decide alone."""
OF_THE_DAY = 0.5
"""A column follows the calendar where the diversity of its values within a usual day is at most this part of the reference's diversity."""
OWN_VALUE = 0.8
"""Share of the rows of a day with one value, and of days with another than the day before, of a column with a value of its own each day."""
FARTHER = 1.1
"""A column that follows the calendar is new where it is a tenth farther from the reference than the same number of past days ever was."""


@dataclass(frozen=True)
class WindowDays:
    """Days of a window, as numbers since 1970.

    start: the day it starts in; first, last: the first and the last whole day; length: length of the window in days.
    """

    start: int
    first: int
    last: int
    length: float

    def whole(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return a mask of the whole days of the window."""
        return (numbers >= self.first) & (numbers <= self.last)

    def past(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return a mask of the whole days of the past; a window that starts within a day has a past that starts at the same time of day."""
        return (numbers >= self.first - PAST_DAYS) & (numbers < self.start)


@dataclass(frozen=True)
class PsiDistance:
    """PSI of two sides with its null distribution. groups: number of groups that hold rows; n: effective rows of the other side."""

    psi: float
    groups: int
    null: GammaNull
    p_value: float
    n: float

    @cached_property
    def varies(self) -> float:
        """The upper limit of the PSI of unchanged windows."""
        return self.null.quantile(USUAL_SHARE)


@dataclass(frozen=True, kw_only=True)
class DistributionChange(WindowChange):
    """A column in one window; the effect is the PSI against the reference.

    past: the distance from the own past, None where unknown; past_rows: the own past. groups: counts by group in the reference and in the
    window. stated: limits without the natural variation. usual: for a column that follows the calendar, the largest distance from the
    reference over the same number of past days. one_value_a_day: whether all rows of a day have one value. week_before: PSI of the week
    before the window. levels, past_levels: for a category, both sides level by level, against the reference and the own past. repeats:
    whether last days fall on weekdays that the reference surely holds no such days of.
    """

    after: ColumnHistogram
    groups: tuple[Floats, Floats]
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
        """Whether the column also differs from its own past.

        Last days at `act` must differ as much from the same weekdays of the past, because single days vary more.
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
        """Whether the reference can judge it: not a column with one value a day that covers other days of the calendar."""
        return not (self.one_value_a_day and self.as_usual)

    @property
    def earlier_effect(self) -> float | None:
        """The PSI of the week before the window."""
        return self.week_before


@dataclass(frozen=True)
class ColumnDrift:
    """Measured drift of one column (name: the subject of its finding).

    known_days: days of the past that determine its natural variation (0: none). by_day: (day number, PSI against the reference, rows) of
    the window's whole days (of all days where none is whole); empty for a column with one value a day, or another each day. weeks: the
    PSI of each whole week before the window, newest first. days, past: whole days; the day that holds the boundary belongs to `days`.
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
class ColumnBaseline:
    """A column by day, in the window and in its own past, with the between-day variance of the share of each group."""

    axis: ColumnAxis
    before: ColumnHistogram
    now: DailyHistogram
    past: DailyHistogram | None
    stated: Limits
    start: int

    @cached_property
    def shares(self) -> Floats:
        """Shares of the groups in reference and past together, none of them zero; variances are relative to these."""
        total = self.base / max(self.base.sum(), 1.0)
        own = self.past_groups.sum(axis=0)
        if own.sum() > 0:
            total = (total + own / own.sum()) / 2
        return np.asarray(np.maximum(total, 1e-4))

    @cached_property
    def level_shares(self) -> Floats:
        """Shares of the groups in reference and window together: a group that is new in the window varies by as much as it holds."""
        now = self.now_groups.sum(axis=0)
        return np.asarray(np.maximum((self.base / max(self.base.sum(), 1.0) + now / max(now.sum(), 1.0)) / 2, 1e-4))

    @cached_property
    def rows_a_day(self) -> float:
        """Effective rows of a usual day."""
        side = self.past if self.past is not None and self.past.numbers.size >= MIN_DAYS else self.now
        held = side.w2 > 0
        return float(fast_median(side.w[held] ** 2 / side.w2[held], 0)) if held.any() else 0.0

    @cached_property
    def weekly(self) -> DayVariation:
        """Between-day variance of the share of each group, without the pattern of the week."""
        return self._variation(weekly=True)

    @cached_property
    def consecutive(self) -> DayVariation:
        """Variance of the share of each group between consecutive days, in the past and the window."""
        sides = [side for side in (self.past, self.now) if side is not None]
        w, w2, numbers = (np.concatenate([getattr(side, name) for side in sides]) for name in ("w", "w2", "numbers"))
        groups = np.concatenate([self.past_groups, self.now_groups]) if self.past is not None else self.now_groups
        with np.errstate(invalid="ignore", divide="ignore"):
            noise = self.level_shares * (1 - self.level_shares) * (w2 / w**2)[:, None]
            return consecutive_day_variation(groups / groups.sum(axis=1, keepdims=True), noise, numbers)

    @cached_property
    def daily(self) -> DayVariation:
        """Between-day variance of the share of each group, with the pattern of the week."""
        return self._variation(weekly=False)

    def _variation(self, *, weekly: bool) -> DayVariation:
        chance = self.shares * (1 - self.shares)
        past = self.past
        if past is None or past.numbers.size < MIN_DAYS:
            return DayVariation(chance / max(self.rows_a_day, 1.0), 0.0, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            noise = chance * (past.w2 / past.w**2)[:, None]
        return estimate_day_variation(self.past_shares, noise, past.numbers, weekly=weekly)

    @cached_property
    def base(self) -> Floats:
        """The reference by group."""
        return grouped_counts(self.before, self.axis.group)

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
        """Shares of the groups by day of the past; NaN on a day of no weight."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.past_groups / self.past_groups.sum(axis=1, keepdims=True))

    @cached_property
    def of_the_day(self) -> bool:
        """Whether the column follows the calendar: rows of a day share its value. Requires two weeks of past or more."""
        if self.past is None or self.past.numbers.size < 2 * WEEK:
            return False
        within, whole = 1 - np.sum(np.nan_to_num(self.past_shares) ** 2, axis=1), 1 - float(np.sum((self.base / self.base.sum()) ** 2))
        return bool(fast_median(within, 0) <= OF_THE_DAY * whole)

    @cached_property
    def one_value_a_day(self) -> bool:
        """Whether all rows of a day have one value, and days differ: weekday, month, holiday."""
        return self.past is not None and self.of_the_day and one_value_a_day(self.past.joined(self.now), self.before)

    @cached_property
    def own_value_each_day(self) -> bool:
        """Whether most rows of a day have one value, and the next day has another, as of weekday: a day in UTC holds the end of one local
        day and most of the next.
        """
        sides = self.now if self.past is None else self.past.joined(self.now)
        counts = sides.counts[sides.rows >= CALENDAR_ROWS]
        if len(counts) < WEEK:
            return False
        shared, most = counts.max(axis=1) >= OWN_VALUE * counts.sum(axis=1), counts.argmax(axis=1)
        return bool(shared.mean() >= CALENDAR_SHARE and (most[1:] != most[:-1]).mean() >= OWN_VALUE)

    def usual(self, days: int) -> float | None:
        """The largest distance from the reference over the same number of past days (a week for a longer window).

        None for a column that does not follow the calendar.
        """
        if self.past is None or not self.of_the_day:
            return None
        length, numbers = min(days, WEEK), self.past.numbers
        ends = numbers[numbers - length + 1 >= numbers[0]][:, None]
        kept = (numbers > ends - length) & (numbers <= ends)
        return max(distance.psi_by_row(self.base, kept @ self.past_groups).tolist(), default=None)

    def distance(
        self,
        base: Floats,
        n: float,
        counts: Floats,
        after: ColumnHistogram,
        days: int,
        other_days: float,
        varies: DayVariation,
        *,
        whole: bool,
    ) -> tuple[PsiDistance, LevelShares | None]:
        """Return the distance of two sides with its null, and level by level for categories that do not follow the calendar.

        base, counts: both sides by group. n: effective rows of the other side. days, other_days: days of both sides. varies: variance that
        days add. whole: the whole window against the reference; there, a day of a column that follows the calendar is one draw.
        """
        from_days = varies.between * (mean_variance_ratio(days, varies.correlation) + mean_variance_ratio(other_days, varies.correlation))
        freedom = varies.freedom if varies.days else LARGE_FREEDOM
        value, groups = distance.psi(base, counts), distance.occupied_bins(base, counts)
        shares = self.level_shares if whole else self.shares
        by_rows = psi_null(n, after.n, groups, float(np.sum(from_days / shares)), freedom)
        null = psi_null_of_days(self.base, days, other_days) if whole and self.of_the_day else by_rows
        found = PsiDistance(value, groups, null, null.p_value(value), n)
        if self.axis.ordered or self.of_the_day:
            return found, None
        wild = 1 + (self.wild - 1) / np.sqrt(max(days, 1))
        return found, LevelShares(base, counts, (n, after.n), from_days, freedom, self.single, wild)

    @cached_property
    def single(self) -> NDArray[np.bool_]:
        """Which groups are single levels of a category."""
        return np.arange(self.base.size) < len(self.axis.common)

    @cached_property
    def wild(self) -> float:
        """The largest divergence of two levels on a past day beyond normal days; over several days it shrinks by the root of their
        number.
        """
        if self.past is None or self.past.numbers.size < MIN_DAYS:
            return 1.0
        n = np.where(self.past.w2 > 0, self.past.w**2 / np.where(self.past.w2 > 0, self.past.w2, 1.0), 0.0)
        return past_day_excess(np.nan_to_num(self.past_shares), n, self.daily.between, self.single)

    def window(self, kept: NDArray[np.bool_], days: int, *, whole: bool) -> DistributionChange:
        """Return the change of some days of the window against the reference and the past."""
        after, counts, past = self.now.over(kept), self.now_groups[kept].sum(axis=0), self.past
        span = reference_days(self.before.n, self.rows_a_day)
        varies = self.consecutive if whole and not self.of_the_day else self.weekly if days >= WEEK else self.daily
        reference, levels = self.distance(self.base, self.before.n, counts, after, days, span, varies, whole=whole)
        own, own_levels, own_rows, repeats = None, None, None, False
        if past is not None and past.numbers.size >= MIN_DAYS:
            alike = np.ones(past.numbers.size, bool)
            if days < WEEK and past.numbers.size >= 2 * WEEK:
                alike = same_weekdays(past.numbers, self.now.numbers[kept])
                repeats = not whole and reference.psi >= self.stated[0] and self._lacks(counts, alike, span)
            if past.rows[alike].sum() >= MINIMUM_ROWS:
                base, n = self.past_groups[alike].sum(axis=0), effective_n(float(past.w[alike].sum()), float(past.w2[alike].sum()))
                own_rows = past.over(alike)
                own, own_levels = self.distance(base, n, counts, after, days, max(float(alike.sum()), 1.0), self.weekly, whole=False)
        return DistributionChange(
            days=days,
            whole=whole,
            effect=reference.psi,
            p_value=reference.p_value,
            limits=self.stated if whole else at_least(self.stated, reference.varies),
            varies=reference.varies,
            after=after,
            groups=(self.base, counts),
            reference=reference,
            past=own,
            stated=self.stated,
            usual=self.usual(days),
            one_value_a_day=self.one_value_a_day,
            week_before=self.weeks[0] if self.weeks else None,
            levels=levels,
            past_levels=own_levels,
            past_rows=own_rows,
            repeats=repeats,
        )

    def _lacks(self, such: Floats, alike: NDArray[np.bool_], span: float) -> bool:
        """Whether the reference, of so many days, holds no such days (repeating_days.py); never of a column that follows the calendar.

        such: their counts by group. alike: the days of the past that have their weekdays.
        """
        if self.of_the_day:
            return False
        rows = self.shares * (1 - self.shares) / max(self.before.n, 1.0)
        both = rows + self.weekly.between * mean_variance_ratio(span, self.weekly.correlation)
        others = self.past_groups[~alike].sum(axis=0)
        return lacks_such_days(self.base, others, such, float(alike.mean()), float(rows.sum() / both.sum()), self.stated[0])

    @cached_property
    def weeks(self) -> tuple[float, ...]:
        """Return the PSI of each of the weeks before the window, newest first, until one has too few rows."""
        past = self.past
        if past is None:
            return ()
        kept = (self.start - 1 - past.numbers) // WEEK == np.arange(PAST_DAYS // WEEK)[:, None]
        enough = kept @ past.rows >= MINIMUM_ROWS
        known = enough.size if enough.all() else int(enough.argmin())
        return tuple(distance.psi_by_row(self.base, kept[:known] @ self.past_groups).tolist())


def column_drift(
    reference: str,
    name: str,
    axis: ColumnAxis,
    before: ColumnHistogram,
    of: DailyHistogram,
    everything: DailyHistogram | None,
    days: WindowDays,
    stated: Limits,
) -> ColumnDrift | None:
    """Return the drift of one column in the window against the reference and its own past; None where a side is empty.

    of, everything: its days in the window and before. stated: PSI from which it is watch and act.
    """
    if before.n <= 0 or of.w.sum() <= 0:
        return None
    known = None if everything is None else everything.at(days.past(everything.numbers))
    known = None if known is None or not known.numbers.size else known
    side = ColumnBaseline(axis, before, of, known, stated, days.start)
    length = min(int(of.numbers.max()) - int(of.numbers.min()) + 1, max(round(days.length), 1))
    windows = [side.window(np.ones(of.numbers.size, bool), length, whole=True)]
    if known is not None and known.numbers.size >= 2 * WEEK:
        masks = last_day_masks(of.numbers, days.last, length, lambda kept: of.rows[kept].sum() >= MINIMUM_ROWS, first=days.first)
        windows += [side.window(kept, short, whole=False) for short, kept in masks]
    whole = days.whole(of.numbers)
    shown = whole if whole.any() else np.ones(of.numbers.size, bool)
    # any one day of a column with a value of its own each day is far from the reference
    compared = np.zeros_like(shown) if side.one_value_a_day or side.own_value_each_day else shown
    psi = distance.psi_by_row(side.base, side.now_groups[compared]).tolist()
    by_day = zip(of.numbers[compared].tolist(), psi, of.rows[compared].tolist(), strict=True)
    dated = of.at(shown)
    if everything is not None and days.first > days.start and bool((of.numbers == days.start).any()) and whole.any():
        dated = everything.at(everything.numbers == days.start).joined(of.at(of.numbers == days.start)).joined(dated)
    return ColumnDrift(reference, name, axis, before, tuple(windows), tuple(by_day), side.weeks, side.weekly.days, dated, known)


@dataclass(frozen=True)
class DriftSeries:
    """A column's drift by day, past and window, in one direction.

    numbers: days since 1970, rising. values, errors: the mean of a weight over each day's rows, and its standard error. level,
    level_error: the same of the reference.
    """

    numbers: NDArray[np.int64]
    values: Floats
    errors: Floats
    level: float
    level_error: float


def drift_series(drift: ColumnDrift, at: DistributionChange, weights: Floats | None = None) -> DriftSeries:
    """Return the series that separates the two distributions best.

    It is the mean of log(now / reference) over each day's rows, by the groups of the PSI, so that the distance of the window's mean from
    the reference's is the PSI; or the mean of given weights by group.
    """
    reference, after = (np.maximum(counts / counts.sum(), MIN_SHARE) for counts in at.groups)
    weights = np.log(after / reference) if weights is None else weights
    sides = [side for side in (drift.past, drift.days) if side is not None]
    counts = np.concatenate([distance.merge_bins(side.counts, drift.axis.group) for side in sides])
    w, w2, numbers = (np.concatenate([getattr(side, name) for side in sides]) for name in ("w", "w2", "numbers"))
    spread = [float(side @ weights**2 - (side @ weights) ** 2) for side in (reference / reference.sum(), after / after.sum())]
    with np.errstate(invalid="ignore", divide="ignore"):
        values, errors = counts @ weights / w, np.sqrt(max(spread) * w2 / w**2)
    level = float(reference @ weights / reference.sum())
    return DriftSeries(numbers, values, errors, level, float(np.sqrt(spread[0] / max(drift.before.n, 1.0))))


def drift_onset(drift: ColumnDrift, at: DistributionChange, start: datetime, weights: Floats | None = None) -> OnsetEstimate:
    """Estimate the onset date of a column's drift in one of its windows, in `drift_series`.

    The natural effect of a single day (one weekday) is not a change in it.
    """
    days = drift_series(drift, at, weights)
    short = drift.past is None or drift.past.numbers.size < MIN_DAYS
    before = (days.level, days.level_error) if short else None
    return estimate_onset(days.numbers, days.values, days.errors, start=start, before=before, worse=1)


def drift_standing(drift: ColumnDrift, at: DistributionChange, limit: float, weights: Floats | None = None) -> dict[str, Any]:
    """Return since when a column is farther than a limit from the reference in one direction, as a finding's evidence."""
    days = drift_series(drift, at, weights)
    return evidence_of_days_beyond(days.numbers, days.values - days.level - limit, days.errors)
