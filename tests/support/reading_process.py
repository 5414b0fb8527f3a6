"""A store that publishes its states, and a process that only reads them."""

from datetime import UTC, datetime

from observability.core.window import EPOCH
from observability.server.owner_calls import OwnerCalls
from observability.server.replica import Replica
from observability.store.duck_store import DuckStore
from observability.store.published import publish_state
from observability.store.published_store import PublishedStore, take_home
from tests.support.owner_in_process import CallsOfTest

NOTE = {"kind": "event", "at": datetime(2026, 11, 1, tzinfo=UTC), "what": "note", "text": "first"}
PREDICTION = {"kind": "prediction", "id": "p", "at": NOTE["at"], "model": "m", "version": "1", "features": {}, "score": 0.5}
AFTER = datetime(2027, 1, 1, tzinfo=UTC)
READING = ("erased", "waiting", "verify", "close")
"""Commands that change nothing in the store, but for which people need more than the right to read."""


def publish_now(store: DuckStore, run: str = "run") -> None:
    """Publish the current state of a store."""
    (store.home / "keeping.toml").write_text("[publish]\nevery = 1\n")
    publish_state(store, run)


def reading_process(store: DuckStore, calls: OwnerCalls | None = None) -> Replica:
    """A process that reads what a store publishes."""
    take_home(store.home.parent / "reader")
    return Replica(store.home / "published", store.home.parent / "reader", calls or CallsOfTest(store))


def event_texts(store: DuckStore | PublishedStore) -> list[str]:
    """The texts of all recorded events."""
    return [str(text) for text in store.events(None, EPOCH, AFTER)["text"]]
