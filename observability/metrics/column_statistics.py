"""Compute the statistics of a batch's columns that the record `batch` holds as `stats`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame, Series

STUCK_RUN = 5
"""Equal values in a row count as stuck from this number on."""
DIGITS = 6
"""Significant digits of a statistic."""
Range = tuple[float | None, float | None]


def table_statistics(table: "DataFrame", ranges: Mapping[str, Range] | None = None) -> dict[str, dict[str, float | int]]:
    """Return the statistics of each column of a table, in the order of its rows.

    ranges: the lowest and highest possible value of a column; an end is None if there is no limit.
    """
    return {str(name): column_statistics(table[name], (ranges or {}).get(str(name))) for name in table.columns}


def column_statistics(values: "Series[Any]", limits: Range | None = None) -> dict[str, float | int]:
    """Return the statistics of one column.

    For every column: `null_share` (null and NaN) and `distinct`. For numbers also: `mean`, `std` (sample standard deviation), `min`, `max`;
    `stuck_share`: values in runs of at least STUCK_RUN equal values; `saturated_share`: values at an end of the range or, without a range,
    at the lowest or highest value if that value repeats; `out_of_range_share`, only with a range. All shares except `null_share` are
    relative to the values that are not null.
    """
    import pandas as pd

    known = values.dropna()
    found: dict[str, float | int] = {"null_share": _rounded(1 - len(known) / len(values)) if len(values) else 0.0}
    is_number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    if not is_number:
        return found | {"distinct": int(known.astype(str).nunique())}
    numbers = known.to_numpy(float)
    numbers = numbers[np.isfinite(numbers)]
    found["distinct"] = len(np.unique(numbers))
    if not numbers.size:
        return found
    found |= {"mean": _rounded(numbers.mean()), "min": _rounded(numbers.min()), "max": _rounded(numbers.max())}
    if numbers.size > 1:
        found["std"] = _rounded(numbers.std(ddof=1)) if found["distinct"] > 1 else 0.0  # 0 for equal values, because their mean is rounded
    found |= {"stuck_share": _rounded(stuck_share(numbers)), "saturated_share": _rounded(_saturated_share(numbers, limits))}
    if limits is not None:
        low, high = (default if end is None else end for end, default in zip(limits, (-np.inf, np.inf), strict=True))
        found["out_of_range_share"] = _rounded(np.mean((numbers < low) | (numbers > high)))
    return found


def stuck_share(numbers: "np.ndarray[Any, np.dtype[Any]]", least: int = STUCK_RUN) -> float:
    """Return the share of values in runs of at least `least` equal values; 0 without values."""
    if not numbers.size:
        return 0.0
    begins = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
    lengths = np.diff(np.append(begins, numbers.size))
    return float(lengths[lengths >= least].sum() / numbers.size)


def _saturated_share(numbers: "np.ndarray[Any, np.dtype[Any]]", limits: Range | None) -> float:
    """The share of values at an end of the range or, without a range, at the lowest or highest value if that value repeats."""
    if limits is not None:
        return float(np.mean(np.isin(numbers, [end for end in limits if end is not None])))
    ends = [end for end in {float(numbers.min()), float(numbers.max())} if (numbers == end).sum() > 1]
    return float(np.mean(np.isin(numbers, ends)))


def _rounded(value: Any) -> float:
    """A number with DIGITS significant digits."""
    return float(f"{float(value):.{DIGITS}g}")
