"""Compute distances between the inputs and the scores of two sides, on the same bins.

If every version on both sides was registered with the same edges for a column, the counts of all rows are compared. Otherwise, a sample of
limited size from each side is binned on the edges of one version. Each difference states how many rows were used.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from observability.compare.difference import AskEngine, Difference, Section, unavailable_difference
from observability.core.catalog import Edges, Model, Version
from observability.core.errors import ObservabilityError
from observability.core.questions import NULL, UNSEEN, Aggregate, Sample
from observability.core.window import Window
from observability.detection import histogram_distance
from observability.metrics.histograms import (
    ColumnHistogram,
    axes_of_counts,
    axis_size,
    grouped_columns,
    histogram_rows_by_column,
    histograms_of_columns,
    psi_groups,
)
from observability.metrics.performance import Columns
from observability.stats import distance
from observability.stats.interval import Interval
from observability.stats.scores import SCORE_EDGES

if TYPE_CHECKING:
    from pandas import DataFrame, Series

LOG = logging.getLogger(__name__)
SAMPLE_ROWS = 20_000
MINIMUM_PSI = histogram_distance.WATCH
SCORE_EDGES_FIXED = Edges(edges=tuple(SCORE_EDGES.tolist()))
"""The edges of a classifier's score, the same for every version."""


@dataclass(frozen=True)
class HistogramPair:
    """One column on both sides, on the same edges.

    a, b: arrays of bin, n, w, w2. basis: "counts" if every row is used; "sample" if a sample of limited size of each side is used.
    """

    column: str
    name: str
    edges: Edges
    a: Columns
    b: Columns
    basis: Literal["counts", "sample"]


