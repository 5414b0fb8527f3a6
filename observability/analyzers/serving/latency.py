"""Analyze request rate, latency and error rate, compared with the model's past and its service level.

Latencies come from logarithmic bins, so every percentile is accurate to within 2 %. If the owner states a service level, it is the
baseline; otherwise the baseline is the model's own previous four weeks. A replica is compared with the other replicas and with its own
past. With too few requests, the severity is `unknown`.
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
from observability.detection.change import significant_severity
from observability.detection.failure_level import FAILED_ACT, judged_by_level
from observability.detection.latency_changes import (
    MINIMUM_DAYS,
    NAME,
    ODDS_ACT,
    ODDS_WATCH,
    PAST_DAYS,
    PastRequests,
    ReplicaFleet,
    ServiceChange,
    against_past,
    against_peers,
    is_relevant_rise,
    latency_limit_onset,
    latency_onset,
    least_increase,
    other_rose_less,
    service_limits,
    service_metric,
)
from observability.detection.latency_sentences import (
    because_errors,
    because_latency,
    because_rate,
    because_replica,
    n_answers,
    n_predictions,
    not_significant_sentence,
    service_level_sentence,
    small_increase_sentence,
    small_replicas_sentence,
)
from observability.metrics.performance import Columns, answer_columns
from observability.metrics.traffic import (
    DAY,
    FIRST_MONDAY,
    QUANTILES,
    WEEK,
    RequestCounts,
    epoch_hour,
    merged_requests,
    missing_requests,
    quantile_by_day,
    request_counts,
    requests_by_day,
    requests_by_level,
    requests_by_status,
)
from observability.proofs.service import SERVICE_PROOFS
from observability.stats.interval import poisson_rate_interval
from observability.stats.multiple_testing import benjamini_hochberg
from observability.stats.quantile import RELATIVE_ERROR

if TYPE_CHECKING:
    from pandas import DataFrame

FIELDS = ("replica", "device")
COMPARED = ("latency_p99", "latency_p95", "latency_p50", "error_rate")
MAX_REPLICAS = 30
HOURLY_DAYS = 14
"""If the window is longer than this, latencies are queried by day instead of by hour, unless a service level is stated."""


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries for every version: requests by hour and status, and latencies by hour or day; both also by replica and day, and
    by device and day.

    They cover the window and its past.
    """
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
class ServiceClaim:
    """A finding, the change from which its severity is judged (None: not judged), and its highest possible severity."""

    finding: Finding
    change: ServiceChange | None
    most: Severity = "act"


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about request rate, error rate and percentiles of the version, about the model's service level, and about outlying
    replicas.
    """
    own = {name: rows_of_version(frames[name], context) for name in ("current", "current latency")}
    now = request_counts(own["current"], own["current latency"])
    if not now.n:
        return [
            context.undecided(
                NAME, "model", "request_rate", 0, "No predictions in this window, so service cannot be measured.", against="past"
            )
        ]
    past = requests_to_compare(frames, context)
    claims = [*about_version(now, past, requests_by_status(own["current"]), context)]
    for field in FIELDS:
        claims += about_fleet(fleet_of(frames, field), context)
    p_values = [1.0 if each.change is None else each.change.p_value for each in claims if each.change is not None]
    adjusted = iter(float(p) for p in benjamini_hochberg(p_values, context.budget)[0])
    findings = [claim.finding if claim.change is None else service_finding(claim, next(adjusted), context) for claim in claims]
    judged = [judged_by_level(each, context.model.settings) for each in findings if each is not None]
    return one_a_replica(judged) + against_level(now, frames, context)


def rows_of_version(frame: "DataFrame", context: Context) -> Columns:
    """Return the rows of the analyzed version."""
    columns = answer_columns(frame)
    own = np.asarray(columns["version"], object) == context.version.name
    return {name: values[own] for name, values in columns.items()}


def requests_to_compare(frames: Frames, context: Context) -> PastRequests:
    """Return the version's own past requests. If they cover fewer than MINIMUM_DAYS days, return those of the whole model.

    A window shorter than a week is compared with the same hours of the week.
    """
    counts, latencies = frames["past"], frames["past latency"]
    own = request_counts(rows_of_version(counts, context), rows_of_version(latencies, context))
    whole = own if own.days >= MINIMUM_DAYS else request_counts(counts, latencies)
    model = own.days < MINIMUM_DAYS and whole.n > own.n
    alike = whole.at(same_hours(whole, context)) if context.window.days < 7 else whole
    kept = alike if all(missing_requests(alike, metric) == 0 for metric in COMPARED) else whole
    return PastRequests(kept, requests_by_day(whole), model)


def same_hours(requests: RequestCounts, context: Context) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return a mask of the past hours whose hour of the week is in the window."""
    first, last = epoch_hour(context.window.start), epoch_hour(context.window.end, up=True)
    held = np.unique((np.arange(first, max(last, first)) - FIRST_MONDAY) % WEEK)
    return np.isin((requests.periods - FIRST_MONDAY) % WEEK, held)


