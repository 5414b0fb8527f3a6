"""Counts of one column by bin and day, and the shares that data-quality checks compute from them."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Edges
from observability.core.questions import ABSENT, NAN, NULL, UNSEEN, WRONG_TYPE
from observability.stats.interval import effective_n

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
CHECKS = {
    "null_rate": NULL,
    "nan_rate": NAN,
    "absent_rate": ABSENT,
    "wrong_type_rate": WRONG_TYPE,
    "unseen_rate": UNSEEN,
    "out_of_range_rate": None,
}
"""Rates that are checked, each with its special bin. Out-of-range values have none: they are in the ordinary bins beyond the range of the
reference.
"""
BLOCK = 256
"""Maximum number of columns that are counted together. It limits the memory."""
FIRST_BIN = min(NULL, NAN, ABSENT, WRONG_TYPE, UNSEEN)
OF_NUMBERS, OF_CATEGORIES = ("null_rate", "nan_rate", "absent_rate", "wrong_type_rate"), ("null_rate", "absent_rate", "wrong_type_rate")


@dataclass(frozen=True)
class ColumnShare:
    """A share of some rows. Its figures are Σw of the hits, Σw and Σw² of all rows, and the number of all rows."""

    hits: float
    total: float
    squares: float
    rows: int

    @property
    def value(self) -> float:
        """The share; NaN without rows."""
        return self.hits / self.total if self.total > 0 else float("nan")

    @property
    def n(self) -> float:
        """The effective number of rows."""
        return effective_n(self.total, self.squares)


@dataclass(frozen=True)
class DailyShares:
    """A share on each of some days: the days, in order, and the figures of `ColumnShare` for each."""

    days: NDArray[np.datetime64]
    hits: Floats
    total: Floats
    squares: Floats
    rows: Floats

    @cached_property
    def value(self) -> Floats:
        """The share on each day; NaN without rows."""
        return np.divide(self.hits, self.total, out=np.full(self.days.size, np.nan), where=self.total > 0)

    @cached_property
    def n(self) -> Floats:
        """The effective number of rows of each day."""
        return np.divide(self.total**2, self.squares, out=np.zeros(self.days.size), where=self.total > 0)

    def at(self, kept: NDArray[np.bool_]) -> "DailyShares":
        """The same series, only for the days of a mask."""
        return DailyShares(self.days[kept], self.hits[kept], self.total[kept], self.squares[kept], self.rows[kept])

    def then(self, later: "DailyShares") -> "DailyShares":
        """Joins two series. On a day that both have, the later series counts."""
        apart = not self.days.size or not later.days.size or self.days[-1] < later.days[0]
        first = self if apart else self.at(~np.isin(self.days, later.days))
        parts = ((getattr(first, name), getattr(later, name)) for name in ("days", "hits", "total", "squares", "rows"))
        return DailyShares(*map(np.concatenate, parts))


NO_DAYS = DailyShares(np.empty(0, "datetime64[D]"), *(np.zeros(0) for _ in range(4)))


@dataclass(frozen=True)
class ColumnCounts:
    """Counts of one column by day and bin.

    days: days with rows, in order (a single NaT if the query result is not by day); bins: consecutive numbers of the bins, from FIRST_BIN
    on; table: (Σw, Σw², rows) × days × bins.
    """

    days: NDArray[np.datetime64]
    bins: NDArray[np.int64]
    table: Floats

    @cached_property
    def sums(self) -> tuple[float, float, int]:
        """Σw, Σw² and number of all rows."""
        total, squares, rows = self.by_bin.sum(axis=1).tolist()
        return total, squares, int(rows)

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return self.sums[2]

    @property
    def total(self) -> float:
        """The total weight (Σw) of all rows."""
        return self.sums[0]

    @property
    def n(self) -> float:
        """The effective number of rows."""
        return effective_n(*self.sums[:2])

    @cached_property
    def by_bin(self) -> Floats:
        """Σw, Σw² and rows of each bin."""
        return np.asarray(self.table.sum(axis=1))

    @cached_property
    def by_day(self) -> Floats:
        """Σw, Σw² and rows of each day."""
        return np.asarray(self.table.sum(axis=2))

    @cached_property
    def values(self) -> "ColumnCounts":
        """Rows with an ordinary value: not null, NaN, absent, of another type or unseen."""
        return ColumnCounts(self.days, self.bins[-FIRST_BIN:], self.table[:, :, -FIRST_BIN:])

    def weight(self, number: int) -> float:
        """Σw of a bin by its number; 0 for a bin without rows."""
        place = number - int(self.bins[0]) if self.bins.size else -1
        return float(self.by_bin[0, place]) if 0 <= place < self.bins.size else 0.0

    def on(self, place: int) -> "ColumnCounts":
        """The counts of one day, given by its position."""
        return ColumnCounts(self.days[place : place + 1], self.bins, self.table[:, place : place + 1])

    def share(self, metric: str, edges: Edges) -> ColumnShare:
        """The share of rows that a check counts. For a special bin it is a share of all rows, for out-of-range values a share of the
        ordinary values.
        """
        counted, special = self.counted(metric), CHECKS[metric]
        if special is not None:
            return ColumnShare(counted.weight(special), *counted.sums)
        return ColumnShare(float(counted.by_bin[0, _out_of_range_bins(counted.bins, edges)].sum()), *counted.sums)

    def shares(self, metric: str, edges: Edges) -> DailyShares:
        """The share of rows that a check counts, on each day."""
        counted = self.counted(metric)
        return counted.of_days(_check_bins(metric, counted.bins, edges))

    def counted(self, metric: str) -> "ColumnCounts":
        """The counts of the rows of which a check computes a share."""
        return self.values if CHECKS[metric] is None else self

    def of_days(self, kept: NDArray[np.bool_]) -> DailyShares:
        """The share of the rows in some bins, on each day. kept: mask of the bins."""
        return DailyShares(self.days, self.table[0, :, kept].sum(axis=0), *self.by_day)


NO_ROWS = ColumnCounts(np.empty(0, "datetime64[D]"), np.empty(0, np.int64), np.zeros((3, 0, 0)))


@dataclass(frozen=True)
class DailySums:
    """Sums of one numeric column by day: the days, in order, Σw, Σwx, Σwx², and the smallest and largest value (NaN if unknown)."""

    days: NDArray[np.datetime64]
    weight: Floats
    total: Floats
    squares: Floats
    low: Floats
    high: Floats

    @cached_property
    def mean(self) -> float:
        """The mean over all days; NaN without values."""
        weight = float(self.weight.sum())
        return float(self.total.sum()) / weight if weight > 0 else float("nan")

    @cached_property
    def deviation(self) -> float:
        """The standard deviation over all days; NaN without values."""
        weight = float(self.weight.sum())
        return float(np.sqrt(max(float(self.squares.sum()) / weight - self.mean**2, 0.0))) if weight > 0 else float("nan")

    @property
    def largest(self) -> float:
        """The largest absolute value; NaN without values."""
        known = np.abs(np.concatenate([self.low, self.high]))
        return float(np.nanmax(known)) if np.isfinite(known).any() else float("nan")

    def at(self, kept: NDArray[np.bool_]) -> "DailySums":
        """The same sums, only for the days of a mask."""
        return DailySums(*(getattr(self, field.name)[kept] for field in fields(DailySums)))

    def single_value(self, day: np.datetime64) -> float | None:
        """The only value of a day; None if there are several, or if it is unknown."""
        place = np.flatnonzero(self.days == day)
        if place.size != 1 or self.low[place[0]] != self.high[place[0]]:
            return None
        return float(self.low[place[0]])


def sums_by_column(frame: "DataFrame") -> dict[str, DailySums]:
    """The sums of each column, from a query result with sums by day.

    Parameters
    ----------
    frame : DataFrame
        Answer with `measure`, `period`, `w`, `total`, `squares`, `low`, `high`.

    Returns
    -------
    dict[str, DailySums]
    """
    import pandas as pd

    places, names = pd.factorize(frame["measure"].to_numpy(object), sort=True)
    days = frame["period"].to_numpy().astype("datetime64[D]")
    order = np.lexsort((days, places))
    ends = np.cumsum(np.bincount(places, minlength=len(names))).tolist()
    columns = [days[order], *(frame[field].to_numpy(np.float64)[order] for field in ("w", "total", "squares", "low", "high"))]
    parts = zip(map(str, names), map(slice, [0, *ends], ends))
    return {name: DailySums(*(values[part] for values in columns)) for name, part in parts}


def counts_by_column(frame: "DataFrame") -> dict[str, ColumnCounts]:
    """The counts of each column, from the result of a histogram query.

    Parameters
    ----------
    frame : DataFrame
        Answer with `column`, `bin`, `w`, `w2`, `n`, and `period` if it is by day.

    Returns
    -------
    dict[str, ColumnCounts]
    """
    import pandas as pd

    places, names = pd.factorize(frame["column"].to_numpy(object), sort=True)
    order = np.argsort(places, kind="stable")
    starts = [0, *np.cumsum(np.bincount(places, minlength=len(names))).tolist()]
    timeless = np.zeros(len(frame), np.int64), np.array(["NaT"], "datetime64[D]")
    at, days = pd.factorize(frame["period"].to_numpy(), sort=True) if "period" in frame else timeless
    dates, column, day, bins = np.asarray(days, "datetime64[D]"), places[order], at[order], frame["bin"].to_numpy(np.int64)[order]
    figures = [frame[name].to_numpy(np.float64)[order] for name in ("w", "w2", "n")]
    found: dict[str, ColumnCounts] = {}
    for first in range(0, len(names), BLOCK):
        block = names[first : first + BLOCK]
        part = slice(starts[first], starts[first + len(block)])
        tables = count_tables(dates, column[part] - first, day[part], bins[part], [figure[part] for figure in figures])
        found.update(zip(map(str, block), tables, strict=True))
    return found


def count_tables(
    dates: NDArray[np.datetime64], column: NDArray[np.int64], day: NDArray[np.int64], bins: NDArray[np.int64], figures: Sequence[Floats]
) -> list[ColumnCounts]:
    """The rows of some columns as tables by day and bin; the columns are counted together.

    Parameters
    ----------
    dates : NDArray[np.datetime64]
        Dates.
    column : NDArray[np.int64]
        Place of each row's column, from 0 and rising by at most one.
    day : NDArray[np.int64]
        Place of each row's day among the dates.
    bins : NDArray[np.int64]
        Bin of each row.
    figures : Sequence[Floats]
        Σw, Σw² and number of each row.

    Returns
    -------
    list[ColumnCounts]
        One for each column, with the days that have rows.
    """
    count = int(column[-1]) + 1
    width = np.maximum.reduceat(bins, np.searchsorted(column, np.arange(count))) + 1 - FIRST_BIN
    ends = np.concatenate([[0], np.cumsum(width * dates.size)])
    cell = ends[column] + day * width[column] + bins - FIRST_BIN
    tables = np.stack([np.bincount(cell, figure, int(ends[-1])) for figure in figures])
    there = np.bincount(column * dates.size + day, figures[2], count * dates.size).reshape(count, dates.size) > 0
    whole, found = there.all(axis=1).tolist(), []
    for place, (size, start, end) in enumerate(zip(width.tolist(), ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
        table = tables[:, start:end].reshape(len(figures), dates.size, size)
        kept = slice(None) if whole[place] else there[place]
        found.append(ColumnCounts(dates[kept], _bin_numbers(size), table[:, kept]))
    return found


@lru_cache(maxsize=4096)
def _bin_numbers(size: int) -> NDArray[np.int64]:
    """The consecutive numbers of bins from FIRST_BIN on, as a shared array that is read-only."""
    numbers = np.arange(FIRST_BIN, FIRST_BIN + size)
    numbers.flags.writeable = False
    return numbers


def _check_bins(metric: str, bins: NDArray[np.int64], edges: Edges) -> NDArray[np.bool_]:
    """Mask of the bins of a check: its special bin, or the bins outside the reference's range."""
    special = CHECKS[metric]
    return _out_of_range_bins(bins, edges) if special is None else np.asarray(bins == special, bool)


