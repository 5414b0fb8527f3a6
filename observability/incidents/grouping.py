"""Which findings are of one fault, where does it seem to come from, and what does a person read first?

Pure: findings in, the same findings with `incident` and `likely_source` set and the incidents out. Only findings that need a person (act, watch)
are joined. What may belong together is decided in `incident_rules`; the reasons are in docs/decisions/0009. Words: suspect, consistent with.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from observability.core.finding import SEVERITIES, Finding, Severity, Source, needs_action, worst_first
from observability.core.metric_definitions import METRICS
from observability.incidents.grouping_rules import (
    BOUND,
    CAUSES,
    EXPLAINED,
    SOURCES,
    STAGES,
    TOUCHED,
    Stage,
    broken,
    carries,
    explained,
    follows,
    group_by_itself,
    in_a_part,
    known,
    loosely,
    lost,
    of_other_names,
    place,
    same_place,
    same_subject,
    same_time,
    stage,
    strength,
    subject,
    together,
    touched,
    worse,
)

Importance = Mapping[str, float]
"""Share of each feature in what drives a model, adding up to 1; empty where not known."""


@dataclass(frozen=True)
class Incident:
    """Findings of one fault. lead: the finding that says best where it comes from; collateral: what is consistent with coming from it, worst first.

    id: the same from day to day while it lasts (of model, source, what the lead is about, and the day it began, "earlier" where that is older than what was looked at). severity: the worst of its
    findings. onset: when it began (at the latest, where it is as old as what was looked at), None where the counts do not tell. event: the nearest earlier event. sentence: all of it in one.
    """

    id: str
    model: str | None
    source: Source
    lead: Finding
    collateral: tuple[Finding, ...]
    severity: Severity
    onset: datetime | None
    event: dict[str, Any] | None
    sentence: str

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The lead, then what comes with it."""
        return self.lead, *self.collateral


@dataclass
class Fault:
    """An incident in the making: root holds the findings nearest to the source, all of one stage; others what was attached to them."""

    stage: Stage
    root: list[Finding]
    others: list[Finding] = field(default_factory=list)

    @property
    def members(self) -> list[Finding]:
        """All of its findings."""
        return self.root + self.others


def joined(findings: Sequence[Finding], importance: Mapping[str, Importance] | None = None) -> tuple[list[Finding], tuple[Incident, ...]]:
    """The findings, those of a fault marked with its incident, and the incidents; both worst first.

    importance: by model, where its owner stated it; else what findings about attributions say. Each model is looked at by itself: findings
    of two models are never one incident.
    """
    of_model: dict[str | None, list[Finding]] = {}
    for each in findings:
        of_model.setdefault(each.model, []).append(each)
    incidents: list[Incident] = []
    for model, mine in of_model.items():
        weights = (importance or {}).get(model or "") or learned(mine)
        incidents += [incident(each, weights) for each in faults(mine, weights)]
    marked = {id(old): new for each in incidents for old, new in pairs(each)}
    settled = [marked.get(id(each), each) for each in findings]
    done = [replace(each, lead=marked[id(each.lead)], collateral=tuple(marked[id(one)] for one in each.collateral)) for each in incidents]
    return worst_first(settled), tuple(sorted(done, key=order))


def pairs(of: Incident) -> list[tuple[Finding, Finding]]:
    """Each finding of an incident, as it was and as it is marked."""
    return [(each, replace(each, incident=of.id, likely_source=of.source)) for each in of.findings]


def order(of: Incident) -> tuple[int, float, str]:
    """Incidents that need somebody first, and of those the ones whose worst finding ranks highest."""
    worst = [each.rank for each in of.findings if each.severity == of.severity]
    return SEVERITIES.index(of.severity), -max(worst), of.id


def learned(findings: Sequence[Finding]) -> Importance:
    """The reference's shares of attribution, as the explanations tell them; empty where the model is not explained."""
    return {
        each.subject: float(each.evidence["baseline"])
        for each in findings
        if each.metric == "attribution_share" and each.evidence.get("baseline") is not None
    }