class ColumnEvidence(Mapping[str, Any]):
    """Further figures about the distance of one column, besides its PSI. They are computed only when they are read, because a page shows
    only a few columns.
    """

    def __init__(self, compute: Callable[[], Mapping[str, Any]]) -> None:
        self._compute = compute

    @cached_property
    def _known(self) -> Mapping[str, Any]:
        return self._compute()

    def __getitem__(self, name: str) -> Any:
        """The figure with this name. Raises KeyError."""
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the figures."""
        return iter(self._known)

    def __len__(self) -> int:
        """The number of figures."""
        return len(self._known)


def input_differences(
    ask: AskEngine, model: Model, a: Window, b: Window, versions_a: Sequence[Version], versions_b: Sequence[Version]
) -> tuple[list[Difference], dict[str, HistogramPair]]:
    """The distance of every feature and of the score, and their histograms by column."""
    pairs = _histogram_pairs(ask, model, a, b, [*versions_a, *versions_b])
    held = [each for each in pairs if not isinstance(each, Difference)]
    measured = iter(_distance_differences(held))
    return [each if isinstance(each, Difference) else next(measured) for each in pairs], {each.column: each for each in held}


def _compared_columns(model: Model, versions: Sequence[Version]) -> list[str]:
    """The features that any of the versions was registered with (all features seen, if no version was registered), and the score."""
    registered = {name for version in versions for name in version.features}
    features = [each.reference for each in model.features() if not registered or each.name in registered]
    has_score = bool(model.classes) or any("score" in version.edges for version in versions)
    return [*features, *(["score"] if has_score else [])]


def _shared_edges(model: Model, versions: Sequence[Version], column: str) -> Edges | None:
    """The edges of a column if they are the same in every version; else None."""
    if column == "score" and model.classes:
        return SCORE_EDGES_FIXED
    if not versions:
        return None
    found = versions[0].edges.get(column)
    for version in versions[1:]:
        if version.edges.get(column) != found:
            return None
    return found


def _histogram_pairs(ask: AskEngine, model: Model, a: Window, b: Window, versions: Sequence[Version]) -> list[HistogramPair | Difference]:
    """Both sides of every column; for a column that cannot be read or has no value, a Difference with the reason."""
    columns = _compared_columns(model, versions)
    different = list({version.name: version for version in versions}.values())
    edges = {column: _shared_edges(model, different, column) for column in columns}
    counted = [column for column in columns if edges[column] is not None]
    broken: dict[str, Exception] = {}
    frames = {side: _histogram_counts(ask, window, counted, broken) for side, window in (("a", a), ("b", b))}
    rows = [histogram_rows_by_column(frame)[1] for frame in frames.values()]
    empty: Columns = {name: np.zeros(0) for name in ("bin", "n", "w", "w2")}
    drawn = _sampled_values(ask, a, b, [column for column in columns if edges[column] is None], broken)
    found: list[HistogramPair | Difference] = []
    for column in columns:
        name, known = model.subject(column), edges[column]
        if column in broken:
            found.append(_refused_column(column, name, f"it could not be read: {broken[column]}"))
        elif known is not None:
            one, other = (side.get(column, empty) for side in rows)
            found.append(HistogramPair(column, name, known, one, other, "counts"))
        else:
            found.append(_binned_samples(model, column, name, versions, *(frame[column] for frame in drawn)))
    return found


def _histogram_counts(ask: AskEngine, window: Window, columns: Sequence[str], broken: dict[str, Exception]) -> "DataFrame":
    """The histograms of some columns. If a column fails, this is noted in `broken`, and the other columns are not affected."""
    import pandas as pd

    if not columns:
        return pd.DataFrame(columns=["column", "bin", "n", "w", "w2"])
    try:
        return ask(Aggregate("predictions", histogram=tuple(columns)), window)
    except Exception as error:
        if isinstance(error, ObservabilityError) and error.exit_code == 3:
            raise
        LOG.warning("histograms of %s cannot be read at once: %s", window.model, error)
    parts = []
    for column in columns:
        try:
            parts.append(ask(Aggregate("predictions", histogram=(column,)), window))
        except Exception as error:
            broken[column] = error
    return pd.concat(parts, ignore_index=True) if parts else _histogram_counts(ask, window, (), broken)


def _sampled_values(ask: AskEngine, a: Window, b: Window, columns: Sequence[str], broken: dict[str, Exception]) -> list["DataFrame"]:
    """The values of some columns in a sample of limited size of each side."""
    import pandas as pd

    if not columns:
        return [pd.DataFrame(), pd.DataFrame()]
    try:
        return [ask(Sample("predictions", tuple(columns), SAMPLE_ROWS), window) for window in (a, b)]
    except ObservabilityError as error:
        if error.exit_code == 3:
            raise
        broken.update(dict.fromkeys(columns, error))
        return [pd.DataFrame(), pd.DataFrame()]


def _refused_column(column: str, name: str, why: str) -> Difference:
    """The difference of a column that cannot be compared, with the reason."""
    return replace(unavailable_difference("score" if column == "score" else "inputs", name, "psi", "nats", why), distance=True)


def _binned_samples(
    model: Model, column: str, name: str, versions: Sequence[Version], a: "Series[Any]", b: "Series[Any]"
) -> HistogramPair | Difference:
    """Both samples of a column, in the bins of the first version that has bins for it; if none has, in bins made from the values of
    side B.
    """
    known = model.column(column)
    number = known is None or known.kind == "number"
    edges = next((version.edges[column] for version in versions if column in version.edges), None) or _edges_from_values(
        b if len(b) else a, number
    )
    if not edges.edges and not edges.levels:
        return _refused_column(column, name, "it has no value on either side")
    place = _number_bins if number else _level_bins
    return HistogramPair(column, name, edges, place(a, edges), place(b, edges), "sample")


def _edges_from_values(values: "Series[Any]", number: bool) -> Edges:
    """Edges computed from the values."""
    from observability.stats.edges import category_levels, numeric_edges

    if not number:
        return Edges(levels=category_levels(list(values)).levels)
    found = numeric_edges(values.to_numpy(np.float64))
    return Edges(
        tuple(found.edges.tolist()), tuple(found.deciles.tolist()), tuple(found.positions.tolist()), found.scale, found.low, found.high
    )


def _number_bins(values: "Series[Any]", edges: Edges) -> Columns:
    """Counts of numbers by bin (closed on the left); missing values are in the bin NULL."""
    given = values.to_numpy(np.float64)
    bins = np.where(np.isnan(given), NULL, np.searchsorted(np.asarray(edges.edges), np.nan_to_num(given), side="right"))
    return _bin_counts(bins)


def _level_bins(values: "Series[Any]", edges: Edges) -> Columns:
    """Counts of levels by index; unseen levels and missing values each have a separate bin."""
    from observability.stats.edges import level_label

    places = {level: place for place, level in enumerate(edges.levels)}
    names = [level_label(each) for each in values]
    return _bin_counts(np.array([NULL if each is None else places.get(each, UNSEEN) for each in names], np.int64))


def _bin_counts(bins: np.ndarray) -> Columns:
    """Arrays bin, n, w and w2, from the bin of each row (weight 1)."""
    found, n = np.unique(bins.astype(np.int64), return_counts=True)
    return {"bin": found, "n": n.astype(np.int64), "w": n.astype(np.float64), "w2": n.astype(np.float64)}


@dataclass(frozen=True)
class _ComparedColumn:
    """A column with its bins. edges: None for a classifier's score, which has fixed edges. group: PSI group of each bin. before: side B;
    after: side A; both have rows.
    """

    pair: HistogramPair
    edges: Edges | None
    group: NDArray[np.int64]
    before: ColumnHistogram
    after: ColumnHistogram


def _distance_differences(pairs: Sequence[HistogramPair]) -> list[Difference]:
    """The distance between both sides of each column. Columns with the same number of groups are computed together."""
    edges = [None if pair.edges is SCORE_EDGES_FIXED else pair.edges for pair in pairs]
    sizes = [axis_size(each) for each in edges]
    found = {
        place: _refused_column(pair.column, pair.name, "it has no bins")
        for place, (pair, size) in enumerate(zip(pairs, sizes, strict=True))
        if size is None
    }
    held = [(place, size) for place, size in enumerate(sizes) if size is not None]
    after, before = (
        histograms_of_columns([getattr(pairs[place], side) for place, _ in held], [size for _, size in held]) for side in ("a", "b")
    )
    groups = psi_groups([edges[place] for place, _ in held], [then.values for then in before])
    blocks: dict[int, list[tuple[int, _ComparedColumn]]] = {}
    for (place, _), now, then, group in zip(held, after, before, groups, strict=True):
        pair = pairs[place]
        if now.n <= 0 or then.n <= 0:
            refused = _refused_column(pair.column, pair.name, f"side {'A' if now.n <= 0 else 'B'} has no rows")
            found[place] = replace(refused, a=_rows_alone(now), b=_rows_alone(then))
        else:
            blocks.setdefault(int(group[-1]), []).append((place, _ComparedColumn(pair, edges[place], group, then, now)))
    for block in blocks.values():
        places, columns = zip(*block, strict=True)
        found.update(zip(places, _block_differences(columns), strict=True))
    return [found[place] for place in range(len(pairs))]


def _rows_alone(side: ColumnHistogram) -> Interval:
    """The number of rows of a side, as an interval without a value."""
    return Interval(None, None, None, side.n)


def _block_differences(columns: Sequence[_ComparedColumn]) -> list[Difference]:
    """The PSI of columns with the same number of groups, on the deciles of the reference, with intervals and p-values. Other distances of a
    column are computed only when they are read.
    """
    groups_of = [each.group for each in columns]
    base, now = (grouped_columns([getattr(each, side) for each in columns], groups_of) for side in ("before", "after"))
    n = [each.before.n for each in columns], [each.after.n for each in columns]
    values, groups = distance.psi_by_row(base, now), np.count_nonzero(base + now, axis=1)
    p_values = distance.psi_p_values(values, *n, groups).tolist()
    ends = zip(*(each.tolist() for each in histogram_distance.intervals_around(values, groups, (base, now), n)), strict=True)
    measured = zip(columns, values.tolist(), groups.tolist(), p_values, ends, strict=True)
    return [_psi_difference(*each) for each in measured]


def _psi_difference(column: _ComparedColumn, value: float, groups: int, p_value: float, ends: tuple[float, float]) -> Difference:
    """The difference of one column from its PSI. groups: number of groups that have rows."""
    pair, after, before = column.pair, column.after, column.before
    section: Section = "score" if pair.column == "score" else "inputs"
    needed = histogram_distance.psi_rows_needed(groups, before.n, MINIMUM_PSI)
    why, more = None, None
    if after.n < needed and np.isinf(needed):
        why = "side B has too few rows to distinguish its distances from chance"
    elif after.n < needed:
        why = "too few rows on side A to distinguish a distance from chance"
        more = max(int(np.ceil(needed - after.n)), 1)
    return Difference(
        section, pair.name, "psi", "nats", _rows_alone(after), _rows_alone(before), Interval(value, *ends, min(after.n, before.n)),
        MINIMUM_PSI, p_value, why=why, more=more, distance=True,
        evidence=ColumnEvidence(partial(_column_evidence, column, groups)),
    )  # fmt: skip


def _column_evidence(column: _ComparedColumn, groups: int) -> Mapping[str, Any]:
    """The other distances of a column, the 95 % point of the null distribution of its PSI, the missing values on both sides, and
    the basis.
    """
    before, after = column.before, column.after
    (axis,) = axes_of_counts([column.edges], [before.values])
    known = {"null_95": distance.psi_null_quantile(before.n, after.n, groups), **histogram_distance.other_distances(axis, before, after)}
    names = ("null_95", "jensen_shannon_distance", "kolmogorov_smirnov", "l_infinity", "wasserstein", "mean_shift")
    return {name: known.get(name) for name in names} | {
        "missing_a": after.missing_share,
        "missing_b": before.missing_share,
        "basis": column.pair.basis,
    }
