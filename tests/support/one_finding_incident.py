"""An incident that consists of one finding."""

from datetime import timedelta

from observability.core.finding import Finding
from observability.incidents.grouping import Incident, group_findings
from tests.support.dashboard_world import END


def of_one(model: str, because: str) -> Incident:
    """The incident that consists of one finding of a model."""
    found = Finding(
        analyzer="data/quality", model=model, version="1", subject="wind", metric="null_rate", value=0.85, n=1819, severity="watch",
        because=because, start=END - timedelta(days=7), end=END, against="reference",
    )  # fmt: skip
    return group_findings([found], {})[1][0]
