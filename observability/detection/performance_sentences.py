"""Sentences about a measured metric: its name, its value with and without an interval, and the rows on which it was measured."""

import math

from observability.core.metric_definitions import LABEL_UNIT, METRICS
from observability.core.numerals import change_in_words
from observability.stats.interval import Interval

PARTS = {"precision": "predicted positives", "recall": "positives", "pr_auc": "positives"}
"""Metrics of a binary model that depend on one kind of labelled predictions, with this kind in words."""
FINE = 0.0005
"""Error of a change below which the change is stated to a tenth of a point."""


def metric_name(metric: str) -> str:
    """Return the metric's name in words."""
    return METRICS[metric].title


def metric_number(metric: str, value: float) -> str:
    """Return a value as text: shares in per cent, others with three digits."""
    return f"{100 * value:.1f} %" if METRICS[metric].unit == "share" else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def metric_with_interval(metric: str, value: Interval, of_label: str | None = None) -> str:
    """Return a value with its interval. of_label: the unit of the label, which follows a value that is measured in it."""
    assert value.value is not None
    unit = f" {of_label}" if of_label and METRICS[metric].unit == LABEL_UNIT else ""
    if value.low is None or value.high is None:
        return f"{metric_number(metric, value.value)}{unit}"
    return f"{metric_number(metric, value.value)}{unit} ({metric_number(metric, value.low)} to {metric_number(metric, value.high)})"


def rows_measured(metric: str, now: Interval, labelled: int) -> int:
    """Return the number of predictions that a metric is measured on, at most `labelled`.

    This limit is needed because the n of a macro average counts a prediction once for each class. The n of an F1 leaves out true
    negatives.
    """
    return labelled if metric == "f1" else min(round(now.n), labelled)


def measured_on(metric: str, now: Interval, labelled: int, *, binary: bool, weighted: bool) -> str:
    """Return words on what a metric was measured on: the labelled predictions of its window, and the kind of them that determines the
    metric.
    """
    rows, part = rows_measured(metric, now, labelled), PARTS.get(metric) if binary else None
    of = f"{labelled:,} labelled predictions"
    if weighted:
        return of if rows >= labelled else f"{of} (effective sample size {rows:,}{f' {part}' if part else ''})"
    if part:
        return f"{rows:,} {part} of {of}"
    return of if rows >= labelled else f"{rows:,} of {of}"


def bin_error_words(error: float) -> str:
    """Return in words how far a metric that comes from score bins can be from the metric of the rows, including its rounding to three
    digits.
    """
    if not error > 0:
        return ""
    return f" from score bins, within {math.ceil(1000 * error + 0.5) / 1000:.3f} of that of the rows,"


def points_difference(change: float, error: float) -> str:
    """Return a change in points, as fine as the error of bins on both sides allows."""
    if error > 0 and abs(change) <= error:
        return "no change beyond the error of bins"
    if error >= FINE:
        return f"about {change_in_words(100 * change, 'points').removeprefix('about ')}"
    return change_in_words(100 * change, "points", 1)


def labels_needed(metric: str, now: Interval, labelled: int, least: int, *, binary: bool) -> str:
    """Return how many more labels a metric needs, if they are like the present ones, and how many predictions are labelled."""
    more = (least / now.n - 1) * labelled if now.n > 0 else least
    part = PARTS.get(metric) if binary else None
    some = f", {rows_measured(metric, now, labelled):,} of them {part}" if part else ""
    return f"{metric_name(metric)} needs about {max(round(more), 1):,} more labels; {labelled:,} predictions are labelled{some}."
