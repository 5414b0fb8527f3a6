"""Compare a vendor's answers to fixed questions with a baseline and with the previous round, to find changes that the vendor does not
announce.

Reads predictions of environment `probe` (docs/third-party-models.md). Each set of questions of a model is judged by its newest round. The
findings name the model; their subject is the set.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding
from observability.core.formatting import format_day, plural
from observability.core.questions import Records
from observability.core.time import aware_utc, naive_utc
from observability.detection.answer_changes import MIN_ROUNDS, answer_changes, rate_changes
from observability.detection.number_errors import error_finding, number_error
from observability.detection.number_shifts import number_shift, shift_finding
from observability.detection.probe_claims import (
    CHANGED,
    FAILED,
    FORM,
    NAME,
    REFUSED,
    VERSIONS,
    JudgedSet,
    changed_answers,
    flips_finding,
    rate_finding,
    right_answers,
    right_finding,
    undecided_set_finding,
)
from observability.detection.probe_costs import HISTORY_DAYS, cost_findings
from observability.detection.probe_levels import level_finding, level_histories
from observability.detection.probe_rounds import ProbeRounds, probe_rounds
from observability.proofs.vendors import VENDOR_PROOFS
from observability.stats.multiple_testing import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

ANSWERS = Records(
    "prediction",
    ("id", "at", "model", "version", "status", "prediction", "latency_ms", "cost", "features", "extra"),
    ever=True,
)
ACCEPTED = Records("event", ("at", "model", "text", "extra"), ever=True, rows=1000, only=(("what", "deploy"),))
ACCEPTS = "accepts_answers"
"""Extra field of an event by which a person accepts a set's answers as the new baseline; its value is the name of the set."""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for all answers to fixed questions, and for the events by which people accepted answers."""
    return {"answers": Ask(ANSWERS), "events": Ask(ACCEPTED)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about each set of questions of each model."""
    sets = [(each, accepted_at(frames["events"], each)) for each in probe_rounds(frames["answers"])]
    return findings_about_rounds(sets, context)


def findings_about_rounds(sets: Sequence[tuple[ProbeRounds, datetime | None]], context: Context) -> list[Finding]:
    """Return the findings about sets. Each set comes with the time from which its answers may serve as baseline (None: from the first
    answer).
    """
    found: list[Finding] = []
    asked = [(rounds, newest_round(rounds, context), accepted) for rounds, accepted in sets if is_asked(rounds, context)]
    judged = [(rounds, last, None if last is None else answer_changes(rounds, last, accepted)) for rounds, last, accepted in asked]
    for rounds, last, changes in judged:
        if last is None:
            because = f"No question of set `{rounds.name}` was asked in this window; the last round was on {format_day(rounds.times[-1])}."
            found.append(undecided_set_finding(context, rounds, CHANGED, 0, because))
        elif changes is None:
            found.append(undecided_set_finding(context, rounds, CHANGED, int(rounds.answered[last].sum()), too_few(rounds, last)))
        else:
            found += about_set(JudgedSet(rounds, changes, last, context, len(judged)))
        if last is not None:
            found += about_versions(rounds, last, context)
    asking = {rounds.model for rounds, last, _ in judged if last is not None}
    return [*found, *cost_findings([rounds for rounds, *_ in judged if rounds.model in asking], context)]


def is_asked(rounds: ProbeRounds, context: Context) -> bool:
    """Whether the set was asked in the window or in the four weeks before it. Otherwise the set is considered ended."""
    return aware_utc(rounds.times[-1]) >= context.window.start - timedelta(days=HISTORY_DAYS)


def newest_round(rounds: ProbeRounds, context: Context) -> int | None:
    """The last round of the window; None if there is none."""
    inside = [place for place, at in enumerate(rounds.times) if context.window.start <= aware_utc(at) < context.window.end]
    return inside[-1] if inside else None


def accepted_at(events: "DataFrame", rounds: ProbeRounds) -> datetime | None:
    """The time at which a person last accepted the set's answers as the baseline; naive UTC, None if nobody did."""
    if events.empty:
        return None
    own = [
        at.to_pydatetime()
        for at, model, extra in zip(events["at"], events["model"], events["extra"], strict=True)
        if model == rounds.model and isinstance(extra, Mapping) and extra.get(ACCEPTS) == rounds.name
    ]
    return max(own, default=None)


def too_few(rounds: ProbeRounds, last: int) -> str:
    """Return why there is no baseline yet, and what is needed for one."""
    alike = rounds.comparable(last) if rounds.free_text else np.ones(len(rounds.times), bool)
    usable = int((alike & (2 * rounds.answered.sum(axis=1) >= len(rounds.items))).sum())
    more = max(MIN_ROUNDS + 1 - usable, 1)
    other = int((~alike[:last]).sum())
    encoder = f" {plural(other, 'earlier round')} used an encoder other than `{rounds.encoders[last]}`." if other else ""
    return (
        f"The answers to set `{rounds.name}` cannot be compared yet: about {plural(more, 'more round')} needed. A comparison needs "
        f"{MIN_ROUNDS} earlier rounds in which most questions were answered.{encoder}"
    )


def about_set(judged: JudgedSet) -> Iterator[Finding]:
    """Yield the findings about the answers of a set, their format, time and tokens."""
    yield changed_answers(judged)
    yield flips_finding(judged)
    rates = {REFUSED: judged.rounds.refused, FORM: judged.rounds.ill_formed}
    rates[FAILED] = judged.rounds.failed_share
    counted = {metric: rate_changes(values, judged.changes.baseline) for metric, values in rates.items()}
    counted = {metric: counts for metric, counts in counted.items() if counts.n[judged.last] and counts.total}
    levels = {metric: history for metric, history in level_histories(judged).items() if np.isfinite(history.newest)}
    p_values = [*(counts.p_value(judged.last) for counts in counted.values()), *(each.p_value for each in levels.values())]
    right, error, shift = right_answers(judged), number_error(judged), number_shift(judged)
    p_values += [right[1]] if right else []
    p_values += [each.p_value for each in (error, shift) if each]
    adjusted = benjamini_hochberg(p_values, judged.context.budget)[0].tolist() if p_values else []
    for (metric, counts), p in zip(counted.items(), adjusted, strict=False):
        yield rate_finding(judged, metric, counts, p)
    for (metric, history), p in zip(levels.items(), adjusted[len(counted) :], strict=False):
        yield level_finding(judged, metric, history, p)
    if right:
        yield right_finding(judged, right[0], adjusted[-1 - bool(error) - bool(shift)])
    if error:
        yield error_finding(judged, error, adjusted[-1 - bool(shift)])
    if shift:
        yield shift_finding(judged, shift, adjusted[-1])


def about_versions(rounds: ProbeRounds, last: int, context: Context) -> Iterator[Finding]:
    """Yield the finding about the version that the vendor declares. A new version alone needs no action."""
    changed = version_changes(rounds, context)
    declared = rounds.versions[last]
    if declared in (None, "unknown"):
        because = f"`{rounds.model}` declares no version in its answers to set `{rounds.name}`."
        yield undecided_set_finding(context, rounds, VERSIONS, 0, because)
        return
    because = f"`{rounds.model}` declares version `{declared}`, as in all rounds of this window."
    if changed:
        told = "; ".join(
            f"from `{rounds.versions[place - 1]}` to `{rounds.versions[place]}` on {format_day(rounds.times[place])}" for place in changed
        )
        because = f"The version that `{rounds.model}` declares changed {told}."
    base = undecided_set_finding(context, rounds, VERSIONS, last + 1, because)
    count = float(len(changed))
    yield replace(
        base,
        severity="ok",
        value=count,
        low=count,
        high=count,
        evidence={"set": rounds.name, "version": declared, "changed": [rounds.times[place].isoformat() for place in changed]},
    )


def version_changes(rounds: ProbeRounds, context: Context) -> list[int]:
    """Rounds of the window that declare another version than the previous round."""
    start, end = naive_utc(context.window.start), naive_utc(context.window.end)
    return [
        place
        for place in range(1, len(rounds.times))
        if start <= rounds.times[place] < end and None not in (pair := rounds.versions[place - 1 : place + 1]) and pair[0] != pair[1]
    ]


def set_findings(found: Sequence[Finding], model: str, name: str) -> list[Finding]:
    """The findings about one set of one model, and those about all sets of the model."""
    return [each for each in found if each.model == model and (each.subject == f"probes:{name}" or name in each.evidence.get("sets", ()))]


ANALYZER = Analyzer(
    NAME,
    "Does a model that serves elsewhere answer fixed questions as before?",
    needs,
    analyze,
    about="records",
    proofs=VENDOR_PROOFS,
)
