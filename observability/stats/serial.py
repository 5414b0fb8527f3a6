"""The median of consecutive values that are correlated in time."""

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.blocks import MIN_BLOCKS, BlockEstimate

MAX_BLOCKS, MIN_OF_A_BLOCK = 20, 4
MAX_CORRELATION = 0.9
"""Limit of the estimated correlation of consecutive blocks: a larger estimate counts as this value, because next to nothing is known beyond
it.
"""


def serial_median(values: ArrayLike) -> BlockEstimate | None:
    """Return the median of a series, with a standard error from the medians of consecutive blocks.

    Values that follow each other are correlated, and most of this correlation stays within blocks. Correlation between blocks, such as from
    a slow drift, reduces their effective number.

    Parameters
    ----------
    values : ArrayLike
        Values in order of time; those that are not finite are left out.

    Returns
    -------
    BlockEstimate or None
        None below MIN_BLOCKS blocks of MIN_OF_A_BLOCK values.

    References
    ----------
    * Law and Kelton (2000), Simulation Modeling and Analysis, section 9.5 (batch means).
    """
    series = np.asarray(values, np.float64)
    series = series[np.isfinite(series)]
    count = min(series.size // MIN_OF_A_BLOCK, MAX_BLOCKS)
    if count < MIN_BLOCKS:
        return None
    medians = np.array([np.median(part) for part in np.array_split(series, count)])
    apart = medians - medians.mean()
    squares = float(apart @ apart)
    correlation = float(np.clip(apart[1:] @ apart[:-1] / squares + 1 / count, 0.0, MAX_CORRELATION)) if squares > 0 else 0.0
    effective = max(count * (1 - correlation) / (1 + correlation), 2.0)
    error = float(np.sqrt(squares / (count - 1) / effective))
    return BlockEstimate(float(np.median(series)), error, effective - 1, series.size, count)
