"""Which typed rows, or which reasons, are in a block of lines?

Two paths that agree on every line. The exact one (parse_exact.py) reads one line at a time. The fast one (parse_fast.py, compiled) reads all
lines that hold what the exact path has met before: the first lines of a block go the exact path, in their order, and tell which models there
are and which columns; then the fast path takes what it can; what it leaves goes the same way again until nothing is left.
"""

import os
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from observability.core.catalog import Catalog
from observability.store.ingest import parse_tables
from observability.store.ingest.parse_exact import Reader
from observability.store.ingest.parse_json import MAX_LINE_BYTES
from observability.store.ingest.parse_lines import Lines, lines_of
from observability.store.ingest.parse_types import Block, Defaults, Parsed

FIRST_LINES = 32
"""So many lines go the exact path first; then twice as many each time."""
WORTH_SCANNING = 200
COMPILE_FROM = 8_000
"""Lines from which loading the compiled loop (a second, once a process) pays."""


def parse(
    _cursor: Any, block: Block, catalog: Catalog, defaults: Defaults, _now: datetime | None = None, threads: int | None = None
) -> Parsed:
    """The rows and the rejected lines of a block (see `Parsed`). Read-only. Raises UsageError where the defaults name no time zone.

    A label inside a prediction has the time of the prediction, unless it is an object with an `at` of its own. threads: of the fast path, all cores
    where not given. The cursor and the time of loading are part of the seam; nothing here needs them.
    """
    reader = Reader(catalog, defaults)
    lines = lines_of(block)
    tables = Tables()
    reader.refuse_all(block.refused)
    usable = (lines.ends - lines.starts <= MAX_LINE_BYTES) & lines.readable
    for place in np.flatnonzero(~usable).tolist():
        reader.read(int(lines.numbers[place]), lines.text(place))
    pending = np.flatnonzero(usable)
    tried: dict[tuple[str, str], tuple[int, ...]] = {}
    count = FIRST_LINES
    while pending.size:
        for place in pending[:count].tolist():
            reader.read(int(lines.numbers[place]), lines.text(place))
        pending, count = pending[count:], count * 2
        fast = load_fast(pending.size)
        if fast is not None:
            pending = scan(fast, reader, lines, pending, tables, tried, threads or os.cpu_count() or 1)
    return tables.parsed(reader, len(lines) + len(block.refused))


def scan(
    fast: ModuleType,
    reader: Reader,
    lines: Lines,
    pending: Any,
    tables: "Tables",
    tried: dict[tuple[str, str], tuple[int, ...]],
    threads: int,
) -> Any:
    """Gives the compiled loop a try at every kind and model whose plan has changed since the last; gives the lines that are left."""
    for kind, model in reader.seen:
        plan = reader.plan(model)
        if pending.size < WORTH_SCANNING or tried.get((kind, model)) == plan.state:
            continue
        tried[kind, model] = plan.state
        read = fast.read_predictions if kind == "prediction" else fast.read_labels
        taken = read(lines.pick(pending), plan, reader.defaults, reader.zone, threads)
        tables.add("predictions", model, taken.predictions)
        tables.add("labels", model, taken.labels)
        pending = pending[~taken.lines]
    return pending


class Tables:
    """Tables as they come in, by kind and model."""

    def __init__(self) -> None:
        self.predictions: dict[str, list[pa.Table]] = {}
        self.labels: dict[str, list[pa.Table]] = {}

    def add(self, which: str, model: str, tables: list[pa.Table]) -> None:
        """Keeps tables of a model."""
        if tables:
            getattr(self, which).setdefault(model, []).extend(tables)

    def parsed(self, reader: Reader, lines: int) -> Parsed:
        """Everything together. Tables that were made before a column was known get it as nulls."""
        for name, table in reader.prediction_tables().items():
            self.add("predictions", name, [table])
        for name, rows in reader.labels.items():
            self.add("labels", name, [parse_tables.table(parse_tables.LABEL, rows)])
        predictions = {}
        for name, tables in self.predictions.items():
            columns = reader.plan(name).columns
            predictions[name] = pa.concat_tables([widened(each, columns) for each in tables])
        return Parsed(
            lines=lines,
            predictions=predictions,
            labels={name: pa.concat_tables(tables) for name, tables in self.labels.items()},
            others={kind: parse_tables.table(parse_tables.other(kind), rows) for kind, rows in reader.others.items()},
            rejected=parse_tables.table(parse_tables.REJECTED, sorted(reader.rejected, key=itemgetter(0))),
            new_columns={name: list(plan.new) for name, plan in reader.plans.items() if plan.new},
        )


def widened(table: pa.Table, columns: list[Any]) -> pa.Table:
    """The table with the columns that it lacks, as nulls."""
    for column in columns[table.num_columns - len(parse_tables.PREDICTION) :]:
        table = table.append_column(column.reference, pa.nulls(table.num_rows, parse_tables.COLUMN[column.kind]))
    return table


def load_fast(lines: int) -> ModuleType | None:
    """The compiled path, where it is loaded already or there are enough lines to load it for; None where numba is missing."""
    if lines < WORTH_SCANNING or (lines < COMPILE_FROM and not loaded.cache_info().currsize):
        return None
    return loaded()


@lru_cache(maxsize=1)
def loaded() -> ModuleType | None:
    """Imports the compiled path, once."""
    try:
        from observability.store.ingest import parse_fast
    except ImportError:
        return None
    return parse_fast
