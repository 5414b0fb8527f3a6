"""Findings: claims of analyzers, with severity, interval and evidence."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

Severity = Literal["ok", "watch", "act", "unknown"]
Basis = Literal["measured", "estimated", "simulated"]
Against = Literal["reference", "past", "level", "peers"]
Source = Literal["input", "label", "model", "system"]
SEVERITIES: tuple[Severity, ...] = ("act", "watch", "unknown", "ok")
"""Worst first."""


@dataclass(frozen=True)
class Finding:
    """One claim of one analyzer about one subject in one window (`to_json`: the contract's form).

    subject: a feature's name; `sex=F`, `replica=r3`, `device=d7` for a group, replica, device; `model` for the model itself.
    metric: a name in core/metric_definitions.py. value, low, high: in the metric's unit; None only when the severity is unknown.
    n: rows behind the value. limit: its limit, a number, (low, high) or None. because: one sentence with the numbers.
    evidence: small JSON extras for pages, never needed to understand the claim. rank: order among equals, larger first (not exported).
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

    @property
    def id(self) -> str:
        """Identifier of the claim: equal for the same claim about the same window, whatever its value."""
        about = (self.analyzer, self.model, self.version, self.subject, self.metric, self.slice, self.against)
        claim = [*about, iso(self.start), iso(self.end)]
        return hashlib.sha256(json.dumps(claim).encode()).hexdigest()[:16]

    @property
    def needs_action(self) -> bool:
        """Whether the finding asks something of people: act or watch."""
        return needs_action(self.severity)

    def to_json(self) -> dict[str, Any]:
        """The finding as the contract's JSON object (section 3)."""
        body = asdict(self)
        for private in ("rank", "start", "end"):
            del body[private]
        return {
            "id": self.id,
            **body,
            "limit": list(self.limit) if isinstance(self.limit, tuple) else self.limit,
            "window": {"start": iso(self.start), "end": iso(self.end)},
            "onset": iso(self.onset) if self.onset else None,
        }


def needs_action(severity: str | None) -> bool:
    """Whether a severity asks something of people: act or watch."""
    return severity in ("act", "watch")


def iso(instant: datetime) -> str:
    """RFC 3339 in UTC with a Z."""
    return instant.isoformat().replace("+00:00", "Z")


def with_window_value(finding: Finding) -> Finding:
    """The finding with the metric's value over the whole window, where the claim is about its last days only.

    `evidence["windows"]` holds the values of the 1-, 3- and 7-day windows. Severity, limit and sentence stay those of the claim.
    """
    if claim_period(finding) is None:
        return finding
    whole = max(finding.evidence["windows"], key=lambda window: window["days"])
    return replace(finding, value=whole["value"], low=whole["low"], high=whole["high"], n=whole.get("n", finding.n))


def claim_period(finding: Finding) -> str | None:
    """The part of the window that the claim is about, as `on the last day`, `in the last 3 days`; None for all of it."""
    windows = finding.evidence.get("windows") or []
    days = finding.evidence.get("look_days")
    if days is None or not windows or days == max(window["days"] for window in windows):
        return None
    return "on the last day" if days == 1 else f"in the last {days} days"


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Findings by severity (act, watch, unknown, ok), then highest rank first, then by subject and metric."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -f.rank, f.model or "", f.analyzer, f.subject, f.metric, f.id))


def with_severity(finding: Finding, severity: Severity, because: str) -> Finding:
    """The same claim with another severity and its reason."""
    return replace(finding, severity=severity, because=because)
