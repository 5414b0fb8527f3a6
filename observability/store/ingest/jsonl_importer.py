"""Importer of JSON lines, plain or gzipped."""

from collections.abc import Iterator

import pyarrow as pa

from observability.core.errors import UsageError
from observability.store.ingest import landing
from observability.store.ingest.importer import Importer, likely_format
from observability.store.ingest.json_table import read_json_table
from observability.store.ingest.parse_types import LineBlock
from observability.store.types.loading import LoadDefaults


class JsonLinesImporter(Importer):
    """A file with one JSON object per line."""

    def check(self, head: bytes) -> None:
        """Raise UsageError if no line begins with an object."""
        if not any(line.lstrip(b" \t\r\xef\xbb\xbf").startswith(b"{") for line in head.split(b"\n")):
            raise UsageError(
                "this is not a file of JSON lines", where=self.path.name, got=likely_format(head), expected="one JSON object per line"
            )

    def prepare(self, defaults: LoadDefaults) -> None:
        """Accept any defaults but score columns. The parser applies them to each line."""
        if defaults.scores:
            raise UsageError("--score is of .csv and .parquet files", where=self.path.name, attempt="Write `score` as {class: probability}")

    def blocks(self) -> Iterator[LineBlock]:
        """Blocks of whole lines of about 16 MB. A line longer than 16 MB is rejected without being kept in memory."""
        with self.stream() as (stream, file):
            for block, _ in landing.line_blocks(stream, self.path.name, "too_large", landing.BLOCK_BYTES):
                self.done = file.tell()
                yield block

    def table(self) -> tuple[pa.Table, list[str]]:
        """A column per key of the objects."""
        self.require_table_size(self.size)
        parts, size = [], 0
        for block in self.blocks():
            if isinstance(block.raw, bytes):
                parts.append(block.raw)
                size += len(block.raw)
                self.require_table_size(size)
        return read_json_table(b"".join(parts), self.path.name)


class GzipJsonLinesImporter(JsonLinesImporter):
    """A gzipped file with one JSON object per line."""

    gzipped = True