def faults(findings: Sequence[Finding], importance: Importance) -> list[Fault]:
    """The faults of one model: stage by stage in the order in which they travel, each group goes to what may have caused it, else stands alone."""
    alarming = worst_first([each for each in findings if needs_action(each.severity)])
    found: list[Fault] = []
    for at in STAGES:
        for group in groups([each for each in alarming if stage(each) == at]):
            home = cause_of(group, at, found, findings, importance)
            if home is None:
                found.append(Fault(at, group))
            else:
                home.others += group
    return found


def groups(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one stage that are of one fault, each group worst first.

    What is dated comes together by its dates and its subjects. What had begun before anybody looked goes to what is dated of the same subject, and
    is one group otherwise: it is no bridge between two dates. What has no date joins the worst group that it fits, for nothing tells it apart.
    """
    found: list[list[Finding]] = []
    for how in ("dated", "open", "vague"):
        for each in (one for one in findings if known(one) == how):
            home = best_group(each, found)
            if home is None:
                found.append([each])
            else:
                home.append(each)
    return [worst_first(group) for group in worst_groups(found)]


def best_group(finding: Finding, found: Sequence[list[Finding]]) -> list[Finding] | None:
    """The group that a finding belongs to: of its own subject, begun with the group's worst, or, without a date of its own, the worst that it fits."""
    ranked = worst_groups(found)
    named = next((group for group in ranked if any(same_subject(finding, one) for one in group)), None)
    timed = next((group for group in ranked if together(finding, group[0])), None)
    fits = next((group for group in ranked if known(finding) == "vague" and all(loosely(finding, one) for one in group)), None)
    return named or timed or fits


def worst_groups(found: Sequence[list[Finding]]) -> list[list[Finding]]:
    """Groups in the order of their worst finding."""
    return sorted(found, key=lambda group: min((SEVERITIES.index(each.severity), -each.rank, each.id) for each in group))


def cause_of(
    group: Sequence[Finding], at: Stage, found: Sequence[Fault], everything: Sequence[Finding], importance: Importance
) -> Fault | None:
    """The fault that a group of findings is consistent with coming from, the best where there are several; None where nothing upstream fits."""
    best: tuple[tuple[bool, float, int], Fault] | None = None
    for fault in found:
        causes = [one for one in fault.members if carries(one, at)]
        causes = [one for one in causes if any(follows(each, one) and same_place(each, one) for each in group)]
        if not causes or not convincing(group, at, causes, everything, importance):
            continue
        nearest = -min(CAUSES[at].index(stage(one)) for one in causes)
        score = (coincide(group, causes), touched(inputs(causes), importance) or 0.0, nearest)
        if best is None or score > best[0]:
            best = score, fault
    return best[1] if best else None


def convincing(
    group: Sequence[Finding], at: Stage, causes: Sequence[Finding], everything: Sequence[Finding], importance: Importance
) -> bool:
    """Whether causes that came in time explain a group: always what is only a consequence, a fall of outcomes where more speaks for it.

    A fall needs a cause that is as severe or began together with it. Moved inputs explain it where the scores moved too; else where an estimate
    from the inputs expects a good part of it; without an estimate, where what they carry of the model is enough for a fall of that size. What sits in rows that
    come under another name comes from there.
    """
    at_once = coincide(group, causes)
    if any(of_other_names(each, one) for each in group for one in causes):
        return True
    if at not in ("score", "outcome"):
        return at_once or at not in ("input", "service", "label")
    if not at_once and worse(group[0].severity, min(causes, key=lambda one: SEVERITIES.index(one.severity)).severity):
        return False
    if at == "score" or any(stage(one) != "input" for one in causes):
        return True
    much = touched(inputs(causes), importance) if importance else None
    if at_once:
        return much is None or much >= TOUCHED
    shares = [share for each in group if (share := explained(each, everything)) is not None]
    if shares:
        return max(shares) >= EXPLAINED
    took = next((share for each in group if (share := lost(each))), None)
    return much is None or (much >= TOUCHED and (took is None or much / took >= BOUND))


def inputs(findings: Sequence[Finding]) -> list[Finding]:
    """Claims about single features."""
    return [each for each in findings if stage(each) == "input" and subject(each) is not None]


def coincide(group: Sequence[Finding], causes: Sequence[Finding]) -> bool:
    """Whether one of the findings is dated to when one of the causes began; two that began before anybody looked do not count."""
    return any(same_time(each, one) and known(each) == "dated" for each in group for one in causes)


def incident(fault: Fault, importance: Importance) -> Incident:
    """The fault as it is told."""
    lead = lead_of(fault, importance)
    rest = worst_first([each for each in fault.members if each is not lead])
    first = min((each for each in (lead, *fault.root) if known(each) != "vague"), key=lambda each: each is not lead, default=None)
    day = None if first is None else "earlier" if known(first) == "open" or first.onset is None else first.onset.date().isoformat()
    source = source_of(fault, lead)
    about = [lead.model, source, fault.stage, subject(lead), lead.slice, day]
    return Incident(
        id=hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16],
        model=lead.model,
        source=source,
        lead=lead,
        collateral=tuple(rest),
        severity=min((each.severity for each in fault.members), key=SEVERITIES.index),
        onset=first.onset if first else None,
        event=lead.event or next((each.event for each in fault.root if each.event and same_time(each, lead)), None),
        sentence=sentence(lead, rest),
    )


