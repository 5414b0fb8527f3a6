"""Check the batches of each source: arrival gap, number of rows, rejection rate and delay after capture.

Reads records of kind `batch`. Each batch of the window is compared with the same source's batches of the twelve weeks before. The batch of
a device with enough earlier batches is compared with the batches of this device instead. An overdue batch is reported as an open gap. If a
source has six devices, each device is also compared with the others: rejection rate, rows and delay (median and 95 % quantile). In this
way, a device that was always worse is reported. Batches name no model, so the findings have no model. If the settings of several models
state a limit for a metric, the strictest counts.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import SEVERITIES, Finding, Severity, needs_action
from observability.core.numerals import hours_in_words, percent
from observability.core.owner_level import owner_limit_words
from observability.core.questions import Records
from observability.core.time import aware_utc, naive_utc
from observability.detection import batch_history
from observability.detection.batch_history import DELAY, DELAY_P95, GAP, OWNERS_LIMITS, REJECTED, ROWS, BatchComparison, BatchSource
from observability.detection.batch_peers import FIGURES, PeerBatches, peer_batches
from observability.detection.own_history import MIN_PAST_VALUES
from observability.proofs.records import BATCH_PROOFS
from observability.stats.multiple_testing import benjamini_hochberg

NAME = "data/batches"
PAST_DAYS = 84
BATCHES = Records("batch", ("batch", "at", "source", "rows", "device", "rejected_rows", "captured_to"))
PEERS_BUDGET = 0.5
"""Additional share of the false-discovery budget for the few comparisons of devices with each other."""
RANK = {GAP: 3.0, ROWS: 2.0, REJECTED: 1.5, DELAY: 1.0}


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the batches of the window and of the twelve weeks before it."""
    return {"batches": Ask(BATCHES), "past batches": Ask(BATCHES, span="past", days=PAST_DAYS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings of each source: gap, rows, rejection rate and delay; empty if there is no batch."""
    owner = owners_limits(context)
    sources = list(batch_history.sources_of(frames["past batches"], frames["batches"], naive_utc(context.now), owner))
    looks = [look for source in sources for look in source.comparisons]
    adjusted = iter(benjamini_hochberg([each.p_value for each in looks], context.budget)[0].tolist())
    found: list[Finding] = []
    told: set[tuple[str, str | None, str]] = set()
    for source in sources:
        judged = [(look, next(adjusted)) for look in source.comparisons]
        found += about_source(source, judged, context)
        told |= {(source.name, look.device, look.metric) for look, p in judged if needs_action(look.severity(p, context.budget))}
    return found + about_peers(list(peer_batches(frames["past batches"], frames["batches"], owner)), told, context)


def owners_limits(context: Context) -> dict[str, float]:
    """Return the owner's limits by metric. If several models state a limit, the strictest counts: the largest for rows, the smallest for
    the other metrics.
    """
    found: dict[str, float] = {}
    for metric in OWNERS_LIMITS:
        stated = [each.settings.limits.get(f"{NAME}/{metric}") for each in (context.counters.get("models") or {}).values()]
        if known := [each for each in stated if each is not None]:
            found[metric] = max(known) if metric == ROWS else min(known)
    return found


def owner_words(metric: str, owner: float | None) -> str:
    """Return the owner's limit as the end of a sentence: `; the owner's limit is 15 % of the usual rows`."""

    def said(limit: float) -> str:
        if metric == ROWS:
            return f"{percent(limit)} of the usual rows"
        return f"{100 * limit:g} points more" if metric == REJECTED else f"{hours_in_words(limit)} more"

    return "" if owner is None else owner_limit_words({metric: owner}, metric, said)


def about_peers(compared: list[PeerBatches], told: set[tuple[str, str | None, str]], context: Context) -> list[Finding]:
    """Return a finding for each device and metric where the device is worse than the others of its source and no change of the device
    itself was reported.

    told: (source, device, metric) of the findings about a change from the past; these are left out. The 95 % quantile of the delay is left
    out if the median is reported.
    """
    found, told, budget = [], set(told), PEERS_BUDGET * context.budget
    adjusted = benjamini_hochberg([each.p_value for each in compared], budget)[0].tolist()
    for each, p in zip(compared, adjusted, strict=True):
        severity = each.severity(p, budget)
        if not needs_action(severity) or (each.source, each.device, FIGURES[each.metric][0]) in told:
            continue
        told.add((each.source, each.device, FIGURES[each.metric][0]))
        found.append(peer_finding(each, p, severity, context))
    return found


def peer_finding(found: PeerBatches, p: float, severity: Severity, context: Context) -> Finding:
    """Return the finding about a device that is worse than the other devices of its source."""
    subject = f"source:{found.source}/device:{found.device}"
    unknown = context.undecided(NAME, subject, found.metric, len(found.batches), peer_sentence(found), against="peers")
    return replace(
        unknown,
        model=None,
        version=None,
        value=found.value,
        low=found.value,
        high=found.value,
        limit=found.limit(severity == "act"),
        severity=severity,
        likely_source="system",
        onset=max(aware_utc(found.at), context.window.start),
        rank=RANK[FIGURES[found.metric][0]],
        evidence={
            "baseline": found.usual,
            "baseline_n": found.peers,
            "source": found.source,
            "device": found.device,
            "batch": None,
            "p_adjusted": p,
            "unusual": list(found.batches),
            "standing": found.ongoing,
            "onset_known": "vague",
        },
    )


def peer_sentence(found: PeerBatches) -> str:
    """Return the sentence about a device that is worse than the other devices of its source."""
    who, over = f"Device `{found.device}` of source `{found.source}`", f"{batch_count(len(found.batches))} of this window"
    value, usual = (value_in_words(FIGURES[found.metric][0], each) for each in (found.value, found.usual))
    others = f"{found.peers} other devices"
    said = {
        REJECTED: f"{who} has {value} of its rows rejected (median of {over}); the median of {others} is {usual}.",
        ROWS: f"{who} delivers {value} rows a batch (median of {over}); the median of {others} is {usual}.",
        DELAY: f"Batches of device `{found.device}` of source `{found.source}` arrive {value} after capture (median of {over}); the median "
        f"of {others} is {usual}.",
        DELAY_P95: f"One in twenty batches of device `{found.device}` of source `{found.source}` arrives {value} or more after capture "
        f"({over}); the median of {others} is {usual}.",
    }[found.metric]
    said = f"{said.removesuffix('.')}{owner_words(found.metric, found.owner)}."
    return said + (" Already so before this window." if found.ongoing else "")


def about_source(source: BatchSource, judged: list[tuple[BatchComparison, float]], context: Context) -> Iterator[Finding]:
    """Yield one finding for each metric of a source; or one finding that says how many more batches are needed."""
    told = [each for each in judged if each[0].known]
    if not told:
        if source.batches:
            more = max(MIN_PAST_VALUES - source.earlier, 1)
            before = batch_count(source.earlier) if source.earlier else "no batch"
            because = (
                f"Deliveries of source `{source.name}` cannot be judged yet: {before} came before this window; about {more} more needed."
            )
            if source.batches > MIN_PAST_VALUES:
                because += f" Choose a shorter window to judge the later ones of its {batch_count(source.batches)}."
            yield undecided_batches(context, source, ROWS, because)
        return
    for metric in (GAP, ROWS, REJECTED, DELAY):
        if own := [each for each in told if each[0].metric == metric]:
            yield batch_finding(source, own, context)


def undecided_batches(context: Context, source: BatchSource, metric: str, because: str) -> Finding:
    """Return the finding of severity `unknown` about a source, on which the other findings are based."""
    return replace(
        context.undecided(NAME, f"source:{source.name}", metric, source.batches, because, against="past"), model=None, version=None
    )


def batch_finding(source: BatchSource, own: list[tuple[BatchComparison, float]], context: Context) -> Finding:
    """Return the finding about one metric of a source: the most unusual batch, the number of unusual batches, and the onset."""
    severities = [look.severity(p, context.budget) for look, p in own]
    whole = [look.metric == GAP and look.device is None for look, _ in own]
    worst = min(
        range(len(own)),
        key=lambda place: (
            SEVERITIES.index(severities[place]),
            not whole[place],
            own[place][1],
            own[place][0].p_value,
            own[place][0].at,
        ),
    )
    (look, p), severity = own[worst], severities[worst]
    if look.metric == GAP:  # gaps of the source and of its devices are about the same batches, so count only one of the two
        places = [place for place, (each, _) in enumerate(own) if (each.device is None) == (look.device is None)]
        own, severities = [own[place] for place in places], [severities[place] for place in places]
    unusual = [each for (each, _), said in zip(own, severities, strict=True) if needs_action(said)]
    found = replace(
        undecided_batches(
            context, source, look.metric, with_owner(batch_metric_sentence(source, look, len(own), severity, len(unusual)), look)
        ),
        n=len(own),
        value=look.value,
        low=look.value,
        high=look.value,
        limit=look.limit(severity),
        severity=severity,
        evidence={
            "baseline": look.usual,
            "baseline_n": source.earlier,
            "device": look.device,
            "p_adjusted": p,
            "batch": look.batch,
            "unusual": [each.batch for each in unusual],
        },
    )
    if not unusual:
        return found
    due = min(each.at - timedelta(hours=each.value - each.usual) if each.metric == GAP else each.at for each in unusual)
    began = max(aware_utc(due), context.window.start)
    return replace(found, likely_source="system", onset=began, rank=RANK[look.metric], evidence=found.evidence | {"onset_known": "dated"})


def with_owner(sentence: str, look: BatchComparison) -> str:
    """Return a sentence that names the owner's limit if one is stated. There is no such limit for more rows than usual."""
    owner = None if look.metric == ROWS and not look.few else look.owner
    return f"{sentence.removesuffix('.')}{owner_words(look.metric, owner)}."


def batch_metric_sentence(source: BatchSource, look: BatchComparison, n: int, severity: Severity, unusual: int) -> str:
    """Return the sentence of a finding about one metric of a source."""
    name, usual = f"`{source.name}`", value_in_words(look.metric, look.usual)
    if severity == "ok":
        varied = f" Such batches vary up to {value_in_words(look.metric, look.limit(severity))}."
        if look.low:
            varied = f" Such batches vary down to {value_in_words(ROWS, look.limit(severity))}."
        return {
            GAP: f"Batches of source {name} arrive on schedule: the most unusual of {n:,} gaps is "
            f"{value_in_words(GAP, look.value)}, usually {usual}.",
            ROWS: f"Batch sizes of source {name} are within their usual range: {look.value:,.0f} rows in the most unusual of "
            f"{n:,}, usually {usual}.",
            REJECTED: f"Rejection rates of source {name} are within their usual range: {value_in_words(REJECTED, look.value)} in the "
            f"most unusual of {n:,} batches, usually {usual}.",
            DELAY: f"Batches of source {name} arrive as soon after capture as usual: {value_in_words(DELAY, look.value)} in the "
            f"most unusual of {n:,}, usually {usual}.",
        }[look.metric] + (varied if look.beyond(look.watch) else "")
    if severity == "unknown":
        noun = {GAP: "gap between batches", ROWS: "size of a batch", REJECTED: "rejection rate of a batch", DELAY: "delay of a batch"}
        return (
            f"Whether a {noun[look.metric]} of source {name} is unusual is not yet known: {value_in_words(look.metric, look.value)}"
            f"{' rows' if look.metric == ROWS else ''} in the most unusual of {n:,}, usually {usual}. That is beyond the limit of "
            f"{value_in_words(look.metric, look.limit(severity))}, but may be chance, given how many batches were compared: it needs more "
            "batches."
        )
    more = f" {unusual - 1:,} more of its {n:,} in this window {'is' if unusual == 2 else 'are'} also unusual." if unusual > 1 else ""
    sender = f"source {name}" if look.device is None else f"device `{look.device}` of source {name}"
    batch, value = f"Batch `{look.batch}` of {sender}", value_in_words(look.metric, look.value)
    if look.metric == GAP:
        said = (
            f"{batch} came {value} after the one before it"
            if look.batch
            else f"{sender[0].upper()}{sender[1:]} has delivered nothing for {value}"
        )
        return f"{said}; usually {usual} pass.{more}"
    if look.metric == ROWS:
        return f"{batch} has {look.value:,.0f} rows, {'fewer' if look.few else 'more'} than usual; batches of it have about {usual}.{more}"
    if look.metric == REJECTED:
        return f"{value} of the {look.rows:,} rows of batch `{look.batch}` of {sender} were rejected; usually {usual} are.{more}"
    return f"{batch} arrived {value} after its data were captured; usually it takes {usual}.{more}"


def value_in_words(metric: str, value: float) -> str:
    """Return a value of a metric with its unit: rows, a percentage or hours."""
    if metric == ROWS:
        return f"{value:,.0f}"
    return percent(value) if metric == REJECTED else hours_in_words(value)


def batch_count(n: int) -> str:
    """Return a count of batches in words: `1 batch`, `5 batches`."""
    return f"{n:,} {'batch' if n == 1 else 'batches'}"


ANALYZER = Analyzer(
    NAME,
    "Do sources deliver batches on time and complete?",
    needs,
    analyze,
    exceptions=frozenset({1}),
    about="records",
    limits=OWNERS_LIMITS,
    proofs=BATCH_PROOFS,
)
