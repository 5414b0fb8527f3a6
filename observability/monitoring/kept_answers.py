"""Keep results until a later commit affects them. Each result is computed only once, however many callers ask at the same time."""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from observability.store.engine import Store

Key = TypeVar("Key")
Answer = TypeVar("Answer")
Keeper = TypeVar("Keeper")


class KeptAnswers(Generic[Key, Answer]):
    """Results by query, each with the generation (commit number) of the store from which it was computed. Thread-safe; the oldest results
    are dropped.

    most: maximum number of kept results. room: maximum of their total size (`size_of`); None: no limit.
    """

    def __init__(self, most: int, room: int | None = None) -> None:
        self.most = most
        self._room, self._size = room, 0
        self.changes = 0
        """How many times a result was kept. It does not fall when results are dropped."""
        self._kept: OrderedDict[Key, tuple[int, Answer]] = OrderedDict()
        self._lock = threading.Lock()
        self._under_way: dict[Key, threading.Lock] = {}

    def find(self, asked: Key, generation: int) -> Answer | None:
        """The result of that generation; None if it is not kept."""
        with self._lock:
            held = self._kept.get(asked)
            if held is None or held[0] != generation:
                return None
            self._kept.move_to_end(asked)
            return held[1]

    def find_or_compute(self, asked: Key, generation: int, compute: Callable[[], Answer]) -> Answer:
        """The result of that generation; it is computed if it is not kept. Other callers that ask meanwhile wait for it."""
        with self._lock:
            own = self._under_way.setdefault(asked, threading.Lock())
        try:
            with own:
                found = self.find(asked, generation)
                if found is None:
                    found = compute()
                    self.keep(asked, generation, found)
                return found
        finally:
            with self._lock:
                self._under_way.pop(asked, None)

    def size_of(self, answer: Answer) -> int:
        """The size of a result, in the unit of `room`."""
        return 1

    def keep(self, asked: Key, generation: int, answer: Answer) -> None:
        """Keep the result of a generation."""
        with self._lock:
            self.drop(asked)
            self._kept[asked] = generation, answer
            self._size += self.size_of(answer)
            self.changes += 1
            while len(self._kept) > self.most or (self._room is not None and self._size > self._room and len(self._kept) > 1):
                self.drop(next(iter(self._kept)))

    def drop(self, asked: Key) -> None:
        """Forget a result. The caller must hold the lock."""
        held = self._kept.pop(asked, None)
        if held is not None:
            self._size -= self.size_of(held[1])

    def clear(self) -> None:
        """Forget all kept results."""
        with self._lock:
            for asked in [*self._kept]:
                self.drop(asked)


_all: "list[OfEachStore[Any]]" = []


def hand_on_answers(before: "Store", after: "Store") -> None:
    """Give the kept results of one store to another one. `after` must be a later state of the data in `before`, and both must number their
    commits alike.
    """
    for each in _all:
        each.hand_on(before, after)


class OfEachStore(Generic[Keeper]):
    """One keeper per store. It is made when it is first requested, and disappears with its store. Thread-safe.

    make: a function that makes a keeper.
    """

    def __init__(self, make: Callable[[], Keeper]) -> None:
        _all.append(self)
        self._make = make
        self._made: weakref.WeakKeyDictionary[Store, Keeper] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, store: "Store") -> Keeper:
        """The keeper of a store."""
        with self._lock:
            if store not in self._made:
                self._made[store] = self._make()
            return self._made[store]

    def hand_on(self, before: "Store", after: "Store") -> None:
        """Give the keeper of one store to another store, if there is a keeper."""
        with self._lock:
            if before in self._made:
                self._made[after] = self._made[before]
