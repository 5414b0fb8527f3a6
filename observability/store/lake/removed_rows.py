"""Read the rows of days that retention removed from a store. They are in the lake that `[lake_export]` of HOME/keeping.toml names.

The store answers for the references and every day from `Model.rows_from` on, and the lake for the days before. So no row is counted twice.
A lake or file that cannot be read counts as empty; the log, the banner of every page and the note of a check then report this. Kept
findings are computed again when this changes.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import duckdb

from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.formatting import join_words, plural
from observability.core.time import naive_utc
from observability.lake.addresses import checked_address
from observability.lake.file_place import FolderPlace
from observability.records.private_file import replace_private_file
from observability.store.db.database import Database
from observability.store.db.expressions import sql_literal
from observability.store.db.keeping import read_keeping
from observability.store.db.results import Cursor
from observability.store.lake.lake_tables import LakeTables
from observability.store.lake.manifest import REFERENCE, LakeFile, LakeManifest, manifest_name, manifest_numbers, read_manifest

LOG = logging.getLogger(__name__)
THREADS, MEMORY_LIMIT = 2, "1GB"
LOOKED_FOR = 10.0
"""Seconds for which a file that existed is assumed to exist; a missing file is checked each time."""
STATES = "lake-state.json"
"""In the home: by model, a digest of what could be read of its removed rows when findings were last asked for."""
WHOLE = ("all",)
"""In place of days that cannot be read: the whole lake."""
Answer = TypeVar("Answer")
Span = tuple[datetime, datetime]


class RemovedRows:
    """Reads the lake of a store. Safe under threads. A lake that cannot be read, or that is in a bucket, has no rows."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._state: tuple[tuple[str, int, int, int], LakeTables] | None = None
        self._damaged: dict[str, tuple[int, int]] = {}
        self._looked: dict[str, tuple[float, frozenset[str]]] = {}
        self._unread: dict[str, tuple[str, ...]] = {}

    def cursor(self, model: Model, span: Span | None = None) -> Cursor | None:
        """A cursor whose tables of a model hold its rows from before `Model.rows_from`, at least the rows of a span; None if the lake
        has none of them.
        """
        if model.rows_from is None:
            return None
        try:
            with self._lock:
                return self._cursor(model, span)
        except (ObservabilityError, OSError, duckdb.Error) as error:
            LOG.warning("the lake cannot be read: %s", error)
            self._unread[model.name] = WHOLE
            return None

    def _cursor(self, model: Model, span: Span | None) -> Cursor | None:
        if (tables := self._present_tables()) is None:
            if is_folder_named(self._store.home):
                self._unread[model.name] = WHOLE
            return None
        files = removed_files(tables.manifest, model)
        for _ in range(2):
            gone = self._unreadable(tables, model, files)
            shown = [file for file in files if file.name not in gone]
            if not any(file.table == "predictions" for file in shown):
                return None
            try:
                tables.show(model, shown)
                return tables.cursor_within(model, shown, span)
            except duckdb.Error:  # the end of a file, which names its columns, is damaged
                if not self._finds_damage(model):
                    raise
        return None

    def answer(self, model: Model | None, ask: Callable[[], Answer]) -> Answer:
        """An answer that may read the lake. A file of the lake that cannot be read is left out of the answer."""
        try:
            return ask()
        except duckdb.Error:
            if model is None or model.rows_from is None or not self._finds_damage(model):
                raise
            return ask()

    def unread_days(self, model: Model) -> tuple[str, ...]:
        """The days of a model's removed rows, or of their labels, that the lake names and that cannot be read; `all` for the whole lake.

        This looks for the files but opens none: damage is known only after a query has met it.
        """
        if model.rows_from is None or not is_folder_named(self._store.home):
            return ()
        try:
            with self._lock:
                if (tables := self._present_tables()) is None:
                    return WHOLE
                self._unreadable(tables, model, removed_files(tables.manifest, model))
                return self._unread[model.name]
        except (ObservabilityError, OSError, duckdb.Error):
            return WHOLE

    def problems(self) -> list[str]:
        """What cannot be read, as sentences: the whole lake, or the files that were missing or damaged when they were last asked for. Looks
        for the lake and reads no file of rows in it.
        """
        missing, removed = dict[str, list[str]](), {each.name: each for each in self._store.catalog().models if each.rows_from is not None}
        with suppress(ObservabilityError):
            if not is_folder_named(self._store.home):
                self._unread.clear()
            elif removed and self._is_away():
                self._unread.update(dict.fromkeys(removed, WHOLE))
        for name in [name for name, days in self._unread.items() if days == WHOLE and name in removed]:
            self._unread[name] = self.unread_days(removed[name])  # the lake may be back
        for name, days in sorted(self._unread.items()):
            if days and name in removed:
                what = "the lake" if days == WHOLE else f"{plural(len(days), 'day')} of the lake ({', '.join(days[:3])})"
                missing.setdefault(what, []).append(name)
        return [
            f"Removed rows {'' if what == 'the lake' else f'of {join_words(names, 6)} '}are missing in figures: {what} cannot be read. "
            "Bring it back from a copy of the lake."
            for what, names in missing.items()
        ]

    def _is_away(self) -> bool:
        """Whether the lake, or the list of its files, cannot be read now."""
        try:
            with self._lock:
                return self._present_tables() is None
        except (ObservabilityError, OSError):
            return True

    def note_state(self) -> None:
        """Commit a change of each model whose readable removed rows differ from those at the last call."""
        models = [model for model in self._store.catalog().models if model.rows_from is not None]
        present = {model.name: self._digest(model) for model in models}
        path, known = self._store.home / STATES, dict[str, str]()
        with suppress(OSError, ValueError):
            known = json.loads(path.read_text(encoding="utf-8"))
        if changed := [name for name, digest in present.items() if known.get(name) != digest]:
            with self._store.write():
                self._store.note_changed_models(changed)
            replace_private_file(path, json.dumps(present))

    def _digest(self, model: Model) -> str:
        unread = self.unread_days(model)
        files = [] if self._state is None else [file.name for file in removed_files(self._state[1].manifest, model)]
        return hashlib.sha256(json.dumps([files, unread]).encode()).hexdigest()[:16]

    def _present_tables(self) -> LakeTables | None:
        """The tables of the present state of the lake; None if there is none."""
        text = read_keeping(self._store.home).lake
        folder = None if text is None else checked_address(text).path
        if text is None or folder is None or not folder.is_dir():  # a folder that is not mounted must not be made
            return None
        number = max(manifest_numbers(place := FolderPlace(folder)), default=0)
        found = (folder / manifest_name(number)).stat() if number else None
        mark = (text, number, found.st_mtime_ns, found.st_size) if found else (text, 0, 0, 0)
        if self._state is None or self._state[0] != mark:  # parsing a manifest of many days takes long
            self._state = mark, LakeTables(self._store, place, read_manifest(place), THREADS, MEMORY_LIMIT)
            self._looked.clear()
        return self._state[1]

    def _unreadable(self, tables: LakeTables, model: Model, files: list[LakeFile]) -> frozenset[str]:
        """The names of files of a model that are missing, have another size than when they were written, or were found damaged."""
        at, gone = self._looked.get(model.name, (0.0, frozenset[str]()))
        mended = any(file.name in gone and self._is_whole(tables.folder, file) for file in files)
        if time.monotonic() - at > LOOKED_FOR or at == 0.0 or mended:
            gone = frozenset(file.name for file in files if not self._is_whole(tables.folder, file))
            self._looked[model.name] = time.monotonic(), gone
            if gone:
                LOG.warning("the lake cannot be read: %s", ", ".join(sorted(gone)))
        self._unread[model.name] = tuple(sorted({file.day for file in files if file.name in gone}))
        return gone

    def _is_whole(self, folder: Path, file: LakeFile) -> bool:
        try:
            found = (folder / file.name).stat()
        except OSError:
            return False
        return found.st_size == file.bytes and self._damaged.get(file.name) != (found.st_size, found.st_mtime_ns)

    def _finds_damage(self, model: Model) -> bool:
        """Read all files of a model's removed rows. Return whether a file that was believed to be whole cannot be read."""
        with self._lock:
            if (tables := self._present_tables()) is None:
                return True
            before = self._looked.pop(model.name, (0.0, frozenset()))[1]
            files = removed_files(tables.manifest, model)
            for file in files:
                if not self._is_whole(tables.folder, file):
                    continue
                try:
                    path = sql_literal(str(tables.folder / file.name))
                    tables.cursor().execute(f"SELECT bit_xor(hash(r)) FROM read_parquet({path}, hive_partitioning = false) r").fetchall()
                except duckdb.Error as error:
                    LOG.warning("the lake cannot be read: %s: %s", file.name, error)
                    with suppress(OSError):
                        found = (tables.folder / file.name).stat()
                        self._damaged[file.name] = found.st_size, found.st_mtime_ns
            return self._unreadable(tables, model, files) != before


def is_folder_named(home: Path) -> bool:
    """Whether the settings of a home name a lake in a folder."""
    text = read_keeping(home).lake
    return text is not None and checked_address(text).path is not None


def removed_files(manifest: LakeManifest, model: Model) -> list[LakeFile]:
    """The files of a state of a lake that hold rows of a model from before `Model.rows_from`, and all of its labels."""
    assert model.rows_from is not None
    first = naive_utc(model.rows_from).date().isoformat()
    older = [file for file in manifest.of_model(model.name, "predictions") if file.day != REFERENCE and file.day < first]
    return older + (manifest.of_model(model.name, "labels") if older else [])
