"""Incidents of one drifted input in several models of a fleet."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from observability.core.finding import Finding
from observability.incidents.grouping import Incident, group_findings

START = datetime(2026, 7, 6, tzinfo=UTC)
DAY = timedelta(days=1)


def drift_incident(model: str, day: float | None = 3.0, subject: str = "amount", **changed: Any) -> Incident:
    """The incident of a drifted input, dated to a day of the week that begins at START."""
    finding = Finding(
        "serving/drift", model, "1", subject, "psi", 0.4, 900, "act", f"`{subject}` of {model} drifted.", START, START + 7 * DAY, "reference",
        onset=None if day is None else START + day * DAY, rank=5.0, evidence={"p_value": 1e-9, "p_adjusted": 1e-8},
    )  # fmt: skip
    return group_findings([replace(finding, **changed)])[1][0]
