"""Check the devices that serve a model: late answers, crashes, lack of memory, agreement, latency, old versions and roll-outs.

Reads records of kind `device_report`. A device counts once a week. The devices of the window are compared with the device-weeks of the four
weeks before it. The devices of one version, firmware, class or ring are compared with the earlier weeks of the same group, or with the
other devices of the window if there are too few. Each ring of a roll-out is compared with its stop criterion.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.catalog import Model
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.core.formatting import format_day, plural
from observability.core.numerals import format_figure, percent
from observability.core.time import aware_utc, naive_utc
from observability.detection.device_latency import ACT_TIMES, OWN, LatencyComparison, latency_comparisons
from observability.detection.device_latency import TIMES as LATENCY_TIMES
from observability.detection.roll_out_rings import STOP_GAP, RingCriterion, crashes_since, ring_criteria, rolled_out_version
from observability.metrics.edge_fleet import (
    GROUPS,
    MEASURES,
    REPORTS,
    VERSIONS_EVER,
    DeviceMeasure,
    device_spans,
    first_seen,
    level_counts,
)
from observability.proofs.edge_fleet import EDGE_FLEET_PROOFS
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import Interval, rate_interval
from observability.stats.multiple_testing import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/edge_fleet"
PAST_DAYS = 28
MIN_DEVICES = 20
"""Minimum number of devices, and of earlier device-weeks, for a comparison."""
TIMES, POINTS, ACT_POINTS = 2.0, 0.03, 0.10
"""A share is reported from this ratio and this difference to the baseline. It is `act` if the lower bound of the difference exceeds the
last number.
"""
PAST: Against = "past"
PEERS: Against = "peers"
LEVEL: Against = "level"
STALE, RING_GAP, LATENCY = "device_stale_share", "ring_crash_gap", "device_latency_ratio"
CONCENTRATED = 0.01
"""If the number of devices in a group has at most this p-value, a property is attributed to the group and not to all devices."""
STALE_LIMITS = (0.10, 0.25)
"""Shares of devices on an old version from which it is `watch` and `act`."""
GRACE = timedelta(days=14)
"""Time after the first report of a version during which devices may still have the previous version."""


@dataclass(frozen=True)
class FleetComparison:
    """How many devices of the window, or of one group of them, have a property, and the baseline.

    column, level: the group; empty for all devices. against: `past` or `peers`. difference: the difference of the shares, with its
    interval.
    """

    measure: DeviceMeasure
    column: str
    level: str
    hits: int
    n: int
    base_hits: int
    base_n: int
    against: Against
    p_value: float

    @property
    def rate(self) -> float:
        """The share in the window."""
        return self.hits / self.n

    @property
    def base(self) -> float:
        """The share of the baseline."""
        return self.base_hits / self.base_n

    @property
    def difference(self) -> Interval:
        """The share in the window minus the share in the baseline."""
        return rate_difference_interval(self.hits, self.n, self.base_hits, self.base_n)

    @property
    def limit(self) -> float:
        """The share from which there is a warning."""
        return max(TIMES * self.base, self.base + POINTS)

    def severity(self, p_adjusted: float, budget: float) -> Severity:
        """The severity at a p-value that is adjusted for all comparisons. It is `unknown` if the share is beyond the limit, but not
        significantly.
        """
        if self.rate < self.limit:
            return "ok"
        if p_adjusted > budget:
            return "unknown"
        return "act" if (self.difference.low or 0.0) > ACT_POINTS else "watch"


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the reports of the window and of the four weeks before it, and for every version that was ever reported."""
    return {"reports": Ask(REPORTS), "past reports": Ask(REPORTS, span="past", days=PAST_DAYS), "versions": Ask(VERSIONS_EVER)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about the devices of each model."""
    reports, past = frames["reports"], frames["past reports"]
    spans = {str(model): device_spans(part) for model, part in reports.groupby("model", sort=True)}
    judged = {model: fleet_comparisons(now, past_weeks(past[past["model"] == model])) for model, now in spans.items()}
    every = [each for own in judged.values() for each in own]
    adjusted = iter(benjamini_hochberg([each.p_value for each in every], context.budget)[0].tolist())
    found: list[Finding] = []
    for model, own in judged.items():
        seen = first_seen(frame[frame["model"] == model] for frame in (past, reports))
        looks = [(each, next(adjusted)) for each in own]
        for measure in MEASURES:
            found += measure_findings(context, model, measure, [pair for pair in looks if pair[0].measure is measure], spans[model])
        found += stale_findings(context, model, spans[model], seen)
        found += latency_findings(context, model, latency_comparisons(spans[model], device_spans(past[past["model"] == model])))
        parts = (past[past["model"] == model], reports[reports["model"] == model])
        found += ring_findings(context, model, parts, first_seen([frames["versions"][frames["versions"]["model"] == model]]))
    return found


def past_weeks(past: "DataFrame") -> "DataFrame":
    """The device-weeks of earlier reports."""
    import pandas as pd

    if past.empty:
        return device_spans(past)
    last = past["at"].max()
    weeks = ((last - past["at"]).dt.total_seconds() // (7 * 86_400)).astype(int)
    return pd.concat([device_spans(part) for _, part in past.groupby(weeks)], ignore_index=True)


def fleet_comparisons(now: "DataFrame", before: "DataFrame") -> list[FleetComparison]:
    """Compare the devices of a model, and each group of them, with earlier device-weeks, in each property."""
    found: list[FleetComparison] = []
    for measure in MEASURES:
        known, earlier = now[measure.flag].dropna(), before[measure.flag].dropna()
        hits, n, base_hits, base_n = int(known.sum()), len(known), int(earlier.sum()), len(earlier)
        if n >= MIN_DEVICES and base_n >= MIN_DEVICES:
            found.append(compared_fleet(measure, "", "", (hits, n), (base_hits, base_n), "past"))
        for column in GROUPS:
            levels, old = level_counts(now, measure, column), level_counts(before, measure, column)
            for level, (own, size) in levels.items():
                base, against = old.get(level, (0, 0)), PAST
                if base[1] < MIN_DEVICES:
                    base, against = (hits - own, n - size), PEERS
                if size >= MIN_DEVICES and base[1] >= MIN_DEVICES and len(levels) > 1:
                    found.append(compared_fleet(measure, column, level, (own, size), base, against))
    return found


def compared_fleet(
    measure: DeviceMeasure, column: str, level: str, own: tuple[int, int], base: tuple[int, int], against: Against
) -> FleetComparison:
    """The comparison of two counts (hits, devices), with the one-sided p-value of Fisher's exact test."""
    from scipy.stats import hypergeom

    p_value = float(hypergeom.sf(own[0] - 1, own[1] + base[1], own[0] + base[0], own[1])) if own[0] else 1.0
    return FleetComparison(measure, column, level, *own, *base, against, p_value)


def undecided_fleet(context: Context, model: str, subject: str, metric: str, n: int, because: str, against: Against = "past") -> Finding:
    """Return the finding of severity `unknown` about the devices of a model, on which the other findings are based."""
    return replace(context.undecided(NAME, subject, metric, n, because, against=against, whole_model=True), model=model)


def measure_findings(
    context: Context, model: str, measure: DeviceMeasure, looks: list[tuple[FleetComparison, float]], spans: "DataFrame"
) -> Iterator[Finding]:
    """Yield the finding about one property: about the group that explains it best, else about all devices."""
    known = spans[measure.flag].dropna()
    if known.empty:
        return
    flagged = [(each, p) for each, p in looks if needs_action(each.severity(p, context.budget))]
    whole = rate_interval(float(known.sum()), len(known))
    if not flagged:
        said = f"{int(known.sum()):,} of {len(known):,} devices {measure.words} ({percent(whole.value or 0.0)})"
        overall, p = next((pair for pair in looks if not pair[0].column), (None, 1.0))
        if overall is None:
            more = max(MIN_DEVICES - len(known), 1)
            what = f"about {more} more devices" if len(known) < MIN_DEVICES else "reports of earlier weeks"
            yield undecided_fleet(context, model, "devices", measure.metric, len(known), f"{said}; to compare it needs {what}.")
            return
        blank = undecided_fleet(context, model, "devices", measure.metric, len(known), "")
        because = f"{said}; {percent(overall.base)} of {overall.base_n:,} device-weeks before did."
        evidence = {"baseline": overall.base, "baseline_n": overall.base_n, "p_adjusted": p}
        severity = overall.severity(p, context.budget)
        if severity == "unknown":
            because = f"{because.removesuffix('.')}: beyond the limit of {percent(overall.limit)}, but not significant (p {p:.2g})."
        decided = replace(blank, value=whole.value, low=whole.low, high=whole.high, limit=overall.limit)
        yield replace(decided, severity=severity, because=because, evidence=evidence)
        return
    worst, p = min(flagged, key=lambda pair: concentration_key(pair[0], int(known.sum()), len(known)))
    rate = rate_interval(worst.hits, worst.n)
    subject = f"{GROUPS[worst.column]}={worst.level}" if worst.column else "devices"
    who = f"of {GROUPS[worst.column]} `{worst.level}` " if worst.column else ""
    base = f"{worst.base_n:,} device-weeks before" if worst.against == "past" else f"the {worst.base_n:,} other devices"
    because = f"{worst.hits:,} of {worst.n:,} devices {who}{measure.words} ({percent(worst.rate)}); {percent(worst.base)} of {base} did."
    others = len({(each.column, each.level) for each, _ in flagged}) - 1
    because += f" Also in {others} overlapping {'group' if others == 1 else 'groups'}." if others else ""
    blank = undecided_fleet(context, model, subject, measure.metric, worst.n, because, worst.against)
    yield replace(
        blank,
        value=rate.value,
        low=rate.low,
        high=rate.high,
        limit=worst.limit,
        severity=worst.severity(p, context.budget),
        likely_source="model" if measure.flag == "differs" else "system",
        evidence={"baseline": worst.base, "baseline_n": worst.base_n, "p_adjusted": p, "group": worst.column, "level": worst.level},
    )


def concentration_key(found: FleetComparison, hits: int, n: int) -> tuple[bool, float, str]:
    """A sort key that puts the group first in which a property is most concentrated. Groups in which it is not concentrated come after "all
    devices".

    hits, n: counts over all devices of the window.
    """
    from scipy.stats import hypergeom

    rest_hits, rest = hits - found.hits, n - found.n
    by_chance = float(hypergeom.sf(found.hits - 1, n, hits, found.n)) if rest else 1.0
    concentrated = rest > 0 and by_chance <= CONCENTRATED and found.rate >= TIMES * rest_hits / rest
    return not concentrated, by_chance if concentrated else float(bool(found.column)), f"{found.column}={found.level}"


def latency_findings(context: Context, model: str, looks: list[LatencyComparison]) -> Iterator[Finding]:
    """Yield the finding about the p99 latency of devices: about the group that differs most from the others, else about all devices."""
    if not looks:
        return
    adjusted = benjamini_hochberg([each.p_value for each in looks], context.budget)[0].tolist()
    judged = [(each, each.severity(p, context.budget)) for each, p in zip(looks, adjusted, strict=True)]
    flagged = [pair for pair in judged if needs_action(pair[1])]
    apart = [pair for pair in flagged if pair[0].column and pair[0].apart <= OWN]
    chosen, severity = min(
        apart or flagged or judged[:1], key=lambda pair: (pair[0].apart if apart else 0.0, pair[0].column, pair[0].level)
    )
    subject = f"{GROUPS[chosen.column]}={chosen.level}" if chosen.column else "devices"
    who = f"{chosen.n:,} devices" + (f" of {GROUPS[chosen.column]} `{chosen.level}`" if chosen.column else "")
    base = "in their own four weeks before" if chosen.against == "past" else f"of the {chosen.base_n:,} other devices"
    times = format_figure(chosen.ratio.value or 0.0, 3)
    because = (
        f"The p99 latency of {who} is {times} times that {base}: median {format_figure(chosen.now, 3)} ms against "
        f"{format_figure(chosen.base, 3)} ms."
    )
    if severity == "unknown":
        because = f"{because.removesuffix('.')}; beyond {LATENCY_TIMES:g} times, but not significant."
    yield replace(
        undecided_fleet(context, model, subject, LATENCY, chosen.n, because, chosen.against),
        **chosen.ratio.fields,
        limit=ACT_TIMES if severity == "act" else LATENCY_TIMES,
        severity=severity,
        likely_source="system" if needs_action(severity) else None,
        evidence={"baseline": 1.0, "baseline_ms": chosen.base, "baseline_n": chosen.base_n, "group": chosen.column, "level": chosen.level},
    )


def stale_findings(context: Context, model: str, spans: "DataFrame", seen: Mapping[str, datetime]) -> Iterator[Finding]:
    """Yield the finding about devices that still serve a version that was replaced two weeks ago or earlier.

    seen: time of the first report of each version.
    """
    settled = {version: at for version, at in seen.items() if naive_utc(context.window.end) - at >= GRACE}
    if len(spans) < MIN_DEVICES or not settled:
        more = max(MIN_DEVICES - len(spans), 0)
        known = naive_utc(context.window.end) - min(seen.values(), default=naive_utc(context.window.end))
        days = -(-(GRACE - known) // timedelta(days=1))
        what = plural(more, "more device") if more else f"{plural(int(days), 'more day')} of reports"
        yield undecided_fleet(
            context, model, "devices", STALE, len(spans), f"The share of old versions is not yet known; it needs about {what}.", "level"
        )
        return
    current = max(settled, key=lambda version: (settled[version], version))
    fresh = {current} | {version for version in seen if version not in settled}
    stale = int((~spans["version"].astype(str).isin(fresh)).sum())
    share = rate_interval(stale, len(spans))
    low = share.low or 0.0
    severity: Severity = "act" if low > STALE_LIMITS[1] else "watch" if (share.value or 0.0) > STALE_LIMITS[0] else "ok"
    because = (
        f"{stale:,} of {len(spans):,} devices ({percent(share.value or 0.0)}) serve a version older than `{current}`, which was first "
        f"reported on {format_day(settled[current])}; the limit is {percent(STALE_LIMITS[severity == 'act'])}."
    )
    yield replace(
        undecided_fleet(context, model, "devices", STALE, len(spans), because, "level"),
        value=share.value,
        low=share.low,
        high=share.high,
        limit=STALE_LIMITS[severity == "act"],
        severity=severity,
        likely_source=None if severity == "ok" else "system",
    )


def stop_criterion(known: Mapping[str, Model], model: str) -> float:
    """The difference in the share of crashing devices at which a roll-out to a ring should stop: the owner's limit, else the default.
    known: models by name.
    """
    return known[model].settings.limits.get(f"{NAME}/{RING_GAP}", STOP_GAP) if model in known else STOP_GAP


def ring_findings(context: Context, model: str, parts: "tuple[DataFrame, DataFrame]", seen: Mapping[str, datetime]) -> Iterator[Finding]:
    """Yield the finding about each ring of the newest version: the roll-out should stop, may go on, or is undecided. Also yield a finding
    about each ring from which a version has disappeared after it should have stopped there.

    parts: the reports of the four weeks before the window, and of the window. seen: time of the first report of each version.
    """
    past, now = parts
    criterion = stop_criterion(context.counters.get("models") or {}, model)
    week = past[past["at"] >= naive_utc(context.window.start) - timedelta(days=7)]
    current, before = rolled_out_version(now, seen), rolled_out_version(week, seen)
    stopped = {(each.version, each.ring) for each in ring_criteria(week, before, criterion) if each.severity == "act"} if before else set()
    rings = ring_criteria(now, current, criterion) if current else []
    for ring in rings:
        yield ring_finding(context, model, ring, parts, (ring.version, ring.ring) in stopped)
    for version, name in sorted(stopped - {(each.version, each.ring) for each in rings}):
        left = int(now[now["ring"] == name]["device"].nunique())
        because = f"Version `{version}` has left `{name}`, where it should have stopped: none of {plural(left, 'device')} reports it now."
        blank = undecided_fleet(context, model, f"version={version}/ring={name}", RING_GAP, left, because, LEVEL)
        yield replace(blank, news="recovered")


def ring_finding(context: Context, model: str, ring: RingCriterion, parts: "tuple[DataFrame, DataFrame]", stopped: bool) -> Finding:
    """Return the finding about one ring. stopped: whether the roll-out should already have stopped there in the week before."""
    subject, severity, gap = f"version={ring.version}/ring={ring.ring}", ring.severity, ring.difference
    n = ring.new[1]
    about = f"version `{ring.version}` in `{ring.ring}`"
    if gap is None:
        return undecided_fleet(context, model, subject, RING_GAP, n, f"Whether {about} may go on is unknown: {ring.reason}", LEVEL)
    onset = None
    if severity == "act":
        began = crashes_since(parts, ring)
        onset = aware_utc(began)
        since = f"since {format_day(began)}"
        arrived = "" if began.date() == ring.since.date() else f"; the version is there since {format_day(ring.since)}"
        because = f"Stop {about}: {ring.shares}, {since}{arrived}."
    elif severity == "ok":
        because = f"{about[0].upper()}{about[1:]} may go on: {ring.shares}."
    else:
        because = f"Whether {about} may go on is unknown: {ring.shares}. {ring.reason}"
    evidence = {"version": ring.version, "ring": ring.ring, "baseline": ring.old[0] / ring.old[1], "baseline_n": ring.old[1]}
    dated = {"onset_known": "dated"} if onset else {}
    return replace(
        undecided_fleet(context, model, subject, RING_GAP, n, because, LEVEL),
        **gap.fields,
        limit=ring.criterion,
        severity=severity,
        onset=onset,
        likely_source="model" if severity == "act" else None,
        news=("ongoing" if stopped else "new") if severity == "act" else "recovered" if stopped and severity == "ok" else None,
        rank=3.0 if severity == "act" else 0.0,
        evidence=evidence | dated,
    )


ANALYZER = Analyzer(
    NAME,
    "Do the devices that serve a model send in time, run without crashes, and answer as the server does?",
    needs,
    analyze,
    about="records",
    limits={RING_GAP: STOP_GAP},
    proofs=EDGE_FLEET_PROOFS,
)
