"""Measures whether a latency or an error rate rose, compared with the past or with other replicas.

A rise must be significant and large enough. A quantile is tested by the share of requests that took longer than the baseline's quantile, so
the same test serves quantiles and error rates. The test takes the variance between days into account. The baseline is the model's own past,
or the other replicas after correction for their difference in the past.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from observability.core.settings import ModelSettings
from observability.detection.change import stated_limits
from observability.metrics.traffic import QUANTILES, RequestCounts, RequestTail, hour_start, merged_requests
from observability.stats.interval import Interval, ordered_interval
from observability.stats.quantile import LOG_EDGES, RELATIVE_ERROR
from observability.stats.rate_change import count_dispersion, elevated_segment, higher_rate_test

NAME = "serving/latency"
RATIO_WATCH, RATIO_ACT = 1.3, 1.5
"""Limits of a latency: 1.3 times is `watch`, 1.5 times `act` (`limits` of the settings: `serving/latency/latency_p99`), minus the 4 %
binning error of two percentiles.
"""
MIN_INCREASE_MS = 2.0
"""Smallest rise of a latency that matters, in milliseconds (`serving/latency/latency_increase`). A rise from 0.14 to 0.28 ms does not
matter to anybody.
"""
POINTS_WATCH, POINTS_ACT = 0.005, 0.02
"""Limits of an error rate: half a point higher is `watch`, two points `act` (`serving/latency/error_rate`); the rate must also be at least
half as high again.
"""
ODDS_WATCH, ODDS_ACT = 1.5, 2.0
"""Smallest odds ratio of a slow or failed request, for `watch` and `act`. Because of it, a few requests between two modes of the latency do
not count as a rise.
"""
PAST_DAYS, MINIMUM_DAYS = 28, 7
SETTLED_HOURS = 400
"""A series with more hours than this is aggregated by day before the onset is estimated."""
Spread = Callable[[], tuple[float, int]]
"""A function that returns the variance between days (stats/rate_change.py); it is called only if the variance is needed."""


@dataclass(frozen=True)
class PastRequests:
    """Past requests: the baseline, and the requests by day from which the variance between days is estimated. model: whether they include
    other versions of the model.
    """

    requests: RequestCounts
    days: RequestCounts
    model: bool = False


@dataclass(frozen=True)
class ServiceChange:
    """One metric now and before.

    ratio: now divided by before (None if before was 0), with an interval for latencies; grown: the rise in the metric's own unit. odds:
    odds ratio of a slow or failed request. slow: slow or failed requests by period. usual: their share before. p_value: 1 also if the rise
    was too small to matter and was not tested. stood: whether a past difference was subtracted.
    """

    metric: str
    now: Interval
    before: Interval
    n: int
    n_before: int
    ratio: Interval
    odds: float
    p_value: float
    slow: RequestTail
    usual: float
    stood: bool = False

    @property
    def grown(self) -> float:
        """The rise of the value."""
        return (self.now.value or 0.0) - (self.before.value or 0.0)


def service_limits(metric: str, settings: ModelSettings) -> tuple[float, float]:
    """Return the limits for `watch` and `act`: ratios for a latency, points for an error rate."""
    watch, act = (RATIO_WATCH, RATIO_ACT) if metric in QUANTILES else (POINTS_WATCH, POINTS_ACT)
    return stated_limits(settings, f"{NAME}/{metric}", watch, act)


def least_increase(settings: ModelSettings) -> float:
    """Return the smallest rise of a latency that matters, in milliseconds: the owner's value, else the default."""
    return settings.limits.get(f"{NAME}/latency_increase", MIN_INCREASE_MS)


def is_relevant_rise(change: ServiceChange, limit: float, odds: float = ODDS_WATCH, *, least_ms: float = 0.0) -> bool:
    """Whether a rise is large enough: it is beyond a limit, its interval is entirely above 1, and enough requests are affected.

    least_ms: the smallest rise of a latency that matters, in milliseconds.
    """
    if change.odds < odds:
        return False
    if change.metric not in QUANTILES:
        return change.grown >= limit - 1e-12
    if change.grown < least_ms:
        return False
    ratio = change.ratio
    return ratio.value is not None and ratio.value >= limit * (1 - 2 * RELATIVE_ERROR) and (ratio.low or 0.0) > 1


