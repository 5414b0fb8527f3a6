"""What is there in each column of sampled rows: which values, how often, and which of them stands in which row?

Slices and ranks ask it of the same columns many times over, so each column is looked at once.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.stats.slice_moments import Floats, Kept

if TYPE_CHECKING:
    from pandas import DataFrame

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers. distinct: each value once, rising, NaN last; place: where in it each row's value is; counts: rows of each."""

    distinct: Floats
    place: Integers
    counts: Integers

    @property
    def missing(self) -> Kept:
        """Which rows have no value."""
        return np.asarray(np.isnan(self.distinct)[self.place], bool)

    @cached_property
    def finite(self) -> "Numbers":
        """The values that are finite, without rows."""
        held = np.isfinite(self.distinct)
        return Numbers(self.distinct[held], np.empty(0, np.int64), self.counts[held])

    def ranks_in(self, base: "Numbers") -> Floats:
        """Where each row's value stands among the finite ones of a base, 0 to 1, ties in their middle; NaN where it is missing or the base is empty."""
        known = base.finite
        ends = np.append(0, np.cumsum(known.counts))
        if not ends[-1]:
            return np.full(self.place.size, np.nan)
        first = np.searchsorted(known.distinct, self.distinct)
        same = np.append(known.distinct, np.nan)[first] == self.distinct
        return np.where(np.isnan(self.distinct), np.nan, (ends[first] + ends[first + same]) / (2 * ends[-1]))[self.place]


@dataclass(frozen=True)
class Levels:
    """A column of texts or truths. names: each level once; codes: which of them stands in each row, -1 where it is missing; counts: rows of each."""

    names: tuple[object, ...]
    codes: Integers
    counts: Integers

    @property
    def missing(self) -> Kept:
        """Which rows have no value."""
        return np.asarray(self.codes < 0, bool)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Levels as slices spell them, and last what stands for a missing one."""
        return (*(spelled(each) for each in self.names), "null")

    @cached_property
    def rows_of(self) -> Counter[str]:
        """Rows by text."""
        found: Counter[str] = Counter()
        for text, rows in zip(self.texts, (*self.counts.tolist(), int(self.missing.sum())), strict=True):
            found[text] += rows
        return found

    def coded(self, levels: Sequence[str]) -> NDArray[np.int16]:
        """The place of each row's text among some, -1 for others."""
        place = {level: number for number, level in enumerate(levels)}
        return np.array([place.get(text, -1) for text in self.texts], np.int16)[self.codes]

    @cached_property
    def commonest(self) -> tuple[object, ...]:
        """The levels from the commonest to the rarest."""
        order = sorted(zip(self.names, self.counts.tolist(), strict=True), key=lambda each: (-each[1], str(each[0])))
        return tuple(name for name, _ in order)

    def ranked(self, order: Sequence[object]) -> Numbers:
        """Places in an order of levels as numbers, one behind the last for a level that is not in it."""
        place = {level: number for number, level in enumerate(order)}
        rows = np.array([*(place.get(each, len(order)) for each in self.names), len(order) + 1], np.int64)[self.codes]
        return Numbers(np.append(np.arange(len(order) + 1.0), np.nan), rows, np.bincount(rows, minlength=len(order) + 2))


def spelled(value: object) -> str:
    """A level as slices spell it."""
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


class Sampled:
    """Sampled rows of one side."""

    def __init__(self, frame: "DataFrame") -> None:
        self.frame = frame
        self._numbers: dict[str, Numbers] = {}
        self._levels: dict[str, Levels] = {}

    def __len__(self) -> int:
        return len(self.frame)

    def __contains__(self, name: str) -> bool:
        return name in self.frame

    def none(self) -> "Sampled":
        """The same without rows."""
        return Sampled(self.frame.iloc[:0])

    def floats(self, name: str) -> Floats:
        """A column of numbers, row by row."""
        return self.frame[name].to_numpy(float)

    def numbers(self, name: str) -> Numbers:
        """What is in a column of numbers."""
        if name not in self._numbers:
            self._numbers[name] = Numbers(*np.unique(self.floats(name), return_inverse=True, return_counts=True))
        return self._numbers[name]

    def levels(self, name: str) -> Levels:
        """What is in a column of texts or truths."""
        import pandas as pd

        if name not in self._levels:
            codes, names = pd.factorize(self.frame[name].to_numpy(object))
            self._levels[name] = Levels(tuple(names), codes.astype(np.int64), np.bincount(codes[codes >= 0], minlength=len(names)))
        return self._levels[name]
