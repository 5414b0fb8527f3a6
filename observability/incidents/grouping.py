"""Groups findings of one fault into incidents, and determines the likely source and the leading finding.

The functions are pure. They return the given findings with `incident` and `likely_source` set, and the incidents. Only findings that need
action (`act`, `watch`) are grouped. Standing findings of a model (beyond their limits, but not new) form one separate incident. The rules
are in `grouping_rules`, their reasons in docs/decisions/0009. Sentences use "suspected" and "consistent with", never "caused by".
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from observability.core.finding import (
    INCIDENT_NEWS,
    LEADS,
    SEVERITIES,
    STATE_OF,
    Finding,
    News,
    Severity,
    Source,
    State,
    urgency,
    worst_first,
)
from observability.core.formatting import join_words
from observability.core.metric_definitions import METRICS
from observability.incidents.finding_groups import FindingsBySubject, OnsetGroup, without_findings
from observability.incidents.grouping_rules import (
    BOUND,
    CAUSES,
    EXPLAINED,
    SOURCES,
    STAGES,
    TOUCHED,
    Stage,
    are_one_fall_of_days,
    began_together,
    can_cause,
    claimed_place,
    explained_share,
    follows_in_time,
    follows_level_swap,
    is_concentrated_slice,
    is_isolated_group,
    is_part_of,
    is_standing,
    is_undated_drift,
    is_worse_severity,
    onset_certainty,
    pipeline_stage,
    relative_loss,
    reports_broken_values,
    same_place,
    same_subject,
    same_time,
    shift_strength,
    specific_subject,
    touched_importance,
)
from observability.incidents.labelling_causes import behind_their_causes, causes_first, suspected_cause
from observability.incidents.standing_drift import (
    HARM,
    FaultGroup,
    continuing_drift,
    continuing_fall,
    details_of_what_stands,
    drift_without_date,
    with_first_days,
    with_standing,
)

FRESH: tuple[News, ...] = ("new", "worse")
"""Values of `news` for changes that nobody has seen yet."""
Importance = Mapping[str, float]
"""The importance of each feature of a model. The values add up to 1; empty if unknown."""


@dataclass(frozen=True)
class Incident:
    """Findings of one fault. lead: the finding nearest to the source; collateral: findings that are consistent with following from the
    lead, worst first.

    id: the same from day to day. It is made from model, source, stage, the lead's subject and slice, and the day of onset ("earlier" if
    this is before the analysed days). For the ongoing incident, it is made from the model only. severity: the worst of its findings. onset:
    its start; None if the counts do not show the date. If it began before the analysed days, onset is the latest possible start. event: the
    nearest earlier event. sentence: a summary. standing: whether the model's own past was beyond the limits too.
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
    standing: bool = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The lead, then the collateral."""
        return self.lead, *self.collateral

    @property
    def state(self) -> State:
        """The worst state of its findings. Critical if any finding is critical, even if someone has acted on it."""
        return "critical" if any(finding.state == "critical" for finding in self.findings) else STATE_OF[self.severity]

    @property
    def shown_severity(self) -> Severity:
        """The severity that a page shows with word, icon and colour. It is `act` also for an acknowledged critical incident."""
        return "act" if self.state == "critical" else self.severity

    @property
    def news(self) -> News | None:
        """The change since the time before the window: the news of the lead, else of the first finding with news. It is `worse` if the
        incident continues and something new was added.
        """
        own = next((finding.news for finding in self.findings if finding.news), None)
        return "worse" if self.new_details and own != "new" else own

    @property
    def new_details(self) -> tuple[Finding, ...]:
        """The findings about harm besides the lead that are new or became worse, although the lead did not (`details_that_are_new`)."""
        return tuple(details_that_are_new(self.lead, self.collateral))


def group_findings(
    findings: Sequence[Finding], importance: Mapping[str, Importance] | None = None
) -> tuple[list[Finding], tuple[Incident, ...]]:
    """The findings, each marked with its incident, and the incidents. Both are sorted by urgency, and the findings of an incident are
    adjacent.

    importance: by model, as its owner stated it. If it is missing for a model, it is read from findings about attributions. Findings of
    different models never form one incident.
    """
    by_model: dict[str | None, list[Finding]] = {}
    for finding in findings:
        by_model.setdefault(finding.model, []).append(finding)
    marked: dict[int, Finding] = {}
    incidents = []
    for model, own in by_model.items():
        weights = (importance or {}).get(model or "") or attribution_importance(own)
        for fault in find_faults(own, weights):
            incident = incident_from_fault(fault, weights)
            for finding in incident.findings:
                marked[id(finding)] = member_of(finding, incident)
            lead, *collateral = (marked[id(finding)] for finding in incident.findings)
            incidents.append(replace(incident, lead=lead, collateral=tuple(collateral)))
    ordered = most_urgent_first(incidents)
    return findings_by_incident([marked.get(id(finding), finding) for finding in findings], ordered), ordered


def member_of(finding: Finding, incident: Incident) -> Finding:
    """A finding of an incident, marked with the incident and its suspected source. The lead is also marked as lead, with the incident's
    news.
    """
    evidence = {name: value for name, value in finding.evidence.items() if name not in (LEADS, INCIDENT_NEWS)}
    if finding is incident.lead:
        evidence |= {LEADS: True, INCIDENT_NEWS: incident.news}
    return finding.revised(incident=incident.id, likely_source=incident.source, evidence=evidence)


def findings_by_incident(findings: Sequence[Finding], incidents: Sequence[Incident]) -> list[Finding]:
    """The findings in the order of their incidents. In each incident, the lead (the finding nearest to the source) comes first, then its
    consequences, worst first. Findings without an incident come last, worst first.
    """
    own: dict[str | None, list[Finding]] = {}
    for finding in worst_first(list(findings)):
        own.setdefault(finding.incident, []).append(finding)
    found = []
    for incident in incidents:
        found += causes_first(sorted(own.pop(incident.id, []), key=lambda finding: finding.id != incident.lead.id))
    return found + worst_first([finding for left in own.values() for finding in left])


def most_urgent_first(found: Iterable[Incident]) -> tuple[Incident, ...]:
    """The incidents in the order of `incident_order`. If the lead of an incident follows from a finding of another, equally urgent
    incident, it comes directly after that incident. The two are incidents of a labelling project and of its model.
    """
    incidents = sorted(found, key=incident_order)
    everything = [finding for incident in incidents for finding in incident.findings]
    causes = []
    for incident in incidents:
        cause = suspected_cause(incident.lead, everything)
        home = next((each for each in incidents if cause is not None and any(finding is cause for finding in each.findings)), None)
        apart = home is None or home is incident or home.standing or incident_urgency(home) != incident_urgency(incident)
        causes.append(None if apart else home)
    return tuple(behind_their_causes(incidents, causes))


def incident_urgency(incident: Incident) -> tuple[int, bool]:
    """The sort key `urgency` for an incident."""
    return urgency(incident.severity, incident.standing)


def incident_order(incident: Incident) -> tuple[tuple[int, bool], bool, bool, int, float, str]:
    """Sort key with the most urgent incidents first (`urgency`). Among equally urgent incidents, acknowledged critical incidents come
    before warnings, and new before ongoing incidents. Next, incidents that reach more stages of the pipeline come first, then those with a
    higher rank among the findings of that severity.
    """
    worst = [finding.rank for finding in incident.findings if finding.severity == incident.severity]
    reach = len({pipeline_stage(finding) for finding in incident.findings})
    goes_on = incident.news in ("ongoing", "improving")
    return incident_urgency(incident), incident.state != "critical", goes_on, -reach, -max(worst), incident.id


def attribution_importance(findings: Sequence[Finding]) -> Importance:
    """The attribution shares of the reference, from the findings about explanations. Empty if the model is not explained."""
    return {
        finding.subject: float(finding.evidence["baseline"])
        for finding in findings
        if finding.metric == "attribution_share" and finding.evidence.get("baseline") is not None
    }


def find_faults(findings: Sequence[Finding], importance: Importance) -> list[FaultGroup]:
    """The faults of one model. The stages are processed in order: a group of new findings joins a fault that may explain it, or starts a
    new fault.

    All standing findings form one fault, together with the details of a standing drop. A drift without a date joins an ongoing drift,
    unless an equally severe input changed on a known date.
    """
    everything = worst_first([finding for finding in findings if finding.needs_action])
    standing = [finding for finding in everything if is_standing(finding)]
    about = FindingsBySubject(standing)
    standing += [
        finding for finding in everything if not is_standing(finding) and any(is_part_of(finding, old) for old in about.of_subject(finding))
    ]
    alarming = without_findings(everything, standing)
    late = details_of_what_stands(alarming, [finding for finding in standing if is_undated_drift(finding)], "input", continuing_drift)
    late += details_of_what_stands(alarming, standing, "outcome", continuing_fall)
    standing += late
    alarming = without_findings(alarming, late)
    found: list[FaultGroup] = []
    if not any(is_undated_drift(finding) for finding in standing) and (drift := drift_without_date(alarming)):
        found.append(FaultGroup("input", drift, drift=True))
        alarming = without_findings(alarming, drift)
    for at in STAGES:
        for group in group_by_onset([finding for finding in alarming if pipeline_stage(finding) == at]):
            home = upstream_fault(group, at, found, findings, importance) or fault_of_one_fall(group, found)
            if home is None:
                found.append(FaultGroup(at, group))
            else:
                home.others += group
    return with_first_days(with_standing(found, standing), findings)


def fault_of_one_fall(group: Sequence[Finding], found: Sequence[FaultGroup]) -> FaultGroup | None:
    """The fault of outcomes, without an upstream cause, that measures the same drop as a group's findings. None if there is none."""
    falls = [fault for fault in found if fault.stage == "outcome"]
    return next((fault for fault in falls if any(are_one_fall_of_days(one, root) for one in group for root in fault.root)), None)


