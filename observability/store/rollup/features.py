"""Daily counts and sums of the features of stored predictions, on the bin edges of their version.

An unregistered version has no edges. Its nulls, NaN and absent features are still counted: every number is in bin 0, every level is unseen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Edges, Model, Version
from observability.core.questions import ABSENT, NULL, UNSEEN, WRONG_TYPE
from observability.stats.arrays import Bools, Floats, Integers
from observability.stats.binning import SPECIALS, Histogram, histogram_columns
from observability.store.db.results import Cursor
from observability.store.db.schema import COUNT_COLUMNS, SCORE, SUM_COLUMNS
from observability.store.db.shared_tables import insert_sql
from observability.store.query.bin_plans import cached_bin_plan

HOUR_US = 3_600_000_000
ARROW_TYPES = {
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "DOUBLE": pa.float64(),
}
GROUPS_AT_ONCE = 256
"""Groups (stream, day, arrival hour) counted in one pass, so that memory is bounded for any block."""


@dataclass(frozen=True)
class RollupGroups:
    """The group of each row, and the keys of each group."""

    of_row: Integers
    stream: Integers
    day: Integers
    arrived: Integers


@dataclass
class RollupDeltas:
    """New rows of the counts and sums tables, collected column by column."""

    counts: list[tuple[NDArray[np.generic], ...]] = field(default_factory=list)
    sums: list[tuple[NDArray[np.generic], ...]] = field(default_factory=list)

    def add_counts(self, groups: RollupGroups, measure: int, first_bin: int, n: Integers, w: Floats | None, w2: Floats | None) -> None:
        """Add counts of shape (groups, bins) whose first bin is `first_bin`."""
        group, place = np.nonzero(n)
        held = n[group, place]
        whole = held.astype(np.float64)
        keys = groups.stream[group], groups.day[group], np.full(group.size, measure), place + first_bin, groups.arrived[group]
        weights = whole if w is None else w[group, place], whole if w2 is None else w2[group, place]
        self.counts.append((*keys, held, *weights))

    def add_sums(self, groups: RollupGroups, measure: int, n: Integers, w: Floats, w2: Floats, histogram: Histogram) -> None:
        """Add sums by group; groups without a finite value are left out."""
        group = np.flatnonzero(n)
        figures = (n, w, w2, histogram.total, histogram.squares, histogram.low, histogram.high)
        keys = groups.stream[group], groups.day[group], np.full(group.size, measure), groups.arrived[group]
        self.sums.append((*keys, *(figure[group] for figure in figures)))


def add_feature_counts(
    writer: Cursor, model: Model, rows: pa.Table, versions: Mapping[int, Version], references: Sequence[int], threads: int = 2
) -> None:
    """Add the histograms and sums of features and groups of new predictions (all stored columns) to the rollups of their model."""
    for table, added in feature_counts(model, rows, versions, references, threads).items():
        add_rollup_rows(writer, model, table, [added])


def feature_counts(
    model: Model, rows: pa.Table, versions: Mapping[int, Version], references: Sequence[int], threads: int = 2
) -> dict[str, pa.Table]:
    """The rows that the features and groups of new predictions (all stored columns) add to the rollups of their model, by rollup table."""
    deltas = RollupDeltas()
    if not rows.num_rows or not (model.columns or model.task == "regression"):
        return {}
    for part, groups in _row_groups(rows, references):
        of_version: dict[int, list[int]] = {}
        for stream in np.unique(groups.stream).tolist():
            of_version.setdefault(id(versions[stream]), []).append(stream)
        for streams in of_version.values():
            of_row = groups.of_row
            if len(of_version) > 1:
                of_row = np.where(np.isin(groups.stream[groups.of_row], streams), groups.of_row, -1)
            mine = RollupGroups(of_row, groups.stream, groups.day, groups.arrived)
            _add_version(deltas, model, part, mine, versions[streams[0]], threads)
    return {"counts": _counts_table(deltas), "sums": _sums_table(deltas)}


def _row_groups(rows: pa.Table, references: Sequence[int]) -> Iterator[tuple[pa.Table, RollupGroups]]:
    """Split the rows into parts of at most GROUPS_AT_ONCE groups."""
    stream = rows["stream"].to_numpy().astype(np.int64)
    outside = np.isin(stream, list(references))
    day = np.where(outside, 0, np.floor_divide(epoch_microseconds(rows["at"]), 24 * HOUR_US) * 24)
    arrived = np.where(outside, 0, -np.floor_divide(-epoch_microseconds(rows["arrived"]), HOUR_US))
    if _varies(stream, day, arrived):
        kinds, of_row = np.unique(np.column_stack([stream, day, arrived]), axis=0, return_inverse=True)
        of_row = of_row.reshape(-1)
    else:
        kinds, of_row = np.array([[stream[0], day[0], arrived[0]]]), np.zeros(stream.size, np.int64)
    for start in range(0, len(kinds), GROUPS_AT_ONCE):
        some = kinds[start : start + GROUPS_AT_ONCE]
        if len(some) == len(kinds):
            yield rows, RollupGroups(of_row, *some.T)
            return
        mask = (of_row >= start) & (of_row < start + len(some))
        yield rows.filter(pa.array(mask)), RollupGroups(of_row[mask] - start, *some.T)


def _varies(*columns: Integers) -> bool:
    """Whether any column has more than one value."""
    return any(column[0] != column[-1] or (column != column[0]).any() for column in columns)


def epoch_microseconds(column: pa.ChunkedArray) -> Integers:
    """Microseconds since 1970 of a timestamp column."""
    return np.asarray(column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(), np.int64)


def _add_version(deltas: RollupDeltas, model: Model, rows: pa.Table, groups: RollupGroups, version: Version, threads: int) -> None:
    """Add the counts of all columns over the rows of one version."""
    weights = None if rows["weight"].null_count == rows.num_rows else pc.fill_null(rows["weight"], 1.0).to_numpy()
    marked = {code: _marked_rows(rows[name]) for code, name in ((ABSENT, "absent"), (WRONG_TYPE, "wrong"))}
    numbers = [
        (column.id, column.column, version.edges.get(column.reference, Edges())) for column in model.columns if column.kind == "number"
    ]
    if model.task == "regression":
        numbers.append((SCORE, "score", version.edges.get("score", Edges())))
    columns = [(*_values(rows[name]), cached_bin_plan(edges.edges)) for _, name, edges in numbers]
    size = len(groups.stream)
    histograms = histogram_columns(columns, threads, weights, groups.of_row, size)
    for (measure, _, _), (values, _, _), histogram in zip(numbers, columns, histograms, strict=True):
        n, w, w2 = histogram.n, histogram.w, histogram.w2
        deltas.add_counts(
            groups, measure, -SPECIALS, *_without_marked(deltas, groups, measure, marked, weights, (n, w, w2), NULL + SPECIALS)
        )
        if measure != SCORE:
            _add_finite_sums(deltas, groups, measure, values, weights, histogram)
    for column in model.columns:
        if column.kind != "number":
            codes = _level_codes(rows[column.column], version.edges.get(column.reference, Edges()).levels)
            width = int(codes.max(initial=0)) + 1 - UNSEEN
            arrays = _group_counts(groups.of_row, codes - UNSEEN, weights, size, width)
            deltas.add_counts(
                groups, column.id, UNSEEN, *_without_marked(deltas, groups, column.id, marked, weights, arrays, NULL - UNSEEN)
            )


def _values(column: pa.ChunkedArray) -> tuple[Floats, Bools | None]:
    """Numbers, and the mask of the non-null ones (None: all)."""
    if not column.null_count:
        return np.asarray(column.to_numpy(), np.float64), None
    return np.asarray(pc.fill_null(column, 0.0).to_numpy(), np.float64), np.asarray(column.is_valid().to_numpy(), bool)


def _marked_rows(lists: pa.ChunkedArray) -> dict[int, Integers]:
    """Row numbers by column id, from a column of lists of ids."""
    if lists.null_count == len(lists):
        return {}
    whole = lists.combine_chunks()
    rows, ids = pc.list_parent_indices(whole).to_numpy(), pc.list_flatten(whole).to_numpy()
    order = np.argsort(ids, kind="stable")
    found, starts = np.unique(ids[order], return_index=True)
    return {int(key): part for key, part in zip(found, np.split(rows[order].astype(np.int64), starts[1:]), strict=True)}


Arrays = tuple[Integers, Floats | None, Floats | None]


def _without_marked(
    deltas: RollupDeltas,
    groups: RollupGroups,
    measure: int,
    marked: Mapping[int, dict[int, Integers]],
    weights: Floats | None,
    arrays: Arrays,
    null_place: int,
) -> Arrays:
    """Move rows marked as absent or of a wrong type from the null bin to bins of their own in `deltas`; return the remaining arrays."""
    n, w, w2 = arrays
    for code, rows_by_column in marked.items():
        rows = rows_by_column.get(measure)
        if rows is None:
            continue
        of_row, weight = groups.of_row[rows], None if weights is None else weights[rows]
        taken = _group_counts(of_row, np.zeros(rows.size, np.int64), weight, len(groups.stream), 1)
        deltas.add_counts(groups, measure, code, *taken)
        n[:, null_place] -= taken[0][:, 0]
        if w is not None and w2 is not None and taken[1] is not None and taken[2] is not None:
            w[:, null_place] -= taken[1][:, 0]
            w2[:, null_place] -= taken[2][:, 0]
    return n, w, w2


def _group_counts(of_row: Integers, codes: Integers, weights: Floats | None, size: int, width: int) -> Arrays:
    """Counts, Σ weight and Σ weight² of shape (groups, codes). Rows with a negative group are left out."""
    kept = of_row >= 0
    if not kept.all():
        of_row, codes, weights = of_row[kept], codes[kept], None if weights is None else weights[kept]
    flat = of_row * width + codes

    def total(weight: Floats | None) -> NDArray[np.generic]:
        return np.bincount(flat, weight, size * width).reshape(size, width)

    n = total(None).astype(np.int64)
    return (n, None, None) if weights is None else (n, total(weights).astype(np.float64), total(weights**2).astype(np.float64))


def _level_codes(column: pa.ChunkedArray, levels: Sequence[str]) -> Integers:
    """Index of each text or boolean among the levels; UNSEEN for others, NULL for null."""
    names = pc.if_else(column, "true", "false") if pa.types.is_boolean(column.type) else column
    found = pc.fill_null(pc.index_in(names, value_set=pa.array(levels, names.type)), UNSEEN).to_numpy().astype(np.int64)
    if column.null_count:
        found[column.is_null().to_numpy()] = NULL
    return found


def _add_finite_sums(
    deltas: RollupDeltas, groups: RollupGroups, measure: int, values: Floats, weights: Floats | None, histogram: Histogram
) -> None:
    """Add the sums of a number over its finite values. Infinities are counted in the outer bins, but in no sum."""
    n = histogram.n[:, SPECIALS:].sum(axis=1)
    w, w2 = (n.astype(np.float64) if weighted is None else weighted[:, SPECIALS:].sum(axis=1) for weighted in (histogram.w, histogram.w2))
    if (infinite := np.isinf(values)).any():
        rows = np.flatnonzero(infinite & (groups.of_row >= 0))
        weight = None if weights is None else weights[rows]
        out = _group_counts(groups.of_row[rows], np.zeros(rows.size, np.int64), weight, n.size, 1)
        n = n - out[0][:, 0]
        w, w2 = (kept - (out[0] if less is None else less)[:, 0] for kept, less in ((w, out[1]), (w2, out[2])))
    deltas.add_sums(groups, measure, n, w, w2, histogram)


def _counts_table(deltas: RollupDeltas) -> pa.Table:
    """The collected counts as rows of the rollups."""
    names = ["stream", "period", "measure", "bin", "arrived", "n", "w", "w2"]
    return _typed_table(COUNT_COLUMNS, names, deltas.counts, {"slice": 0, "decision": 0, "label": -1, "status": 0})


def _sums_table(deltas: RollupDeltas) -> pa.Table:
    """The collected sums as rows of the rollups."""
    names = ["stream", "period", "measure", "arrived", "n", "w", "w2", "total", "squares", "low", "high"]
    return _typed_table(SUM_COLUMNS, names, deltas.sums, {"slice": 0})


def _typed_table(
    types: Mapping[str, str], names: list[str], parts: list[tuple[NDArray[np.generic], ...]], fixed: Mapping[str, int]
) -> pa.Table:
    """Arrays as a table with the columns of a rollup table. fixed: constant columns."""
    held = dict(zip(names, (np.concatenate(column) for column in zip(*parts, strict=True)), strict=False))
    size = len(next(iter(held.values()))) if held else 0
    arrays = {name: np.full(size, fixed[name]) if name in fixed else held.get(name, np.empty(0)) for name in types}
    return pa.table({name: pa.array(arrays[name]).cast(ARROW_TYPES[kind]) for name, kind in types.items()})


def add_rollup_rows(writer: Cursor, model: Model, table: str, parts: Sequence[pa.Table]) -> None:
    """Add rows to a rollup table of a model. parts: tables with its columns in their order."""
    rows = pa.concat_tables(parts) if parts else None
    if rows is None or not rows.num_rows:
        return
    writer.register("rollup_rows", rows)
    writer.execute(insert_sql(table, model.key, "SELECT * FROM rollup_rows", shared=model.shared))
    writer.unregister("rollup_rows")
