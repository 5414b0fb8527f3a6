"""On which days is performance measured, side by side: the window, its last 1, 3 and 7 days, or the last week whose labels are in?

Labels come late. Where most of the window's are still to come, the last seven days that have theirs are measured instead, which may lie before the window,
and the finding says which. The days before those that are measured are the model's own past; stretches shorter than a week are held against the same
weekdays of it. Last days are whole days, whatever the hour in which the window ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import Context
from observability.core.questions import UNKNOWN
from observability.core.window import EPOCH
from observability.metrics.performance import Columns, columns_of, performance
from observability.stats.dispersion import LEAST_DAYS, Variation, middle, variation
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

MATURE = 0.8
"""Below this share of the usual labels, a fall may be the labels' youth (terms.md: shown below 80 % as shaded)."""
LOOKS = (1, 3, 7)
WEEK = 7
PAST_DAYS = 56
BASELINE_DAYS = 28
"""The own past is the four weeks before what is measured; how much days differ is told from all that is known."""
LEAST_LABELS_A_DAY = 10
Days = NDArray[np.int64]
Floats = NDArray[np.float64]
NOTHING: Days = np.zeros(0, np.int64)
Metrics = dict[str, Interval]


@dataclass(frozen=True)
class Stretch:
    """Metrics over some days. days: their numbers since 1970. whole: what the finding is about; else one of its last days. late: not the window."""

    days: Days
    whole: bool
    late: bool
    metrics: Metrics
    past: Metrics

    @property
    def length(self) -> int:
        """Calendar days from the first to the last."""
        return int(self.days[-1] - self.days[0]) + 1

    @property
    def words(self) -> str:
        """When that was, as the end of a sentence; empty where it is the window."""
        if self.late:
            return f" from {on(self.days[0])} to {on(self.days[-1])}, the last days whose labels are in"
        return "" if self.whole else " on the last day" if self.length == 1 else f" in the last {self.length} days"


def row_error(each: Interval) -> float:
    """Standard error from rows, from the width of a 95 % interval; NaN where there is none."""
    if each.low is None or each.high is None:
        return float("nan")
    return (each.high - each.low) / 2 / 1.96


def on(day: int | np.int64) -> date:
    """The date of a day's number."""
    return (EPOCH + timedelta(days=int(day))).date()


