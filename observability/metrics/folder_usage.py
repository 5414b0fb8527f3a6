"""Measure the content of a folder: bytes, small files, files with equal content, bytes that were not read lately, and the age of the oldest
file.
"""

import hashlib
import os
import shutil
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

SMALL_BYTES, COLD_DAYS, BLOCK = 1_000_000, 90, 1 << 20
DAY = 86_400.0


@dataclass(frozen=True)
class FolderUsage:
    """The measured content of a folder. room: bytes of its files plus the free bytes of its file system. oldest: the earliest time at which
    a file was changed, in seconds since 1970; None if there are no files. duplicates: None if contents were not compared. unread: number of
    files and folders that could not be read.
    """

    files: int
    bytes: int
    room: int
    small: int
    cold: int
    duplicates: int | None
    oldest: float | None
    unread: int


def folder_usage(folder: Path, now: float, *, contents: bool = True) -> FolderUsage:
    """Measure a folder and all folders below it. Links are not followed, and a file with several names (hard links) counts once.

    Parameters
    ----------
    folder : Path
        The folder.
    now : float
        The time, in seconds since 1970.
    contents : bool
        Compare the contents of files of one size.

    Returns
    -------
    FolderUsage
    """
    seen: set[tuple[int, int]] = set()
    sizes: dict[int, list[str]] = defaultdict(list)
    total, small, cold, unread = 0, 0, 0, 0
    oldest: float | None = None

    def failed(_: OSError) -> None:
        nonlocal unread
        unread += 1

    for parent, _, names in os.walk(folder, onerror=failed):
        for name in names:
            path = os.path.join(parent, name)
            try:
                found = os.lstat(path)
            except OSError as error:
                failed(error)
                continue
            if not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            total, small = total + found.st_size, small + (found.st_size < SMALL_BYTES)
            cold += found.st_size if now - max(found.st_atime, found.st_mtime) > COLD_DAYS * DAY else 0
            oldest = found.st_mtime if oldest is None else min(oldest, found.st_mtime)
            if found.st_size:
                sizes[found.st_size].append(path)
    duplicates = None
    if contents:
        duplicates, lost = _equal_bytes(sizes)
        unread += lost
    room = total + shutil.disk_usage(folder).free
    return FolderUsage(len(seen), total, room, small, cold, duplicates, oldest, unread)


def _equal_bytes(sizes: dict[int, list[str]]) -> tuple[int, int]:
    """Bytes of files whose content equals that of another file; of each content, one file is not counted. Also the number of files that
    could not be read.
    """
    found, lost = 0, 0
    for size, paths in sizes.items():
        if len(paths) < 2:
            continue
        known: set[bytes] = set()
        for path in paths:
            try:
                content = _content_hash(path)
            except OSError:
                lost += 1
                continue
            found += size if content in known else 0
            known.add(content)
    return found, lost


def _content_hash(path: str) -> bytes:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.digest()
