"""Histograms of one column: the reference, the window, and each of its days."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Edges
from observability.core.questions import UNSEEN
from observability.metrics.performance import Columns, answer_columns
from observability.stats.distance import coarsen_bins, merge_bins
from observability.stats.edges import atom_bins
from observability.stats.interval import effective_n
from observability.stats.scores import SCORE_EDGES, bin_middles

if TYPE_CHECKING:
    from pandas import DataFrame

RARE_SHARE = 0.01
"""Categories that are rarer than this share in the reference are merged. As single groups, they would add noise to the PSI."""
GROUPS = 10
BLOCK = 256
"""Maximum number of columns that are counted together. It limits the memory."""


@dataclass(frozen=True)
class ColumnAxis:
    """Bins of one column: the number of ordinary bins, and for each bin its PSI group (the last two groups are unseen and missing values).

    edges and positions are empty for categories; scale is the reference's standard deviation, None if it has none. own_groups: for
    categories, the number of levels that have a group of their own; these are the first groups.
    """

    size: int
    group: NDArray[np.int64]
    edges: NDArray[np.float64]
    positions: NDArray[np.float64]
    scale: float | None
    winsorise: tuple[float, float] | None
    levels: tuple[str, ...] = ()
    own_groups: int = 0

    @property
    def ordered(self) -> bool:
        """Whether bins have an order (numbers)."""
        return self.edges.size > 0

    @property
    def common(self) -> tuple[str, ...]:
        """For categories, the levels that have a group of their own, in the order of the groups."""
        return tuple(self.levels[place] for place in np.flatnonzero(self.group[: len(self.levels)] < self.own_groups).tolist())


@dataclass(frozen=True)
class ColumnHistogram:
    """Counts of one column: ordinary bins, then unseen, then missing values (null, NaN, absent, wrong type). n is the effective number of
    rows.
    """

    counts: NDArray[np.float64]
    n: float
    rows: int

    @property
    def values(self) -> NDArray[np.float64]:
        """Counts of the ordinary bins."""
        return self.counts[:-2]

    @property
    def missing_share(self) -> float:
        """Share of missing values; NaN without rows."""
        return float(self.counts[-1] / self.counts.sum()) if self.counts.sum() > 0 else float("nan")


def column_axis(edges: Edges | None, reference: "DataFrame | Columns") -> ColumnAxis | None:
    """Bins of a column from its stored edges.

    Parameters
    ----------
    edges : Edges | None
        Edges of the column; None for a classifier's score, which has fixed edges.
    reference : DataFrame | Columns
        Rows of the column in the reference histogram, from which rare categories and the score's groups follow.

    Returns
    -------
    ColumnAxis | None
        None if the column has no bins.
    """
    size = axis_size(edges)
    return None if size is None else axes_of_counts([edges], [_dense_counts(reference, size)[:-2]])[0]


def axis_size(edges: Edges | None) -> int | None:
    """Number of ordinary bins of a column; None if the column has no bins.

    Parameters
    ----------
    edges : Edges | None
        Edges of the column; None for a classifier's score, which has fixed edges.

    Returns
    -------
    int | None
        None where the column has no bins.
    """
    if edges is None:
        return len(SCORE_EDGES) + 1
    return len(edges.levels) or (len(edges.edges) + 1 if edges.edges else None)


def axes_of_counts(edges: Sequence[Edges | None], counts: Sequence[NDArray[np.float64]]) -> list[ColumnAxis]:
    """Bins of many columns for which `axis_size` is not None.

    Parameters
    ----------
    edges : Sequence[Edges | None]
        Edges of each column; None for a classifier's score, which has fixed edges.
    counts : Sequence[NDArray[np.float64]]
        Reference of each column by ordinary bin, from which rare categories and the score's groups follow.

    Returns
    -------
    list[ColumnAxis]
    """
    return [_axis_of_groups(*each) for each in zip(edges, counts, _groups_of_columns(edges, counts), strict=True)]


def _axis_of_groups(edges: Edges | None, counts: NDArray[np.float64], groups: "_ColumnGroups") -> ColumnAxis:
    """Bins of one column, from its groups."""
    group, own = groups
    if edges is not None and edges.levels:
        return ColumnAxis(len(edges.levels), group, np.array([]), np.array([]), None, None, edges.levels, own)
    if edges is not None:
        cuts = np.asarray(edges.edges, np.float64)
        limits = None if edges.low is None or edges.high is None else (edges.low, edges.high)
        return ColumnAxis(cuts.size + 1, group, cuts, np.asarray(edges.positions, np.float64), edges.scale, limits)
    cuts = np.asarray(SCORE_EDGES, np.float64)
    positions = bin_middles(cuts)
    mean = float(np.average(positions, weights=counts)) if counts.sum() > 0 else 0.0
    scale = float(np.sqrt(np.average((positions - mean) ** 2, weights=counts))) if counts.sum() > 0 else None
    return ColumnAxis(cuts.size + 1, group, cuts, positions, scale or None, None)


def psi_groups(edges: Sequence[Edges | None], counts: Sequence[NDArray[np.float64]]) -> list[NDArray[np.int64]]:
    """PSI group of each bin of many columns for which `axis_size` is not None.

    Parameters
    ----------
    edges : Sequence[Edges | None]
        Edges of each column; None for a classifier's score, which has fixed edges.
    counts : Sequence[NDArray[np.float64]]
        Reference of each column by ordinary bin.

    Returns
    -------
    list[NDArray[np.int64]]
        For each column the groups of its ordinary bins, then those of unseen and of missing values, which are the last two.
    """
    return [group for group, _ in _groups_of_columns(edges, counts)]


_ColumnGroups = tuple[NDArray[np.int64], int]
"""The groups of a column's bins, and the number of its levels that have a group of their own (0 for numbers)."""


