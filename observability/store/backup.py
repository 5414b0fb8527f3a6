"""Backups of a home (the folder of a store): a folder with a copy of the database, its log, artifacts, settings and waiting segments, and a
list with checksums.

Writes wait while the database is copied, so that a backup is one committed state; pages can still read. An interrupted backup has no final
name and is never restored.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from observability.core.errors import NotFoundError, StoreBrokenError, StoreDamagedError, UsageError
from observability.core.finding import KEPT_FILE
from observability.records.keyed_hash import KEY_FILE
from observability.records.private_file import make_private_folder, replace_private_file, sync_folder
from observability.records.protection import FILE as PROTECTION
from observability.store.block_backup import (
    Progress,
    byte_counter,
    fetched_backup,
    is_backup_address,
    remove_sent_backups,
    send_backup,
    sent_backups,
)
from observability.store.db.connection import DATABASE, log_path
from observability.store.db.database import FLOOR_BYTES, Database
from observability.store.db.failures import error_summary
from observability.store.db.keeping import DONE, note_done
from observability.store.db.kept_counts import COUNTS_FILE
from observability.store.db.published_files import FOLDER as PUBLISHED
from observability.store.db.results import single_row
from observability.store.db.schema import quoted_identifier
from observability.store.ingest.landing import segment_files
from observability.store.query.query_log import QUESTIONS_FILE
from observability.store.rollup.verify import verify_rollups

PREFIX, LIST = "backup-", "backup.json"
"""PREFIX: the start of the name of a backup's folder. LIST: the file in a backup that lists its files; in a home, the file that names the
folders of its backups.
"""
LEFT_OUT = (
    "tmp", "landing", "owner.lock", "owner.json", LIST, "repairs.jsonl", "audit.jsonl", "audit.key", "accounts.lock",
    "unconfined-models.jsonl", KEY_FILE, DONE, PROTECTION, KEPT_FILE, COUNTS_FILE, QUESTIONS_FILE, "waiting",
    PUBLISHED,
)  # fmt: skip
"""Files that a backup leaves out and that stay where they are in a restore (of `landing`, see `other_files`): the audit log is only ever
appended to, and the permission to run unconfined concerns one system.
"""
KEPT_LANDING = ("ready", "failed")
COPY_SECONDS = 0.2
"""Seconds between two checks of the progress of the database copy."""
ROWS_AT_ONCE = 2_000_000
"""Rows of a table that `verify_store` reads between two reports."""


def make_backup(store: Database, folder: Path | str, progress: Progress | None = None) -> dict[str, Any]:
    """Write a backup of the open store into a folder, or send it to an address: returns {backup, at, bytes, files, tables: {table: rows}},
    and for an address also {sent_bytes, sent_blocks, blocks}.

    Raises UsageError for a folder inside the home or an invalid address, StoreBrokenError if the disk or the network refuses.
    """
    if isinstance(folder, str) and is_backup_address(folder):
        return _send_backup(store, folder, progress)
    folder = Path(folder)
    if folder.resolve().is_relative_to(store.home.resolve()):
        raise UsageError("a backup inside the home is lost with it", got=str(folder), attempt="Name a folder on another disk")
    at = datetime.now(UTC)
    final = _free_name(folder, at)
    draft = final.with_name(final.name + ".partial")
    try:
        body = _write_backup(store, draft, at, progress)
        os.rename(draft, final)
        sync_folder(folder)
        folders = [str(folder), *(str(other) for other in backup_folders(store.home) if other != folder)]
        _note_places(store.home, {"folder": str(folder), "folders": folders})
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        attempt = "Name a folder that you may write to, on a disk with free space"
        raise StoreBrokenError("the backup could not be written", where=str(folder), got=error_summary(error), attempt=attempt) from error
    note_done(store.home, "backup", {"backup": str(final)})
    return _made(str(final), body)


def _free_name(folder: Path, at: datetime) -> Path:
    """The folder for a backup made in that second, or else in the next second that has no backup."""
    while (final := folder / f"{PREFIX}{at:%Y%m%dT%H%M%S}Z").exists():
        at += timedelta(seconds=1)
    return final


def _made(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The description of a backup, made from its list."""
    size = sum(file["bytes"] for file in body["files"].values())
    return {"backup": name, "at": body["at"], "bytes": size, "files": len(body["files"]), "tables": body["tables"]}