def group_by_onset(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Groups of findings of one stage. The findings of a group belong to one fault and are sorted worst first.

    Findings with a date are grouped by onset and subject. A slice is grouped with the whole, or with a slice that it overlaps. Findings
    that began before the analysed days join dated findings of the same subject, or else form one group; they never connect two dates.
    Findings without a date join the worst group that fits.
    """
    found: list[OnsetGroup] = []
    for how in ("dated", "open", "vague"):
        for finding in findings:
            if onset_certainty(finding) != how:
                continue
            group = matching_group(finding, found)
            if group is None:
                found.append(OnsetGroup(finding))
            else:
                group.add(finding)
    return [group.findings for group in sorted(found, key=lambda group: group.order)]


def matching_group(finding: Finding, found: Sequence[OnsetGroup]) -> OnsetGroup | None:
    """The group that a finding joins: a group with its subject, else with the same drop, else with its onset. A finding without a date
    otherwise joins the worst group that fits. None if no group matches.
    """
    ranked = sorted(found, key=lambda group: group.order)
    named = next((group for group in ranked if group.has_subject(finding)), None)
    fallen = next((group for group in ranked if group.has_fall(finding)), None)
    timed = next((group for group in ranked if began_together(finding, group.members[0])), None)
    fits = next((group for group in ranked if onset_certainty(finding) == "vague" and group.may_hold(finding)), None)
    return named or fallen or timed or fits


def upstream_fault(
    group: Sequence[Finding], at: Stage, found: Sequence[FaultGroup], everything: Sequence[Finding], importance: Importance
) -> FaultGroup | None:
    """The upstream fault that explains a group of findings best. None if no fault explains it."""
    best: tuple[tuple[bool, float, int], FaultGroup] | None = None
    for fault in found:
        causes = [
            cause
            for cause in fault.members
            if can_cause(cause, at) and any(follows_in_time(finding, cause) and same_place(finding, cause) for finding in group)
        ]
        if not causes or not explains_group(group, at, causes, everything, importance):
            continue
        nearest = -min(CAUSES[at].index(pipeline_stage(cause)) for cause in causes)
        score = (share_onset(group, causes), touched_importance(input_findings(causes), importance) or 0.0, nearest)
        if best is None or score > best[0]:
            best = score, fault
    return best[1] if best else None


def explains_group(
    group: Sequence[Finding], at: Stage, causes: Sequence[Finding], everything: Sequence[Finding], importance: Importance
) -> bool:
    """Whether earlier causes explain a group of findings. Mere consequences are always explained; a drop of scores or outcomes only under
    conditions.

    A slice of a feature needs a cause with the same feature or the same onset. A drop needs a cause that is at least as severe or began at
    the same time. Shifted inputs explain a drop if the scores shifted too. Otherwise an estimate from the inputs has to predict a good part
    of the drop; without an estimate, the importance of the inputs has to be high enough for a drop of that size. A drop in rows of swapped
    levels follows from the swap.
    """
    at_once = share_onset(group, causes)
    if any(follows_level_swap(finding, cause) for finding in group for cause in causes):
        return True
    if at == "slice":
        others = [cause for cause in causes if cause.metric != "level_trade"]
        return share_onset(group, others) or any(same_subject(finding, cause) for finding in group for cause in others)
    if at not in ("score", "outcome"):
        return at_once or at not in ("input", "service", "label")
    if not at_once and is_worse_severity(group[0].severity, min((cause.severity for cause in causes), key=SEVERITIES.index)):
        return False
    if at == "score" or any(pipeline_stage(cause) not in ("input", "slice") for cause in causes):
        return True
    much = touched_importance(input_findings(causes), importance) if importance else None
    if at_once:
        return much is None or much >= TOUCHED
    shares = [share for finding in group if (share := explained_share(finding, everything)) is not None]
    if shares:
        return max(shares) >= EXPLAINED
    loss = next((share for finding in group if (share := relative_loss(finding))), None)
    return much is None or (much >= TOUCHED and (loss is None or much / loss >= BOUND))


def input_findings(findings: Sequence[Finding]) -> list[Finding]:
    """The findings about a single feature: findings of the stages input and slice that have a specific subject."""
    return [finding for finding in findings if pipeline_stage(finding) in ("input", "slice") and specific_subject(finding) is not None]


def share_onset(group: Sequence[Finding], causes: Sequence[Finding]) -> bool:
    """Whether a finding and a cause have the same dated onset; onsets before the analysed days do not count."""
    return any(same_time(finding, cause) and onset_certainty(finding) == "dated" for finding in group for cause in causes)


def incident_from_fault(fault: FaultGroup, importance: Importance) -> Incident:
    """The incident that a fault becomes."""
    lead = leading_finding(fault, importance)
    rest = worst_first([finding for finding in fault.members if finding is not lead])
    first = next((finding for finding in (lead, *fault.root) if onset_certainty(finding) != "vague"), None)
    day = (
        None if first is None else "earlier" if onset_certainty(first) == "open" or first.onset is None else first.onset.date().isoformat()
    )
    source = incident_source(fault, lead)
    about = (
        [lead.model, "standing"]
        if fault.standing or fault.drift
        else [lead.model, source, fault.stage, specific_subject(lead), lead.slice, day]
    )
    return Incident(
        id=hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16],
        model=lead.model,
        source=source,
        lead=lead,
        collateral=tuple(rest),
        severity=min((finding.severity for finding in fault.members), key=SEVERITIES.index),
        onset=first.onset if first else None,
        event=lead.event or next((finding.event for finding in fault.root if finding.event and same_time(finding, lead)), None),
        sentence=standing_sentence(lead, rest) if fault.standing else incident_sentence(lead, rest),
        standing=fault.standing,
    )


def incident_source(fault: FaultGroup, lead: Finding) -> Source:
    """The suspected source, which depends on the fault's stage. It is the labels if outcomes dropped after a change of the labelling
    guideline.
    """
    if fault.stage in ("input", "label"):
        return SOURCES[fault.stage]
    if fault.stage == "outcome" and (lead.event or {}).get("what") == "guideline":
        return "label"
    return lead.likely_source or SOURCES[fault.stage]


def leading_finding(fault: FaultGroup, importance: Importance) -> Finding:
    """The finding that shows best where the fault is.

    For labelling, it is the finding from which the worst finding follows. Otherwise it is one of the worst findings. Preferred are a
    finding with a place if all places overlap, then broken values over shifted ones, then the feature with the largest effect. If scores or
    outcomes shifted as a whole and only one group changed, the finding about that group leads. If the change of a feature is concentrated
    in one slice, the finding about that slice leads.
    """
    of_groups = [finding for finding in fault.others if is_isolated_group(finding)]
    if (
        fault.stage in ("score", "outcome")
        and len({finding.subject for finding in of_groups}) == 1
        and not any(map(claimed_place, fault.root))
    ):
        return worst_first(of_groups)[0]
    places = [set(where.split("&")) for where in {claimed_place(finding) for finding in fault.root} if where]
    one_place = bool(places) and bool(set.intersection(*places))

    def key(finding: Finding) -> tuple[Any, ...]:
        located = (claimed_place(finding) is not None) == one_place
        severity = SEVERITIES.index(finding.severity)
        if fault.stage != "input":
            return severity, not located, -finding.rank, finding.id
        kind = 0 if reports_broken_values(finding) else 1 if specific_subject(finding) else 2
        effect = shift_strength(finding) * (importance.get(finding.subject, 0.0) if importance else 1.0)
        return severity, kind, -effect, not located, finding.id

    first = min(fault.root, key=key)
    if (cause := suspected_cause(first, fault.root)) is not None:
        return cause
    if first.metric == "level_trade":
        return first
    slices = [
        finding
        for finding in fault.members
        if finding.subject == first.subject and not is_worse_severity(first.severity, finding.severity) and is_concentrated_slice(finding)
    ]
    return worst_first(slices)[0] if claimed_place(first) is None and len(set(map(claimed_place, slices))) == 1 else first


def details_that_are_new(lead: Finding, rest: Sequence[Finding]) -> list[Finding]:
    """The findings about harm (`HARM`) besides the lead whose news is new or worse. Empty if the lead's own news is new or worse.

    Shifts of columns are left out, because in an ongoing drift another column shifts in most weeks. A metric without a better direction
    (bias) is left out too.
    """
    if lead.news in FRESH:
        return []
    new = [finding for finding in rest if finding.news in FRESH and pipeline_stage(finding) in HARM]
    return [finding for finding in new if METRICS[finding.metric].better is not None]


def new_details_words(lead: Finding, rest: Sequence[Finding]) -> str:
    """Words for the metrics that are new besides the lead, with their subjects: `; new in it: root mean squared error`. Empty if there are
    none.
    """
    names = [metric_of_subject(each.metric, specific_subject(each)) for each in details_that_are_new(lead, rest)]
    return f"; new in it: {join_words(list(dict.fromkeys(names)), 3)}" if names else ""


def incident_sentence(lead: Finding, rest: Sequence[Finding]) -> str:
    """A sentence from the lead's sentence, the other subjects of its stage, the outcomes that are consistent with it, and what is new."""
    stage, own = pipeline_stage(lead), specific_subject(lead)
    same_stage = [finding for finding in rest if pipeline_stage(finding) == stage]
    others = [f"`{name}`" for finding in same_stage if (name := specific_subject(finding)) and name != own]
    outcomes = [metric_term(finding.metric) for finding in rest if pipeline_stage(finding) == "outcome" != stage]
    text = lead.because.rstrip(".")
    if others:
        text += f"; also affected: {join_words(list(dict.fromkeys(others)), 3)}"
    if outcomes:
        text += f"; consistent with it: {join_words(list(dict.fromkeys(outcomes)), 3)}"
    return f"{text}{new_details_words(lead, rest)}."


def standing_sentence(lead: Finding, rest: Sequence[Finding]) -> str:
    """Sentences from the lead's sentence, the other ongoing metrics and subjects (outcomes first), subjects that moved later on a known
    date, what is new, and a proposal.
    """
    old = [finding for finding in rest if is_standing(finding) or onset_certainty(finding) != "dated"]
    others = [metric_term(finding.metric) for finding in old if pipeline_stage(finding) == "outcome" and finding.severity == "act"]
    others += [f"`{name}`" for finding in old if (name := specific_subject(finding)) and name != specific_subject(lead)]
    others += [metric_term(finding.metric) for finding in old if specific_subject(finding) is None and finding.metric != lead.metric]
    moved = [f"`{name}`" for finding in rest if (name := specific_subject(finding)) and name != specific_subject(lead)]
    later = [name for name in dict.fromkeys(moved) if name not in others]
    also = f"; also standing: {join_words(list(dict.fromkeys(others)), 3)}" if others else ""
    also += f"; moved later: {join_words(later, 3)}" if later else ""
    new = new_details_words(lead, rest)
    also += new
    known = "The rest is not new" if new else "This is not new" if is_standing(lead) else "It is ongoing"
    return f"{lead.because.rstrip('.')}{also}. {known}: consider a newer or a rolling reference, or retraining."


def metric_term(metric: str) -> str:
    """A metric's title, written for the middle of a sentence."""
    title = METRICS[metric].title
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def metric_of_subject(metric: str, subject: str | None) -> str:
    """A metric's title, written for the middle of a sentence, with its subject if it has one."""
    return f"{metric_term(metric)} of `{subject}`" if subject else metric_term(metric)
