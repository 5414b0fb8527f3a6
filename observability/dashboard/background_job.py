"""Jobs that pages start in the background. A slot runs one job at a time, for the whole dashboard, in a separate thread; further jobs may
wait in a queue. Anyone can see and cancel a job about a model that they may see.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard.frame import answer_or_stop
from observability.dashboard.sign_in import require_owner, role_allows

Note = Callable[[float, str], None]
HIDDEN_JOB = "A job about another model"
"""The title of a job for people who may not see its model."""


class JobCancelled(Exception):  # noqa: N818 - no error: somebody wanted it
    """Raised inside a job that a person cancelled."""


@dataclass
class BackgroundJob:
    """One run of a job. choice, title: what the person chose, as a value and in words. work: does the job and returns the result. share,
    words: the progress. model: the model that the job is about; None if it is not about one model.

    failure: why the job ended without a result; None while it runs, and if it succeeded.
    """

    choice: Hashable
    title: str
    work: Callable[[Note], Any]
    model: str | None = None
    began: float = field(default_factory=time.monotonic)
    share: float = 0.0
    words: str = "starting"
    failure: str | None = None
    done: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def note(self, share: float, words: str) -> None:
        """Update the progress. Raises JobCancelled after a cancellation."""
        if self.stop.is_set():
            raise JobCancelled
        self.share, self.words = share, words

    @property
    def is_visible(self) -> bool:
        """Whether the person who is signed in may see the model that the job is about."""
        return self.model is None or role_allows("read", self.model)

    def cancel(self) -> None:
        """Cancel this job at its next progress report. Does nothing if the job has ended, even if another job runs by then."""
        self.stop.set()


class JobSlot:
    """Runs the jobs of one kind, one at a time. The last results are stored, so that a link to a result shows it at once.

    name: the name of its threads. cancelled: the message after a cancellation; failed: the words before the error of a failure. kept:
    maximum number of stored results. line: maximum number of jobs in the queue.
    """

    def __init__(self, name: str, *, cancelled: str, failed: str, kept: int = 0, line: int = 0) -> None:
        self.name, self.cancelled, self.failed, self.kept, self.line = name, cancelled, failed, kept, line
        self.lock = threading.Lock()
        self.job: BackgroundJob | None = None
        self.waiting: list[BackgroundJob] = []
        self.failures: OrderedDict[Hashable, str] = OrderedDict()
        self.results: OrderedDict[Hashable, Any] = OrderedDict()

    def current(self) -> BackgroundJob | None:
        """The running job, or the last job if it failed; else None."""
        return self.job if self.job is not None and (not self.job.done or self.job.failure) else None

    def result(self, choice: Hashable) -> Any:
        """The result of a choice; None if it did not run or is no longer stored."""
        return self.results.get(choice)

    def failure(self, choice: Hashable) -> str | None:
        """Why the last run of a choice ended without a result; None if it had a result, is running again, or is no longer known."""
        return self.failures.get(choice)

    def place(self, choice: Hashable) -> int | None:
        """The place of a choice in the queue: 0 if it runs, 1 or more if it waits, None if it is not in the queue."""
        with self.lock:
            here = [] if self.job is None or self.job.done else [self.job]
            return next((place for place, job in enumerate([*here, *self.waiting]) if job.choice == choice), None)

    def start(self, choice: Hashable, title: str, work: Callable[[Note], Any], *, model: str | None = None) -> bool:
        """Start a job, or put it into the queue behind the running job; False if the queue is full or already contains this choice. work:
        does the job, reports its progress and returns the result. model: people who may not see this model do not see the job. If this
        process only reads the store, an error stops the page: work that takes minutes must be done in the process that owns the store.
        """
        answer_or_stop(require_owner)
        with self.lock:
            if self.job is not None and not self.job.done:
                if len(self.waiting) >= self.line or choice in [job.choice for job in (self.job, *self.waiting)]:
                    return False
                self.waiting.append(BackgroundJob(choice, title, work, model))
            else:
                self._begin(BackgroundJob(choice, title, work, model))
            return True

    def _begin(self, job: BackgroundJob) -> None:
        """Run a job in a separate thread. The caller holds the lock."""
        self.job, job.began = job, time.monotonic()
        self.failures.pop(job.choice, None)
        threading.Thread(target=self._run, args=(job,), name=self.name, daemon=True).start()

    def leave(self, choice: Hashable) -> None:
        """Take a choice out of the queue."""
        with self.lock:
            self.waiting = [job for job in self.waiting if job.choice != choice]

    def _run(self, job: BackgroundJob) -> None:
        """Run the job, keep its result, and begin the next job in the queue."""
        try:
            found = job.work(job.note)
            with self.lock:
                self.results[job.choice] = found
                while len(self.results) > self.kept:
                    self.results.popitem(last=False)
        except JobCancelled:
            job.failure = self.cancelled
        except ObservabilityError as error:
            job.failure = str(error)
        except Exception as error:
            job.failure = f"{self.failed}: {type(error).__name__}: {error}"
        finally:
            with self.lock:
                if job.failure:
                    self.failures[job.choice] = job.failure
                    while len(self.failures) > max(self.kept, 1):
                        self.failures.popitem(last=False)
                job.done = True
                if self.waiting:
                    self._begin(self.waiting.pop(0))


def draw_job(slot: JobSlot, key: str) -> None:
    """Draw the progress of the running job with a button to cancel it, or why the last job failed. Draw nothing if no job is running and
    the last one did not fail.
    """
    job = slot.current()
    if job is not None and not job.done:
        _job_progress(slot, key, job)
    elif job is not None and job.failure and job.is_visible:
        st.warning(formatting.error_markdown(job.failure), icon=":material/info:")


@st.fragment(run_every=1.0)
def _job_progress(slot: JobSlot, key: str, job: BackgroundJob) -> None:
    """Draw the progress and the queue again each second. When the job has ended, the whole page is drawn again."""
    if job.done:
        st.rerun()
        return
    shown = job.is_visible
    st.progress(min(job.share, 1.0), formatting.escape_markdown(f"{job.title}: {job.words}" if shown else HIDDEN_JOB))
    if waiting := [each.title if each.is_visible else HIDDEN_JOB for each in list(slot.waiting)]:
        st.caption(formatting.escape_markdown(f"Queue: {', '.join(f'{place}. {title}' for place, title in enumerate(waiting, 1))}"))
    if shown:
        st.button("Cancel", icon=":material/close:", key=f"{key}-cancel", on_click=job.cancel, disabled=job.stop.is_set())