def other_rose_less(other: ServiceChange, change: ServiceChange) -> bool:
    """Whether another replica rose less, so that the change is specific to this replica.

    This means: its latency rose less than half as much on the log scale, or its error rate rose significantly less.
    """
    if change.metric in QUANTILES:
        return other.ratio.value is not None and change.ratio.value is not None and other.ratio.value**2 < change.ratio.value
    ends = (other.now.high, other.before.value, change.now.low, change.before.value)
    return None not in ends and (ends[0] or 0.0) - (ends[1] or 0.0) < (ends[2] or 0.0) - (ends[3] or 0.0)


def service_metric(requests: RequestCounts, metric: str) -> Interval:
    """Return a metric with its interval."""
    return requests.quantile(QUANTILES[metric]) if metric in QUANTILES else requests.error_rate()


def against_past(now: RequestCounts, past: PastRequests, metric: str) -> ServiceChange | None:
    """Return the change of a metric against the past; None if either side has too few requests, or the past has too few days."""
    before = past.requests
    if not now.enough(metric) or not before.enough(metric) or past.days.days < MINIMUM_DAYS:
        return None
    if metric not in QUANTILES:
        return change_of(metric, now, before, now.failures(), before.failures(), lambda: count_dispersion([of_days(past.days.failures())]))
    edge = before.quantile_bin(QUANTILES[metric])
    return change_of(
        metric, now, before, now.slower(edge), before.slower(edge), lambda: count_dispersion([of_days(past.days.slower(edge))])
    )


@dataclass(frozen=True)
class ReplicaFleet:
    """The replicas (or devices) of a model by name, now and before, each by day. rest: all other replicas besides the largest ones; they
    are not tested.
    """

    field: str
    now: dict[str, RequestCounts]
    before: dict[str, RequestCounts]
    rest: tuple[RequestCounts, ...] = ()

    def others(self, name: str) -> list[RequestCounts]:
        """Return the present requests of all replicas except one."""
        return [*(each for other, each in self.now.items() if other != name), *self.rest]

    def beside(self, name: str) -> "ReplicaComparison":
        """Return one replica and the other replicas, now and in the past. Only replicas that are present now are included."""
        others, before = self.others(name), [self.before[other] for other in self.now if other != name and other in self.before]
        return ReplicaComparison(
            self.now[name], merged_requests(others), others, self.before.get(name), merged_requests(before) if before else None, before
        )


@dataclass(frozen=True)
class ReplicaComparison:
    """One replica, and the other replicas together and individually, now and before (None if there were none)."""

    now: RequestCounts
    peers: RequestCounts
    others: list[RequestCounts]
    before: RequestCounts | None
    then: RequestCounts | None
    others_before: list[RequestCounts]


def against_peers(of: ReplicaComparison, metric: str) -> ServiceChange | None:
    """Return the change of a metric of one replica against all other replicas together, corrected for their difference in the past.

    None if there are too few requests.
    """
    now, peers, others, others_before = of.now, of.peers, of.others, of.others_before
    if not now.enough(metric) or not peers.enough(metric):
        return None
    before, then = of.before, of.then
    if before is None or then is None or not before.enough(metric) or not then.enough(metric):
        before = then = None
    if metric not in QUANTILES:
        return errors_against_peers(now, peers, before, then, [*others, *others_before, *([before] if before else [])])
    q = QUANTILES[metric]
    edge, shift, scale, edge_before = peers.quantile_bin(q), 0, 1.0, 0
    if before is not None and then is not None:
        edge_before = then.quantile_bin(q)
        shift = max(before.quantile_bin(q) - edge_before, 0)
        scale = max((before.quantile(q).value or 1.0) / (then.quantile(q).value or 1.0), 1.0)

    def spread() -> tuple[float, int]:
        tails = [each.slower(edge) for each in others] + [each.slower(edge_before) for each in others_before if before is not None]
        tails += [before.slower(edge_before + shift)] if before is not None else []
        return count_dispersion([of_days(each) for each in tails])

    return change_of(metric, now, peers, now.slower(edge + shift), peers.slower(edge), spread, scale=scale)


