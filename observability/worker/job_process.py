"""What happens in the process that runs one job, from the fork to its end?"""

import errno
import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from observability.core.errors import ObservabilityError, UsageError
from observability.worker import folder as exchange
from observability.worker.confine import confine
from observability.worker.job import Job
from observability.worker.limits import Limits


def run_job(job: Job, folder: Path, limits: Limits, seconds: float, parent: int, pipe: int) -> NoReturn:
    """Holds this process, runs the job, writes its answer or its error, and ends the process."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(folder)
        noise = os.open(folder / exchange.NOISE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(noise, 1)
        os.dup2(noise, 2)
        os.environ["TMPDIR"] = os.environ["HOME"] = tempfile.tempdir = str(folder)
        held = confine(folder, limits, seconds, parent)
        say(pipe, asdict(held))
        answer(job, folder, pipe)
        sys.stdout.flush()
        sys.stderr.flush()
        code = 0
    finally:
        os._exit(code)


def answer(job: Job, folder: Path, pipe: int) -> None:
    """The job's answer, or what went wrong, in the folder."""
    try:
        frames, arguments, files = exchange.take(folder)
        exchange.give(folder, job(frames, arguments, files, lambda share, text: say(pipe, {"progress": [float(share), str(text)[:500]]})))
        return
    except UsageError as error:
        body = {"kind": "usage", "what": error.what} | described(error)
    except ObservabilityError as error:
        body = {"kind": "failed", "what": error.what} | described(error)
    except MemoryError:
        body = {"kind": "memory", "what": "the job needs more memory than it may use"}
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            fail(folder, {"kind": "size", "what": "the job wrote a larger file than it may"})
            return
        out_of_memory = "bad_alloc" in str(error) or "Unable to allocate" in str(error)
        kind, what = ("memory", "the job needs more memory than it may use") if out_of_memory else ("failed", "the job failed")
        body = {"kind": kind, "what": what, "got": f"{type(error).__name__}: {error}"[:1000]}
    fail(folder, body)


def fail(folder: Path, body: dict[str, Any]) -> None:
    """Writes down an error as the answer."""
    (folder / exchange.ANSWER).write_text(json.dumps({"error": body}), encoding="utf-8")


def described(error: ObservabilityError) -> dict[str, Any]:
    """The other four answers of an error, as text."""
    parts = {"where": error.where, "got": error.got, "expected": error.expected, "attempt": error.attempt}
    return {name: None if value is None else str(value) for name, value in parts.items()}


def say(pipe: int, message: dict[str, Any]) -> None:
    """One line on the pipe of progress."""
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]
