"""The rows of days that retention removed from a store, from the lake that `[lake_export]` of HOME/keeping.toml names.

The store holds the references and every day from `Model.rows_from` on; the lake answers for the days before. So no row is in both.
"""

import logging
import threading

import duckdb

from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.lake.addresses import checked_address
from observability.lake.file_place import FolderPlace
from observability.store.db.database import Database
from observability.store.db.keeping import read_keeping
from observability.store.db.results import Cursor
from observability.store.lake.lake_tables import LakeTables
from observability.store.lake.manifest import read_manifest

LOG = logging.getLogger(__name__)
THREADS, MEMORY_LIMIT = 2, "1GB"


class RemovedRows:
    """Reads the lake of a store. Safe under threads. A lake that cannot be read, or that is in a bucket, has no rows."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._state: tuple[tuple[str, int], LakeTables] | None = None

    def cursor(self, model: Model) -> Cursor | None:
        """A cursor whose tables of a model hold its rows from before `Model.rows_from`; None where the lake has none of them."""
        if model.rows_from is None:
            return None
        try:
            with self._lock:
                tables = self._present_tables()
                return tables.cursor() if tables is not None and tables.show_removed(model) else None
        except (ObservabilityError, OSError, duckdb.Error) as error:
            LOG.warning("the lake cannot be read: %s", error)
            return None

    def _present_tables(self) -> LakeTables | None:
        """The tables of the present state of the lake; None where there is none."""
        text = read_keeping(self._store.home).lake
        folder = None if text is None else checked_address(text).path
        if text is None or folder is None or not folder.is_dir():  # a folder that is not mounted must not be made
            return None
        manifest = read_manifest(place := FolderPlace(folder))
        if self._state is None or self._state[0] != (text, manifest.number):
            self._state = (text, manifest.number), LakeTables(self._store, place, manifest, THREADS, MEMORY_LIMIT)
        return self._state[1]
