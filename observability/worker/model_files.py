"""Open a model file with the library that wrote it."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from observability.worker.model import OpenModel, Task

if TYPE_CHECKING:
    import pandas as pd

OPENERS = {
    "lightgbm": ("observability.worker.model_lightgbm", "open_lightgbm"),
    "xgboost": ("observability.worker.model_xgboost", "open_xgboost"),
    "skops": ("observability.worker.model_sklearn", "open_skops"),
    "onnx": ("observability.worker.model_onnx", "open_onnx"),
}
"""Module and function that open each kind of file. The warm process imports the module before it forks."""


THREADED = ("lightgbm", "onnx")
"""Kinds of files whose number of threads can be chosen."""


def open_model(kind: str, path: Path, rows: "pd.DataFrame", task: Task, threads: int = 0) -> OpenModel:
    """Open a model file for rows of this shape. Raises UsageError if its library is missing, or if the file cannot be read or does not fit
    the rows.

    threads: number of threads that compute its scores, for the kinds in THREADED; 0 lets the library choose.
    """
    module, function = OPENERS[kind]
    options = {"threads": threads} if kind in THREADED else {}
    model: OpenModel = getattr(import_module(module), function)(path, rows, task, **options)
    return model
