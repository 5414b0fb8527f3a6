"""Compares a place where data are stored with its own past: its growth, the time of reads and writes, and the share of reads and writes
that fail.
"""

from dataclasses import dataclass, replace

import numpy as np

from observability.core.finding import Severity
from observability.metrics.storage_reports import GIGABYTE, StoragePlace, daily_medians, daily_steps, daily_totals, newest_value
from observability.stats.arrays import Floats
from observability.stats.exhaustion import Exhaustion, days_until_exhausted
from observability.stats.interval import Interval
from observability.stats.quantile import median_interval
from observability.stats.ratio import ratio_of_totals_interval

MIN_DAYS, MIN_PAST_DAYS = 4, 14
"""A comparison needs at least this many days with a figure, in the window and before it."""
GROWTH, ERRORS, READ, WRITE = "storage_growth", "storage_error_rate", "storage_read_p99_ms", "storage_write_p99_ms"
TIMES = {GROWTH: 2.0, ERRORS: 3.0, READ: 2.0, WRITE: 2.0}
"""A figure is reported if it is at least this multiple of its past value."""
ACT_TIMES = 4.0
"""For `act`, the lower bound must be at least this multiple of the past value; a growth is at most `watch`."""
MIN_GAIN = {GROWTH: 0.001, ERRORS: 0.0005, READ: 5.0, WRITE: 5.0}
"""Minimum increase that is reported: share of the capacity per day (growth), share of operations (errors), milliseconds (times)."""
FAILING = 0.01
"""More than this share of failed operations is `watch` regardless of the past, and `act` if it also rose against the past."""
COUNTS = {"reads": "read_errors", "writes": "write_errors"}


@dataclass(frozen=True)
class StorageChange:
    """A figure of a storage place, in the window and before it.

    interval: the figure in the window; its n is the number of days. usual: the median of the days before, NaN if there are too few. days:
    number of days with the figure, now and before. p_value: one-sided p-value of days at least as high. least: the minimum increase.
    operations: number of operations behind a share.
    """

    metric: str
    place: str
    interval: Interval
    usual: float
    days: tuple[int, int]
    p_value: float
    least: float
    operations: int = 0

    @property
    def compared(self) -> bool:
        """Whether both sides have enough days for a comparison."""
        return self.days[0] >= MIN_DAYS and self.days[1] >= MIN_PAST_DAYS

    @property
    def missing_days(self) -> int:
        """How many more days a comparison needs."""
        return max(MIN_DAYS - self.days[0], MIN_PAST_DAYS - self.days[1], 0)

    @property
    def limit(self) -> float:
        """The value from which the figure is reported."""
        return max(TIMES[self.metric] * self.usual, self.usual + self.least)

    def rose(self, p_adjusted: float, budget: float) -> bool:
        """Whether the figure rose, given a p-value that is adjusted for all comparisons."""
        value = self.interval.value
        return self.compared and value is not None and p_adjusted <= budget and value >= self.limit

    def severity(self, p_adjusted: float, budget: float) -> Severity:
        """The severity at a p-value that is adjusted for all comparisons."""
        low, failing = self.interval.low or 0.0, self.metric == ERRORS and (self.interval.low or 0.0) > FAILING
        if not self.compared:
            return "watch" if failing and self.days[0] >= MIN_DAYS else "unknown"
        if not self.rose(p_adjusted, budget):
            return "watch" if failing else "ok"
        if self.metric == GROWTH:
            return "watch"
        return "act" if failing or (self.metric != ERRORS and low >= ACT_TIMES * self.usual) else "watch"


def storage_changes(place: StoragePlace) -> list[StorageChange]:
    """The figures from the reports of a place that can be compared with its past."""
    found = [] if place.now.empty else [growth_change(place), error_change(place)]
    for metric, column in ((READ, "read_p99_ms"), (WRITE, "write_p99_ms")):
        now, past = (daily_medians(each, column) for each in (place.now, place.before))
        if now.size:
            found.append(_change_of_days(metric, place.name, now, past, MIN_GAIN[metric]))
    return [each for each in found if each is not None]


def _change_of_days(metric: str, place: str, now: Floats, past: Floats, least: float) -> StorageChange:
    """The change of a figure: its median over days, and the test whether days are higher than before (Mann and Whitney 1947)."""
    value, low, high = median_interval(now)
    usual = float(np.median(past)) if past.size else float("nan")
    return StorageChange(metric, place, Interval(value, low, high, now.size), usual, (now.size, past.size), higher_days(now, past), least)


def higher_days(now: Floats, past: Floats) -> float:
    """The p-value of the test whether the days now are higher than the days before; 1 with too few days."""
    from scipy.stats import mannwhitneyu

    if now.size < MIN_DAYS or past.size < MIN_PAST_DAYS:
        return 1.0
    return float(mannwhitneyu(now, past, alternative="greater").pvalue)


def growth_change(place: StoragePlace) -> StorageChange | None:
    """The growth per day, in gigabytes. If a place shrank on some days, for example after a deletion, this does not hide that it grew more
    on the other days.
    """
    steps = daily_steps(place)
    if not steps.recent.any():
        return None
    by_day = steps.by_day / GIGABYTE
    room = newest_value(place, "capacity_bytes") or newest_value(place, "used_bytes") or 0.0
    now, past = by_day[steps.recent], by_day[~steps.recent]
    found = _change_of_days(GROWTH, place.name, now, past, MIN_GAIN[GROWTH] * room / GIGABYTE)
    return replace(found, p_value=higher_days(now[now > 0], past[past > 0]))


def error_change(place: StoragePlace) -> StorageChange | None:
    """The share of reads and writes that failed."""
    (hits, n), (past_hits, past_n) = (daily_totals(each, COUNTS) for each in (place.now, place.before))
    if not n.size:
        return None
    usual = float(past_hits.sum() / past_n.sum()) if past_n.size else float("nan")
    p_value, whole = higher_days(hits / n, past_hits / past_n if past_n.size else past_n), ratio_of_totals_interval(hits, n)
    days = (n.size, past_n.size)
    return StorageChange(ERRORS, place.name, whole, usual, days, p_value, MIN_GAIN[ERRORS], int(n.sum()))


def time_until_full(place: StoragePlace, faster: bool) -> tuple[Exhaustion | None, int]:
    """The days until a place is full, and the number of daily steps on which this is based. faster: whether its growth rose, so that only
    the days of the window show its present growth.
    """
    capacity, used = newest_value(place, "capacity_bytes"), newest_value(place, "used_bytes")
    steps = daily_steps(place)
    if capacity is None or used is None:
        return None, 0
    chosen = steps.recent if faster else np.ones(steps.recent.size, bool)
    return days_until_exhausted(steps.steps[chosen], steps.spans[chosen], capacity - used), int(chosen.sum())
