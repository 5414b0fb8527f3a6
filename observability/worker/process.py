"""The parent's side of the worker: sends calls to the warm process and returns their output or error."""

import atexit
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core import telemetry
from observability.worker import folder as exchange
from observability.worker.confine import WHERE_TO_ALLOW, missing_confinement
from observability.worker.job import ALLOWED
from observability.worker.limits import Limits, WorkerError
from observability.worker.permission import unconfined_allowed

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[float, str], None]
PROJECT = Path(__file__).resolve().parents[2]
JOB_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*")
START_SECONDS, GRACE_SECONDS = 120.0, 10.0
INHERITED_VARIABLES = re.compile(
    r"PATH|HOME|USER|LANG|LC_.*|TZ|TMPDIR|LD_LIBRARY_PATH|VIRTUAL_ENV|PYTHONHOME|MPLCONFIGDIR|NUMBA_.*|[A-Z]+_NUM_THREADS|OPENBLAS_CORETYPE"
)
"""Environment variables that the process inherits; tokens and addresses of the service are excluded."""


@dataclass(frozen=True)
class JobAnswer:
    """A job's output as the caller gets it.

    values: JSON. frames: tables with a fresh index. files: the content of files that it wrote. seconds: time in the job. network_blocked:
    whether the operating system denied sockets; files_confined: whether it denied other files; paths_hidden: whether it hid them.
    """

    values: dict[str, Any]
    frames: "dict[str, pd.DataFrame]"
    files: dict[str, bytes]
    seconds: float
    network_blocked: bool
    files_confined: bool
    paths_hidden: bool = False


class Worker:
    """A process in which models are loaded and run, started by the first call and kept warm. Threads may share it; calls are queued.

    allowed: prefixes of the modules whose jobs may run.
    """

    def __init__(self, limits: Limits | None = None, *, allowed: tuple[str, ...] = ALLOWED) -> None:
        self.limits = limits or Limits()
        self.allowed = allowed
        self._lock = threading.Lock()
        self._connection: _Connection | None = None

    def call(
        self,
        job: str,
        frames: "Mapping[str, pd.DataFrame] | None" = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        files: Mapping[str, Path] | None = None,
        imports: tuple[str, ...] = (),
        seconds: float | None = None,
        progress: Progress | None = None,
    ) -> JobAnswer:
        """Run `job` ("module:function") on `frames`, `arguments` (JSON) and copies of `files`, for at most `seconds`.

        imports: libraries that the job uses; they stay imported in the warm process, so that only the first call waits for them.
        progress: called in this thread with a share from 0 to 1 and a sentence. If it raises, the job is ended. It must not call this
        worker. Raises the UsageError that the job raised, or WorkerError.
        """
        if not JOB_NAME.fullmatch(job) or not job.startswith(self.allowed):
            raise WorkerError(
                "this job may not run", reason="refused", got=job, expected=" or ".join(f"{prefix}…" for prefix in self.allowed)
            )
        seconds = self.limits.seconds if seconds is None else seconds
        with telemetry.WORKER_JOBS.by_outcome(), exchange.private_folder() as folder:
            exchange.write_job_inputs(folder, frames or {}, arguments or {}, files or {})
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                request = {"job": job, "imports": imports, "folder": str(folder), "seconds": seconds, "limits": asdict(self.limits)}
                request["unconfined"] = unconfined_allowed()
                with self._lock:
                    end = self._run(request, seconds, progress)
                if end["reason"]:
                    raise self._error(end, handle, seconds)
                values, tables, contents = exchange.read_job_output(handle, self.limits)
            finally:
                os.close(handle)
        return JobAnswer(values, tables, contents, end["seconds"], end["network_blocked"], end["files_confined"], end["paths_hidden"])

    def close(self) -> None:
        """End the process. A later call starts a new one."""
        with self._lock:
            self._end()

    def _run(self, request: dict[str, Any], seconds: float, progress: Progress | None) -> dict[str, Any]:
        """Send one request and return how it ended. An interruption ends the process."""
        ended = False
        try:
            for last in (False, True):
                try:
                    line = self._started()
                    line.send(request)
                    line.receive("started", START_SECONDS)
                    break
                except _Gone:
                    # The warm process has ended since the last call (idle, or out of memory): retry once with a new one.
                    self._end()
                    if last:
                        raise WorkerError("the worker process does not start", reason="start", attempt="Check the free memory") from None
            answer: dict[str, Any] = {}
            for kind, body in line.messages(seconds + GRACE_SECONDS):
                if kind == "progress" and progress is not None:
                    progress(body[0], body[1])
                if kind == "end":
                    answer = body
                    break
            ended = True
            return {"reason": "", "seconds": 0.0, "network_blocked": False, "files_confined": False, "paths_hidden": False} | answer
        except _Gone as error:
            return {"reason": "time" if error.late else "crash", "code": None}
        finally:
            if not ended:
                self._end()

    def _started(self) -> "_Connection":
        """The connection to a warm process, which is started if there is none."""
        line = self._connection
        if line is not None and line.owner != os.getpid():
            line = self._connection = None
        if line is not None and line.process.poll() is not None:
            self._end()
            line = None
        if line is None:
            line = self._connection = _Connection()
            weakref.finalize(self, line.end)
            line.receive("ready", START_SECONDS)
        return line

    def _end(self) -> None:
        if self._connection is not None and self._connection.owner == os.getpid():
            self._connection.end()
        self._connection = None

    def _error(self, end: dict[str, Any], handle: int, seconds: float) -> WorkerError:
        """The error of a job that failed."""
        limits, reason, code = self.limits, end["reason"], end.get("code")
        if reason == "time":
            return WorkerError(
                "the job took too long and was ended", reason="time", expected=f"at most {seconds:g} seconds", attempt="Ask for fewer rows"
            )
        if reason == "size":
            got = f"more than {limits.file_mb} MB or {limits.files} files"
            return WorkerError("the job wrote too much and was ended", reason="size", got=got)
        if reason == "garbage":
            return WorkerError("the job wrote something other than progress, and was ended", reason="garbage")
        if reason == "unconfined":
            missing = " and ".join(missing_confinement())
            lacking = f"no {missing}" if missing else None
            what = "models do not run, because this system cannot confine them"
            return WorkerError(what, reason=reason, got=lacking, attempt=WHERE_TO_ALLOW)
        if reason == "refused":
            return WorkerError("this job cannot be imported", reason="refused", got=end.get("got"))
        printed = printed_error(handle)
        if any(word in printed for word in ("bad_alloc", "MemoryError", "Cannot allocate memory")):
            return WorkerError("the job needs more memory than it may use", reason="memory", expected=f"at most {limits.memory_mb} MB")
        how = f"signal {signal.Signals(-code).name}" if isinstance(code, int) and code < 0 else f"exit {code}"
        return WorkerError(
            "the process crashed: the file is damaged, or its library has a fault", reason="crash", got=f"{how}{printed and ': '}{printed}"
        )


