"""Rewrite every backup of a home without erased or removed data. At every moment, a backup is complete under its old name or under its new
one.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from observability.core.errors import NotFoundError, StoreBrokenError, StoreDamagedError, UsageError
from observability.records.private_file import sync_folder
from observability.store import backup
from observability.store.block_backup import fetched_backup, remove_sent_backups, send_backup, sent_backups
from observability.store.db.database import Database
from observability.store.migrations import migrate

Erase = Callable[[Database], bool]
"""A function that erases from the opened copy of a backup and from its landing; returns False if there was nothing to erase."""
SET_ASIDE = ("damaged-", "replaced-")
"""Starts of the names of databases that were set aside. They are removed: a damaged one cannot be rewritten."""


def rewrite_backups(home: Path, erase: Erase, say: Callable[[str], object]) -> dict[str, list[str]]:
    """Erase from every backup that the home wrote: {rewritten: [name], removed: [name] of damaged ones, unreachable: [place]}.

    Raises OSError.
    """
    found: dict[str, list[str]] = {"rewritten": [], "removed": [], "unreachable": []}
    for address in backup.backup_addresses(home):
        try:
            _rewrite_sent_backups(address, home, erase, say, found)
        except NotFoundError:
            continue
        except (StoreBrokenError, UsageError):
            found["unreachable"].append(address)
    for folder in backup.backup_folders(home):
        if not folder.is_dir():
            found["unreachable"].append(str(folder))
            continue
        for unfinished in folder.glob(f"{backup.PREFIX}*.partial"):
            shutil.rmtree(unfinished)
        with suppress(NotFoundError):
            for place in backup.backups_in(folder):
                say(f"erasing the backup {place.name}")
                try:
                    if written := _rewritten_backup(place, erase):
                        found["rewritten"].append(written.name)
                except StoreDamagedError:
                    shutil.rmtree(place)
                    found["removed"].append(place.name)
    return found


def _rewrite_sent_backups(address: str, home: Path, erase: Erase, say: Callable[[str], object], found: dict[str, list[str]]) -> None:
    """Rewrite the backups at an address: each is fetched, rewritten and sent again; then the old ones and their blocks are removed."""
    gone = []
    for name in sent_backups(address):
        say(f"erasing the backup {name}")
        try:
            with fetched_backup(address, home, name) as place:
                if (written := _rewritten_backup(place, erase)) is None:
                    continue
                send_backup(written, address)
                found["rewritten"].append(written.name)
        except StoreDamagedError:
            found["removed"].append(name)
        gone.append(name)
    if gone:
        remove_sent_backups(address, gone)


def _rewritten_backup(place: Path, erase: Erase) -> Path | None:
    """Rewrite a backup under a new name without the erased rows, and remove the old one. Returns the new path; None if there was nothing to
    erase.
    """
    body = backup.check_backup(place)
    stem = place.name.split("-erased-")[0]
    final = place.with_name(f"{stem}-erased-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z")
    draft = final.with_name(final.name + ".partial")
    try:
        (draft / "tmp").mkdir(mode=0o700, parents=True)
        for name in body["files"]:
            backup.copy_synced(place / name, draft / name)
        with Database(draft, "1GB", 1) as copy:
            with copy.write() as writer:
                migrate(writer)
            changed = erase(copy)
            if changed:
                copy.rewrite()
                tables = backup.table_rows(copy)
        if not changed:
            shutil.rmtree(draft)
            return None
        shutil.rmtree(draft / "tmp")
        backup.seal_backup(draft, {"at": body["at"], "tables": tables, "erased": datetime.now(UTC).isoformat(timespec="seconds")})
        os.rename(draft, final)
        sync_folder(final.parent)
        shutil.rmtree(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return final


def remove_set_aside(home: Path) -> list[str]:
    """Remove databases and logs that were set aside; return their names. Raises OSError."""
    gone = [path for path in sorted(home.iterdir()) if path.is_file() and path.name.startswith(SET_ASIDE)]
    for path in gone:
        path.unlink()
    return [path.name for path in gone]
