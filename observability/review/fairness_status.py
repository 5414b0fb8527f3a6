"""Fairness of each model by its criterion, and the newest audits of robustness, membership inference and precision."""

from collections.abc import Iterable, Sequence
from typing import Any

from observability.core.finding import Finding, iso
from observability.core.time import aware_utc
from observability.detection.audit_history import audits_for_schedule, flat_numbers

Body = dict[str, Any]
ANALYZER = "trust/fairness"
MAX_AUDIT_RESULTS = 8
"""Maximum number of results of an audit that a frozen week keeps, in order of name."""


def criteria_status(findings: Sequence[Finding]) -> Body:
    """rows: findings on each sensitive attribute by the model's own criterion, worst first; small: number of groups with too few rows."""
    found = [finding for finding in findings if finding.analyzer == ANALYZER]
    criterion = [finding for finding in found if "=" not in finding.subject and "criterion" in finding.evidence]
    small = [finding for finding in found if "=" in finding.subject and finding.severity == "unknown"]
    names = ("version", "metric", "unit", "value", "low", "high", "n", "limit", "severity", "because")
    rows = [{"attribute": finding.subject, **{name: getattr(finding, name) for name in names}} for finding in criterion]
    return {"rows": rows, "small": len(small)}


def newest_audits(records: Iterable[Body]) -> list[Body]:
    """The newest audit of each kind and version, with the intervals of its results and with the results of the audit before it. records:
    known audits, oldest first.
    """
    newest: dict[tuple[str, str, str], list[Body]] = {}
    for record in records:
        newest.setdefault((record["model"], record["version"], record["audit"]), []).append(record)
    made = []
    for (model, version, audit), several in sorted(newest.items()):
        last, before = several[-1], several[-2] if len(several) > 1 else None
        expires = None if is_missing_time(last["expires"]) else iso(aware_utc(last["expires"]))
        head: Body = {"model": model, "version": version, "audit": audit, "at": iso(aware_utc(last["at"])), "expires": expires}
        kept = numeric_results(last)
        more = len(flat_numbers(summary_results(last))) - len(kept)
        intervals = {name: ends for name, ends in headline_intervals(last).items() if name in kept}
        earlier = None if before is None else numeric_results(before)
        made.append(head | {"results": kept, "intervals": intervals, "more": more, "before": earlier})
    return made


def numeric_results(audit: Body) -> dict[str, float]:
    """The first MAX_AUDIT_RESULTS numeric results by name. Nested results are named by their path, such as `linf/0.1`."""
    return dict(sorted(flat_numbers(summary_results(audit)).items())[:MAX_AUDIT_RESULTS])


def headline_intervals(audit: Body) -> dict[str, list[float]]:
    """For each result of an audit that has an interval (the headline and further figures), the lower and upper end, by metric."""
    known = [stored for each in audits_for_schedule([audit]) for stored in (each, *each.further)]
    return {str(each.metric): [each.low, each.high] for each in known if each.low is not None and each.high is not None}


def summary_results(audit: Body) -> Body:
    """The results that summarise an audit: its `summary`, or all results if it has none."""
    results: Body = audit["results"]
    return results["summary"] if isinstance(results.get("summary"), dict) else results


def is_missing_time(value: Any) -> bool:
    """Whether a stored time is missing (None or NaT)."""
    return value is None or value != value
