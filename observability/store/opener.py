"""Opens the store of a home folder: makes the folder, opens the database, migrates an older schema."""

import shutil
from pathlib import Path

from observability.core.errors import StoreBrokenError
from observability.store.duck_store import DuckStore
from observability.store.migrations import migrate


def open_store(home: Path, *, memory_limit: str = "4GB", threads: int | None = None) -> DuckStore:
    """Open the store of a home folder. Create it where there is none, and migrate an older schema.

    Raises StoreBusyError where another process has it open, StoreBrokenError where it cannot be read or its schema is newer.
    """
    home = Path(home).absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(home / "tmp", ignore_errors=True)
        (home / "tmp").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreBrokenError(
            "the home folder cannot be made", where=str(home), got=error.strerror, attempt="Set OBSERVABILITY_HOME to a folder you own"
        ) from error
    store = DuckStore(home, memory_limit, threads)
    try:
        with store.write() as writer:
            migrate(writer)
    except BaseException:
        store.close()
        raise
    return store
