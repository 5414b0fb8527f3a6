"""The size of an incident: the number of affected rows, computed only from its leading finding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from observability.incidents.grouping import Incident
from observability.incidents.next_steps import is_about_predictions

RATES = frozenset(("null_rate", "nan_rate", "absent_rate", "wrong_type_rate", "unseen_rate", "out_of_range_rate"))
RATES |= frozenset(("error_rate", "duplicate_rate", "rejected_rate", "default_score_rate"))
"""Metrics that are a share of rows. The rows above the baseline's share are affected."""


@dataclass(frozen=True)
class IncidentSize:
    """Affected rows. share: their share of the checked rows; None if the finding does not state their number. beyond_baseline: whether rows
    at the rate of the baseline are left out, so that the share is lower than the rate which the finding states.
    """

    rows: float
    share: float | None
    beyond_baseline: bool = False


def incident_size(incident: Incident) -> IncidentSize | None:
    """The size of an incident about predictions. None if the incident is about other records, or if its lead has no rows."""
    lead = incident.lead
    if not is_about_predictions(incident) or not lead.n:
        return None
    if lead.slice:
        share = lead.evidence.get("share")
        return IncidentSize(float(lead.n), float(share) if isinstance(share, int | float) else None)
    if "=" in lead.subject:
        return IncidentSize(float(lead.n), None)
    share = risen_share(lead.metric, lead.value, lead.evidence)
    return IncidentSize(share * lead.n, share, lead.metric in RATES and bool(lead.evidence.get("baseline")))


def risen_share(metric: object, value: float | None, evidence: Mapping[str, Any]) -> float:
    """The increase of a share of rows over its baseline, at least 0. For metrics that are not a share of rows, 1."""
    if metric not in RATES or value is None:
        return 1.0
    return min(max(float(value) - float(evidence.get("baseline") or 0.0), 0.0), 1.0)
