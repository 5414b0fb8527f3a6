"""Differences between two ways to train, measured on the same rows with several seeds. The intervals allow for the chance of both seeds and
rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from observability.stats.interval import CONFIDENCE, Interval, ordered_interval


@dataclass(frozen=True)
class RepeatedDifference:
    """A difference with its standard error and degrees of freedom. n: rows; seeds: pairs of trainings."""

    value: float
    error: float
    freedom: float
    n: int
    seeds: int

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """The interval of Student's t."""
        half = float(stdtrit(self.freedom, 0.5 + confidence / 2)) * self.error
        return ordered_interval(self.value, self.value - half, self.value + half, self.n)

    @property
    def p_not_worse(self) -> float:
        """One-sided p-value of the hypothesis that the true difference is 0 or more."""
        if self.error <= 0:
            return float(self.value >= 0)
        return float(stdtr(self.freedom, self.value / self.error))


def repeated_difference(gained: ArrayLike, lost: ArrayLike, n: int, row_variance: float | None = None) -> RepeatedDifference | None:
    """Return the mean difference of accuracy between two trainings over seeds.

    Seeds and rows are both samples. The variance is therefore the variance of the seeds' differences divided by the number of seeds, plus
    the variance of the rows' mean differences divided by the number of rows. The variance that seed and row have together is counted twice,
    so the interval is slightly too wide. Degrees of freedom are Welch and Satterthwaite's.

    Parameters
    ----------
    gained : ArrayLike
        Of each seed the rows that only the second training decides rightly.
    lost : ArrayLike
        Of each seed the rows that only the first training decides rightly.
    n : int
        Rows, the same for every seed.
    row_variance : float | None
        Variance over the rows of each row's mean difference over the seeds; None: its upper bound from the counts, the mean variance
        within a seed.

    Returns
    -------
    RepeatedDifference | None
        None with fewer than two seeds or rows.

    References
    ----------
    * Bouthillier et al. (2021), Accounting for Variance in Machine Learning Benchmarks.
    """
    more, less = np.asarray(gained, float), np.asarray(lost, float)
    seeds = more.size
    if seeds < 2 or n < 2:
        return None
    by_seed = (more - less) / n
    if row_variance is None:
        row_variance = float(np.mean((more + less) / n - by_seed**2))
    of_seeds, of_rows = float(by_seed.var(ddof=1)) / seeds, max(row_variance, 0.0) / n
    total = of_seeds + of_rows
    parts = of_seeds**2 / (seeds - 1) + of_rows**2 / (n - 1)
    freedom = total**2 / parts if parts > 0 else float(seeds - 1)
    return RepeatedDifference(float(by_seed.mean()), float(np.sqrt(total)), freedom, n, seeds)


def seed_ratio(numerators: ArrayLike, denominators: ArrayLike) -> Interval:
    """Return the ratio of two sums over seeds, with an interval over the seeds.

    Parameters
    ----------
    numerators : ArrayLike
        One number for each seed.
    denominators : ArrayLike
        As many; above 0.

    Returns
    -------
    Interval
        Without ends where there are fewer than two seeds, without a value where the denominators add up to 0.
    """
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    seeds = above.size
    if not seeds or below.sum() <= 0:
        return Interval(None, None, None, float(seeds))
    value = float(above.sum() / below.sum())
    if seeds < 2:
        return ordered_interval(value, float("nan"), float("nan"), seeds)
    residuals = (above - value * below) / below.mean()
    half = float(stdtrit(seeds - 1, 0.5 + CONFIDENCE / 2)) * float(np.sqrt(residuals @ residuals / (seeds - 1) / seeds))
    return ordered_interval(value, value - half, value + half, seeds)
