"""Importer of CSV files: delimiter , ; tab or |, the first row names the columns, an empty cell is null."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from observability.core.errors import UsageError
from observability.store.ingest.column_advice import HEAD_ROWS
from observability.store.ingest.importer import HEAD_BYTES, JSON_ARRAY, PLAIN_TEXT, Importer, likely_format
from observability.store.ingest.parse_types import LineBlock, RefusedLine
from observability.store.ingest.record_columns import (
    MAY_HOLD_JSON,
    RecordColumns,
    json_text,
    parsed_cell,
    quoted_texts,
    record_columns,
    require_column_names,
)
from observability.store.types.loading import LoadDefaults
from observability.store.types.sources import SourceFile

CSV_BLOCK_BYTES = 4 * 1024 * 1024
MOSTLY = 0.95
"""Loading: a column counts as numbers (booleans) if at least this share of its cells are. A single bad cell then loses only the value of
its row, not the column.
"""
MAX_BAD_SHARE = 0.05
"""Registering: share of rows with too few or too many values from which a file is rejected."""
MAX_WORDS_SHARE = 0.1
"""Registering: share of non-numeric cells up to which a text column looks numeric."""
JSON_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
LOOSE_NUMBER = r"^\s*[-+]?([0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?|(?i:nan|inf|infinity))\s*$"

COMMA_NUMBER = r"^\s*[-+]?(([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?|,[0-9]+)([eE][-+]?[0-9]+)?\s*$|^\s*[-+]?(?i:nan|inf|infinity)\s*$"
"""A number whose decimal sign is a comma; points may group its thousands."""


class CsvImporter(Importer):
    """A CSV file. Line numbers are row numbers; the first row after the header is 2.

    kinds: by column, whether it holds numbers, booleans or texts. commas: the columns whose numbers have a decimal comma. all_cells: bytes
    of all cells, to which `blocks` relates its progress.
    """

    columns: RecordColumns
    kinds: dict[str, str]
    commas: frozenset[str] = frozenset()
    all_cells: int = 0

    def check(self, head: bytes) -> None:
        """Raise UsageError if the start is not UTF-8 text."""
        found = likely_format(head)
        if found not in (PLAIN_TEXT, JSON_ARRAY):
            raise UsageError("this is not a CSV file", where=self.path.name, got=found)
        try:
            head.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and len(head) == HEAD_BYTES:  # the end of the head cuts a character
                return
            got = f"byte {error.start + 1} is {head[error.start]:#x}"
            raise UsageError("the file is not UTF-8", where=self.path.name, got=got, attempt="Save it as UTF-8") from None

    def prepare(self, defaults: LoadDefaults) -> None:
        """Assign the columns to fields and features, and find their kinds. Reads the whole file."""
        names = self.header()
        self.columns = record_columns(names, defaults, self.path.name, lambda: self.head(names))
        self.kinds = self.column_kinds(names)

    def head(self, names: list[str]) -> dict[str, pa.Array]:
        """The texts of the first rows by column."""
        first = next(self.batches(len(names), []), None)
        return {} if first is None else dict(zip(names, first.slice(0, HEAD_ROWS).columns, strict=True))

    def delimiter(self) -> str:
        """The delimiter that occurs most often in the header."""
        with self.text() as file:
            header = file.readline(1_000_000)
        return max(",;\t|", key=header.count)

    @contextmanager
    def text(self) -> Iterator[io.TextIOWrapper]:
        """Open the decoded content of the file for reading."""
        with self.stream() as (stream, _), io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            yield text

    def header(self) -> list[str]:
        """Names of the columns. Raises UsageError if they cannot be read."""
        try:
            with self.text() as file:
                names = [name.strip() for name in next(csv.reader(file, delimiter=self.delimiter()), [])]
                # the column without a name has the row numbers of pandas
                return ["Unnamed: 0", *names[1:]] if len(names) > 1 and names[0] == "" else names
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError("the first line of the CSV file cannot be read", where=self.path.name, got=error) from None

    def batches(self, width: int, refused: list[RefusedLine]) -> Iterator[pa.RecordBatch]:
        """Rows of `width` columns as texts; an empty cell is null. Rows with another number of values are appended to `refused`.

        Raises UsageError if the file is not UTF-8 or not CSV.
        """

        def leave_out(row: arrow_csv.InvalidRow) -> str:
            message = f"the row has {row.actual_columns} values, the header {row.expected_columns} columns"
            refused.append(RefusedLine(row.number, row.text[:2000], "bad_value", message, columns))
            return "skip"

        columns = tuple(self.header())
        names = [str(place) for place in range(width)]
        types = dict.fromkeys(names, pa.string())
        read = arrow_csv.ReadOptions(column_names=names, skip_rows=1, block_size=CSV_BLOCK_BYTES, use_threads=False)
        parse = arrow_csv.ParseOptions(delimiter=self.delimiter(), newlines_in_values=True, invalid_row_handler=leave_out)
        convert = arrow_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
        try:
            with (
                self.stream() as (stream, _),
                arrow_csv.open_csv(stream, read_options=read, parse_options=parse, convert_options=convert) as reader,
            ):
                yield from reader
        except (UnicodeDecodeError, pa.ArrowException) as error:
            if "Empty CSV" in str(error):
                return
            if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
                raise UsageError("the file is not UTF-8", where=self.path.name, got=str(error)[:100], attempt="Save it as UTF-8") from None
            raise UsageError("the CSV file cannot be read", where=self.path.name, got=str(error)[:150]) from None

    def sized_batches(self, width: int, refused: list[RefusedLine]) -> Iterator[pa.RecordBatch]:
        """The batches of `batches`. Raises UsageError as soon as their total size is too large for a table."""
        size = 0
        for batch in self.batches(width, refused):
            size += batch.nbytes
            self.require_table_size(size)
            yield batch

    def column_kinds(self, names: list[str]) -> dict[str, str]:
        """For each column: number or boolean if nearly all of its cells are, else text. Raises UsageError for a local file without rows."""
        filled, numbers, booleans, commas = (np.zeros(len(names), np.int64) for _ in range(4))
        refused: list[RefusedLine] = []
        for batch in self.batches(len(names), refused):
            self.all_cells += batch.nbytes
            for place, cells in enumerate(batch.columns):
                filled[place] += len(cells) - cells.null_count
                numbers[place] += _matches(cells, LOOSE_NUMBER)
                booleans[place] += _matches(cells, "^(?i:true|false)$")
                commas[place] += _matches(cells, COMMA_NUMBER) if self.may_have_commas else 0
        if not filled.any() and not refused and not isinstance(self.path, SourceFile):
            raise UsageError("the file has a header and no rows", where=self.path.name)
        least = np.maximum(MOSTLY * filled, 1)
        texts = [self.columns.fields.get(name) in ("text", "time") for name in names]
        self.commas = self.comma_columns(names, np.where(texts, 0, commas), numbers, least)
        return {
            name: "number"
            if name in self.commas or numbers[place] >= least[place]
            else "boolean"
            if booleans[place] >= least[place]
            else "text"
            for place, name in enumerate(names)
        }

    @cached_property
    def may_have_commas(self) -> bool:
        """Whether numbers with a decimal comma are looked for: as the caller states, else only in files whose delimiter is not a comma."""
        return self.decimal == "," or (self.decimal is None and self.delimiter() != ",")

    def comma_columns(
        self, names: list[str], commas: NDArray[np.int64], numbers: NDArray[np.int64], least: NDArray[np.float64]
    ) -> frozenset[str]:
        """The columns whose numbers have a decimal comma. commas, numbers: for each column, how many cells are numbers with a decimal
        comma, and with a decimal point.

        Raises UsageError if there are such columns and the caller did not state that decimal commas are used.
        """
        if self.decimal == ",":
            return frozenset(name for name, count, most in zip(names, commas, least, strict=True) if count >= most)
        found = [
            name for name, *counts in zip(names, commas, least, numbers, strict=True) if counts[0] >= counts[1] and counts[0] > counts[2]
        ]
        if found:
            raise UsageError(
                f"numbers seem to have a decimal comma in the column {', '.join(map(repr, found[:5]))}{' and others' * (len(found) > 5)}",
                where=self.path.name,
                attempt="Read them as numbers with --decimal , or as texts with --decimal . or save the file with decimal points",
            )
        return frozenset()

    def blocks(self) -> Iterator[LineBlock]:
        """The rows as blocks. Rows that do not fit the header are rejected."""
        names, where = self.header(), self.path.name
        refused: list[RefusedLine] = []
        first, read = 2, 0
        for batch in self.batches(len(names), refused):
            texts = {name: self.cell_texts(name, cells) for name, cells in zip(names, batch.columns, strict=True)}
            lines = self.columns.lines(texts.__getitem__, batch.num_rows)
            read += batch.nbytes
            self.done = self.size * read // max(self.all_cells, 1)
            # Rejected rows keep an empty place, so that line numbers are row numbers.
            out = np.array([line.line for line in refused], np.int64)
            numbers = np.setdiff1d(np.arange(first, first + batch.num_rows + len(out)), out)[: batch.num_rows]
            after = int(numbers[-1]) + 1 if batch.num_rows else first
            here = [line for line in refused if line.line < after]
            refused[:] = [line for line in refused if line.line >= after]
            if here:
                place = np.full(after - first, -1, np.int64)
                place[numbers - first] = np.arange(batch.num_rows)
                lines = pc.fill_null(lines.take(pa.array(place, mask=place < 0)), "")
            yield LineBlock(lines, first, where, tuple(here))
            first = after
        if refused:
            yield LineBlock(b"", first, where, tuple(refused))

    def cell_texts(self, name: str, cells: pa.Array) -> pa.Array:
        """The cells of a column as JSON. Text fields stay texts; other columns get the type that most of their cells have."""
        declared = self.columns.fields.get(name)
        cells = _with_points(cells) if name in self.commas else cells
        if declared in ("text", "time"):
            return _json_cells(cells, "text", False)
        kind = self.kinds.get(name, "text") if declared is None or declared in MAY_HOLD_JSON else "number"
        return _json_cells(cells, kind, declared in MAY_HOLD_JSON)

    def table(self) -> tuple[pa.Table, list[str]]:
        """All rows. A column is numeric (boolean) if all of its cells are, else text.

        Warns of rows that were left out and cells that look misread. Raises UsageError if there are no rows, or too many that do not fit
        the header.
        """
        self.require_table_size(self.size)
        names, where = self.header(), self.path.name
        require_column_names(names, where)
        refused: list[RefusedLine] = []
        schema = pa.schema([(str(place), pa.string()) for place in range(len(names))])
        texts = pa.Table.from_batches(self.sized_batches(len(names), refused), schema)
        rows = texts.num_rows + len(refused)
        if not rows:
            raise UsageError("the file has a header and no rows", where=where)
        if len(refused) > MAX_BAD_SHARE * rows:
            message = f"{len(refused):,} of {rows:,} rows do not fit the header"
            raise UsageError(message, where=where, got=refused[0].message, attempt="Check the delimiter and the quotes")
        warnings = [f"{len(refused):,} rows have another number of values than the header and are left out."] if refused else []
        if self.may_have_commas:
            filled = np.array([len(column) - column.null_count for column in texts.columns])
            commas, numbers = (
                np.array([_matches(column, pattern) for column in texts.columns]) for pattern in (COMMA_NUMBER, LOOSE_NUMBER)
            )
            self.commas = self.comma_columns(names, commas, numbers, np.maximum(MOSTLY * filled, 1))
        points = [_with_points(column) if name in self.commas else column for name, column in zip(names, texts.columns, strict=True)]
        columns = [_typed_column(name, column, warnings) for name, column in zip(names, points, strict=True)]
        return pa.Table.from_arrays(columns, names=names), warnings


class GzipCsvImporter(CsvImporter):
    """Importer of a CSV file that is compressed with gzip."""

    gzipped = True


def _matches(cells: pa.Array | pa.ChunkedArray, pattern: str) -> int:
    """The number of cells that match a pattern."""
    return pc.sum(pc.match_substring_regex(cells, pattern)).as_py() or 0


def _with_points(cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Cells with a decimal point in place of the comma, and without points between thousands. Other texts are not changed."""
    points = pc.replace_substring(pc.replace_substring(cells, ".", ""), ",", ".")
    return pc.if_else(pc.match_substring_regex(cells, COMMA_NUMBER), points, cells)