class _Gone(Exception):  # noqa: N818 - a state of the process that is always caught
    """The process does not answer. late: whether its time limit was exceeded."""

    def __init__(self, late: bool = False) -> None:
        self.late = late


class _Connection:
    """A running process and the pipes to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.buffer = b""
        command = [sys.executable, "-P", "-m", "observability.worker.child"]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=worker_environment(),
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise WorkerError("the worker process does not start", reason="start", got=error.strerror) from error
        assert self.process.stdin and self.process.stdout
        self.requests, self.answers = self.process.stdin, self.process.stdout

    def send(self, message: dict[str, Any]) -> None:
        """Write one request to the worker process as a line of JSON. Raises _Gone if the process has ended."""
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[self.requests.write(data) or 0 :]
        except (BrokenPipeError, ValueError):
            raise _Gone from None

    def messages(self, seconds: float) -> Iterator[tuple[str, Any]]:
        """The messages of the process, each as its name and its body."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.answers, select.POLLIN | select.POLLHUP)
        while True:
            while b"\n" not in self.buffer:
                left = deadline - time.monotonic()
                if left <= 0 or not poll.poll(left * 1000):
                    raise _Gone(late=True)
                data = os.read(self.answers.fileno(), 65536)
                if not data:
                    raise _Gone
                self.buffer += data
            line, self.buffer = self.buffer.split(b"\n", 1)
            yield next(iter(json.loads(line).items()))

    def receive(self, wanted: str, seconds: float) -> Any:
        """The next message of a kind."""
        for kind, body in self.messages(seconds):
            if kind == wanted:
                return body
        raise _Gone

    def end(self) -> None:
        """Kill the process and the job that it runs."""
        if self.owner != os.getpid():
            return
        if self.process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.requests.close()
        self.answers.close()


def worker_environment() -> dict[str, str]:
    """The environment variables of the process."""
    kept = {name: value for name, value in os.environ.items() if INHERITED_VARIABLES.fullmatch(name)}
    path = os.pathsep.join(entry for entry in (str(PROJECT), os.environ.get("PYTHONPATH", "")) if entry)
    own = {
        "PYTHONPATH": path,
        "DO_NOT_TRACK": "1",
        "JOBLIB_MULTIPROCESSING": "0",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MPLBACKEND": "agg",
    }
    # Threads of a linear algebra library do not survive a fork.
    return {"OPENBLAS_NUM_THREADS": "1", **kept, **own}


def printed_error(handle: int) -> str:
    """The last line with an error that a job printed, else its last line, at most 300 printable characters; "" if there is none."""
    try:
        text = exchange.read_regular_file(handle, exchange.NOISE, 1024**2).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"fatal|error|bad_alloc", line, re.IGNORECASE)]
    return "".join(sign if sign.isprintable() else " " for sign in (errors or lines)[-1])[:300] if lines else ""


_shared: Worker | None = None
_shared_lock = threading.Lock()


def warm_worker() -> Worker:
    """The worker shared by this process; it ends with the process."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Worker()
            atexit.register(_shared.close)
        return _shared
