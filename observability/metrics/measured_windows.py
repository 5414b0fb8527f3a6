"""Performance metrics by day and over any set of days, from daily counts and sums of the window and of its past.

Labels come late, so a day counts as mature only once it has at least the share MATURE of its usual labels.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import Context
from observability.core.questions import UNKNOWN
from observability.core.window import EPOCH
from observability.metrics.performance import Columns, answer_columns, performance_metrics, ranking_errors, served_and_labelled
from observability.stats.dispersion import MIN_DAYS, DayVariation, consecutive_day_variation, estimate_day_variation, fast_median
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

MATURE = 0.8
"""Below this share of the usual labels, a loss of performance may only be an effect of labels that have not arrived yet. Charts shade such
days.
"""
WEEK = 7
PAST_DAYS = 56
BASELINE_DAYS = 28
"""The model's own past is the four weeks before the measured days. The variation between days is estimated from all known days."""
MIN_LABELS_A_DAY = 10
Days = NDArray[np.int64]
Floats = NDArray[np.float64]
NOTHING: Days = np.zeros(0, np.int64)
Metrics = dict[str, Interval]


def row_error(each: Interval) -> float:
    """Standard error from the rows alone, computed from the width of a 95 % interval; NaN without an interval."""
    if each.low is None or each.high is None:
        return float("nan")
    return (each.high - each.low) / 2 / 1.96


def day_date(day: int | np.int64) -> date:
    """The date of a day's number."""
    return (EPOCH + timedelta(days=int(day))).date()


