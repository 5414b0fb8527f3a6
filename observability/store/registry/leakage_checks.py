"""Which features know too much: do any follow the label, or the score, almost exactly?"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from observability.store.registry.column_profile import coded, numbers
from observability.store.registry.register_types import Feature
from observability.store.registry.score_columns import listed, shown
from observability.store.registry.targets import Target

MOST_ROWS = 50_000
FEWEST_ROWS = 30
MOST_LEVELS = 50
SUSPECT = 0.999
"""Correlation, or share of rows whose level names the class, from which a feature is suspected."""


def leaks(table: pa.Table, features: tuple[Feature, ...], target: Target) -> list[str]:
    """A sentence for each feature that nearly determines the label, and one for copies of the score. Looks at up to MOST_ROWS rows, evenly spread."""
    every = max(1, -(-table.num_rows // MOST_ROWS))
    rows = np.arange(0, table.num_rows, every)
    codes = target.codes[rows]
    labelled = codes >= 0
    if labelled.sum() < FEWEST_ROWS:
        return []
    label = target.values[rows] if target.task == "regression" else codes.astype(np.float64)
    score = target.matrix[rows, 0] if target.matrix.shape[1] else None
    sample = table.take(pa.array(rows)) if every > 1 else table
    warnings, copies = [], []
    for each in features:
        column = sample[each.source]
        if each.kind != "category" and not pa.types.is_null(column.type):
            try:
                values = numbers(column)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                continue
            if target.task != "multiclass":
                strength = correlation(values[labelled], label[labelled])
                if strength is not None and abs(strength) > SUSPECT:
                    same = "is" if np.array_equal(values[labelled], label[labelled]) else "follows"
                    warnings.append(
                        f"{shown(each.name)} {same} the label (correlation {strength:.4f}): was it known when the prediction was made?"
                    )
                    continue
            if score is not None and np.array_equal(values, score, equal_nan=True) and np.unique(values).size > 2:
                copies.append(each.name)
                continue
        if target.classes:
            names, places = coded(column)
            if len(names) <= MOST_LEVELS and names_the_class(places[labelled], codes[labelled], len(names), len(target.classes)):
                warnings.append(f"{shown(each.name)} tells the label in nearly every row: was it known when the prediction was made?")
    if copies:
        warnings.append(f"The same values as the score: {listed(copies)}. An output is no feature; leave it out with --features.")
    return warnings


def correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float | None:
    """Pearson's correlation over the rows where both are finite; None below FEWEST_ROWS of them, or where one is constant."""
    both = np.isfinite(left) & np.isfinite(right)
    left, right = left[both], right[both]
    if left.size < FEWEST_ROWS:
        return None
    left, right = left / (np.abs(left).max() or 1.0), right / (np.abs(right).max() or 1.0)
    left, right = left - left.mean(), right - right.mean()
    size = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return None if size <= 1e-12 * left.size else float(np.clip((left * right).sum() / size, -1, 1))


def names_the_class(levels: NDArray[np.int64], codes: NDArray[np.int64], level_count: int, class_count: int) -> bool:
    """Whether nearly every row's level belongs to one class only, where always saying the most frequent class would not do."""
    if level_count < 2:
        return False
    known = levels >= 0
    if known.sum() < max(FEWEST_ROWS, level_count * 5):
        return False
    table = np.bincount(levels[known] * class_count + codes[known], minlength=level_count * class_count).reshape(level_count, class_count)
    total = table.sum()
    return bool(table.max(axis=1).sum() > SUSPECT * total and table.sum(axis=0).max() < 0.99 * total)
