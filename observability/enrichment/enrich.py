"""Enriches stored predictions after loading, with explanations (SHAP) and estimates of errors whose labels are not known yet.

Each of JOBS is a function `(store, worker, model, progress, stopping) -> rows`, which does one bounded step for one model, newest rows
first. It returns 0 if nothing is left. The dashboard runs the jobs in a low-priority thread while the loader is idle
(OBSERVABILITY_ENRICH=off disables it). The command `explain` and the button of the explanations page run them at once. Heavy work runs in
the worker process; rows are written in small transactions.
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
from observability.enrichment.schedule_log import ScheduleLog

if TYPE_CHECKING:
    from observability.store.engine import Store
    from observability.worker.process import Worker

LOG = logging.getLogger(__name__)
Job = Callable[["Store", "Worker", Model, Progress, threading.Event], int]
SWITCH = "OBSERVABILITY_ENRICH"
FIRST_WAIT, PAUSE, IDLE, AFTER_FAILURE = 15.0, 1.0, 5.0, 120.0
"""Seconds that the thread waits: before its first step; at least between two steps; between two searches for new rows; after a failure."""
NICENESS = 10
WORKING = threading.Lock()
"""Lock with which only one step runs at a time in this process."""


@dataclass
class TimedJob:
    """A job that measures the duration of its last step, without the wait for another step."""

    job: Job
    seconds: float = 0.0

    def __call__(self, store: "Store", worker: "Worker", model: Model, progress: Progress, stopping: threading.Event) -> int:
        """Run one step, store its duration in `seconds`, and return what the job returns."""
        began = time.monotonic()
        try:
            return self.job(store, worker, model, progress, stopping)
        finally:
            self.seconds = time.monotonic() - began


def estimate_errors(store: "Store", worker: "Worker", model: Model, progress: Progress, stopping: threading.Event) -> int:
    """Run a step of direct loss estimation (expected_errors.py), which is imported only when the step runs."""
    from observability.enrichment.expected_errors import estimate_expected_errors as step

    return step(store, worker, model, progress, stopping)


JOBS: tuple[Job, ...] = (explain_rows, estimate_errors)


@dataclass
class EnrichmentState:
    """The state of the thread, for pages: the current model, the share done (0 to 1), a sentence about the step, and the last failure.

    turn: the job and the model of the last step.
    """

    busy: bool = False
    model: str | None = None
    share: float = 0.0
    sentence: str = ""
    failure: str | None = None
    turn: tuple[str, str] | None = None


@dataclass
class EnrichmentResult:
    """The number of enriched rows by model, the reason of a failed job by model, and whether the time ended before the work."""

    rows: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    unfinished: bool = False


def enrich_models(
    store: "Store", model: str | None = None, progress: Progress | None = None, *, jobs: tuple[Job, ...] | None = None,
    worker: "Worker | None" = None, stopping: threading.Event | None = None, seconds: float | None = None,
) -> EnrichmentResult:  # fmt: skip
    """Run every job until nothing is left, for one model or for all models. A job that fails for a model is skipped for that model only.

    seconds: no step begins later than this after the start. Only the first step that has work always runs, so that repeated calls come to
    an end. progress: called with the share of a model that is done (-1 within a step) and a sentence. Raises NotFoundError for an unknown
    model.
    """
    models = [store.catalog().model(model)] if model else list(store.catalog().models)
    done, halt, begun = EnrichmentResult(), stopping or threading.Event(), time.monotonic()
    for each in models:
        for job in JOBS if jobs is None else jobs:
            try:
                while not halt.is_set() and (rows := enrichment_step(store, job, each.name, progress or no_progress, halt, worker)):
                    done.rows[each.name] = done.rows.get(each.name, 0) + rows
                    if seconds is not None and time.monotonic() - begun >= seconds:
                        done.unfinished = True
                        return done
            except Exception as error:
                LOG.warning("%s of %s failed: %s", _job_name(job), each.name, error)
                done.failures[each.name] = _failure_words(error)
    return done


def enrichment_step(
    store: "Store", job: Job, model: str, progress: Progress, stopping: threading.Event, worker: "Worker | None" = None
) -> int:  # fmt: skip
    """Run one step of one job. No other step runs in this process at the same time. Returns the number of rows; 0 also if the model was
    removed.
    """
    from observability.worker.process import warm_worker

    with WORKING:
        known = next((each for each in store.catalog().models if each.name == model), None)
        return 0 if known is None else job(store, worker or warm_worker(), known, progress, stopping)


def no_progress(share: float, sentence: str) -> None:
    """A progress callback that does nothing."""


def _failure_words(error: Exception) -> str:
    """The failure as a sentence."""
    return str(error) if isinstance(error, ObservabilityError) else f"{type(error).__name__}: {error}"


def run_enrichment_thread(store: "Store", state: EnrichmentState, stopping: threading.Event, *, first_wait: float = FIRST_WAIT) -> None:
    """The body of the enrichment thread. It runs one step at a time in the order of the scheduler, while the loader is idle. It searches
    for work again when the store has changed.

    The thread has its own worker with low priority, so users' requests never wait for a step (decision 0032).
    """
    from observability.worker.process import Worker

    _lower_priority()
    worker = Worker()
    try:
        _run_rounds(store, worker, state, stopping, first_wait)
    finally:
        worker.close()


def _run_rounds(store: "Store", worker: "Worker", state: EnrichmentState, stopping: threading.Event, first_wait: float) -> None:
    """Run steps until the thread is stopped."""
    schedule = ScheduleLog()
    try:
        _run_scheduled(store, worker, state, stopping, first_wait, schedule)
    finally:
        schedule.stored(store)


def _run_scheduled(
    store: "Store", worker: "Worker", state: EnrichmentState, stopping: threading.Event, first_wait: float, schedule: ScheduleLog
) -> None:
    """Run steps in the order of a schedule until the thread is stopped. The decisions of the schedule are stored when no work is left."""
    pause, finished = first_wait, -1
    failed: set[tuple[str, str]] = set()
    while not stopping.wait(pause):
        pause = IDLE
        if store.generation == finished or store.loading.locked():
            continue
        began, generation = time.monotonic(), store.generation
        try:
            with store.in_background():
                worked = enrichment_round(store, worker, state, stopping, failed, schedule)
                if not worked:
                    schedule.stored(store)
        except Exception as error:
            state.failure = _failure_words(error)
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


def enrichment_round(
    store: "Store",
    worker: "Worker",
    state: EnrichmentState,
    stopping: threading.Event,
    failed: set[tuple[str, str]],
    schedule: ScheduleLog | None = None,
) -> bool:
    """Run the next step. Returns False if nothing is left. Jobs and models alternate, so that the newest days of all of them are done
    before older days. A schedule may instead order the steps by their predicted time (step_schedule.py). Failed jobs are kept in `failed`
    and left out.
    """
    steps = _steps_after([(_job_name(job), job, model.name) for job in JOBS for model in store.catalog().models], state.turn)
    jobs = {(name, model): job for name, job, model in steps if (model, name) not in failed}
    decided = schedule.scheduled(store, list(jobs)) if schedule else None
    for name, model in decided.order if decided else jobs:
        if stopping.is_set():
            continue

        def note(share: float, sentence: str, about: str = model) -> None:
            state.busy, state.model, state.sentence = True, about, sentence
            state.share = share if share >= 0 else state.share

        timed = TimedJob(jobs[name, model])
        try:
            if enrichment_step(store, timed, model, note, stopping, worker):
                state.turn = (name, model)
                if schedule and decided:
                    schedule.ran(store, decided, (name, model), timed.seconds)
                return True
            if schedule:
                schedule.idle.add((name, model))
        except Exception as error:
            if stopping.is_set():
                return False
            LOG.warning("%s of %s failed: %s", name, model, error)
            state.failure = f"{model}: {_failure_words(error)}"
            failed.add((model, name))
    return False


def _job_name(job: Job) -> str:
    """The name of a job."""
    return getattr(job, "__name__", str(job))


def _steps_after(steps: list[tuple[str, Job, str]], turn: tuple[str, str] | None) -> list[tuple[str, Job, str]]:
    """The steps in rotation, beginning after the step `turn`, which ran last."""
    place = next((place + 1 for place, (name, _, model) in enumerate(steps) if (name, model) == turn), 0)
    return [*steps[place:], *steps[:place]]


def _lower_priority() -> None:
    """Lower this thread's priority if the system supports it (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except (AttributeError, OSError):
        LOG.debug("the priority of the thread stays as it is")
