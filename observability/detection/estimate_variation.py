"""Estimates how much performance estimates vary naturally from day to day.

The rows of a day are correlated, so the estimate for a week varies more than its number of rows implies. The variance between days is taken
from the estimates for each day of the past month.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.detection.windows import reference_days
from observability.metrics.estimates import ScoreCalibration, columns_with_score, estimate_metrics, estimate_regression
from observability.metrics.measured_windows import BASELINE_DAYS, days_in
from observability.metrics.reliability import BINS, sum_by_score_bin
from observability.stats.dispersion import MIN_DAYS, PRIOR_EFFECT, estimate_day_variation
from observability.stats.estimate import binary_metric_values

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS_A_DAY = 20
"""Days with fewer rows are left out."""
Values = dict[str, float]
Daily = dict[int, Values]
Days = dict[str, tuple[float, float]]
"""For each metric, the variance between days of a change since the reference, and its degrees of freedom; empty if too few days are
known.
"""


def of_binary(known: ScoreCalibration, counts: "DataFrame") -> Daily:
    """Return every metric by day, computed from the score bins of all rows, whether or not they are labelled."""
    usable = columns_with_score(counts, "period")
    days, place = np.unique(days_in(usable), return_inverse=True)
    cell = (place * 2 + usable["decision"].astype(np.int64)) * BINS + usable["score_bin"].astype(np.int64)
    rows = sum_by_score_bin(cell, usable["w"].astype(np.float64), days.size * 2 * BINS).reshape(days.size, 2, BINS)
    kept = rows.sum(axis=(1, 2)) >= ROWS_A_DAY
    found = binary_metric_values(rows[kept], rows[kept] * known.event.rates)
    return {day: {name: float(values[place]) for name, values in found.items()} for place, day in enumerate(days[kept].tolist())}


def of_classes(known: ScoreCalibration, counts: "DataFrame", classes: "DataFrame") -> Daily:
    """Return every metric of a multiclass model by day."""
    of_counts, of_classes = days_in(counts), days_in(classes)
    found = {}
    for day in np.unique(of_counts):
        mine = counts[of_counts == day]
        if mine["n"].sum() >= ROWS_A_DAY:
            found[int(day)] = known_values(
                {name: each.interval.value for name, each in estimate_metrics(known, mine, classes[of_classes == day]).items()}
            )
    return found


def of_errors(rows: "DataFrame", spread: Mapping[str, float]) -> Daily:
    """Return every metric of a regression by day, computed from its sampled rows."""
    of = days_in(rows)
    found = {}
    for day in np.unique(of):
        figures, _ = estimate_regression(rows[of == day], dict(spread), 0.0)
        if figures and max(each.interval.n for each in figures.values()) >= ROWS_A_DAY:
            found[int(day)] = known_values({name: each.interval.value for name, each in figures.items()})
    return found


def known_values(found: Mapping[str, float | None]) -> Values:
    """Return the values that are known."""
    return {name: value for name, value in found.items() if value is not None}


def estimate_day_variances(past: Daily, window_days: int, rows_a_day: float, reference_rows: float) -> Days:
    """Return, for each metric, the variance between days of the change since the reference.

    The reference is stored without times. It is assumed to span as many days as its rows need at usual traffic.
    """
    other_days = reference_days(reference_rows, rows_a_day)
    days = np.array(sorted(past)[-BASELINE_DAYS:], np.int64)
    found = {}
    for metric in {name for day in days.tolist() for name in past[day]}:
        values: NDArray[np.float64] = np.array([past[day].get(metric, np.nan) for day in days.tolist()])
        if np.isfinite(values).sum() < MIN_DAYS:
            continue
        known = estimate_day_variation(values, np.zeros(days.size), days)
        found[metric] = (float((known.of_mean(window_days) + known.of_mean(other_days))[0]), known.freedom)
    return found


def assumed_variance(error: float) -> tuple[float, float]:
    """Return the variance between days that is assumed if too few days are known; it is derived from the variance of the rows."""
    return PRIOR_EFFECT * error**2, float("inf")
