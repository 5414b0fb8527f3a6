"""Sentences about a measured metric: its name, its value with or without interval, and the rows on which it was measured."""

import math

from observability.core.metric_definitions import LABEL_UNIT, METRICS
from observability.core.numerals import change_in_words
from observability.stats.interval import Interval

PARTS = {"precision": "predicted positives", "recall": "positives", "pr_auc": "positives"}
"""Metrics of a binary model that depend on one kind of labelled predictions only, with words for this kind."""
FINE = 0.0005
"""If the error of a change is smaller than this, the change is given to a tenth of a point."""


def metric_name(metric: str) -> str:
    """Return the metric's name in words."""
    return METRICS[metric].title


def metric_number(metric: str, value: float) -> str:
    """Return a value as text: shares in per cent, other values with three significant digits."""
    return f"{100 * value:.1f} %" if METRICS[metric].unit == "share" else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def metric_with_interval(metric: str, value: Interval, of_label: str | None = None) -> str:
    """Return a value with its interval. of_label: the unit of the label; it is added if the metric has the unit of the label."""
    assert value.value is not None
    unit = f" {of_label}" if of_label and METRICS[metric].unit == LABEL_UNIT else ""
    if value.low is None or value.high is None:
        return f"{metric_number(metric, value.value)}{unit}"
    return f"{metric_number(metric, value.value)}{unit} ({metric_number(metric, value.low)} to {metric_number(metric, value.high)})"


def rows_measured(metric: str, now: Interval, labelled: int) -> int:
    """Return the number of predictions on which a metric is measured, at most `labelled`.

    The maximum is needed because the n of a macro average counts a prediction once for each class. The n of an F1 does not count true
    negatives.
    """
    return labelled if metric == "f1" else min(round(now.n), labelled)


def measured_on(metric: str, now: Interval, labelled: int, *, binary: bool, weighted: bool) -> str:
    """Return words for the rows on which a metric was measured: the labelled predictions of its window, and the kind of them on which the
    metric depends.
    """
    rows, part = rows_measured(metric, now, labelled), PARTS.get(metric) if binary else None
    of = f"{labelled:,} labelled predictions"
    if weighted:
        return of if rows >= labelled else f"{of} (effective sample size {rows:,}{f' {part}' if part else ''})"
    if part:
        return f"{rows:,} {part} of {of}"
    return of if rows >= labelled else f"{rows:,} of {of}"


def bin_error_words(error: float) -> str:
    """Return words for how far a metric computed from score bins can be from the metric of the rows, including rounding to three digits."""
    if not error > 0:
        return ""
    return f" from score bins, within {math.ceil(1000 * error + 0.5) / 1000:.3f} of that of the rows,"


def points_difference(change: float, error: float) -> str:
    """Return words for a change in points, as precise as the bin error of both sides allows."""
    if error > 0 and abs(change) <= error:
        return "no change beyond the error of bins"
    if error >= FINE:
        return f"about {change_in_words(100 * change, 'points').removeprefix('about ')}"
    return change_in_words(100 * change, "points", 1)


def labels_needed(metric: str, now: Interval, labelled: int, least: int, *, binary: bool) -> str:
    """Return a sentence that states how many more labels a metric needs if they are like the present ones, and how many predictions are
    labelled.
    """
    more = (least / now.n - 1) * labelled if now.n > 0 else least
    part = PARTS.get(metric) if binary else None
    some = f", {rows_measured(metric, now, labelled):,} of them {part}" if part else ""
    return f"{metric_name(metric)} needs about {max(round(more), 1):,} more labels; {labelled:,} predictions are labelled{some}."