def about_version(now: RequestCounts, past: PastRequests, statuses: dict[str, int], context: Context) -> Iterator[ServiceClaim]:
    """Return claims about the version as a whole, compared with its past."""
    yield ServiceClaim(request_rate_finding(now, past, context), None)
    settings = context.model.settings
    for metric in ("error_rate", *QUANTILES):
        timed = metric in QUANTILES
        stated = settings.service_level_latency_ms if timed else settings.service_level_availability
        side, value, n = against_past(now, past, metric), service_metric(now, metric), now.timed if timed else now.n
        base = replace(undecided_service(context, "model", metric, n), value=value.value, low=value.low, high=value.high)
        if timed and not now.timed:
            yield ServiceClaim(
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
        if more := missing_requests(now, metric):
            what = METRICS[metric].title
            yield ServiceClaim(
                replace(
                    base,
                    because=f"{what} cannot be measured on {n_answers(n) if timed else n_predictions(n)}: it needs about {more:,} more.",
                ),
                None,
            )
            continue
        said = because_latency(metric, value, n, side, past.model) if timed else because_errors(value, statuses, n, side, past.model)
        days = {"by_day": quantile_by_day(now, metric)} if metric == "latency_p99" else {}
        base = replace(base, evidence=days if timed else {"by_status": statuses})
        if side is None and stated is None:
            yield ServiceClaim(replace(base, because=f"{said}; no comparison yet: it needs {too_little(past)}."), None)
            continue
        yield ServiceClaim(replace(base, severity="ok", because=f"{said}."), side, "watch" if stated is not None else "act")


def too_little(past: PastRequests) -> str:
    """Return in words what is missing in the past for a comparison."""
    if past.days.days < MINIMUM_DAYS:
        return f"about {MINIMUM_DAYS - past.days.days} more days of past"
    return "more requests in the four weeks before"


def request_rate_finding(now: RequestCounts, past: PastRequests, context: Context) -> Finding:
    """Return the finding about requests per hour; `unknown` without a past. Too few requests are reported by data/quality."""
    until = min(context.window.end, max(context.now, context.window.start + HOUR))
    hours = max((until - context.window.start) / HOUR, 1 / 60)
    found = poisson_rate_interval(now.n, hours)
    known = past.days
    before = known.n / (PAST_DAYS * DAY) if known.days >= PAST_DAYS - 1 else None
    base = undecided_service(context, "model", "request_rate", now.n)
    return replace(
        base,
        value=found.value,
        low=found.low,
        high=found.high,
        severity="unknown" if before is None else "ok",
        because=because_rate(now.n / hours, before, now.n, hours, PAST_DAYS - 1 - known.days),
        evidence={"baseline": before},
    )


def fleet_of(frames: Frames, field: str) -> ReplicaFleet:
    """Return the largest replicas or devices of the window, and their past."""
    now, before = requests_by_level(frames[f"current {field}"], field), requests_by_level(frames[f"past {field}"], field)
    order = sorted(now, key=lambda name: (-now[name].n, name))
    rest = tuple([merged_requests([now[name] for name in order[MAX_REPLICAS:]])] if len(order) > MAX_REPLICAS else [])
    return ReplicaFleet(field, {name: now[name] for name in sorted(order[:MAX_REPLICAS])}, before, rest)


def about_fleet(fleet: ReplicaFleet, context: Context) -> Iterator[ServiceClaim]:
    """Return claims about outlying replicas, and the finding about replicas with too few requests.

    A replica is an outlier in two cases: it is slower or fails more often than the others, or it became worse than its own past while
    another replica rose less.
    """
    if len(fleet.now) < 2:
        return
    small = {name: more for name, each in fleet.now.items() if each.timed and (more := missing_requests(each, "latency_p99"))}
    if small:
        n = sum(fleet.now[name].timed for name in small)
        because = small_replicas_sentence(fleet.field, small, len(fleet.now) - len(small))
        yield ServiceClaim(replace(undecided_service(context, fleet.field, "latency_p99", n, "peers"), because=because), None)
    pasts = {name: PastRequests(each, each) for name, each in fleet.before.items()}
    own = {
        (name, metric): side
        for name, each in fleet.now.items()
        if name in pasts
        for metric in COMPARED
        if (side := against_past(each, pasts[name], metric)) is not None
    }
    for name in fleet.now:
        beside = fleet.beside(name)
        peers = {metric: side for metric in COMPARED if (side := against_peers(beside, metric)) is not None}
        yield from standing_out(fleet, name, peers, own, context)


def one_a_replica(findings: list[Finding]) -> list[Finding]:
    """Return the findings with only the worst latency claim of each replica, because one slow replica is one fault."""
    best: dict[str, Finding] = {}
    of_replicas = [each for each in findings if "=" in each.subject and each.metric in QUANTILES]
    for each in sorted(of_replicas, key=lambda each: (each.severity != "act", COMPARED.index(each.metric))):
        best.setdefault(each.subject, each)
    return [each for each in findings if each not in of_replicas or best[each.subject] is each]


def standing_out(
    fleet: ReplicaFleet, name: str, peers: dict[str, ServiceChange], own: dict[tuple[str, str], ServiceChange], context: Context
) -> Iterator[ServiceClaim]:
    """Return claims about one replica: one for each of its latencies, and one for its error rate."""
    least = least_increase(context.model.settings)
    for metric in COMPARED:
        watch = service_limits(metric, context.model.settings)[0]
        side, before = peers.get(metric), own.get((name, metric))
        rose = before is not None and is_relevant_rise(before, watch, least_ms=least)
        if side is not None and is_relevant_rise(side, watch, least_ms=least) and (before is None or rose):
            because = because_replica(fleet.field, name, side, len(fleet.others(name)), past=False)
            yield ServiceClaim(replica_finding(context, fleet, name, side, "peers", because), side)
        elif before is not None and rose and another_rose_less(fleet, name, metric, own):
            because = because_replica(fleet.field, name, before, 0, past=True)
            yield ServiceClaim(replica_finding(context, fleet, name, before, "past", because), before)
        elif side is not None:
            yield ServiceClaim(replica_finding(context, fleet, name, side, "peers", ""), side)


def another_rose_less(fleet: ReplicaFleet, name: str, metric: str, own: dict[tuple[str, str], ServiceChange]) -> bool:
    """Whether the metric rose less on another replica; otherwise the change is not specific to this replica."""
    return any(other_rose_less(own[other, metric], own[name, metric]) for other in fleet.now if other != name and (other, metric) in own)


def replica_finding(context: Context, fleet: ReplicaFleet, name: str, side: ServiceChange, against: Against, because: str) -> Finding:
    """Return the finding about one replica, before its severity is known. A finding without a sentence is never shown; it only counts as
    one more test.
    """
    base = undecided_service(context, f"{fleet.field}={name}", side.metric, side.n, against)
    return replace(base, value=side.now.value, low=side.now.low, high=side.now.high, because=because)


def service_finding(claim: ServiceClaim, adjusted: float, context: Context) -> Finding | None:
    """Return the finding with its severity, from the size of the change and its p-value adjusted for the run.

    None for a replica that is not an outlier.
    """
    change, base = claim.change, claim.finding
    assert change is not None
    watch, act = service_limits(change.metric, context.model.settings)
    least = least_increase(context.model.settings) if change.metric in QUANTILES else 0.0
    severity = significant_severity(
        is_relevant_rise(change, watch, least_ms=least),
        claim.most == "act" and is_relevant_rise(change, act, ODDS_ACT, least_ms=least),
        adjusted,
        context.budget,
    )
    if base.subject != "model" and (severity == "ok" or not base.because):
        return None
    evidence = base.evidence | {
        "baseline": change.before.value,
        "baseline_low": change.before.low,
        "baseline_high": change.before.high,
        "baseline_n": change.n_before,
        "ratio": change.ratio.value,
        "ratio_low": change.ratio.low,
        "ratio_high": change.ratio.high,
        "p_value": change.p_value,
        "p_adjusted": adjusted,
        **({"least_increase_ms": least} if change.metric in QUANTILES else {}),
    }
    limit = service_limit(change, act if severity == "act" else watch, least, severity == "act")
    found = replace(base, severity=severity, limit=limit, evidence=evidence)
    if severity == "ok" and limit is not None and (change.now.value or 0.0) >= limit:
        return replace(found, severity="unknown", because=f"{base.because} {not_significant_sentence(change, limit)}")
    if severity == "ok" and is_relevant_rise(change, watch) and not is_relevant_rise(change, watch, least_ms=least):
        found = replace(found, because=f"{base.because} {small_increase_sentence(change, least)}")
    if severity == "ok":
        return found
    grown = (change.ratio.value or 10.0) / RATIO_OF_RANK
    rank = 9.0 + min(grown, 5.0) + (1.0 if base.subject != "model" else 0.0)
    return replace(found, onset=latency_onset(change), likely_source="system", rank=rank)


RATIO_OF_RANK = 1.5


def service_limit(change: ServiceChange, allowed: float, least_ms: float, act: bool) -> float | None:
    """Return the value from which the change would be reported. For an error rate, the odds must grow as well."""
    before, times = change.before.value, ODDS_ACT if act else ODDS_WATCH
    if before is None:
        return None
    if change.metric in QUANTILES:
        return max(before * allowed * (1 - 2 * RELATIVE_ERROR), before + least_ms)
    return max(before + allowed, times * before / (1 + (times - 1) * before))


def against_level(now: RequestCounts, frames: Frames, context: Context) -> list[Finding]:
    """Return findings that compare the window with the owner's stated service level; none without a service level."""
    settings = context.model.settings
    found: list[Finding] = []
    limit = settings.service_level_latency_ms
    if limit and now.timed:
        value = service_metric(now, "latency_p99")
        base = replace(
            undecided_service(context, "model", "latency_p99", now.timed, "level"),
            value=value.value,
            low=value.low,
            high=value.high,
            limit=limit,
        )
        if more := missing_requests(now, "latency_p99"):
            found.append(replace(base, because=f"Latency p99 cannot be measured on {n_answers(now.timed)}: it needs about {more:,} more."))
        elif value.value is not None and value.low is not None:
            beyond = limit * (1 + RELATIVE_ERROR)
            severity: Severity = "act" if value.low > limit else "watch" if value.value > beyond else "ok"
            source: Source | None = "system" if severity != "ok" else None
            when = latency_limit_onset(now, limit) if severity != "ok" else None
            because = service_level_sentence(value, now.timed, limit)
            found.append(replace(base, severity=severity, because=because, likely_source=source, rank=10.0, onset=when))
    if limit or settings.service_level_availability is not None:
        spans = [request_counts(frames[span], frames[f"{span} latency"]) for span in ("past", "current")]
        for each in service_levels.stated_objectives(merged_requests(spans), context):
            found += service_levels.objective_claims(each, context)
    return found


def undecided_service(context: Context, subject: str, metric: str, n: int, against: Against = "past") -> Finding:
    """Return a finding of severity `unknown`, whose fields are replaced if a verdict is possible."""
    return context.undecided(NAME, subject, metric, n, "", against=against)


ANALYZER = Analyzer(
    NAME,
    "Are request rate, latency and error rate as before, and within the service level?",
    needs,
    analyze,
    limits={
        **dict.fromkeys(latency_changes.QUANTILES, latency_changes.RATIO_ACT),
        "latency_increase": latency_changes.MIN_INCREASE_MS,
        "error_rate": latency_changes.POINTS_ACT,
        "error_rate_level": FAILED_ACT,
    },
    proofs=SERVICE_PROOFS,
)
