"""Open ONNX files with onnxruntime. Their scores are explained by sampling, because a graph gives no attributions.

Two forms of input are supported: one matrix of all features, and one column per feature under its name (as skl2onnx writes tables).
If the model gives labels and probabilities, the probabilities are used.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Array, Floats
from observability.worker.features import (
    canonical_scalar,
    class_order,
    columns_in_order,
    match_feature_columns,
    numeric_column,
    taken_values,
)
from observability.worker.model import OpenModel, Task, as_scores, missing_library, unreadable_artifact

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
WHOLE = ("tensor(int64)", "tensor(int32)", "tensor(bool)")


def open_onnx(path: Path, rows: pd.DataFrame, task: Task, *, threads: int = 0) -> OpenModel:
    """Open the model in an ONNX file. threads: number of threads that it may use; 0 lets onnxruntime choose."""
    try:
        import onnxruntime
    except ImportError:
        raise missing_library("onnxruntime", "onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise unreadable_artifact("ONNX", error) from None
    inputs = session.get_inputs()
    unsupported = [given for given in inputs if given.type not in TYPES]
    if unsupported:
        raise UsageError("the model takes inputs of an unsupported type", where=unsupported[0].name, got=unsupported[0].type)
    matrix = len(inputs) == 1 and inputs[0].name not in rows.columns
    if matrix:
        width = inputs[0].shape[-1] if inputs[0].shape else None
        columns = columns_in_order(rows, width if isinstance(width, int) else len(rows.columns))
    else:
        columns = match_feature_columns(rows, [given.name for given in inputs])

    def encode(frame: pd.DataFrame) -> dict[str, Any]:
        if matrix:
            parts = [onnx_input(frame[name], inputs[0].type) for name in columns]
            return {inputs[0].name: np.column_stack(parts) if parts else np.empty((len(frame), 0))}
        flat = {given.name: len(given.shape) == 1 for given in inputs}
        found = {given.name: onnx_input(frame[name], given.type) for given, name in zip(inputs, columns)}
        return {name: values if flat[name] else values[:, None] for name, values in found.items()}

    def score(given: dict[str, Any]) -> Floats:
        if not len(next(iter(given.values()))):
            return np.empty((0, len(task.classes))) if task.multiclass else np.empty(0)
        try:
            results = session.run(None, given)
        except Exception as error:
            raise UsageError("the model cannot score these rows", where="artifact", got=f"{type(error).__name__}: {error}"[:300]) from None
        return onnx_scores(results, task)

    note = "The model does not name its features: columns are taken in their order." if matrix else ""
    kinds = [inputs[0].type] * len(columns) if matrix else [given.type for given in inputs]
    takes = taken_values(columns, {place: () for place, kind in enumerate(kinds) if kind == "tensor(string)"})
    return OpenModel(tuple(columns), tuple(columns), encode, score, None, note, takes=takes)


def onnx_input(column: pd.Series, kind: str) -> Array:
    """One column in the model's type. Raises UsageError for a null if the type has no null."""
    if kind == "tensor(string)":
        return np.array(
            ["" if value is None or value != value else canonical_scalar(value) for value in column.astype(object)], dtype=object
        )
    values = numeric_column(column)
    if kind in WHOLE and np.isnan(values).any():
        raise UsageError("the model takes no nulls for this feature", where=str(column.name), got="null", expected="a whole number")
    return values.astype(TYPES[kind])


def onnx_scores(results: Sequence[Any], task: Task) -> Floats:
    """The scores among a model's outputs: a list of {class: probability}, else a table of one number per class, else one number per row."""
    if task.name == "regression":
        return as_scores(np.asarray(results[0]), task)
    for result in results:
        if isinstance(result, list) and result and isinstance(result[0], dict):
            known = list(result[0])
            order = class_order(known, task.classes, len(known))
            return as_scores(np.array([[row[key] for key in known] for row in result]), task, order)
    tables = [np.asarray(result) for result in results if not isinstance(result, list)]
    floating = [table for table in tables if np.issubdtype(table.dtype, np.floating)]
    if not floating:
        raise UsageError("the model gives no probabilities", where="artifact", attempt="Export it with its probabilities")
    wide = [table for table in floating if table.ndim == 2 and table.shape[1] == len(task.classes)]
    return as_scores(wide[0] if wide else floating[0], task)
