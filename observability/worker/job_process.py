"""The process that runs one job, from the fork to its end."""

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
from observability.worker.confine import confine_process
from observability.worker.job import Job
from observability.worker.limits import Limits

UNCONFINED = 97
"""Exit code of a job that did not begin because the system cannot confine it."""


def run_job(job: Job, folder: Path, limits: Limits, seconds: float, unconfined: bool, parent: int, pipe: int) -> NoReturn:
    """Confine this process, run the job, write its output or its error, and end the process.

    unconfined: whether the job may run if the system cannot confine it.
    """
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(folder)
        noise = os.open(folder / exchange.NOISE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(noise, 1)
        os.dup2(noise, 2)
        os.environ["TMPDIR"] = os.environ["HOME"] = tempfile.tempdir = str(folder)
        confinement = confine_process(folder, limits, seconds, parent)
        send_line(pipe, asdict(confinement))
        if (confinement.network_blocked and confinement.files_confined) or unconfined:
            write_job_answer(job, folder, pipe)
            sys.stdout.flush()
            sys.stderr.flush()
            code = 0
        else:
            code = UNCONFINED
    finally:
        os._exit(code)


def write_job_answer(job: Job, folder: Path, pipe: int) -> None:
    """Run the job and write its output, or its error, to the folder."""
    try:
        frames, arguments, files = exchange.read_job_inputs(folder)
        exchange.write_job_output(
            folder, job(frames, arguments, files, lambda share, text: send_line(pipe, {"progress": [float(share), str(text)[:500]]}))
        )
        return
    except UsageError as error:
        body = {"kind": "usage", "what": error.what} | error_details(error)
    except ObservabilityError as error:
        body = {"kind": "failed", "what": error.what} | error_details(error)
    except MemoryError:
        body = {"kind": "memory", "what": "the job needs more memory than it may use"}
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            write_job_error(folder, {"kind": "size", "what": "the job wrote a larger file than it may"})
            return
        out_of_memory = "bad_alloc" in str(error) or "Unable to allocate" in str(error)
        kind, what = ("memory", "the job needs more memory than it may use") if out_of_memory else ("failed", "the job failed")
        body = {"kind": kind, "what": what, "got": f"{type(error).__name__}: {error}"[:1000]}
    write_job_error(folder, body)


def write_job_error(folder: Path, body: dict[str, Any]) -> None:
    """Write an error as the job's answer."""
    (folder / exchange.ANSWER).write_text(json.dumps({"error": body}), encoding="utf-8")


def error_details(error: ObservabilityError) -> dict[str, Any]:
    """An error's where, got, expected and attempt as text."""
    parts = {"where": error.where, "got": error.got, "expected": error.expected, "attempt": error.attempt}
    return {name: None if value is None else str(value) for name, value in parts.items()}


def send_line(pipe: int, message: dict[str, Any]) -> None:
    """Write a message as one JSON line to a pipe."""
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]
