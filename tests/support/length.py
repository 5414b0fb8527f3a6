"""How often does a test of chance repeat itself? A few times in every run of the suite; as often as its claim needs in `make test-long`."""

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
    """The largest number of exceptions: `share` of the repetitions, and one where that is less."""
    return max(int(share * repetitions), 1)
