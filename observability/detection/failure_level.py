"""Judge an error rate against a level, whatever was usual before: where half of the requests fail, no past makes it good.

Where the owner stated an availability, that is the level instead (service_levels.py).
"""

from dataclasses import replace

from observability.core import formatting
from observability.core.finding import Finding, Severity
from observability.core.settings import ModelSettings
from observability.detection.latency_changes import NAME

FAILED_ACT = 0.1
"""Error rate from which too many requests fail in any case (`serving/latency/error_rate_level`); half of it is a warning."""
ORDER = ("ok", "unknown", "watch", "act")
RANK = 10.0


def judged_by_level(finding: Finding, settings: ModelSettings) -> Finding:
    """Return the finding about a model's error rate, as severe as its level: where the whole interval lies above a limit. Other findings,
    and equally severe ones, are returned unchanged.

    A rate that the past had too is ongoing news; without a past nothing is said about news.
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
