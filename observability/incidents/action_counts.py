"""Count what needs action: once, for pages, alerts, reviews and the command line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from observability.core.finding import Severity, State
from observability.core.formatting import DASH, plural
from observability.incidents.grouping import Incident, incident_urgency, most_urgent_first
from observability.incidents.shared_faults import SharedFault, shared_faults


class Judged(Protocol):
    """A thing with a severity and a state: an incident or a finding."""

    @property
    def severity(self) -> Severity:
        """The severity, which tells whether people have to act."""
        ...

    @property
    def state(self) -> State:
        """The state: the severity, or that a person has acted on it."""
        ...


@dataclass(frozen=True)
class ActionCounts:
    """Numbers of incidents (or of findings). critical: nobody has acted on them yet; acknowledged: critical and acted on. shared: how many
    of them several models have.
    """

    critical: int
    acknowledged: int
    warnings: int
    shared: int = 0

    @property
    def words(self) -> str:
        """`2 critical, 1 acknowledged, 3 warnings`; `nothing needs action` where all are 0."""
        parts = [
            f"{self.critical} critical" if self.critical else None,
            f"{self.acknowledged} acknowledged" if self.acknowledged else None,
            plural(self.warnings, "warning") if self.warnings else None,
        ]
        return ", ".join(filter(None, parts)) or "nothing needs action"

    @property
    def total_words(self) -> str:
        """`words`, and how many of the counted ones are shown with several models: `11 critical, 6 warnings (2 shared by models, counted
        once)`.
        """
        return f"{self.words}{f' ({self.shared} shared, counted once)' if self.shared else ''}"


@dataclass(frozen=True)
class CountedIncident:
    """An entry that is listed and counted once: an incident, an equal incident of several models, or a fault that models share.

    incidents: the worst first.
    """

    incidents: tuple[Incident, ...]
    fault: SharedFault | None = None

    @property
    def lead(self) -> Incident:
        """The worst of its incidents."""
        return self.incidents[0]

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have this problem, in the order of its incidents; a dash for an incident without a model."""
        return tuple(dict.fromkeys(incident.model or DASH for incident in self.incidents))


def action_counts(judged: Iterable[Judged]) -> ActionCounts:
    """How many of some incidents or findings are critical, critical and acknowledged, and warnings."""
    known = list(judged)
    acknowledged = sum(each.state == "critical" and each.severity != "act" for each in known)
    critical = sum(each.severity == "act" for each in known)
    return ActionCounts(critical, acknowledged, sum(each.severity == "watch" for each in known) - acknowledged)


def merge_equal_incidents(found: Iterable[Incident]) -> list[CountedIncident]:
    """Incidents with the same severity and sentence as one, in their order: models that share an input share its faults."""
    equal: dict[tuple[str, str], list[Incident]] = {}
    for incident in found:
        equal.setdefault((incident.shown_severity, incident.sentence), []).append(incident)
    return [CountedIncident(tuple(incidents)) for incidents in equal.values()]


def counted_incidents(found: Iterable[Incident]) -> list[CountedIncident]:
    """Incidents as lists show and totals count them, most urgent first; among equally urgent ones, faults shared by models first."""
    ordered = most_urgent_first(found)
    faults = [CountedIncident(fault.incidents, fault) for fault in shared_faults(ordered)]
    under = {incident.id for fault in faults for incident in fault.incidents}
    others = merge_equal_incidents(incident for incident in ordered if incident.id not in under)
    return sorted([*faults, *others], key=lambda each: incident_urgency(each.lead))


def incident_action_counts(found: Iterable[Incident]) -> ActionCounts:
    """The number of incidents that need action; an equal incident of several models, and a fault that models share, count once. As long as
    one model's is not acknowledged, it is critical.
    """
    return total_action_counts(counted_incidents(found))


def total_action_counts(counted: Sequence[CountedIncident]) -> ActionCounts:
    """See `incident_action_counts`."""
    return replace(action_counts(each.lead for each in counted), shared=sum(len(each.models) > 1 for each in counted))


def shared_incident_ids(counted: Iterable[CountedIncident]) -> frozenset[str]:
    """The ids of incidents that several models share and that are counted only once."""
    return frozenset(incident.id for each in counted if len(each.models) > 1 for incident in each.incidents)
