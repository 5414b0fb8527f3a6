"""Do sources deliver as they do: on time, in full, soon after capture, with no more rejected rows than usual?

From records of kind `batch`, source by source, each batch of the window beside the source's own of the twelve weeks before. A batch that has not come is
told as a gap that is still open. A batch names no model, so nothing here is about one.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import SEVERITIES, Finding, Severity, needs_action
from observability.core.numerals import hours_in_words, percent
from observability.core.questions import Records
from observability.core.time import aware_utc, naive_utc
from observability.detection import batch_history
from observability.detection.batch_history import DELAY, GAP, LIMITS, REJECTED, ROWS, Look, Source
from observability.detection.own_history import LEAST
from observability.stats.multiple import ACT_SHARE, benjamini_hochberg

NAME = "data/batches"
PAST_DAYS = 84
BATCHES = Records("batch", ("batch", "at", "source", "rows", "rejected_rows", "captured_to"))
RANK = {GAP: 3.0, ROWS: 2.0, REJECTED: 1.5, DELAY: 1.0}


def needs(context: Context) -> dict[str, Ask]:
    """Batches of the window and of the twelve weeks before it."""
    return {"batches": Ask(BATCHES), "past batches": Ask(BATCHES, span="past", days=PAST_DAYS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """For each source: how its batches came, how many rows they had, how many were rejected, how soon after capture; nothing where there is no batch."""
    sources = list(batch_history.sources_of(frames["past batches"], frames["batches"], naive_utc(context.now)))
    looks = [look for source in sources for look in source.looks]
    adjusted = iter(benjamini_hochberg([each.p_value for each in looks], context.budget)[0].tolist())
    found: list[Finding] = []
    for source in sources:
        judged = [(look, next(adjusted)) for look in source.looks]
        found += about_source(source, judged, context)
    return found


def about_source(source: Source, judged: list[tuple[Look, float]], context: Context) -> Iterator[Finding]:
    """The findings about one source: one a question, or one that says how many more batches it takes."""
    told = [each for each in judged if not np.isnan(each[0].usual)]
    if not told:
        if source.batches:
            more = max(LEAST - source.earlier, 1)
            because = f"Whether source `{source.name}` delivers as usual cannot be told: there are {counted(source.earlier)} before this window, it needs about {more} more."
            if source.batches > LEAST:
                because += f" Of its {counted(source.batches)} in this window the later ones can be judged in a shorter one."
            yield blank(context, source, ROWS, because)
        return
    for metric in (GAP, ROWS, REJECTED, DELAY):
        if own := [each for each in told if each[0].metric == metric]:
            yield finding(source, own, context)


def blank(context: Context, source: Source, metric: str, because: str) -> Finding:
    """A finding about a source that cannot tell, to be filled in where it can."""
    return replace(
        context.undecided(NAME, f"source:{source.name}", metric, source.batches, because, against="past"), model=None, version=None
    )


def finding(source: Source, own: list[tuple[Look, float]], context: Context) -> Finding:
    """What one question says about a source: the batch that is furthest out, how many others are, and since when."""
    severities = [look.severity(p, context.budget, context.budget * ACT_SHARE) for look, p in own]
    worst = min(
        range(len(own)), key=lambda place: (SEVERITIES.index(severities[place]), own[place][1], own[place][0].p_value, own[place][0].at)
    )
    (look, p), severity = own[worst], severities[worst]
    unusual = [each for (each, _), said in zip(own, severities, strict=True) if needs_action(said)]
    limit = (
        look.usual * LIMITS[look.metric][0][0]
        if look.metric == ROWS
        else max(LIMITS[look.metric][0][0] * look.usual, look.usual + LIMITS[look.metric][0][1])
    )
    if look.metric == ROWS and not look.few and severity == "watch":
        limit = look.usual * batch_history.MANY
    found = replace(
        blank(context, source, look.metric, because(source, look, len(own), severity, len(unusual))),
        n=len(own), value=look.value, low=look.value, high=look.value, limit=limit, severity=severity,
        evidence={"baseline": look.usual, "baseline_n": source.earlier, "p_adjusted": p, "batch": look.batch, "unusual": [each.batch for each in unusual]},
    )  # fmt: skip
    if not unusual:
        return found
    first = unusual[0]
    due = first.at - timedelta(hours=first.value - first.usual) if first.metric == GAP else first.at
    began = max(aware_utc(due), context.window.start)
    return replace(found, likely_source="system", onset=began, rank=RANK[look.metric], evidence=found.evidence | {"onset_known": "dated"})


def because(source: Source, look: Look, n: int, severity: Severity, unusual: int) -> str:
    """The sentence."""
    name, usual = f"`{source.name}`", value_in_words(look.metric, look.usual)
    if severity in ("ok", "unknown"):
        return {
            GAP: f"Batches of source {name} come as they do: the gap furthest off of {n:,} is {value_in_words(GAP, look.value)}, usually {usual}.",
            ROWS: f"The rows of batches of source {name} stay within what they vary by: {look.value:,.0f} in the one furthest off of {n:,}, usually {usual}.",
            REJECTED: f"Rejected rows of source {name} stay within what they vary by: {value_in_words(REJECTED, look.value)} in the batch furthest off of {n:,}, usually {usual}.",
            DELAY: f"Batches of source {name} arrive as soon after capture as usual: {value_in_words(DELAY, look.value)} in the one furthest off of {n:,}, usually {usual}.",
        }[look.metric]  # fmt: skip
    more = f" {unusual - 1:,} more of its {n:,} in this window {'is' if unusual == 2 else 'are'} so." if unusual > 1 else ""
    batch, value = f"Batch `{look.batch}` of source {name}", value_in_words(look.metric, look.value)
    if look.metric == GAP:
        said = f"{batch} came {value} after the one before it" if look.batch else f"Source {name} has delivered nothing for {value}"
        return f"{said}; usually {usual} pass.{more}"
    if look.metric == ROWS:
        return f"{batch} has {look.value:,.0f} rows, {'fewer' if look.few else 'more'} than usual; batches of it have about {usual}.{more}"
    if look.metric == REJECTED:
        return f"{value} of the {look.rows:,} rows of batch `{look.batch}` of source {name} were rejected; usually {usual} are.{more}"
    return f"{batch} arrived {value} after its data were captured; usually it takes {usual}.{more}"


def value_in_words(metric: str, value: float) -> str:
    """A value of a metric as a person says it."""
    if metric == ROWS:
        return f"{value:,.0f}"
    return percent(value) if metric == REJECTED else hours_in_words(value)


def counted(n: int) -> str:
    """`1 batch`, `5 batches`."""
    return f"{n:,} {'batch' if n == 1 else 'batches'}"


ANALYZER = Analyzer(NAME, "Do sources deliver on time, in full, and whole?", needs, analyze, exceptions=frozenset({1}), about="records")
