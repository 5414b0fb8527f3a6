"""Estimates the errors of a regression's predictions that have no label (direct loss estimation, DLE).

A second model learns the errors of the reference, and predicts the errors of a bounded sample of each day. It runs in the worker. The
estimates are stored for each prediction (store/query/estimates.py), so that they can be compared with the labels later.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Model, Version
from observability.core.errors import UsageError
from observability.core.questions import Sample
from observability.core.window import EPOCH, Window
from observability.store.types import error_estimates
from observability.store.types.error_estimates import ESTIMATES_A_DAY, DayToEstimate, EstimationState

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store
    from observability.worker.process import Worker

Progress = Callable[[float, str], None]
REFERENCE_ROWS = 20_000
MINIMUM_REFERENCE_ROWS = 200
ROWS_A_STEP = 20_000
"""Maximum number of rows of one step: a hundred days. Steps are large because learning from the reference takes most of a step's time."""


def estimate_expected_errors(store: "Store", worker: "Worker", model: Model, progress: Progress, stopping: threading.Event) -> int:
    """Run one step for a model: estimate the errors of the newest days that lack estimates. Returns the number of rows; 0 if nothing is
    left or the model is not a regression.

    Raises WorkerError if learning fails for reasons that may pass (time, memory). If it is impossible to learn from a reference, this is
    stored and not tried again.
    """
    if model.task != "regression":
        return 0
    for version in sorted(model.versions, key=lambda each: each.registered_at or EPOCH, reverse=True):
        if stopping.is_set():
            return 0
        if (
            version.reference_rows >= MINIMUM_REFERENCE_ROWS
            and version.features
            and (done := _estimate_version(store, worker, model, version, progress))
        ):
            return done
    return 0


def _estimate_version(store: "Store", worker: "Worker", model: Model, version: Version, progress: Progress) -> int:
    """Estimate the errors of the newest days of a version that lack estimates. Returns the number of rows; 0 if nothing is left."""
    state = store.estimation_state(model, version)
    if state is None:
        store.restart_estimates(model, version)
    elif state.failure is not None:
        return 0
    while days := store.days_to_estimate(model, version)[: ROWS_A_STEP // ESTIMATES_A_DAY]:
        rows, done = store.rows_to_estimate(model, version, days), {each.day: each.rows for each in days}
        if len(rows) or state is None:
            return _learn_and_write(store, worker, model, version, rows, days, progress)
        store.write_estimates(model, version, None, state, done)
    return 0


def _learn_and_write(
    store: "Store", worker: "Worker", model: Model, version: Version, rows: "DataFrame", days: list[DayToEstimate], progress: Progress
) -> int:
    """Learn the errors of the reference, then estimate and write the errors of the rows and of the reference itself. Returns the number of
    rows.
    """
    from observability.worker.requests import estimate_unlabelled_errors as ask

    words = f"{model.name} {version.name}: errors to expect, {days[-1].day} to {days[0].day}"
    progress(-1.0, words)
    reference, features = _labelled_reference(store, model, version)
    done = {each.day: each.rows for each in days}
    dated = reference["at"].nunique() >= MINIMUM_REFERENCE_ROWS // 2
    try:
        found = ask(
            worker, reference, rows[["score", *features]], features=features, label="label_value", at="at" if dated else None, squared=True,
            progress=lambda share, said: progress(-1.0, f"{words}: {said}"),
        )  # fmt: skip
    except UsageError as error:
        failed = EstimationState(registration=error_estimates.estimated_registration(version), rows=len(reference), failure=error.what)
        store.write_estimates(model, version, None, failed, {})
        return 0
    squared = np.full(len(rows), np.nan) if found.squared_error is None else found.squared_error
    state = EstimationState(
        registration=error_estimates.estimated_registration(version),
        rows=len(reference),
        bias=_finite_or_none(found.bias),
        skill=_finite_or_none(found.skill),
        note=found.note,
    )
    written = store.write_estimates(
        model, version, error_estimates.estimate_table(days[0].stream, list(rows["id"]), found.absolute_error, squared), state, done
    )
    crossed = found.reference
    own = error_estimates.estimate_table(
        store.reference_stream(model, version), list(reference["id"]), crossed["absolute_error_estimated"].to_numpy(np.float64),
        crossed["squared_error_estimated"].to_numpy(np.float64),
    )  # fmt: skip
    written += store.write_estimates(model, version, own, state, {})
    return max(written, 1)


def _labelled_reference(store: "Store", model: Model, version: Version) -> tuple["DataFrame", tuple[str, ...]]:
    """At most REFERENCE_ROWS rows of the reference with a label, and the names of the feature columns (`feature.NAME`)."""
    features = tuple(f"feature.{name}" for name in version.features if model.column(f"feature.{name}") is not None)
    window = Window(model.name, datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC), version=version.name).reference()
    rows = store.ask(Sample("outcomes", ("id", "at", "score", "label_value", *features), REFERENCE_ROWS), window)
    usable = np.isfinite(rows["score"].to_numpy(np.float64)) & np.isfinite(rows["label_value"].to_numpy(np.float64))
    return rows[usable].reset_index(drop=True), features


def _finite_or_none(value: float) -> float | None:
    """The number, or None if it is not finite."""
    return float(value) if np.isfinite(value) else None
