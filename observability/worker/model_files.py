"""Opens a model file with the library that wrote it."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from observability.worker.model import Model, Task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

OPENERS = {
    "lightgbm": "observability.worker.model_lightgbm",
    "xgboost": "observability.worker.model_xgboost",
    "skops": "observability.worker.model_sklearn",
    "onnx": "observability.worker.model_onnx",
}
"""Where each kind of file is opened. The warm process imports it before it forks: a fork may not write compiled modules, and would compile anew each time."""


def open_model(kind: str, path: Path, rows: "pd.DataFrame", task: Task) -> Model:
    """Opens a model file for rows of this shape. Raises UsageError where its library is missing, it cannot be read, or it does not fit."""
    opened: Model = import_module(OPENERS[kind]).open_file(path, rows, task)
    return opened
