"""How is an estimate said, so that nobody takes it for a measurement?"""

from observability.core.metric_definitions import METRICS
from observability.detection.performance_sentences import number, shown
from observability.metrics.estimate_accuracy import Check
from observability.stats.interval import Interval

NO_REFERENCE = (
    "There is no reference, so it is not known what scores mean: register this version with held-out predictions to have estimates."
)
NO_DECISIONS = "No prediction here has both a decision and a score, so nothing can be estimated."
NOT_ESTIMATED = (
    "Errors have not been estimated for these days yet: the dashboard does it when it is idle, and the command `explain` does it at once."
)


def small_reference(rows: int) -> str:
    """That the reference is too small."""
    return f"The reference holds too few labelled predictions to tell what scores mean: it needs {rows:,} of them."


def few(metric: str, n: float, least: int) -> str:
    """That there are too few rows."""
    return f"{title(metric)} cannot be estimated on {n:,.0f} predictions: it needs about {max(round(least - n), 1):,} more."


def title(metric: str) -> str:
    """The metric's name in a sentence that has begun with Estimated."""
    return METRICS[metric].title


def lower(metric: str) -> str:
    """The metric's name inside a sentence; names of letters stay as they are."""
    name = METRICS[metric].title
    return name if name[:2].isupper() or name.startswith(("F1", "Brier")) else name[0].lower() + name[1:]


def estimate(
    metric: str, now: Interval, before: Interval | None, check: Check | None, rows: int, *, in_sample: bool, missing: float | None
) -> str:
    """The estimate, what it rests on, and how right it was."""
    said = f"Estimated {lower(metric)} {shown(metric, now)} on {rows:,} predictions"
    if missing is not None:
        said += f", {100 * missing:.0f} % of them without a label yet"
    if before is not None and before.value is not None:
        said += f"; {number(metric, before.value)} was estimated of the reference"
    if in_sample:
        said += ", whose rows the model was fitted on: such estimates flatter"
    if check is None:
        return f"{said}; no labels have come in to check it with."
    return f"{said}; {checked(check)}."


def checked(check: Check) -> str:
    """What the last labels said of the estimate."""
    return f"on the {days(check)} it said {number(check.metric, check.estimated)} where {check.n:,} labels showed {number(check.metric, check.measured)}"


def distrusted(metric: str, now: Interval, check: Check) -> str:
    """That the estimate is not to be trusted, and why."""
    assert now.value is not None
    return f"Estimated {lower(metric)} {number(metric, now.value)} is not trusted: {checked(check)}."


def error(check: Check) -> str:
    """The last measured error of an estimate."""
    how = "off by more than chance explains, so it is not trusted"
    if not check.failed:
        how = "near enough to be trusted" if check.held else "off, though not by more than days differ by chance"
    return f"The estimate of {lower(check.metric)} was {how}: {checked(check)}."


def days(check: Check) -> str:
    """Which days were checked: `14 days to 30 Jun 2013`."""
    last = f"{check.last.day} {check.last:%b %Y}"
    return f"{check.days} days to {last}" if check.days > 1 else f"day {last}"
