"""Which real rows are most like a prediction, by the distance that its neighbours are found with (investigation/neighbours.py)?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column
from observability.investigation.neighbours import space_of

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]


def distances(row: "DataFrame", rows: "DataFrame", columns: Sequence[Column], scale: "DataFrame | None" = None) -> Floats:
    """The distance of one row to each of `rows`, over `columns` (tables with features by their names). scale: rows whose mean and standard deviation count
    (default: `rows`).
    """
    space = space_of(referenced(rows if scale is None else scale, columns), columns)
    own = space.place(referenced(row, columns))
    return space.place(referenced(rows, columns)).distances(own)


def referenced(frame: "DataFrame", columns: Sequence[Column]) -> "DataFrame":
    """The same with columns named by their references."""
    return frame[[each.name for each in columns]].set_axis([each.reference for each in columns], axis=1)


def nearest(
    row: "DataFrame", rows: "DataFrame", k: int, columns: Sequence[Column], scale: "DataFrame | None" = None
) -> tuple[NDArray[np.int64], Floats]:
    """Places and distances of the k nearest of `rows`, nearest first; equal distances in their order."""
    found = distances(row, rows, columns, scale)
    order = np.argsort(found, kind="stable")[:k]
    return order, found[order]
