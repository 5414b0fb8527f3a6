"""Score the rows of a reference with a model file, when a version is registered with it."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from observability.core.errors import UsageError
from observability.store.types.registration import NotScoredError, ReferenceScorer, ScoredReference
from observability.worker.limits import WorkerError
from observability.worker.process import Worker, warm_worker
from observability.worker.requests import LIBRARIES, artifact_kind, predict_scores_and_features

if TYPE_CHECKING:
    import pandas as pd

    from observability.store.engine import Store
    from observability.store.types.registration import Registration, RegistrationRequest

SECONDS = 60.0
"""Time limit in seconds for scoring the sample of a reference."""
HERE = ("time", "memory", "start", "size")
"""Reasons of a failure that are not due to the model file."""


def register_and_compare(store: "Store", request: "RegistrationRequest", progress: Callable[[str], object]) -> "Registration":
    """Register a model version, all or nothing. If it has a model file, the scores of the file are compared with those of the reference.

    Raises UsageError.
    """
    return store.register(request, progress=progress, scorer=reference_scorer(warm_worker()) if request.artifact else None)


def reference_scorer(worker: Worker) -> ReferenceScorer:
    """The scorer that `register` takes: it runs a model file in the confined worker."""
    return partial(score_reference, worker)


def score_reference(worker: Worker, artifact: Path, rows: "pd.DataFrame", task: str, classes: tuple[str, ...]) -> ScoredReference:
    """The model's scores of some rows, and the columns that it takes.

    Raises NotScoredError if the model file cannot be run here (no library, too slow, too large), and UsageError if it does not take these
    rows.
    """
    missing = [name for name in LIBRARIES[artifact_kind(artifact)] if find_spec(name.partition(".")[0]) is None]
    if missing:
        raise NotScoredError(f"the library {missing[0].partition('.')[0]} is not installed")
    try:
        return predict_scores_and_features(worker, artifact, rows, task=task, classes=classes, seconds=SECONDS)
    except WorkerError as error:
        if error.reason in HERE:
            raise NotScoredError(error.what) from error
        raise UsageError(
            "the artifact fails on the reference",
            where=artifact.name,
            got=error.got or error.what,
            expected=f"a score for each of {len(rows):,} rows",
            attempt="Register the model file that made the reference's scores, or leave --artifact out",
        ) from error
