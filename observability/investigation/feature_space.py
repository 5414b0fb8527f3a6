"""The rows of a model as numeric vectors whose distance measures how different the inputs are: ranks for numbers, one column for each level
of a category.

Each feature has the same total variance, so that none dominates because of its unit or its number of levels. A feature that hardly varies
keeps its small variance. Latent features (`latent_inputs.py`) may be taken alone, because they are an embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Column
from observability.investigation.conditions import slice_level
from observability.stats.arrays import Floats

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_LEVELS = 20
"""Number of levels of a category, most frequent first, that get a column; all others share one column."""
RANK_VARIANCE = 1 / 12
"""Variance of evenly distributed ranks. A feature that varies at least this much is scaled to a variance of 1."""
MISSING = ""
"""Name of the column for missing values. The last column is shared by the levels without a column of their own."""


@dataclass(frozen=True)
class FeatureBlock:
    """The columns of one feature. known: sorted values in which numbers are ranked; levels: levels with their own column; raw: numbers are
    not ranked. scale: factor by which the columns are multiplied.
    """

    column: Column
    known: Floats
    levels: tuple[str, ...] = ()
    raw: bool = False
    scale: float = 1.0

    @property
    def width(self) -> int:
        """The number of columns of this feature."""
        return (1 if self.raw else 2) if self.column.kind == "number" else len(self.levels) + 2

    def columns_of(self, frame: "DataFrame") -> Floats:
        """(n, width): for a number, its rank from 0 to 1 (0.5 if it is missing) and whether it is missing; for a category, one column per
        level.
        """
        values = frame[self.column.reference]
        if self.column.kind == "number":
            numbers = values.to_numpy(np.float64)
            missing = ~np.isfinite(numbers)
            if self.raw:
                return np.where(missing, float(self.known.mean()) if self.known.size else 0.0, numbers)[:, None] * self.scale
            ends = [np.searchsorted(self.known, numbers, side) for side in ("left", "right")]
            ranks = (ends[0] + ends[1]) / 2 / max(self.known.size, 1)
            return np.stack([np.where(missing, 0.5, ranks), missing.astype(np.float64)], axis=1) * self.scale
        names = {level: place for place, level in enumerate((*self.levels, MISSING))}
        places = {each: names.get(MISSING if each is None or each != each else slice_level(each), len(names)) for each in values.unique()}
        return np.eye(len(names) + 1)[values.map(places).to_numpy(np.int64)] * self.scale


def feature_blocks(columns: Sequence[Column], rows: "DataFrame", known: "DataFrame", *, embedding: bool = False) -> list[FeatureBlock]:
    """The blocks of some features, scaled by their variance in `rows`. known: the rows in which numbers are ranked and levels are counted.

    embedding: whether numbers keep their values and variances because they are the components of one vector.
    """
    found = []
    for column in columns:
        values = known[column.reference]
        if column.kind == "number":
            numbers = values.to_numpy(np.float64)
            block = FeatureBlock(column, np.sort(numbers[np.isfinite(numbers)]), raw=embedding)
        else:
            counts = values.dropna().map(slice_level).value_counts()
            common = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MAX_LEVELS]
            block = FeatureBlock(column, np.empty(0), tuple(str(level) for level, _ in common))
        variance = float(block.columns_of(rows).var(axis=0).sum())
        found.append(block if embedding else replace(block, scale=max(variance, RANK_VARIANCE) ** -0.5))
    return found
