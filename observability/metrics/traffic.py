"""Requests, failures and latency by period, computed from the results of aggregate queries.

There is one row per period (hours or days, numbered in hours from 1970), and one column per bin of latency (stats/quantile.py). Rows may be
weighted. The figures then correspond to an unweighted sample with the same information (Kish 1965), while `n` is the actual number of rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.window import EPOCH, HOUR
from observability.metrics.performance import Columns, answer_columns
from observability.stats.interval import Interval, rate_interval
from observability.stats.quantile import LOG_EDGES, RELATIVE_ERROR, quantile_interval

if TYPE_CHECKING:
    from pandas import DataFrame

ANSWERED = ("ok", "fallback", "timeout")
"""Statuses whose latency counts, because a client waited for the answer. Errors and rejections are fast, so they would bias the latency."""
QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
BINS = LOG_EDGES.size + 1
PERCENTILE_WORDS = (
    f"p95 is the smallest latency that 95 % of responses do not exceed, ±{100 * RELATIVE_ERROR:.0f} % from bins. "
    "Tools that interpolate between two responses, such as pandas, can differ by more if few responses are slow."
)
"""What a percentile of latency is and how precise it is, in words."""
NEEDED = {"error_rate": 100, "latency_p50": 100, "latency_p95": 200, "latency_p99": 500}
"""Number of requests that each metric needs: with it, five requests lie beyond p99 and ten beyond p95."""
DAY, WEEK, FIRST_MONDAY = 24, 168, 96
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RequestTail:
    """Requests by period, and how many of them failed or took longer than a certain latency (`hits`)."""

    periods: Ints
    rows: Floats
    hits: Floats

    @property
    def total(self) -> float:
        """The number of all requests."""
        return float(self.rows.sum())

    @property
    def share(self) -> float:
        """The share that failed or was slow; 0 if there are no requests."""
        return float(self.hits.sum()) / self.total if self.total > 0 else 0.0

    def by_day(self) -> "RequestTail":
        """The same requests summed by day."""
        days, place = np.unique(self.periods // DAY, return_inverse=True)
        return RequestTail(days * DAY, _sums(place, self.rows, days.size), _sums(place, self.hits, days.size))


@dataclass(frozen=True)
class RequestCounts:
    """By period (in order): requests, failed requests, and answers by bin of latency (periods × BINS). counted: number of rows; measured:
    number of rows in bins.
    """

    periods: Ints
    rows: Floats
    failed: Floats
    bins: Floats
    counted: Floats
    measured: Floats

    @property
    def n(self) -> int:
        """The number of all rows."""
        return int(self.counted.sum())

    @property
    def timed(self) -> int:
        """The number of rows whose latency is known and whose status counts for latency."""
        return int(self.measured.sum())

    def at(self, keep: NDArray[np.bool_]) -> "RequestCounts":
        """The same counts, only for the periods of a mask."""
        return RequestCounts(
            self.periods[keep], self.rows[keep], self.failed[keep], self.bins[keep], self.counted[keep], self.measured[keep]
        )

    @cached_property
    def days(self) -> int:
        """The number of days with requests."""
        return int(np.unique(self.periods[self.rows > 0] // DAY).size)

    @cached_property
    def histogram(self) -> Floats:
        """Answers by bin over all periods."""
        return np.asarray(self.bins.sum(axis=0), np.float64)

    @cached_property
    def answers(self) -> float:
        """The number of answers in the bins of latency."""
        return float(self.histogram.sum())

    def failures(self) -> RequestTail:
        """All requests and the failed ones, by period."""
        return RequestTail(self.periods, self.rows, self.failed)

    @cached_property
    def timed_by_period(self) -> Floats:
        """The number of answers in the bins of latency, by period."""
        return np.asarray(self.bins.sum(axis=1), np.float64)

    def slower(self, bin_: int) -> RequestTail:
        """By period: all answers, and those in bins above the given bin."""
        return RequestTail(self.periods, self.timed_by_period, self.bins[:, bin_ + 1 :].sum(axis=1))

    def error_rate(self) -> Interval:
        """The share of failed requests, with its interval."""
        return rate_interval(float(self.failed.sum()), float(self.rows.sum()))

    def quantile(self, q: float) -> Interval:
        """A quantile of latency in ms, with the interval of order statistics."""
        if q not in self.quantiles:
            self.quantiles[q] = quantile_interval(self.histogram, LOG_EDGES, q, middle=True, effective_n=self.answers)
        return self.quantiles[q]

    @cached_property
    def quantiles(self) -> dict[float, Interval]:
        """The quantiles that were computed so far, by q."""
        return {}

    def quantile_bin(self, q: float) -> int:
        """Bin of a quantile; 0 without answers."""
        below = np.cumsum(self.histogram)
        return int(np.searchsorted(below, q * below[-1] * (1 - 1e-12))) if below[-1] > 0 else 0

    def enough(self, metric: str) -> bool:
        """Whether there are enough requests for a metric."""
        return missing_requests(self, metric) == 0


DAYS_KEPT = 40
"""Maximum number of days for which a finding stores a percentile."""
FIGURES = ("rows", "failed", "bins", "counted", "measured")
"""Those fields of `RequestCounts` that have one value per period."""


def missing_requests(requests: RequestCounts, metric: str) -> int:
    """How many more requests a metric needs; 0 if there are enough.

    Parameters
    ----------
    requests : RequestCounts
        Requests.
    metric : str
        Metric.

    Returns
    -------
    int
    """
    q = QUANTILES.get(metric)
    held = float(requests.rows.sum()) if q is None else requests.answers
    return max(int(np.ceil(NEEDED[metric] - held)), 0)


def request_counts(counts: "DataFrame | Columns", latencies: "DataFrame | Columns") -> RequestCounts:
    """Requests made from two query results: one by period and status, and one that also has a histogram of `latency_ms` (both may be the
    same).

    Parameters
    ----------
    counts : DataFrame | Columns
        Answer by period and status.
    latencies : DataFrame | Columns
        Answer by period, status and bin of latency.

    Returns
    -------
    RequestCounts
    """
    hours, timed_hours = _hours_in(counts), _hours_in(latencies)
    periods = np.unique(np.concatenate([hours, timed_hours]))
    place, w = np.searchsorted(periods, hours), np.asarray(counts["w"], np.float64) * _weight_scale(counts)
    failed, status = np.asarray(counts["status"], object) != "ok", np.asarray(latencies["status"], object)
    held = (np.asarray(latencies["bin"], np.int64) >= 0) & np.logical_or.reduce([status == each for each in ANSWERED])
    kept = {name: np.asarray(latencies[name])[held] for name in ("bin", "n", "w", "w2")}
    timed_place = np.searchsorted(periods, timed_hours[held])
    cell = timed_place * BINS + kept["bin"].astype(np.int64)
    bins = _sums(cell, kept["w"].astype(np.float64) * _weight_scale(kept), periods.size * BINS).reshape(periods.size, BINS)
    rows, n = _sums(place, w, periods.size), _sums(place, np.asarray(counts["n"], np.float64), periods.size)
    timed = _sums(timed_place, kept["n"].astype(np.float64), periods.size)
    return RequestCounts(periods, rows, _sums(place, w * failed, periods.size), bins, n, timed)


def requests_by_day(requests: RequestCounts) -> RequestCounts:
    """Requests by day.

    Parameters
    ----------
    requests : RequestCounts
        Requests by period.

    Returns
    -------
    RequestCounts
    """
    if not requests.periods.size:
        return requests
    days, first = np.unique(requests.periods // DAY, return_index=True)
    return RequestCounts(days * DAY, *(np.add.reduceat(getattr(requests, name), first, axis=0) for name in FIGURES))


def quantile_by_day(requests: RequestCounts, metric: str) -> list[list[Any]]:
    """[day, value, low, high, n] of a percentile of latency, a row for each day with latencies.

    Parameters
    ----------
    requests : RequestCounts
        Requests by period.
    metric : str
        One of QUANTILES.

    Returns
    -------
    list of list
        The last DAYS_KEPT days. The interval is None on a day with too few responses for it.
    """
    days = requests_by_day(requests)
    rows: list[list[Any]] = []
    for place in np.flatnonzero(days.measured > 0)[-DAYS_KEPT:]:
        one = days.at(np.arange(days.periods.size) == place)
        found, day = one.quantile(QUANTILES[metric]), np.datetime64(int(days.periods[place]), "h").astype("datetime64[D]")
        ends = (found.low, found.high) if one.enough(metric) else (None, None)
        rows.append([str(day), found.value, *ends, one.timed])
    return rows


def merged_requests(several: Iterable[RequestCounts]) -> RequestCounts:
    """The requests of several replicas, merged into one.

    Parameters
    ----------
    several : Iterable[RequestCounts]
        Requests of each.

    Returns
    -------
    RequestCounts
    """
    parts = list(several)
    periods = np.unique(np.concatenate([part.periods for part in parts]))
    found = RequestCounts(periods, *(np.zeros((periods.size, *getattr(parts[0], name).shape[1:])) for name in FIGURES))
    for part in parts:
        place = np.searchsorted(periods, part.periods)
        for name in FIGURES:
            getattr(found, name)[place] += getattr(part, name)
    return found


def _sums(place: Ints, values: Floats, size: int) -> Floats:
    """Sum of the values at each place."""
    return np.asarray(np.bincount(place, values, size), np.float64)


def requests_by_level(frame: "DataFrame", field: str) -> dict[str, RequestCounts]:
    """The requests of each replica or device, by its name. Requests without one are left out.

    Parameters
    ----------
    frame : DataFrame
        Answer with the field.
    field : str
        "replica" or "device".

    Returns
    -------
    dict[str, RequestCounts]
    """
    columns = answer_columns(frame)
    levels = columns.pop(field)
    found = {}
    for level in sorted({each for each in levels.tolist() if isinstance(each, str)}):
        own = levels == level
        part = {name: values[own] for name, values in columns.items()}
        found[level] = request_counts(part, part)
    return found


def requests_by_status(counts: Columns) -> dict[str, int]:
    """The number of rows by status, sorted by status name.

    Parameters
    ----------
    counts : Columns
        Answer by status.

    Returns
    -------
    dict[str, int]
    """
    status, n = counts["status"], counts["n"]
    return {name: int(n[status == name].sum()) for name in sorted({level for level in status.tolist() if isinstance(level, str)})}


def _hours_in(frame: "DataFrame | Columns") -> Ints:
    """The periods of a query result, in hours from 1970."""
    return np.asarray(frame["period"], "datetime64[us]").astype("datetime64[h]").astype(np.int64)


def _weight_scale(frame: "DataFrame | Columns") -> float:
    """Factor by which weights are multiplied so that their sum is the effective n; 1 if rows are unweighted."""
    squares = float(np.asarray(frame["w2"]).sum())
    return float(np.asarray(frame["w"]).sum()) / squares if squares > 0 else 1.0


def epoch_hour(instant: datetime, *, up: bool = False) -> int:
    """Number of whole hours from 1970 to a point in time.

    Parameters
    ----------
    instant : datetime
        Instant.
    up : bool
        Round up instead of down.

    Returns
    -------
    int
    """
    return -((EPOCH - instant) // HOUR) if up else (instant - EPOCH) // HOUR


def hour_start(hour: int) -> datetime:
    """Instant at which an hour starts.

    Parameters
    ----------
    hour : int
        Hours from 1970.

    Returns
    -------
    datetime
    """
    return EPOCH + HOUR * int(hour)
