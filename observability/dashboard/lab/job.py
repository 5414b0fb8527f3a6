"""The job of the lab: one at a time for the whole dashboard, in its own thread; anyone can see and cancel it.

The last results are kept, so that a link to one shows it at once.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from observability.core.errors import ObservabilityError

MOST = 16
Note = Callable[[float, str], None]


class JobCancelled(Exception):  # noqa: N818 - no error: somebody wanted it
    """The job was cancelled."""


@dataclass
class LabJob:
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


_lock = threading.Lock()
_job: LabJob | None = None
_told: OrderedDict[Hashable, Any] = OrderedDict()


def current_job() -> LabJob | None:
    """The running job, or the last one if it failed; else None."""
    return _job if _job is not None and (not _job.done or _job.failure) else None


def job_result(choice: Hashable) -> Any:
    """The result of a choice; None where it did not run."""
    return _told.get(choice)


def start_job(choice: Hashable, title: str, tell: Callable[[Note], Any]) -> bool:
    """Start a job; False where another is running. tell: gives the result, and reports its progress."""
    global _job
    with _lock:
        if _job is not None and not _job.done:
            return False
        _job = LabJob(choice, title)
        threading.Thread(target=_run_job, args=(_job, tell), name="lab", daemon=True).start()
        return True


def cancel_job() -> None:
    """Cancel the running job at its next step."""
    if _job is not None:
        _job.stop.set()


def _run_job(job: LabJob, tell: Callable[[Note], Any]) -> None:
    """Run the job, and keep its result."""
    try:
        found = tell(job.note)
        with _lock:
            _told[job.choice] = found
            while len(_told) > MOST:
                _told.popitem(last=False)
    except JobCancelled:
        job.failure = "Cancelled. Nothing was saved."
    except ObservabilityError as error:
        job.failure = str(error)
    except Exception as error:
        job.failure = f"The lab failed: {type(error).__name__}: {error}"
    finally:
        job.done = True
