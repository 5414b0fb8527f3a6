"""How alike are groups treated by the criterion of each model, and what did audits of robustness, membership and precision find lately?"""

from collections.abc import Iterable, Sequence
from typing import Any

from observability.core.finding import Finding, iso
from observability.core.time import aware_utc

Body = dict[str, Any]
ANALYZER = "trust/fairness"
MOST = 8
"""Results of an audit that a frozen week keeps, by name."""


def criteria(findings: Sequence[Finding]) -> Body:
    """rows: what was found of each sensitive attribute by the model's criterion, the worst first; small: groups that are too small to be judged."""
    found = [each for each in findings if each.analyzer == ANALYZER and "=" not in each.subject and "criterion" in each.evidence]
    small = [each for each in findings if each.analyzer == ANALYZER and "=" in each.subject and each.severity == "unknown"]
    return {
        "rows": [
            {
                "attribute": each.subject, "version": each.version, "metric": each.metric, "unit": each.unit, "value": each.value, "low": each.low, "high": each.high,
                "n": each.n, "limit": each.limit, "severity": each.severity, "because": each.because,
            }
            for each in found
        ],
        "small": len(small),
    }  # fmt: skip


def audits(records: Iterable[Body]) -> list[Body]:
    """The newest audit of each kind of each version, with what the one before it found. records: audits that were known, oldest first."""
    newest: dict[tuple[str, str, str], list[Body]] = {}
    for each in records:
        newest.setdefault((each["model"], each["version"], each["audit"]), []).append(each)
    made = []
    for (model, version, audit), several in sorted(newest.items()):
        last, before = several[-1], several[-2] if len(several) > 1 else None
        made.append({
            "model": model, "version": version, "audit": audit, "at": iso(aware_utc(last["at"])),
            "expires": None if missing(last["expires"]) else iso(aware_utc(last["expires"])),
            "results": numbers(last), "before": None if before is None else numbers(before),
        })  # fmt: skip
    return made


def numbers(audit: Body) -> dict[str, float]:
    """The results that are numbers, by name."""
    results = audit["results"] if isinstance(audit["results"], dict) else {}
    kept = {
        str(name): float(value) for name, value in sorted(results.items()) if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return dict(list(kept.items())[:MOST])


def missing(value: Any) -> bool:
    """Whether a stored time is none."""
    return value is None or value != value
