"""Find blocks of a long series whose extreme stands out from the extremes of neighbouring blocks, so that a spike between the read values
is seen.
"""

import numpy as np

from observability.stats.arrays import Array
from observability.stats.dispersion import MAD_TO_SD

BLOCK = 64
"""Length of a block, in step numbers."""
AROUND = 32
"""Number of neighbouring blocks that are compared with each other."""
EXTREME_Z = 12.0
"""Distance from the median of the neighbouring blocks, in robust standard deviations, above which a block stands out. Of 60 curves of
100,000 steps, none with normal and two with Laplace noise had such a block; a spike of 10 standard deviations of normal noise has one
(tests).
"""
MOST = 5
"""Maximum number of blocks of a series; each excursion counts with one block."""


def outlying_blocks(series: Array, extremes: Array) -> Array:
    """The places of the blocks whose extreme is far above the extremes of neighbouring blocks, at most MOST of each series, in order.

    Blocks are compared in groups of AROUND neighbours with the group's median, in robust standard deviations (median absolute deviation).
    So more than half of a group must lie outside a spike. Neighbouring blocks that stand out are one excursion, of which only the farthest
    block counts: a plateau at the beginning of a series, and the decay after it, take one place of MOST.

    Parameters
    ----------
    series : Array
        The number of the series that each block belongs to, ascending.
    extremes : Array
        The largest value of each block, in the order of the blocks; finite.

    Returns
    -------
    Array
        Places, ascending; none of a series with fewer than 3 blocks.
    """
    z = np.zeros(len(series))
    begins = np.flatnonzero(np.diff(series, prepend=-1)) if len(series) else np.empty(0, int)
    sizes = np.diff(np.append(begins, len(series)))
    for width in np.unique(np.minimum(sizes, AROUND)):
        alike = np.minimum(sizes, AROUND) == width
        offsets = [np.minimum(np.arange(0, size, width), size - width) + begin for begin, size in zip(begins[alike], sizes[alike])]
        places = np.concatenate(offsets)[:, None] + np.arange(width)
        values = extremes[places]
        with np.errstate(over="ignore", invalid="ignore"):
            above = values - np.median(values, axis=1, keepdims=True)
            scale = MAD_TO_SD * np.median(np.abs(above), axis=1, keepdims=True)
            z[places] = np.nan_to_num(above / np.maximum(scale, 1e-12 * np.abs(values).max(axis=1, keepdims=True) + 1e-300))
    far = np.flatnonzero(z >= EXTREME_Z)
    excursion = np.cumsum((np.diff(far, prepend=-2) > 1) | (np.diff(series[far], prepend=-1) != 0))
    far = far[np.lexsort((far, -z[far], excursion))]
    far = far[np.unique(excursion, return_index=True)[1]]  # excursions ascend, so each begins with its farthest block
    far = far[np.lexsort((far, -z[far], series[far]))]
    turn = np.arange(len(far)) - np.searchsorted(series[far], series[far])
    return np.sort(far[turn < MOST])
