"""Cached results of the model artifact for a prediction, computed by the worker on the first request.

The key covers the artifact (whose name contains its SHA-256), the inputs and all other parameters, so a change of any of them gives
another entry.
"""

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Version
from observability.investigation.logged_prediction import Row
from observability.investigation.sampled_rows import artifact_of, required_worker, task_and_classes
from observability.stats.arrays import Floats
from observability.store.engine import Store
from observability.worker.process import Progress, Worker

if TYPE_CHECKING:
    from pandas import DataFrame

CODE = 1
"""The version of the cached results. Increase it when new code gives another result for the same parameters."""


def cached_answer(store: Store, row: Row, version: Version, part: str, parameters: Any, make: Callable[[], Any]) -> Any:
    """The result of `make` (plain JSON), or the cached result for the same artifact, prediction and parameters.

    parameters: everything else that the result depends on. Without an artifact nothing is cached, and `make` raises the reason.
    """
    if version.artifact is None:
        return make()
    body = [CODE, row.model.task, row.model.classes, version.name, version.artifact, parameters]
    question = hashlib.sha256(json.dumps(body, default=str).encode()).hexdigest()
    found = store.cached_answer(row.model, row.id, part, question)
    if found is None:
        text = json.dumps(make())
        store.cache_answer(row.model, row.id, part, question, text)
        found = json.loads(text)  # the same JSON round trip as for later reads
    return found


def cached_scores(
    store: Store, row: Row, version: Version, table: "DataFrame", worker: Worker | None, progress: Progress | None, seconds: float
) -> Floats:
    """Scores of a version's artifact for a table: (rows,), or (rows, classes) for multiclass. Raises the worker's errors."""

    def ask() -> Any:
        from observability.worker.requests import predict_scores

        found = predict_scores(
            required_worker(worker), artifact_of(store, version), table, **task_and_classes(row.model), progress=progress, seconds=seconds
        )
        return found.tolist()

    return np.asarray(cached_answer(store, row, version, "score", asked_of(table), ask), np.float64)


def asked_of(table: "DataFrame") -> Any:
    """A table of inputs as plain values, for the key of the cache."""
    return [list(table.columns), table.to_numpy(dtype=object).tolist()]
