"""Judge exports: the privacy budget of each recipient, k, personal columns, attested enclaves, checklists, and canaries (planted rows or
texts) that reappeared in records.

Reads events whose field `what` is `export`, and the decisions that state what a recipient may get. All exports ever made count towards the
budget; the other findings are about exports of the window. Exports made by this program itself are listed on the page, but not judged.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity, Source, iso, needs_action, news_given_before
from observability.core.formatting import format_day, join_words, plural
from observability.core.numerals import format_figure
from observability.core.time import aware_utc, naive_utc
from observability.metrics.attestations import EXTRA, weakest_signature
from observability.metrics.exports import (
    EXPORTS,
    LEVELS,
    NOT_NAMED,
    ExportEvent,
    ExportLedger,
    PrivacyLoss,
    checklist_states,
    export_ledger,
    export_signature,
    not_logged,
    understated_epsilon,
)
from observability.proofs.exports import EXPORT_PROOFS

NAME = "trust/exports"
EPSILON, K, PERSONAL = "export_epsilon", "export_k", "export_personal_columns"
ATTESTATION, CHECKLIST_OPEN, SIGHTINGS, UNLOGGED = "export_attestation", "export_checklist", "canary_sightings", "export_unlogged"
NEARLY = 0.8
"""From this share of a budget on, a warning says that it is nearly used up."""
MAX_NAMED = 4
UNVERIFIED = {
    "not signed": "no signature is logged",
    "no key known": "its signature is not verified: no public key is registered",
    "not checked": f"its signature is not verified. {EXTRA}",
}
"""Why an attestation of the expected hash is not accepted as proof."""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for all exports and decisions up to the end of the window."""
    return {"exports": Ask(EXPORTS), "decisions": Ask(LEVELS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about exports."""
    ledger = export_ledger(frames["exports"], frames["decisions"], context.counters.get("models") or {}, f"{NAME}/{K}")
    recent = [event for event in ledger.events if event.at >= context.window.start]
    found = list(budget_findings(ledger, context))
    for pair, events in by_pair(recent).items():
        found += k_findings(ledger, pair, events, context)
        found += personal_findings(ledger, pair, events, context)
        found += attestation_findings(ledger, pair, events, context)
        found += unlogged_findings(pair, events, context)
    for event in recent:
        if event.checklist is not None:
            found.append(checklist_finding(ledger, event, context))
    return found + list(canary_findings(ledger, context))


def by_pair(events: Iterable[ExportEvent]) -> dict[tuple[str, str], list[ExportEvent]]:
    """Return exports by recipient and dataset."""
    found: dict[tuple[str, str], list[ExportEvent]] = {}
    for event in events:
        found.setdefault(event.pair, []).append(event)
    return dict(sorted(found.items()))


def export_subject(pair: tuple[str, str]) -> str:
    """Return the subject of findings about the exports of a dataset to a recipient."""
    return f"recipient:{pair[0]}" + (f"/dataset:{pair[1]}" if pair[1] else "")


def pair_words(pair: tuple[str, str]) -> str:
    """Return a recipient and a dataset in words."""
    return f"`{pair[0]}`" + (f" (`{pair[1]}`)" if pair[1] else "")


def delta_text(delta: float) -> str:
    """Return a probability as text: 1e-5."""
    return f"{delta:g}".replace("e-0", "e-")


def undecided_export(context: Context, pair: tuple[str, str], metric: str, events: Sequence[ExportEvent], because: str) -> Finding:
    """Return the finding of severity `unknown` about exports, on which the other findings are based."""
    models = {event.model for event in events}
    blank = context.undecided(NAME, export_subject(pair), metric, len(events), because, against="level", whole_model=True)
    evidence = {"recipient": pair[0], "dataset": pair[1], "last": iso(events[-1].at) if events else None}
    return replace(blank, model=next(iter(models)) if len(models) == 1 else None, evidence=evidence)


def with_exact_value(
    finding: Finding, value: float, severity: Severity, because: str, limit: float | None = None, **evidence: Any
) -> Finding:
    """Return a finding with an exact value."""
    source: Source | None = "system" if needs_action(severity) else None
    known: dict[str, Any] = {"value": value, "low": value, "high": value, "limit": limit, "severity": severity, "because": because}
    return replace(finding, likely_source=source, evidence=finding.evidence | evidence, **known)


def budget_findings(ledger: ExportLedger, context: Context) -> Iterator[Finding]:
    """Yield a finding about the privacy loss of each recipient and dataset that has a budget or a logged loss."""
    for pair, events in ledger.by_pair().items():
        level, loss = ledger.level(events[-1]), ledger.loss(pair)
        if level.epsilon is None and not loss.releases:
            continue
        finding = budget_finding(undecided_export(context, pair, EPSILON, events, ""), pair, events, loss, level.epsilon)
        earlier = [event for event in events if event.at < context.window.start]
        then = budget_finding(finding, pair, earlier, ledger.loss(pair, earlier[-1]), level.epsilon) if earlier else None
        yield with_news(finding, then is not None and needs_action(then.severity))


def with_news(finding: Finding, before: bool) -> Finding:
    """Return a finding; if it needs action, with its news. before: whether exports before the window were wrong too."""
    return replace(finding, news=news_given_before(before)) if needs_action(finding.severity) else finding


def budget_finding(
    blank: Finding, pair: tuple[str, str], events: Sequence[ExportEvent], loss: PrivacyLoss, budget: float | None
) -> Finding:
    """Return the finding about one budget. It is `act` above the budget. It is `watch` in three cases: from 80 % of the budget; if one more
    release of average size would exceed it; and if a release understates its ε.
    """
    spent = f"ε = {format_figure(loss.epsilon, 3)} at δ = {delta_text(loss.delta)}"
    said = f"{plural(loss.releases, 'release')} to {pair_words(pair)} spent {spent}"
    said += f" ({plural(loss.basic, 'release')} by its stated ε)" if loss.basic else ""
    wrong = [(event, more) for event in events if (more := understated_epsilon(event)) is not None]
    lie = (
        f" The release of {format_day(wrong[-1][0].at)} states less than its mechanism gives: {format_figure(wrong[-1][1], 3)}."
        if wrong
        else ""
    )
    evidence = {"delta": loss.delta, "releases": loss.releases, "unknown": loss.unknown, "spent": loss.epsilon, "budget": budget}
    blank = replace(blank, basis="estimated", evidence=blank.evidence | evidence)
    if budget is None:
        return replace(blank, because=f"{said}; no budget is stated for this recipient.{lie}")
    if loss.epsilon > budget:
        return with_exact_value(blank, loss.epsilon, "act", f"{said}: the budget of ε = {budget:g} is exceeded.{lie}", budget)
    if loss.unknown:
        return replace(
            blank, because=f"{said} of a budget of {budget:g}, and {plural(loss.unknown, 'export')} logged no ε.{lie}", limit=budget
        )
    average = loss.epsilon / max(loss.releases, 1)
    if wrong or loss.epsilon >= NEARLY * budget or loss.epsilon + average > budget:
        share = f"{100 * loss.epsilon / budget:.0f} % of the budget of {budget:g}"
        return with_exact_value(blank, loss.epsilon, "watch", f"{said}, {share}.{lie}", budget)
    return with_exact_value(blank, loss.epsilon, "ok", f"{said} of a budget of {budget:g}.", budget)


def k_findings(ledger: ExportLedger, pair: tuple[str, str], events: Sequence[ExportEvent], context: Context) -> Iterator[Finding]:
    """Yield the finding about the smallest k of a recipient and dataset, if any k is logged."""
    known = [event for event in events if event.k is not None]
    if not known:
        return
    worst = min(known, key=lambda event: (event.k or 0.0, event.place))
    k, level = worst.k or 0.0, ledger.level(worst).k
    severity: Severity = "unknown" if level is None and k >= 2 else "watch" if level is None else "act" if k < level else "ok"
    rows = "" if worst.rows is None else f" ({worst.rows:,} rows)"
    held = (
        f"no level set: set `{NAME}/{K}`, or `k` in a decision about the recipient" if level is None else f"the owner's level is {level:g}"
    )
    unique = "; a row with k = 1 is unique" if k < 2 else ""
    because = f"The export to {pair_words(pair)} of {format_day(worst.at)}{rows} has k = {k:g}{unique}; {held}."
    blank = undecided_export(context, pair, K, known, because)
    earlier = [event.k for event in ledger.by_pair()[pair] if event.k is not None and event.at < context.window.start]
    told = with_exact_value(blank, k, severity, because, level, exported=iso(worst.at))
    yield with_news(told, bool(earlier) and earlier[-1] < (2.0 if level is None else level))


def personal_findings(ledger: ExportLedger, pair: tuple[str, str], events: Sequence[ExportEvent], context: Context) -> Iterator[Finding]:
    """If personal columns were exported, yield the finding about those without a transform or a legal basis."""
    held = [event for event in events if event.personal]
    if not held:
        return
    bare = [event for event in held if event.bare and event.legal_basis is None]
    unfounded = [event for event in held if event.legal_basis is None]
    wrong = bare or unfounded
    columns = sorted({name for event in wrong or held for name in (event.bare if bare else event.personal)})
    named = join_words([f"`{name}`" for name in columns], MAX_NAMED)
    blank = undecided_export(context, pair, PERSONAL, held, "")
    noun = "Personal column" if len(columns) == 1 else "Personal columns"
    left = f"{noun} {named} left to {pair_words(pair)}"
    if not wrong:
        basis = join_words(sorted({str(event.legal_basis) for event in held}))
        yield with_exact_value(blank, 0.0, "ok", f"{left} on the legal basis of {basis}.", 0.0)
        return
    without = "without a transform or a legal basis" if bare else "transformed but without a legal basis"
    because = f"{left} {without} on {format_day(wrong[-1].at)}."
    earlier = [event for event in ledger.by_pair()[pair] if event.personal and event.at < context.window.start]
    was_wrong = bool(earlier) and earlier[-1].legal_basis is None and (bool(earlier[-1].bare) or not bare)
    told = with_exact_value(
        blank, float(len(columns)), "act" if bare else "watch", because, 0.0, columns=columns, exported=iso(wrong[-1].at)
    )
    yield with_news(told, was_wrong)


def attestation_findings(ledger: ExportLedger, pair: tuple[str, str], events: Sequence[ExportEvent], context: Context) -> Iterator[Finding]:
    """Yield the finding about the hash that the recipient's enclave attested, if a hash is expected or was logged before. It is OK only if
    the signature is verified.
    """
    level = ledger.level(events[-1])
    ever = [event for event in ledger.by_pair()[pair] if event.attestation is not None]
    if level.attestation is None and not ever:
        return
    blank, named, expected = undecided_export(context, pair, ATTESTATION, events, ""), pair_words(pair), level.attestation
    states = [export_signature(event, level) for event in events]
    forged = [event for event, state in zip(events, states, strict=True) if state == "does not match"]
    other = [event for event in events if expected is not None and event.attestation not in (None, expected)]
    if other:
        because = f"The enclave of {named} attested another hash than expected, last on {format_day(other[-1].at)}."
        yield with_exact_value(blank, float(len(other)), "act", because, 0.0, attested=other[-1].attestation, expected=expected)
    elif forged:
        because = f"The signature over the attestation of {named} does not match the registered key, last on {format_day(forged[-1].at)}."
        yield with_exact_value(blank, float(len(forged)), "act", because, 0.0, attested=forged[-1].attestation, expected=expected)
    elif expected is None:
        changed = [now for before, now in pairwise(ever) if now.attestation != before.attestation and now.at >= context.window.start]
        if changed:
            because = (
                f"The enclave of {named} attested another hash than before, on {format_day(changed[-1].at)}; no expected hash is stated."
            )
            yield with_exact_value(blank, float(len(changed)), "watch", because, 0.0, attested=changed[-1].attestation)
        else:
            yield replace(blank, because=f"Which hash the enclave of {named} should attest is not stated.")
    elif None in states:
        because = f"{plural(states.count(None), 'export')} to {named} left without the attestation that is expected."
        yield with_exact_value(blank, float(states.count(None)), "watch", because, 0.0, expected=expected)
    elif "not signed" in states and level.attestation_key is not None:
        because = f"{plural(states.count('not signed'), 'export')} to {named} left with an attestation without a signature."
        yield with_exact_value(blank, float(states.count("not signed")), "watch", because, 0.0, expected=expected)
    elif weakest_signature(states) == "verified":
        yield with_exact_value(blank, 0.0, "ok", f"The enclave of {named} attested the expected hash; its signature is verified.", 0.0)
    else:
        because = f"The attestation of {named} states the expected hash; {UNVERIFIED[str(weakest_signature(states))]}."
        yield replace(blank, because=because)


def checklist_finding(ledger: ExportLedger, event: ExportEvent, context: Context) -> Finding:
    """Return the finding whether training on a third party's machines meets its checklist. Unmet items are `act` if the owner states the
    items, else `watch`.
    """
    level = ledger.level(event)
    states = checklist_states(event, level, ledger.within_budget(event))
    unmet, unknown = ([name for name, state in states.items() if state is wanted] for wanted in (False, None))
    what = f"Run `{event.run}`" if event.run else "Training"
    said = f"{what} at `{event.recipient}` meets {sum(state is True for state in states.values())} of {len(states)} items of its checklist"
    blank = undecided_export(context, event.pair, CHECKLIST_OPEN, [event], "")
    blank = replace(blank, subject=f"run:{event.run}" if event.run else export_subject(event.pair))
    blank = replace(blank, evidence=blank.evidence | {"unmet": unmet, "unknown": unknown, "items": len(states)})
    tail = f"; not logged: {join_words(unknown, MAX_NAMED)}" if unknown else ""
    if unmet:
        severity: Severity = "act" if level.checklist else "watch"
        return with_exact_value(blank, float(len(unmet)), severity, f"{said}; unmet: {join_words(unmet, MAX_NAMED)}{tail}.", 0.0)
    return replace(blank, because=f"{said}{tail}.") if unknown else with_exact_value(blank, 0.0, "ok", f"{said}.", 0.0)


def unlogged_findings(pair: tuple[str, str], events: Sequence[ExportEvent], context: Context) -> Iterator[Finding]:
    """Yield the finding about facts that the exports of a recipient and dataset do not state."""
    missing: dict[str, int] = {}
    for event in events:
        for name in not_logged(event):
            missing[name] = missing.get(name, 0) + 1
    if missing:
        parts = [f"{name} ({count} of {len(events)})" if count < len(events) else name for name, count in missing.items()]
        because = f"Exports to {pair_words(pair)} do not state {join_words(parts)}, so these are not judged."
        yield replace(undecided_export(context, pair, UNLOGGED, events, because), evidence={"missing": missing, "recipient": pair[0]})


def canary_findings(ledger: ExportLedger, context: Context) -> Iterator[Finding]:
    """Yield a finding about each canary that reappeared in the window, and one about all other canaries."""
    planted: dict[str, list[ExportEvent]] = {}
    for event in ledger.events:
        for canary in event.canaries:
            planted.setdefault(canary_name(canary), []).append(event)
    seen: dict[tuple[str, int, str], list[Mapping[str, Any]]] = {}
    for row in context.counters.get("canary_sightings") or ():
        if own := planted.get(str(row["canary"])):
            seen.setdefault((str(row["canary"]), export_of_sighting(row, own).place, str(row["model"])), []).append(row)
    by_place = {event.place: event for event in ledger.events}
    contents = Counter(name for name, *_ in {canary_content(canary) for event in ledger.events for canary in event.canaries})
    for (name, place, model), found in sorted(seen.items()):
        event, rows = by_place[place], sorted(found, key=lambda row: (row["at"], str(row["id"])))
        first = rows[0]
        records = Counter(str(row.get("record", "prediction")) for row in rows)
        where = join_words([plural(count, record) for record, count in sorted(records.items(), reverse=True)]) + (
            f" of `{model}`" * bool(model)
        )
        recipients = recipients_of_canary(ledger, name, event, aware_utc(first["at"]))
        to = join_words([f"`{each}`" for each in recipients])
        since = f"on {format_day(event.at)}" if len(recipients) == 1 else f"from {format_day(event.at)} on"
        because = f"Canary `{name}`, which left to {to} {since}, is in {where}, first on {format_day(first['at'])} ({first['place']})."
        blank = undecided_export(context, event.pair, SIGHTINGS, [event], because)
        which = name if contents[name] == 1 else f"{event.recipient}/{event.at.date()}/{name}"
        blank = replace(blank, subject=f"canary:{which}", model=model or None, n=len(rows))
        told = {
            "ids": [str(row["id"]) for row in rows[:10]],
            "canary": name,
            "records": dict(sorted(records.items())),
            "recipients": recipients,
        }
        yield with_exact_value(blank, float(len(rows)), "act", because, 0.0, **told)
    came = {canary_content(each) for name, place, _ in seen for each in by_place[place].canaries if canary_name(each) == name}
    quiet = {canary_content(canary) for event in ledger.events for canary in event.canaries} - came
    if quiet:
        blank = context.undecided(NAME, "canaries", SIGHTINGS, len(quiet), "", against="level", whole_model=True)
        noun = "planted canary has" if len(quiet) == 1 else "planted canaries have"
        yield with_exact_value(
            blank, 0.0, "ok", f"{len(quiet)} {noun} not come back in predictions, labels or annotations of these dates.", 0.0
        )


def export_of_sighting(row: Mapping[str, Any], own: Sequence[ExportEvent]) -> ExportEvent:
    """Return the export that contained a sighted canary. own: at least one export with a canary of this name; the last of them is used if
    none matches the sighting by time and recipient.
    """
    exact = [each for each in own if naive_utc(each.at) == row.get("exported") and each.recipient == (row.get("recipient") or NOT_NAMED)]
    return exact[0] if exact else own[-1]


def recipients_of_canary(ledger: ExportLedger, name: str, event: ExportEvent, until: datetime) -> list[str]:
    """Return every recipient who had the canary of an export before a point in time, sorted. All are named, because it is not known which
    of them passed it on.
    """
    content = {canary_content(each) for each in event.canaries if canary_name(each) == name}
    held = (each for each in ledger.events if each.at < until and content & {canary_content(one) for one in each.canaries})
    return sorted({event.recipient, *(each.recipient for each in held)})


def canary_name(canary: Mapping[str, Any]) -> str:
    """Return the name of a canary; `canary` if it has none."""
    return str(canary.get("name") or "canary")


def canary_content(canary: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what identifies a canary: its name, its text and its row."""
    return canary_name(canary), repr(canary.get("text")), repr(canary.get("row"))


ANALYZER = Analyzer(
    NAME,
    "Do exports stay within budget, k and the law, go to attested recipients, and do canaries reappear?",
    needs,
    analyze,
    about="records",
    limits={K: None},
    proofs=EXPORT_PROOFS,
)
