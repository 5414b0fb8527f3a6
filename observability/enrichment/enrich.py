"""What is added to the stored predictions beside loading, and who does it? Explanations (SHAP), and estimates of errors that have no label yet.

Each of JOBS does one bounded step for one model, newest first: `(store, worker, model, progress, stopping) -> rows`; 0 says that nothing is left.
The dashboard works through them in a thread of low priority when the loader is idle (OBSERVABILITY_ENRICH=off keeps it from that); the command `explain`
and the button of the explanations page do the same at once. Heavy work is done in the worker process, rows are written in small transactions.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.enrichment.explanations import Progress, explain_rows

if TYPE_CHECKING:
    from observability.store.db.database import Store
    from observability.worker.process import Worker

LOG = logging.getLogger(__name__)
Job = Callable[["Store", "Worker", Model, Progress, threading.Event], int]
SWITCH = "OBSERVABILITY_ENRICH"
FIRST_WAIT, PAUSE, IDLE, AFTER_FAILURE = 15.0, 1.0, 5.0, 120.0
"""Seconds before the first step of the thread, at least between two steps, between two looks for new rows, and after a failure."""
NICENESS = 10
WORKING = threading.Lock()
"""One step at a time in this process, whoever asks."""


def estimate_errors(store: "Store", worker: "Worker", model: Model, progress: Progress, stopping: threading.Event) -> int:
    """Direct loss estimation (observability/enrichment/expected_errors.py); imported when it is its turn."""
    from observability.enrichment.expected_errors import estimate_errors as step

    return step(store, worker, model, progress, stopping)


JOBS: tuple[Job, ...] = (explain_rows, estimate_errors)


@dataclass
class EnrichState:
    """What the thread is doing, for the pages: the model, how much of it is done (0 to 1), a sentence about the step, the last failure in words.

    turn: the job and the model whose step was the last one.
    """

    busy: bool = False
    model: str | None = None
    share: float = 0.0
    sentence: str = ""
    failure: str | None = None
    turn: tuple[str, str] | None = None


@dataclass
class Enriched:
    """What was done: rows by model; jobs that failed, in words, by model."""

    rows: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def enrich(
    store: "Store", model: str | None = None, progress: Progress | None = None, *, jobs: tuple[Job, ...] | None = None,
    worker: "Worker | None" = None, stopping: threading.Event | None = None,
) -> Enriched:  # fmt: skip
    """Works through every job until nothing is left, for one model or for all. A job that fails ends for that model and stops nothing else.

    progress: called with the share of a model that is done (-1 within a step) and a sentence. Raises NotFoundError for an unknown model.
    """
    models = [store.catalog().model(model)] if model else list(store.catalog().models)
    done, halt = Enriched(), stopping or threading.Event()
    for each in models:
        for job in JOBS if jobs is None else jobs:
            try:
                while not halt.is_set() and (rows := one_step(store, job, each.name, progress or silent, halt, worker)):
                    done.rows[each.name] = done.rows.get(each.name, 0) + rows
            except Exception as error:
                LOG.warning("%s of %s failed: %s", named(job), each.name, error)
                done.failures[each.name] = in_words(error)
    return done


def one_step(
    store: "Store", job: Job, model: str, progress: Progress, stopping: threading.Event, worker: "Worker | None" = None
) -> int:  # fmt: skip
    """One step of one job, alone in this process. 0 too where the model has been removed."""
    from observability.worker.process import shared

    with WORKING:
        known = next((each for each in store.catalog().models if each.name == model), None)
        return 0 if known is None else job(store, worker or shared(), known, progress, stopping)


def silent(share: float, sentence: str) -> None:
    """Progress that nobody looks at."""


def in_words(error: Exception) -> str:
    """A failure for a person."""
    return str(error) if isinstance(error, ObservabilityError) else f"{type(error).__name__}: {error}"


def switched_off() -> bool:
    """Whether the environment keeps the thread from running."""
    return os.environ.get(SWITCH, "on").strip().lower() in ("off", "0", "no", "false")


def in_background(store: "Store", state: EnrichState, stopping: threading.Event, *, first_wait: float = FIRST_WAIT) -> None:
    """The thread: a step at a time, round about the models, while the loader is idle; it looks again when the store has changed.

    Its models run in a worker of its own, of the same low priority: what a person asks of a model never waits for a step (decision 0032).
    """
    from observability.worker.process import Worker

    yield_to_others()
    worker = Worker()
    try:
        in_turn(store, worker, state, stopping, first_wait)
    finally:
        worker.close()


def in_turn(store: "Store", worker: "Worker", state: EnrichState, stopping: threading.Event, first_wait: float) -> None:
    """What the thread does until it is stopped."""
    pause, finished = first_wait, -1
    failed: set[tuple[str, str]] = set()
    while not stopping.wait(pause):
        pause = IDLE
        if store.generation == finished or store.loading.locked():
            continue
        began, generation = time.monotonic(), store.generation
        try:
            with store.in_background():
                worked = one_round(store, worker, state, stopping, failed)
        except Exception as error:
            state.failure = in_words(error)
            LOG.exception("enriching failed")
            pause = AFTER_FAILURE
            continue
        finally:
            state.busy = False
        if worked:
            pause = max(PAUSE, time.monotonic() - began)
        else:
            finished = generation if not failed else -1
            pause = AFTER_FAILURE if failed else IDLE
            state.failure = state.failure if failed else None
            failed.clear()


def one_round(store: "Store", worker: "Worker", state: EnrichState, stopping: threading.Event, failed: set[tuple[str, str]]) -> bool:
    """The next step that there is; False where nothing is left. Jobs and models take turns, so that the newest days of each come before the old ones
    of any. Jobs that failed are left out and kept in `failed`.
    """
    for name, job, model in after([(named(job), job, model.name) for job in JOBS for model in store.catalog().models], state.turn):
        if stopping.is_set() or (model, name) in failed:
            continue

        def note(share: float, sentence: str, about: str = model) -> None:
            state.busy, state.model, state.sentence = True, about, sentence
            state.share = share if share >= 0 else state.share

        try:
            if one_step(store, job, model, note, stopping, worker):
                state.turn = (name, model)
                return True
        except Exception as error:
            if stopping.is_set():
                return False
            LOG.warning("%s of %s failed: %s", name, model, error)
            state.failure = f"{model}: {in_words(error)}"
            failed.add((model, name))
    return False


def named(job: Job) -> str:
    """What a job is called."""
    return getattr(job, "__name__", str(job))


def after(steps: list[tuple[str, Job, str]], turn: tuple[str, str] | None) -> list[tuple[str, Job, str]]:
    """The steps in their order, beginning behind the last turn."""
    place = next((place + 1 for place, (name, _, model) in enumerate(steps) if (name, model) == turn), 0)
    return [*steps[place:], *steps[:place]]


def yield_to_others() -> None:
    """Lowers this thread's priority, where the system has priorities for threads (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except (AttributeError, OSError):
        LOG.debug("the priority of the thread stays as it is")
