"""Confine a process before it opens an untrusted file: resource limits, no privileges, no other files, no network, no child processes."""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from observability.core.formatting import format_iso_day
from observability.worker import landlock, mount_view, seccomp
from observability.worker.limits import Limits
from observability.worker.permission import confinement_decision

PARENT_DEATH_SIGNAL = 1
CAPABILITY_VERSION = 0x20080522


@dataclass(frozen=True)
class Confinement:
    """The confinement that the operating system applied. paths_hidden: whether even the existence of other files is hidden
    (mount_view.py).
    """

    network_blocked: bool
    files_confined: bool
    paths_hidden: bool = False


WHERE_TO_ALLOW = "An administrator may allow it on the page Store, if every registered file is trusted"
"""Advice to a person if models do not run."""


def missing_confinement() -> list[str]:
    """The means of confinement that this system lacks, in words; empty if it lacks none. Changes nothing."""
    return [
        *([] if landlock.landlock_available() else ["Landlock, which confines files"]),
        *([] if seccomp.seccomp_available() else ["seccomp filters, which deny the network and other programs"]),
    ]


def confinement_problems() -> list[str]:
    """Problems of confining models on this system, as sentences."""
    missing = " and ".join(missing_confinement())
    if not missing:
        return []
    decision = confinement_decision()
    if decision is not None and decision.allowed:
        who = f"{decision.author} allowed it on {format_iso_day(decision.at)}"
        return [f"Model files and SQL queries of pages run without full confinement: this system lacks {missing}. {who}."]
    return [f"Model files and SQL queries of pages do not run: this system lacks {missing}. {WHERE_TO_ALLOW}."]


def confine_process(folder: Path, limits: Limits, seconds: float, parent: int) -> Confinement:
    """Confine this process permanently; it dies with the process `parent`. Call it in a fresh fork, before any untrusted file is read."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform.startswith("linux"):
        libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    set_resource_limits(limits, seconds)
    hidden = mount_view.hide_other_paths(folder, landlock.readable_paths())
    files = landlock.confine_files(folder)
    drop_capabilities(libc)
    return Confinement(seccomp.block_system_calls(), files, hidden)


def set_resource_limits(limits: Limits, seconds: float) -> None:
    """Limit memory beyond the present use, processor time, and sizes and numbers of files. No core dump is written."""
    mega = 1024**2
    virtual, data = memory_in_use()
    # Allocators and thread stacks reserve address space ahead of use, so the limit of address space is wider than that of written memory.
    lower_resource_limit(resource.RLIMIT_DATA, data + limits.memory_mb * mega)
    lower_resource_limit(resource.RLIMIT_AS, virtual + 2 * limits.memory_mb * mega)
    lower_resource_limit(resource.RLIMIT_CPU, int(seconds * (os.cpu_count() or 1)) + 10)
    lower_resource_limit(resource.RLIMIT_FSIZE, limits.file_mb * mega)
    lower_resource_limit(resource.RLIMIT_NOFILE, limits.open_files)
    lower_resource_limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "darwin":
        lower_resource_limit(resource.RLIMIT_NPROC, 0)


def lower_resource_limit(which: int, value: int) -> None:
    """Set a soft and hard limit, never above the present hard limit."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(which, (value, value))
    except (ValueError, OSError):
        if sys.platform.startswith("linux"):
            raise


def memory_in_use() -> tuple[int, int]:
    """Bytes of address space and of data that this process uses now; 0 if they cannot be read."""
    try:
        sizes = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0, 0
    page = os.sysconf("SC_PAGE_SIZE")
    return int(sizes[0]) * page, int(sizes[5]) * page


def drop_capabilities(libc: ctypes.CDLL) -> None:
    """Drop all capabilities of a superuser; no effect for other users."""
    if hasattr(libc, "capset"):
        libc.capset(ctypes.byref((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)), ctypes.byref((ctypes.c_uint32 * 6)()))
