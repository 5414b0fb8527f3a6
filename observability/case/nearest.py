"""Which real rows are most like a prediction? Euclidean distance over standardised numbers, with 1 for each category, truth or missing value that differs."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Floats = NDArray[np.float64]


def distances(row: "DataFrame", rows: "DataFrame", scale: "DataFrame | None" = None) -> Floats:
    """The distance of one row to each of `rows` (same columns): √Σ d², where d is the difference of two numbers in standard deviations, 1 for a
    category or truth that differs, and 1 where one of the two is missing (0 where both are).

    scale: rows whose standard deviations count (default: `rows`); a number that never varies there has none, and any difference counts 1.
    """
    total = np.zeros(len(rows))
    for name in rows.columns:
        total += squares(row[name], rows[name], rows[name] if scale is None else scale[name])
    return np.sqrt(total)


def squares(value: "Series[Any]", values: "Series[Any]", scale: "Series[Any]") -> Floats:
    """What one feature adds to the square of each distance."""
    if values.dtype.kind == "f":
        one, others = finite(value.to_numpy(np.float64))[0], finite(values.to_numpy(np.float64))
        spread = deviation(scale.to_numpy(np.float64))
        if np.isnan(one):
            return np.asarray(~np.isnan(others), np.float64)
        with np.errstate(invalid="ignore"):
            found = ((others - one) / spread) ** 2 if spread > 0 else (others != one).astype(np.float64)
        return np.where(np.isnan(others), 1.0, found)
    one_text = value.iloc[0]
    given = values.to_numpy(object)
    missing = values.isna().to_numpy(bool)
    if one_text is None or one_text != one_text:
        return np.asarray(~missing, np.float64)
    return np.asarray(missing | (given != one_text), np.float64)


def finite(values: Floats) -> Floats:
    """Numbers; infinite ones count as missing."""
    return np.where(np.isfinite(values), values, np.nan)


def deviation(values: Floats) -> float:
    """The standard deviation of the finite values, 0 where there are none."""
    known = values[np.isfinite(values)]
    return float(known.std()) if known.size else 0.0


def nearest(row: "DataFrame", rows: "DataFrame", k: int, scale: "DataFrame | None" = None) -> tuple[NDArray[np.int64], Floats]:
    """Places and distances of the k nearest of `rows`, nearest first; equal distances in their order."""
    found = distances(row, rows, scale)
    order = np.argsort(found, kind="stable")[:k]
    return order, found[order]
