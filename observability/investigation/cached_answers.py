"""Caches results of the model artifact for a prediction. The worker computes them on the first request.

The key includes the artifact (whose name contains its SHA-256), the inputs and all other parameters. Any change of these leads to a
separate entry.
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
"""The version of the cached results. Increase it if new code returns other results for the same parameters."""


def cached_answer(store: Store, row: Row, version: Version, part: str, parameters: Any, make: Callable[[], Any]) -> Any:
    """The result of `make` (plain JSON), or the cached result for the same artifact, prediction and parameters.

    parameters: everything else that determines the result. Without an artifact, nothing is cached, and the error from `make` states the
    reason.
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
    """The scores that a version's artifact predicts for a table: (rows,), or (rows, classes) for multiclass. Raises the worker's errors."""

    def ask() -> Any:
        from observability.worker.requests import predict_scores

        found = predict_scores(
            required_worker(worker), artifact_of(store, version), table, **task_and_classes(row.model), progress=progress, seconds=seconds
        )
        return found.tolist()

    return np.asarray(cached_answer(store, row, version, "score", asked_of(table), ask), np.float64)


def asked_of(table: "DataFrame") -> Any:
    """A table of inputs as plain values, as part of the cache key."""
    return [list(table.columns), table.to_numpy(dtype=object).tolist()]
