"""Dates the drift of a column: its onset, and the day since which its distribution has been beyond a limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.detection.days_beyond import days_beyond_of_series
from observability.detection.distribution_changes import ColumnDrift, DistributionChange
from observability.detection.onset import OnsetEstimate, estimate_onsets
from observability.detection.windows import Floats
from observability.stats import distance
from observability.stats.dispersion import MIN_DAYS

MIN_SHARE = 1e-3
"""Minimum share of a group in the estimate of the onset, so that a group that was empty before does not decide alone."""


@dataclass(frozen=True)
class DriftSeries:
    """The drift of a column by day in one direction, over past and window.

    numbers: days since 1970, rising. values, errors: the mean of a weight over the rows of each day, and its standard error. level,
    level_error: the same mean in the reference, and its standard error.
    """

    numbers: NDArray[np.int64]
    values: Floats
    errors: Floats
    level: float
    level_error: float


def drift_series(drift: ColumnDrift, at: DistributionChange, weights: Floats | None = None) -> DriftSeries:
    """Return the daily series that separates the two distributions best.

    It is the mean of log(now / reference) over the rows of each day, by the groups of the PSI; the window's mean minus the reference's mean
    then equals the PSI. If weights are given, it is the mean of these weights.
    """
    reference, after = (np.maximum(counts / counts.sum(), MIN_SHARE) for counts in at.groups)
    weights = np.log(after / reference) if weights is None else weights
    sides = [side for side in (drift.past, drift.days) if side is not None]
    counts = np.concatenate([distance.merge_bins(side.counts, drift.axis.group) for side in sides])
    w, w2, numbers = (np.concatenate([getattr(side, name) for side in sides]) for name in ("w", "w2", "numbers"))
    spread = [float(side @ weights**2 - (side @ weights) ** 2) for side in (reference / reference.sum(), after / after.sum())]
    with np.errstate(invalid="ignore", divide="ignore"):
        values, errors = counts @ weights / w, np.sqrt(max(spread) * w2 / w**2)
    level = float(reference @ weights / reference.sum())
    return DriftSeries(numbers, values, errors, level, float(np.sqrt(spread[0] / max(drift.before.n, 1.0))))


def drift_onset(drift: ColumnDrift, at: DistributionChange, start: datetime, weights: Floats | None = None) -> OnsetEstimate:
    """Estimate, from `drift_series`, the date on which the drift of a column began, for one of its windows.

    The natural effect of a single day (such as one weekday) does not count as a change.
    """
    return drift_onsets([(drift, at)], start, None if weights is None else [weights])[0]


def drift_onsets(
    drifts: Sequence[tuple[ColumnDrift, DistributionChange]], start: datetime, weights: Sequence[Floats] | None = None
) -> list[OnsetEstimate]:
    """Estimate the onset date of the drift of many columns, as `drift_onset` does for one; they are computed at once."""
    series = [drift_series(*each, None if weights is None else weights[place]) for place, each in enumerate(drifts)]
    short = [drift.past is None or drift.past.numbers.size < MIN_DAYS for drift, _ in drifts]
    return estimate_onsets(
        [days.numbers for days in series],
        [days.values for days in series],
        [days.errors for days in series],
        start=start,
        before=[(days.level, days.level_error) if alone else None for days, alone in zip(series, short, strict=True)],
        worse=1,
    )


def drift_standing(drift: ColumnDrift, at: DistributionChange, limit: float, weights: Floats | None = None) -> dict[str, Any]:
    """Return, as evidence of a finding, since when a column has been farther than a limit from the reference in one direction."""
    return drifts_standing([(drift, at, limit)], None if weights is None else [weights])[0]


def drifts_standing(
    drifts: Sequence[tuple[ColumnDrift, DistributionChange, float]], weights: Sequence[Floats] | None = None
) -> list[dict[str, Any]]:
    """Return the evidence of `drift_standing` for many columns and limits; they are computed at once."""
    series = [drift_series(drift, at, None if weights is None else weights[place]) for place, (drift, at, _) in enumerate(drifts)]
    excess = [days.values - days.level - limit for days, (_, _, limit) in zip(series, drifts, strict=True)]
    beyond = days_beyond_of_series([days.numbers for days in series], excess, [days.errors for days in series])
    return [{} if since is None else since.evidence for since in beyond]
