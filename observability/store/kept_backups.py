"""List the backups of a home, in folders and at addresses, newest first."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.store.backup import backup_addresses, backup_folders, backups_in
from observability.store.block_backup import fetched_backup, sent_backups
from observability.store.db.failures import error_summary


@dataclass(frozen=True)
class KeptBackup:
    """One backup. name: `backup-` and its time. place: its folder, or the address that holds it."""

    name: str
    place: Path | str

    def opened(self, home: Path) -> AbstractContextManager[Path]:
        """The backup's folder; for an address, a copy below `home` that is removed at the end. Raises ObservabilityError."""
        return nullcontext(self.place) if isinstance(self.place, Path) else fetched_backup(self.place, home, self.name)


def kept_backups(home: Path) -> tuple[list[KeptBackup], list[str]]:
    """The backups of a home, newest first; and for each of its places that cannot be read, a sentence with the reason."""
    found: list[KeptBackup] = []
    refused: list[str] = []
    for folder in backup_folders(home):
        try:
            found += [KeptBackup(path.name, path) for path in backups_in(folder)]
        except (NotFoundError, OSError) as error:
            refused.append(f"{folder}: {error_summary(error)}")
    for address in backup_addresses(home):
        try:
            found += [KeptBackup(name, address) for name in sent_backups(address)]
        except (UsageError, StoreBrokenError) as error:
            refused.append(f"{address}: {error_summary(error)}")
    return sorted(found, key=lambda backup: backup.name, reverse=True), refused
