"""Explains predictions in advance, step by step: a bounded sample of each day and of the reference, and the predictions with the worst
errors.

Attributions that were logged with a prediction are used unchanged. The worker computes the missing ones from the version's artifact. If an
artifact crashes, hangs or runs out of memory, only its own explanations fail. The failure is stored with the version; the artifact is tried
again after it or a library has changed.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from observability.core.catalog import Model, Version
from observability.core.errors import ObservabilityError
from observability.core.json_values import stored_json
from observability.core.questions import Sample
from observability.core.window import EPOCH, Window
from observability.monitoring import check_windows
from observability.stats.attribution import (
    SCORE_TOLERANCE,
    TOLERANCE,
    additive_rows,
    apply_inverse_link,
    apply_link,
    attributions_in_order,
    kept_attributions,
)
from observability.store.types.explanations import (
    ATTRIBUTION_SCHEMA,
    ERRORS,
    LOGGED,
    REFERENCE,
    AttributionBatch,
    ExplanationPart,
    ExplanationState,
    RowsToExplain,
    explained_registration,
)

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store
    from observability.worker.process import Worker

Progress = Callable[[float, str], None]
REFERENCE_ROWS, ERROR_ROWS, BACKGROUND_ROWS = 1000, 500, 100
MIN_STEP_ROWS, MAX_STEP_ROWS, FIRST_STEP_ROWS = 100, 5000, 500
"""Number of rows of one step: minimum, maximum, and the number until the speed of the model is known."""
STEP_CELLS = 2_000_000
"""Maximum number of input values of one step (rows × features). It limits the rows of a step if the model has thousands of features."""
STEP_SECONDS = 5.0
RECENT_DAYS = 7
"""This number of newest days is explained before the worst errors."""
LIBRARIES = ("observability-dashboard", "shap", "lightgbm", "xgboost-cpu", "xgboost", "scikit-learn", "skops", "onnxruntime")
FORM = 1
"""Version of the way in which explanations are computed and stored. With a new version, failed ones are tried again."""
TOO_MUCH = ("time", "memory")


@dataclass(frozen=True)
class ExplanationWork:
    """One version, with everything that is needed to explain its predictions."""

    store: "Store"
    worker: "Worker"
    model: Model
    version: Version
    state: ExplanationState
    progress: Progress
    stopping: threading.Event

    @property
    def usable(self) -> bool:
        """Whether the version has an artifact that has not failed."""
        return self.version.artifact is not None and self.state.failure is None


def explain_rows(store: "Store", worker: "Worker", model: Model, progress: Progress, stopping: threading.Event) -> int:
    """Run one step of about STEP_SECONDS for a model, newest rows first. Returns the number of explained rows; 0 if nothing is left."""
    for version in sorted(model.versions, key=_registration_time, reverse=True):
        if stopping.is_set():
            return 0
        state = _current_state(store, model, version)
        if state is not None and (done := _explain_version(ExplanationWork(store, worker, model, version, state, progress, stopping))):
            return done
    return 0


def _registration_time(version: Version) -> datetime:
    """When a version was registered."""
    return version.registered_at or EPOCH


def _current_state(store: "Store", model: Model, version: Version) -> ExplanationState | None:
    """The state of a version's explanations. None if it cannot be explained. A state of another artifact or registration is dropped."""
    state = store.explanation_state(model.name, version.name, stale=True)
    if state is not None and state.holds(version) and (state.failure is None or state.code == _library_versions()):
        return state if state.failure is None or store.logs_attributions(model, version) else None
    if version.artifact is None and state is None and not store.logs_attributions(model, version):
        return None
    artifact, registered_at = explained_registration(version)
    fresh = ExplanationState(features=version.features, artifact=artifact, registered_at=registered_at)
    store.restart_attributions(model, version, fresh)
    return fresh


