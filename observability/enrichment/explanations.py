"""Why did the predictions get their scores? Explains, step by step, a bounded sample of each day, of the reference, and the worst errors.

Attributions that came with a prediction are used as they are; others are computed from the version's artifact in the worker. An artifact that crashes,
hangs or eats memory costs its own explanation only: the failure is kept with the version, and tried again when the artifact or a library changes.
"""

import json
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
from observability.core.questions import Sample
from observability.core.window import EPOCH, Window
from observability.monitoring import check
from observability.stats.attribution import SCORE_TOLERANCE, TOLERANCE, adds_up, output_of, score_of
from observability.store.query import attribution_plan, attributions, listing
from observability.store.query.attribution_plan import ERRORS, REFERENCE, Candidates, Part
from observability.store.query.attributions import BATCH, LOGGED, State, Written, identity
from observability.store.registry.artifacts import intact, stored

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store
    from observability.worker.process import Worker

Progress = Callable[[float, str], None]
REFERENCE_ROWS, ERROR_ROWS, BACKGROUND_ROWS = 1000, 500, 100
FEWEST, MOST, FIRST = 100, 5000, 500
"""Rows of one step: at least, at most, and while it is not known how fast the model is explained."""
STEP_SECONDS = 5.0
RECENT_DAYS = 7
"""Days that come before the worst errors."""
LIBRARIES = ("observability-dashboard", "shap", "lightgbm", "xgboost-cpu", "xgboost", "scikit-learn", "skops", "onnxruntime")
FORM = 1
"""Grows with a change of how explanations are made or kept, so that failures are tried again."""
TOO_MUCH = ("time", "memory")


@dataclass(frozen=True)
class Work:
    """One version and what explaining it needs."""

    store: "Store"
    worker: "Worker"
    model: Model
    version: Version
    state: State
    progress: Progress
    stopping: threading.Event

    @property
    def usable(self) -> bool:
        """Whether there is an artifact that has not failed."""
        return self.version.artifact is not None and self.state.failure is None


def explain_rows(store: "Store", worker: "Worker", model: Model, progress: Progress, stopping: threading.Event) -> int:
    """One step for a model: the newest of what is still to be explained, in about STEP_SECONDS. Gives how many rows it explained; 0: nothing is left."""
    for version in sorted(model.versions, key=age, reverse=True):
        if stopping.is_set():
            return 0
        state = state_for(store, model, version)
        if state is not None and (done := step(Work(store, worker, model, version, state, progress, stopping))):
            return done
    return 0


def age(version: Version) -> datetime:
    """When a version was registered."""
    return version.registered_at or EPOCH


def state_for(store: "Store", model: Model, version: Version) -> State | None:
    """Where a version stands; None where it cannot be explained. What was kept for another artifact or registration is dropped."""
    from observability.store.query.source import snapshot

    with snapshot(store) as cursor:
        state = attributions.read_state(cursor, model, version.name)
    if state is not None and state.holds(version) and (state.failure is None or state.code == code()):
        return state if state.failure is None or attribution_plan.logs_attributions(store, model, version) else None
    if version.artifact is None and state is None and not attribution_plan.logs_attributions(store, model, version):
        return None
    artifact, registered_at = identity(version)
    fresh = State(features=version.features, artifact=artifact, registered_at=registered_at)
    attributions.restart(store, model, version, fresh)
    return fresh


