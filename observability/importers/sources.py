"""Opens the files of another tool, chosen by the tool's name."""

import csv
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from observability.core.errors import UsageError
from observability.importers.source_records import ReadOptions, SourceItem, SourceReading, error_line

OPENERS = {
    "mlflow": ("observability.importers.mlflow_runs", "open_mlflow"),
    "tensorboard": ("observability.importers.tensorboard", "open_tensorboard"),
    "optuna": ("observability.importers.optuna", "open_optuna"),
    "codecarbon": ("observability.importers.codecarbon", "open_codecarbon"),
    "zeus": ("observability.importers.zeus", "open_zeus"),
    "transformers": ("observability.importers.transformers", "open_transformers"),
}
"""For each tool, the module and function that open its files."""


UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, OSError, RecursionError, csv.Error, sqlite3.Error)
"""Errors that a reader may raise on damaged content."""


def open_source(tool: str, path: Path, options: ReadOptions) -> SourceReading:
    """The records in another tool's files. Raises UsageError, with one sentence, if the path has none or is damaged. It is raised at once
    or while the items are read.
    """
    module, function = OPENERS[tool]
    opener: Callable[[Path, ReadOptions], SourceReading] = getattr(import_module(module), function)
    with _damage_as_usage_error(path):
        reading = opener(path, options)
    return SourceReading(reading.title, _guarded_items(reading.items, path))


def _guarded_items(items: Iterable[SourceItem], path: Path) -> Iterator[SourceItem]:
    """The items. If the source is damaged, raises UsageError."""
    with _damage_as_usage_error(path):
        yield from items


@contextmanager
def _damage_as_usage_error(path: Path) -> Iterator[None]:
    """Turns errors about unexpected content into UsageError."""
    try:
        yield
    except UNREADABLE as error:
        got = f"{type(error).__name__}: {error_line(error)}"
        raise UsageError("the source is damaged or of an unknown version", where=path.name, got=got) from error
