"""Which typed columns are in a CSV file, by the rules by which `load` reads its cells?

A column whose cells are all numbers holds numbers, one of true and false booleans, any other text; an empty cell is null (see store/ingest/files.py).
"""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from observability.core.errors import UsageError
from observability.store.ingest.file_rows import csv_dialect, number_of
from observability.store.ingest.files import head_of, require_text
from observability.store.registry.score_columns import listed

MOST_BAD_SHARE = 0.05
"""Share of rows with too few or too many values from which a file is refused."""
MOST_WORDS_SHARE = 0.1
"""Share of cells that are no number up to which a column of text looks like one of numbers."""
BLOCK_BYTES = 16 * 1024 * 1024


def read_csv(path: Path) -> tuple[pa.Table, list[str]]:
    """The table in a CSV file (commas, semicolons, tabs or bars), and sentences about rows that were left out and cells that look misread.

    Raises UsageError where the file is no CSV, has no rows, or too many rows that do not fit its header.
    """
    require_text(path, head_of(path))
    bad: list[int] = []

    def leave_out(row: arrow_csv.InvalidRow) -> str:
        bad.append(row.actual_columns)
        return "skip"

    try:
        delimiter = csv_dialect(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = [name.strip() for name in next(csv.reader([file.readline(1_000_000)], delimiter=delimiter), [])]
        if "" in header or not header:
            raise UsageError(
                "a column has no name", where=path.name, got=listed(header), attempt="Give every column a name in the first line"
            )
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=[str(i) for i in range(len(header))], skip_rows=1, block_size=BLOCK_BYTES),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=leave_out),
            convert_options=arrow_csv.ConvertOptions(
                column_types={str(i): pa.string() for i in range(len(header))}, null_values=[""], strings_can_be_null=True
            ),
        )
    except UnicodeDecodeError as error:
        raise UsageError("the file is not UTF-8", where=path.name, got=error.reason, attempt="Save it as UTF-8") from None
    except (pa.ArrowException, csv.Error) as error:
        raise UsageError("the CSV file cannot be read", where=path.name, got=str(error)[:150]) from None
    rows = table.num_rows + len(bad)
    if not rows:
        raise UsageError("the file has a header and no rows", where=path.name)
    if len(bad) > MOST_BAD_SHARE * rows:
        raise UsageError(
            f"{len(bad):,} of {rows:,} rows do not fit the header", where=path.name, got=f"{bad[0]} values", expected=f"{len(header)} columns",
            attempt="Check the delimiter and the quotes",
        )  # fmt: skip
    said = [f"{len(bad):,} rows have another number of values than the header and are left out."] if bad else []
    columns = [typed_column(name, column, said) for name, column in zip(header, table.columns, strict=True)]
    return pa.Table.from_arrays(columns, names=header), said


def typed_column(name: str, column: pa.ChunkedArray, said: list[str]) -> pa.ChunkedArray:
    """A column of texts as numbers or booleans where all of its cells are."""
    if column.null_count == len(column):
        return column
    try:
        found = column.cast(pa.float64())
    except pa.ArrowInvalid:
        encoded = column.dictionary_encode().unify_dictionaries()
        texts = encoded.chunk(0).dictionary.to_pylist()
        if all(text.lower() in ("true", "false") for text in texts):
            return pc.equal(pc.utf8_lower(column), "true")
        values = [number_of(text) for text in texts]
        if any(value is None for value in values):
            said += odd_texts(name, texts, values, np.bincount(encoded.combine_chunks().indices.drop_null(), minlength=len(texts)))
            return column
        values = [float(value) for value in values if value is not None]
        whole = encoded.combine_chunks()
        return pa.chunked_array([pa.array(values, pa.float64()).take(whole.indices)])
    if pc.any(pc.match_substring_regex(column, r"^[+-]?0[0-9]")).as_py():
        said.append(
            f"{name!r} holds digits with leading zeros, which are read as numbers: write them otherwise (with a letter) where they are codes."
        )
    return found


def odd_texts(name: str, texts: list[str], values: list[float | int | None], times: NDArray[np.int64]) -> list[str]:
    """A sentence where a column of texts looks like one of numbers: texts with their numbers, if any, and how often each stands there."""
    if all(map(decimal_comma, texts[:1000])):
        return [f"{name!r} holds numbers with a decimal comma, which are read as text: write them with a point."]
    words = [place for place, value in enumerate(values) if value is None]
    count = int(times[words].sum())
    if count > MOST_WORDS_SHARE * times.sum():
        return []
    return [
        f"{name!r} holds numbers, but {texts[words[0]][:40]!r} as well ({count:,} cells are no number), so all of it is read as text: leave such cells empty."
    ]


def decimal_comma(text: str) -> bool:
    """Whether a cell is a number with a decimal comma."""
    whole, comma, part = text.strip().partition(",")
    return bool(comma) and part.isdigit() and number_of(whole or "0") is not None
