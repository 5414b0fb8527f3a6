"""Distinguishes a default score from a score that is frequent because of the inputs, such as the highest score of an ensemble of trees."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.stats.arrays import Array

if TYPE_CHECKING:
    from pandas import DataFrame

LEAF, LEAVES = 20, 256
"""The tree that finds rows with similar inputs: minimum number of known rows in a leaf, and maximum number of leaves."""
EXPLAINED = 0.5
"""Inputs explain a score if known rows with similar inputs have scores near it: at a mean distance of at most this fraction of the mean
distance of all known rows.
"""
MIN_KNOWN = 200
"""Minimum number of known rows."""


def inputs_explain(value: float, rows: "DataFrame", known: "DataFrame", numbers: Sequence[str], categories: Sequence[str]) -> bool | None:
    """Return whether known rows with inputs like those of `rows` have scores near `value`; None if too few rows are known.

    rows: rows whose score is `value`. The score of a model follows from its inputs. For rows beyond the range of the known rows, a tree
    fitted to the known scores gives the score of the nearest known rows, as an ensemble of trees does. A default score does not depend on
    the inputs, so rows with a default have neighbours with all kinds of scores.
    """
    from sklearn.tree import DecisionTreeRegressor

    known = known[np.isfinite(known["score"].to_numpy(float))]
    if len(known) < MIN_KNOWN or rows.empty:
        return None
    scores = known["score"].to_numpy(float)
    usual = float(np.abs(scores - value).mean())
    levels = {name: known[name].astype(str).value_counts().index for name in categories}
    tree = DecisionTreeRegressor(min_samples_leaf=LEAF, max_leaf_nodes=LEAVES, random_state=0)
    tree.fit(coded_inputs(known, numbers, levels), scores)
    leaves, place = np.unique(tree.apply(coded_inputs(known, numbers, levels)), return_inverse=True)
    distances = np.bincount(place, np.abs(scores - value)) / np.bincount(place)
    found = distances[np.searchsorted(leaves, tree.apply(coded_inputs(rows, numbers, levels)))]
    return bool(found.mean() <= EXPLAINED * usual)


def coded_inputs(rows: "DataFrame", numbers: Sequence[str], levels: "dict[str, Any]") -> Array:
    """Return the inputs as numbers: a category becomes its rank by frequency among the known rows, missing or unknown values become NaN."""
    columns = [np.where(np.isfinite(values := rows[name].to_numpy(float)), values, np.nan) for name in numbers]
    for name, known in levels.items():
        code = known.get_indexer(rows[name].astype(str)).astype(float)
        columns.append(np.where(code < 0, np.nan, code))
    return np.column_stack(columns)
