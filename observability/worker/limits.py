"""Resource limits of a job, and the error of a job that failed or exceeded them."""

from dataclasses import dataclass
from typing import Any, Literal

from observability.core.errors import ObservabilityError

Reason = Literal["time", "memory", "size", "crash", "garbage", "failed", "refused", "start", "unconfined"]


@dataclass(frozen=True)
class Limits:
    """The limits of one job in addition to the warm process.

    memory_mb: private memory. seconds: wall-clock time. file_mb: the largest single file, and the sum of all files of the job's folder.
    files: number of files and folders. open_files: file descriptors. line_bytes: longest line of progress. idle_seconds: time without a
    call after which the warm process ends.
    """

    memory_mb: int = 4096
    seconds: float = 120.0
    file_mb: int = 512
    files: int = 1000
    open_files: int = 256
    line_bytes: int = 65536
    idle_seconds: float = 600.0


class WorkerError(ObservabilityError):
    """A job that failed. Its process has ended, and the next call starts a new one.

    reason: `time` (longer than allowed), `memory`, `size` (too many or too large files), `crash` (a signal or an exit), `garbage` (its
    output is not valid), `failed` (an exception), `refused` (the job is not allowed), `start` (no process could be started),
    `unconfined` (the system cannot confine it and nobody allowed that).
    """

    def __init__(self, what: str, *, reason: Reason = "failed", **details: Any) -> None:
        self.reason = reason
        super().__init__(what, **details)
