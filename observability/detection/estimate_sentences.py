"""Sentences about performance estimates, always marked as estimates."""

from observability.core.metric_definitions import METRICS
from observability.detection.performance_sentences import metric_number, metric_with_interval
from observability.metrics.estimate_accuracy import EstimateCheck
from observability.stats.interval import Interval

NO_REFERENCE = "There is no reference, so performance cannot be estimated: register this version with held-out predictions."
NO_DECISIONS = "No prediction here has both a decision and a score, so nothing can be estimated."
NOT_ESTIMATED = (
    "Errors have not been estimated for these days yet: the dashboard does it when it is idle, and the command `explain` does it at once."
)


def small_reference(rows: int) -> str:
    """Return that the reference is too small."""
    return f"The reference holds too few labelled predictions to calibrate scores: it needs {rows:,} of them."


def few(metric: str, n: float, least: int) -> str:
    """Return that there are too few rows."""
    return f"{estimate_title(metric)} cannot be estimated on {n:,.0f} predictions: it needs about {max(round(least - n), 1):,} more."


def estimate_title(metric: str) -> str:
    """Return the metric's name as it stands at the start of a sentence."""
    return METRICS[metric].title


def lower(metric: str) -> str:
    """Return the metric's name inside a sentence; names of letters stay as they are."""
    name = METRICS[metric].title
    return name if name[:2].isupper() or name.startswith(("F1", "Brier")) else name[0].lower() + name[1:]


def estimate(
    metric: str, now: Interval, before: Interval | None, check: EstimateCheck | None, rows: int, *, in_sample: bool, missing: float | None
) -> str:
    """Return the estimate, its data, and its last measured error."""
    said = f"Estimated {lower(metric)} {metric_with_interval(metric, now)} on {rows:,} predictions"
    if missing is not None:
        said += f", {100 * missing:.0f} % of them without a label yet"
    if before is not None and before.value is not None:
        said += f"; {metric_number(metric, before.value)} was estimated of the reference"
    if in_sample:
        said += ", on which the model was fitted: such estimates are optimistic"
    if check is None:
        return f"{said}; no labels have come in to check it with."
    return f"{said}; {checked(check)}."


def checked(check: EstimateCheck) -> str:
    """Return the estimate beside the value measured on the last labels."""
    return (
        f"on the {days(check)} it was {metric_number(check.metric, check.estimated)} where {check.n:,} labels showed "
        f"{metric_number(check.metric, check.measured)}"
    )


def distrusted(metric: str, now: Interval, check: EstimateCheck) -> str:
    """Return that the estimate is not to be trusted, and why."""
    assert now.value is not None
    return f"Estimated {lower(metric)} {metric_number(metric, now.value)} is not trusted: {checked(check)}."


def error_sentence(check: EstimateCheck) -> str:
    """Return the last measured error of an estimate."""
    how = "significantly off, so it is not trusted"
    if not check.failed:
        how = "accurate" if check.held else "off, within the variation of days"
    return f"The estimate of {lower(check.metric)} was {how}: {checked(check)}."


def days(check: EstimateCheck) -> str:
    """Return which days were checked: `14 days to 30 Jun 2013`."""
    last = f"{check.last.day} {check.last:%b %Y}"
    return f"{check.days} days to {last}" if check.days > 1 else f"day {last}"
