"""Distances between two histograms of one column: PSI with its interval, the others beside it, and the rows that a verdict needs."""

import numpy as np

from observability.detection.distribution_changes import Floats
from observability.metrics.histograms import Axis, Side, fine_groups, grouped, mean_shift
from observability.stats import distance
from observability.stats.change import needed_n_for_psi

WATCH, ACT = 0.1, 0.25
"""PSI below 0.1 is stable, above 0.25 a major shift (Lewis 1994; Siddiqi 2006). Where its own days stray further, the limit is what they stray to."""
MINIMUM_ROWS = 100


def rows_needed(groups: int, n_reference: float, limit: float) -> float:
    """Rows from which chance alone stays under the limit 95 times in 100, and never fewer than 100; infinity where the reference is too small."""
    needed = needed_n_for_psi(limit, groups, n_reference)
    return float("inf") if needed is None else max(MINIMUM_ROWS, needed)


def interval_of(axis: Axis, before: Side, after: Side) -> tuple[float, float]:
    """A 95 % interval of the PSI of two sides."""
    base, now = grouped(before, axis.group), grouped(after, axis.group)
    return interval_around(distance.psi(base, now), distance.occupied(base, now), (base, now), (before.n, after.n))


def distances(axis: Axis, before: Side, after: Side) -> dict[str, float | None]:
    """The distances beside the PSI, by name: of numbers KS, Wasserstein and the shift of the mean, of categories the largest change of a share."""
    fine = fine_groups(axis, before)
    found: dict[str, float | None] = {
        "jensen_shannon_distance": distance.jensen_shannon_distance(grouped(before, fine), grouped(after, fine))
    }
    if axis.ordered:
        d = distance.kolmogorov_smirnov(before.values, after.values)
        found["kolmogorov_smirnov"] = none_if_nan(d)
        found["kolmogorov_smirnov_p_value"] = none_if_nan(distance.kolmogorov_smirnov_p_value(d, before.n, after.n))
        found["wasserstein"] = none_if_nan(distance.wasserstein_binned(before.values, after.values, axis.edges, axis.scale, axis.winsorise))
        found["mean_shift"] = mean_shift(axis, before, after)
    else:
        found["l_infinity"] = none_if_nan(distance.l_infinity(before.counts[:-1], after.counts[:-1]))
    return found


def interval_around(psi: float, groups: int, counts: tuple[Floats, Floats], n: tuple[float, float]) -> tuple[float, float]:
    """A 95 % interval of the PSI by the delta method; the lower end gives away the upward bias (groups - 1)(1/n + 1/m) of small samples.

    groups: how many hold something; counts, n: by group, and effective rows, of both sides.
    """
    p, q = (np.maximum(each / each.sum(), 1e-4) for each in counts)
    to_q, to_p = np.log(q / p) + 1 - p / q, np.log(p / q) + 1 - q / p
    of_p, of_q = (float(w @ g**2 - (w @ g) ** 2) / rows for w, g, rows in zip((p, q), (to_p, to_q), n, strict=True))
    reach = 1.96 * float(np.sqrt(max(of_q + of_p, 0.0)))
    bias = max(groups - 1, 0) * (1 / n[0] + 1 / n[1])
    return max(psi - bias - reach, 0.0), psi + reach


def none_if_nan(value: float) -> float | None:
    """NaN has no place in JSON."""
    return None if np.isnan(value) else float(value)