class Ledger:
    """Counts and sums by day, of the past and of the window, and what can be said of any of these days."""

    def __init__(self, frames: Mapping[str, "DataFrame"], context: Context) -> None:
        import pandas as pd

        self.model = context.model
        self.now = {name: frames[f"current_{name}"] for name in ("counts", "sums")}
        both = {name: pd.concat([frames[f"past_{name}"], now], ignore_index=True) if len(frames[f"past_{name}"]) else now
                for name, now in self.now.items()}  # fmt: skip
        self.of_counts, self.of_sums = (days_in(both[name]) for name in ("counts", "sums"))
        self.counts, self.sums = (columns_of(both[name]) for name in ("counts", "sums"))
        self.known: dict[int, Metrics] = {}
        self.varies: dict[tuple[str, int, bool], Variation | None] = {}
        self.by_metric: dict[str, tuple[Days, Floats, Floats, Floats]] = {}
        self.first = (context.window.start - EPOCH).days
        self.last = context.whole_days[1]
        self.length = max(round(context.window.days), 1)

    @cached_property
    def days(self) -> Days:
        """Every day with predictions, in order."""
        return np.unique(self.of_counts)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """Which of these each row of the counts is of."""
        return np.searchsorted(self.days, self.of_counts)

    @cached_property
    def served(self) -> NDArray[np.float64]:
        """Predictions of each day."""
        return self.totals(np.ones(self.of_counts.size, bool))

    @cached_property
    def labelled(self) -> NDArray[np.float64]:
        """Labelled predictions of each day."""
        return self.totals(self.counts["label"] != UNKNOWN)

    def totals(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Rows of each day among some rows of the answer."""
        return np.bincount(self.place[kept], self.counts["n"][kept], self.days.size)

    def measured(self, days: Days) -> Metrics:
        """Every metric over some days."""
        return performance(
            self.model, part(self.counts, np.isin(self.days, days)[self.place]), part(self.sums, np.isin(self.of_sums, days))
        )

    @property
    def window(self) -> Metrics:
        """Every metric over the window to the minute, whose first and last day may be cut."""
        return performance(self.model, *(columns_of(self.now[name]) for name in ("counts", "sums")))

    def of_day(self, day: int) -> Metrics:
        """Every metric of one day."""
        if day not in self.known:
            counts, sums = (part(columns, of.get(day, NOTHING)) for columns, of in self.rows)
            self.known[day] = performance(self.model, counts, sums)
        return self.known[day]

    @cached_property
    def rows(self) -> list[tuple[Columns, dict[int, NDArray[np.int64]]]]:
        """Counts and sums, each with the places of the rows of each day."""
        found: list[tuple[Columns, dict[int, NDArray[np.int64]]]] = []
        for columns, of in ((self.counts, self.of_counts), (self.sums, self.of_sums)):
            order = np.argsort(of, kind="stable")
            days, first = np.unique(of[order], return_index=True)
            found.append((columns, dict(zip(days.tolist(), np.split(order, first[1:]), strict=True)) if days.size else {}))
        return found

    def series(self, metric: str) -> tuple[Days, Floats, Floats, Floats]:
        """Of the days that have labels to speak of: their numbers, and a metric's value (NaN where there is none), standard error by rows and n."""
        if metric not in self.by_metric:
            days = self.days[self.labelled >= LEAST_LABELS_A_DAY]
            each = [self.of_day(int(day))[metric] for day in days]
            values = np.array([np.nan if one.value is None else one.value for one in each], np.float64)
            errors = np.array([row_error(one) for one in each], np.float64)
            self.by_metric[metric] = days, values, errors, np.array([one.n for one in each], np.float64)
        return self.by_metric[metric]

    def day_variation(self, metric: str, before: int, *, weekly: bool) -> Variation | None:
        """What days add to a metric, from the four weeks before a day; None where fewer than seven days have labels to speak of."""
        asked = metric, before, weekly
        if asked not in self.varies:
            days, values, errors, n = self.series(metric)
            recent = np.flatnonzero(days < before)[-BASELINE_DAYS:]
            known = recent[np.isfinite(values[recent]) & np.isfinite(errors[recent]) & (errors[recent] > 0)]
            self.varies[asked] = None
            if known.size >= LEAST_DAYS:
                square = float(middle(errors[known] ** 2 * n[known], 0))
                self.varies[asked] = variation(values[known], square / n[known], days[known], weekly=weekly)
        return self.varies[asked]

    def before(self, day: int) -> list[int]:
        """The last four weeks of days before a day that have labels to speak of."""
        return [int(each) for each in self.days[(self.labelled >= LEAST_LABELS_A_DAY) & (self.days < day)][-BASELINE_DAYS:]]

    @cached_property
    def mature(self) -> Days:
        """Days whose labels are mostly in: at least MATURE of the share that comes in the end (that of the best days of the past)."""
        with np.errstate(invalid="ignore"):
            share = self.labelled / self.served
        if not share.size or np.quantile(share, 0.9) <= 0:
            return self.days[:0]
        return self.days[share >= MATURE * np.quantile(share, 0.9)]

    def stretches(self, *, young: bool, least: int) -> list[Stretch]:
        """What is measured: the window (the last mature week where its labels are young, and there is one), then its last days.

        least: labels that a part needs.
        """
        window = self.days[self.days >= self.first]
        whole = window
        ripe = self.mature[-WEEK:]
        late = bool(young and ripe.size == WEEK and self.labels(ripe) >= least)
        if late:
            whole = ripe
        found = [self.stretch(whole, whole=True, late=late)]
        known = self.days[self.days < whole[0]]
        if known.size >= 2 * WEEK and (late or not young):
            last = int(whole[-1]) if late else min(int(whole[-1]), self.last)
            for length in LOOKS:
                part = whole[(whole > last - length) & (whole <= last)]
                if length < min(found[0].length, self.length if not late else WEEK) and part.size and self.labels(part) >= least:
                    found.append(self.stretch(part, whole=False, late=late and length == WEEK))
        return found

    def predictions(self, days: Days) -> float:
        """Predictions of some days."""
        return float(self.served[np.isin(self.days, days)].sum())

    def labels(self, days: Days) -> float:
        """Labels on some days."""
        return float(self.labelled[np.isin(self.days, days)].sum())

    def stretch(self, days: Days, *, whole: bool, late: bool) -> Stretch:
        """Some days and the past that they are held against."""
        past = self.days[(self.days < days[0]) & (self.days >= days[0] - BASELINE_DAYS)]
        if days[-1] - days[0] + 1 < WEEK and self.days[0] <= days[0] - 2 * WEEK:
            past = self.days[(self.days < days[0]) & np.isin(self.days % WEEK, days % WEEK)]
        own = self.window if whole and not late else self.measured(days)
        return Stretch(days, whole, late, own, self.measured(past) if past.size else {})


def part(columns: Columns, kept: NDArray[Any]) -> Columns:
    """Some rows of an answer."""
    return {name: values[kept] for name, values in columns.items()}


def days_in(frame: "DataFrame | Columns") -> Days:
    """The number of the day of each row of an answer."""
    return np.asarray(frame["period"], "datetime64[D]").astype(np.int64)
