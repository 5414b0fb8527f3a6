"""Identify the running program by a digest of its files and libraries."""

import hashlib
import os
from functools import cache
from importlib.metadata import version
from pathlib import Path

from observability.core.version import VERSION

LIBRARIES = ("duckdb", "numpy", "pandas", "scikit-learn", "scipy")
"""The libraries of which another release may change the last digits of a figure."""


@cache
def program_digest() -> str:
    """A digest of the release, of the versions of the computing libraries, and of the names, sizes and times of the program's files. It is
    computed once at the start, because files that are replaced later did not compute the figures of this process.
    """
    root, files = str(Path(__file__).parents[1]), []
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)  # a thousand files are read at each start, and a Path takes three times as long
                about = os.stat(path)
                files.append(f"{path.removeprefix(root)} {about.st_size} {about.st_mtime_ns}")
    libraries = [f"{name} {version(name)}" for name in LIBRARIES]
    return hashlib.sha256("\n".join([VERSION, *libraries, *sorted(files)]).encode()).hexdigest()
