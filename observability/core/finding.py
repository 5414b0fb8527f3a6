"""Findings: claims of analyzers, with severity, interval and evidence."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, Protocol

Severity = Literal["ok", "watch", "act", "unknown"]
State = Literal["critical", "warning", "ok", "unknown"]
News = Literal["new", "worse", "ongoing", "improving", "recovered"]
Basis = Literal["measured", "estimated", "simulated"]
Against = Literal["reference", "past", "level", "peers"]
Source = Literal["input", "label", "model", "system"]
FAILED = "The analysis failed"
"""Beginning of the sentence of a finding whose analysis failed."""
SEVERITIES: tuple[Severity, ...] = ("act", "watch", "unknown", "ok")
"""Worst first."""
KEPT_FILE = "findings.json"
"""The file in a home that stores findings between runs of the dashboard (monitoring/kept_findings.py)."""
AUDIT_STEPS = "audits/" + "?" * 24 + ".*"
"""The files in a home in which an interrupted audit stores the results of its steps, including texts of predictions
(enrichment/audit_steps.py).
"""
NEWS_UNKNOWN = "news_unknown"
"""Key of the evidence that the news of a finding that needs action are not known; its value is the reason, if the analyzer states one."""
DETAILS = "details"
"""Key of the evidence that holds further sentences about a claim, which pages show on demand."""
LEADS = "leads_incident"
"""Key of the evidence in the finding that leads its incident: the finding nearest to the source, which need not be the most severe."""
INCIDENT_NEWS = "incident_news"
"""Key of the evidence in a leading finding that holds the news of its incident; these may differ from the finding's own news."""
STATE_OF: dict[Severity, State] = {"act": "critical", "watch": "warning", "unknown": "unknown", "ok": "ok"}


@dataclass(frozen=True)
class Finding:
    """One claim of one analyzer about one subject in one window (`to_json`: its form in the data contract).

    subject: a feature's name; `sex=F`, `replica=r3`, `device=d7` for a group, replica, device; `model` for the model itself. metric: a name
    in core/metric_definitions.py. value, low, high: in the metric's unit; None only if the severity is `unknown`. n: number of rows from
    which the value is computed. limit: a number, (low, high) or None. because: one sentence with the numbers. evidence: small JSON extras
    for pages, never needed to understand the claim. rank: order among equally severe findings, larger first (not exported). news: what
    changed since before the window; None if nothing did or it is not known. acknowledged: whether a person has acted on it, so that a
    critical value only needs to be watched. proof: the SQL over the documented views that computes the value from raw rows (docs/views.md);
    None if the value is not measured, or has no such SQL (`Analyzer.proofs` gives the reason).
    """

    analyzer: str
    model: str | None
    version: str | None
    subject: str
    metric: str
    value: float | None
    n: int
    severity: Severity
    because: str
    start: datetime
    end: datetime
    against: Against
    unit: str = ""
    low: float | None = None
    high: float | None = None
    limit: float | tuple[float, float] | None = None
    basis: Basis = "measured"
    slice: str | None = None
    onset: datetime | None = None
    incident: str | None = None
    likely_source: Source | None = None
    event: dict[str, Any] | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    rank: float = 0.0
    news: News | None = None
    acknowledged: bool = False
    proof: str | None = None

    @property
    def state(self) -> State:
        """The state of the value compared with its level, regardless of how long it has been in this state and of what people did
        about it.
        """
        return "critical" if self.acknowledged and self.severity == "watch" else STATE_OF[self.severity]

    @property
    def shown_severity(self) -> Severity:
        """The severity whose word, icon and colour a page shows. It follows the state, so an acknowledged critical finding is still shown
        as critical.
        """
        return "act" if self.state == "critical" else self.severity

    @cached_property
    def id(self) -> str:
        """Identifier of the claim. It is equal for the same claim about the same window, whatever the value."""
        about = (self.analyzer, self.model, self.version, self.subject, self.metric, self.slice, self.against)
        claim = [*about, iso(self.start), iso(self.end)]
        return hashlib.sha256(json.dumps(claim).encode()).hexdigest()[:16]

    @property
    def claim(self) -> str:
        """The key of the claim: see `claim_text`."""
        return claim_text(self.analyzer, self.subject, self.metric, self.slice)

    @property
    def needs_action(self) -> bool:
        """Whether the finding needs action: severity `act` or `watch`."""
        return needs_action(self.severity)

    def revised(self, **changes: Any) -> "Finding":
        """The finding with other values of these fields, like `dataclasses.replace`, but faster: only the changed fields are set.

        This is needed because a check revises each of very many findings several times. The id is kept if none of its parts changes. Raises
        TypeError for an unknown field.
        """
        if not changes.keys() <= FIELDS:
            raise TypeError(f"a finding has no {', '.join(sorted(changes.keys() - FIELDS))}")
        made = object.__new__(Finding)
        vars(made).update(vars(self))
        if not IDENTITY.isdisjoint(changes):
            vars(made).pop("id", None)
        vars(made).update(changes)
        return made

    def to_json(self) -> dict[str, Any]:
        """The finding as the contract's JSON object (section 3)."""
        body = asdict(self)
        for private in ("rank", "start", "end", "acknowledged"):
            del body[private]
        return {
            "id": self.id,
            **body,
            "state": self.state,
            "limit": list(self.limit) if isinstance(self.limit, tuple) else self.limit,
            "window": {"start": iso(self.start), "end": iso(self.end)},
            "onset": iso(self.onset) if self.onset else None,
        }


