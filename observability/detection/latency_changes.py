"""Is a latency or an error rate beyond what it was, or beyond that of others, by more than chance and by enough to matter?

Of a quantile it is asked whether more answers than before took longer than the quantile was: a rate like that of errors. So one test serves all,
and knows how much days differ. Baselines are the model's own past, or the other replicas (with what stood between them in the past taken away).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from observability.core.settings import ModelSettings
from observability.metrics.traffic import QUANTILES, Requests, Tail, at_hour, together
from observability.stats.interval import Interval, interval
from observability.stats.quantile import LOG_EDGES, RELATIVE_ERROR
from observability.stats.rate_change import dispersion, higher_rate_test, surest_segment

NAME = "serving/latency"
RATIO_WATCH, RATIO_ACT = 1.3, 1.5
"""A latency that is three tenths longer is worth a look, half as long again needs somebody (`limits` of the settings: `serving/latency/latency_p99`),
less the 4 % that two percentiles from bins may be off."""
POINTS_WATCH, POINTS_ACT = 0.005, 0.02
"""An error rate that is half a point higher is worth a look, two points need somebody (`serving/latency/error_rate`); at least half as high again."""
ODDS_WATCH, ODDS_ACT = 1.5, 2.0
"""The odds of a slow or a failed answer must be this many times higher, so that a few answers between two humps do not count."""
PAST_DAYS, MINIMUM_DAYS = 28, 7
SETTLED_HOURS = 400
"""A longer series is looked at by day to find when something began."""
Spread = Callable[[], tuple[float, int]]
"""How much days differ (stats/rate_change.py), found only where it is needed."""


@dataclass(frozen=True)
class Past:
    """What was: the requests that are compared with, and by day all that tell how much days differ. model: of other versions too."""

    requests: Requests
    days: Requests
    model: bool = False


@dataclass(frozen=True)
class Change:
    """One metric now and before. ratio: how many times higher (None where that was 0), with an interval for latencies; grown: in its own unit.

    odds: of a slow or failed answer, now against before. slow: the answers that are meant, by period. usual: their share before. p_value: 1 as
    well where the rise is too small to matter, so that it was not tested. stood: whether something that stood in the past was taken away.
    """

    metric: str
    now: Interval
    before: Interval
    n: int
    n_before: int
    ratio: Interval
    odds: float
    p_value: float
    slow: Tail
    usual: float
    stood: bool = False

    @property
    def grown(self) -> float:
        """By how much the value rose."""
        return (self.now.value or 0.0) - (self.before.value or 0.0)


def limits_of(metric: str, settings: ModelSettings) -> tuple[float, float]:
    """Where it is watch and where act: ratios of a latency, points of an error rate."""
    watch, act = (RATIO_WATCH, RATIO_ACT) if metric in QUANTILES else (POINTS_WATCH, POINTS_ACT)
    act = settings.limits.get(f"{NAME}/{metric}", act)
    return min(watch, act), act


def matters(change: Change, limit: float, odds: float = ODDS_WATCH) -> bool:
    """Whether a rise is large enough: beyond a limit, above 1 with its whole interval, and of as many answers as to count."""
    if change.odds < odds:
        return False
    if change.metric not in QUANTILES:
        return change.grown >= limit - 1e-12
    ratio = change.ratio
    return ratio.value is not None and ratio.value >= limit * (1 - 2 * RELATIVE_ERROR) and (ratio.low or 0.0) > 1


def rose_less(other: Change, change: Change) -> bool:
    """Whether another replica kept its pace (its latency rose less than half as much, in the logarithm; its error rate surely less): so it is a
    matter of this one, and not of all.
    """
    if change.metric in QUANTILES:
        return other.ratio.value is not None and change.ratio.value is not None and other.ratio.value**2 < change.ratio.value
    ends = (other.now.high, other.before.value, change.now.low, change.before.value)
    return None not in ends and (ends[0] or 0.0) - (ends[1] or 0.0) < (ends[2] or 0.0) - (ends[3] or 0.0)


def measured(requests: Requests, metric: str) -> Interval:
    """A metric with its interval."""
    return requests.quantile(QUANTILES[metric]) if metric in QUANTILES else requests.error_rate()


def against_past(now: Requests, past: Past, metric: str) -> Change | None:
    """A metric now and in the past; None where either has too few requests, or the past too few days."""
    before = past.requests
    if not now.enough(metric) or not before.enough(metric) or past.days.days < MINIMUM_DAYS:
        return None
    if metric not in QUANTILES:
        return change_of(metric, now, before, now.failures(), before.failures(), lambda: dispersion([of_days(past.days.failures())]))
    edge = before.quantile_bin(QUANTILES[metric])
    return change_of(metric, now, before, now.slower(edge), before.slower(edge), lambda: dispersion([of_days(past.days.slower(edge))]))


@dataclass(frozen=True)
class Fleet:
    """The replicas (or devices) of a model by name, now and before, each by day. rest: those beyond the largest, which are not judged themselves."""

    field: str
    now: dict[str, Requests]
    before: dict[str, Requests]
    rest: tuple[Requests, ...] = ()

    def others(self, name: str) -> list[Requests]:
        """All but one, now."""
        return [*(each for other, each in self.now.items() if other != name), *self.rest]

    def beside(self, name: str) -> "Beside":
        """One of them beside the others, now and in the past of those that are there now."""
        others, before = self.others(name), [self.before[other] for other in self.now if other != name and other in self.before]
        return Beside(self.now[name], together(others), others, self.before.get(name), together(before) if before else None, before)


@dataclass(frozen=True)
class Beside:
    """One replica beside the others: itself, the others together and each of them, now and before (None where there was none)."""

    now: Requests
    peers: Requests
    others: list[Requests]
    before: Requests | None
    then: Requests | None
    others_before: list[Requests]


def against_peers(of: Beside, metric: str) -> Change | None:
    """A metric of one replica against that of the others together, less what stood between them in the past; None where there are too few requests."""
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
        return dispersion([of_days(each) for each in tails])

    return change_of(metric, now, peers, now.slower(edge + shift), peers.slower(edge), spread, scale=scale)


def errors_against_peers(
    now: Requests, peers: Requests, before: Requests | None, then: Requests | None, days: Sequence[Requests]
) -> Change:
    """The error rate of one replica against that of the others, what it was above theirs in the past added to it."""
    apart = max(before.failures().share - then.failures().share, 0.0) if before is not None and then is not None else 0.0
    usual = peers.failures()
    usual = Tail(usual.periods, usual.rows, np.minimum(usual.hits + apart * usual.rows, usual.rows))
    return change_of(
        "error_rate", now, peers, now.failures(), usual, lambda: dispersion([of_days(each.failures()) for each in days]), apart=apart
    )


def of_days(tail: Tail) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hits and rows by day."""
    days = tail.by_day()
    return days.hits, days.rows


