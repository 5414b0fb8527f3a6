"""Does the model answer: how often, how fast, how many failures, and is that as it was, and as its service level asks?

Latencies come from logarithmic bins, so every percentile is within 2 %. Where the owner stated a service level, it is judged by that; otherwise by the
model's own four weeks before. A replica is held against the others and against its own past. Nothing is claimed on few requests.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames, Span
from observability.core.finding import Against, Finding, Severity, Source
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import HOUR
from observability.detection import latency_changes, service_levels
from observability.detection.latency_changes import (
    MINIMUM_DAYS,
    NAME,
    ODDS_ACT,
    PAST_DAYS,
    Change,
    Fleet,
    Past,
    against_past,
    against_peers,
    limits_of,
    matters,
    measured,
    onset,
    rose_less,
    since_above,
)
from observability.detection.latency_sentences import (
    answers,
    because_errors,
    because_latency,
    because_level,
    because_rate,
    because_replica,
    because_small,
    predictions,
)
from observability.metrics.performance import Columns, columns_of
from observability.metrics.traffic import (
    DAY,
    FIRST_MONDAY,
    QUANTILES,
    WEEK,
    Requests,
    by_level,
    by_status,
    hour_number,
    in_days,
    missing,
    requests_of,
    together,
)
from observability.stats.interval import poisson_rate_interval
from observability.stats.multiple import benjamini_hochberg
from observability.stats.quantile import RELATIVE_ERROR

if TYPE_CHECKING:
    from pandas import DataFrame

ACT_SHARE = 0.2
"""An act may spend a fifth of the run's budget of false discoveries, a watch all of it."""
FIELDS = ("replica", "device")
COMPARED = ("latency_p99", "latency_p95", "latency_p50", "error_rate")
MOST_REPLICAS = 30
HOURLY_DAYS = 14
"""Latencies of a longer window are looked at by day."""


def needs(context: Context) -> dict[str, Ask]:
    """Requests by hour and status, latencies by hour or day, of every version; and both by replica and device and day; of the window and its past."""
    level = context.model.settings.service_level_latency_ms is not None
    days = context.window.days
    grains: dict[Span, Bucket] = {
        "current": Bucket("hour" if days <= HOURLY_DAYS or level else "day"),
        "past": Bucket("hour" if days < 7 or level else "day"),
    }
    asks: dict[str, Ask] = {}
    spans: tuple[Span, ...] = ("current", "past")
    for span in spans:
        keys = (By("version"), By("status"))
        counts = Aggregate("predictions", keys=(Bucket("hour"), *keys))
        latencies = Aggregate("predictions", keys=(grains[span], *keys), histogram=("latency_ms",))
        asks[span] = Ask(counts, span=span, days=PAST_DAYS, scope="model")
        asks[f"{span} latency"] = Ask(latencies, span=span, days=PAST_DAYS, scope="model")
        for field in FIELDS:
            of_field = Aggregate("predictions", keys=(Bucket("day"), By(field), By("status")), histogram=("latency_ms",))
            asks[f"{span} {field}"] = Ask(of_field, span=span, days=PAST_DAYS, scope="version" if span == "current" else "model")
    return asks


@dataclass(frozen=True)
class Claim:
    """A finding that may become watch or act, what it rests on, and how much it may say at most."""

    finding: Finding
    change: Change | None
    most: Severity = "act"


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Rate, error rate and percentiles of the version; the service level of the model; replicas that stand out."""
    own = {name: of_version(frames[name], context) for name in ("current", "current latency")}
    now = requests_of(own["current"], own["current latency"])
    if not now.n:
        return [
            context.undecided(
                NAME, "model", "request_rate", 0, "No predictions in this window, so nothing can be said about service.", against="past"
            )
        ]
    past = past_of(frames, context)
    claims = [*about_version(now, past, by_status(own["current"]), context)]
    for field in FIELDS:
        claims += about_fleet(fleet_of(frames, field), context)
    p_values = [1.0 if each.change is None else each.change.p_value for each in claims if each.change is not None]
    adjusted = iter(float(p) for p in benjamini_hochberg(p_values, context.budget)[0])
    findings = [claim.finding if claim.change is None else judged(claim, next(adjusted), context) for claim in claims]
    return one_a_replica([each for each in findings if each is not None]) + against_level(now, frames, context)


def of_version(frame: "DataFrame", context: Context) -> Columns:
    """The rows of the version that is judged."""
    columns = columns_of(frame)
    own = np.asarray(columns["version"], object) == context.version.name
    return {name: values[own] for name, values in columns.items()}


def past_of(frames: Frames, context: Context) -> Past:
    """The version's own past, or that of the whole model where the version is younger; of a window shorter than a week the same hours of the week."""
    counts, latencies = frames["past"], frames["past latency"]
    own = requests_of(of_version(counts, context), of_version(latencies, context))
    whole = own if own.days >= MINIMUM_DAYS else requests_of(counts, latencies)
    model = own.days < MINIMUM_DAYS and whole.n > own.n
    alike = whole.at(same_hours(whole, context)) if context.window.days < 7 else whole
    kept = alike if all(missing(alike, metric) == 0 for metric in COMPARED) else whole
    return Past(kept, in_days(whole), model)