class DailyMetrics:
    """Daily counts and sums of the past and the window, and every metric over any set of these days."""

    def __init__(self, frames: Mapping[str, "DataFrame"], context: Context) -> None:
        import pandas as pd

        self.model = context.model
        self.now = {name: frames[f"current_{name}"] for name in ("counts", "sums")}
        both = {name: pd.concat([frames[f"past_{name}"], now], ignore_index=True) if len(frames[f"past_{name}"]) else now
                for name, now in self.now.items()}  # fmt: skip
        self.of_counts, self.of_sums = (days_in(both[name]) for name in ("counts", "sums"))
        self.counts, self.sums = (answer_columns(both[name]) for name in ("counts", "sums"))
        self.known: dict[int, Metrics] = {}
        self.varies: dict[tuple[str, int, bool], DayVariation | None] = {}
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
        """For each row of the counts, the position of its day in `days`."""
        return np.searchsorted(self.days, self.of_counts)

    @cached_property
    def served(self) -> NDArray[np.float64]:
        """The number of predictions of each day."""
        return self.totals(np.ones(self.of_counts.size, bool))

    @cached_property
    def labelled(self) -> NDArray[np.float64]:
        """The number of labelled predictions of each day."""
        return self.totals(self.counts["label"] != UNKNOWN)

    def totals(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The number of predictions of each day, among some rows of the query result."""
        return np.bincount(self.place[kept], self.counts["n"][kept], self.days.size)

    def measured(self, days: Days) -> Metrics:
        """Every metric over some days."""
        return performance_metrics(
            self.model,
            kept_answer_rows(self.counts, np.isin(self.days, days)[self.place]),
            kept_answer_rows(self.sums, np.isin(self.of_sums, days)),
        )

    @property
    def window(self) -> Metrics:
        """Every metric over the window exact to the minute; its first and last day may be incomplete."""
        return performance_metrics(self.model, *(answer_columns(self.now[name]) for name in ("counts", "sums")))

    @property
    def labelled_in_window(self) -> float:
        """The number of labelled predictions in the window, exact to the minute."""
        return served_and_labelled(self.now["counts"])[1]

    def bin_errors(self, days: Days | None = None) -> dict[str, float]:
        """The largest difference between metrics computed from score bins and metrics computed from the rows, over some days or over the
        exact window.
        """
        if self.model.task != "binary":
            return {}
        return ranking_errors(self.now["counts"] if days is None else kept_answer_rows(self.counts, np.isin(self.days, days)[self.place]))

    @property
    def weighted(self) -> bool:
        """Whether any prediction of the window has a weight other than 1."""
        return bool((self.now["counts"]["w2"] != self.now["counts"]["n"]).any())

    def of_day(self, day: int) -> Metrics:
        """Every metric of one day."""
        if day not in self.known:
            counts, sums = (kept_answer_rows(columns, of.get(day, NOTHING)) for columns, of in self.rows)
            self.known[day] = performance_metrics(self.model, counts, sums)
        return self.known[day]

    @cached_property
    def rows(self) -> list[tuple[Columns, dict[int, NDArray[np.int64]]]]:
        """The counts and the sums; for each of the two, the indices of the rows of each day."""
        found: list[tuple[Columns, dict[int, NDArray[np.int64]]]] = []
        for columns, of in ((self.counts, self.of_counts), (self.sums, self.of_sums)):
            order = np.argsort(of, kind="stable")
            days, first = np.unique(of[order], return_index=True)
            found.append((columns, dict(zip(days.tolist(), np.split(order, first[1:]), strict=True)) if days.size else {}))
        return found

    def series(self, metric: str) -> tuple[Days, Floats, Floats, Floats]:
        """Four arrays over the days that have enough labels: number of the day, value of the metric, standard error, n.

        The value is NaN if there is none. The standard error includes only the variation of rows.
        """
        if metric not in self.by_metric:
            self.by_metric[metric] = self.labelled_days, *self.measured_on(metric, self.labelled_days)
        return self.by_metric[metric]

    @cached_property
    def labelled_days(self) -> Days:
        """Days that have enough labels, in order."""
        return self.days[self.labelled >= MIN_LABELS_A_DAY]

    def measured_on(self, metric: str, days: Days) -> tuple[Floats, Floats, Floats]:
        """Value, standard error and n of a metric on some days, as in `series`."""
        each = [self.of_day(int(day))[metric] for day in days]
        values = np.array([np.nan if one.value is None else one.value for one in each], np.float64)
        errors = np.array([row_error(one) for one in each], np.float64)
        return values, errors, np.array([one.n for one in each], np.float64)

    def day_variation(self, metric: str, before: int, *, weekly: bool) -> DayVariation | None:
        """The variance of a metric between days beyond that of the rows, from the four weeks before a day; None if fewer than seven days
        have enough labels.
        """
        asked = metric, before, weekly
        if asked not in self.varies:
            days = self.labelled_days[self.labelled_days < before][-BASELINE_DAYS:]
            values, errors, n = self.measured_on(metric, days)
            known = np.flatnonzero(np.isfinite(values) & np.isfinite(errors) & (errors > 0))
            self.varies[asked] = None
            if known.size >= MIN_DAYS:
                square = float(fast_median(errors[known] ** 2 * n[known], 0))
                self.varies[asked] = estimate_day_variation(values[known], square / n[known], days[known], weekly=weekly)
        return self.varies[asked]

    def consecutive_variation(self, metric: str, last: int) -> DayVariation | None:
        """The variance of a metric between consecutive days beyond that of the rows, from the five weeks up to `last`; None if fewer than
        seven days have enough labels.
        """
        days = self.labelled_days[(self.labelled_days <= last) & (self.labelled_days > last - BASELINE_DAYS - WEEK)]
        values, errors, n = self.measured_on(metric, days)
        kept = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
        if kept.sum() < MIN_DAYS:
            return None
        square = float(fast_median(errors[kept] ** 2 * n[kept], 0))
        return consecutive_day_variation(values[kept], square / n[kept], days[kept])

    @cached_property
    def mature(self) -> Days:
        """The days whose labels have mostly arrived: their labelled share is at least MATURE of the final share, which is estimated from
        the best days of the past.
        """
        with np.errstate(invalid="ignore"):
            share = self.labelled / self.served
        if not share.size or np.quantile(share, 0.9) <= 0:
            return self.days[:0]
        return self.days[share >= MATURE * np.quantile(share, 0.9)]

    def complete(self, days: Days) -> Days:
        """Those of the given days that have labels for at least MATURE of their predictions."""
        known = np.isin(self.days, days) & (self.served > 0)
        return self.days[known][self.labelled[known] >= MATURE * self.served[known]]

    def predictions(self, days: Days) -> float:
        """The number of predictions on these days."""
        return float(self.served[np.isin(self.days, days)].sum())

    def labels(self, days: Days) -> float:
        """The number of labels on these days."""
        return float(self.labelled[np.isin(self.days, days)].sum())


def kept_answer_rows(columns: Columns, kept: NDArray[Any]) -> Columns:
    """Some rows of a query result."""
    return {name: values[kept] for name, values in columns.items()}


def days_in(frame: "DataFrame | Columns") -> Days:
    """The number of the day (since 1970) of each row of a query result."""
    return np.asarray(frame["period"], "datetime64[D]").astype(np.int64)
