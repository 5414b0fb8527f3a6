"""What an engine over a lake has of the store beside it: everything that is not a question about raw rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Catalog
from observability.core.window import Window
from observability.store.engine import Engine, Store
from observability.store.lake.lake_owner import open_written_lake

if TYPE_CHECKING:
    from pandas import DataFrame


class EngineBesideStore(Engine):
    """An engine whose raw rows stand in a lake. The store has the catalog, records, events, and what the loader counted; it need not hold
    the rows that the lake has. Raises UsageError for an address that cannot be used, StoreBrokenError where no lake is there.
    """

    def __init__(self, store: Store, address: str) -> None:
        self.store, self.place = store, open_written_lake(store.home, address)

    def catalog(self) -> Catalog:
        """The catalog of the store."""
        return self.store.catalog()

    def counters(self, model: str, window: Window) -> dict[str, Any]:
        """What the store's loader counted."""
        return self.store.counters(model, window)

    def events(self, model: str | None, start: datetime, end: datetime) -> "DataFrame":
        """Events, from the store."""
        return self.store.events(model, start, end)

    def canary_sightings(self, window: Window) -> "DataFrame":
        """Canaries, from the store's rows."""
        return self.store.canary_sightings(window)

    def activity(self, as_of: datetime | None = None, model: str | None = None) -> "DataFrame":
        """Versions that have rows, from the store's rollups."""
        return self.store.activity(as_of, model)

    def newest_record(self, kinds: Sequence[str], model: str, before: datetime, as_of: datetime | None = None) -> datetime | None:
        """Event time of the newest record, from the store."""
        return self.store.newest_record(kinds, model, before, as_of)
