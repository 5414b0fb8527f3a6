"""Rows that were added, changed and deleted from one version of a dataset to the next, by the key that identifies a row."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.errors import UsageError
from observability.stats.arrays import Bools

if TYPE_CHECKING:
    from pandas import DataFrame, Series


@dataclass(frozen=True)
class RowChanges:
    """Numbers of rows. columns: for each column that both versions have, the number of changed rows in which its value differs; columns
    with 0 are left out.
    """

    added: int
    changed: int
    deleted: int
    columns: dict[str, int]


def row_changes(before: "DataFrame", after: "DataFrame", key: str) -> RowChanges:
    """Compare two versions of a dataset.

    Parameters
    ----------
    before : DataFrame
        Rows of the earlier version, in any order.
    after : DataFrame
        Rows of the later version, in any order.
    key : str
        Column that identifies a row in both.

    Returns
    -------
    RowChanges
        A row is changed where a column that both versions hold has another value. Two missing values are equal.

    Raises
    ------
    UsageError
        A version lacks the key, or a key is missing or repeated.
    """
    old, new = (_by_key(rows, key, which) for rows, which in ((before, "before"), (after, "after")))
    both = new.index.intersection(old.index)
    shared = [name for name in new.columns if name in old.columns]
    differs = {name: _differs(old.loc[both, name], new.loc[both, name]) for name in shared}
    changed = np.logical_or.reduce([np.zeros(len(both), bool), *differs.values()])
    columns = {name: int(rows.sum()) for name, rows in differs.items() if rows.any()}
    return RowChanges(len(new) - len(both), int(changed.sum()), len(old) - len(both), columns)


def _by_key(rows: "DataFrame", key: str, which: str) -> "DataFrame":
    """The rows with the key as their index."""
    if key not in rows.columns:
        raise UsageError(f"the version {which} lacks the key", got=key, expected=", ".join(map(str, rows.columns)))
    if rows[key].isna().any() or rows[key].duplicated().any():
        repeated = int(rows[key].duplicated(keep=False).sum())
        missing = int(rows[key].isna().sum())
        raise UsageError(
            f"the key does not identify a row of the version {which}", where=key, got=f"{repeated:,} repeated, {missing:,} missing"
        )
    return rows.set_index(key)


def _differs(old: "Series", new: "Series") -> Bools:
    """Whether two values of a column differ, row by row."""
    one, other = old.astype(object), new.astype(object)
    return np.asarray((one != other) & ~(one.isna() & other.isna()), bool)
