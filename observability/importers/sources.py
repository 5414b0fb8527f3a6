"""Opens the files of another tool by the tool's name."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from observability.importers.source_records import ReadOptions, SourceReading

OPENERS = {
    "mlflow": ("observability.importers.mlflow_runs", "open_mlflow"),
    "tensorboard": ("observability.importers.tensorboard", "open_tensorboard"),
    "optuna": ("observability.importers.optuna", "open_optuna"),
    "codecarbon": ("observability.importers.codecarbon", "open_codecarbon"),
    "transformers": ("observability.importers.transformers", "open_transformers"),
}
"""Module and function that open the files of each tool."""


def open_source(tool: str, path: Path, options: ReadOptions) -> SourceReading:
    """The records in another tool's files. Raises UsageError where the path holds none, in one sentence."""
    module, function = OPENERS[tool]
    opener: Callable[[Path, ReadOptions], SourceReading] = getattr(import_module(module), function)
    return opener(path, options)
