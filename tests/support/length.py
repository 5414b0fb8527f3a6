"""The number of repetitions and cases of a test: few in every run of the suite, and in `make test-long` as many as the claim of the test
needs.

A test needed only in long runs is marked: `@pytest.mark.long # what guards the same in a short run`.
"""

import os
from collections.abc import Iterable
from typing import TypeVar

Case = TypeVar("Case")
LONG = bool(os.environ.get("LONG_TESTS"))
"""Whether this is a long run."""


def repeats(few: int, many: int) -> int:
    """The number of repetitions: `many` in a long run, otherwise `few`."""
    return many if LONG else few


def every_second(cases: Iterable[Case]) -> list[Case]:
    """All cases in a long run, otherwise every second one."""
    return list(cases)[:: 1 if LONG else 2]


def allowed(share: float, repetitions: int) -> int:
    """The largest allowed number of exceptions: `share` of the repetitions, but at least one."""
    return max(int(share * repetitions), 1)


def some(cases: Iterable[Case], few: int) -> list[Case]:
    """All cases in a long run, otherwise `few` of them, evenly spread from the first to the last."""
    every = list(cases)
    if LONG or few >= len(every):
        return every
    return [every[round(place * (len(every) - 1) / max(few - 1, 1))] for place in range(few)]


def a_third(cases: Iterable[Case], place: int) -> list[Case]:
    """All cases in a long run, otherwise every third one, beginning at `place`. Tests with the same cases use different places, so that
    every case is tried.
    """
    return list(cases) if LONG else list(cases)[place::3]
