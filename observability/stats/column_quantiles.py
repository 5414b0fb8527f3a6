"""Quantiles of many columns at once, over their known values."""

from collections.abc import Sequence

import numpy as np

from observability.stats.arrays import Floats


def column_quantiles(values: Floats, shares: Sequence[float]) -> list[Floats]:
    """Quantiles along the first axis, linear between neighbours.

    One sort serves all of them, which is several times as fast as numpy's for many small arrays.

    Parameters
    ----------
    values : Floats
        Rows × columns (or more axes); NaN is no value.
    shares : Sequence[float]
        The quantiles, from 0 to 1.

    Returns
    -------
    list[Floats]
        One array for each share; NaN where a column has no value.
    """
    if not len(values):
        return [np.full(values.shape[1:], np.nan) for _ in shares]
    ordered, known = np.sort(values, axis=0), (~np.isnan(values)).sum(0)
    found = []
    for share in shares:
        place = share * np.maximum(known - 1, 0)
        low = np.floor(place).astype(int)
        ends = [np.take_along_axis(ordered, each[None], 0)[0] for each in (low, np.minimum(low + 1, np.maximum(known - 1, 0)))]
        found.append(np.where(known > 0, ends[0] + (ends[1] - ends[0]) * (place - low), np.nan))
    return found


def column_medians(values: Floats) -> Floats:
    """Medians along the first axis.

    Parameters
    ----------
    values : Floats
        Rows × columns (or more axes); NaN is no value.

    Returns
    -------
    Floats
        NaN where a column has no value.
    """
    return column_quantiles(values, (1 / 2,))[0]
