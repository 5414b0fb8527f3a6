"""Compute histograms of numeric columns from raw rows, fast and in bounded memory.

Rows stream from the database as Arrow batches; two threads alternate in fetching a batch and bin it in compiled loops (stats/counting.py).
Memory beside the database's own stays under MEMORY_LIMIT for any number of rows: a few batches and the counts.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from observability.core.catalog import Version
from observability.stats.arrays import Array, Bools, Floats, Integers
from observability.stats.binning import SPECIALS, bin_numbers, compiled_bin_loops, histogram_numbers
from observability.stats.counting import FinePlan, count_bins, fine_plan
from observability.store.query.bin_plans import SCORE_PLAN
from observability.store.query.raw_rows import RawQuery, used_parameters
from observability.store.query.references import FieldExpression
from observability.store.query.source import from_clause
from observability.store.types.column_bins import column_bins

if TYPE_CHECKING:
    from pandas import DataFrame

MEMORY_LIMIT = 128 * 1024 * 1024
"""Bytes that a raw histogram may need beside the database's buffers."""
BATCH_CELLS = 61_440 * 20
"""Values in one batch."""
THREADS = 2
DENSE_CELLS = 500_000
"""Maximum number of groups × bins for which a batch is counted in a dense array."""
COMPACT_ROWS = 500_000
"""Number of rows of the sparse counts of one column from which rows with equal positions are added up."""
Sparse = tuple[Integers, Integers, Floats | None, Floats | None]
"""Positions of counts (group number × width + code), n, and for weighted rows w and w2."""


@dataclass
class SparseCounts:
    """Sparse counts of one column. width: codes of a group, [NaN, null, bin 0, bin 1, …]."""

    width: int
    rows: list[Sparse] = field(default_factory=list)
    held: int = 0
    limit: int = COMPACT_ROWS

    def add(self, place: Integers, n: Integers, w: Floats | None, w2: Floats | None) -> None:
        """Add the counts of a batch."""
        self.rows.append((place, n, w, w2))
        self.held += place.size
        if self.held > self.limit:
            self.rows = [self.total()]
            self.held = self.rows[0][0].size
            self.limit = max(COMPACT_ROWS, 2 * self.held)

    def total(self) -> Sparse:
        """All counts, equal positions added up."""
        if not self.rows:
            return np.empty(0, np.int64), np.empty(0, np.int64), None, None
        places, inverse = np.unique(np.concatenate([row[0] for row in self.rows]), return_inverse=True)
        n = np.zeros(places.size, np.int64)
        np.add.at(n, inverse, np.concatenate([row[1] for row in self.rows]))
        weights = [[part for part in (row[k] for row in self.rows) if part is not None] for k in (2, 3)]
        w, w2 = (np.asarray(np.bincount(inverse, np.concatenate(parts), places.size), np.float64) if parts else None for parts in weights)
        return places, n, w, w2


@dataclass
class GroupNumbers:
    """The number of each group that was seen up to now, by its key."""

    known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def number(self, keys: list[tuple[Any, ...]]) -> Integers:
        """The number of each group. New groups get the next number."""
        return np.array([self.known.setdefault(key, len(self.known)) for key in keys], np.int64)


def number_histograms(query: RawQuery, items: Sequence[tuple[int, FieldExpression]]) -> Iterator["DataFrame"]:
    """The histograms of numeric fields, with the bins of each version; histograms of errors count labelled rows only."""
    of_errors = [item for item in items if item[1].reference == "error"]
    for some, where in (([item for item in items if item not in of_errors], ""), (of_errors, "WHERE l.code = 0")):
        for version in _unique_versions(query.rows.streams.values()) if some else ():
            yield _version_histograms(query, version, some, where)


def _unique_versions(versions: Any) -> list[Version]:
    """The versions without repetitions, in their order."""
    return list({id(version): version for version in versions}.values())


def _version_histograms(query: RawQuery, version: Version, items: Sequence[tuple[int, FieldExpression]], where: str) -> "DataFrame":
    """The histograms over the rows of one version."""
    import pandas as pd

    plans = [fine_plan(column_bins(query.model, version, field.reference).edges) for _, field in items]
    rows = query.rows.of_version(version)
    labelled = any(key.labelled for key in query.keys) or any(field.labelled for _, field in items)
    clause, source, parameters = from_clause(
        query.cursor, rows, [*(key.sql for key in query.keys), *(field.sql for _, field in items)], labelled
    )
    keys = [f"{'p.score' if key.score_bin else key.sql} AS k{place}" for place, key in enumerate(query.keys)]
    weight = [f"{query.weight}::DOUBLE AS w"] if query.weighted else []
    values = [f"({field.sql})::DOUBLE AS x{item}" for item, field in items]
    statement = f"{clause} SELECT {', '.join(keys + weight + values)} {source} {where}"
    counts, groups = [SparseCounts(plan.bins + SPECIALS) for plan in plans], GroupNumbers()
    batches = iter(
        query.cursor.sql(statement, params=used_parameters(statement, parameters)).to_arrow_reader(
            max(BATCH_CELLS // (len(items) + len(keys)), 2048)
        )
    )
    fetching, adding = threading.Lock(), threading.Lock()

    def work() -> None:
        while True:
            with fetching:
                batch = next(batches, None)
            if batch is None:
                return
            _count_batch(batch, query, plans, counts, groups, adding)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work) for _ in range(THREADS)]:
            done.result()
    names = list(groups.known)
    parts = []
    for (item, _), held in zip(items, counts, strict=True):
        place, n, w, w2 = held.total()
        group, code = np.divmod(place, held.width)
        part: dict[str, Any] = {f"k{i}": _key_values([name[i] for name in names], group) for i in range(len(query.keys))}
        part |= {"item": np.full(place.size, item), "bin": code - SPECIALS, "n": n}
        parts.append(pd.DataFrame(part | {"w": n.astype(np.float64) if w is None else w, "w2": n.astype(np.float64) if w2 is None else w2}))
    return pd.concat(parts, ignore_index=True)


