"""A source of files that is read repeatedly: its content, and the report of a load from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from observability.store.types.loading import LoadReport

PartitionValue = str | int | None


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    name: within the source. fingerprint: changes with the content. size: bytes. opener: opens the content. partitions: columns with a
    single value, which stands in the path. columns, batches: for a file that the library of a table format reads, its columns and a
    function that gives its record batches; such a file has no opener. immutable: the content under this name never changes.
    """

    name: str
    fingerprint: str
    size: int
    opener: Callable[[], BinaryIO] | None = None
    partitions: Mapping[str, PartitionValue] = field(default_factory=dict)
    columns: Sequence[str] = ()
    batches: Callable[[], Iterable[Any]] | None = None
    immutable: bool = False

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open the content for reading, like `Path.open` for a local file."""
        if self.opener is None or mode != "rb":
            raise ValueError(f"the source {self.name} is read in batches")
        return self.opener()


class DataSource(Protocol):
    """Files at an address, to which more files may be added."""

    @property
    def address(self) -> str:
        """The address that names the source; it holds no credentials."""
        ...

    @property
    def format(self) -> str:
        """The format of the source: `files`, `delta` or `iceberg`."""
        ...

    def list_files(self) -> tuple[list[SourceFile], int]:
        """The present files, by name, and how many others were left out for their endings. Raises UsageError, StoreBrokenError."""
        ...


@dataclass(frozen=True)
class SourceReport:
    """The report of a load from a source.

    files: files of the source. new, rewritten, resumed: files that were read for the first time, again after a change, or from where an
    earlier load ended. present: files that earlier loads had read completely. left_out: files of other types. failures: by file, why it
    could not be read; the next load tries it again. loaded: the report of the lines.
    """

    address: str
    format: str
    files: int = 0
    new: int = 0
    rewritten: int = 0
    resumed: int = 0
    present: int = 0
    left_out: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)
    loaded: LoadReport = field(default_factory=LoadReport)

    def to_json(self) -> dict[str, Any]:
        """The report as `load --json` and the page Store show it."""
        counts = {name: getattr(self, name) for name in ("files", "new", "rewritten", "resumed", "present", "left_out")}
        return {"source": self.address, "format": self.format, **counts, "failures": dict(self.failures), **self.loaded.to_json()}
