"""A folder or a bucket to which files are written by name. It is used for the lake beside the store, and for segments (files of records) of
collectors (segment_place.py).

A file is there completely or not at all: in a folder, it is synced and then renamed; in a bucket, it is one upload.
"""

import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from observability.core.errors import StoreBrokenError, UsageError
from observability.lake.addresses import BUCKETS, checked_address
from observability.lake.object_files import bucket_store, told_failures
from observability.records.private_file import make_private_folder, sync_folder


class FilePlace(ABC):
    """Files by their names, with / between folders. Every method raises StoreBrokenError if the place cannot be used.

    address: names the place; holds no credentials. folder: a folder of this machine; None for a bucket.
    """

    address: str
    folder: Path | None

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Write a file, which is on disk when this returns. A file of that name is replaced."""

    @abstractmethod
    def publish(self, local: Path, name: str) -> None:
        """Move a file of this machine to a name of the place. It is on disk when this returns. A file of that name is replaced."""

    @abstractmethod
    def get(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""

    @abstractmethod
    def list_names(self, folder: str) -> list[str]:
        """The names of all files below a folder, sorted."""

    @abstractmethod
    def move(self, name: str, to: str) -> None:
        """Give a file another name. Does nothing if there is no such file."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file. Does nothing if there is no such file."""

    @abstractmethod
    def remove_unfinished(self, folder: str, older_than: float = 0.0) -> None:
        """Remove the unfinished files that writers left below a folder when they were killed. older_than: seconds; longer than any running
        writer needs for a file.
        """

    def read(self, name: str) -> bytes:
        """The content of a file that must exist. Raises StoreBrokenError if it does not."""
        content = self.get(name)
        if content is None:
            raise StoreBrokenError("a file is missing", where=f"{self.address}/{name}")
        return content


def open_file_place(text: str, what: str = "a lake is") -> FilePlace:
    """The place at an address of a bucket, or in a folder, which is created if missing. what: subject of the error message, such as `a lake
    is`. Raises UsageError, StoreBrokenError.
    """
    address = checked_address(text)
    if address.path is not None:
        return FolderPlace(address.path)
    if address.scheme not in BUCKETS:
        raise UsageError(f"{what} kept in a folder or a bucket", got=address.text, expected="a folder, s3://, gs:// or az://")
    bucket, root = bucket_store(address)
    return BucketPlace(address.text, bucket, f"{root}/" if root else "")


class FolderPlace(FilePlace):
    """A folder, possibly of a network file system."""

    def __init__(self, folder: Path) -> None:
        self.root, self.address = folder, str(folder)
        self.folder = folder
        with self._failures_named():
            make_private_folder(folder)

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            attempt = "Check the folder, its disk and its permissions"
            raise StoreBrokenError("the folder cannot be used", where=self.address, got=error.strerror, attempt=attempt) from None

    def put(self, name: str, content: bytes) -> None:
        """Write the file durably: write to a temporary name, sync, rename, sync the folder."""
        self._brought(name, lambda part: part.write_bytes(content))

    def publish(self, local: Path, name: str) -> None:
        """Move the file, or copy it if it is on another disk; then sync, rename, sync the folder."""

        def bring(part: Path) -> None:
            if local.stat().st_dev == part.parent.stat().st_dev:
                os.rename(local, part)
            else:
                shutil.copyfile(local, part)

        self._brought(name, bring)
        local.unlink(missing_ok=True)

    def _brought(self, name: str, bring: Callable[[Path], object]) -> None:
        """Write a file with `bring` under a hidden temporary name, then rename it."""
        path = self.root / name
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        with self._failures_named():
            make_private_folder(path.parent)
            try:
                part.touch(0o600)
                bring(part)
                part.chmod(0o600)
                with part.open("rb") as file:
                    os.fsync(file.fileno())
                os.rename(part, path)
                sync_folder(path.parent)
            except OSError:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise

    def get(self, name: str) -> bytes | None:
        """The bytes of the file."""
        with self._failures_named():
            try:
                return (self.root / name).read_bytes()
            except FileNotFoundError:
                return None

    def list_names(self, folder: str) -> list[str]:
        """The names of all finished files below a folder, sorted."""
        with self._failures_named():
            found = (path for path in (self.root / folder).rglob("*") if path.is_file() and not path.name.startswith("."))
            return sorted(str(path.relative_to(self.root)) for path in found)

    def remove_unfinished(self, folder: str, older_than: float = 0.0) -> None:
        """Remove temporary files that are at least `older_than` seconds old, such as those of killed writers."""
        with self._failures_named():
            for path in [*(self.root / folder).rglob(".*.part")]:
                with suppress(FileNotFoundError):  # the writer renamed it meanwhile
                    if time.time() - path.stat().st_mtime >= older_than:
                        path.unlink()

    def move(self, name: str, to: str) -> None:
        """Rename the file. Does nothing if it does not exist."""
        with self._failures_named(), suppress(FileNotFoundError):
            make_private_folder((self.root / to).parent)
            os.rename(self.root / name, self.root / to)

    def delete(self, name: str) -> None:
        """Delete the file, and its folders if they are empty."""
        path = self.root / name
        with self._failures_named():
            path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self.root:
                return
            try:
                parent.rmdir()
            except OSError:
                return


class BucketPlace(FilePlace):
    """A folder of a bucket."""

    def __init__(self, address: str, bucket: Any, root: str) -> None:
        self.address, self.bucket, self.root = address, bucket, root
        self.folder = None

    def put(self, name: str, content: bytes) -> None:
        """Upload a file; a large file in several parts. It becomes visible when the upload is complete."""
        self._uploaded(name, content)

    def publish(self, local: Path, name: str) -> None:
        """Upload a file like `put`, then delete the local file."""
        self._uploaded(name, local)
        local.unlink()

    def _uploaded(self, name: str, content: bytes | Path) -> None:
        import obstore

        with told_failures(self.address):
            obstore.put(self.bucket, f"{self.root}{name}", content)

    def get(self, name: str) -> bytes | None:
        """The bytes of the object, by one GET request; None if it does not exist."""
        import obstore
        from obstore.exceptions import NotFoundError as MissingError

        with told_failures(f"{self.address}/{name}"):
            try:
                return bytes(obstore.get(self.bucket, f"{self.root}{name}").bytes())
            except (MissingError, FileNotFoundError):
                return None

    def list_names(self, folder: str) -> list[str]:
        """The names of the objects."""
        import obstore

        with told_failures(self.address):
            pages = list(obstore.list(self.bucket, f"{self.root}{folder}/", chunk_size=1000))
        return sorted(each["path"][len(self.root) :] for page in pages for each in page)

    def remove_unfinished(self, folder: str, older_than: float = 0.0) -> None:
        """Do nothing, because a bucket never shows unfinished objects."""

    def move(self, name: str, to: str) -> None:
        """Copy the object to the new name, then delete the old one."""
        import obstore
        from obstore.exceptions import NotFoundError as MissingError

        with told_failures(self.address), suppress(MissingError, FileNotFoundError):
            obstore.rename(self.bucket, f"{self.root}{name}", f"{self.root}{to}")

    def delete(self, name: str) -> None:
        """Delete the object. Does nothing if it does not exist."""
        import obstore
        from obstore.exceptions import NotFoundError as MissingError

        with told_failures(self.address), suppress(MissingError, FileNotFoundError):
            obstore.delete(self.bucket, f"{self.root}{name}")
