"""Which JSON lines are the rows of a CSV or Parquet file?

Column by column and batch by batch, so that memory is bounded and few rows are touched one by one. What a value is written as: numbers and
booleans as such, texts and times as texts, an empty cell of a CSV file as null; NaN and infinities as texts.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from observability.core.errors import UsageError
from observability.store.ingest.parse_json import canonical_json
from observability.store.ingest.parse_types import Block, Refused

CSV_BLOCK_BYTES = 8 * 1024 * 1024
ROWS_A_BATCH = 20_000
MOSTLY = 0.95
"""Share of a CSV column's values that make it a column of numbers (or booleans): one bad cell costs its own row's feature, not the column."""
JSON_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
LOOSE_NUMBER = r"^\s*[-+]?([0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?|(?i:nan|inf|infinity))\s*$"
TO_ESCAPE = r'["\\\x00-\x1f]'
AS_TEXT, MAY_HOLD_JSON = ("text", "time"), ("object", "list", "score", "label", "scalar")


@dataclass
class RowsFile:
    """A CSV or Parquet file of one kind. fields: a column that is a field of the record → its type; features: the columns that are features (of
    another kind than predictions: further fields); groups: those that are sensitive attributes and no features. extras: columns of predictions that are neither, which are kept as they are. kinds: of a CSV
    column whether it holds numbers, booleans or texts.
    """

    path: Path
    size: int
    kind: str
    fields: Mapping[str, str]
    features: list[str]
    extras: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    done: int = 0

    def position(self) -> int:
        """Bytes that were read so far, as far as the format tells."""
        return self.done

    def blocks(self) -> Iterator[Block]:
        """Blocks of JSON lines. The number of a line is that of its row: the first row of a Parquet file is 1, of a CSV file (after the header) 2."""
        yield from parquet_blocks(self) if self.path.suffix.lower() == ".parquet" else csv_blocks(self)

    def lines(self, column: Callable[[str], pa.Array], rows: int) -> pa.Array:
        """The JSON lines of some rows, whose columns are given as texts of JSON."""
        parts: list[Any] = [f'{{"kind":{json.dumps(self.kind)}']
        nested = self.kind == "prediction"
        objects = {"features": self.features, "groups": self.groups} if nested else {}
        objects = {name: members for name, members in objects.items() if name == "features" or members}
        for name in [*self.fields, *self.extras, *([] if nested else self.features)]:
            if name in objects:
                continue
            parts.append(pc.fill_null(pc.binary_join_element_wise(f",{json.dumps(name)}:", column(name), ""), ""))
        for part, names in objects.items():
            members: list[Any] = []
            for name in names:
                members += [f"{',' if members else ''}{json.dumps(name)}:", pc.fill_null(column(name), "null")]
            own = pc.binary_join_element_wise("{", *members, "}", "") if members else pa.repeat("{}", rows)
            parts += [f',"{part}":', merged(column(part), own) if part in self.fields else own]
        return pc.binary_join_element_wise(*parts, pa.repeat("}", rows), "")


def merged(inner: pa.Array, own: pa.Array) -> pa.Array:
    """Objects with the members of two: of the column `features` (or `groups`), and of the columns that are members of it."""
    found = []
    for one, two in zip(inner.to_pylist(), own.to_pylist(), strict=True):
        value = json.loads(one) if one is not None else {}
        found.append(canonical_json(value | json.loads(two)) if isinstance(value, dict) else canonical_json(value))
    return pa.array(found, pa.string())


# ---- CSV


def csv_dialect(path: Path) -> str:
    """The delimiter of a CSV file: the one of , ; tab | that stands most often in the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline(1_000_000)
    return max(",;\t|", key=header.count)


