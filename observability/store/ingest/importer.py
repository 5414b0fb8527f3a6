"""Base class of the importers. An importer reads the files of one format.

`load` reads a file as blocks of JSON lines, which all go through the same parser. `register` reads a reference as one typed table.
store/ingest/files.py lists the importers by the ending of a file name.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from observability.core.errors import UsageError
from observability.store.ingest.parse_types import LineBlock
from observability.store.types.loading import LoadDefaults

HEAD_BYTES = 65_536
MOST_TABLE_BYTES = 2 * 1024**3
"""Maximum size of a reference, which is read as a whole. Compressed files count decompressed."""
PLAIN_TEXT, JSON_ARRAY = "text that is not of this format", "one JSON array"


class Importer(ABC):
    """One file. Creating it checks the start of the file; raises UsageError if that is not of the format.

    size: bytes of the file. done: bytes that `blocks` has read so far, as far as the format tells.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size, self.done = path, path.stat().st_size, 0
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError as error:
            raise UsageError("the file cannot be read", where=path.name, got=error.strerror) from None
        self.check(head)

    @abstractmethod
    def check(self, head: bytes) -> None:
        """Raise UsageError if the start of the file is not of the format."""

    @abstractmethod
    def prepare(self, defaults: LoadDefaults) -> None:
        """Get ready for `blocks`. Raises UsageError if the file cannot be loaded with these defaults."""

    @abstractmethod
    def blocks(self) -> Iterator[LineBlock]:
        """The records of the file as blocks of JSON lines, in bounded memory. Raises UsageError if the file is damaged."""

    @abstractmethod
    def table(self) -> tuple[pa.Table, list[str]]:
        """The rows of the file as typed columns, and warnings. Raises UsageError if the file is damaged or larger than MOST_TABLE_BYTES."""

    def require_table_size(self, size: int) -> None:
        """Raise UsageError if a table of this many bytes is too large to be read at once."""
        if size > MOST_TABLE_BYTES:
            raise UsageError(
                "the reference is too large",
                where=self.path.name,
                got=f"{size / 1024**3:.1f} GB",
                expected=f"at most {MOST_TABLE_BYTES // 1024**3} GB",
                attempt="Take a random sample of some 100,000 rows",
            )


def likely_format(head: bytes) -> str:
    """What a file with this start seems to be, in words."""
    start = head.lstrip()[:200].lower()
    known = {
        b"PK\x03\x04": "a spreadsheet or zip file",
        b"\x1f\x8b": "a gzip file",
        b"PAR1": "a Parquet file",
        b"%PDF": "a PDF",
        b"\xff\xfe": "UTF-16 text",
    }
    for mark, words in known.items():
        if head.startswith(mark):
            return words
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if start.startswith(b"["):
        return JSON_ARRAY
    return "binary data" if b"\x00" in head else PLAIN_TEXT
