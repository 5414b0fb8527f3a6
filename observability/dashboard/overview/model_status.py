"""The status of a model in its window: its findings, incidents, traffic and events."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.catalog import Model
from observability.core.finding import SEVERITIES, Finding, Severity
from observability.core.window import Window
from observability.dashboard import load, load_findings, time_series
from observability.dashboard.scope import Scope
from observability.incidents.grouping import Incident
from observability.incidents.model_state import verdict_severity

if TYPE_CHECKING:
    from pandas import DataFrame


ELSEWHERE = {"operations/controllers": "controllers", "serving/vendors": "vendors"}
"""Analyzers that judge models without requests, with the page that shows their findings."""


@dataclass(frozen=True)
class ModelStatus:
    """The status of one model in its window.

    findings: those of the window. incidents: those of the window, most urgent first. traffic: predictions by day. fresh: findings that the
    previous window did not have. before: findings of the previous window. traffic_before: the number of predictions in the previous window;
    None if there are none. pending: whether the model has not been checked yet. elsewhere: findings about its decisions in a system and its
    answers to probes, which other pages show. failure: the kind of error that prevented the computation; empty if there was none.
    checked_at: time of the last check; None if the status is computed now.
    """

    model: Model
    window: Window
    findings: tuple[Finding, ...]
    traffic: "DataFrame"
    events: "DataFrame"
    fresh: tuple[Finding, ...]
    incidents: tuple[Incident, ...] = ()
    before: tuple[Finding, ...] = ()
    traffic_before: float | None = None
    pending: bool = False
    failure: str = ""
    elsewhere: tuple[Finding, ...] = ()
    checked_at: datetime | None = None

    @property
    def worst(self) -> Incident | None:
        """The most severe incident; None if there is none."""
        return min(self.incidents, key=lambda incident: SEVERITIES.index(incident.shown_severity), default=None)

    @property
    def severity(self) -> Severity:
        """The worst severity of the incidents. Without incidents it is `unknown` if nothing could be judged: neither performance, drift and
        quality nor decisions and answers to probes.
        """
        if self.worst:
            return self.worst.shown_severity
        known = verdict_severity(self.findings)
        return "ok" if known == "unknown" and any(finding.severity == "ok" for finding in self.elsewhere) else known

    @property
    def predictions(self) -> float:
        """The number of predictions in the window."""
        return float(self.traffic["n"].sum())

    def is_new(self, incident: Incident) -> bool:
        """Return whether the incident is new, which means that the previous window did not have it."""
        return any(finding.id == incident.lead.id for finding in self.fresh)

    def of(self, *analyzers: str) -> list[Finding]:
        """Return the findings of some analyzers, in the order of these analyzers."""
        return [finding for analyzer in analyzers for finding in self.findings if finding.analyzer == analyzer]


def load_model_status(scope: Scope, model: Model) -> ModelStatus:
    """The status of one model in the window of the scope."""
    window = load.window(scope, model.name)
    found, formed = load_findings.findings_and_incidents(window)
    traffic, events = time_series.traffic_frame(window), time_series.chart_event_marks(model.name, window)
    fresh, before = tuple(load_findings.new_findings(window)), tuple(load_findings.findings_before(window))
    served = float(time_series.traffic_frame(load.previous_window(window))["n"].sum())
    return ModelStatus(model, window, tuple(found), traffic, events, fresh, formed, before, served or None)


def worst_model_first(statuses: Sequence[ModelStatus]) -> list[ModelStatus]:
    """Return the models by severity, then by the number of incidents of each severity with the largest first, then by name."""

    def order(status: ModelStatus) -> tuple[int, list[int], str]:
        shown = [incident.shown_severity for incident in status.incidents]
        return SEVERITIES.index(status.severity), [-shown.count(name) for name in SEVERITIES], status.model.name

    return sorted(statuses, key=order)


def with_records(statuses: Sequence[ModelStatus], found: Sequence[Finding]) -> tuple[list[ModelStatus], tuple[Incident, ...]]:
    """Return the statuses with the findings about records of their models, worst first; and the incidents of records that name none of
    these models. Findings about a model and about its records form incidents together, which is also the case in `check`.

    found: findings of training runs, probes, controllers and other records.
    """
    names = {status.model.name for status in statuses}
    by_model: dict[str | None, list[Finding]] = {}
    for finding in found:
        by_model.setdefault(finding.model if finding.model in names else None, []).append(finding)

    def completed(status: ModelStatus) -> ModelStatus:
        if not (own := by_model.get(status.model.name, [])):
            return status
        judged = tuple(finding for finding in own if finding.analyzer in ELSEWHERE)
        if not any(finding.needs_action for finding in own):
            return replace(status, elsewhere=judged)
        return replace(status, incidents=load_findings.incidents_of_findings([*status.findings, *own], [status.model]), elsewhere=judged)

    return worst_model_first([completed(status) for status in statuses]), load_findings.incidents_of_findings(by_model.get(None, []), ())
