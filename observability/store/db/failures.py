"""Distinguishes a failure of the store or its disk from a fault of the records.

A failed write, sync or commit does not mean that the records are wrong, so they wait. DuckDB reports a failed commit as
TransactionException, and a block whose checksum is wrong as a plain Error.
"""

import errno
import os
import re
from pathlib import Path

import duckdb

from observability.core.errors import StoreBrokenError, StoreDamagedError

STORAGE_ERRORS = (duckdb.FatalException, duckdb.IOException, duckdb.OutOfMemoryException)
DAMAGE = re.compile(
    r"Corrupt|not a valid DuckDB database|replaying WAL|Could not read enough bytes|attempted to read|deserialize|Serialization Error"
)
DISK_CODES = [
    "ENOSPC",
    "EFBIG",
    "EDQUOT",
    "EROFS",
    "EACCES",
    "EPERM",
    "EMFILE",
    "ENFILE",
    "EIO",
    "ENOMEM",
    "EBUSY",
    "ESTALE",
    "ENODEV",
    "ENXIO",
    "ETIMEDOUT",
    "EINTR",
    "EAGAIN",
    "ENOLCK",
]
DISK_ERRORS = tuple(os.strerror(getattr(errno, name)) for name in DISK_CODES if hasattr(errno, name))
NO_SPACE = tuple(os.strerror(getattr(errno, name)) for name in ("ENOSPC", "EDQUOT", "EFBIG"))
NEWER = re.compile(r"version number|newer version|we can only read", re.IGNORECASE)


def error_summary(error: BaseException) -> str:
    """The first line of an error message, without its final full stop."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")


def is_damage(error: BaseException) -> bool:
    """Whether an error of DuckDB means that the content of its files is damaged. False if the disk or the system refused."""
    text = str(error)
    if type(error) not in (duckdb.Error, duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.TransactionException):
        return False  # the text of such an error may quote a record
    return bool(DAMAGE.search(text)) and not NEWER.search(text) and not any(words in text for words in DISK_ERRORS)


def store_failure(error: duckdb.Error, path: Path, *, committing: bool = False) -> StoreBrokenError | None:
    """The failure of the store that is behind an error within a write; None if the records or the caller are at fault.

    committing: the error came from the commit. There is one writer, so a commit fails because of the disk, unless the error names a
    constraint.
    """
    if is_damage(error):
        return StoreDamagedError(
            "the store is damaged",
            where=str(path),
            got=error_summary(error),
            attempt="Run: observability verify, which names the damaged tables; bring a backup back with: observability restore DIR",
        )
    if isinstance(error, STORAGE_ERRORS) or (committing and not isinstance(error, duckdb.ConstraintException)):
        return broken_disk(error, path)
    return None


def opening_advice(error: duckdb.Error) -> str:
    """Advice about a database that cannot be opened."""
    if NEWER.search(str(error)):
        return "It was written by a newer version of the database; update the software, or use another home"
    if any(words in str(error) for words in NO_SPACE):
        return "Free some disk space and try again"
    if any(words in str(error) for words in (*DISK_ERRORS, "fsync failed")):
        return "Check the disk and the permissions of the folder, and try again"
    return "Restore a backup, or move the file aside and load the records again"


def broken_disk(error: BaseException, path: Path, what: str = "the store could not be written") -> StoreBrokenError:
    """The error of a disk that cannot be read or written, with its cause and what to do."""
    text = error_summary(error)
    attempt = "Free some disk space" if any(words in text for words in NO_SPACE) else "Check the disk, its space and its permissions"
    return StoreBrokenError(
        what, where=str(path), got=text, attempt=f"{attempt}, then try again; what is stored is intact, and records in landing wait"
    )
