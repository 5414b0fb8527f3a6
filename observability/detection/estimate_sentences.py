"""Sentences about performance estimates, always marked as estimates."""

from observability.core.metric_definitions import METRICS
from observability.detection.extrapolation import FarInput, far_inputs_in_words
from observability.detection.performance_sentences import metric_number, metric_with_interval
from observability.metrics.estimate_accuracy import EstimateCheck
from observability.metrics.metric_limits import LIMITS
from observability.stats.interval import Interval

NO_REFERENCE = "There is no reference, so performance cannot be estimated: register this version with held-out predictions."
NO_DECISIONS = "No prediction here has both a decision and a score, so nothing can be estimated."
NOT_ESTIMATED = (
    "Errors have not been estimated for these days yet: the dashboard does it when it is idle, and the command `explain` does it at once."
)


def small_reference(rows: int) -> str:
    """Return the sentence that the reference is too small."""
    return f"The reference holds too few labelled predictions to calibrate scores: it needs {rows:,} of them."


def too_few_rows_sentence(metric: str, n: float, least: int) -> str:
    """Return the sentence that there are too few rows."""
    return f"{estimate_title(metric)} cannot be estimated on {n:,.0f} predictions: it needs about {max(round(least - n), 1):,} more."


def estimate_title(metric: str) -> str:
    """Return the metric's name for the start of a sentence."""
    return METRICS[metric].title


def metric_name_mid_sentence(metric: str) -> str:
    """Return the metric's name for the inside of a sentence; names that start with capitals, such as ROC, are not changed."""
    name = METRICS[metric].title
    return name if name[:2].isupper() or name.startswith(("F1", "Brier")) else name[0].lower() + name[1:]


def estimate_sentence(
    metric: str,
    now: Interval,
    before: Interval | None,
    check: EstimateCheck | None,
    rows: int,
    *,
    in_sample: bool,
    missing: float | None,
    open_fall: bool,
) -> str:
    """Return a sentence with the estimate, the data behind it, and its last measured error.

    missing: share of rows without a label; None if most labels have arrived. open_fall: whether the decrease is beyond its limit but not
    significant.
    """
    said = f"Estimated {metric_name_mid_sentence(metric)} {metric_with_interval(metric, now)} on {rows:,} predictions"
    if missing is not None:
        said += f", {100 * missing:.0f} % of them without a label yet"
    if before is not None and before.value is not None:
        said += f"; on the reference the estimate was {metric_number(metric, before.value)}"
    if open_fall and now.low is not None:
        said += ", a change that is not significant" if missing is not None else "; most labels have arrived, so the measurement decides"
    if in_sample:
        said += ", on which the model was fitted: such estimates are optimistic"
    if check is None:
        return f"{said}; no labels have arrived to check it with."
    return f"{said}; {checked_sentence(check)}."


def checked_sentence(check: EstimateCheck) -> str:
    """Return a clause that compares an earlier estimate with the value that labels then showed."""
    return (
        f"on the {checked_days(check)} it was {metric_number(check.metric, check.estimated)} where {check.n:,} labels showed "
        f"{metric_number(check.metric, check.measured)}"
    )


def distrusted_sentence(metric: str, now: Interval, check: EstimateCheck) -> str:
    """Return a sentence that the estimate is unreliable, and why. check: the check of this metric, or of the main metric."""
    assert now.value is not None
    said = f"Estimated {metric_name_mid_sentence(metric)} {metric_number(metric, now.value)} is not trusted"
    if check.metric != metric:
        said += f", because the estimate of {metric_name_mid_sentence(check.metric)} is not"
    return f"{said}: {checked_sentence(check)}."


def extrapolation_sentence(
    metric: str, now: Interval, far: list[FarInput], fall: float, needed: int | None, labelled: int, served: int
) -> str:
    """Return a sentence that the estimate extrapolates: because of which inputs, and how many labels would be needed to decide.

    fall: the decrease that this many labels would detect, in points or relative. labelled, served: number of predictions in the window.
    """
    assert now.value is not None
    value = f"{metric_name_mid_sentence(metric)} {metric_number(metric, now.value)}"
    said = f"Estimated {value} extrapolates: {far_inputs_in_words(far)} far from the reference"
    if needed is None:
        return f"{said}. Labels of this window would tell whether it holds."
    by = f"{100 * fall:.3g} points" if LIMITS[metric][0] == "points" else f"{100 * fall:.3g} %"
    direction = "fall" if METRICS[metric].better == "high" else "rise"
    have = f"; {labelled:,} of {served:,} predictions are labelled" if needed <= served else f"; the window has {served:,} predictions"
    return f"{said}. A {direction} of {by} cannot be ruled out: it needs about {rounded_labels(needed):,} labels of this window{have}."


def rounded_labels(needed: int) -> int:
    """Return a number of labels rounded up to two significant digits, at least 10."""
    step = 10 ** max(len(str(needed)) - 2, 1)
    return -(-needed // step) * step


def error_sentence(check: EstimateCheck) -> str:
    """Return a sentence about the last measured error of an estimate."""
    how = "significantly off, so it is not trusted"
    if not check.failed:
        how = "accurate" if check.held else "off, within the variation of days"
    return f"The estimate of {metric_name_mid_sentence(check.metric)} was {how}: {checked_sentence(check)}."


def checked_days(check: EstimateCheck) -> str:
    """Return words for the days that were checked, such as `14 days to 30 Jun 2013`."""
    last = f"{check.last.day} {check.last:%b %Y}"
    return f"{check.days} days to {last}" if check.days > 1 else f"day {last}"
