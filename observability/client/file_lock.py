"""An exclusive lock on an open file, released when the file is closed: flock on Unix, msvcrt.locking on Windows."""

import os
from importlib import import_module
from typing import Any


def _module_or_none(name: str) -> Any:
    """A module of the standard library that only some platforms have."""
    try:
        return import_module(name)
    except ImportError:
        return None


fcntl, msvcrt = _module_or_none("fcntl"), _module_or_none("msvcrt")
LOCKED_BYTE = 2**31 - 2
"""On Windows, other processes cannot read locked bytes, so a byte beyond all content is locked; larger offsets overflow in its C
runtime.
"""
CAN_RENAME_OPEN_FILES = fcntl is not None
"""Windows renames and removes only closed files."""
CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags for every `os.open`: child processes do not inherit the file, and Windows does not translate newlines."""


def lock_file(fd: int) -> bool:
    """Lock an open file without waiting; False if another process holds the lock. Always True on a platform without locks."""
    if fcntl is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    elif msvcrt is not None:
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
    return True
