"""Sets damaged files of a store aside, so that it can be opened, and notes what happened and what may be missing.

Nothing is deleted. The segments that landing keeps (of one week) are loaded again by the loader, which compares them with the store's
manifest.
"""

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from observability.core import formatting
from observability.core.errors import StoreBrokenError, StoreDamagedError, UsageError
from observability.store.backup import copy_backup
from observability.store.db import database
from observability.store.db.connection import DATABASE, log_path
from observability.store.db.failures import error_summary
from observability.store.db.noted_lakes import disown_lakes
from observability.store.db.repairs import known_store, note_repair
from observability.store.ingest.landing import complete_since, segment_files
from observability.store.kept_backups import kept_backups

LOG_PLACE = re.compile(r"at byte position (\d+)")
OTHER_THINGS = "registrations, files loaded by hand and what people entered in the dashboard"


def note_missing_store(home: Path) -> bool:
    """Whether the database is missing although this home held one. If so, a log that is left is set aside, and the loss is noted.

    Raises StoreBrokenError if the disk refuses.
    """
    path = home / DATABASE
    log = log_path(path)
    try:
        kept = segment_files(home / "landing" / "loaded")
        if path.exists() or (known_store(home) is None and not kept and not log.exists()):
            return False
        disown_lakes(home)
        aside = _set_aside([log] if log.exists() else [])
        replacement, missing = _replacement(home)
        note_repair(home, f"The database file was missing. {replacement}", missing, aside)
    except OSError as error:
        raise _cannot_mend(home, error) from error
    return True


def mend_store(home: Path, error: StoreDamagedError) -> None:
    """Repair a store that cannot be opened: cut its log at the damage, or set the database aside. The repair is noted.

    The next attempt to open the store may find more damage, or makes a new database. Raises StoreBrokenError if the disk has no room for
    that.
    """
    path = home / DATABASE
    log = log_path(path)
    try:
        require_room(home, 0)
        disown_lakes(home)
        if "WAL" in str(error.got) and log.exists():
            _cut_log(home, log, str(error.got))
            return
        small = path.stat().st_size < 12 * 1024 and known_store(home) is None
        require_room(home, 0 if small else _backup_bytes(home))
        aside = set_database_aside(home)
        if small:
            note_repair(
                home, f"An unfinished database was set aside. A new one was made{_loaded_again(home)}", "Nothing: it held no record", aside
            )
            return
        replacement, missing = _replacement(home)
        note_repair(home, f"The database was damaged ({error.got}) and set aside. {replacement}", missing, aside)
    except OSError as refused:
        raise _cannot_mend(home, refused) from refused


def require_room(home: Path, size: int) -> None:
    """Raise OSError if the disk has no room for `size` bytes above its floor."""
    free, needed = shutil.disk_usage(home).free, size + database.FLOOR_BYTES
    if free < needed:
        raise OSError(f"only {free // 2**20} MB of the {needed // 2**20} MB that this needs are free")


def _backup_bytes(home: Path) -> int:
    """Bytes of the database of the newest backup that lies in a folder; 0 without such a backup."""
    folders = (backup.place for backup in kept_backups(home)[0] if isinstance(backup.place, Path))
    newest = next(folders, None)
    return (newest / DATABASE).stat().st_size if newest else 0


def _cut_log(home: Path, log: Path, damage: str) -> None:
    """Set a copy of a damaged log aside, and cut the log before the damage. If the place of the damage is not known, set the whole log
    aside.
    """
    size, changed = log.stat().st_size, datetime.fromtimestamp(log.stat().st_mtime, UTC)
    place = LOG_PLACE.search(damage)
    length = int(place[1]) if place else 0
    if 0 < length < size:
        copy = _dated(log)
        shutil.copy2(log, copy)
        copy.chmod(0o600)
        os.truncate(log, length)
        aside, kept = [copy], f"{length:,} of its {size:,} bytes were read"
    else:
        aside, kept = _set_aside([log]), "none of it was read"
    note_repair(
        home,
        f"The log of the database was damaged; {kept}, and a copy was set aside. Segments that landing keeps are loaded again.",
        f"{OTHER_THINGS}, as far as they were saved shortly before {formatting.format_minute(changed)} UTC",
        aside,
    )


