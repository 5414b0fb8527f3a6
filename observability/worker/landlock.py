"""Which files may a job open? Its own folder, and for reading the interpreter and its libraries, by Landlock (Linux 5.13 and later).

Unprivileged, through ctypes. Where the kernel has no Landlock, `confine_files` says so and nothing is changed.
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
"""Every right that a version of Landlock knows; later versions add other things than rights on files."""

SYSTEM = (
    "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local/lib", "/usr/share/zoneinfo", "/usr/share/locale", "/usr/share/fonts", "/lib",
    "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/proc/cpuinfo", "/proc/meminfo", "/proc/self",
    "/proc/sys/vm/overcommit_memory", "/sys/devices/system", "/sys/fs/cgroup",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
PROJECT = Path(__file__).resolve().parents[2]


class _Rules(ctypes.Structure):
    """struct landlock_ruleset_attr."""

    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def libraries() -> list[Path]:
    """Where the interpreter, its libraries and this package stand; never the folder of the project itself, which may hold a home."""
    found = {Path(place) for name, place in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {Path(each) for each in sys.path if each} | {Path(sys.base_prefix) / "lib", PROJECT / "observability"}
    resolved = {each.resolve() for each in found if each.exists()}
    return sorted(each for each in resolved if each != PROJECT and not PROJECT.is_relative_to(each))


def confine_files(folder: Path, readable: Iterable[Path] = ()) -> bool:
    """From now on this process opens only files beneath `folder`, and for reading libraries and `readable`. False where it cannot be had."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    version = libc.syscall(CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    handled = ALL_RIGHTS[min(version, 5)]
    # TCP (version 4) and signals or abstract sockets to outside (version 6) go too: a second lock beside the filter of system calls.
    rules = _Rules(handled, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(CREATE, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        wanted = [(folder, OWN)]
        wanted += [(Path(each), READING | WRITE_FILE) for each in DEVICES]
        wanted += [(each, READING) for each in (*map(Path, SYSTEM), *libraries(), *readable)]
        for path, rights in wanted:
            allow(libc, ruleset, path, rights & handled)
        return bool(libc.prctl(38, 1, 0, 0, 0) == 0 and libc.syscall(RESTRICT, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)


def allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    """One rule; a path that is not there is left out."""
    with suppress(OSError):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            beneath = _Beneath(rights if path.is_dir() else rights & FILE_RIGHTS, handle)
            libc.syscall(ADD, ruleset, 1, ctypes.byref(beneath), ctypes.c_uint32(0))
        finally:
            os.close(handle)
