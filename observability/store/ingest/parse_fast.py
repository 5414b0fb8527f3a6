"""Which of many lines can be read at once, and what do they hold? Lines of one kind of record of one model, as tables.

What the compiled loop (parse_scan.py) gives up on is left to the exact path.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from observability.store.ingest.parse_columns import Columns, Rows, label_table, prediction_tables
from observability.store.ingest.parse_kernel import scan
from observability.store.ingest.parse_lines import Lines
from observability.store.ingest.parse_numbers import POWERS_HIGH, POWERS_LOW, TENS
from observability.store.ingest.parse_plan import ModelPlan
from observability.store.ingest.parse_schema import Schema, label_schema, prediction_schema
from observability.store.ingest.parse_types import Defaults

LINES_A_THREAD = 2_000
POWERS = (POWERS_HIGH, POWERS_LOW, TENS)
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Taken:
    """What was read: tables of predictions and labels of the model, and which of the lines they are."""

    predictions: list[pa.Table]
    labels: list[pa.Table]
    lines: Array


def read_predictions(lines: Lines, plan: ModelPlan, defaults: Defaults, zone: Any, threads: int) -> Taken:
    """The predictions of a model among the lines, with the labels inside them."""
    schema = prediction_schema(plan, defaults)

    def finish(rows: Rows) -> tuple[pa.Table | None, pa.Table | None]:
        return prediction_tables(rows, schema, plan, defaults, zone)

    return read(lines, schema, finish, threads)


def read_labels(lines: Lines, plan: ModelPlan, defaults: Defaults, zone: Any, threads: int) -> Taken:
    """The labels of a model among the lines."""
    schema = label_schema(plan, defaults)

    def finish(rows: Rows) -> tuple[pa.Table | None, pa.Table | None]:
        return None, label_table(rows, schema, "value", zone)

    return read(lines, schema, finish, threads)


def read(lines: Lines, schema: Schema, finish: Callable[[Rows], tuple[pa.Table | None, pa.Table | None]], threads: int) -> Taken:
    """Scans the lines in `threads` parts and turns what was taken into tables."""
    parts = max(1, min(threads, len(lines) // LINES_A_THREAD))
    bounds = np.linspace(0, len(lines), parts + 1).astype(int)
    taken = np.zeros(len(lines), np.bool_)

    def work(part: int) -> tuple[pa.Table | None, pa.Table | None]:
        chosen = slice(bounds[part], bounds[part + 1])
        return finish(scanned(lines.pick(chosen), schema, taken[chosen]))

    if parts == 1:
        found = [work(0)]
    else:
        with ThreadPoolExecutor(parts) as pool:
            found = list(pool.map(work, range(parts)))
    predictions = [each for each, _ in found if each is not None and each.num_rows]
    labels = [each for _, each in found if each is not None and each.num_rows]
    return Taken(predictions, labels, taken)


def scanned(lines: Lines, schema: Schema, taken: Array) -> Rows:
    """Runs the compiled loop over the lines, marks those it took, and reads the numbers that it left to Python."""
    count, arrays = len(lines), schema.arrays()
    numbers, texts, times = schema.slots
    columns = Columns(
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
    rows, later = scan(lines.buffer, lines.starts, lines.ends, lines.numbers, taken, *arrays, *columns, places, *POWERS)
    for row, slot, start, length in columns.later[:later].tolist():
        columns.numbers[slot, row] = float(bytes(lines.raw[start : start + length]))
    return Rows(lines.raw, lines.buffer, rows, np.ascontiguousarray(columns.state[:rows].T), columns)
