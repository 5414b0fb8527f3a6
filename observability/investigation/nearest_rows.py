"""The real rows that are nearest to a prediction, by the distance that neighbours.py defines."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Column
from observability.investigation.neighbours import space_of
from observability.stats.arrays import Floats, Integers

if TYPE_CHECKING:
    from pandas import DataFrame


def row_distances(row: "DataFrame", rows: "DataFrame", columns: Sequence[Column], scale: "DataFrame | None" = None) -> Floats:
    """Distance of one row to each of `rows`, over `columns` (tables with features by name). scale: the rows from which mean and standard
    deviation are computed (default: `rows`).
    """
    space = space_of(with_reference_names(rows if scale is None else scale, columns), columns)
    own = space.place(with_reference_names(row, columns))
    return space.place(with_reference_names(rows, columns)).distances(own)


def with_reference_names(frame: "DataFrame", columns: Sequence[Column]) -> "DataFrame":
    """The table, with its columns renamed to their references."""
    return frame[[column.name for column in columns]].set_axis([column.reference for column in columns], axis=1)


def nearest_places(
    row: "DataFrame", rows: "DataFrame", k: int, columns: Sequence[Column], scale: "DataFrame | None" = None
) -> tuple[Integers, Floats]:
    """Positions and distances of the k nearest of `rows`, nearest first; rows at equal distance keep their order."""
    found = row_distances(row, rows, columns, scale)
    order = np.argsort(found, kind="stable")[:k]
    return order, found[order]
