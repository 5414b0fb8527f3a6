"""What does the model's file say about a prediction: as it was computed before, where nothing that it depends on has changed, else by the worker now?

An answer depends on the model file (whose name holds its content's SHA-256), on the inputs, and on what its part names beside; another file, another
input or another setting is another question. So a command or an HTTP request that comes again costs no model.
"""

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Version
from observability.investigation.sampled_rows import artifact_of, asker
from observability.store.query import cached_answers

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.investigation.logged_prediction import Row
    from observability.store.db.database import Store
    from observability.worker.process import Worker

CODE = 1
"""Grows where the same question is answered otherwise by new code."""
Progress = Callable[[float, str], None]


def kept(store: "Store", row: "Row", version: Version, part: str, asked: Any, make: Callable[[], Any]) -> Any:
    """What `make` gives (plain JSON), or gave when the same was asked of the same model file about this prediction.

    asked: everything else that the answer depends on. Without a model file nothing is remembered: `make` says what is missing.
    """
    if version.artifact is None:
        return make()
    body = [CODE, row.model.task, row.model.classes, version.name, version.artifact, asked]
    question = hashlib.sha256(json.dumps(body, default=str).encode()).hexdigest()
    found = cached_answers.find(store, row.model, row.id, part, question)
    if found is None:
        text = json.dumps(make())
        cached_answers.keep(store, row.model, row.id, part, question, text)
        found = json.loads(text)  # the first answer is to the letter what the next will be
    return found


def scores(
    store: "Store", row: "Row", version: Version, table: "DataFrame", worker: "Worker | None", progress: Progress | None, seconds: float
) -> NDArray[np.float64]:  # fmt: skip
    """The scores that a version's model file gives to a table: (rows,), or (rows, classes) in multiclass. Raises what the worker raises."""

    def ask() -> Any:
        from observability.worker.requests import predict

        found = predict(
            asker(worker), artifact_of(store, version), table, task=row.model.task or "regression", classes=row.model.classes,
            progress=progress, seconds=seconds,
        )  # fmt: skip
        return found.tolist()

    return np.asarray(kept(store, row, version, "score", asked_of(table), ask), np.float64)


def asked_of(table: "DataFrame") -> Any:
    """A table of inputs as plain values."""
    return [list(table.columns), table.to_numpy(dtype=object).tolist()]
