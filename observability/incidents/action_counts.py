"""Count what needs action: once, for pages, alerts, reviews and the command line."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from observability.core.finding import Severity, State
from observability.core.formatting import DASH, plural
from observability.incidents.grouping import Incident, incident_order
from observability.incidents.shared_faults import shared_faults


class Judged(Protocol):
    """What has a severity and a state: an incident or a finding."""

    @property
    def severity(self) -> Severity:
        """What is asked of people."""
        ...

    @property
    def state(self) -> State:
        """How it stands."""
        ...


@dataclass(frozen=True)
class ActionCounts:
    """Numbers of incidents (or of findings). critical: nobody has acted on them yet; acknowledged: critical and acted on."""

    critical: int
    acknowledged: int
    warnings: int

    @property
    def words(self) -> str:
        """`2 critical, 1 acknowledged, 3 warnings`; `nothing needs action` where all are 0."""
        parts = [
            f"{self.critical} critical" if self.critical else None,
            f"{self.acknowledged} critical but acknowledged" if self.acknowledged else None,
            plural(self.warnings, "warning") if self.warnings else None,
        ]
        return ", ".join(filter(None, parts)) or "nothing needs action"


def action_counts(judged: Iterable[Judged]) -> ActionCounts:
    """How many of some incidents or findings are critical, critical and acknowledged, and warnings."""
    known = list(judged)
    acknowledged = sum(each.state == "critical" and each.severity != "act" for each in known)
    critical = sum(each.severity == "act" for each in known)
    return ActionCounts(critical, acknowledged, sum(each.severity == "watch" for each in known) - acknowledged)


def merge_equal_incidents(found: Iterable[Incident]) -> list[tuple[Incident, tuple[str, ...]]]:
    """Incidents with the same severity and sentence as one, in their order, each with its models: models that share an input share its
    faults.
    """
    models: dict[tuple[str, str], list[str]] = {}
    first: dict[tuple[str, str], Incident] = {}
    for incident in found:
        key = (incident.shown_severity, incident.sentence)
        first.setdefault(key, incident)
        models.setdefault(key, []).append(incident.model or DASH)
    return [(first[key], tuple(dict.fromkeys(names))) for key, names in models.items()]


def incident_action_counts(found: Iterable[Incident]) -> ActionCounts:
    """How many incidents need action, an equal one of several models and a fault that models share once. As long as one model's is not
    acknowledged, it is critical.
    """
    ordered = sorted(found, key=incident_order)
    under = {incident.id for fault in shared_faults(ordered) for incident in fault.incidents if incident is not fault.lead}
    return action_counts(incident for incident, _ in merge_equal_incidents(each for each in ordered if each.id not in under))
