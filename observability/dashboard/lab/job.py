"""What is the lab working on? One job at a time for the whole dashboard, in a thread of its own; anybody may look at it, and cancel it.

The last few timelines are kept, so that a link to one shows it at once.
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


class Cancelled(Exception):  # noqa: N818 - no error: somebody wanted it
    """The job was cancelled."""


@dataclass
class Job:
    """One run. choice: what was chosen; title: that in words. share, words: how far it is. failure: why it ended without a timeline, None where it goes on or
    is done.
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
        """How far it is; raises where it is to stop."""
        if self.stop.is_set():
            raise Cancelled
        self.share, self.words = share, words


_lock = threading.Lock()
_job: Job | None = None
_told: OrderedDict[Hashable, Any] = OrderedDict()


def current() -> Job | None:
    """The job under way, or the last one where it failed; None where there is nothing to say."""
    return _job if _job is not None and (not _job.done or _job.failure) else None


def told(choice: Hashable) -> Any:
    """What came out of a choice, where it was made; else None."""
    return _told.get(choice)


def start(choice: Hashable, title: str, tell: Callable[[Note], Any]) -> bool:
    """Starts a job; False where another is under way. tell: gives what is kept, and says how far it is."""
    global _job
    with _lock:
        if _job is not None and not _job.done:
            return False
        _job = Job(choice, title)
        threading.Thread(target=work, args=(_job, tell), name="lab", daemon=True).start()
        return True


def cancel() -> None:
    """Stops the job under way at its next step."""
    if _job is not None:
        _job.stop.set()


def work(job: Job, tell: Callable[[Note], Any]) -> None:
    """Do it, and keep what comes out."""
    try:
        found = tell(job.note)
        with _lock:
            _told[job.choice] = found
            while len(_told) > MOST:
                _told.popitem(last=False)
    except Cancelled:
        job.failure = "Cancelled. Nothing was kept; the throw-away store is gone."
    except ObservabilityError as error:
        job.failure = str(error)
    except Exception as error:
        job.failure = f"The lab failed: {type(error).__name__}: {error}"
    finally:
        job.done = True
