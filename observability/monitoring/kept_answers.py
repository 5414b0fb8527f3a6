"""Keep answers until a later commit concerns them. Each is computed only once, however many callers ask at the same time."""

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
    """Answers by question, each with the generation of the store from which it was computed. Safe under threads; the oldest are dropped.

    most: the largest number of kept answers. room: their largest total size (`size_of`); None: any size.
    """

    def __init__(self, most: int, room: int | None = None) -> None:
        self.most = most
        self._room, self._size = room, 0
        self.changes = 0
        """How often an answer was kept; it never falls when answers are dropped."""
        self._kept: OrderedDict[Key, tuple[int, Answer]] = OrderedDict()
        self._lock = threading.Lock()
        self._under_way: dict[Key, threading.Lock] = {}

    def find(self, asked: Key, generation: int) -> Answer | None:
        """The answer of that generation; None if it is not kept."""
        with self._lock:
            held = self._kept.get(asked)
            if held is None or held[0] != generation:
                return None
            self._kept.move_to_end(asked)
            return held[1]

    def find_or_compute(self, asked: Key, generation: int, compute: Callable[[], Answer]) -> Answer:
        """The answer of that generation, computed if it is not kept. Other callers that ask meanwhile wait for it."""
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
        """The size of an answer, in the unit of the limit."""
        return 1

    def keep(self, asked: Key, generation: int, answer: Answer) -> None:
        """Keep the answer of a generation."""
        with self._lock:
            self.drop(asked)
            self._kept[asked] = generation, answer
            self._size += self.size_of(answer)
            self.changes += 1
            while len(self._kept) > self.most or (self._room is not None and self._size > self._room and len(self._kept) > 1):
                self.drop(next(iter(self._kept)))

    def drop(self, asked: Key) -> None:
        """Forget an answer. The caller holds the lock."""
        held = self._kept.pop(asked, None)
        if held is not None:
            self._size -= self.size_of(held[1])

    def clear(self) -> None:
        """Forget all kept answers."""
        with self._lock:
            for asked in [*self._kept]:
                self.drop(asked)


_all: "list[OfEachStore[Any]]" = []


def hand_on_answers(before: "Store", after: "Store") -> None:
    """Give one store the kept answers of another store. It must be a later state of the same data, with the same numbers of commits."""
    for each in _all:
        each.hand_on(before, after)


class OfEachStore(Generic[Keeper]):
    """One keeper for each store, made when it is first asked for and gone with its store. Safe under threads.

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
        """Give one store the keeper of another store, if the other has one."""
        with self._lock:
            if before in self._made:
                self._made[after] = self._made[before]
