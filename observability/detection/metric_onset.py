"""Since when is a metric as the finding says it is?"""

from observability.core.analyzer import Context
from observability.detection.metric_changes import Compared
from observability.detection.onset import Since, since
from observability.metrics.measured_windows import BASELINE_DAYS, LEAST_LABELS_A_DAY, Ledger, on

LABELS_A_DAY = max(20, LEAST_LABELS_A_DAY)
"""Days with fewer labels are passed over when the first bad day is sought."""
LEAST_PAST = 5
"""Days of the past from which they say what was usual; with fewer the baseline does."""
Z_WIDTH = 2 * 1.96
"""Standard errors in the width of a 95 % interval."""


def began(ledger: Ledger, metric: str, side: Compared, context: Context) -> Since:
    """The day from which a metric is changed, from the days that are measured and the month before that hold enough labels."""
    stretch = side.stretch
    first, last = int(stretch.days[0]) - BASELINE_DAYS, int(stretch.days[-1])
    asked = ledger.days[(ledger.days >= first) & (ledger.days <= last) & (ledger.labelled >= LABELS_A_DAY)]
    known = [(int(day), each) for day in asked if None not in ((each := ledger.of_day(int(day))[metric]).value, each.low, each.high)]
    now, (level, low, high) = side.now.value, (side.before.value, side.before.low, side.before.high)
    assert now is not None and level is not None and low is not None and high is not None
    past = sum(day < stretch.days[0] for day, _ in known)
    return since(
        [on(day) for day, _ in known],
        [each.value or 0.0 for _, each in known],
        [((each.high or 0.0) - (each.low or 0.0)) / Z_WIDTH for _, each in known],
        start=context.window.start,
        before=None if past >= LEAST_PAST else (level, (high - low) / Z_WIDTH),
        worse=1 if now >= level else -1,
    )
