"""The number of repetitions and cases of a test: a few in every run of the suite, and in `make test-long` as many as the test's claim
needs.

A test that only a long run needs is marked: `@pytest.mark.long # what guards the same in a short run`.
"""

import os
from collections.abc import Iterable
from typing import TypeVar

Case = TypeVar("Case")
LONG = bool(os.environ.get("LONG_TESTS"))
"""Whether this is a long run."""


def repeats(few: int, many: int) -> int:
    """How many repetitions to make: `many` in a long run, else `few`."""
    return many if LONG else few


def every_second(cases: Iterable[Case]) -> list[Case]:
    """All cases in a long run, else every second one."""
    return list(cases)[:: 1 if LONG else 2]


def allowed(share: float, repetitions: int) -> int:
    """The largest allowed number of exceptions: `share` of the repetitions, at least one."""
    return max(int(share * repetitions), 1)


def some(cases: Iterable[Case], few: int) -> list[Case]:
    """All cases in a long run, else `few` of them, evenly spread from the first to the last."""
    every = list(cases)
    if LONG or few >= len(every):
        return every
    return [every[round(place * (len(every) - 1) / max(few - 1, 1))] for place in range(few)]


def a_third(cases: Iterable[Case], place: int) -> list[Case]:
    """All cases in a long run, else every third one from a place; tests of the same cases take different places, so that each case is tried."""
    return list(cases) if LONG else list(cases)[place::3]
