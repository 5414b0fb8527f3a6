"""How many requests came in each period, how many failed, and how long did the answers take?

From the answers to aggregates to small arrays: one row a period (hours or days, numbered in hours from 1970), one column a bin of latency
(stats/quantile.py). Rows may be weighted: figures are then those of an unweighted sample as informative (Kish 1965), and `n` the rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.window import EPOCH, HOUR
from observability.metrics.performance import Columns, columns_of
from observability.stats.interval import Interval, rate_interval
from observability.stats.quantile import LOG_EDGES, quantile_interval

if TYPE_CHECKING:
    from pandas import DataFrame

ANSWERED = ("ok", "fallback", "timeout")
"""Whose latency counts: those for which somebody waited. Errors and rejections come fast, and would flatter."""
QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
BINS = LOG_EDGES.size + 1
NEEDED = {"error_rate": 100, "latency_p50": 100, "latency_p95": 200, "latency_p99": 500}
"""Requests that each metric needs before anything is said: five beyond p99, ten beyond p95."""
DAY, WEEK, FIRST_MONDAY = 24, 168, 96
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tail:
    """Requests by period, and those among them that failed, or that took longer than some latency."""

    periods: Ints
    rows: Floats
    hits: Floats

    @property
    def total(self) -> float:
        """All requests."""
        return float(self.rows.sum())

    @property
    def share(self) -> float:
        """The share that failed or was slow; 0 without requests."""
        return float(self.hits.sum()) / self.total if self.total > 0 else 0.0

    def by_day(self) -> "Tail":
        """The same by day."""
        days, place = np.unique(self.periods // DAY, return_inverse=True)
        return Tail(days * DAY, summed(place, self.rows, days.size), summed(place, self.hits, days.size))


@dataclass(frozen=True)
class Requests:
    """Requests by period (in order), those that failed, and answers by bin of latency (periods × BINS). counted, measured: rows, and rows in bins."""

    periods: Ints
    rows: Floats
    failed: Floats
    bins: Floats
    counted: Floats
    measured: Floats

    @property
    def n(self) -> int:
        """All rows."""
        return int(self.counted.sum())

    @property
    def timed(self) -> int:
        """Rows whose latency is known and counts."""
        return int(self.measured.sum())

    def at(self, keep: NDArray[np.bool_]) -> "Requests":
        """Some of the periods."""
        return Requests(self.periods[keep], self.rows[keep], self.failed[keep], self.bins[keep], self.counted[keep], self.measured[keep])

    @cached_property
    def days(self) -> int:
        """Days with requests."""
        return int(np.unique(self.periods[self.rows > 0] // DAY).size)

    @cached_property
    def histogram(self) -> Floats:
        """Answers by bin over all periods."""
        return np.asarray(self.bins.sum(axis=0), np.float64)

    @cached_property
    def answers(self) -> float:
        """Answers in bins."""
        return float(self.histogram.sum())

    def failures(self) -> Tail:
        """Failed requests by period."""
        return Tail(self.periods, self.rows, self.failed)

    @cached_property
    def timed_by_period(self) -> Floats:
        """Answers in bins by period."""
        return np.asarray(self.bins.sum(axis=1), np.float64)

    def slower(self, bin_: int) -> Tail:
        """Answers in bins above one, by period."""
        return Tail(self.periods, self.timed_by_period, self.bins[:, bin_ + 1 :].sum(axis=1))

    def error_rate(self) -> Interval:
        """Share that failed, with its interval."""
        return rate_interval(float(self.failed.sum()), float(self.rows.sum()))

    def quantile(self, q: float) -> Interval:
        """A quantile of latency in ms, with the interval of order statistics."""
        if q not in self.quantiles:
            self.quantiles[q] = quantile_interval(self.histogram, LOG_EDGES, q, middle=True, effective_n=self.answers)
        return self.quantiles[q]

    @cached_property
    def quantiles(self) -> dict[float, Interval]:
        """The quantiles that were asked for already."""
        return {}

    def quantile_bin(self, q: float) -> int:
        """The bin that a quantile lies in; 0 without answers."""
        below = np.cumsum(self.histogram)
        return int(np.searchsorted(below, q * below[-1] * (1 - 1e-12))) if below[-1] > 0 else 0

    def enough(self, metric: str) -> bool:
        """Whether there are requests enough for a metric."""
        return missing(self, metric) == 0


FIGURES = ("rows", "failed", "bins", "counted", "measured")
"""What `Requests` holds of each period."""


def missing(requests: Requests, metric: str) -> int:
    """How many more requests a metric needs; 0 where they suffice."""
    q = QUANTILES.get(metric)
    held = float(requests.rows.sum()) if q is None else requests.answers
    return max(int(np.ceil(NEEDED[metric] - held)), 0)


def requests_of(counts: "DataFrame | Columns", latencies: "DataFrame | Columns") -> Requests:
    """Requests from an answer by period and status, and one that histograms `latency_ms` as well (they may be the same)."""
    hours, timed_hours = hours_in(counts), hours_in(latencies)
    periods = np.unique(np.concatenate([hours, timed_hours]))
    place, w = np.searchsorted(periods, hours), np.asarray(counts["w"], np.float64) * scale_of(counts)
    failed, status = np.asarray(counts["status"], object) != "ok", np.asarray(latencies["status"], object)
    held = (np.asarray(latencies["bin"], np.int64) >= 0) & np.logical_or.reduce([status == each for each in ANSWERED])
    kept = {name: np.asarray(latencies[name])[held] for name in ("bin", "n", "w", "w2")}
    timed_place = np.searchsorted(periods, timed_hours[held])
    cell = timed_place * BINS + kept["bin"].astype(np.int64)
    bins = summed(cell, kept["w"].astype(np.float64) * scale_of(kept), periods.size * BINS).reshape(periods.size, BINS)
    rows, n = summed(place, w, periods.size), summed(place, np.asarray(counts["n"], np.float64), periods.size)
    timed = summed(timed_place, kept["n"].astype(np.float64), periods.size)
    return Requests(periods, rows, summed(place, w * failed, periods.size), bins, n, timed)


def in_days(requests: Requests) -> Requests:
    """The same by day."""
    if not requests.periods.size:
        return requests
    days, first = np.unique(requests.periods // DAY, return_index=True)
    return Requests(days * DAY, *(np.add.reduceat(getattr(requests, name), first, axis=0) for name in FIGURES))


def together(several: Iterable[Requests]) -> Requests:
    """The requests of several replicas as one."""
    parts = list(several)
    periods = np.unique(np.concatenate([each.periods for each in parts]))
    found = Requests(periods, *(np.zeros((periods.size, *getattr(parts[0], name).shape[1:])) for name in FIGURES))
    for each in parts:
        place = np.searchsorted(periods, each.periods)
        for name in FIGURES:
            getattr(found, name)[place] += getattr(each, name)
    return found


def summed(place: Ints, values: Floats, size: int) -> Floats:
    """Sum of the values at each place."""
    return np.asarray(np.bincount(place, values, size), np.float64)


def by_level(frame: "DataFrame", field: str) -> dict[str, Requests]:
    """The requests of each replica or device, by its name; those that name none are left out."""
    columns = columns_of(frame)
    levels = columns.pop(field)
    found = {}
    for level in sorted({each for each in levels.tolist() if isinstance(each, str)}):
        own = levels == level
        part = {name: values[own] for name, values in columns.items()}
        found[level] = requests_of(part, part)
    return found


def by_status(counts: Columns) -> dict[str, int]:
    """Rows by status, in the order of their names."""
    status, n = counts["status"], counts["n"]
    return {name: int(n[status == name].sum()) for name in sorted({each for each in status.tolist() if isinstance(each, str)})}


def hours_in(frame: "DataFrame | Columns") -> Ints:
    """The periods of an answer in hours from 1970."""
    return np.asarray(frame["period"], "datetime64[us]").astype("datetime64[h]").astype(np.int64)


def scale_of(frame: "DataFrame | Columns") -> float:
    """By which weights are multiplied, so that they add up to the effective n; 1 where rows are unweighted."""
    squares = float(np.asarray(frame["w2"]).sum())
    return float(np.asarray(frame["w"]).sum()) / squares if squares > 0 else 1.0


def hour_number(instant: datetime, *, up: bool = False) -> int:
    """Whole hours from 1970 to an instant, rounded down or up."""
    return -((EPOCH - instant) // HOUR) if up else (instant - EPOCH) // HOUR


def at_hour(hour: int) -> datetime:
    """The instant at which an hour starts."""
    return EPOCH + HOUR * int(hour)