def same_hours(requests: Requests, context: Context) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which hours of the past are those of the week that the window holds."""
    first, last = hour_number(context.window.start), hour_number(context.window.end, up=True)
    held = np.unique((np.arange(first, max(last, first)) - FIRST_MONDAY) % WEEK)
    return np.isin((requests.periods - FIRST_MONDAY) % WEEK, held)


def about_version(now: Requests, past: Past, statuses: dict[str, int], context: Context) -> Iterator[Claim]:
    """Claims about the version as a whole, against its past."""
    yield Claim(rate(now, past, context), None)
    settings = context.model.settings
    for metric in ("error_rate", *QUANTILES):
        timed = metric in QUANTILES
        stated = settings.service_level_latency_ms if timed else settings.service_level_availability
        side, value, n = against_past(now, past, metric), measured(now, metric), now.timed if timed else now.n
        base = replace(undecided(context, "model", metric, n), value=value.value, low=value.low, high=value.high)
        if timed and not now.timed:
            yield Claim(
                replace(
                    base,
                    value=None,
                    low=None,
                    high=None,
                    because="No latency was logged in this window: log `latency_ms` with each prediction.",
                ),
                None,
            )
            return
        if more := missing(now, metric):
            what = METRICS[metric].title
            yield Claim(
                replace(base, because=f"{what} cannot be told on {answers(n) if timed else predictions(n)}: it needs about {more:,} more."),
                None,
            )
            continue
        said = because_latency(metric, value, n, side, past.model) if timed else because_errors(value, statuses, n, side, past.model)
        base = replace(base, evidence={"by_status": statuses} if not timed else {})
        if side is None and stated is None:
            yield Claim(replace(base, because=f"{said}; that cannot be compared yet, it needs {too_little(past)}."), None)
            continue
        yield Claim(replace(base, severity="ok", because=f"{said}."), side, "watch" if stated is not None else "act")


def too_little(past: Past) -> str:
    """What the past lacks."""
    if past.days.days < MINIMUM_DAYS:
        return f"about {MINIMUM_DAYS - past.days.days} more days of past"
    return "more requests in the four weeks before"


def rate(now: Requests, past: Past, context: Context) -> Finding:
    """How many requests came an hour; whether they are too few is judged by data/quality."""
    until = min(context.window.end, max(context.now, context.window.start + HOUR))
    hours = max((until - context.window.start) / HOUR, 1 / 60)
    found = poisson_rate_interval(now.n, hours)
    known = past.days
    before = known.n / (PAST_DAYS * DAY) if known.days >= PAST_DAYS - 1 else None
    base = undecided(context, "model", "request_rate", now.n)
    return replace(
        base, value=found.value, low=found.low, high=found.high, severity="ok", because=because_rate(now.n / hours, before, now.n, hours),
        evidence={"baseline": before},
    )  # fmt: skip


def fleet_of(frames: Frames, field: str) -> Fleet:
    """The largest replicas or devices of the window, and their past."""
    now, before = by_level(frames[f"current {field}"], field), by_level(frames[f"past {field}"], field)
    order = sorted(now, key=lambda name: (-now[name].n, name))
    rest = tuple([together([now[name] for name in order[MOST_REPLICAS:]])] if len(order) > MOST_REPLICAS else [])
    return Fleet(field, {name: now[name] for name in sorted(order[:MOST_REPLICAS])}, before, rest)


def about_fleet(fleet: Fleet, context: Context) -> Iterator[Claim]:
    """Replicas that are slower or fail more than the others, or than themselves while another is not; and those with too few requests."""
    if len(fleet.now) < 2:
        return
    small = {name: more for name, each in fleet.now.items() if each.timed and (more := missing(each, "latency_p99"))}
    if small:
        n = sum(fleet.now[name].timed for name in small)
        because = because_small(fleet.field, small, len(fleet.now) - len(small))
        yield Claim(replace(undecided(context, fleet.field, "latency_p99", n, "peers"), because=because), None)
    pasts = {name: Past(each, each) for name, each in fleet.before.items()}
    own = {
        (name, metric): side
        for name, each in fleet.now.items() if name in pasts
        for metric in COMPARED if (side := against_past(each, pasts[name], metric)) is not None
    }  # fmt: skip
    for name in fleet.now:
        beside = fleet.beside(name)
        peers = {metric: side for metric in COMPARED if (side := against_peers(beside, metric)) is not None}
        yield from standing_out(fleet, name, peers, own, context)


def one_a_replica(findings: list[Finding]) -> list[Finding]:
    """Of the latencies of one replica the worst alone, of equals the outermost percentile: one slow replica is one fault."""
    best: dict[str, Finding] = {}
    of_replicas = [each for each in findings if "=" in each.subject and each.metric in QUANTILES]
    for each in sorted(of_replicas, key=lambda each: (each.severity != "act", COMPARED.index(each.metric))):
        best.setdefault(each.subject, each)
    return [each for each in findings if each not in of_replicas or best[each.subject] is each]


def standing_out(
    fleet: Fleet, name: str, peers: dict[str, Change], own: dict[tuple[str, str], Change], context: Context
) -> Iterator[Claim]:
    """Claims about one replica: each of its latencies, and its error rate."""
    for metric in COMPARED:
        watch = limits_of(metric, context.model.settings)[0]
        side, before = peers.get(metric), own.get((name, metric))
        if side is not None and matters(side, watch) and (before is None or matters(before, watch)):
            because = because_replica(fleet.field, name, side, len(fleet.others(name)), past=False)
            yield Claim(replica(context, fleet, name, side, "peers", because), side)
        elif before is not None and matters(before, watch) and kept_pace(fleet, name, metric, own):
            because = because_replica(fleet.field, name, before, 0, past=True)
            yield Claim(replica(context, fleet, name, before, "past", because), before)
        elif side is not None:
            yield Claim(replica(context, fleet, name, side, "peers", ""), side)


def kept_pace(fleet: Fleet, name: str, metric: str, own: dict[tuple[str, str], Change]) -> bool:
    """Whether another replica rose less: else it is no matter of this one."""
    return any(rose_less(own[other, metric], own[name, metric]) for other in fleet.now if other != name and (other, metric) in own)


def replica(context: Context, fleet: Fleet, name: str, side: Change, against: Against, because: str) -> Finding:
    """The finding about one replica, to be judged; without a sentence it only counts as one more test."""
    base = undecided(context, f"{fleet.field}={name}", side.metric, side.n, against)
    return replace(base, value=side.now.value, low=side.now.low, high=side.now.high, because=because)


def judged(claim: Claim, adjusted: float, context: Context) -> Finding | None:
    """The finding with its severity, from the size of the change and its chance over the whole run; None for a replica that does not stand out."""
    change, base = claim.change, claim.finding
    assert change is not None
    watch, act = limits_of(change.metric, context.model.settings)
    severity: Severity = "ok"
    if adjusted <= context.budget and matters(change, watch):
        sure = adjusted <= context.budget * ACT_SHARE and matters(change, act, ODDS_ACT)
        severity = "act" if sure and claim.most == "act" else "watch"
    if base.subject != "model" and (severity == "ok" or not base.because):
        return None
    evidence = base.evidence | {
        "baseline": change.before.value, "baseline_low": change.before.low, "baseline_high": change.before.high, "baseline_n": change.n_before,
        "ratio": change.ratio.value, "ratio_low": change.ratio.low, "ratio_high": change.ratio.high, "p_value": change.p_value, "p_adjusted": adjusted,
    }  # fmt: skip
    limit = limit_of(change, act if severity == "act" else watch)
    found = replace(base, severity=severity, limit=limit, evidence=evidence)
    if severity == "ok":
        return found
    grown = (change.ratio.value or 10.0) / RATIO_OF_RANK
    rank = 9.0 + min(grown, 5.0) + (1.0 if base.subject != "model" else 0.0)
    return replace(found, onset=onset(change), likely_source="system", rank=rank)


RATIO_OF_RANK = 1.5


def limit_of(change: Change, allowed: float) -> float | None:
    """The value from which it would be reported."""
    if change.before.value is None:
        return None
    return change.before.value * allowed * (1 - 2 * RELATIVE_ERROR) if change.metric in QUANTILES else change.before.value + allowed


def against_level(now: Requests, frames: Frames, context: Context) -> list[Finding]:
    """Findings against the service level that the owner stated; none where none is."""
    settings = context.model.settings
    found: list[Finding] = []
    limit = settings.service_level_latency_ms
    if limit and now.timed:
        value = measured(now, "latency_p99")
        base = replace(
            undecided(context, "model", "latency_p99", now.timed, "level"), value=value.value, low=value.low, high=value.high, limit=limit
        )
        if more := missing(now, "latency_p99"):
            found.append(replace(base, because=f"Latency p99 cannot be told on {answers(now.timed)}: it needs about {more:,} more."))
        elif value.value is not None and value.low is not None:
            beyond = limit * (1 + RELATIVE_ERROR)
            severity: Severity = "act" if value.low > limit else "watch" if value.value > beyond else "ok"
            source: Source | None = "system" if severity != "ok" else None
            when = since_above(now, limit) if severity != "ok" else None
            because = because_level(value, now.timed, limit)
            found.append(replace(base, severity=severity, because=because, likely_source=source, rank=10.0, onset=when))
    if limit or settings.service_level_availability is not None:
        spans = [requests_of(frames[span], frames[f"{span} latency"]) for span in ("past", "current")]
        for each in service_levels.objectives(together(spans), context):
            found += service_levels.claims(each, context)
    return found


def undecided(context: Context, subject: str, metric: str, n: int, against: Against = "past") -> Finding:
    """A finding that cannot tell, to be filled in where it can."""
    return context.undecided(NAME, subject, metric, n, "", against=against)


ANALYZER = Analyzer(
    NAME,
    "Does the model answer as often, as fast and as surely as it did, and as its service level asks?",
    needs,
    analyze,
    limits={**dict.fromkeys(latency_changes.QUANTILES, latency_changes.RATIO_ACT), "error_rate": latency_changes.POINTS_ACT},
)