def errors_against_peers(
    now: RequestCounts, peers: RequestCounts, before: RequestCounts | None, then: RequestCounts | None, days: Sequence[RequestCounts]
) -> ServiceChange:
    """Return the error rate of one replica, compared with the rate of the other replicas plus their difference in the past."""
    apart = max(before.failures().share - then.failures().share, 0.0) if before is not None and then is not None else 0.0
    usual = peers.failures()
    usual = RequestTail(usual.periods, usual.rows, np.minimum(usual.hits + apart * usual.rows, usual.rows))
    return change_of(
        "error_rate", now, peers, now.failures(), usual, lambda: count_dispersion([of_days(each.failures()) for each in days]), apart=apart
    )


def of_days(tail: RequestTail) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the number of hits and of rows by day."""
    days = tail.by_day()
    return days.hits, days.rows


def change_of(
    metric: str,
    now: RequestCounts,
    before: RequestCounts,
    slow: RequestTail,
    usual: RequestTail,
    spread: Spread,
    *,
    scale: float = 1.0,
    apart: float = 0.0,
) -> ServiceChange:
    """Return the change of one metric.

    slow, usual: slow or failed requests, now and before. scale, apart: the past difference of both sides, as a ratio and in points.
    """
    after, then, timed = service_metric(now, metric), service_metric(before, metric), metric in QUANTILES
    value, low, high = (
        (each if each is None else each * scale if timed else min(each + apart, 1.0)) for each in (then.value, then.low, then.high)
    )
    then = Interval(value, low, high, then.n)
    found = ServiceChange(
        metric,
        after,
        then,
        now.timed if timed else now.n,
        before.timed if timed else before.n,
        ratio_interval(after, then),
        failure_odds(slow) / failure_odds(usual),
        1.0,
        slow,
        usual.share,
        scale > 1 or apart > 0,
    )
    if not is_relevant_rise(found, RATIO_WATCH if timed else POINTS_WATCH):
        return found
    p_value = higher_rate_test(float(slow.hits.sum()), slow.total, float(usual.hits.sum()), usual.total, spread())
    return replace(found, p_value=p_value)


def failure_odds(tail: RequestTail) -> float:
    """Return the odds of a slow or failed request. Half a row is added on both sides, so that the odds are never 0."""
    hits = float(tail.hits.sum())
    return (hits + 0.5) / (max(tail.total - hits, 0.0) + 0.5)


def ratio_interval(now: Interval, before: Interval) -> Interval:
    """Return the ratio now / before with an interval, computed on the log scale (MOVER: Zou and Donner 2008); unknown if before is 0."""
    if now.value is None or before.value is None or not before.value > 0 or not now.value > 0:
        return Interval(None, None, None, min(now.n, before.n))
    value = np.log(now.value / before.value)
    ends = [each for each in (now.low, now.high, before.low, before.high) if each is not None and each > 0]
    if len(ends) < 4:
        return Interval(float(np.exp(value)), None, None, min(now.n, before.n))
    a, b, c, d = np.log(ends)
    low = value - np.hypot(np.log(now.value) - a, d - np.log(before.value))
    high = value + np.hypot(b - np.log(now.value), np.log(before.value) - c)
    return ordered_interval(float(np.exp(value)), float(np.exp(low)), float(np.exp(high)), min(now.n, before.n))


def latency_onset(change: ServiceChange) -> datetime | None:
    """Estimate since when more requests are slow or fail: the start of the most significant run of periods (days in a long window)."""
    tail = change.slow if change.slow.periods.size <= SETTLED_HOURS else change.slow.by_day()
    found = elevated_segment(tail.hits, tail.rows, change.usual)
    return None if found is None else hour_start(int(tail.periods[found[0]]))


def latency_limit_onset(now: RequestCounts, limit_ms: float) -> datetime | None:
    """Estimate since when significantly more than one request in a hundred has exceeded the given latency."""
    tail = now.slower(int(np.searchsorted(LOG_EDGES, limit_ms, side="left")))
    tail = tail if tail.periods.size <= SETTLED_HOURS else tail.by_day()
    found = elevated_segment(tail.hits, tail.rows, 1 - QUANTILES["latency_p99"])
    return None if found is None else hour_start(int(tail.periods[found[0]]))
