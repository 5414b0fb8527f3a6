"""The nightly work of the process that owns the store: the lake, retention, metric tables, a backup, a test of its restore, and the removal
of old backups.

If one part fails, the others still run, and the failure is noted for `status` and pages. The work of a missed night is done later.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from observability.core.errors import ObservabilityError
from observability.store.backup import make_backup, remove_old_backups, verify_backup
from observability.store.db.database import Database
from observability.store.db.keeping import last_done, note_done, read_keeping
from observability.store.retention import apply_retention, export_before_removal

LOG = logging.getLogger(__name__)
NIGHT_HOUR = 2
"""The hour (UTC) from which the night's work is due."""
REWRITE_ON = 6
"""The weekday (Sunday) in whose night the store is rewritten, so that the bytes of removed rows disappear."""


def nightly_is_due(home: Path, now: datetime | None = None) -> bool:
    """Whether the settings ask for nightly work that was not done since this night began. Raises UsageError for invalid settings."""
    now, keeping = now or datetime.now(UTC), read_keeping(home)
    asked = (keeping.days, keeping.models, keeping.kinds, keeping.backup_folder, keeping.lake, keeping.metric_tables)
    if now.hour < NIGHT_HOUR or not any(asked):
        return False
    last = last_done(home).get("night", {}).get("at")
    return last is None or datetime.fromisoformat(last).date() < now.date()


def nightly_round(
    store: Database, now: datetime | None = None, write_tables: Callable[[str], dict[str, int]] | None = None
) -> dict[str, Any]:
    """Do the night's work: {lake, retention, metric_tables, backup, verified_restore, removed_backups, failures}; an entry is None or empty
    if the settings do not ask for it.

    write_tables: writes the metric tables to a folder or an address and returns their rows; None leaves them out.
    """
    now, keeping, failures = now or datetime.now(UTC), read_keeping(store.home), list[str]()

    def tried(what: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # whatever the error, the other work goes on, and the error is noted
            if not isinstance(error, ObservabilityError | OSError):
                LOG.exception("%s failed", what)
            failures.append(f"{what} failed: {error}")
            return None

    done: dict[str, Any] = {
        "lake": None,
        "retention": None,
        "metric_tables": None,
        "backup": None,
        "verified_restore": None,
        "removed_backups": [],
    }
    if (lake := keeping.lake) is not None:
        written = tried("the lake", lambda: export_before_removal(store, lake, now))
        done["lake"] = None if written is None else written["written"]
    if not failures:  # after a failed export no rows are removed, because the lake may lack them
        done["retention"] = tried("retention", lambda: apply_retention(store, now=now, rewrite=now.weekday() == REWRITE_ON))
    if (address := keeping.metric_tables) is not None and write_tables is not None:
        done["metric_tables"] = tried("the export of metric tables", lambda: write_tables(address))
    if (folder := keeping.backup_folder) is not None:
        made = tried("the backup", lambda: make_backup(store, folder))
        if made is not None:
            done["backup"] = made["backup"]
            checked = tried("the test of the backup", lambda: verify_backup(store.home, folder))
            failures += [] if checked is None else checked["problems"]
            whole = checked is not None and not checked["problems"]
            done["verified_restore"] = checked["backup"] if checked is not None and whole else None
            if whole and keeping.backups_kept is not None:  # old backups are removed only after a new one passed its test
                kept = keeping.backups_kept
                done["removed_backups"] = tried("the removal of old backups", lambda: remove_old_backups(folder, kept)) or []
    note_done(store.home, "night", {**done, "failures": failures})
    return {**done, "failures": failures}
