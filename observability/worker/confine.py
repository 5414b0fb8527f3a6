"""How is a process that is about to open a stranger's file held? Limits, no privileges, no other files, no network, no children."""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from observability.worker import landlock, seccomp
from observability.worker.limits import Limits

PARENT_DEATH_SIGNAL = 1
CAPABILITY_VERSION = 0x20080522


@dataclass(frozen=True)
class Confinement:
    """What the operating system granted."""

    network_blocked: bool
    files_confined: bool


def confine(folder: Path, limits: Limits, seconds: float, parent: int) -> Confinement:
    """Holds this process, for ever. parent: with whose death it dies. Call it in a fresh fork, before anything of a stranger is read."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform.startswith("linux"):
        libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    set_limits(limits, seconds)
    files = landlock.confine_files(folder)
    drop_capabilities(libc)
    return Confinement(seccomp.block(), files)


def set_limits(limits: Limits, seconds: float) -> None:
    """Memory beyond what the process holds already, processor time, sizes and numbers of files; no core dump."""
    mega = 1024**2
    held_virtual, held_data = held()
    # Address space is reserved far ahead of use (arenas and stacks of threads), so the limit on it is wider than that on written memory.
    lower(resource.RLIMIT_DATA, held_data + limits.memory_mb * mega)
    lower(resource.RLIMIT_AS, held_virtual + 2 * limits.memory_mb * mega)
    lower(resource.RLIMIT_CPU, int(seconds * (os.cpu_count() or 1)) + 10)
    lower(resource.RLIMIT_FSIZE, limits.file_mb * mega)
    lower(resource.RLIMIT_NOFILE, limits.open_files)
    lower(resource.RLIMIT_CORE, 0)
    if sys.platform == "darwin":
        lower(resource.RLIMIT_NPROC, 0)


def lower(which: int, value: int) -> None:
    """Sets a limit for good, never above what it was."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(which, (value, value))
    except (ValueError, OSError):
        if sys.platform.startswith("linux"):
            raise


def held() -> tuple[int, int]:
    """Bytes of address space and of data that this process has now; 0 where it cannot be read."""
    try:
        sizes = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0, 0
    page = os.sysconf("SC_PAGE_SIZE")
    return int(sizes[0]) * page, int(sizes[5]) * page


def drop_capabilities(libc: ctypes.CDLL) -> None:
    """Gives up every power of a superuser; nothing changes for another user."""
    if hasattr(libc, "capset"):
        libc.capset(ctypes.byref((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)), ctypes.byref((ctypes.c_uint32 * 6)()))
