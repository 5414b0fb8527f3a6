"""Importer of a data file of a table that is read by the library of its format: Delta, Iceberg."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from observability.core.errors import UsageError
from observability.store.ingest.column_advice import HEAD_ROWS
from observability.store.ingest.importer import Importer
from observability.store.ingest.parquet_importer import ROWS_A_BATCH, record_blocks
from observability.store.ingest.parse_types import LineBlock
from observability.store.ingest.record_columns import RecordColumns, record_columns
from observability.store.types.loading import LoadDefaults
from observability.store.types.sources import SourceFile


class BatchImporter(Importer):
    """A data file of a table. Line numbers are row numbers from 1."""

    columns: RecordColumns

    def __init__(self, path: Path | SourceFile, decimal: str | None = None) -> None:
        if not isinstance(path, SourceFile) or path.batches is None:
            raise TypeError("a local file has an importer of its own")
        self.path, self.decimal, self.size, self.done, self.batches = path, decimal, path.size, 0, path.batches

    def check(self, head: bytes) -> None:
        """Do nothing: the library of the table checks what it reads."""

    def prepare(self, defaults: LoadDefaults) -> None:
        """Assign the columns of the table to fields and features."""
        assert isinstance(self.path, SourceFile)
        self.columns = record_columns(list(self.path.columns), defaults, self.path.name, self.head)

    def head(self) -> dict[str, pa.Array]:
        """The first rows by column."""
        first = next(iter(self.batches()), None)
        return {} if first is None else dict(zip(first.schema.names, first.slice(0, HEAD_ROWS).columns, strict=True))

    def blocks(self) -> Iterator[LineBlock]:
        """The rows as blocks of lines, one batch after the other."""
        try:
            yield from record_blocks(self._small_batches(), self.columns, self.path.name)
        except (pa.ArrowException, OSError) as error:
            raise UsageError("the data file cannot be read", where=self.path.name, got=str(error)[:100]) from None

    def _small_batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self.batches():
            for start in range(0, batch.num_rows, ROWS_A_BATCH):
                yield batch.slice(start, ROWS_A_BATCH).select(self.columns.names)

    def table(self) -> tuple[pa.Table, list[str]]:
        """Raises UsageError, because a reference is registered from a file and not from a data file of a table."""
        raise UsageError("a data file of a table is loaded, not registered", where=self.path.name)