def _write_backup(store: Database, draft: Path, at: datetime, progress: Progress | None) -> dict[str, Any]:
    """Write a backup with its list into a new folder; returns the list. Raises OSError."""
    draft.mkdir(mode=0o700, parents=True)
    with store.write() as writer:
        tables = _rows_by_table(writer)
        names = _database_files(store.home)
        size = sum((store.home / name).stat().st_size for name in names)
        add = byte_counter(progress, "copying the database", size)
        for name in names:
            copy_open_database(store.home / name, draft / name, add)
    add = byte_counter(progress, "computing its checksum", size)
    files = {str(name): {"bytes": (draft / name).stat().st_size, "sha256": _digest(draft / name, add)} for name in names}
    others = list(other_files(store.home))
    add = byte_counter(progress, "copying other files", sum(map(_size, (store.home / name for name in others))))
    files |= {str(name): copied for name in others if (copied := copy_synced(store.home / name, draft / name, add)) is not None}
    body = {"at": at.isoformat(timespec="seconds"), "tables": tables, "files": files}
    replace_private_file(draft / LIST, json.dumps(body, indent=1))
    return body


def _send_backup(store: Database, address: str, progress: Progress | None) -> dict[str, Any]:
    """Copy the store beside itself and send the blocks of the copy that no earlier backup sent."""
    at = datetime.now(UTC)
    draft = store.home / "tmp" / f"{PREFIX}{at:%Y%m%dT%H%M%S}Z"
    try:
        if store.free_bytes() < store.path.stat().st_size + FLOOR_BYTES:
            raise StoreBrokenError("the disk has no room to copy the store", where=str(store.home), attempt="Free some space")
        body = _write_backup(store, draft, at, progress)
        sent = send_backup(draft, address, progress)
        addresses = [address, *(other for other in backup_addresses(store.home) if other != address)]
        _note_places(store.home, {"addresses": addresses})
    except OSError as error:
        raise StoreBrokenError("the backup could not be made", where=str(draft), got=error_summary(error)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    name = f"{address.partition('?')[0].rstrip('/')}/{draft.name}"
    note_done(store.home, "backup", {"backup": name})
    return _made(name, body) | sent


def _note_places(home: Path, changed: dict[str, Any]) -> None:
    """Note where backups were written. Raises OSError."""
    replace_private_file(home / LIST, json.dumps(_places(home) | changed))


def _places(home: Path) -> dict[str, Any]:
    """The places of earlier backups: an object with `folder`, `folders` and `addresses`; each is missing if there is none."""
    with suppress(OSError, ValueError):
        body = json.loads((home / LIST).read_text(encoding="utf-8"))
        return body if isinstance(body, dict) else {}
    return {}


def backup_addresses(home: Path) -> list[str]:
    """The addresses to which this home's backups were sent, the last one first."""
    return list(map(str, _places(home).get("addresses", ())))


def backups_in(folder: Path) -> list[Path]:
    """The finished backups of a folder, oldest first. If the folder is itself a backup, only this one. Raises NotFoundError if there is
    none.
    """
    if (folder / LIST).is_file() and (folder / DATABASE).is_file():
        return [folder]
    found = sorted(path for path in folder.glob(f"{PREFIX}*") if path.suffix != ".partial" and (path / LIST).is_file())
    if not found:
        raise NotFoundError("there is no backup", where=str(folder), attempt="Name a folder that `backup` wrote to")
    return found


def check_backup(backup: Path, progress: Progress | None = None) -> dict[str, Any]:
    """The list of a backup, after comparing every file with its checksum.

    Raises StoreDamagedError if one differs or is missing, StoreBrokenError if the disk refuses.
    """
    attempt = "Restore an older backup"
    try:
        body: dict[str, Any] = json.loads((backup / LIST).read_text(encoding="utf-8"))
        add = byte_counter(progress, "checking the backup", sum(file["bytes"] for file in body["files"].values()))
        for name, expected in body["files"].items():
            if _digest(backup / name, add) != expected["sha256"]:
                raise StoreDamagedError("the backup is damaged", where=str(backup / name), got="another checksum", attempt=attempt)
    except (OSError, ValueError, KeyError, TypeError) as error:
        kind = StoreBrokenError if isinstance(error, OSError) and not isinstance(error, FileNotFoundError) else StoreDamagedError
        raise kind("the backup cannot be read", where=str(backup), got=error_summary(error), attempt=attempt) from error
    return body


def copy_backup(backup: Path, home: Path, *, only_database: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Copy a checked backup into a home without a database; returns its list. Raises StoreBrokenError if it is damaged."""
    body = check_backup(backup, progress)
    names = [name for name in body["files"] if not only_database or name.startswith(DATABASE)]
    add = byte_counter(progress, "copying the backup", sum(body["files"][name]["bytes"] for name in names))
    for name in sorted(names, key=lambda name: name == DATABASE):  # the database is copied last: without it the home still counts as empty
        copy_synced(backup / name, home / name, add)
    return body


def seal_backup(draft: Path, body: dict[str, Any]) -> None:
    """Write the list of a backup into its folder, whose files are complete. body: the list without its files. Raises OSError."""
    paths = [path for path in sorted(draft.rglob("*")) if path.is_file() and path != draft / LIST]
    files = {str(path.relative_to(draft)): {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in paths}
    replace_private_file(draft / LIST, json.dumps({**body, "files": files}, indent=1))


def verify_backup(home: Path, folder: Path | str, name: str | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Restore the newest backup of a folder or an address beside the home and read all of it; returns {backup, at, tables, problems}. If
    the backup is whole, this is noted.

    name: name of the backup in messages. Raises NotFoundError, StoreBrokenError if the backup is damaged or the disk has no room.
    """
    if isinstance(folder, str) and is_backup_address(folder):
        with fetched_backup(folder, home, progress=progress) as fetched:
            return verify_backup(home, fetched, f"{folder.partition('?')[0].rstrip('/')}/{fetched.name}", progress)
    chosen = backups_in(Path(folder))[-1]
    body, name = check_backup(chosen, progress), name or str(chosen)
    size = sum(file["bytes"] for name, file in body["files"].items() if name.startswith(DATABASE))
    if shutil.disk_usage(home).free < size + FLOOR_BYTES:
        attempt = "Free some space"
        raise StoreBrokenError("the disk has no room to restore the backup beside the store", where=str(home), attempt=attempt)
    trial = home / "tmp" / f"restored-{chosen.name}"
    try:
        (trial / "tmp").mkdir(mode=0o700, parents=True)
        copy_backup(chosen, trial, only_database=True, progress=progress)
        with Database(trial, "1GB", 1) as copy:
            found = verify_store(copy, progress)
    except OSError as error:
        raise StoreBrokenError("the backup could not be restored for a test", where=str(trial), got=error_summary(error)) from error
    finally:
        shutil.rmtree(trial, ignore_errors=True)
    problems = list(found["problems"])
    if found["tables"] != body["tables"]:
        wrong = sorted(name for name in {*found["tables"], *body["tables"]} if found["tables"].get(name) != body["tables"].get(name))
        problems.append(f"The backup lists other numbers of rows for: {', '.join(wrong)}.")
    if not problems:
        note_done(home, "verified_restore", {"backup": name, "of": body["at"], "rows": sum(body["tables"].values())})
    return {"backup": name, "at": body["at"], "tables": found["tables"], "problems": problems}


def remove_old_backups(folder: Path | str, kept: int) -> list[str]:
    """Remove all but the newest backups of a folder or an address; return the names of the removed ones. Raises OSError,
    ObservabilityError.
    """
    if isinstance(folder, str) and is_backup_address(folder):
        names = sent_backups(folder)[:-kept]
        remove_sent_backups(folder, names)
        return names
    folder = Path(folder)
    gone = [path for path in backups_in(folder)[:-kept] if path != folder]
    for path in gone:
        shutil.rmtree(path)
    return [path.name for path in gone]


def backup_folders(home: Path) -> list[Path]:
    """The folders to which this home's backups were written, the last one first."""
    body = _places(home)
    with suppress(KeyError, TypeError):
        return [Path(folder) for folder in body.get("folders") or [body["folder"]]]
    return []


def table_rows(store: Database) -> dict[str, int]:
    """The number of rows of every table."""
    with store.cursor() as cursor:
        return _rows_by_table(cursor)


def verify_store(store: Database, progress: Progress | None = None) -> dict[str, Any]:
    """Read every block of every table, compare the manifest with itself and with landing, and recompute the counts of a sample of days.

    Returns {tables: {table: rows}, damaged: {table: why}, days: number of recomputed days, problems}. problems: sentences about damaged
    tables, about segments with unaccounted lines, about segments that only landing lists as loaded, and about days whose counts differ from
    raw rows.
    """
    tables: dict[str, int] = {}
    damaged: dict[str, str] = {}
    with store.cursor() as cursor:
        sizes = dict(cursor.execute("SELECT table_name, estimated_size FROM duckdb_tables() WHERE NOT temporary ORDER BY 1").fetchall())
        done, total = 0, sum(sizes.values())
        for name, size in sizes.items():
            tables[name], last = 0, max(size - 1, 0) // ROWS_AT_ONCE
            try:
                for part in range(last + 1):
                    rows_from = part * ROWS_AT_ONCE
                    if progress is not None:
                        progress(f"reading {name}", min(done + rows_from, total), total, "rows")
                    part_of_it = f"rowid >= {rows_from}" + ("" if part == last else f" AND rowid < {rows_from + ROWS_AT_ONCE}")
                    rows, _ = single_row(
                        cursor,
                        f"SELECT count(*), bit_xor(hash(row_)) FROM {quoted_identifier(name)} AS row_ WHERE {part_of_it}",
                    )
                    tables[name] += int(rows)
            except duckdb.Error as error:
                damaged[name] = error_summary(error)
                del tables[name]
            done += size
        problems = [f"The table {name} cannot be read: {why}." for name, why in damaged.items()]
        if "manifest" not in damaged:
            (wrong,) = single_row(cursor, "SELECT count(*) FROM manifest WHERE lines <> stored + duplicates + rejected")
            problems += [f"{wrong:,} segments have lines that are neither stored, duplicates nor rejected."] if wrong else []
            kept = {segment.name for segment in segment_files(store.landing / "loaded")}  # listed before the manifest: loading goes on
            lost = len(kept - {name for (name,) in cursor.execute("SELECT segment FROM manifest").fetchall()})
            problems += [f"Of the segments that landing keeps as loaded, {lost:,} are not in the store."] if lost else []
    days, differences = (0, []) if damaged else verify_rollups(store, progress=progress)
    return {"tables": tables, "damaged": damaged, "days": days, "problems": problems + differences}


def _rows_by_table(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return {name: single_row(cursor, f"SELECT count(*) FROM {quoted_identifier(name)}")[0] for name in _tables(cursor)}


def _tables(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    rows = cursor.execute("SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY table_name").fetchall()
    return [str(name) for (name,) in rows]


def _database_files(home: Path) -> list[Path]:
    return [path.relative_to(home) for path in (home / DATABASE, log_path(home / DATABASE)) if path.exists()]


def other_files(home: Path) -> Iterator[Path]:
    """Paths, relative to the home, of its files other than the database: artifacts, settings, and segments that are not loaded."""
    for entry in sorted(home.iterdir()):
        if entry.name in LEFT_OUT or entry.name.startswith((DATABASE, "damaged-", "replaced-", ".")):
            continue
        yield from (path.relative_to(home) for path in ([entry] if entry.is_file() else sorted(entry.rglob("*"))) if path.is_file())
    for name in KEPT_LANDING:
        yield from (path.relative_to(home) for path in sorted((home / "landing" / name).glob("*.jsonl")) if path.is_file())


def copy_synced(source: Path, target: Path, add: Callable[[int], None] = lambda count: None) -> dict[str, Any] | None:
    """Copy and sync a file, readable by its owner only; returns {bytes, sha256}. None if the file is gone, because it is a segment that was
    loaded meanwhile.
    """
    make_private_folder(target.parent)
    digest, size = hashlib.sha256(), 0
    try:
        reader = source.open("rb")
    except FileNotFoundError:
        return None
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with reader, os.fdopen(fd, "wb") as writer:
        while piece := reader.read(1 << 20):
            writer.write(piece)
            digest.update(piece)
            size += len(piece)
            add(len(piece))
        writer.flush()
        os.fsync(writer.fileno())
        modified = os.fstat(reader.fileno()).st_mtime
    os.utime(target, (modified, modified))
    sync_folder(target.parent)
    return {"bytes": size, "sha256": digest.hexdigest()}


def copy_open_database(source: Path, target: Path, add: Callable[[int], None] = lambda count: None) -> None:
    """Copy a file that this process has open as a database, in another process, because closing the file in this one would release the
    database's lock.
    """
    copied = 0
    with subprocess.Popen(["cp", "--", str(source), str(target)], stderr=subprocess.PIPE, text=True) as copying:
        while copying.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                copying.wait(COPY_SECONDS)
            size = _size(target)
            add(size - copied)
            copied = size
        if copying.returncode != 0:
            raise OSError((copying.stderr.read() if copying.stderr else "").strip() or f"cp ended with {copying.returncode}")
    target.chmod(0o600)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(target.parent)


def _digest(path: Path, add: Callable[[int], None] = lambda count: None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            add(len(piece))
    return digest.hexdigest()


def _size(path: Path) -> int:
    """Bytes of a file; 0 if it is not there."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
