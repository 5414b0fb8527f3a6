"""Write files that only their owner may read and that survive a loss of power.

A synced file can still lose its name: the entry of a new or renamed file is on disk only after its folder has been synced too.
"""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to the disk, if the platform and the file system support this. Raises OSError."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents, for this user only. Their entries are on disk when this returns. Raises OSError."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(made) if made else (folder,):
        path.mkdir(mode=0o700, exist_ok=True)
    for path in reversed(made):
        with suppress(PermissionError):  # a folder whose entries this user may not list cannot be synced
            sync_folder(path.parent)


def replace_private_file(path: Path, content: str) -> None:
    """Replace a file in one step (write, sync, rename, sync), readable by its owner only.

    Raises OSError. The old file then stays in place, unless only the last sync failed.
    """
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync_folder(path.parent)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
