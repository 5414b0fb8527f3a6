"""Opens the store of a home folder: makes the folder, opens the database, mends damaged files, migrates an older schema."""

import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from observability.core.errors import ObservabilityError, StoreBrokenError, StoreDamagedError
from observability.core.finding import KEPT_FILE
from observability.records.private_file import make_private_folder, sync_folder
from observability.store import backup, recovery
from observability.store.block_backup import Progress, fetched_backup, is_backup_address
from observability.store.db.connection import DATABASE
from observability.store.db.database_copy import remove_rewritten
from observability.store.db.erasures import merged_erasures, write_erasures
from observability.store.db.failures import broken_disk, error_summary, is_damage, opening_advice
from observability.store.db.noted_lakes import disown_lakes, known_lakes
from observability.store.db.repairs import note_known_store
from observability.store.duck_store import DuckStore
from observability.store.erase import apply_erasures
from observability.store.ingest.protected_lines import publish_rules
from observability.store.migrations import migrate


def open_store(home: Path, *, memory_limit: str = "4GB", threads: int | None = None) -> DuckStore:
    """Open the store of a home folder. Create it if missing, mend damaged files, and migrate an older schema.

    Repairs are listed in the log of repairs (`status`). Raises StoreBusyError if another process has it open, StoreBrokenError if
    the disk refuses or the schema is newer.
    """
    home = Path(home).absolute()
    try:
        make_private_folder(home)
        shutil.rmtree(home / "tmp", ignore_errors=True)
        (home / "tmp").mkdir(mode=0o700, exist_ok=True)
        remove_rewritten(home)
    except OSError as error:
        raise StoreBrokenError(
            "the home folder cannot be made", where=str(home), got=error.strerror, attempt="Set OBSERVABILITY_HOME to a folder you own"
        ) from error
    mended = recovery.note_missing_store(home)
    try:
        store = _opened(home, memory_limit, threads)
    except StoreDamagedError as error:  # found while the schema was read
        recovery.mend_store(home, error)
        store, mended = _opened(home, memory_limit, threads), True
    store.mended |= mended
    if store.mended:
        (home / KEPT_FILE).unlink(missing_ok=True)  # this file may depend on lost commits
        store.forget_counts()
        with suppress(StoreBrokenError):  # `status` shows the failure; nothing is loaded meanwhile
            apply_erasures(store)
    return store


def _opened(home: Path, memory_limit: str, threads: int | None) -> DuckStore:
    """The open store at the present schema. Raises StoreDamagedError if the schema cannot be read."""
    store = DuckStore(home, memory_limit, threads, partial(_mend_open, home))
    try:
        _migrate(store)
        store.recall_commits()
        note_known_store(home, [model.name for model in store.catalog().models])
        publish_rules(home, store.catalog().models)
    except BaseException as error:
        store.close()
        if isinstance(error, duckdb.Error):
            kind = StoreDamagedError if is_damage(error) else StoreBrokenError
            raise kind("the store cannot be read", where=str(home), got=error_summary(error), attempt=opening_advice(error)) from error
        raise
    return store


def _migrate(store: DuckStore) -> None:
    with store.write() as writer:
        migrate(writer)


def _mend_open(home: Path, error: StoreDamagedError) -> None:
    """Repair the files of a store that is being opened. If the database is a new one, its tables are made at once."""
    recovery.mend_store(home, error)
    if (home / DATABASE).exists():
        return
    try:
        with DuckStore(home, "1GB", 1) as fresh:
            _migrate(fresh)
    except ObservabilityError as again:
        if not isinstance(again, StoreDamagedError):  # more damage is mended in the next round
            raise


def restore_home(home: Path, folder: Path | str, progress: Progress | None = None) -> dict[str, Any]:
    """Restore the newest backup of a folder or an address into a home, and load what landing has kept since: {backup, at, replaced, stored,
    tables}.

    The present database is set aside under a dated name. Earlier erasures, of this home and of the backup's home, are repeated. Raises
    NotFoundError, and StoreBrokenError if the backup is damaged, the key of an erasure is missing, or the disk refuses. The present
    database then stays.
    """
    if isinstance(folder, str) and is_backup_address(folder):
        make_private_folder(home)
        with fetched_backup(folder, home, progress=progress) as fetched:
            return {**restore_home(home, fetched, progress), "backup": f"{folder.partition('?')[0].rstrip('/')}/{fetched.name}"}
    chosen = backup.backups_in(Path(folder))[-1]
    files = backup.check_backup(chosen, progress)["files"]
    erased = merged_erasures(home, chosen)
    replaced: list[Path] = []
    try:
        make_private_folder(home)
        recovery.require_room(home, sum(file["bytes"] for file in files.values()))
        lakes = known_lakes(home)
        disown_lakes(home)  # first, in case this process is killed
        replaced = recovery.set_database_aside(home, "replaced")
        body = backup.copy_backup(chosen, home, progress=progress)
        disown_lakes(home, lakes)
        if erased:
            write_erasures(home, erased)
        sync_folder(home)
    except BaseException as error:
        recovery.put_database_back(home, replaced)
        if isinstance(error, OSError):
            raise broken_disk(error, home, "the backup could not be restored") from error
        raise
    with open_store(home) as store:
        store.mended = True  # segments that came after the backup are expected to be missing
        apply_erasures(store)
        report = store.load_landing(progress=progress and (lambda done, total, *_: progress("loading segments", done, total, "bytes")))
    return {
        "backup": str(chosen),
        "at": body["at"],
        "replaced": [path.name for path in replaced],
        "stored": report.stored,
        "tables": body["tables"],
    }
