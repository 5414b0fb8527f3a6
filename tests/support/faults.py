"""Compiles the shim that makes calls to the file system fail, and gives the environment of a process under it."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fault_shim.c")


def compiled_shim(folder: Path) -> Path:
    """The shim as a library. Skips the test where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    library = folder / "fault_shim.so"
    done = subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"the shim cannot be compiled here: {done.stderr.strip()[:200]}")
    return library


def fault(shim: Path, folder: Path, call: str, at: int, *, forever: bool = False) -> dict[str, str]:
    """The environment in which the `at`-th call of a kind below a folder fails, and every later one too if `forever`.

    call: write, sync, rename, open or truncate.
    """
    chosen = {"LD_PRELOAD": str(shim), "FAULT_FOLDER": str(folder), "FAULT_CALL": call, "FAULT_AT": str(at)}
    return chosen | ({"FAULT_FOREVER": "1"} if forever else {})