def _groups_of_columns(edges: Sequence[Edges | None], counts: Sequence[NDArray[np.float64]]) -> list[_ColumnGroups]:
    """The groups of many columns. Columns with equally many bins are computed together."""
    found: dict[int, _ColumnGroups] = {}
    alike: dict[tuple[bool, int], list[int]] = {}
    for place, known in enumerate(edges):
        if known is None:
            found[place] = _with_special_groups(coarsen_bins(counts[place], GROUPS)[None])[0], 0
        else:
            alike.setdefault((bool(known.levels), len(known.levels or known.deciles)), []).append(place)
    for (category, _), members in alike.items():
        for first in range(0, len(members), BLOCK):
            places = members[first : first + BLOCK]
            if category:
                common = _is_common(np.stack([counts[place] for place in places]))
                own = common.sum(axis=1)
                group = np.where(common, np.cumsum(common, axis=1) - 1, own[:, None])
            else:
                own = np.zeros(len(places), np.int64)
                group = np.array([known.deciles for place in places if (known := edges[place]) is not None], np.int64)
            found |= zip(places, zip(_with_special_groups(group), own.tolist(), strict=True), strict=True)
    return [found[place] for place in range(len(edges))]


def _is_common(counts: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each level of each category has a group of its own. counts: categories × levels."""
    return np.asarray(counts >= RARE_SHARE * np.maximum(counts.sum(axis=1, keepdims=True), 1.0), np.bool_)


def _with_special_groups(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups of the ordinary bins (columns × bins), followed by one group for unseen and one for missing values."""
    top = group.max(axis=1, keepdims=True) if group.shape[1] else np.full((len(group), 1), -1)
    return np.hstack([group, top + 1, top + 2]).astype(np.int64)


def histogram_rows_by_column(frame: "DataFrame") -> tuple[NDArray[np.int64], dict[str, Columns]]:
    """The days of a histogram query result, and its rows by column.

    Parameters
    ----------
    frame : DataFrame
        Answer.

    Returns
    -------
    tuple[NDArray[np.int64], dict[str, Columns]]
        Numbers of the days since 1970, increasing (none where the answer is not by day), and the rows of each column, where `day` is
        the place of their day.
    """
    import pandas as pd

    named = frame["column"].to_numpy(object)
    starts = np.flatnonzero(np.concatenate([np.ones(min(len(named), 1), bool), named[1:] != named[:-1]]))  # names follow one another
    places, names = pd.factorize(named[starts])
    places = np.repeat(places, np.diff([*starts, len(named)]))
    columns = answer_columns(frame)
    del columns["column"]
    days = np.zeros(0, np.int64)
    if "period" in columns:
        columns["day"], periods = pd.factorize(columns.pop("period"), sort=True)
        days = np.asarray(periods, "datetime64[D]").astype(np.int64)
    if (places[1:] < places[:-1]).any():
        order = np.argsort(places, kind="stable")
        columns = {name: values[order] for name, values in columns.items()}
    ends = np.cumsum(np.bincount(places, minlength=len(names))).tolist()
    parts = zip(map(str, names), map(slice, [0, *ends], ends))
    return days, {column: {name: values[part] for name, values in columns.items()} for column, part in parts}


def _dense_counts(rows: "DataFrame | Columns", size: int) -> NDArray[np.float64]:
    """Weighted counts of `size` ordinary bins, then of unseen and of missing values."""
    places = _bin_places(np.asarray(rows["bin"], np.int64), size)
    return np.bincount(places, np.asarray(rows["w"], np.float64), size + 2).astype(np.float64)


def _bin_places(bins: NDArray[np.int64], size: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row of a histogram query result, its position among `size` ordinary bins, unseen and missing."""
    return np.where(bins >= 0, np.minimum(bins, size - 1), np.where(bins == UNSEEN, size, size + 1))


def column_histogram(rows: "DataFrame | Columns", size: int) -> ColumnHistogram:
    """Histogram of a column, from its rows of a query result.

    Parameters
    ----------
    rows : DataFrame | Columns
        Rows of the column in a histogram answer.
    size : int
        Number of ordinary bins.

    Returns
    -------
    ColumnHistogram
    """
    return histograms_of_columns([rows], [size])[0]


def histograms_of_columns(rows: "Sequence[DataFrame | Columns]", sizes: Sequence[int]) -> list[ColumnHistogram]:
    """Histograms of many columns, counted together.

    Parameters
    ----------
    rows : Sequence[DataFrame | Columns]
        Rows of each column in a histogram answer.
    sizes : Sequence[int]
        Number of ordinary bins of each column.

    Returns
    -------
    list[ColumnHistogram]
    """
    found = []
    for widths, column, (bins, *figures) in _column_blocks(rows, sizes, ("bin", "w", "w2", "n")):
        ends = np.concatenate([[0], np.cumsum(widths)])
        counts = np.bincount(ends[column] + _bin_places(bins.astype(np.int64), widths[column] - 2), figures[0], int(ends[-1]))
        sums = (np.bincount(column, figure, len(widths)).tolist() for figure in figures)
        for start, end, w, w2, n in zip(ends[:-1].tolist(), ends[1:].tolist(), *sums, strict=True):
            found.append(ColumnHistogram(counts[start:end], effective_n(w, w2), int(n)))
    return found


def _column_blocks(
    rows: "Sequence[DataFrame | Columns]", sizes: Sequence[int], names: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], list[NDArray[np.float64]]]]:
    """The columns in blocks of at most BLOCK columns. A block holds three things. First, for each column, its number of bins, including
    unseen and missing. Second, for each row, the position of its column in the block. Third, the named fields of all rows.
    """
    for first in range(0, len(rows), BLOCK):
        some = rows[first : first + BLOCK]
        column = np.repeat(np.arange(len(some)), [len(part[names[0]]) for part in some])
        fields = [np.concatenate([part[name] for part in some]).astype(np.float64) for name in names]
        yield np.asarray(sizes[first : first + BLOCK], np.int64) + 2, column, fields


@dataclass(frozen=True)
class DailyHistogram:
    """Counts of one column by day: the days (numbers since 1970, increasing), the counts (days × bins as in `ColumnHistogram`), and Σw, Σw²
    and rows of each day.
    """

    numbers: NDArray[np.int64]
    counts: NDArray[np.float64]
    w: NDArray[np.float64]
    w2: NDArray[np.float64]
    rows: NDArray[np.int64]

    def at(self, kept: NDArray[np.bool_]) -> "DailyHistogram":
        """The same histogram, only for the days of a mask."""
        return DailyHistogram(self.numbers[kept], self.counts[kept], self.w[kept], self.w2[kept], self.rows[kept])

    def joined(self, later: "DailyHistogram") -> "DailyHistogram":
        """Joins two series. On a day that both have, their values are added."""
        if self.numbers.size and later.numbers.size and self.numbers[-1] < later.numbers[0]:
            parts = ((getattr(self, name), getattr(later, name)) for name in ("numbers", "counts", "w", "w2", "rows"))
            return DailyHistogram(*map(np.concatenate, parts))
        numbers, place = np.unique(np.concatenate([self.numbers, later.numbers]), return_inverse=True)
        counts = np.zeros((numbers.size, self.counts.shape[1]))
        np.add.at(counts, place, np.concatenate([self.counts, later.counts]))
        w, w2, rows = (
            np.bincount(place, np.concatenate(each), numbers.size)
            for each in ((self.w, later.w), (self.w2, later.w2), (self.rows, later.rows))
        )
        return DailyHistogram(numbers, counts, w, w2, rows.astype(np.int64))

    def over(self, kept: NDArray[np.bool_]) -> ColumnHistogram:
        """One histogram of all days of a mask together."""
        return ColumnHistogram(
            self.counts[kept].sum(axis=0), effective_n(float(self.w[kept].sum()), float(self.w2[kept].sum())), int(self.rows[kept].sum())
        )


def daily_histogram(days: NDArray[np.int64], rows: Columns, size: int) -> DailyHistogram:
    """Histogram of a column by day, for the days that have rows.

    Parameters
    ----------
    days : NDArray[np.int64]
        Days of the answer (`histogram_rows_by_column`).
    rows : Columns
        Rows of the column in a histogram answer.
    size : int
        Number of ordinary bins.

    Returns
    -------
    DailyHistogram
    """
    return daily_histograms(days, [rows], [size])[0]


def daily_histograms(days: NDArray[np.int64], rows: Sequence[Columns], sizes: Sequence[int]) -> list[DailyHistogram]:
    """Histograms of many columns by day, counted together, each for the days that have rows.

    Parameters
    ----------
    days : NDArray[np.int64]
        Days of the answer (`histogram_rows_by_column`).
    rows : Sequence[Columns]
        Rows of each column in a histogram answer.
    sizes : Sequence[int]
        Number of ordinary bins of each column.

    Returns
    -------
    list[DailyHistogram]
    """
    found = []
    for widths, column, (day, bins, w, w2, n) in _column_blocks(rows, sizes, ("day", "bin", "w", "w2", "n")):
        ends = np.concatenate([[0], np.cumsum(widths * days.size)])
        place_of_day = day.astype(np.int64)
        cell = ends[column] + place_of_day * widths[column] + _bin_places(bins.astype(np.int64), widths[column] - 2)
        counts, dated = np.bincount(cell, w, int(ends[-1])), column * days.size + place_of_day
        squares, numbers = (np.bincount(dated, each, len(widths) * days.size).reshape(len(widths), days.size) for each in (w2, n))
        for place, (start, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
            own = counts[start:end].reshape(days.size, widths[place])
            one = DailyHistogram(days, own, own.sum(axis=1), squares[place], numbers[place].astype(np.int64))
            found.append(one if one.rows.all() else one.at(one.rows > 0))
    return found


CALENDAR_SHARE, CALENDAR_ROWS, CALENDAR_DAYS = 0.95, 5, 7
"""Limits from which a column counts as having one value per day: share of a day's rows with the same value; share of the days for which
this holds; minimum number of rows on such a day; and number of days from which the value must differ between days, because a value that
never changes is stuck.
"""


def one_value_a_day(by_day: DailyHistogram, reference: ColumnHistogram) -> bool:
    """Whether the rows of each day share one value, although the column has several values in the reference. Examples are a weekday or a
    holiday flag.

    Parameters
    ----------
    by_day : DailyHistogram
        Histogram by day.
    reference : ColumnHistogram
        Reference histogram.

    Returns
    -------
    bool
        False where one value makes up nearly all of the reference, or stays the same for a week.
    """
    counts = by_day.counts[by_day.rows >= CALENDAR_ROWS]
    if not len(counts) or reference.counts.max() >= CALENDAR_SHARE * reference.counts.sum():
        return False
    shared = counts.max(axis=1) >= CALENDAR_SHARE * counts.sum(axis=1)
    differs = len(counts) < CALENDAR_DAYS or np.unique(counts.argmax(axis=1)).size > 1
    return bool(shared.mean() >= CALENDAR_SHARE and differs)


def tenths_of(axis: ColumnAxis, side: ColumnHistogram) -> NDArray[np.int64]:
    """About ten groups of equal mass in a histogram (not that of the reference), as far as the stored bins permit. Unseen and missing are
    groups of their own.

    Parameters
    ----------
    axis : ColumnAxis
        Bins of the column, a number.
    side : ColumnHistogram
        Histogram.

    Returns
    -------
    NDArray[np.int64]
    """
    return _with_special_groups(coarsen_bins(side.values, GROUPS, atom_bins(axis.edges))[None])[0]


def fine_groups(axis: ColumnAxis, reference: ColumnHistogram) -> NDArray[np.int64]:
    """About 20 groups for the Jensen-Shannon distance. A single value with many rows forms a group of its own; so do unseen and missing
    values.

    Parameters
    ----------
    axis : ColumnAxis
        Bins of the column.
    reference : ColumnHistogram
        Reference histogram.

    Returns
    -------
    NDArray[np.int64]
    """
    if not axis.ordered:
        return axis.group
    return _with_special_groups(coarsen_bins(reference.values, 20, atom_bins(axis.edges))[None])[0]


def group_cuts(axis: ColumnAxis) -> list[float]:
    """Edges between the PSI groups of a number.

    Parameters
    ----------
    axis : ColumnAxis
        Bins of the column.

    Returns
    -------
    list[float]
        Increasing; a group begins at its edge.
    """
    return [float(edge) for edge, one, next_one in zip(axis.edges, axis.group, axis.group[1:]) if one != next_one]


def grouped_counts(side: ColumnHistogram, group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Counts merged into groups.

    Parameters
    ----------
    side : ColumnHistogram
        Histogram.
    group : NDArray[np.int64]
        Group of each bin.

    Returns
    -------
    NDArray[np.float64]
    """
    return merge_bins(side.counts, group)


def grouped_columns(sides: Sequence[ColumnHistogram], groups: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Counts of many columns, merged into their groups in one step. All columns must have the same number of groups.

    Parameters
    ----------
    sides : Sequence[ColumnHistogram]
        Histogram of each column.
    groups : Sequence[NDArray[np.int64]]
        Group of each bin, of each column.

    Returns
    -------
    NDArray[np.float64]
        (columns, groups).
    """
    size = int(groups[0].max()) + 1
    cells = np.concatenate(groups) + np.repeat(np.arange(len(groups)) * size, [len(group) for group in groups])
    merged = np.bincount(cells, np.concatenate([side.counts for side in sides]), len(groups) * size)
    return merged.astype(np.float64).reshape(len(groups), size)


def mean_shift(axis: ColumnAxis, reference: ColumnHistogram, current: ColumnHistogram) -> float | None:
    """Shift of the mean in reference standard deviations. Values beyond the reference's range are clipped to its ends.

    Parameters
    ----------
    axis : ColumnAxis
        Bins of the column.
    reference : ColumnHistogram
        Reference histogram.
    current : ColumnHistogram
        Current histogram.

    Returns
    -------
    float | None
        None for categories and constants, and where a side has no values.
    """
    if not axis.ordered or not axis.scale or reference.values.sum() <= 0 or current.values.sum() <= 0:
        return None
    at = axis.positions if axis.winsorise is None else np.clip(axis.positions, *axis.winsorise)
    before, after = (float(at @ side.values / side.values.sum()) for side in (reference, current))
    return (after - before) / axis.scale
