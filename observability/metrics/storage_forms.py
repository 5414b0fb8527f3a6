"""Measure forms of a stored table: bytes by column and codec, the time of coding, lossy forms, and how many rows share the values of
quasi-identifying columns.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.metrics.trade_offs import changed_answers, score_differences, slice_counts
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    import pyarrow as pa
    from pandas import DataFrame

    Floats = np.ndarray[Any, np.dtype[np.float64]]

CODECS = ("none", "snappy", "zstd", "gzip")
"""Codecs of Parquet that are compared. Ratios are relative to `none`."""
REPEATS = 3
"""Number of times that a codec is timed; the fastest time counts."""
LEVELS = 256
"""Number of levels in the quantised form."""
DIGITS = 3
"""Number of significant digits in the rounded form."""
SMALL = (2, 5, 10)
"""Group sizes. For each size, the groups that are smaller are counted."""


@dataclass(frozen=True)
class CodecCost:
    """A table as compressed by one codec.

    columns: bytes by column. encode, decode: times, divided by the times without compression. seconds: the times themselves.
    """

    codec: str
    bytes: int
    columns: dict[str, int]
    encode: float
    decode: float
    seconds: tuple[float, float]


@dataclass(frozen=True)
class LossyForm:
    """A table with less precise numbers. errors: by changed column, the largest absolute difference, ignoring values that became missing.
    lost: by column, the number of values that the form cannot represent (beyond the range of float16).
    """

    name: str
    frame: "DataFrame"
    errors: dict[str, float]
    lost: dict[str, int]


@dataclass(frozen=True)
class PredictionChange:
    """How a model's answers to rows in a lossy form differ from its answers to the exact rows.

    largest, high, mean: the maximum, 99th percentile and mean of |Δ score|. flips: number of changed decisions; for a regression, of
    answers that differ by more than 5 % of their standard deviation. slices: rows and flips by level of each column (`slice_counts`).
    """

    rows: int
    largest: float
    high: float
    mean: float
    flips: int
    flip_rate: Interval | None
    slices: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class SmallGroups:
    """Groups of rows that share the values of quasi-identifying columns. k: number of rows in the smallest group. below: for each of SMALL,
    the number of smaller groups and of the rows in them. diversity: the smallest number of distinct values of the sensitive column in a
    group; None without such a column.
    """

    rows: int
    groups: int
    k: int
    below: dict[int, tuple[int, int]]
    diversity: int | None


def codec_costs(table: "pa.Table", codecs: Sequence[str] = CODECS, repeats: int = REPEATS) -> list[CodecCost]:
    """Write a table in memory as Parquet with each codec, read it again, and return sizes and times.

    Parameters
    ----------
    table : pyarrow.Table
        The rows.
    codecs : sequence of str
        Codecs, the first of which is the base of the times.
    repeats : int
        Times that each is timed.

    Returns
    -------
    list[CodecCost]
        In the order of `codecs`. Bytes of a column are the bytes of its pages; bytes of the file include the footer.
    """
    import pyarrow.parquet as pq

    found: list[tuple[str, int, dict[str, int], float, float]] = []
    for codec in codecs:
        writes, reads, body = [], [], b""
        for _ in range(repeats):
            sink = io.BytesIO()
            began = time.perf_counter()
            pq.write_table(table, sink, compression=codec)
            writes.append(time.perf_counter() - began)
            body = sink.getvalue()
            began = time.perf_counter()
            pq.read_table(io.BytesIO(body))
            reads.append(time.perf_counter() - began)
        found.append((codec, len(body), _column_bytes(pq.ParquetFile(io.BytesIO(body)).metadata), min(writes), min(reads)))
    base = found[0]
    return [CodecCost(codec, size, columns, write / base[3], read / base[4], (write, read)) for codec, size, columns, write, read in found]


def _column_bytes(metadata: Any) -> dict[str, int]:
    """Compressed bytes by top-level column."""
    sizes: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            name = chunk.path_in_schema.partition(".")[0]
            sizes[name] = sizes.get(name, 0) + chunk.total_compressed_size
    return sizes


def lossy_forms(frame: "DataFrame") -> list[LossyForm]:
    """Return lossy forms of a table. Its fractional numbers are stored as float32, as float16, rounded to three significant digits, or
    quantised to 256 levels.

    Parameters
    ----------
    frame : DataFrame
        The rows. Whole numbers, texts and booleans are kept as they are.

    Returns
    -------
    list[LossyForm]
        Empty if no column has fractional numbers.
    """
    import pandas as pd

    names = [
        str(name) for name in frame.columns if pd.api.types.is_float_dtype(frame[name].dtype) and not (frame[name].dropna() % 1 == 0).all()
    ]
    forms: dict[str, Callable[[Floats], np.ndarray[Any, Any]]] = {
        "float32": lambda values: values.astype(np.float32),
        "float16": lambda values: values.astype(np.float16),
        f"{DIGITS} digits": rounded_digits,
        f"{LEVELS} levels": quantised,
    }
    found = []
    for form, change in forms.items():
        changed, errors, lost = frame.copy(), {}, {}
        for name in names:
            before = frame[name].to_numpy(float)
            with np.errstate(over="ignore"):
                stored = change(before)
            changed[name] = stored
            finite = np.isfinite(before) & np.isfinite(stored)
            errors[name] = float(np.abs(stored[finite].astype(float) - before[finite]).max(initial=0.0))
            if gone := int((np.isfinite(before) & ~np.isfinite(stored)).sum()):
                lost[name] = gone
        found.append(LossyForm(form, changed, errors, lost))
    return found if names else []


def rounded_digits(values: "Floats", digits: int = DIGITS) -> "Floats":
    """Round numbers to significant digits.

    Parameters
    ----------
    values : ndarray of float
        Numbers; those that are not finite, and 0, are kept.
    digits : int
        Significant digits.

    Returns
    -------
    ndarray of float
    """
    found = np.array(values, dtype=float)
    some = np.isfinite(found) & (found != 0)
    step = 10.0 ** (np.floor(np.log10(np.abs(found[some]))) - digits + 1)
    found[some] = np.round(found[some] / step) * step
    return found


def quantised(values: "Floats", levels: int = LEVELS) -> "Floats":
    """Replace each number by the nearest of equally spaced levels between the smallest and the largest number.

    Parameters
    ----------
    values : ndarray of float
        Numbers; those that are not finite are kept.
    levels : int
        Number of levels, at least 2.

    Returns
    -------
    ndarray of float
    """
    found = np.array(values, dtype=float)
    some = np.isfinite(found)
    if not some.any() or (span := float(np.ptp(found[some]))) == 0:
        return found
    low, step = float(found[some].min()), span / (levels - 1)
    found[some] = low + np.round((found[some] - low) / step) * step
    return found


def prediction_change(
    before: "Floats", after: "Floats", task: str, threshold: float = 0.5, levels: Mapping[str, Sequence[str | None]] | None = None
) -> PredictionChange:
    """Compare the scores of the same rows before and after.

    Parameters
    ----------
    before : ndarray of float
        Scores: one per row, or in multiclass one per row and class.
    after : ndarray of float
        Scores of the same rows afterwards.
    task : str
        binary, multiclass or regression.
    threshold : float
        Of a binary model.
    levels : mapping of str to sequence of str, optional
        The level of each row in each column by which flips are counted.

    Returns
    -------
    PredictionChange
        The rate of flips has an interval. Rows whose score is not finite on either side are left out.
    """
    known = np.isfinite(before) & np.isfinite(after)
    known = known.all(axis=1) if known.ndim == 2 else known
    one, other = before[known], after[known]
    n = len(one)
    if not n:
        return PredictionChange(0, 0.0, 0.0, 0.0, 0, None)
    changed, _ = changed_answers(one, other, task, threshold)
    flips, (largest, high) = int(changed.sum()), score_differences(one, other)
    slices = slice_counts(changed, {column: np.asarray(own, object)[known].tolist() for column, own in (levels or {}).items()})
    return PredictionChange(n, largest, high, float(np.abs(other - one).mean()), flips, rate_interval(flips, n), slices)


def small_groups(frame: "DataFrame", quasi: Sequence[str], sensitive: str | None = None) -> SmallGroups:
    """Count the rows that share the values of all quasi-identifying columns (k-anonymity).

    Parameters
    ----------
    frame : DataFrame
        The rows. A missing value is a value of its own.
    quasi : sequence of str
        Quasi-identifying columns, at least one.
    sensitive : str, optional
        Column whose distinct values in a group are counted (l-diversity).

    Returns
    -------
    SmallGroups

    References
    ----------
    L. Sweeney, "k-anonymity: a model for protecting privacy", 2002; A. Machanavajjhala et al., "l-diversity", 2007.
    """
    grouped = frame.groupby(list(quasi), dropna=False, observed=True, sort=False)
    sizes = grouped.size().to_numpy()
    below = {size: (int((sizes < size).sum()), int(sizes[sizes < size].sum())) for size in SMALL}
    diversity = int(grouped[sensitive].nunique(dropna=False).min()) if sensitive and len(sizes) else None
    return SmallGroups(len(frame), len(sizes), int(sizes.min()) if len(sizes) else 0, below, diversity)


def groups_by_size(sizes: Mapping[int, tuple[int, int]]) -> str:
    """Write how many groups are small: `3 groups (5 rows) below 5 rows`.

    Parameters
    ----------
    sizes : mapping of int to (groups, rows)
        As `SmallGroups.below`.

    Returns
    -------
    str
        A text without an end; `no group below 10 rows` if there is none.
    """
    found = [
        f"{groups:,} {'group' if groups == 1 else 'groups'} ({rows:,} {'row' if rows == 1 else 'rows'}) below {size}"
        for size, (groups, rows) in sizes.items()
        if groups
    ]
    return ", ".join(found) or f"no group below {max(sizes)} rows"
