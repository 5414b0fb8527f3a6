"""Whether the value of a finding is beyond its limit, on the bad side."""

from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS


def beyond_limit(finding: Finding) -> bool:
    """Whether a finding's value is on the bad side of its limit.

    For a range, the bad side is outside it. For a single limit, it is the side away from the finding's baseline or, without a baseline, the
    side on which the metric is worse. A finding without a value or a limit is never beyond it; nor is a finding with a single limit and
    without a baseline, if its metric has no direction.
    """
    if finding.value is None or finding.limit is None:
        return False
    if isinstance(finding.limit, tuple):
        return not finding.limit[0] <= finding.value <= finding.limit[1]
    baseline = finding.evidence.get("baseline")
    if isinstance(baseline, int | float) and baseline != finding.limit:
        return finding.value >= finding.limit if finding.limit > baseline else finding.value <= finding.limit
    better = METRICS[finding.metric].better
    return finding.value > finding.limit if better == "low" else finding.value < finding.limit if better == "high" else False
