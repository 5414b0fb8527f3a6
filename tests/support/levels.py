"""Is the value of a finding beyond its limit, on the bad side of it?"""

from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS


def beyond_limit(finding: Finding) -> bool:
    """Whether a finding's value is on the bad side of its limit.

    The bad side of a range is outside. That of one number is the side away from the baseline, where the finding has a baseline, else the
    metric's worse side. A value without a limit, or of a metric without a direction, is beyond nothing.
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