def csv_header(path: Path) -> list[str]:
    """Names of the columns of a CSV file. Raises UsageError where they cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file, delimiter=csv_dialect(path)), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError("the first line of the CSV file cannot be read", where=path.name, got=error) from None


def csv_batches(path: Path, names: list[str], refused: list[Refused]) -> Iterator[pa.RecordBatch]:
    """Rows of a CSV file as texts, an empty cell null. Rows with too few or too many values are added to `refused`, with their number.

    Raises UsageError where it is not UTF-8 or no CSV.
    """

    def leave_out(row: arrow_csv.InvalidRow) -> str:
        said = f"the row has {row.actual_columns} values, the header {row.expected_columns} columns"
        refused.append(Refused(row.number, row.text[:2000], "bad_value", said))
        return "skip"

    places = [str(place) for place in range(len(names))]
    try:
        reader = arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=places, skip_rows=1, block_size=CSV_BLOCK_BYTES, use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter=csv_dialect(path), newlines_in_values=True, invalid_row_handler=leave_out),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
        with reader:
            yield from reader
    except UnicodeDecodeError as error:
        raise UsageError("the file is not UTF-8", where=path.name, got=error.reason, attempt="Save it as UTF-8") from None
    except pa.ArrowException as error:
        if "UTF8" in str(error):
            raise UsageError("the file is not UTF-8", where=path.name, got=str(error)[:100], attempt="Save it as UTF-8") from None
        if "Empty CSV" in str(error):
            return
        raise UsageError("the CSV file cannot be read", where=path.name, got=str(error)[:150]) from None


def column_kinds(path: Path, names: list[str]) -> dict[str, str]:
    """For each column whether nearly all of its cells are numbers or booleans, else text. Reads the whole file.

    Raises UsageError where it has no rows, or cannot be read.
    """
    filled, numbers, booleans = (np.zeros(len(names), np.int64) for _ in range(3))
    refused: list[Refused] = []
    for batch in csv_batches(path, names, refused):
        for place, cells in enumerate(batch.columns):
            filled[place] += len(cells) - cells.null_count
            numbers[place] += pc.sum(pc.match_substring_regex(cells, LOOSE_NUMBER)).as_py() or 0
            booleans[place] += pc.sum(pc.match_substring_regex(cells, "^(?i:true|false)$")).as_py() or 0
    if not filled.any() and not refused:
        raise UsageError("the file has a header and no rows", where=path.name)
    least = np.maximum(MOSTLY * filled, 1)
    return {
        name: "number" if numbers[place] >= least[place] else "boolean" if booleans[place] >= least[place] else "text"
        for place, name in enumerate(names)
    }


def number_of(text: str) -> float | int | None:
    """The number that a cell holds, None where it holds none. Grouped digits ("1,000") and underscores are text."""
    if "_" in text:
        return None
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None


def csv_blocks(file: RowsFile) -> Iterator[Block]:
    """The rows of a CSV file; rows that do not fit the header are refused."""
    names = csv_header(file.path)
    refused: list[Refused] = []
    first, read = 2, 0
    for batch in csv_batches(file.path, names, refused):
        made = {
            name: csv_texts(cells, cell_kind(name, file), file.fields.get(name) in MAY_HOLD_JSON)
            for name, cells in zip(names, batch.columns, strict=True)
        }
        lines = file.lines(made.__getitem__, batch.num_rows)
        read += batch.nbytes
        file.done = min(file.size, read)
        # Rows that were left out keep an empty place, so that the number of a line is the number of its row.
        out = np.array([each.line for each in refused], np.int64)
        numbers = np.setdiff1d(np.arange(first, first + batch.num_rows + len(out)), out)[: batch.num_rows]
        after = int(numbers[-1]) + 1 if batch.num_rows else first
        here = [each for each in refused if each.line < after]
        refused[:] = [each for each in refused if each.line >= after]
        if here:
            place = np.full(after - first, -1, np.int64)
            place[numbers - first] = np.arange(batch.num_rows)
            lines = pc.fill_null(lines.take(pa.array(place, mask=place < 0)), "")
        yield Block(lines, first, file.path.name, tuple(here))
        first = after
    if refused:
        yield Block(b"", first, file.path.name, tuple(refused))


def cell_kind(name: str, file: RowsFile) -> str:
    """How the cells of a column are read: text fields stay texts, the rest as the whole column is."""
    declared = file.fields.get(name)
    if declared in AS_TEXT:
        return "text"
    return file.kinds.get(name, "text") if declared is None or declared in MAY_HOLD_JSON else "number"


def csv_texts(cells: pa.Array, kind: str, may_hold_json: bool) -> pa.Array:
    """Cells as JSON: numbers (booleans) where the column holds them, else texts."""
    if kind == "number":
        good = pc.match_substring_regex(cells, JSON_NUMBER)
    elif kind == "boolean":
        good = pc.match_substring_regex(cells, "^(?:true|false)$")
    else:
        good = None
    if good is not None and pc.all(good).as_py() is not False:
        return cells
    if good is None and not (may_hold_json and pc.any(pc.match_substring_regex(cells, r"^\s*[{\[]")).as_py()):
        return quoted(cells)
    found = []
    for cell, as_it_is in zip(cells.to_pylist(), [None] * len(cells) if good is None else good.to_pylist(), strict=True):
        if cell is None or as_it_is:
            found.append(cell)
            continue
        value: Any = cell
        if kind == "number":
            value = number_of(cell)
        elif kind == "boolean":
            value = {"true": True, "false": False}.get(cell.lower())
        found.append(json_text(opened(cell) if value is None or (value is cell and may_hold_json) else value))
    return pa.array(found, pa.string())


def quoted(texts: pa.Array) -> pa.Array:
    """Texts as JSON."""
    if pc.any(pc.match_substring_regex(texts, TO_ESCAPE)).as_py():
        return pa.array([None if each is None else json.dumps(each, ensure_ascii=False) for each in texts.to_pylist()], pa.string())
    return pc.binary_join_element_wise('"', texts, '"', "")


# ---- Parquet


def parquet_columns(path: Path) -> tuple[list[str], dict[str, str]]:
    """Names of the columns of a Parquet file; its types are its own. Raises UsageError where it is damaged or has no rows."""
    try:
        file = pq.ParquetFile(path)
        names, rows = file.schema_arrow.names, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise UsageError("the Parquet file is damaged", where=path.name, got=str(error)[:100], attempt="Write it again") from None
    if rows == 0:
        raise UsageError("the file has no rows", where=path.name)
    return list(names), {}


def parquet_blocks(file: RowsFile) -> Iterator[Block]:
    """The rows of a Parquet file. Raises UsageError where it turns out to be damaged."""
    first = 1
    try:
        source = pq.ParquetFile(file.path)
        for batch in source.iter_batches(batch_size=ROWS_A_BATCH, columns=[*file.fields, *file.features, *file.groups, *file.extras]):
            made = {name: parquet_texts(batch.column(name), file.fields.get(name)) for name in batch.schema.names}
            yield Block(file.lines(made.__getitem__, batch.num_rows), first, file.path.name)
            first += batch.num_rows
            file.done = int(file.size * first / max(source.metadata.num_rows, 1))
    except (pa.ArrowException, OSError) as error:
        raise UsageError("the Parquet file is damaged", where=file.path.name, got=str(error)[:100], attempt="Write it again") from None


def parquet_texts(values: pa.Array, declared: str | None) -> pa.Array:
    """Values as JSON. A declared text stays one, whatever its type: ids that are numbers lose nothing."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        holds = declared in MAY_HOLD_JSON and pc.any(pc.match_substring_regex(values, r"^\s*[{\[]")).as_py()
        return (
            pa.array([None if each is None else json_text(opened(each)) for each in values.to_pylist()], pa.string())
            if holds
            else quoted(values.cast(pa.string()))
        )
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return texts_of(values.cast(pa.string()), declared)
    if pa.types.is_floating(kind):
        if declared == "text" and pc.all(pc.equal(pc.floor(values), values)).as_py() is not False:
            return texts_of(values.cast(pa.int64()).cast(pa.string()), declared)
        if pc.all(pc.is_finite(values)).as_py() is not False:
            return texts_of(values.cast(pa.float64()).cast(pa.string()), declared)
    if pa.types.is_timestamp(kind):
        utc = values.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
        return quoted(pc.strftime(utc, format="%Y-%m-%dT%H:%M:%SZ" if kind.tz else "%Y-%m-%dT%H:%M:%S"))
    return pa.array([None if each is None else json_text(each) for each in values.to_pylist()], pa.string())


def texts_of(written: pa.Array, declared: str | None) -> pa.Array:
    """Numbers as they are, or between quotes where the field is a text."""
    return quoted(written) if declared == "text" else written


# ---- values


def opened(value: Any) -> Any:
    """JSON text in a cell of an object or a score as what it says; other values as they are."""
    if isinstance(value, str) and re.match(r"\s*[{\[]", value):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def json_text(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """The value as JSON has it: NaN and infinities as texts, times in RFC 3339."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain(float(value))
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
