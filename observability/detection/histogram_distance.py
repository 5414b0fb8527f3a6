"""Distances between two histograms of a column: PSI with its interval, other distances, and the number of rows that are needed."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from observability.detection.windows import Floats
from observability.metrics.histograms import BLOCK, ColumnAxis, ColumnHistogram, fine_groups, grouped_columns, mean_shift
from observability.stats import distance
from observability.stats.change import needed_n_for_psi

WATCH, ACT = 0.1, 0.25
"""A PSI below 0.1 is stable, above 0.25 a major shift (Lewis 1994; Siddiqi 2006). If the natural variation is larger, it raises the
limit.
"""
MINIMUM_ROWS = 100


@lru_cache(maxsize=4096)
def psi_rows_needed(groups: int, n_reference: float, limit: float) -> float:
    """Return the number of rows above which the PSI of unchanged samples stays below the limit 95 times in 100; at least 100.

    Infinity if the reference is too small.
    """
    needed = needed_n_for_psi(limit, groups, n_reference)
    return float("inf") if needed is None else max(MINIMUM_ROWS, needed)


def other_distances(axis: ColumnAxis, before: ColumnHistogram, after: ColumnHistogram) -> dict[str, float | None]:
    """Return the distances other than PSI, by name: for numbers KS, Wasserstein and the shift of the mean; for categories the largest
    change of a share. The Jensen-Shannon distance is always included.
    """
    return distances_of_columns([(axis, before, after)])[0]


def distances_of_columns(columns: Sequence[tuple[ColumnAxis, ColumnHistogram, ColumnHistogram]]) -> list[dict[str, float | None]]:
    """Return `other_distances` for many columns; columns with the same number of bins and groups are computed together.

    columns: for each column its bins, its reference and its rows.
    """
    found: list[dict[str, float | None]] = [{} for _ in columns]
    groups = [fine_groups(axis, before) for axis, before, _ in columns]
    alike: dict[tuple[bool, int, int], list[int]] = {}
    for place, ((axis, _, _), fine) in enumerate(zip(columns, groups, strict=True)):
        alike.setdefault((axis.ordered, axis.size, int(fine.max())), []).append(place)
    for (ordered, _, _), members in alike.items():
        for first in range(0, len(members), BLOCK):
            places = members[first : first + BLOCK]
            axes, then, now = zip(*(columns[place] for place in places), strict=True)
            into = [groups[place] for place in places]
            figures = {
                "jensen_shannon_distance": distance.jensen_shannon_distances(grouped_columns(then, into), grouped_columns(now, into))
            }
            if ordered:
                figures |= _ordered_distances(axes, then, now)
            else:
                before, after = (np.stack([each.counts[:-1] for each in side]) for side in (then, now))
                figures["l_infinity"] = distance.largest_share_changes(before, after)
            for name, values in figures.items():
                for place, value in zip(places, values.tolist(), strict=True):
                    found[place][name] = distance_or_none(value)
            for place in places if ordered else ():
                found[place]["mean_shift"] = mean_shift(*columns[place])
    return found


def _ordered_distances(
    axes: Sequence[ColumnAxis], before: Sequence[ColumnHistogram], after: Sequence[ColumnHistogram]
) -> dict[str, Floats]:
    """KS with its p-value, and Wasserstein, for numeric columns with the same number of bins."""
    then, now = (np.stack([each.values for each in side]) for side in (before, after))
    d = distance.kolmogorov_smirnov_distances(then, now)
    edges, scales, limits = [each.edges for each in axes], [each.scale or 0.0 for each in axes], [each.winsorise for each in axes]
    return {
        "kolmogorov_smirnov": d,
        "kolmogorov_smirnov_p_value": distance.kolmogorov_smirnov_p_values(d, [each.n for each in before], [each.n for each in after]),
        "wasserstein": distance.wasserstein_distances(then, now, edges, scales, limits),
    }


def interval_around(psi: float, groups: int, counts: tuple[Floats, Floats], n: tuple[float, float]) -> tuple[float, float]:
    """Return a 95 % interval of the PSI by the delta method.

    The lower end is reduced by the upward bias (groups - 1)(1/n + 1/m) of small samples. groups: number of groups with rows; counts, n:
    counts by group, and effective rows, of both sides.
    """
    low, high = intervals_around([psi], [groups], (counts[0][None], counts[1][None]), ([n[0]], [n[1]]))
    return float(low[0]), float(high[0])


def intervals_around(
    psi: ArrayLike, groups: ArrayLike, counts: tuple[Floats, Floats], n: tuple[ArrayLike, ArrayLike]
) -> tuple[Floats, Floats]:
    """Return the ends of `interval_around` for many columns with the same number of groups. counts: columns × groups; all other parameters:
    one value per column.
    """
    (rows_p, rows_q), value = (np.asarray(each, np.float64) for each in n), np.asarray(psi, np.float64)
    p, q = (np.maximum(each / each.sum(axis=1, keepdims=True), 1e-4) for each in counts)
    to_q, to_p = np.log(q / p) + 1 - p / q, np.log(p / q) + 1 - q / p
    of_p, of_q = ((np.vecdot(w, g**2) - np.vecdot(w, g) ** 2) / rows for w, g, rows in ((p, to_p, rows_p), (q, to_q, rows_q)))
    reach = 1.96 * np.sqrt(np.maximum(of_q + of_p, 0.0))
    bias = np.maximum(np.asarray(groups) - 1, 0) * (1 / rows_p + 1 / rows_q)
    return np.maximum(value - bias - reach, 0.0), value + reach


def distance_or_none(value: float) -> float | None:
    """Return the distance; None for NaN, which cannot be written to JSON."""
    return None if np.isnan(value) else float(value)
