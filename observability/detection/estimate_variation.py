"""How far does an estimate stray by itself, as the mix of rows differs from day to day?

Rows of one day share their luck, so a week's estimate varies by more than its rows make it. What it is on each day of the past month says by how much.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.detection.metric_changes import MOST_REFERENCE_DAYS
from observability.metrics.estimates import Meaning, estimates, regression, with_score
from observability.metrics.measured_windows import BASELINE_DAYS, WEEK, days_in
from observability.metrics.reliability import BINS, binned
from observability.stats.dispersion import DOUBT, LEAST_DAYS, share_left, variation
from observability.stats.estimate import binary_values

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS_A_DAY = 20
"""Days with fewer rows are passed over."""
Values = dict[str, float]
Daily = dict[int, Values]
Days = dict[str, tuple[float, float]]
"""By metric, the variance that days add to a change since the reference, and the degrees of freedom of that; empty where too few days are known."""


def of_binary(known: Meaning, counts: "DataFrame") -> Daily:
    """Every metric by day, from the score bins of all rows, labelled or not."""
    usable = with_score(counts, "period")
    days, place = np.unique(days_in(usable), return_inverse=True)
    cell = (place * 2 + usable["decision"].astype(np.int64)) * BINS + usable["score_bin"].astype(np.int64)
    rows = binned(cell, usable["w"].astype(np.float64), days.size * 2 * BINS).reshape(days.size, 2, BINS)
    kept = rows.sum(axis=(1, 2)) >= ROWS_A_DAY
    found = binary_values(rows[kept], rows[kept] * known.event.rates)
    return {day: {name: float(values[place]) for name, values in found.items()} for place, day in enumerate(days[kept].tolist())}


def of_classes(known: Meaning, counts: "DataFrame", classes: "DataFrame") -> Daily:
    """The same of a multiclass model."""
    of_counts, of_classes = days_in(counts), days_in(classes)
    found = {}
    for day in np.unique(of_counts):
        mine = counts[of_counts == day]
        if mine["n"].sum() >= ROWS_A_DAY:
            found[int(day)] = values_of(
                {name: each.interval.value for name, each in estimates(known, mine, classes[of_classes == day]).items()}
            )
    return found


def of_errors(rows: "DataFrame", spread: Mapping[str, float]) -> Daily:
    """The same of a regression, on its sample."""
    of = days_in(rows)
    found = {}
    for day in np.unique(of):
        figures, _ = regression(rows[of == day], dict(spread), 0.0)
        if figures and max(each.interval.n for each in figures.values()) >= ROWS_A_DAY:
            found[int(day)] = values_of({name: each.interval.value for name, each in figures.items()})
    return found


def values_of(found: Mapping[str, float | None]) -> Values:
    """What is known."""
    return {name: value for name, value in found.items() if value is not None}


def strays(past: Daily, window_days: int, rows_a_day: float, reference_rows: float) -> Days:
    """What days add to the change of each metric since the reference, which is stored without times and taken to span its rows at the traffic of a usual day."""
    reference_days = float(np.clip(reference_rows / rows_a_day, WEEK, MOST_REFERENCE_DAYS)) if rows_a_day > 0 else float(WEEK)
    days = np.array(sorted(past)[-BASELINE_DAYS:], np.int64)
    found = {}
    for metric in {name for day in days.tolist() for name in past[day]}:
        values: NDArray[np.float64] = np.array([past[day].get(metric, np.nan) for day in days.tolist()])
        if np.isfinite(values).sum() < LEAST_DAYS:
            continue
        known = variation(values, np.zeros(days.size), days)
        share = share_left(window_days, known.correlation) + share_left(reference_days, known.correlation)
        found[metric] = (float(known.between[0]) * share, known.freedom)
    return found


def doubted(error: float) -> tuple[float, float]:
    """What days are taken to add where too few are known: as much as the rows do."""
    return DOUBT * error**2, float("inf")
