"""Counts what needs action. Pages, alerts, reviews and the command line all use these counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from observability.core.finding import Severity, State
from observability.core.formatting import DASH, plural
from observability.incidents.grouping import FRESH, Incident, incident_urgency, most_urgent_first
from observability.incidents.grouping_rules import NEAR, onset_certainty, specific_subject
from observability.incidents.shared_faults import SharedFault, shared_faults


class Judged(Protocol):
    """A thing with a severity and a state: an incident or a finding."""

    @property
    def severity(self) -> Severity:
        """The severity, which decides whether people have to act."""
        ...

    @property
    def state(self) -> State:
        """The state, which stays critical after a person has acknowledged it."""
        ...


@dataclass(frozen=True)
class ActionCounts:
    """Numbers of incidents (or findings). critical: critical ones on which nobody has acted yet; acknowledged: critical ones on which
    someone has acted. shared: how many of all are shared by several models.
    """

    critical: int
    acknowledged: int
    warnings: int
    shared: int = 0

    @property
    def words(self) -> str:
        """`2 critical, 1 acknowledged, 3 warnings`, or `nothing needs action` if all are 0."""
        parts = [
            f"{self.critical} critical" if self.critical else None,
            f"{self.acknowledged} acknowledged" if self.acknowledged else None,
            plural(self.warnings, "warning") if self.warnings else None,
        ]
        return ", ".join(filter(None, parts)) or "nothing needs action"

    @property
    def total_words(self) -> str:
        """`words`, and how many are shared by several models: `11 critical, 6 warnings (2 shared, counted once)`."""
        return f"{self.words}{f' ({self.shared} shared, counted once)' if self.shared else ''}"


@dataclass(frozen=True)
class CountedIncident:
    """An entry that is listed and counted once: an incident, the same problem in several models, or a fault that models share.

    incidents: the incidents of the entry, worst first.
    """

    incidents: tuple[Incident, ...]
    fault: SharedFault | None = None

    @property
    def lead(self) -> Incident:
        """The worst of its incidents."""
        return self.incidents[0]

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have this problem, in the order of the incidents. A dash stands for an incident without a model."""
        return tuple(dict.fromkeys(incident.model or DASH for incident in self.incidents))


def action_counts(judged: Iterable[Judged]) -> ActionCounts:
    """Count incidents or findings: critical ones that nobody has acknowledged, acknowledged critical ones, and warnings."""
    known = list(judged)
    acknowledged = sum(each.state == "critical" and each.severity != "act" for each in known)
    critical = sum(each.severity == "act" for each in known)
    return ActionCounts(critical, acknowledged, sum(each.severity == "watch" for each in known) - acknowledged)


def merge_incidents_of_models(found: Iterable[Incident]) -> list[CountedIncident]:
    """The incidents in their order. Incidents of several models become one entry if they are the same problem: they have the same sentence,
    or come from the same feed.
    """
    groups: list[list[Incident]] = []
    alike: dict[tuple[str, str], list[list[Incident]]] = {}
    for incident in found:
        keys = ("sentence", incident.sentence), ("claim", incident.lead.claim)
        near = (group for key in keys for group in alike.get(key, ()))
        home = next((group for group in near if is_one_problem(group, incident)), None)
        if home is not None:
            home.append(incident)
            continue
        groups.append([incident])
        for key in keys:
            alike.setdefault(key, []).append(groups[-1])
    return [CountedIncident(tuple(group)) for group in groups]


def is_one_problem(group: Sequence[Incident], incident: Incident) -> bool:
    """Whether an incident is the same problem as the incidents of a group. It has to be of another model, and have the sentence of the
    first one or concern the same feed.
    """
    if incident.model in {other.model for other in group}:
        return False
    return incident.sentence == group[0].sentence or (incident.model is not None and is_one_feed(group[0], incident))


def is_one_feed(one: Incident, other: Incident) -> bool:
    """Whether two incidents concern the same feed: the same input, the same claim, and known onsets at most a day apart. The primary metric
    of neither model may have become worse. If an onset is unknown, equal names of columns are not evidence of one feed.
    """
    if one.lead.claim != other.lead.claim or {one.source, other.source} != {"input"} or specific_subject(one.lead) is None:
        return False
    if holds_new_fall(one) or holds_new_fall(other):
        return False
    began, other_began = known_onset(one), known_onset(other)
    return began is not None and other_began is not None and abs(began - other_began) <= NEAR


def known_onset(incident: Incident) -> datetime | None:
    """The day on which an incident began, from its lead. None if the lead's days do not show the date, or if it began before these days."""
    return incident.onset if onset_certainty(incident.lead) == "dated" and not incident.standing else None


def holds_new_fall(incident: Incident) -> bool:
    """Whether an incident has a finding, new or worse, that the primary metric of its model fell."""
    return any(finding.evidence.get("primary") and finding.needs_action and finding.news in FRESH for finding in incident.findings)


def counted_incidents(found: Iterable[Incident]) -> list[CountedIncident]:
    """The entries that lists show and totals count, most urgent first. Among equally urgent entries, faults that models share come
    first.
    """
    ordered = most_urgent_first(found)
    faults = [CountedIncident(fault.incidents, fault) for fault in shared_faults(ordered)]
    under = {incident.id for fault in faults for incident in fault.incidents}
    others = merge_incidents_of_models(incident for incident in ordered if incident.id not in under)
    return sorted([*faults, *others], key=lambda each: incident_urgency(each.lead))


def incident_action_counts(found: Iterable[Incident]) -> ActionCounts:
    """The number of incidents that need action. The same problem in several models, and a fault that models share, count once. A shared
    problem stays critical until the incident of every model is acknowledged.
    """
    return total_action_counts(counted_incidents(found))


def total_action_counts(counted: Sequence[CountedIncident]) -> ActionCounts:
    """The counts of entries that are already merged. `incident_action_counts` merges incidents first."""
    return replace(action_counts(each.lead for each in counted), shared=sum(len(each.models) > 1 for each in counted))


def shared_incident_ids(counted: Iterable[CountedIncident]) -> frozenset[str]:
    """The ids of the incidents that several models share and that are therefore counted once."""
    return frozenset(incident.id for each in counted if len(each.models) > 1 for incident in each.incidents)