def _replacement(home: Path) -> tuple[str, str]:
    """Restore the newest whole backup in place of a database that is gone. Returns two sentences: what replaces the database, and what may
    be missing.
    """
    backups, refused = kept_backups(home)
    for backup in backups:
        try:
            with backup.opened(home) as folder:
                at = datetime.fromisoformat(copy_backup(folder, home, only_database=True)["at"])
        except (UsageError, StoreBrokenError) as error:
            set_database_aside(home)  # the part of a damaged backup that was copied
            refused.append(f"{backup.place}: {error_summary(error)}")
            continue
        restored = f"The backup of {formatting.format_minute(at)} UTC was restored{_loaded_again(home)}"
        return restored + _refused_words(refused), _missing_since(home, at)
    return f"A new one was made{_loaded_again(home)}{_refused_words(refused)}", _all_missing(home)


def _refused_words(refused: list[str]) -> str:
    """A sentence on the backups that could not be restored; it follows another sentence."""
    return f" Backups that could not be restored: {'; '.join(refused)}." if refused else ""


def _missing_since(home: Path, at: datetime) -> str:
    """The content that a backup lacks: later entries of people, and later records that landing no longer keeps."""
    kept = [segment.modified for segment in segment_files(home / "landing" / "loaded")]
    oldest = datetime.fromtimestamp(min(kept), UTC) if kept else None
    since = f"{formatting.format_minute(at)} UTC"
    entered = f"{OTHER_THINGS}, as far as they were saved after {since}"
    if oldest is not None and (oldest <= at or at.timestamp() > complete_since(home / "landing")):
        return entered
    until = f" and before {formatting.format_minute(oldest)} UTC" if oldest else ""
    return f"Records that were loaded after {since}{until}, and {entered}"


def set_database_aside(home: Path, word: str = "damaged") -> list[Path]:
    """Rename the database and its log to dated names that begin with a word; returns the new paths. Raises OSError."""
    return _set_aside([file for file in sorted(home.glob(f"{DATABASE}*")) if file.is_file()], word)


def put_database_back(home: Path, aside: list[Path]) -> None:
    """Give a database that was set aside its name back, replacing the copy made meanwhile; do nothing if none was set aside. Raises
    OSError.
    """
    if not aside:
        return
    for file in home.glob(f"{DATABASE}*"):
        file.unlink()
    for path in aside:
        os.rename(path, path.with_name(path.name[path.name.index(DATABASE) :]))


def _loaded_again(home: Path) -> str:
    """The segments that the loader will load again, as the end of a sentence."""
    kept = segment_files(home / "landing" / "loaded")
    if not kept:
        return "; landing keeps no loaded segment."
    oldest = datetime.fromtimestamp(min(segment.modified for segment in kept), UTC)
    return f"; the {len(kept):,} segments that landing has kept since {formatting.format_minute(oldest)} UTC are loaded again."


def _all_missing(home: Path) -> str:
    """Words for what a new database lacks."""
    models = (known_store(home) or {}).get("models") or []
    named = f" It held the models {', '.join(map(str, models))}." if models else ""
    return f"Records loaded before that, {OTHER_THINGS}: register the models and load their files again.{named}"


def _set_aside(files: list[Path], word: str = "damaged") -> list[Path]:
    """Rename files to dated names; returns the new paths."""
    moved = []
    for file in files:
        target = _dated(file, word)
        os.rename(file, target)
        moved.append(target)
    return moved


def _dated(file: Path, word: str = "damaged") -> Path:
    """A free name for a file that is set aside: `damaged-20260301T120000-store.duckdb`."""
    start = f"{word}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    number, target = 1, file.with_name(f"{start}-{file.name}")
    while target.exists():
        number += 1
        target = file.with_name(f"{start}-{number}-{file.name}")
    return target


def _cannot_mend(home: Path, error: OSError) -> StoreBrokenError:
    return StoreBrokenError(
        "the store is damaged or missing and cannot be mended",
        where=str(home),
        got=str(error),
        attempt=f"Check the disk, which needs {database.FLOOR_BYTES // 2**20} MB and the size of a backup of free space, and start again",
    )
