"""Compare the number of distinct values in some rows with the number expected in equally many rows drawn from the other rows (rarefaction).

The expected number of distinct values is that among n rows drawn without replacement from rows with value counts N1, N2, … (Hurlbert 1971).
Its variance is taken as the sum of the variances of the single values. This ignores that values compete, and is therefore too wide.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from observability.stats.arrays import Floats


@dataclass(frozen=True)
class DistinctCount:
    """found: number of distinct values. expected, sd: number expected in equally many of the other rows, and its standard deviation. n:
    number of rows.
    """

    found: int
    expected: float
    sd: float
    n: int

    @property
    def ratio(self) -> float:
        """The number of distinct values found, divided by the expected number; 1 if none are expected."""
        return self.found / self.expected if self.expected > 0 else 1.0

    @property
    def z(self) -> float:
        """Distance from the expected number in standard deviations; negative if below."""
        return (self.found - self.expected) / max(self.sd, 0.5)


def rarefaction(values: Floats, others: Floats) -> DistinctCount:
    """Compare the number of distinct values of some rows with the number in equally many of the other rows.

    Parameters
    ----------
    values : Floats
        Values of the rows; NaN is left out.
    others : Floats
        Values of the other rows. If they are fewer than `values`, only as many rows of `values` are compared.

    Returns
    -------
    DistinctCount

    References
    ----------
    * Hurlbert (1971), The nonconcept of species diversity.
    """
    mine, rest = (side[np.isfinite(side)] for side in (values, others))
    n, total = min(mine.size, rest.size), rest.size
    mine = mine[:n]
    if n == 0:
        return DistinctCount(0, 0.0, 0.0, 0)
    _, counts = np.unique(rest, return_counts=True)
    left = total - counts
    with np.errstate(invalid="ignore"):
        never = np.where(
            left >= n, np.exp(gammaln(left + 1) - gammaln(np.maximum(left - n, 0) + 1) - gammaln(total + 1) + gammaln(total - n + 1)), 0.0
        )
    return DistinctCount(int(np.unique(mine).size), float((1 - never).sum()), float(np.sqrt((never * (1 - never)).sum())), int(n))
