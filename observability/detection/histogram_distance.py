"""Distances between two histograms of one column: PSI with its interval, other distances, and the required rows."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from observability.detection.windows import Floats
from observability.metrics.histograms import ColumnAxis, ColumnHistogram, fine_groups, grouped_counts, mean_shift
from observability.stats import distance
from observability.stats.change import needed_n_for_psi

WATCH, ACT = 0.1, 0.25
"""PSI below 0.1 is stable, above 0.25 a major shift (Lewis 1994; Siddiqi 2006). Natural variation beyond these raises the limit."""
MINIMUM_ROWS = 100


@lru_cache(maxsize=4096)
def psi_rows_needed(groups: int, n_reference: float, limit: float) -> float:
    """Return the number of rows from which the PSI of unchanged samples stays below the limit 95 times in 100; at least 100.

    Infinity if the reference is too small.
    """
    needed = needed_n_for_psi(limit, groups, n_reference)
    return float("inf") if needed is None else max(MINIMUM_ROWS, needed)


def other_distances(axis: ColumnAxis, before: ColumnHistogram, after: ColumnHistogram) -> dict[str, float | None]:
    """Return the other distances by name: for numbers KS, Wasserstein and the shift of the mean; for categories the largest change of a
    share.
    """
    fine = fine_groups(axis, before)
    found: dict[str, float | None] = {
        "jensen_shannon_distance": distance.jensen_shannon_distance(grouped_counts(before, fine), grouped_counts(after, fine))
    }
    if axis.ordered:
        d = distance.kolmogorov_smirnov(before.values, after.values)
        found["kolmogorov_smirnov"] = distance_or_none(d)
        found["kolmogorov_smirnov_p_value"] = distance_or_none(distance.kolmogorov_smirnov_p_value(d, before.n, after.n))
        found["wasserstein"] = distance_or_none(
            distance.wasserstein_binned(before.values, after.values, axis.edges, axis.scale, axis.winsorise)
        )
        found["mean_shift"] = mean_shift(axis, before, after)
    else:
        found["l_infinity"] = distance_or_none(distance.l_infinity(before.counts[:-1], after.counts[:-1]))
    return found


def interval_around(psi: float, groups: int, counts: tuple[Floats, Floats], n: tuple[float, float]) -> tuple[float, float]:
    """Return a 95 % interval of the PSI by the delta method.

    The lower end is lowered by the upward bias (groups - 1)(1/n + 1/m) of small samples. groups: number of groups with rows; counts, n:
    counts by group and effective rows of both sides.
    """
    low, high = intervals_around([psi], [groups], (counts[0][None], counts[1][None]), ([n[0]], [n[1]]))
    return float(low[0]), float(high[0])


def intervals_around(
    psi: ArrayLike, groups: ArrayLike, counts: tuple[Floats, Floats], n: tuple[ArrayLike, ArrayLike]
) -> tuple[Floats, Floats]:
    """Return the ends of `interval_around` for many columns with equally many groups. counts: columns × groups; the rest: one a column."""
    (rows_p, rows_q), value = (np.asarray(each, np.float64) for each in n), np.asarray(psi, np.float64)
    p, q = (np.maximum(each / each.sum(axis=1, keepdims=True), 1e-4) for each in counts)
    to_q, to_p = np.log(q / p) + 1 - p / q, np.log(p / q) + 1 - q / p
    of_p, of_q = ((np.vecdot(w, g**2) - np.vecdot(w, g) ** 2) / rows for w, g, rows in ((p, to_p, rows_p), (q, to_q, rows_q)))
    reach = 1.96 * np.sqrt(np.maximum(of_q + of_p, 0.0))
    bias = np.maximum(np.asarray(groups) - 1, 0) * (1 / rows_p + 1 / rows_q)
    return np.maximum(value - bias - reach, 0.0), value + reach


def distance_or_none(value: float) -> float | None:
    """Return the distance; None for NaN, which JSON cannot hold."""
    return None if np.isnan(value) else float(value)