def source_of(fault: Fault, lead: Finding) -> Source:
    """The source to suspect: where the fault stands first on the way; labels where outcomes fell after a change of the guideline for labelling."""
    if fault.stage in ("input", "label"):
        return SOURCES[fault.stage]
    if fault.stage == "outcome" and (lead.event or {}).get("what") == "guideline":
        return "label"
    return lead.likely_source or SOURCES[fault.stage]


def lead_of(fault: Fault, importance: Importance) -> Finding:
    """The finding that says best where the fault is: of the worst, one that names the place where only one place is named (or parts of one: all of the south), what is broken before
    what moved, the feature that carries most. Where scores or outcomes of the whole moved and one group of people alone did, that group is what it is about; where
    the change of a feature sits in one part of the rows, that part is said with it.
    """
    of_groups = [each for each in fault.others if group_by_itself(each)]
    if fault.stage in ("score", "outcome") and len({each.subject for each in of_groups}) == 1 and not any(map(place, fault.root)):
        return worst_first(of_groups)[0]
    places = [set(where.split("&")) for where in {place(each) for each in fault.root} if where]
    one_place = bool(places) and bool(set.intersection(*places))

    def key(each: Finding) -> tuple[Any, ...]:
        named = place(each) is not None if one_place else place(each) is None
        own = SEVERITIES.index(each.severity)
        if fault.stage != "input":
            return own, not named, -each.rank, each.id
        kind = 0 if broken(each) else 1 if subject(each) else 2
        return own, kind, -strength(each) * (importance.get(each.subject, 0.0) if importance else 1.0), not named, each.id

    first = min(fault.root, key=key)
    if first.metric == "level_trade":
        return first
    inside = [each for each in fault.members if each.subject == first.subject and each.severity == first.severity and in_a_part(each)]
    return worst_first(inside)[0] if place(first) is None and len(set(map(place, inside))) == 1 else first


def sentence(lead: Finding, rest: Sequence[Finding]) -> str:
    """The lead's sentence, then what broke with it and what is consistent with it, in words."""
    own = subject(lead)
    beside = [name for each in rest if stage(each) == stage(lead) and (name := subject(each)) and name != own]
    said = lead.because.rstrip(".")
    if beside:
        said += f"; with it {listed(list(dict.fromkeys(f'`{name}`' for name in beside)))}"
    fell = list(dict.fromkeys(term(each.metric) for each in rest if stage(each) == "outcome" and stage(lead) != "outcome"))
    if fell:
        said += f"; consistent with it: {listed(fell)}"
    return f"{said}."


def term(metric: str) -> str:
    """A metric's name inside a sentence."""
    title = METRICS[metric].title
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def listed(words: Sequence[str], most: int = 3) -> str:
    """`a, b and c` or `a, b, c and 4 more`."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
