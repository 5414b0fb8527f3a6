"""The warm process, which imports libraries and forks one confined process for each job.

    python -m observability.worker.child

Started by `Worker`. Each request is one JSON line on standard input: `{"job", "imports", "folder", "seconds", "limits"}`. The answers are
JSON lines on standard output: `{"ready": true}` once, then for each request `{"started"}`, any number of `{"progress": [share, text]}`, and
`{"end": {…}}`. The warm process never reads an untrusted file itself. A fork takes tens of milliseconds and shares the imported libraries.
The process ends when its input ends (the parent died or closed it) or after `idle_seconds`, and ends a running job with it.
"""

import importlib
import json
import os
import select
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from observability.worker import folder as exchange
from observability.worker.job_process import UNCONFINED, run_job, send_line
from observability.worker.limits import Limits

TICK, SOON = 0.1, 0.002
CHUNK = 65536


def import_library(name: str) -> None:
    """Import a library. LightGBM comes without its classes for scikit-learn, whose import would take longer than all the rest."""
    if name != "lightgbm" or "sklearn" in sys.modules:
        importlib.import_module(name)
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # None makes an import fail; the library types only modules
    try:
        importlib.import_module(name)
    finally:
        del sys.modules["sklearn"]


class WarmProcess:
    """The warm process with the descriptors of its requests and answers."""

    def __init__(self, requests: int, answers: int) -> None:
        self.requests, self.answers = requests, answers
        self.idle_seconds = Limits().idle_seconds
        self.buffer = b""

    def next_request(self) -> dict[str, Any] | None:
        """The next request; None at the end of the input or after the idle time."""
        while b"\n" not in self.buffer:
            if not select.select([self.requests], [], [], self.idle_seconds)[0]:
                return None
            data = os.read(self.requests, CHUNK)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return dict(json.loads(line))

    def serve(self) -> None:
        """Handle requests until there are no more."""
        send_line(self.answers, {"ready": True})
        while (request := self.next_request()) is not None:
            self.idle_seconds = request["limits"]["idle_seconds"]
            for name in request["imports"]:
                with suppress(ImportError):
                    import_library(name)
            self.run(request)

    def run(self, request: dict[str, Any]) -> None:
        """Run one job, from fork to end."""
        module, name = request["job"].split(":")
        try:
            function = getattr(importlib.import_module(module), name)
        except Exception as error:
            send_line(self.answers, {"started": 0})
            send_line(self.answers, {"end": {"reason": "refused", "got": f"{type(error).__name__}: {error}"[:500]}})
            return
        limits, folder = Limits(**request["limits"]), Path(request["folder"])
        reading, writing = os.pipe()
        parent = os.getpid()
        process = os.fork()
        if process == 0:
            for descriptor in (self.requests, self.answers, reading):
                os.close(descriptor)
            run_job(function, folder, limits, request["seconds"], request["unconfined"], parent, writing)
        os.close(writing)
        send_line(self.answers, {"started": process})
        send_line(self.answers, {"end": self.watch(process, reading, folder, limits, request["seconds"])})

    def watch(self, process: int, reading: int, folder: Path, limits: Limits, seconds: float) -> dict[str, Any]:
        """Wait for a job within its limits, forward its progress, and return how it ended."""
        begun = time.monotonic()
        initial_bytes = folder_usage(folder, limits)[0]
        lines, reason, sent_at = ProgressLines(limits.line_bytes), "", 0.0
        confinement: dict[str, Any] = {}
        watched = [reading, self.requests]
        while True:
            ready = select.select(watched, [], [], TICK if reading in watched else SOON)[0]
            if self.requests in ready:
                self.abandon(process, folder)
            if reading in ready:
                data = os.read(reading, CHUNK)
                if data:
                    lines.feed(data)
                else:
                    watched.remove(reading)
            if not confinement and lines.first is not None:
                confinement = lines.first
            if lines.progress is not None and time.monotonic() - sent_at > TICK:
                send_line(self.answers, {"progress": lines.progress})
                lines.progress, sent_at = None, time.monotonic()
            used_bytes, number = folder_usage(folder, limits)
            if lines.garbage:
                reason = "garbage"
            elif used_bytes - initial_bytes > limits.file_mb * 1024**2 or number > limits.files:
                reason = "size"
            elif time.monotonic() - begun > seconds:
                reason = "time"
            if reason:
                os.kill(process, signal.SIGKILL)
            if reason or reading not in watched:
                done, status, used = os.wait4(process, 0 if reason else os.WNOHANG)
                if done:
                    break
        os.close(reading)
        code = os.waitstatus_to_exitcode(status)
        if code == UNCONFINED:
            reason = "unconfined"
        if code == -signal.SIGXCPU:
            reason = "time"
        return {
            "reason": reason or ("" if code == 0 else "crash"),
            "code": code,
            "seconds": time.monotonic() - begun,
            "processor_seconds": used.ru_utime + used.ru_stime,
            **confinement,
        }

    def abandon(self, process: int, folder: Path) -> None:
        """End the job and this process, because the parent has gone or sent a request while a job was running."""
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        exchange.remove_folder(folder)
        os._exit(0)


class ProgressLines:
    """Reads a job's lines of progress. The first line is about its confinement; of the other lines only the last one is kept."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.rest = b""
        self.first: dict[str, Any] | None = None
        self.progress: list[Any] | None = None
        self.garbage = False

    def feed(self, data: bytes) -> None:
        """Add received bytes; sets `garbage` if they are not valid progress messages."""
        *whole, self.rest = (self.rest + data).split(b"\n")
        self.garbage |= len(self.rest) > self.most
        for line in whole:
            try:
                message: Any = json.loads(line) if len(line) <= self.most else None
                if self.first is None:
                    self.first = {name: bool(message[name]) for name in ("network_blocked", "files_confined", "paths_hidden")}
                else:
                    share, text = message["progress"]
                    self.progress = [min(max(0.0, float(share)), 1.0), str(text)[:500]]
            except (ValueError, TypeError, KeyError, RecursionError):
                self.garbage = True


def folder_usage(folder: Path, limits: Limits) -> tuple[int, int]:
    """Bytes on disk and number of files and folders beneath a folder; counting stops beyond the allowed number."""
    used_bytes, number, folders = 0, 0, [str(folder)]
    while folders and number <= limits.files:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                number += 1
                if number > limits.files:
                    break
                with suppress(OSError):
                    used_bytes += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return used_bytes, number


def main() -> None:
    """Serve until the input ends."""
    requests, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries may have idle threads when this process forks; `worker_environment` of the parent sets them so that they start none.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    assert np and pd and pa
    with suppress(BrokenPipeError):
        WarmProcess(requests, answers).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
