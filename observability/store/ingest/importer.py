"""Base class of the importers. An importer reads the files of one format.

`load` reads a file as blocks of JSON lines, which all go through the same parser. `register` reads a reference as one typed table.
store/ingest/files.py lists the importers by the ending of a file name.
"""

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from observability.core.errors import UsageError
from observability.store.ingest.parse_types import LineBlock
from observability.store.types.loading import LoadDefaults
from observability.store.types.sources import SourceFile

HEAD_BYTES = 65_536
MAX_TABLE_BYTES = 2 * 1024**3
"""Maximum size of a reference, which is read as a whole. Compressed files count decompressed."""
MAX_DECOMPRESSED = 4 * 1024**3
"""Maximum size of a compressed file after decompression, in bytes."""
GZIP_MAGIC = b"\x1f\x8b"
PLAIN_TEXT, JSON_ARRAY = "text that is not of this format", "one JSON array"


class Importer(ABC):
    """One file, local or of a source. The constructor checks the start of the file, and raises UsageError if it is not of the format.

    gzipped: whether files of this class are compressed. decimal: decimal sign of the numbers in a CSV file, see LoadDefaults. size: bytes
    of the file. done: bytes that `blocks` has read so far; some formats do not state it.
    """

    gzipped = False

    def __init__(self, path: Path | SourceFile, decimal: str | None = None) -> None:
        self.path, self.decimal, self.done = path, decimal, 0
        self.size = path.size if isinstance(path, SourceFile) else path.stat().st_size
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError as error:
            raise UsageError("the file cannot be read", where=path.name, got=error.strerror) from None
        if self.gzipped:
            if not head.startswith(GZIP_MAGIC):
                attempt = "Compress it with gzip, or take .gz off its name"
                raise UsageError("this is not a gzip file", where=path.name, got=likely_format(head), attempt=attempt)
            with self.stream() as (stream, _):
                head = stream.read(HEAD_BYTES)
            if not head:
                raise UsageError("the file is empty", where=path.name)
        elif head.startswith(GZIP_MAGIC):
            attempt = f"Name it {path.name}.gz if that is what it holds"
            raise UsageError("the file is compressed", where=path.name, got=likely_format(head), attempt=attempt)
        self.check(head)

    @contextmanager
    def stream(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """The content, decompressed, and the file itself. Raises UsageError if the file is damaged or too large when decompressed."""
        with self.path.open("rb") as file:
            try:
                yield (cast("BinaryIO", _BoundedGzip(self.path.name, file)) if self.gzipped else file), file
            except (OSError, EOFError, zlib.error) as error:
                raise UsageError("the file is damaged", where=self.path.name, got=error) from None

    @abstractmethod
    def check(self, head: bytes) -> None:
        """Raise UsageError if the start of the file is not of the format."""

    @abstractmethod
    def prepare(self, defaults: LoadDefaults) -> None:
        """Prepare for `blocks`. Raises UsageError if the file cannot be loaded with these defaults."""

    @abstractmethod
    def blocks(self) -> Iterator[LineBlock]:
        """The records of the file as blocks of JSON lines, in bounded memory. Raises UsageError if the file is damaged."""

    @abstractmethod
    def table(self) -> tuple[pa.Table, list[str]]:
        """The rows of the file as typed columns, and warnings. Raises UsageError if the file is damaged or larger than MAX_TABLE_BYTES."""

    def require_table_size(self, size: int) -> None:
        """Raise UsageError if a table of this many bytes is too large to be read at once."""
        if size > MAX_TABLE_BYTES:
            raise UsageError(
                "the reference is too large",
                where=self.path.name,
                got=f"{size / 1024**3:.1f} GB",
                expected=f"at most {MAX_TABLE_BYTES // 1024**3} GB",
                attempt="Take a random sample of some 100,000 rows",
            )


class _BoundedGzip(gzip.GzipFile):
    """A gzip file of which at most MAX_DECOMPRESSED bytes are read; after that it raises UsageError."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self.named = name

    def read(self, size: int | None = -1) -> bytes:
        """The next decompressed bytes. Raises UsageError above MAX_DECOMPRESSED."""
        found = super().read(size)
        if self.tell() > MAX_DECOMPRESSED:
            raise UsageError(
                "the file is too large when decompressed",
                where=self.named,
                expected=f"at most {MAX_DECOMPRESSED / 1e9:.1f} GB",
                attempt="Decompress it and load it in parts",
            )
        return found


def likely_format(head: bytes) -> str:
    """The likely format of a file that begins with these bytes, in words."""
    start = head.lstrip()[:200].lower()
    known = {
        b"PK\x03\x04": "a spreadsheet or zip file",
        GZIP_MAGIC: "a gzip file",
        b"BZh": "a bzip2 file",
        b"\xfd7zXZ": "an xz file",
        b"\x28\xb5\x2f\xfd": "a zstd file",
        b"PAR1": "a Parquet file",
        b"%PDF": "a PDF",
        b"\xff\xfe": "UTF-16 text",
    }
    for mark, words in known.items():
        if head.startswith(mark):
            return words
    if head[257:262] == b"ustar":
        return "a tar archive"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if start.startswith(b"["):
        return JSON_ARRAY
    return "binary data" if b"\x00" in head else PLAIN_TEXT
