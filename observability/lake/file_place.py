"""A folder or a bucket that files are written to by name: the lake beside the store (store/lake/).

A file is there whole or not at all: a folder gets it by a rename after a sync, a bucket by one upload.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from observability.core.errors import StoreBrokenError, UsageError
from observability.lake.addresses import BUCKETS, checked_address
from observability.lake.object_files import bucket_store, told_failures
from observability.records.private_file import make_private_folder, sync_folder


class FilePlace(Protocol):
    """Files by their names, with / between folders. Every method raises StoreBrokenError where the place cannot be used."""

    @property
    def address(self) -> str:
        """Names the place; holds no credentials."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder of this machine; None of a bucket."""
        ...

    def publish(self, local: Path, name: str) -> None:
        """Move a file of this machine to a name of the place; on disk when it returns. One of that name is replaced."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a file."""
        ...

    def list_names(self, folder: str) -> list[str]:
        """The names of all files below a folder, sorted."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file. One that is not there is left."""
        ...


def open_file_place(text: str) -> FilePlace:
    """The place at an address of a bucket, or in a folder, which is made. Raises UsageError, StoreBrokenError."""
    address = checked_address(text)
    if address.path is not None:
        return LakeFolder(address.path)
    if address.scheme not in BUCKETS:
        raise UsageError("a lake is kept in a folder or a bucket", got=address.text, expected="a folder, s3://, gs:// or az://")
    bucket, root = bucket_store(address)
    return LakeBucket(address.text, bucket, f"{root}/" if root else "")


class LakeFolder:
    """A folder, also of a network file system."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path | None = folder
        self.root, self.address = folder, str(folder)
        with self._told():
            make_private_folder(folder)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            attempt = "Check the folder, its disk and its permissions"
            raise StoreBrokenError("the lake cannot be used", where=self.address, got=error.strerror, attempt=attempt) from None

    def publish(self, local: Path, name: str) -> None:
        """Copy where it is another disk, sync, rename, sync."""
        path = self.root / name
        part = path.with_name(f".{path.name}.part")
        with self._told():
            make_private_folder(path.parent)
            try:
                if local.stat().st_dev == path.parent.stat().st_dev:
                    os.rename(local, part)
                else:
                    shutil.copyfile(local, part)
                    local.unlink()
                part.chmod(0o600)
                with part.open("rb") as file:
                    os.fsync(file.fileno())
                os.rename(part, path)
                sync_folder(path.parent)
            except OSError:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise

    def read(self, name: str) -> bytes:
        """The bytes of the file."""
        with self._told():
            return (self.root / name).read_bytes()

    def list_names(self, folder: str) -> list[str]:
        """The files, those that are being written left out."""
        with self._told():
            found = (path for path in (self.root / folder).rglob("*") if path.is_file() and not path.name.startswith("."))
            return sorted(str(path.relative_to(self.root)) for path in found)

    def delete(self, name: str) -> None:
        """Delete the file, and its folders where they are empty."""
        path = self.root / name
        with self._told():
            path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self.root:
                return
            try:
                parent.rmdir()
            except OSError:
                return


@dataclass(frozen=True)
class LakeBucket:
    """A folder of a bucket."""

    address: str
    bucket: Any
    root: str
    folder: Path | None = None

    def publish(self, local: Path, name: str) -> None:
        """One upload, in parts where the file is large; it is there when all of it is."""
        import obstore

        with told_failures(self.address):
            obstore.put(self.bucket, f"{self.root}{name}", local)
        local.unlink()

    def read(self, name: str) -> bytes:
        """One GET."""
        import obstore

        with told_failures(f"{self.address}/{name}"):
            return bytes(obstore.get(self.bucket, f"{self.root}{name}").bytes())

    def list_names(self, folder: str) -> list[str]:
        """The names of the objects."""
        import obstore

        with told_failures(self.address):
            pages = list(obstore.list(self.bucket, f"{self.root}{folder}/", chunk_size=1000))
        return sorted(each["path"][len(self.root) :] for page in pages for each in page)

    def delete(self, name: str) -> None:
        """Delete the object."""
        import obstore
        from obstore.exceptions import NotFoundError as MissingError

        with told_failures(self.address), suppress(MissingError, FileNotFoundError):
            obstore.delete(self.bucket, f"{self.root}{name}")