def csv_number(text: str) -> float | int | None:
    """The number in a cell, None if it holds none. Grouped digits ("1,000") and underscores are text."""
    if "_" in text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _json_cells(cells: pa.Array, kind: str, may_hold_json: bool) -> pa.Array:
    """Cells as JSON: numbers (booleans) if the column holds them, else texts."""
    pattern = {"number": JSON_NUMBER, "boolean": "^(?:true|false)$"}.get(kind)
    good = None if pattern is None else pc.match_substring_regex(cells, pattern)
    if good is not None and pc.all(good).as_py() is not False:
        return cells
    if good is None and not (may_hold_json and pc.any(pc.match_substring_regex(cells, r"^\s*[{\[]")).as_py()):
        return quoted_texts(cells)
    found = []
    for cell, is_json in zip(cells.to_pylist(), [None] * len(cells) if good is None else good.to_pylist(), strict=True):
        if cell is None or is_json:
            found.append(cell)
            continue
        value: Any = cell
        if kind == "number":
            value = csv_number(cell)
        elif kind == "boolean":
            value = {"true": True, "false": False}.get(cell.lower())
        found.append(json_text(parsed_cell(cell) if value is None or (value is cell and may_hold_json) else value))
    return pa.array(found, pa.string())


def _typed_column(name: str, column: pa.ChunkedArray, warnings: list[str]) -> pa.ChunkedArray:
    """A column of texts, converted to numbers or booleans if all of its cells are such."""
    if column.null_count == len(column):
        return column
    try:
        found = column.cast(pa.float64())
    except pa.ArrowInvalid:
        encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
        texts = encoded.dictionary.to_pylist()
        if all(text.lower() in ("true", "false") for text in texts):
            return pc.equal(pc.utf8_lower(column), "true")
        values = [csv_number(text) for text in texts]
        if any(value is None for value in values):
            warnings += _misread_warning(name, texts, values, np.bincount(encoded.indices.drop_null(), minlength=len(texts)))
            return column
        numbers = pa.array([float(value) for value in values if value is not None], pa.float64())
        return pa.chunked_array([numbers.take(encoded.indices)])
    if pc.any(pc.match_substring_regex(column, r"^[+-]?0[0-9]")).as_py():
        warnings.append(
            f"{name!r} holds digits with leading zeros, which are read as numbers: if they are codes, write them with a letter."
        )
    return found


def _misread_warning(name: str, texts: list[str], values: list[float | int | None], counts: NDArray[np.int64]) -> list[str]:
    """A warning if a text column looks numeric. texts: distinct cells with their numbers, if any, and frequencies."""
    if all(map(_has_decimal_comma, texts[:1000])):
        return [f"{name!r} holds numbers with a decimal comma, which are read as text: write them with a point, or use --decimal ,."]
    words = [place for place, value in enumerate(values) if value is None]
    count = int(counts[words].sum())
    if count > MAX_WORDS_SHARE * counts.sum():
        return []
    example = f"{texts[words[0]][:40]!r} as well ({count:,} cells are no number)"
    return [f"{name!r} holds numbers, but {example}, so all of it is read as text: leave such cells empty."]


def _has_decimal_comma(text: str) -> bool:
    """Whether a cell is a number with a decimal comma."""
    whole, comma, part = text.strip().partition(",")
    return bool(comma) and part.isdigit() and csv_number(whole or "0") is not None
