"""Parse a block of lines into typed rows and rejected lines.

Two parsers agree on every line. The exact one (parse_exact.py) reads one line at a time. The fast one (parse_fast.py, compiled) reads all
lines with known models and columns. The first lines of a block are parsed exactly, in order, and reveal models and columns. Then the fast
parser parses the lines that it supports. The remaining lines go the same way until none is left.
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
from observability.store.ingest.parse_exact import ExactParser
from observability.store.ingest.parse_json import MAX_LINE_BYTES
from observability.store.ingest.parse_lines import BlockLines, block_lines
from observability.store.ingest.parse_plan import SCANNED_KINDS
from observability.store.ingest.parse_types import LineBlock, ParsedBlock
from observability.store.ingest.rounded_numbers import rounding_note
from observability.store.types.loading import CheckedLines, LoadDefaults, NewModelLimit

FIRST_LINES = 32
"""Number of lines that are parsed exactly first; doubled in each round."""
WORTH_SCANNING = 200
"""Minimum number of remaining lines of a model, estimated from the lines just read, for which the fast parser is run."""
MIN_SEEN = 4
"""Minimum number of lines of a model among the lines just read for estimating its share of the remaining lines."""
COMPILE_FROM = 8_000
"""Number of lines from which loading the compiled parser saves time; loading takes one second per process."""


def parse_block(
    _cursor: Any, block: LineBlock, catalog: Catalog, defaults: LoadDefaults, _now: datetime | None = None, threads: int | None = None
) -> ParsedBlock:
    """The rows and the rejected lines of a block (see `ParsedBlock`). Read-only. Raises UsageError if the default time zone is unknown.

    A label inside a prediction has the time of the prediction, unless it is an object with its own `at`. threads: threads of the fast
    parser; default all cores.
    """
    reader = ExactParser(catalog, defaults)
    lines = block_lines(block)
    tables = ParsedTables()
    reader.refuse_all(block.refused)
    usable = (lines.ends - lines.starts <= MAX_LINE_BYTES) & lines.readable
    for place in np.flatnonzero(~usable).tolist():
        reader.read(int(lines.numbers[place]), lines.text(place))
    pending = np.flatnonzero(usable)
    tried: dict[tuple[str, str], tuple[int, ...]] = {}
    count = FIRST_LINES
    while pending.size:
        reader.seen.clear()
        for place in pending[:count].tolist():
            reader.read(int(lines.numbers[place]), lines.text(place))
        pending, count = pending[count:], count * 2
        fast = fast_parser_for(pending.size)
        if fast is not None:
            pending = _scan_known_plans(fast, reader, lines, pending, tables, tried, threads or os.cpu_count() or 1)
    return tables.parsed(reader, len(lines) + len(block.refused))


def checked_lines(block: LineBlock, catalog: Catalog, defaults: LoadDefaults) -> CheckedLines:
    """The lines that a load would reject, and the models and columns that the other lines would add. Read-only."""
    parsed = parse_block(None, block, catalog, defaults)
    known = {model.name for model in catalog.models}
    fresh = tuple(sorted({*parsed.predictions, *parsed.labels} - known))
    columns = tuple((name, f"{role}.{column}") for name, added in parsed.new_columns.items() for role, column, _ in added)
    rejected = zip(*(parsed.rejected[name].to_pylist() for name in ("line", "reason", "message")), strict=True)
    notes = tuple(rounding_note(*column, value) for column, (_, value) in sorted(parsed.rounded.items()))
    return CheckedLines(list(rejected), fresh, columns, notes)


def checked_body(body: bytes, catalog: Catalog, new_models: NewModelLimit | None = None) -> CheckedLines:
    """The result of loading the lines of a JSONL body with a catalog, without loading them. Read-only."""
    return checked_lines(LineBlock(body if body.endswith(b"\n") else body + b"\n"), catalog, LoadDefaults(new_models=new_models))


def _scan_known_plans(
    fast: ModuleType,
    reader: ExactParser,
    lines: BlockLines,
    pending: Any,
    tables: "ParsedTables",
    tried: dict[tuple[str, str], tuple[int, ...]],
    threads: int,
) -> Any:
    """Run the fast parser for those kinds and models of the lines just read whose plan has changed since the last run; return the remaining
    lines. Kinds other than predictions and labels have no model here. A model with few of the lines just read is skipped, because few of
    the remaining lines can belong to it.
    """
    read_lines = sum(reader.seen.values())
    for (kind, model), count in reader.seen.items():
        plan = reader.record_plans[kind] if kind in SCANNED_KINDS else reader.plan(model)
        expected = count * pending.size / read_lines if count >= MIN_SEEN else 0
        if expected < WORTH_SCANNING or tried.get((kind, model)) == plan.state:
            continue
        tried[kind, model] = plan.state
        read = {"prediction": fast.read_predictions, "label": fast.read_labels}.get(kind, fast.read_records)
        taken = read(lines.pick(pending), plan, reader.defaults, reader.zone, threads)
        if kind in SCANNED_KINDS:
            tables.add("others", kind, taken.records)
        else:
            tables.add("predictions", model, taken.records)
            tables.add("labels", model, taken.labels)
        pending = pending[~taken.lines]
    return pending


class ParsedTables:
    """Collects the tables of a block: predictions and labels by model, other records by kind."""

    def __init__(self) -> None:
        self.predictions: dict[str, list[pa.Table]] = {}
        self.labels: dict[str, list[pa.Table]] = {}
        self.others: dict[str, list[pa.Table]] = {}

    def add(self, which: str, name: str, tables: list[pa.Table]) -> None:
        """Add tables of a model or kind."""
        if tables:
            getattr(self, which).setdefault(name, []).extend(tables)

    def parsed(self, reader: ExactParser, lines: int) -> ParsedBlock:
        """The complete block. Tables that were made before a column was known get it as nulls."""
        for name, table in reader.prediction_tables().items():
            self.add("predictions", name, [table])
        for name, rows in reader.labels.items():
            self.add("labels", name, [parse_tables.table_from_rows(parse_tables.LABEL, rows)])
        for kind, rows in reader.others.items():
            self.add("others", kind, [parse_tables.table_from_rows(parse_tables.other_columns(kind), rows)])
        predictions = {}
        for name, tables in self.predictions.items():
            columns = reader.plan(name).columns
            predictions[name] = pa.concat_tables([_with_all_columns(table, columns) for table in tables])
        return ParsedBlock(
            lines=lines,
            predictions=predictions,
            labels={name: pa.concat_tables(tables) for name, tables in self.labels.items()},
            others={kind: pa.concat_tables(tables) for kind, tables in self.others.items()},
            rejected=parse_tables.table_from_rows(parse_tables.REJECTED, sorted(reader.rejected, key=itemgetter(0))),
            new_columns={name: list(plan.new) for name, plan in reader.plans.items() if plan.new},
            rounded=reader.rounded,
        )


def _with_all_columns(table: pa.Table, columns: list[Any]) -> pa.Table:
    """The table with its missing columns as nulls."""
    for column in columns[table.num_columns - len(parse_tables.PREDICTION) :]:
        table = table.append_column(column.reference, pa.nulls(table.num_rows, parse_tables.COLUMN[column.kind]))
    return table


def fast_parser_for(lines: int) -> ModuleType | None:
    """The fast parser if it is already loaded or the number of lines justifies loading it; None without numba."""
    if lines < WORTH_SCANNING or (lines < COMPILE_FROM and not fast_parser.cache_info().currsize):
        return None
    return fast_parser()


@lru_cache(maxsize=1)
def fast_parser() -> ModuleType | None:
    """Import the fast parser, once."""
    try:
        from observability.store.ingest import parse_fast
    except ImportError:
        return None
    return parse_fast
