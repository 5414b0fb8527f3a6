"""Restrict a job's file access with Landlock (Linux 5.13 and later). The job may use its own folder, and read the interpreter and its
libraries.

Landlock needs no privileges and is called through ctypes. If the kernel has no Landlock, `confine_files` returns False and changes nothing.
"""

import ctypes
import os
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

CREATE, ADD, RESTRICT = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REGULAR, TRUNCATE = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 14
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | 1 << 15
READING = READ_FILE | READ_DIR
OWN = READING | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REGULAR | TRUNCATE
ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All file rights of each Landlock version; later versions add other rights only."""

SYSTEM = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/usr/share/locale",
    "/usr/share/fonts",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system",
    "/sys/fs/cgroup",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
PROJECT = Path(__file__).resolve().parents[2]


class _Rules(ctypes.Structure):
    """The C structure `landlock_ruleset_attr`."""

    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    """The C structure `landlock_path_beneath_attr`."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def library_folders() -> list[Path]:
    """Folders of the interpreter, its libraries and this package; never a folder of the project's sources, which may hold a home."""
    found = {Path(place) for name, place in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {Path(entry) for entry in sys.path if entry} | {Path(sys.base_prefix) / "lib", PROJECT / "observability"}
    resolved = {path.resolve() for path in found if path.exists()}
    return sorted(path for path in resolved if not _holds_the_sources(path))


def readable_paths() -> list[Path]:
    """Every path that a job may read besides its own folder, under the name by which it is opened: devices, the system's libraries and the
    interpreter's.
    """
    named = [Path(entry) for entry in (*sys.path, sys.prefix + "/lib", sysconfig.get_paths()["stdlib"]) if entry]
    named = [path for path in named if not _holds_the_sources(path)]
    return [*map(Path, DEVICES), *map(Path, SYSTEM), *library_folders(), *named]


def _holds_the_sources(path: Path) -> bool:
    """Whether a folder is or holds the project's source folder. The folder of libraries of an installed package does not count."""
    installed = PROJECT in {Path(sysconfig.get_paths()[name]).resolve() for name in ("purelib", "platlib")}
    return PROJECT.is_relative_to(path) and not (installed and path == PROJECT)


def landlock_version() -> int:
    """The version of Landlock that the kernel has; below 1 if it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return int(libc.syscall(CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def landlock_available() -> bool:
    """Whether this system can confine files."""
    return landlock_version() >= 1


def confine_files(folder: Path, readable: Iterable[Path] = ()) -> bool:
    """Restrict this process to files beneath `folder`; it may also read libraries and `readable`. False without Landlock."""
    version = landlock_version()
    if version < 1:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    handled = ALL_RIGHTS[min(version, 5)]
    # TCP (version 4) and signals or abstract sockets to outside (version 6) are denied too, in addition to the seccomp filter.
    rules = _Rules(handled, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(CREATE, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        wanted = [(folder, OWN)]
        wanted += [(Path(device), READING | WRITE_FILE) for device in DEVICES]
        wanted += [(path, READING) for path in (*map(Path, SYSTEM), *library_folders(), *readable)]
        for path, rights in wanted:
            allow_path(libc, ruleset, path, rights & handled)
        return bool(libc.prctl(38, 1, 0, 0, 0) == 0 and libc.syscall(RESTRICT, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)


def allow_path(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    """Add one rule; a path that does not exist is skipped."""
    with suppress(OSError):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            beneath = _Beneath(rights if path.is_dir() else rights & FILE_RIGHTS, handle)
            libc.syscall(ADD, ruleset, 1, ctypes.byref(beneath), ctypes.c_uint32(0))
        finally:
            os.close(handle)
