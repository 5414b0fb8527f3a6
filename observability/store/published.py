"""Publish states of a store. A state is a complete copy that other processes read while the owner goes on writing.

Writes wait while the database is copied, so that a state is what one commit left. The copy is made in a draft folder, its log is merged
into it, everything is synced, and the folder gets its number. Only then is the file `newest.json` replaced, so it names a complete state
whenever the process is killed. The two newest states stay. An older state that is still being read lasts until its open file is closed.
"""

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from observability.records.private_file import make_private_folder, replace_private_file, sync_folder
from observability.store.backup import copy_open_database, copy_synced
from observability.store.db.connection import DATABASE, log_path
from observability.store.db.database import Database
from observability.store.db.failures import broken_disk
from observability.store.db.keeping import read_keeping
from observability.store.db.published_files import DRAFT, FOLDER, POINTER, SETTINGS, STATE, numbered_states, withdraw_states
from observability.store.db.record_tables import schema_version
from observability.store.erased_images import FOLDER as IMAGES
from observability.store.recovery import require_room
from observability.store.registry.artifacts import FOLDER as ARTIFACTS
from observability.store.types.published_state import PublishedState, WriteBeside

KEPT = 2
"""States that stay: one that is being read, and the newer one."""
LINKED = (ARTIFACTS, IMAGES)
"""Folders of a home whose files never change: a state holds them as further names of the same files."""


def publish_state(
    store: Database, run: str, before: PublishedState | None = None, write_beside: WriteBeside | None = None, *, copy: bool = True
) -> PublishedState | None:
    """Publish the present state of a store if its settings ask for it. Older states, and states of an earlier run, are removed. If the
    settings do not ask for it, all states are removed.

    run: name of the run of the owner, which numbered the commits. before: the state that this run published last. If nothing has changed
    since, only the instant up to which it holds is moved on. copy: whether a changed store may be copied now; otherwise the last state
    stays as it is. Raises UsageError for invalid settings, StoreBrokenError if the disk refuses or has no room.
    """
    every = read_keeping(store.home).publish_every
    folder, now = store.home / FOLDER, datetime.now(UTC)
    with store.publishing:
        try:
            if every is None:
                withdraw_states(store.home)
                return None
            settings = _settings_digest(store.home)
            if before and not before.folder.exists():
                before = None
            if before and (store.generation, store.rewrites, settings) == (before.generation, before.rewrites, before.settings):
                state = replace(before, as_of=now)
                if write_beside is not None:
                    write_beside(state.folder, state.generations, _file_state(state.folder))
                _name_newest(state)
                return state
            if before and before.rewrites == store.rewrites and not copy:
                return before
            earlier = None
            with suppress(OSError):  # a state of another version, or a damaged one, is replaced
                earlier = newest_state(folder)
            make_private_folder(folder)
            for path in folder.glob(f"*{DRAFT}"):
                shutil.rmtree(path)
            # never reuse a number: DuckDB treats a path that a process has open as the same database
            number = max([time.time_ns() // 1_000_000, *(int(path.name) + 1 for path in numbered_states(folder))])
            state = _write_state(store, PublishedState(folder / str(number), now, run, every, settings), write_beside)
            _name_newest(state)
            for path in numbered_states(folder)[: -KEPT if earlier and earlier.run == run else -1]:
                shutil.rmtree(path)
        except OSError as error:
            raise broken_disk(error, folder, "the state could not be published") from error
    return state


def newest_state(folder: Path) -> PublishedState | None:
    """The newest state in a folder of published states; None if there is none. Raises OSError if a state cannot be read."""
    try:
        named = json.loads((folder / POINTER).read_text(encoding="utf-8"))
        body = json.loads((folder / named["state"] / STATE).read_text(encoding="utf-8"))
        as_of, files = datetime.fromisoformat(named["as_of"]), tuple(body["files"])
        return PublishedState(**{**body, "folder": folder / named["state"], "as_of": as_of, "files": files})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"the file {folder / POINTER} cannot be read: {error}") from error


def _write_state(store: Database, state: PublishedState, write_beside: WriteBeside | None) -> PublishedState:
    """Write a complete state into its folder, and return its contents. Raises OSError."""
    final = state.folder
    draft = final.with_name(final.name + DRAFT)
    draft.mkdir(mode=0o700)
    try:
        with store.between_writes():
            began = time.monotonic()
            with store.cursor() as cursor:
                state = replace(state, as_of=datetime.now(UTC), schema=schema_version(cursor), rewrites=store.rewrites)
            state = replace(state, generation=store.generation, generations=dict(store.generations))
            files = [path for path in (store.path, log_path(store.path)) if path.exists()]
            require_room(store.home, sum(path.stat().st_size for path in files))
            for path in files:
                copy_open_database(path, draft / path.name)
        _merge_log(draft)
        state = replace(state, files=tuple(name for name in SETTINGS if copy_synced(store.home / name, draft / name) is not None))
        for folder in LINKED:
            for path in sorted((store.home / folder).rglob("*")):
                if path.is_file():
                    _link_file(path, draft / path.relative_to(store.home))
        store.keep_counts(draft)
        if write_beside is not None:
            write_beside(draft, state.generations, _file_state(draft))
        state = replace(state, seconds=time.monotonic() - began, size=(draft / store.path.name).stat().st_size)
        body = {**asdict(state), "folder": final.name, "as_of": state.as_of.isoformat()}
        replace_private_file(draft / STATE, json.dumps(body))
        os.rename(draft, final)
        sync_folder(final.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return state


def _settings_digest(home: Path) -> str:
    """A digest that changes with the published settings, so that a change of settings causes a new state."""
    digest = hashlib.sha256()
    for name in SETTINGS:
        with suppress(FileNotFoundError):
            found = (home / name).stat()
            digest.update(f"{name} {found.st_mtime_ns} {found.st_size} {found.st_ino}\n".encode())
    return digest.hexdigest()


def _file_state(folder: Path) -> tuple[int, int]:
    """Size of a copied database, and the time of its last change."""
    found = (folder / DATABASE).stat()
    return found.st_size, found.st_mtime_ns


def _merge_log(draft: Path) -> None:
    """Merge the log of a copied database into its file, once for all readers."""
    if not log_path(draft / DATABASE).exists():
        return
    (draft / "tmp").mkdir(mode=0o700)
    with Database(draft, "1GB", 1) as copy, copy.cursor() as cursor:
        cursor.execute("FORCE CHECKPOINT")
    (draft / "tmp").rmdir()
    with (draft / DATABASE).open("rb") as file:
        os.fsync(file.fileno())
    if log_path(draft / DATABASE).exists():
        raise OSError("the log of the copied database could not be merged")


def _link_file(source: Path, target: Path) -> None:
    """Give a file a second name in a state, or copy it where the file system cannot. A file that is gone is left out."""
    make_private_folder(target.parent)
    try:
        os.link(source, target)
    except OSError:
        copy_synced(source, target)


def _name_newest(state: PublishedState) -> None:
    """Name the newest state, and the instant up to which nothing had changed since. Raises OSError."""
    body = {"state": state.folder.name, "as_of": state.as_of.isoformat()}
    replace_private_file(state.folder.parent / POINTER, json.dumps(body))
