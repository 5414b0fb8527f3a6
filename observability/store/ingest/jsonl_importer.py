"""Importer of JSON lines, plain or gzipped."""

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from observability.core.errors import UsageError
from observability.store.ingest import landing
from observability.store.ingest.importer import Importer, likely_format
from observability.store.ingest.json_table import read_json_table
from observability.store.ingest.parse_types import LineBlock
from observability.store.types.loading import LoadDefaults

MOST_DECOMPRESSED = 4 * 1024**3
"""Maximum size of a compressed file after decompression, in bytes."""


class JsonLinesImporter(Importer):
    """A file with one JSON object per line."""

    def check(self, head: bytes) -> None:
        """Raise UsageError if no line begins with an object."""
        if not any(line.lstrip(b" \t\r\xef\xbb\xbf").startswith(b"{") for line in head.split(b"\n")):
            raise UsageError(
                "this is not a file of JSON lines", where=self.path.name, got=likely_format(head), expected="one JSON object a line"
            )

    def prepare(self, defaults: LoadDefaults) -> None:
        """Any defaults fit: the parser applies them to each line."""

    def stream(self, raw: BinaryIO) -> BinaryIO:
        """The bytes of the lines."""
        return raw

    def blocks(self) -> Iterator[LineBlock]:
        """Blocks of whole lines of about 16 MB. A line longer than 16 MB is rejected without being kept in memory."""
        with self.path.open("rb") as raw:
            stream = self.stream(raw)
            try:
                for block, _ in landing.line_blocks(stream, self.path.name, "too_large", landing.BLOCK_BYTES):
                    if stream is not raw and stream.tell() > MOST_DECOMPRESSED:
                        raise UsageError(
                            "the file is too large when decompressed",
                            where=self.path.name,
                            expected=f"at most {MOST_DECOMPRESSED / 1e9:.1f} GB",
                            attempt="Decompress it and load it in parts",
                        )
                    self.done = raw.tell()
                    yield block
            except (OSError, EOFError, zlib.error) as error:
                raise UsageError("the file is damaged", where=self.path.name, got=error) from None

    def table(self) -> tuple[pa.Table, list[str]]:
        """A column per key of the objects."""
        self.require_table_size(self.size)
        raw = b"".join(block.raw for block in self.blocks() if isinstance(block.raw, bytes))
        self.require_table_size(len(raw))
        return read_json_table(raw, self.path.name)


class GzipJsonLinesImporter(JsonLinesImporter):
    """A gzipped file with one JSON object per line."""

    def check(self, head: bytes) -> None:
        """Raise UsageError if the file is not gzipped."""
        if not head.startswith(b"\x1f\x8b"):
            raise UsageError("this is not a gzip file", where=self.path.name, got=likely_format(head))

    def stream(self, raw: BinaryIO) -> BinaryIO:
        """The decompressed bytes."""
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]  # a GzipFile reads as one
