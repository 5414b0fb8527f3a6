"""Parse many lines of one kind and model at once.

Lines that the compiled loop (parse_kernel.py) gives up on are left to the exact parser.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from observability.store.ingest.parse_columns import ScanBuffers, ScannedRows, label_table, prediction_tables, record_table
from observability.store.ingest.parse_kernel import scan_lines
from observability.store.ingest.parse_lines import BlockLines
from observability.store.ingest.parse_numbers import POWERS_HIGH, POWERS_LOW, TENS
from observability.store.ingest.parse_plan import ModelPlan, RecordPlan
from observability.store.ingest.parse_schema import LineSchema, label_schema, prediction_schema, record_schema
from observability.store.types.loading import LoadDefaults

LINES_A_THREAD = 2_000
POWERS = (POWERS_HIGH, POWERS_LOW, TENS)
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class FastParse:
    """Tables of a model's predictions or of another kind's records, and of labels; and the mask of the lines that were parsed."""

    records: list[pa.Table]
    labels: list[pa.Table]
    lines: Array


def read_predictions(lines: BlockLines, plan: ModelPlan, defaults: LoadDefaults, zone: Any, threads: int) -> FastParse:
    """The predictions of a model among the lines, with the labels inside them."""
    schema = prediction_schema(plan, defaults)

    def finish(rows: ScannedRows) -> tuple[pa.Table | None, pa.Table | None]:
        return prediction_tables(rows, schema, plan, defaults, zone)

    return _read(lines, schema, finish, threads)


def read_labels(lines: BlockLines, plan: ModelPlan, defaults: LoadDefaults, zone: Any, threads: int) -> FastParse:
    """The labels of a model among the lines."""
    schema = label_schema(plan, defaults)

    def finish(rows: ScannedRows) -> tuple[pa.Table | None, pa.Table | None]:
        return None, label_table(rows, schema, "value", zone)

    return _read(lines, schema, finish, threads)


def read_records(lines: BlockLines, plan: RecordPlan, defaults: LoadDefaults, zone: Any, threads: int) -> FastParse:
    """The records of another kind among the lines."""
    schema = record_schema(plan, defaults)

    def finish(rows: ScannedRows) -> tuple[pa.Table | None, pa.Table | None]:
        return record_table(rows, schema, plan.kind, zone), None

    return _read(lines, schema, finish, threads)


def _read(
    lines: BlockLines, schema: LineSchema, finish: Callable[[ScannedRows], tuple[pa.Table | None, pa.Table | None]], threads: int
) -> FastParse:
    """Scan the lines in up to `threads` parts and convert the results into tables."""
    parts = max(1, min(threads, len(lines) // LINES_A_THREAD))
    bounds = np.linspace(0, len(lines), parts + 1).astype(int)
    taken = np.zeros(len(lines), np.bool_)

    def work(part: int) -> tuple[pa.Table | None, pa.Table | None]:
        chosen = slice(bounds[part], bounds[part + 1])
        return finish(_scanned(lines.pick(chosen), schema, taken[chosen]))

    if parts == 1:
        found = [work(0)]
    else:
        with ThreadPoolExecutor(parts) as pool:
            found = list(pool.map(work, range(parts)))
    records = [table for table, _ in found if table is not None and table.num_rows]
    labels = [table for _, table in found if table is not None and table.num_rows]
    return FastParse(records, labels, taken)


def _scanned(lines: BlockLines, schema: LineSchema, taken: Array) -> ScannedRows:
    """Run the compiled loop over the lines, mark the parsed ones, and read the numbers that it left to Python."""
    count, arrays = len(lines), schema.arrays()
    numbers, texts, times = schema.slots
    columns = ScanBuffers(
        lines=np.empty(count, np.int64),
        state=np.zeros((count + 1, len(schema.columns)), np.uint8),
        numbers=np.empty((numbers, count + 1)),
        times=np.empty((times, count + 1), np.int64),
        texts=np.empty((texts, count + 1, 2), np.int32),
        later=np.empty((4 * count + 16, 4), np.int32),
    )
    inner = list(schema.classes.values())
    of = schema.by_name.get
    places = np.array([of("score", -1), of("prediction", -1), of("status", -1), min(inner, default=0), max(inner, default=-1) + 1])
    rows, later = scan_lines(lines.buffer, lines.starts, lines.ends, lines.numbers, taken, *arrays, *columns, places, *POWERS)
    for row, slot, start, length in columns.later[:later].tolist():
        columns.numbers[slot, row] = float(bytes(lines.raw[start : start + length]))
    return ScannedRows(lines.raw, lines.buffer, rows, np.ascontiguousarray(columns.state[:rows].T), columns)
