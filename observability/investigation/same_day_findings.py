"""What did the analyzers say of the inputs on the day of this prediction?"""

from datetime import timedelta

from observability.core.finding import Finding, needs_action
from observability.investigation.case_parts import Look
from observability.investigation.comparison_rows import midnight
from observability.investigation.evidence_types import NotGivenError
from observability.monitoring import check

ANALYZERS = ("data/quality", "serving/drift", "serving/latency")
MOST = 30


def findings(look: Look) -> tuple[Finding, ...]:
    """What needs a person in the quality and the drift of the inputs and in the service, over the case's own day, worst first."""
    row = look.row
    if row.environment == "reference":
        raise NotGivenError("this is a row of a reference, which is not judged by day")
    start = midnight(row.at)
    report = check.check(
        look.store, model=row.model.name, version=row.version.name, start=start, end=start + timedelta(days=1), as_of=look.as_of, now=look.now,
        only=ANALYZERS, with_records=False, reads="counts",
    )  # fmt: skip
    return tuple(each for each in report.findings if needs_action(each.severity))[:MOST]