def _out_of_range_bins(bins: NDArray[np.int64], edges: Edges) -> NDArray[np.bool_]:
    """Mask of those ordinary bins of a number that lie outside the reference's range."""
    if edges.limits is None:
        return np.zeros(bins.size, bool)
    low, high = edges.limits
    first, last = bisect_right(edges.edges, low), bisect_right(edges.edges, high)
    return np.asarray(((bins >= 0) & (bins < first)) | (bins > last), bool)


def interior_bins(bins: NDArray[np.int64], edges: Edges) -> NDArray[np.bool_]:
    """Mask of the bins for a level, or for a number inside the reference's range.

    Parameters
    ----------
    bins : NDArray[np.int64]
        Numbers of the bins.
    edges : Edges
        Edges of the column.

    Returns
    -------
    NDArray[np.bool_]
    """
    return np.asarray((bins >= 0) & ~_out_of_range_bins(bins, edges) if edges.edges else bins >= 0, bool)


def column_checks(kind: str, edges: Edges, *, feature: bool = True) -> tuple[str, ...]:
    """Checks that apply to a column, by its kind and edges.

    Parameters
    ----------
    kind : str
        Kind of the column.
    edges : Edges
        Edges of the column.
    feature : bool
        Whether the column is a feature.

    Returns
    -------
    tuple[str, ...]
    """
    if not feature:
        return ("null_rate", "nan_rate", *(("out_of_range_rate",) if edges.edges else ()))
    if kind == "number":
        return (*OF_NUMBERS, *(("out_of_range_rate",) if edges.edges else ()))
    return (*OF_CATEGORIES, *(("unseen_rate",) if edges.levels else ()))
