"""Judges an error rate by a fixed limit, regardless of the past: if half of the requests fail, this is a fault even if it was always so.

If the owner sets an availability objective, it replaces this limit (service_levels.py).
"""

from dataclasses import replace

from observability.core import formatting
from observability.core.finding import Finding, Severity
from observability.core.settings import ModelSettings
from observability.detection.latency_changes import NAME

FAILED_ACT = 0.1
"""An error rate above this is `act` in any case (`serving/latency/error_rate_level`); half of it is `watch`."""
ORDER = ("ok", "unknown", "watch", "act")
RANK = 10.0


def judged_by_level(finding: Finding, settings: ModelSettings) -> Finding:
    """Return the finding about a model's error rate with the severity that the fixed limit gives: the limit is exceeded if the whole
    interval is above it. Other findings, and findings that already have at least this severity, are returned unchanged.

    If the past had such a rate too, the finding counts as ongoing. Without a past, it is not stated whether it is new.
    """
    if (
        finding.subject != "model"
        or finding.metric != "error_rate"
        or finding.low is None
        or settings.service_level_availability is not None
    ):
        return finding
    act = settings.limits.get(f"{NAME}/error_rate_level", FAILED_ACT)
    watch = act / 2
    severity: Severity = "act" if finding.low > act else "watch"
    limit = act if severity == "act" else watch
    if finding.low <= watch or ORDER.index(severity) <= ORDER.index(finding.severity):
        return finding
    said = f"{finding.because} The limit is {formatting.format_share(limit)}, whatever the baseline."
    return replace(
        finding,
        severity=severity,
        because=said,
        limit=limit,
        against="level",
        news="ongoing" if finding.severity == "ok" else finding.news,
        likely_source="system",
        rank=RANK,
        evidence=finding.evidence | ({"standing": True} if finding.severity == "ok" else {}),
    )
