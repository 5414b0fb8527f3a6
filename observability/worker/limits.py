"""How much may one job use, and what is said when it uses more or breaks?"""

from dataclasses import dataclass
from typing import Literal

from observability.core.errors import ObservabilityError

Reason = Literal["time", "memory", "size", "crash", "garbage", "failed", "refused", "start"]


@dataclass(frozen=True)
class Limits:
    """What one job may use beyond what the warm process holds before it.

    memory_mb: private memory. seconds: wall-clock time. file_mb: the largest single file, and the sum of all files of the job's folder.
    files: how many files and folders. open_files: file descriptors. line_bytes: the longest line of progress. idle_seconds: after how long
    without a call the warm process ends.
    """

    memory_mb: int = 4096
    seconds: float = 120.0
    file_mb: int = 512
    files: int = 1000
    open_files: int = 256
    line_bytes: int = 65536
    idle_seconds: float = 600.0


class WorkerError(ObservabilityError):
    """A job that did not end well. The process that ran it is gone, and the next call starts anew.

    reason: `time` (longer than allowed), `memory`, `size` (too many or too large files), `crash` (a signal or an exit), `garbage` (what it
    wrote is no answer), `failed` (an exception), `refused` (the job is none that may run), `start` (no process could be started).
    """

    def __init__(
        self,
        what: str,
        *,
        reason: Reason = "failed",
        where: str | None = None,
        got: object = None,
        expected: object = None,
        attempt: str | None = None,
    ) -> None:
        self.reason = reason
        super().__init__(what, where=where, got=got, expected=expected, attempt=attempt)