FIELDS = frozenset(each.name for each in fields(Finding))
IDENTITY = frozenset({"analyzer", "model", "version", "subject", "metric", "slice", "against", "start", "end"})
"""The fields from which the id of a finding is made."""


class WithEvidence(Protocol):
    """A finding, or a claim about a training run: any object with `evidence`."""

    @property
    def evidence(self) -> dict[str, Any]:
        """The evidence of the claim, by name."""


def finding_details(claim: WithEvidence) -> list[str]:
    """Further sentences about a claim; empty if its main sentence says everything."""
    return [*(claim.evidence.get(DETAILS) or ()), *filter(None, [claim.evidence.get(NEWS_UNKNOWN)])]


def needs_action(severity: str | None) -> bool:
    """Whether a severity needs action: `act` or `watch`."""
    return severity in ("act", "watch")


def urgency(severity: Severity, stands: bool) -> tuple[int, bool]:
    """Sort key of incidents and agenda items, most urgent first: critical and not acknowledged; then warnings and acknowledged critical
    ones; then the rest. Within each group, new incidents come before ongoing ones (docs/decisions/0194).
    """
    return SEVERITIES.index(severity), stands


def iso(instant: datetime) -> str:
    """RFC 3339 in UTC with a Z."""
    return instant.isoformat().replace("+00:00", "Z")


def with_window_value(finding: Finding) -> Finding:
    """The finding, but with the metric's value over the whole window if the claim is only about its last days.

    `evidence["windows"]` holds the values of the 1-, 3- and 7-day windows. Severity, limit and sentence remain those of the claim.
    """
    if claim_period(finding) is None:
        return finding
    whole = max(finding.evidence["windows"], key=lambda window: window["days"])
    return finding.revised(value=whole["value"], low=whole["low"], high=whole["high"], n=whole.get("n", finding.n), proof=None)


def value_in_window(finding: Finding) -> float | None:
    """The metric's value over the whole window, the same as in `with_window_value`."""
    return finding.value if claim_period(finding) is None else max(finding.evidence["windows"], key=lambda window: window["days"])["value"]


def claim_text(analyzer: str, subject: str, metric: str, part: str | None) -> str:
    """The key of a claim, the same in any window: analyzer, subject, metric and slice (empty for all rows), joined by `|`."""
    return "|".join([analyzer, subject, metric, part or ""])


def claim_period(finding: Finding) -> str | None:
    """The part of the window that the claim is about, such as `on the last day` or `in the last 3 days`; None for all of it."""
    windows = finding.evidence.get("windows") or []
    days = finding.evidence.get("look_days")
    if days is None or not windows or days == max(window["days"] for window in windows):
        return None
    return "on the last day" if days == 1 else f"in the last {days} days"


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Findings by severity (act, watch, unknown, ok), then highest rank first, then by subject and metric."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -f.rank, f.model or "", f.analyzer, f.subject, f.metric, f.id))


def acknowledged_finding(finding: Finding) -> Finding:
    """The same claim after a person has acted on it. A critical value stays critical, but only needs to be watched."""
    return finding.revised(severity="watch", acknowledged=True) if finding.severity == "act" else finding


def news_given_before(before: bool | None) -> News | None:
    """The news of a value that is now beyond its level. before: whether it was beyond its level before the window; None if that is not
    known.
    """
    return None if before is None else "ongoing" if before else "new"


def news_of(finding: Finding) -> News | None:
    """The change since the time before the window, as stated by the analyzer or else derived from the onset; None if nothing changed or it
    is unknown.
    """
    if finding.news not in (None, "new") or not finding.needs_action:
        return finding.news
    known = finding.evidence.get("onset_known")
    if finding.evidence.get("standing"):
        return "ongoing"
    if finding.onset is not None and known not in ("vague", "open"):
        first = (finding.evidence.get("measured") or ["9999"])[0]
        return "ongoing" if finding.onset.date().isoformat() < min(first, finding.start.date().isoformat()) else "new"
    if known == "open" and finding.news is None and "standing" not in finding.evidence:
        return "ongoing"
    return finding.news or ("new" if finding.against == "past" else None)
