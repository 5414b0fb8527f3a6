"""Counts and durations about this process, for `GET /metrics`. Safe with threads."""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the buckets for durations, in seconds."""


class EventCounts:
    """The number of events for each value of one label."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, value: str, count: int = 1) -> None:
        """Add `count` events to the number for this value of the label."""
        with self._mutex:
            self._counts[value] += count

    def totals(self) -> dict[str, int]:
        """The number of events for each value of the label, sorted by value."""
        with self._mutex:
            return dict(sorted(self._counts.items()))

    @contextmanager
    def by_outcome(self) -> Iterator[None]:
        """Count the block as `done`, or as `failed` if it raises."""
        try:
            yield
        except BaseException:
            self.add("failed")
            raise
        self.add("done")


class Durations:
    """Durations of one kind of work: their number in each bucket, and the sum of their seconds."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._buckets = [0] * (len(SECONDS) + 1)
        self._sum = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time of the block, whether or not it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - start)

    def observe(self, seconds: float) -> None:
        """Count one duration in its bucket and add it to the sum."""
        with self._mutex:
            self._buckets[bisect_left(SECONDS, seconds)] += 1
            self._sum += seconds

    def cumulative(self) -> tuple[Mapping[float, int], int, float]:
        """The number of durations up to the end of each bucket, the number of all durations, and the sum of their seconds."""
        with self._mutex:
            total, numbers = 0, {}
            for end, count in zip(SECONDS, self._buckets, strict=False):
                total += count
                numbers[end] = total
            return numbers, sum(self._buckets), self._sum


QUERY_SECONDS, PAGE_SECONDS, POST_SECONDS = Durations(), Durations(), Durations()
"""Durations of questions to the store, of the scripts of pages, and of POSTs of records until the response."""
WORKER_JOBS = EventCounts()
"""Jobs of the confined process, by outcome."""
ACCEPTED, REJECTED, REFUSED, CLIENT_DROPPED = EventCounts(), EventCounts(), EventCounts(), EventCounts()
"""Over HTTP: accepted lines by address, rejected lines by reason, refused requests by status, records dropped by clients by token."""
HALVES_DROPPED, SPANS = EventCounts(), EventCounts()
"""Numbers of request and response lines of model servers that were never joined, by part and reason; and of spans, by their outcome."""
