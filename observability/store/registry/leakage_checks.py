"""Find features that follow the label or the score almost exactly."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from observability.store.registry.column_profile import coded_values, float_values
from observability.store.registry.score_columns import name_list, quoted_name
from observability.store.registry.targets import ReferenceOutcomes
from observability.store.types.registration import FeatureColumn

MAX_ROWS = 50_000
MIN_ROWS = 30
MAX_LEVELS = 50
SUSPECT = 0.999
"""Correlation, or share of rows whose level determines the class, from which a feature is suspicious."""


def leakage_warnings(table: pa.Table, features: tuple[FeatureColumn, ...], target: ReferenceOutcomes) -> list[str]:
    """A warning for each feature that nearly determines the label, and one for copies of the score. Samples up to MAX_ROWS rows evenly."""
    every = max(1, -(-table.num_rows // MAX_ROWS))
    rows = np.arange(0, table.num_rows, every)
    codes = target.codes[rows]
    labelled = codes >= 0
    if labelled.sum() < MIN_ROWS:
        return []
    label = target.values[rows] if target.task == "regression" else codes.astype(np.float64)
    score = target.matrix[rows, 0] if target.matrix.shape[1] else None
    sample = table.take(pa.array(rows)) if every > 1 else table
    warnings, copies = [], []
    for feature in features:
        column, name = sample[feature.source], quoted_name(feature.name)
        if feature.kind != "category" and not pa.types.is_null(column.type):
            try:
                values = float_values(column)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                continue
            if target.task != "multiclass":
                strength = _pearson(values[labelled], label[labelled])
                if strength is not None and abs(strength) > SUSPECT:
                    verb = "is" if np.array_equal(values[labelled], label[labelled]) else "follows"
                    warnings.append(f"{name} {verb} the label (correlation {strength:.4f}): was it known at prediction time?")
                    continue
            if score is not None and np.array_equal(values, score, equal_nan=True) and np.unique(values).size > 2:
                copies.append(feature.name)
                continue
            if np.unique(values).size > MAX_LEVELS + 1:  # NaN counts as one value
                continue
        if target.classes:
            names, places = coded_values(column)
            if len(names) <= MAX_LEVELS and _determines_class(places[labelled], codes[labelled], len(names), len(target.classes)):
                warnings.append(f"{name} determines the label in nearly every row: was it known at prediction time?")
    if copies:
        warnings.append(f"Same values as the score: {name_list(copies)}. An output is not a feature; exclude it with --features.")
    return warnings


def _pearson(left: NDArray[np.float64], right: NDArray[np.float64]) -> float | None:
    """Pearson's correlation over the rows where both values are finite; None with fewer than MIN_ROWS such rows, or if one side is
    constant.
    """
    both = np.isfinite(left) & np.isfinite(right)
    left, right = left[both], right[both]
    if left.size < MIN_ROWS:
        return None
    left, right = left / (np.abs(left).max() or 1.0), right / (np.abs(right).max() or 1.0)
    left, right = left - left.mean(), right - right.mean()
    size = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return None if size <= 1e-12 * left.size else float(np.clip((left * right).sum() / size, -1, 1))


def _determines_class(levels: NDArray[np.int64], codes: NDArray[np.int64], level_count: int, class_count: int) -> bool:
    """Whether nearly every level belongs to a single class, and the most frequent class alone would not explain that."""
    if level_count < 2:
        return False
    known = levels >= 0
    if known.sum() < max(MIN_ROWS, level_count * 5):
        return False
    table = np.bincount(levels[known] * class_count + codes[known], minlength=level_count * class_count).reshape(level_count, class_count)
    total = table.sum()
    return bool(table.max(axis=1).sum() > SUSPECT * total and table.sum(axis=0).max() < 0.99 * total)
