"""Importer of Parquet files. At any time, memory holds only parts of the columns of one row group."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from observability.core.errors import UsageError
from observability.store.ingest.column_advice import HEAD_ROWS
from observability.store.ingest.importer import Importer, likely_format
from observability.store.ingest.parse_types import LineBlock
from observability.store.ingest.record_columns import MAY_HOLD_JSON, RecordColumns, json_text, parsed_cell, quoted_texts, record_columns
from observability.store.types.loading import LoadDefaults
from observability.store.types.sources import PartitionValue, SourceFile

ROWS_A_BATCH = 20_000
BUFFER_BYTES = 1024 * 1024
"""Bytes of a column chunk that are read at a time."""


class ParquetImporter(Importer):
    """A Parquet file. Line numbers are row numbers from 1."""

    columns: RecordColumns
    constants: Mapping[str, PartitionValue] = {}

    def check(self, head: bytes) -> None:
        """Raise UsageError if the magic number is missing."""
        if not head.startswith(b"PAR1"):
            raise UsageError(
                "this is not a Parquet file", where=self.path.name, got=likely_format(head), attempt="Write it again as Parquet"
            )

    def prepare(self, defaults: LoadDefaults) -> None:
        """Assign the columns to fields and features."""
        with self.opened() as file:
            names = list(file.schema_arrow.names)
        given = self.path.partitions if isinstance(self.path, SourceFile) else {}
        self.constants = {name: value for name, value in given.items() if name not in names}
        self.columns = record_columns([*names, *self.constants], defaults, self.path.name, self.head)

    def head(self) -> dict[str, pa.Array]:
        """The first rows by column."""
        with self.opened() as file:
            first = next(file.iter_batches(batch_size=HEAD_ROWS), None)
        return {} if first is None else dict(zip(first.schema.names, first.columns, strict=True))

    def blocks(self) -> Iterator[LineBlock]:
        """The rows as blocks of lines, one batch after the other."""
        with self.opened() as file:
            own = [name for name in self.columns.names if name not in self.constants]
            batches = file.iter_batches(batch_size=ROWS_A_BATCH, columns=own)
            for block in record_blocks(batches, self.columns, self.path.name, self.constants):
                self.done = int(self.size * (block.first_line + len(block.raw)) / max(file.metadata.num_rows, 1))
                yield block

    def table(self) -> tuple[pa.Table, list[str]]:
        """All rows with the types of the file."""
        with self.opened() as file:
            self.require_table_size(sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)))
            return file.read(), []

    @contextmanager
    def opened(self) -> Iterator[pq.ParquetFile]:
        """The open file. Raises UsageError if it is damaged, or has no rows and is no file of a source."""
        try:
            local = not isinstance(self.path, SourceFile)
            content = nullcontext(self.path) if local else self.path.open("rb")
            # pre_buffer would keep every column chunk of the file in memory; with a buffer a chunk is read in parts.
            with content as place, pq.ParquetFile(place, pre_buffer=False, buffer_size=BUFFER_BYTES) as file:
                if local and not file.metadata.num_rows:
                    raise UsageError("the file has no rows", where=self.path.name)
                yield file
        except (pa.ArrowException, OSError) as error:
            raise UsageError("the Parquet file is damaged", where=self.path.name, got=str(error)[:100], attempt="Write it again") from None


def record_blocks(
    batches: Iterable[pa.RecordBatch], columns: RecordColumns, where: str, constants: Mapping[str, PartitionValue] | None = None
) -> Iterator[LineBlock]:
    """Record batches as blocks of JSON lines. constants: columns with one value, which the batches lack."""
    first = 1
    for batch in batches:
        texts = {name: _json_cells(batch.column(name), columns.fields.get(name)) for name in batch.schema.names}
        for name, value in (constants or {}).items():
            texts[name] = _json_cells(pa.array([value] * batch.num_rows), columns.fields.get(name))
        yield LineBlock(columns.lines(texts.__getitem__, batch.num_rows), first, where)
        first += batch.num_rows


def _json_cells(values: pa.Array, declared: str | None) -> pa.Array:
    """Values as JSON. declared: type of the field; a text field becomes a text whatever the type of the column, so that numeric ids lose
    nothing.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if declared in MAY_HOLD_JSON and pc.any(pc.match_substring_regex(values, r"^\s*[{\[]")).as_py():
            return pa.array([None if text is None else json_text(parsed_cell(text)) for text in values.to_pylist()], pa.string())
        return quoted_texts(values.cast(pa.string()))
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _number_cells(values, declared)
    if pa.types.is_floating(kind):
        if declared == "text" and pc.all(pc.equal(pc.floor(values), values)).as_py() is not False:
            return _number_cells(values.cast(pa.int64()), declared)
        if pc.all(pc.is_finite(values)).as_py() is not False:
            return _number_cells(values.cast(pa.float64()), declared)
    if pa.types.is_timestamp(kind):
        utc = values.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
        return quoted_texts(pc.strftime(utc, format="%Y-%m-%dT%H:%M:%SZ" if kind.tz else "%Y-%m-%dT%H:%M:%S"))
    return pa.array([None if value is None else json_text(value) for value in values.to_pylist()], pa.string())


def _number_cells(values: pa.Array, declared: str | None) -> pa.Array:
    """Numbers as JSON, quoted if the field is a text."""
    written = values.cast(pa.string())
    return quoted_texts(written) if declared == "text" else written
