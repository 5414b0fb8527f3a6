"""Some homes take seconds to fill. They are filled only once in a run of the tests, and copied for each test."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

SHARED = "SAMPLE_HOMES"
"""The environment variable that names the folder shared by all workers of a run. `make test` sets it; otherwise tests/conftest.py does."""


def copied_once(name: str, fill: Callable[[Path], object], home: Path) -> None:
    """Copy the home of this name into a folder. The first caller fills it: `fill` gets an empty folder, and must not leave a store open
    there.

    Outside a run of the tests (in a benchmark), the folder itself is filled.
    """
    if SHARED not in os.environ:
        home.mkdir(parents=True, exist_ok=True)
        fill(home)
        return
    root = Path(os.environ[SHARED])
    filled = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not filled.exists():
            draft = root / f"{name}-draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            fill(draft)
            draft.rename(filled)
    shutil.copytree(filled, home, dirs_exist_ok=True)
