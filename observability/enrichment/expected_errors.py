"""How wrong are a regression's predictions expected to be while their labels are not known? (direct loss estimation, DLE)

A second model learns the errors of the reference and says what is to be expected of a bounded sample of each day. It runs in the worker; what it says is
stored by prediction (store/query/estimates.py), so that it can be held against the labels when they come.
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
from observability.store.db.catalog_store import streams
from observability.store.query import estimates, listing
from observability.store.query.estimates import SAMPLE_A_DAY, Day, State
from observability.store.query.source import snapshot

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store
    from observability.worker.process import Worker

Progress = Callable[[float, str], None]
REFERENCE_ROWS = 20_000
LEAST_REFERENCE = 200
ROWS_A_STEP = 20_000
"""Rows that one step estimates at most: a hundred days. Learning from the reference takes most of a step's time, so steps are large."""


def estimate_errors(store: "Store", worker: "Worker", model: Model, progress: Progress, stopping: threading.Event) -> int:
    """One step for a model: the newest days that lack estimates. Gives how many rows it dealt with; 0: nothing is left, or the model is no regression.

    Raises WorkerError where learning breaks for reasons that may pass (time, memory); a reference that cannot be learned from is remembered.
    """
    if model.task != "regression":
        return 0
    for version in sorted(model.versions, key=lambda each: each.registered_at or EPOCH, reverse=True):
        if stopping.is_set():
            return 0
        if version.reference_rows >= LEAST_REFERENCE and version.features and (done := step(store, worker, model, version, progress)):
            return done
    return 0


def step(store: "Store", worker: "Worker", model: Model, version: Version, progress: Progress) -> int:
    """Estimates what the newest days of a version lack; 0 where nothing is left."""
    state = estimates.state_of(store, model, version)
    if state is None:
        estimates.restart(store, model, version)
    elif state.failure is not None:
        return 0
    while days := estimates.waiting(store, model, version)[: ROWS_A_STEP // SAMPLE_A_DAY]:
        rows, done = estimates.missing(store, model, version, days), {each.day: each.rows for each in days}
        if len(rows) or state is None:
            return learned(store, worker, model, version, rows, days, progress)
        estimates.put(store, model, version, None, state, done)
    return 0


def learned(
    store: "Store", worker: "Worker", model: Model, version: Version, rows: "DataFrame", days: list[Day], progress: Progress
) -> int:
    """Learns the errors of the reference, and writes what they say of the rows, and of the reference itself where it is not there yet."""
    from observability.worker.requests import estimate_errors as ask

    words = f"{model.name} {version.name}: errors to expect, {days[-1].day} to {days[0].day}"
    progress(-1.0, words)
    reference, features = reference_of(store, model, version)
    done = {each.day: each.rows for each in days}
    dated = reference["at"].nunique() >= LEAST_REFERENCE // 2
    try:
        found = ask(
            worker, reference, rows[["score", *features]], features=features, label="label_value", at="at" if dated else None, squared=True,
            progress=lambda share, said: progress(-1.0, f"{words}: {said}"),
        )  # fmt: skip
    except UsageError as error:
        failed = State(registration=estimates.registration(version), rows=len(reference), failure=error.what)
        estimates.put(store, model, version, None, failed, {})
        return 0
    squared = np.full(len(rows), np.nan) if found.squared_error is None else found.squared_error
    state = State(
        registration=estimates.registration(version),
        rows=len(reference),
        bias=finite(found.bias),
        skill=finite(found.skill),
        note=found.note,
    )
    written = estimates.put(
        store, model, version, estimates.batch(days[0].stream, list(rows["id"]), found.absolute_error, squared), state, done
    )
    crossed = found.reference
    with snapshot(store) as cursor:
        number = streams(cursor, model.key)[version.name, "reference"]
    own = estimates.batch(
        number, list(reference["id"]), crossed["absolute_error_estimated"].to_numpy(np.float64),
        crossed["squared_error_estimated"].to_numpy(np.float64),
    )  # fmt: skip
    written += estimates.put(store, model, version, own, state, {})
    return max(written, 1)


def reference_of(store: "Store", model: Model, version: Version) -> tuple["DataFrame", tuple[str, ...]]:
    """At most REFERENCE_ROWS labelled rows of the reference, and the names of the features' columns (`feature.NAME`, so that none is called score)."""
    features = tuple(f"feature.{name}" for name in version.features if model.column(f"feature.{name}") is not None)
    window = Window(model.name, datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC), version=version.name).reference()
    rows = listing.sample(store, Sample("outcomes", ("id", "at", "score", "label_value", *features), REFERENCE_ROWS), window)
    usable = np.isfinite(rows["score"].to_numpy(np.float64)) & np.isfinite(rows["label_value"].to_numpy(np.float64))
    return rows[usable].reset_index(drop=True), features


def finite(value: float) -> float | None:
    """A number, or None."""
    return float(value) if np.isfinite(value) else None
