"""Findings on the inputs and the service on the day of the prediction."""

from datetime import timedelta

from observability.core.finding import Finding
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.comparison_rows import day_start
from observability.investigation.evidence_types import NotGivenError
from observability.monitoring import check

ANALYZERS = ("data/quality", "serving/drift", "serving/latency")
MAX_SAME_DAY = 30


def same_day_findings(case: CaseInProgress) -> tuple[Finding, ...]:
    """Findings on data quality, drift and latency that need action, from the day of the case, worst first."""
    row = case.row
    if row.environment == "reference":
        raise NotGivenError("rows of a reference have no daily findings")
    start = day_start(row.at)
    report = check.check(
        case.store,
        model=row.model.name,
        version=row.version.name,
        start=start,
        end=start + timedelta(days=1),
        as_of=case.as_of,
        now=case.now,
        only=ANALYZERS,
        with_records=False,
        reads="counts",
    )
    return tuple(finding for finding in report.findings if finding.needs_action)[:MAX_SAME_DAY]
