"""A job that pages start: one at a time in its slot for the whole dashboard, in its own thread; anyone can see and cancel it."""

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
from observability.dashboard.sign_in import require_owner

Note = Callable[[float, str], None]


class JobCancelled(Exception):  # noqa: N818 - no error: somebody wanted it
    """The job was cancelled."""


@dataclass
class BackgroundJob:
    """One run. choice, title: what was chosen, and that in words. share, words: the progress.

    failure: why it ended without a result; None while it runs, or when it succeeded.
    """

    choice: Hashable
    title: str
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


class JobSlot:
    """The place of one kind of job. The last results are kept, so that a link to one shows it at once.

    name: of its thread. cancelled, failed: what is said after a cancellation, and before the error of a failure. kept: number of results.
    """

    def __init__(self, name: str, *, cancelled: str, failed: str, kept: int = 0) -> None:
        self.name, self.cancelled, self.failed, self.kept = name, cancelled, failed, kept
        self.lock = threading.Lock()
        self.job: BackgroundJob | None = None
        self.results: OrderedDict[Hashable, Any] = OrderedDict()

    def current(self) -> BackgroundJob | None:
        """The running job, or the last one if it failed; else None."""
        return self.job if self.job is not None and (not self.job.done or self.job.failure) else None

    def result(self, choice: Hashable) -> Any:
        """The result of a choice; None where it did not run or is no longer kept."""
        return self.results.get(choice)

    def start(self, choice: Hashable, title: str, work: Callable[[Note], Any]) -> bool:
        """Start a job; False where another is running. work: gives the result, and reports its progress. Where this process only reads, an
        error stops the page: work that takes minutes is done at the owner of the store.
        """
        answer_or_stop(require_owner)
        with self.lock:
            if self.job is not None and not self.job.done:
                return False
            self.job = BackgroundJob(choice, title)
            threading.Thread(target=self._run, args=(self.job, work), name=self.name, daemon=True).start()
            return True

    def cancel(self) -> None:
        """Cancel the running job at its next sign of progress."""
        if self.job is not None:
            self.job.stop.set()

    def _run(self, job: BackgroundJob, work: Callable[[Note], Any]) -> None:
        """Run the job, and keep its result."""
        try:
            found = work(job.note)
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
            job.done = True


def draw_job(slot: JobSlot, key: str) -> None:
    """Draw the progress of the running job with a button to cancel it, or why the last one failed; nothing without either."""
    job = slot.current()
    if job is not None and not job.done:
        _job_progress(slot, key)
    elif job is not None and job.failure:
        st.warning(formatting.escape_markdown(job.failure), icon=":material/info:")


@st.fragment(run_every=1.0)
def _job_progress(slot: JobSlot, key: str) -> None:
    """The progress, drawn again each second; the page is drawn again when the job has ended."""
    job = slot.current()
    if job is None or job.done:
        st.rerun()
        return
    st.progress(min(job.share, 1.0), formatting.escape_markdown(f"{job.title}: {job.words}"))
    st.button("Cancel", icon=":material/close:", key=f"{key}-cancel", on_click=slot.cancel, disabled=job.stop.is_set())
