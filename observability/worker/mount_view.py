"""Give a job a file tree of its own that holds only its folder, the interpreter and its libraries. No other path exists for the job.

Landlock denies opening other files, but `stat` and `access` of any path need no right that Landlock knows. So the process gets a mount
namespace (in a user namespace of its own, which needs no privileges) whose root is an empty file system with the readable places bound into
it. If the system allows no such namespace, `hide_other_paths` returns False. The job can then see that other files exist, but cannot open
them.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

NEW_NAMESPACES = 0x00020000 | 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
BIND, RECURSIVE, PRIVATE, NO_SUID, NO_DEVICES = 4096, 16384, 1 << 18, 2, 4
DETACH = 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def hide_other_paths(folder: Path, readable: Iterable[Path]) -> bool:
    """Make `folder` and `readable` the only paths of this process. False if the system does not allow it; the paths then stay.

    Call it in a fork with one thread, before Landlock.
    """
    if not sys.platform.startswith("linux") or (pivot_root := PIVOT_ROOT.get(os.uname().machine)) is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(NEW_NAMESPACES) != 0:
        return False
    root = folder / "view"
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
        root.mkdir(mode=0o700)
        _mount(libc, None, "/", None, RECURSIVE | PRIVATE)
        _build_view(libc, root, folder, readable)
        os.chdir(root)
        if libc.syscall(pivot_root, b".", b".") != 0:
            raise OSError(ctypes.get_errno(), "pivot_root")
    except OSError:
        os.chdir(folder)
        libc.umount2(str(root).encode(), DETACH)
        with suppress(OSError):
            root.rmdir()
        return False
    if libc.umount2(b".", DETACH) != 0:
        os._exit(1)
    os.chdir(folder)
    root.rmdir()
    return True


def _build_view(libc: ctypes.CDLL, root: Path, folder: Path, readable: Iterable[Path]) -> None:
    """Mount an empty file system and bind the readable places, this process's part of /proc, and the job's folder into it.

    A place that cannot be bound is left out. Raises OSError if the folder cannot be bound.
    """
    handles = {path: handle for path in _outermost(readable) if (handle := _handle(path)) is not None}
    own = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _mount(libc, "none", str(root), "tmpfs", NO_SUID | NO_DEVICES)
    for path, handle in handles.items():
        with suppress(OSError):
            _bind(libc, handle, _place(root, path, stat.S_ISDIR(os.fstat(handle).st_mode)))
        os.close(handle)
    process = Path("/proc", str(os.getpid()))
    (root / "proc" / process.name).mkdir(parents=True)
    _mount(libc, str(process), str(root / "proc" / process.name), None, BIND)
    os.symlink(process.name, root / "proc" / "self")
    _bind(libc, own, _place(root, folder, True), BIND)
    os.close(own)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """The existing paths, parents first, without paths that lie beneath another of them."""
    found: list[Path] = []
    for path in sorted({path for path in paths if path.exists() and not path.is_relative_to("/proc/self")}):
        if not any(path.is_relative_to(other) and not _passes_link(path, other) for other in found):
            found.append(path)
    return found


def _passes_link(path: Path, above: Path) -> bool:
    """Whether there is a link on the way from a folder to a path beneath it."""
    return any(step.is_symlink() for step in (path, *path.parents) if step != above and step.is_relative_to(above))


def _handle(path: Path) -> int | None:
    with suppress(OSError):
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    return None


def _place(root: Path, path: Path, is_folder: bool) -> Path:
    """Make the place of a path beneath the new root: its parents, and links where the path goes through links."""
    done = Path("/")
    parts = list(path.parts[1:])
    while parts:
        step = done / parts.pop(0)
        if step.is_symlink():
            target = os.readlink(step)
            if not os.path.lexists(f"{root}{step}"):
                os.symlink(target, f"{root}{step}")
            parts = [*Path(os.path.normpath(done / target)).parts[1:], *parts]
            done = Path("/")
            continue
        done, inside = step, Path(f"{root}{step}")
        if not inside.exists():
            if parts or is_folder:
                inside.mkdir(mode=0o755)
            else:
                inside.touch()
    return Path(f"{root}{done}")


def _bind(libc: ctypes.CDLL, handle: int, place: Path, flags: int = BIND | RECURSIVE) -> None:
    _mount(libc, f"/proc/self/fd/{handle}", str(place), None, flags)


def _mount(libc: ctypes.CDLL, source: str | None, target: str, kind: str | None, flags: int) -> None:
    names = [None if name is None else name.encode() for name in (source, target, kind)]
    if libc.mount(names[0], names[1], names[2], ctypes.c_ulong(flags), None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