def _library_versions() -> str:
    """The versions of the libraries that compute explanations."""
    found = [f"form {FORM}"]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {installed(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _explain_version(work: ExplanationWork) -> int:
    """Explain the next rows of a version and write them. Returns their number; 0 if nothing is left."""
    every = _ordered_parts(work)
    waiting = [each for each in every if not each.done]
    while waiting and not work.stopping.is_set():
        now = _next_parts(waiting, work.state)
        waiting = [each for each in waiting if each not in now]
        found = _explainable_rows(work, now)
        limit = min(_rows_per_step(work.state), max(STEP_CELLS // max(len(work.version.features), 1), 1))
        complete = len(found.rows) <= limit
        found = RowsToExplain(found.rows.head(limit), found.inputs.head(limit))
        share = 1 - (len(waiting) + len(now)) / max(len(every), 1)
        work.progress(share, f"{work.model.name} {work.version.name}: {_part_words(now)}")
        written = _attribution_batch(work, found, now if complete else ())
        work.store.write_attributions(work.model, work.version, written)
        if written.batch.num_rows:
            return written.batch.num_rows
        work = replace(work, state=written.state)
        if work.state.failure and not work.store.logs_attributions(work.model, work.version):
            return 0
    return 0


def _part_words(parts: Sequence[ExplanationPart]) -> str:
    """The current parts in words."""
    if parts[0].name in (REFERENCE, ERRORS):
        return "the reference" if parts[0].name == REFERENCE else "the worst errors"
    return parts[-1].name if len(parts) == 1 else f"{parts[-1].name} to {parts[0].name}"


def _ordered_parts(work: ExplanationWork) -> list[ExplanationPart]:
    """The parts in the order of explanation: the reference, the newest days, the worst errors of the last window, the older days."""
    per_day = max(int(work.model.settings.explanations_per_day), 1)
    found = work.store.explanation_parts(work.model, work.version, per_day, REFERENCE_ROWS)
    days = [each for each in found if each.name != REFERENCE]
    errors = []
    if days and work.model.task is not None:
        errors = [work.store.explanation_errors(work.model, work.version, days[0].stream, ERROR_ROWS)]
    return [*(each for each in found if each.name == REFERENCE), *days[:RECENT_DAYS], *errors, *days[RECENT_DAYS:]]


def _rows_per_step(state: ExplanationState) -> int:
    """Number of rows of one step, estimated from the measured speed."""
    if not state.seconds or not state.rows:
        return FIRST_STEP_ROWS
    return int(np.clip(STEP_SECONDS * state.rows / state.seconds, MIN_STEP_ROWS, MAX_STEP_ROWS))


def _next_parts(waiting: Sequence[ExplanationPart], state: ExplanationState) -> list[ExplanationPart]:
    """The first part, and the following days as far as they fit into one step."""
    chosen = [waiting[0]]
    rows = min(waiting[0].rows, waiting[0].limit)
    for each in waiting[1:] if waiting[0].name not in (REFERENCE, ERRORS) else ():
        rows += min(each.rows, each.limit)
        if each.name == ERRORS or rows > _rows_per_step(state):
            break
        chosen.append(each)
    return chosen


def _explainable_rows(work: ExplanationWork, parts: Sequence[ExplanationPart]) -> RowsToExplain:
    """The rows of parts that can be explained."""
    if parts[0].name == ERRORS:
        ids = _worst_error_ids(work.store, work.model, work.version)
        found = work.store.rows_to_explain_by_id(work.model, work.version, parts[0].stream, ids)
    else:
        found = work.store.rows_to_explain(work.model, work.version, parts)
    if work.usable:
        return found
    logged = (found.rows["attributions"].notna() | found.rows["known"]).to_numpy(bool)
    return RowsToExplain(found.rows[logged].reset_index(drop=True), found.inputs[logged].reset_index(drop=True))


def _worst_error_ids(store: "Store", model: Model, version: Version) -> list[str]:
    """Ids of the ERROR_ROWS labelled predictions with the largest errors in the last week (the same window as in `check`)."""
    metric = "absolute_error" if model.task == "regression" else "log_loss"
    window, _ = check_windows.model_check_window(model, store.activity(), start=None, end=None, as_of=None, now=datetime.now(UTC))
    frame = store.rows(replace(window, version=version.name), ["id", metric], ERROR_ROWS, f"-{metric}")
    return list(frame.dropna()["id"])


def _attribution_batch(work: ExplanationWork, found: RowsToExplain, done: Sequence[ExplanationPart]) -> AttributionBatch:
    """The attributions to write, with the new state, which may hold a failure. Logged attributions are used unchanged; the others come from
    the worker.
    """
    rows, state = found.rows, work.state
    logged = (rows["attributions"].notna() & ~rows["known"]).to_numpy(bool)
    rest = ~logged & ~rows["known"].to_numpy(bool)
    parts = {each.name: (each.rows, each.limit) for each in done}
    batches: list[dict[str, list[Any]]] = []
    if logged.any():
        batch, state = _logged_attributions(work.model, work.version, rows[logged], state)
        # The rows from the worker, which come next, use the order of feature names of these rows.
        state = replace(state, rows=state.rows + len(batch["id"]))
        batches.append(batch)
    if rest.any() and work.usable:
        try:
            batch, state, whole = _computed_attributions(work, rows[rest], found.inputs[rest], state)
            state = replace(state, rows=state.rows + len(batch["id"]))
            batches.append(batch)
            parts = parts if whole else {}
        except ObservabilityError as error:
            if error.exit_code == 3 or getattr(error, "reason", "") == "start" or work.stopping.is_set():
                raise
            state, parts = replace(state, failure=str(error), code=_library_versions()), {}
    joined = {name: [value for batch in batches for value in batch[name]] for name in ATTRIBUTION_SCHEMA.names}
    known = tuple(rows.loc[rows["known"] & rows["sampled"], "id"])
    return AttributionBatch(pa.table(joined, ATTRIBUTION_SCHEMA), state, known, parts)


def _computed_attributions(
    work: ExplanationWork, rows: "DataFrame", inputs: "DataFrame", state: ExplanationState
) -> tuple[dict[str, list[Any]], ExplanationState, bool]:  # fmt: skip
    """Attributions from the worker, the new state, and whether all rows are done. False if time or memory was enough only for the first
    rows.
    """
    from observability.worker import explanation, limits, requests

    artifact = work.store.artifact(work.version)
    if artifact is None:
        raise limits.WorkerError(
            "the stored artifact is gone or was changed", where=work.version.name, attempt="Register the version again with --artifact"
        )
    background = _background_rows(work)

    def ask(some: "DataFrame") -> explanation.Explanation:
        def note(share: float, sentence: str) -> None:
            if work.stopping.is_set():
                raise InterruptedError("explaining was stopped")
            work.progress(-1.0, sentence)

        return requests.explain_scores(
            work.worker, artifact, some.reset_index(drop=True), task=work.model.task or "regression",
            classes=work.model.classes, background=background, progress=note,
        )  # fmt: skip

    whole = True
    try:
        found = ask(inputs)
    except limits.WorkerError as error:
        if error.reason not in TOO_MUCH or len(inputs) <= MIN_STEP_ROWS // 2 or work.state.rows:
            raise
        rows, inputs, whole = rows.head(MIN_STEP_ROWS // 2), inputs.head(MIN_STEP_ROWS // 2), False
        found = ask(inputs)
    place, output = _decided_outputs(rows, found.output)
    at = np.arange(len(rows))
    values, residual = (found.values, found.residual) if place is None else (found.values[at, place], found.residual[at, place])
    order = kept_attributions(state.features, found.features, values, started=state.rows > 0, features=work.version.features)
    state = replace(
        state, features=order, method=found.method, link=found.link, background=found.background,
        background_rows=found.background_rows, note=found.note, seconds=state.seconds + found.seconds, failure=None, code=None,
    )  # fmt: skip
    base = np.broadcast_to(np.asarray(found.base_value, np.float64), (len(rows),)) if place is None else np.asarray(found.base_value)[place]
    predicted = found.predictions if place is None else found.predictions[at, place]
    logged = rows["score"].to_numpy(np.float64, na_value=np.nan) if place is None else _logged_probabilities(work.model, rows, place)
    near = SCORE_TOLERANCE if work.model.classes else TOLERANCE * (np.abs(base) + np.abs(values).sum(axis=1))
    return {
        **_row_fields(rows), "class": [-1] * len(rows) if place is None else place.tolist(),
        "values": list(attributions_in_order(values, found.features, order)), "base": base.tolist(), "output": output.tolist(),
        "residual": residual.tolist(), "link": [found.link] * len(rows), "method": [found.method] * len(rows),
        "adds_up": additive_rows(values, base, residual).tolist(),
        "reproduces": [None if a != a else bool(b) for a, b in zip(logged, np.abs(predicted - logged) <= near)],
    }, state, whole  # fmt: skip


def _background_rows(work: ExplanationWork) -> "DataFrame | None":
    """Reference rows that define the average prediction, for models whose file holds no background; None without a reference."""
    references = tuple(f"feature.{name}" for name in work.version.features if work.model.column(f"feature.{name}"))
    if not work.version.reference_rows or not references:
        return None
    window = Window(work.model.name, EPOCH, EPOCH, work.version.name, environment="reference")
    frame = work.store.ask(Sample("predictions", references, BACKGROUND_ROWS), window)
    return frame.rename(columns={each: each.partition(".")[2] for each in frame.columns})


def _decided_outputs(rows: "DataFrame", output: NDArray[np.float64]) -> tuple[NDArray[np.int64] | None, NDArray[np.float64]]:
    """For multiclass, the decided class of each row (the most probable if it is unknown) and its output. Otherwise None and the output."""
    if output.ndim == 1:
        return None, output
    decision = rows["decision"].to_numpy(np.int64)
    place = np.where((decision >= 0) & (decision < output.shape[1]), decision, output.argmax(axis=1))
    return place, output[np.arange(len(rows)), place]


def _logged_probabilities(model: Model, rows: "DataFrame", place: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logged probability of one class per row, NaN if it was not logged."""
    found = [stored_json(text) if isinstance(text, str) else {} for text in rows["probabilities"]]
    return np.array([_json_number(each.get(model.classes[int(k)])) for each, k in zip(found, place)])


def _json_number(value: object) -> float:
    """A number from JSON; NaN if it is not a number (`"NaN"` and infinities are texts in JSON)."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def _logged_attributions(
    model: Model, version: Version, rows: "DataFrame", state: ExplanationState
) -> tuple[dict[str, list[Any]], ExplanationState]:
    """The logged attributions, checked against the logged score on the scale of their link. A feature without a logged value gets 0."""
    links = [link if isinstance(link, str) else "identity" for link in rows["attributions_link"]]
    bodies = [stored_json(text) for text in rows["attributions"]]
    bases: list[Any] = [stored_json(text) if isinstance(text, str) else None for text in rows["base_value"]]
    places = np.full(len(rows), -1, np.int64)
    scores = rows["score"].to_numpy(np.float64, na_value=np.nan)
    if model.task == "multiclass" and model.classes:
        decision = rows["decision"].to_numpy(np.int64)
        places = np.where((decision >= 0) & (decision < len(model.classes)), decision, 0)
        names = [model.classes[int(k)] for k in places]
        bodies = [part if isinstance(part := each.get(name), dict) else {} for each, name in zip(bodies, names)]
        bases = [each.get(name) if isinstance(each, dict) else each for each, name in zip(bases, names)]
        scores = _logged_probabilities(model, rows, places)
    names = list(dict.fromkeys(name for each in bodies for name in each))
    values = np.array([[_json_number(each.get(name, 0.0)) for name in names] for each in bodies]).reshape(len(rows), len(names))
    features = kept_attributions(state.features, names, np.nan_to_num(values), started=state.rows > 0, features=version.features)
    base = np.array([_json_number(each) for each in bases])
    total = base + values.sum(axis=1)
    by_link = {link: (apply_inverse_link(total, link), apply_link(scores, link)) for link in set(links)}
    at = range(len(rows))
    implied = np.array([by_link[link][0][i] for i, link in zip(at, links)])
    output = np.array([by_link[link][1][i] for i, link in zip(at, links)])
    with np.errstate(invalid="ignore"):
        residual = output - total
        near = np.abs(implied - scores) <= SCORE_TOLERANCE if model.classes else np.zeros(len(rows), bool)
    state = replace(state, features=features, method=state.method or LOGGED, link=state.link or links[0])
    kept = list(attributions_in_order(np.nan_to_num(values), names, features))
    return {
        **_row_fields(rows), "class": places.tolist(), "values": kept, "base": base.tolist(),
        "output": _finite_list(output), "residual": _finite_list(residual), "link": links, "method": [LOGGED] * len(rows),
        "adds_up": (np.isfinite(total) & (near | additive_rows(values, base, residual))).tolist(), "reproduces": [None] * len(rows),
    }, state  # fmt: skip


def _finite_list(numbers: NDArray[np.float64]) -> list[float | None]:
    """The numbers as a list, with None for numbers that are not finite."""
    return [float(each) if np.isfinite(each) else None for each in numbers]


def _row_fields(rows: "DataFrame") -> dict[str, list[Any]]:
    """The fields that every row of attributions has."""
    return {"stream": rows["stream"].tolist(), "id": rows["id"].tolist(), "sampled": rows["sampled"].tolist()}
