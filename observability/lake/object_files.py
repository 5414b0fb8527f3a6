"""List the files below an address of a bucket, or in a folder: Parquet, CSV and JSON lines. Names of their folders may hold columns."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.lake.addresses import LakeAddress, plain_http_is_needed
from observability.lake.partitions import partition_values
from observability.lake.ranged_file import RangedFile
from observability.store.types.sources import SourceFile

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]  # Python 3.12 and later; the checks are of 3.11

    from obstore.store import ObjectStore

ENDINGS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
BUFFER_BYTES = 4 * 1024 * 1024
"""Bytes of one request while a file is read from its start."""
CODE = re.compile(r"<Code>(\w+)</Code>")
CHECK = "Check the address, the network and the credentials in the environment"
RETRIES: dict[str, Any] = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}


@contextmanager
def told_failures(where: str) -> Iterator[None]:
    """Raise NotFoundError, UsageError or StoreBrokenError in place of the errors of the bucket's library. Texts of the library may contain
    requests, so only the first line is reported, without queries.
    """
    import obstore.exceptions as failures

    try:
        yield
    except (failures.NotFoundError, FileNotFoundError):
        raise NotFoundError("there is nothing at this address", got=where, attempt="Check the address") from None
    except (failures.PermissionDeniedError, failures.UnauthenticatedError):
        attempt = "Give credentials that may read it in the environment (docs/lake.md)"
        raise UsageError("the address may not be read", got=where, attempt=attempt) from None
    except (failures.BaseError, OSError, ValueError) as error:
        code = CODE.search(str(error))
        if code and code[1].startswith(("NoSuch", "ContainerNotFound")):
            raise NotFoundError("there is nothing at this address", got=f"{where}: {code[1]}", attempt="Check the address") from None
        raise StoreBrokenError("the source cannot be read", where=where, got=first_line(error), attempt=CHECK) from None


def first_line(error: BaseException) -> str:
    """The code in the answer of a bucket, else the first line of an error without the queries of addresses, at most 200 characters."""
    code = CODE.search(str(error))
    line = code[1] if code else (str(error).strip() or type(error).__name__).split("\n", 1)[0]
    return " ".join(word.partition("?")[0] if "://" in word else word for word in line.split(" "))[:200]


def bucket_store(address: LakeAddress) -> "tuple[ObjectStore, str]":
    """The bucket of an address and the path in it. Credentials, region and endpoint come from the environment. Raises UsageError."""
    from obstore import store

    scheme, _, rest = address.text.partition("://")
    bucket, _, path = rest.partition("/")
    text = f"{'s3' if scheme == 's3a' else scheme}://{bucket}"
    options: dict[str, Any] = {
        "client_options": {"timeout": timedelta(seconds=60), "connect_timeout": timedelta(seconds=10)},
        "retry_config": RETRIES,
    }
    if plain_http_is_needed(os.environ):
        options["client_options"]["allow_http"] = True
    with told_failures(address.text):
        return store.from_url(text, **options), path.strip("/")


class BucketFile(RangedFile):
    """The content of an object as a file that can be read and searched; each request has a limited size."""

    def __init__(self, bucket: "ObjectStore", path: str, size: int, where: str) -> None:
        super().__init__(size)
        self.bucket, self.path, self.where = bucket, path, where

    def range_of(self, start: int, length: int) -> "Buffer":
        """The bytes from a position on."""
        import obstore

        with told_failures(self.where):
            return cast("Buffer", obstore.get_range(self.bucket, self.path, start=start, length=length))


@dataclass(frozen=True)
class ObjectFiles:
    """The files below an address of a bucket, or one file of it."""

    place: LakeAddress
    format: str = "files"

    @property
    def address(self) -> str:
        """The address in the form that is stored and shown."""
        return self.place.text

    def list_files(self) -> tuple[list[SourceFile], int]:
        """The files, by name, and how many others have another ending."""
        import obstore

        bucket, root = bucket_store(self.place)
        found: list[tuple[str, str, int, str]] = []
        with told_failures(self.address):
            if root.lower().endswith(ENDINGS):
                about = obstore.head(bucket, root)
                found.append((root.rpartition("/")[2], root, about["size"], object_fingerprint(about)))
            else:
                for page in obstore.list(bucket, f"{root}/" if root else None, chunk_size=1000):
                    found += [
                        (each["path"][len(root) :].lstrip("/"), each["path"], each["size"], object_fingerprint(each)) for each in page
                    ]
        names = [name for name, *_ in found]

        def opened(path: str, size: int) -> BinaryIO:
            raw = BucketFile(bucket, path, size, f"{self.address} {path}")
            return cast("BinaryIO", io.BufferedReader(raw, BUFFER_BYTES))

        openers = {name: partial(opened, path, size) for name, path, size, _ in found}
        return chosen_files(self.address, names, {name: (size, mark) for name, _, size, mark in found}, openers)


@dataclass(frozen=True)
class FolderFiles:
    """The files below a local folder."""

    folder: Path
    format: str = "files"

    @property
    def address(self) -> str:
        """The path of the folder."""
        return str(self.folder)

    def list_files(self) -> tuple[list[SourceFile], int]:
        """The files, sorted by name, and how many files have another ending. Links that lead out of the folder are not followed."""
        if not self.folder.exists():
            raise NotFoundError("there is nothing at this address", got=self.address, attempt="Check the path")
        root = self.folder.resolve()
        paths = [path for path in root.rglob("*") if path.is_file() and path.resolve().is_relative_to(root)]
        names = {str(path.relative_to(root)).replace(os.sep, "/"): path for path in paths}
        states = {name: path.stat() for name, path in names.items()}
        about = {name: (state.st_size, f"{state.st_mtime_ns}-{state.st_size}-{state.st_ino}") for name, state in states.items()}
        return chosen_files(self.address, list(names), about, {name: partial(path.open, "rb") for name, path in names.items()})


def object_fingerprint(about: Any) -> str:
    """A value that changes with the content of an object: its entity tag, else its time together with its size."""
    return str(about["e_tag"] or f"{about['last_modified'].isoformat()}-{about['size']}")


def chosen_files(address: str, names: list[str], about: dict[str, tuple[int, str]], openers: Any) -> tuple[list[SourceFile], int]:
    """The files that are read, sorted by name, and how many have another ending. Two kinds are left out: names that begin with _ or .,
    which are notes of the writer, and empty files, which mark folders. Raises NotFoundError if nothing is left.
    """
    visible = sorted(name for name in names if not any(part.startswith(("_", ".")) for part in name.split("/")) and about[name][0])
    chosen = [name for name in visible if name.lower().endswith(ENDINGS)]
    if not chosen:
        got = f"{len(visible):,} files of other endings" if visible else "none"
        raise NotFoundError("no file to load is at this address", where=address, got=got, expected=", ".join(ENDINGS))
    files = [
        SourceFile(name, about[name][1], about[name][0], openers[name], partitions)
        for name, partitions in zip(chosen, partition_values(chosen), strict=True)
    ]
    return files, len(visible) - len(chosen)