def _key_values(values: list[Any], group: Integers) -> Array:
    """The value of a key for each row. Integers stay integers."""
    return np.array(values, object if any(not isinstance(value, int) for value in values) else np.int64)[group]


@dataclass(frozen=True)
class RowBatch:
    """A batch of rows. local: group of each row within the batch (None: one group); numbers: number of each of these groups over all
    batches. cells: values in all columns.
    """

    rows: pa.RecordBatch
    local: Integers | None
    numbers: Integers
    weights: Floats | None
    cells: int


def _count_batch(
    rows: pa.RecordBatch,
    query: RawQuery,
    plans: Sequence[FinePlan],
    counts: Sequence[SparseCounts],
    groups: GroupNumbers,
    adding: threading.Lock,
) -> None:
    """Add one batch of rows to the counts."""
    if not rows.num_rows:
        return
    first = len(query.keys)
    local, keys = _batch_groups(rows, query)
    with adding:
        numbers = groups.number(keys)
    weights = rows.column(first).to_numpy() if query.weighted else None
    batch = RowBatch(rows, local, numbers, weights, rows.num_rows * len(plans))
    if weights is not None:
        compiled_bin_loops(batch.cells)
    for place, (plan, held) in enumerate(zip(plans, counts, strict=True), start=first + query.weighted):
        added = _column_counts(batch, place, plan, held.width)
        with adding:
            held.add(*added)


def _batch_groups(batch: pa.RecordBatch, query: RawQuery) -> tuple[Integers | None, list[tuple[Any, ...]]]:
    """Group of each row of a batch (None: one group), and the keys of each group."""
    if not query.keys:
        return None, [()]
    combined: Integers = np.zeros(1, np.int64)
    levels: list[list[Any]] = []
    for place, key in enumerate(query.keys):
        column = batch.column(place)
        if key.score_bin:
            scores, valid = _numbers(column)
            column = pa.array(bin_numbers(scores, SCORE_PLAN, valid))
        coded = column.dictionary_encode(null_encoding="encode")
        levels.append(coded.dictionary.to_pylist())
        combined = combined * len(levels[-1]) + coded.indices.to_numpy()
    if len(levels) == 1:
        return combined, [(value,) for value in levels[0]]
    coded = pa.array(combined).dictionary_encode()
    rest, parts = coded.dictionary.to_numpy(), []
    for names in reversed(levels):
        rest, place = np.divmod(rest, len(names))
        parts.append([names[int(i)] for i in place])
    return coded.indices.to_numpy().astype(np.int64), list(zip(*reversed(parts), strict=True))


def _numbers(column: pa.Array) -> tuple[Floats, Bools | None]:
    """Values of a column of doubles without a copy, and the mask of the non-null ones (None: all)."""
    buffer = column.buffers()[1]
    values = np.frombuffer(buffer, np.float64)[column.offset : column.offset + len(column)] if buffer is not None else np.zeros(len(column))
    return values, column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None


def _column_counts(batch: RowBatch, place: int, plan: FinePlan, width: int) -> Sparse:
    """Counts of one column of a batch."""
    values, valid = _numbers(batch.rows.column(place))
    local, numbers, weights = batch.local, batch.numbers, batch.weights
    if numbers.size * width <= DENSE_CELLS:
        w: Floats | None = None
        w2: Floats | None = None
        if weights is None:
            flat = count_bins(values, plan, valid, local, numbers.size, batch.cells).reshape(-1)
            filled = np.flatnonzero(flat)
        else:
            found = histogram_numbers(values, plan.plan, weights, valid, local, numbers.size)
            flat = found.n.reshape(-1)
            filled = np.flatnonzero(flat)
            w, w2 = (None if part is None else part.reshape(-1)[filled] for part in (found.w, found.w2))
        group, code = np.divmod(filled, width)
        return numbers[group] * width + code, flat[filled], w, w2
    codes = bin_numbers(values, plan.plan, valid).astype(np.int64) + SPECIALS
    places, inverse, n = np.unique(numbers[local] * width + codes, return_inverse=True, return_counts=True)
    if weights is None:
        return places, n.astype(np.int64), None, None
    w, w2 = (np.asarray(np.bincount(inverse, weights**power, places.size), np.float64) for power in (1, 2))
    return places, n.astype(np.int64), w, w2
