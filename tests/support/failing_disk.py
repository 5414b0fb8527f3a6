"""Runs Python code in a separate process in which files cannot grow beyond a given size; also mounts small disks."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sample_home import ROOT, environment

LIMITED = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = ["observability", *sys.argv[2:]]
runpy.run_module("observability", run_name="__main__")
"""


def run_limited(home: Path, file_bytes: int, *argv: object) -> subprocess.CompletedProcess[str]:
    """Run a command line on a home whose files cannot grow beyond `file_bytes`: writing more fails as on a full disk."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(file_bytes), *map(str, argv)],
        cwd=ROOT,
        env=environment(home) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A real file system of this size, mounted at the folder. The test is skipped if mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_disk(folder: Path, leave: int = 0) -> Path:
    """Fill the disk of a folder, leaving the given number of bytes free; removing the returned file frees it again."""
    state = os.statvfs(folder)
    path = folder / "fills-the-disk"
    with path.open("wb") as file:
        with contextlib.suppress(OSError):
            left = max(state.f_bavail * state.f_frsize - leave, 0)
            while left > 0:
                left -= file.write(b"\0" * min(left, 1 << 16))
                file.flush()
    return path
