"""Groups incidents of several models that have one thing in common into one shared fault. This thing is an input, a replica, a device, a
source, a host, the arrival of predictions, or an event.

The functions are pure. Only incidents that began on a known day are grouped. The reasons are in docs/decisions/0073. Sentences state what
the models have in common and since when. Whether there is a common cause is not tested.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from observability.core.finding import SEVERITIES, Severity
from observability.core.formatting import format_day
from observability.incidents.grouping import Incident, incident_order
from observability.incidents.grouping_rules import NEAR, onset_certainty, pipeline_stage, specific_subject

SHARED_MODELS = 3
"""A shared fault needs at least this number of models. Two models may change on the same day by chance."""
PLACES = ("replica", "device", "source", "host")
"""Names of subjects `name=value` that several models can have in common."""
SHARED_EVENTS = ("deploy", "data", "threshold", "guideline", "incident")
"""Kinds of events that change the input or the behaviour of models."""
CommonThing = tuple[str, str]
"""A thing that models have in common: its kind (input, replica, device, source, host, event, arrival), and its name."""


@dataclass(frozen=True)
class SharedFault:
    """Incidents of several models with one thing in common, worst first.

    id: made from the common thing and the day on which the fault began. kind, name: the common thing. onset: the earliest onset of the
    incidents.
    """

    id: str
    kind: str
    name: str
    onset: datetime
    incidents: tuple[Incident, ...]

    @property
    def lead(self) -> Incident:
        """The worst of the incidents."""
        return self.incidents[0]

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the incidents, sorted by name."""
        return tuple(sorted({incident.model for incident in self.incidents if incident.model}))

    @property
    def severity(self) -> Severity:
        """The worst severity of the incidents."""
        return min((incident.severity for incident in self.incidents), key=SEVERITIES.index)

    @property
    def sentence(self) -> str:
        """A sentence with what the models have in common, the number of models, and since when."""
        what = {
            "input": f"The input `{self.name}` changed",
            "event": f"Findings after {self.name}",
            "arrival": "Fewer or no predictions arrive",
        }.get(self.kind, f"Findings about the {self.kind} `{self.name}`")
        return f"{what} in {len(self.models)} models since {format_day(self.onset)}."


def common_things(incident: Incident) -> list[CommonThing]:
    """What an incident may have in common with incidents of other models. Empty if the incident has no date or is ongoing."""
    lead = incident.lead
    if incident.model is None or incident.standing or incident.onset is None or onset_certainty(lead) != "dated":
        return []
    found: list[CommonThing] = []
    kind, sign, value = lead.subject.partition("=")
    if sign and kind in PLACES:
        found.append((kind, value))
    stage, subject = pipeline_stage(lead), specific_subject(lead)
    if stage in ("input", "slice") and subject and not sign:
        found.append(("input", subject))
    if stage == "arrival":
        found.append(("arrival", ""))
    if incident.event and incident.event.get("what") in SHARED_EVENTS:
        found.append(("event", f"{incident.event.get('what')}: {str(incident.event.get('text') or '')[:80]}"))
    return found


def shared_faults(incidents: Sequence[Incident], fewest: int = SHARED_MODELS) -> list[SharedFault]:
    """The shared faults among incidents of many models, worst first. An incident that fits several shared faults belongs to the one with
    the most models.

    fewest: minimum number of models that have the thing in common. Each onset has to be at most a day after the previous one.
    """
    by_thing: dict[CommonThing, list[Incident]] = {}
    for incident in incidents:
        for thing in common_things(incident):
            by_thing.setdefault(thing, []).append(incident)
    groups = [(thing, group) for thing, found in by_thing.items() for group in onset_clusters(found)]
    taken: set[str] = set()
    shared = []
    for thing, group in sorted(groups, key=lambda held: (-_models_of(held[1]), held[0])):
        left = sorted((incident for incident in group if incident.id not in taken), key=incident_order)
        if _models_of(left) < fewest:
            continue
        taken |= {incident.id for incident in left}
        onset = min(incident.onset for incident in left if incident.onset)
        name = hashlib.sha256(json.dumps([*thing, onset.date().isoformat()]).encode()).hexdigest()[:16]
        shared.append(SharedFault(name, *thing, onset, tuple(left)))
    return sorted(shared, key=lambda fault: (SEVERITIES.index(fault.severity), -len(fault.models), fault.id))


def onset_clusters(incidents: Sequence[Incident]) -> list[list[Incident]]:
    """Groups of incidents in the order of their onset. A new group begins if an incident begins more than a day after the previous one."""
    found: list[list[Incident]] = []
    last: datetime | None = None
    for onset, incident in sorted(((each.onset, each) for each in incidents if each.onset), key=lambda pair: (pair[0], pair[1].id)):
        if last is None or onset - last > NEAR:
            found.append([])
        found[-1].append(incident)
        last = onset
    return found


def _models_of(incidents: Sequence[Incident]) -> int:
    return len({incident.model for incident in incidents})