def code() -> str:
    """The versions of what explains."""
    found = [f"form {FORM}"]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {installed(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def step(work: Work) -> int:
    """Explains the next rows of a version and writes them; 0 where nothing is left."""
    every = parts_of(work)
    waiting = [each for each in every if not each.done]
    while waiting and not work.stopping.is_set():
        now = next_parts(waiting, work.state)
        waiting = [each for each in waiting if each not in now]
        found = rows_of(work, now)
        limit = step_rows(work.state)
        complete = len(found.rows) <= limit
        found = Candidates(found.rows.head(limit), found.inputs.head(limit))
        share = 1 - (len(waiting) + len(now)) / max(len(every), 1)
        work.progress(share, f"{work.model.name} {work.version.name}: {words(now)}")
        written = explained(work, found, now if complete else ())
        attributions.put(work.store, work.model, work.version, written)
        if written.batch.num_rows:
            return written.batch.num_rows
        work = replace(work, state=written.state)
        if work.state.failure and not attribution_plan.logs_attributions(work.store, work.model, work.version):
            return 0
    return 0


def words(parts: Sequence[Part]) -> str:
    """What is explained now, for a person."""
    if parts[0].name in (REFERENCE, ERRORS):
        return "the reference" if parts[0].name == REFERENCE else "the worst errors"
    return parts[-1].name if len(parts) == 1 else f"{parts[-1].name} to {parts[0].name}"


def parts_of(work: Work) -> list[Part]:
    """The reference, the newest days, the worst errors of the last window, the older days."""
    per_day = max(int(work.model.settings.explanations_per_day), 1)
    found = attribution_plan.parts_of(work.store, work.model, work.version, per_day, REFERENCE_ROWS)
    days = [each for each in found if each.name != REFERENCE]
    errors = []
    if days and work.model.task is not None:
        errors = [attribution_plan.errors_part(work.store, work.model, work.version, days[0].stream, ERROR_ROWS)]
    return [*(each for each in found if each.name == REFERENCE), *days[:RECENT_DAYS], *errors, *days[RECENT_DAYS:]]


def step_rows(state: State) -> int:
    """How many rows one step takes, by how fast the version was explained so far."""
    if not state.seconds or not state.rows:
        return FIRST
    return int(np.clip(STEP_SECONDS * state.rows / state.seconds, FEWEST, MOST))


def next_parts(waiting: Sequence[Part], state: State) -> list[Part]:
    """The first part, with the days that follow it as long as they fit into a step."""
    chosen = [waiting[0]]
    rows = min(waiting[0].rows, waiting[0].limit)
    for each in waiting[1:] if waiting[0].name not in (REFERENCE, ERRORS) else ():
        rows += min(each.rows, each.limit)
        if each.name == ERRORS or rows > step_rows(state):
            break
        chosen.append(each)
    return chosen


def rows_of(work: Work, parts: Sequence[Part]) -> Candidates:
    """The rows of parts that are not stored yet and can be explained."""
    if parts[0].name == ERRORS:
        ids = worst_errors(work.store, work.model, work.version)
        found = attribution_plan.named_rows(work.store, work.model, work.version, parts[0].stream, ids)
    else:
        found = attribution_plan.sampled_rows(work.store, work.model, work.version, parts)
    if work.usable:
        return found
    logged = (found.rows["attributions"].notna() | found.rows["known"]).to_numpy(bool)
    return Candidates(found.rows[logged].reset_index(drop=True), found.inputs[logged].reset_index(drop=True))


def worst_errors(store: "Store", model: Model, version: Version) -> list[str]:
    """Ids of the ERROR_ROWS labelled predictions of the last week (as `check` takes it) that were most wrong."""
    metric = "absolute_error" if model.task == "regression" else "log_loss"
    window, _ = check.window_of(model, listing.activity(store), start=None, end=None, as_of=None, now=datetime.now(UTC))
    frame = listing.rows(store, replace(window, version=version.name), ["id", metric], ERROR_ROWS, f"-{metric}")
    return list(frame.dropna()["id"])


def explained(work: Work, found: Candidates, done: Sequence[Part]) -> Written:
    """The rows of one batch as they are written: logged attributions as they came, others from the worker; or the failure."""
    rows, state = found.rows, work.state
    logged = (rows["attributions"].notna() & ~rows["known"]).to_numpy(bool)
    rest = ~logged & ~rows["known"].to_numpy(bool)
    parts = {each.name: (each.rows, each.limit) for each in done}
    batches: list[dict[str, list[Any]]] = []
    if logged.any():
        batch, state = of_log(work.model, rows[logged], state)
        batches.append(batch)
    if rest.any() and work.usable:
        try:
            batch, state, whole = of_artifact(work, rows[rest], found.inputs[rest], state)
            batches.append(batch)
            parts = parts if whole else {}
        except ObservabilityError as error:
            if error.exit_code == 3 or getattr(error, "reason", "") == "start" or work.stopping.is_set():
                raise
            state, parts = replace(state, failure=str(error), code=code()), {}
    joined = {name: [value for batch in batches for value in batch[name]] for name in BATCH.names}
    state = replace(state, rows=state.rows + len(joined["id"]))
    known = tuple(rows.loc[rows["known"] & rows["sampled"], "id"])
    return Written(pa.table(joined, BATCH), state, known, parts)


def of_artifact(
    work: Work, rows: "DataFrame", inputs: "DataFrame", state: State
) -> tuple[dict[str, list[Any]], State, bool]:  # fmt: skip
    """Attributions from the worker; False where only the first rows could be explained in the time and memory that there is."""
    from observability.worker import explanation, limits, requests

    artifact = stored(work.version.artifact)
    if artifact is None or not intact(work.store.home, artifact):
        raise limits.WorkerError(
            "the stored artifact is gone or was changed", where=work.version.name, attempt="Register the version again with --artifact"
        )
    background = background_of(work)

    def ask(some: "DataFrame") -> explanation.Explanation:
        def note(share: float, sentence: str) -> None:
            if work.stopping.is_set():
                raise InterruptedError("explaining was stopped")
            work.progress(-1.0, sentence)

        return requests.explain(
            work.worker, artifact.file(work.store.home), some.reset_index(drop=True), task=work.model.task or "regression",
            classes=work.model.classes, background=background, progress=note,
        )  # fmt: skip

    whole = True
    try:
        found = ask(inputs)
    except limits.WorkerError as error:
        if error.reason not in TOO_MUCH or len(inputs) <= FEWEST // 2 or state.rows:
            raise
        rows, inputs, whole = rows.head(FEWEST // 2), inputs.head(FEWEST // 2), False
        found = ask(inputs)
    state = replace(
        state, features=merged(state.features, found.features), method=found.method, link=found.link, background=found.background,
        background_rows=found.background_rows, note=found.note, seconds=state.seconds + found.seconds, failure=None, code=None,
    )  # fmt: skip
    place, output = decided(rows, found.output)
    at = np.arange(len(rows))
    values, residual = (found.values, found.residual) if place is None else (found.values[at, place], found.residual[at, place])
    base = np.broadcast_to(np.asarray(found.base_value, np.float64), (len(rows),)) if place is None else np.asarray(found.base_value)[place]
    predicted = found.predictions if place is None else found.predictions[at, place]
    logged = rows["score"].to_numpy(np.float64, na_value=np.nan) if place is None else probabilities(work.model, rows, place)
    near = SCORE_TOLERANCE if work.model.classes else TOLERANCE * (np.abs(base) + np.abs(values).sum(axis=1))
    return {
        **plain(rows), "class": [-1] * len(rows) if place is None else place.tolist(),
        "values": list(ordered(values, found.features, state.features)), "base": base.tolist(), "output": output.tolist(),
        "residual": residual.tolist(), "link": [found.link] * len(rows), "method": [found.method] * len(rows),
        "adds_up": adds_up(values, base, residual).tolist(),
        "reproduces": [None if a != a else bool(b) for a, b in zip(logged, np.abs(predicted - logged) <= near)],
    }, state, whole  # fmt: skip


def background_of(work: Work) -> "DataFrame | None":
    """Rows of the reference that "on average" means for models whose file does not hold it; None where there is no reference."""
    references = tuple(f"feature.{name}" for name in work.version.features if work.model.column(f"feature.{name}"))
    if not work.version.reference_rows or not references:
        return None
    window = Window(work.model.name, EPOCH, EPOCH, work.version.name, environment="reference")
    frame = listing.sample(work.store, Sample("predictions", references, BACKGROUND_ROWS), window)
    return frame.rename(columns={each: each.partition(".")[2] for each in frame.columns})


def decided(rows: "DataFrame", output: NDArray[np.float64]) -> tuple[NDArray[np.int64] | None, NDArray[np.float64]]:
    """Multiclass: the class that was decided (the most probable where that is not known) and its output. Else None and the output."""
    if output.ndim == 1:
        return None, output
    decision = rows["decision"].to_numpy(np.int64)
    place = np.where((decision >= 0) & (decision < output.shape[1]), decision, output.argmax(axis=1))
    return place, output[np.arange(len(rows)), place]


def probabilities(model: Model, rows: "DataFrame", place: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logged probability of one class of each row, NaN where it was not logged."""
    found = [json.loads(text) if isinstance(text, str) else {} for text in rows["probabilities"]]
    return np.array([number_of(each.get(model.classes[int(k)])) for each, k in zip(found, place)])


def number_of(value: object) -> float:
    """A number from JSON, NaN where it is none (`"NaN"` and infinities stand as texts there)."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def of_log(model: Model, rows: "DataFrame", state: State) -> tuple[dict[str, list[Any]], State]:
    """Attributions as they were logged, held against the logged score in their own space. A feature that is not named has none: 0."""
    links = [link if isinstance(link, str) else "identity" for link in rows["attributions_link"]]
    bodies = [json.loads(text) for text in rows["attributions"]]
    bases: list[Any] = [json.loads(text) if isinstance(text, str) else None for text in rows["base_value"]]
    places = np.full(len(rows), -1, np.int64)
    scores = rows["score"].to_numpy(np.float64, na_value=np.nan)
    if model.task == "multiclass" and model.classes:
        decision = rows["decision"].to_numpy(np.int64)
        places = np.where((decision >= 0) & (decision < len(model.classes)), decision, 0)
        names = [model.classes[int(k)] for k in places]
        bodies = [part if isinstance(part := each.get(name), dict) else {} for each, name in zip(bodies, names)]
        bases = [each.get(name) if isinstance(each, dict) else each for each, name in zip(bases, names)]
        scores = probabilities(model, rows, places)
    features = merged(state.features, list(dict.fromkeys(name for each in bodies for name in each)))
    values = np.array([[number_of(each.get(name, 0.0)) for name in features] for each in bodies]).reshape(len(rows), len(features))
    base = np.array([number_of(each) for each in bases])
    total = base + values.sum(axis=1)
    by_link = {link: (score_of(total, link), output_of(scores, link)) for link in set(links)}
    at = range(len(rows))
    implied = np.array([by_link[link][0][i] for i, link in zip(at, links)])
    output = np.array([by_link[link][1][i] for i, link in zip(at, links)])
    with np.errstate(invalid="ignore"):
        residual = output - total
        near = np.abs(implied - scores) <= SCORE_TOLERANCE if model.classes else np.zeros(len(rows), bool)
    state = replace(state, features=features, method=state.method or LOGGED, link=state.link or links[0])
    return {
        **plain(rows), "class": places.tolist(), "values": [np.nan_to_num(each) for each in values], "base": base.tolist(),
        "output": finite(output), "residual": finite(residual), "link": links, "method": [LOGGED] * len(rows),
        "adds_up": (np.isfinite(total) & (near | adds_up(values, base, residual))).tolist(), "reproduces": [None] * len(rows),
    }, state  # fmt: skip


def finite(numbers: NDArray[np.float64]) -> list[float | None]:
    """Numbers, None for those that are not finite."""
    return [float(each) if np.isfinite(each) else None for each in numbers]


def plain(rows: "DataFrame") -> dict[str, list[Any]]:
    """What every row carries along."""
    return {"stream": rows["stream"].tolist(), "id": rows["id"].tolist(), "sampled": rows["sampled"].tolist()}


def merged(known: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """The order of the stored values with new names at its end: rows that were stored before stay right."""
    return tuple(dict.fromkeys([*known, *more]))


def ordered(values: NDArray[np.float64], names: Sequence[str], order: Sequence[str]) -> NDArray[np.float64]:
    """Attributions (rows, features) in the stored order; 0 for features that the model does not use."""
    found = np.zeros((len(values), len(order)))
    for place, name in enumerate(names):
        found[:, list(order).index(name)] = values[:, place]
    return found