def change_of(
    metric: str, now: Requests, before: Requests, slow: Tail, usual: Tail, spread: Spread, *, scale: float = 1.0, apart: float = 0.0
) -> Change:
    """The change of one metric. slow, usual: the answers that are meant, now and before. scale, apart: what stood between both sides, as a ratio or in
    points.
    """
    after, then, timed = measured(now, metric), measured(before, metric), metric in QUANTILES
    value, low, high = (
        (each if each is None else each * scale if timed else min(each + apart, 1.0)) for each in (then.value, then.low, then.high)
    )
    then = Interval(value, low, high, then.n)
    found = Change(
        metric, after, then, now.timed if timed else now.n, before.timed if timed else before.n,
        ratio_interval(after, then), odds(slow) / odds(usual), 1.0, slow, usual.share, scale > 1 or apart > 0,
    )  # fmt: skip
    if not matters(found, RATIO_WATCH if timed else POINTS_WATCH):
        return found
    p_value = higher_rate_test(float(slow.hits.sum()), slow.total, float(usual.hits.sum()), usual.total, spread())
    return replace(found, p_value=p_value)


def odds(tail: Tail) -> float:
    """Odds of a slow or failed answer, half a row added on both sides so that they are never 0."""
    hits = float(tail.hits.sum())
    return (hits + 0.5) / (max(tail.total - hits, 0.0) + 0.5)


def ratio_interval(now: Interval, before: Interval) -> Interval:
    """The ratio now / before with an interval from both, taken in the logarithm (MOVER: Zou and Donner 2008); unknown where before is 0."""
    if now.value is None or before.value is None or not before.value > 0 or not now.value > 0:
        return Interval(None, None, None, min(now.n, before.n))
    value = np.log(now.value / before.value)
    ends = [each for each in (now.low, now.high, before.low, before.high) if each is not None and each > 0]
    if len(ends) < 4:
        return Interval(float(np.exp(value)), None, None, min(now.n, before.n))
    a, b, c, d = np.log(ends)
    low = value - np.hypot(np.log(now.value) - a, d - np.log(before.value))
    high = value + np.hypot(b - np.log(now.value), np.log(before.value) - c)
    return interval(float(np.exp(value)), float(np.exp(low)), float(np.exp(high)), min(now.n, before.n))


def onset(change: Change) -> datetime | None:
    """When the slow or failed answers began to be surely more than before: the start of the surest run of periods (days in a long window)."""
    tail = change.slow if change.slow.periods.size <= SETTLED_HOURS else change.slow.by_day()
    found = surest_segment(tail.hits, tail.rows, change.usual)
    return None if found is None else at_hour(int(tail.periods[found[0]]))


def since_above(now: Requests, limit_ms: float) -> datetime | None:
    """When more than one answer in a hundred surely began to take longer than a stated latency."""
    tail = now.slower(int(np.searchsorted(LOG_EDGES, limit_ms, side="left")))
    tail = tail if tail.periods.size <= SETTLED_HOURS else tail.by_day()
    found = surest_segment(tail.hits, tail.rows, 1 - QUANTILES["latency_p99"])
    return None if found is None else at_hour(int(tail.periods[found[0]]))
