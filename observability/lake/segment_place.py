"""A shared folder or bucket in which collectors leave segments, and the owner of a store its configuration for them.

    config.json        what collectors need of the home (server/collector_config.py)
    segments/NAME      whole segments, each written before its records are acknowledged
    taken/NAME         segments that the store has, kept for a week

A segment is there whole or not at all: a folder gets it by a rename after a sync, a bucket by one PUT.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from observability.core.errors import StoreBrokenError, UsageError
from observability.lake.addresses import BUCKETS, checked_address
from observability.lake.object_files import bucket_store, told_failures
from observability.records.private_file import make_private_folder, sync_folder

SEGMENTS, TAKEN, CONFIG = "segments", "taken", "config.json"
NAME = re.compile(r"\d{8}T\d{6}-c[0-9a-f]{16}-\d{10}\.jsonl")
"""When it was written (UTC), the collector's number, and the number of its segment."""


class SegmentPlace(Protocol):
    """Files by name; every method raises StoreBrokenError where the place cannot be used."""

    @property
    def address(self) -> str:
        """Names the place; holds no credentials."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Write a file; on disk when it returns. One of that name is replaced."""
        ...

    def get(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""
        ...

    def list_names(self, folder: str) -> list[str]:
        """The names of the segments of a folder, sorted; anything else is left out."""
        ...

    def move(self, name: str, to: str) -> None:
        """Give a file another name. One that is not there is left."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file. One that is not there is left."""
        ...


def open_segment_place(text: str) -> SegmentPlace:
    """The place at an address of a bucket, or in a folder, which is made. Raises UsageError, StoreBrokenError."""
    address = checked_address(text)
    if address.path is not None:
        return FolderPlace(address.path)
    if address.scheme not in BUCKETS:
        raise UsageError("segments are kept in a folder or a bucket", got=address.text, expected="a folder, s3://, gs:// or az://")
    bucket, root = bucket_store(address)
    return BucketPlace(address.text, bucket, f"{root}/" if root else "")


class FolderPlace:
    """A folder, also of a network file system."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, str(folder)
        with self._told():
            for name in (SEGMENTS, TAKEN):
                make_private_folder(folder / name)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            attempt = "Check the folder, its disk and its permissions"
            raise StoreBrokenError("the shared folder cannot be used", where=self.address, got=error.strerror, attempt=attempt) from None

    def put(self, name: str, content: bytes) -> None:
        """Write, sync, rename, sync."""
        path = self.folder / name
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        with self._told():
            try:
                with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(part, path)
                sync_folder(path.parent)
            except OSError:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise

    def get(self, name: str) -> bytes | None:
        """The bytes of the file."""
        with self._told():
            try:
                return (self.folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def list_names(self, folder: str) -> list[str]:
        """The names of the segments."""
        with self._told():
            return sorted(entry.name for entry in os.scandir(self.folder / folder) if NAME.fullmatch(entry.name))

    def move(self, name: str, to: str) -> None:
        """A rename."""
        with self._told(), suppress(FileNotFoundError):
            os.rename(self.folder / name, self.folder / to)

    def delete(self, name: str) -> None:
        """Delete the file."""
        with self._told():
            (self.folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class BucketPlace:
    """A folder of a bucket."""

    address: str
    bucket: Any
    root: str

    def put(self, name: str, content: bytes) -> None:
        """One PUT."""
        import obstore

        with told_failures(self.address):
            obstore.put(self.bucket, f"{self.root}{name}", content)

    def get(self, name: str) -> bytes | None:
        """One GET."""
        import obstore
        from obstore.exceptions import NotFoundError as MissingError

        with told_failures(self.address):
            try:
                return bytes(obstore.get(self.bucket, f"{self.root}{name}").bytes())
            except (MissingError, FileNotFoundError):
                return None

    def list_names(self, folder: str) -> list[str]:
        """The names of the segments."""
        import obstore

        with told_failures(self.address):
            pages = list(obstore.list(self.bucket, f"{self.root}{folder}/", chunk_size=1000))
        names = (each["path"].rpartition("/")[2] for page in pages for each in page)
        return sorted(name for name in names if NAME.fullmatch(name))

    def move(self, name: str, to: str) -> None:
        """A copy, then the deletion."""
        import obstore
        from obstore.exceptions import NotFoundError as MissingError

        with told_failures(self.address), suppress(MissingError, FileNotFoundError):
            obstore.rename(self.bucket, f"{self.root}{name}", f"{self.root}{to}")

    def delete(self, name: str) -> None:
        """Delete the object."""
        import obstore
        from obstore.exceptions import NotFoundError as MissingError

        with told_failures(self.address), suppress(MissingError, FileNotFoundError):
            obstore.delete(self.bucket, f"{self.root}{name}")
