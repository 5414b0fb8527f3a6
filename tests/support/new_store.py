"""Opens a new store in half of the usual time: each process creates one empty store and then copies it."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from observability.store.duck_store import DuckStore
from observability.store.opener import open_store


@functools.cache
def _empty_home() -> Path:
    """The home of an empty, closed store. It is removed at the end of the process."""
    folder = Path(tempfile.mkdtemp(prefix="empty-home-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    open_store(folder / "home").close()
    return folder / "home"


def new_store(home: Path, **options: Any) -> DuckStore:
    """The store of a home folder, opened by `open_store`. If the folder does not exist, it becomes a copy of an empty store first."""
    if not home.exists():
        shutil.copytree(_empty_home(), home)
    return open_store(home, **options)
