"""Values of sampled columns, stored as distinct values with their counts and the index of each row's value.

Slices and ranks use the same columns again and again, so each column is factorised only once.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.stats.edges import level_label
from observability.stats.slice_moments import Floats, Mask

if TYPE_CHECKING:
    from pandas import DataFrame

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers. distinct: each value once, increasing, NaN last; place: for each row, the index of its value in `distinct`;
    counts: number of rows of each value.
    """

    distinct: Floats
    place: Integers
    counts: Integers

    @property
    def missing(self) -> Mask:
        """Mask of the rows without a value."""
        return np.asarray(np.isnan(self.distinct)[self.place], bool)

    @cached_property
    def finite(self) -> "NumberColumn":
        """The finite values with their counts, without the place of each row."""
        held = np.isfinite(self.distinct)
        return NumberColumn(self.distinct[held], np.empty(0, np.int64), self.counts[held])

    def ranks_in(self, base: "NumberColumn") -> Floats:
        """The rank of each row's value among the finite values of `base`, from 0 to 1, with mid-ranks for ties. NaN if the value is missing
        or `base` has no values.
        """
        known = base.finite
        ends = np.append(0, np.cumsum(known.counts))
        if not ends[-1]:
            return np.full(self.place.size, np.nan)
        first = np.searchsorted(known.distinct, self.distinct)
        same = np.append(known.distinct, np.nan)[first] == self.distinct
        return np.where(np.isnan(self.distinct), np.nan, (ends[first] + ends[first + same]) / (2 * ends[-1]))[self.place]


@dataclass(frozen=True)
class LevelColumn:
    """A column of texts or booleans. names: each level once; codes: level of each row, -1 if missing; counts: number of rows of each
    level.
    """

    names: tuple[object, ...]
    codes: Integers
    counts: Integers

    @property
    def missing(self) -> Mask:
        """Mask of the rows without a value."""
        return np.asarray(self.codes < 0, bool)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The levels in the form that slices use; the last entry is the text for a missing level."""
        return (*(level_label(name) or "" for name in self.names), "null")

    @cached_property
    def rows_of(self) -> Counter[str]:
        """The number of rows with each level, by the level's text."""
        found: Counter[str] = Counter()
        for text, rows in zip(self.texts, (*self.counts.tolist(), int(self.missing.sum())), strict=True):
            found[text] += rows
        return found

    def coded(self, levels: Sequence[str]) -> NDArray[np.int16]:
        """For each row, the position of its text among some levels; -1 for any other text."""
        place = {level: number for number, level in enumerate(levels)}
        return np.array([place.get(text, -1) for text in self.texts], np.int16)[self.codes]

    @cached_property
    def commonest(self) -> tuple[object, ...]:
        """Levels from the most to the least frequent."""
        order = sorted(zip(self.names, self.counts.tolist(), strict=True), key=lambda each: (-each[1], str(each[0])))
        return tuple(name for name, _ in order)

    def ranked(self, order: Sequence[object]) -> NumberColumn:
        """The places of the levels in an order, as numbers. A level that is not in the order gets the place after the last."""
        place = {level: number for number, level in enumerate(order)}
        rows = np.array([*(place.get(name, len(order)) for name in self.names), len(order) + 1], np.int64)[self.codes]
        return NumberColumn(np.append(np.arange(len(order) + 1.0), np.nan), rows, np.bincount(rows, minlength=len(order) + 2))


class SampledRows:
    """The sampled rows of one side of a comparison (now or before)."""

    def __init__(self, frame: "DataFrame") -> None:
        self.frame = frame
        self._numbers: dict[str, NumberColumn] = {}
        self._levels: dict[str, LevelColumn] = {}

    def __len__(self) -> int:
        return len(self.frame)

    def __contains__(self, name: str) -> bool:
        return name in self.frame

    def none(self) -> "SampledRows":
        """A sample with the same columns and no rows."""
        return SampledRows(self.frame.iloc[:0])

    def floats(self, name: str) -> Floats:
        """A column of numbers, row by row."""
        return self.frame[name].to_numpy(float)

    def numbers(self, name: str) -> NumberColumn:
        """A factorised column of numbers."""
        if name not in self._numbers:
            self._numbers[name] = NumberColumn(*np.unique(self.floats(name), return_inverse=True, return_counts=True))
        return self._numbers[name]

    def levels(self, name: str) -> LevelColumn:
        """A factorised column of texts or booleans."""
        import pandas as pd

        if name not in self._levels:
            codes, names = pd.factorize(self.frame[name].to_numpy(object))
            self._levels[name] = LevelColumn(tuple(names), codes.astype(np.int64), np.bincount(codes[codes >= 0], minlength=len(names)))
        return self._levels[name]
