"""Runs the dashboard in a separate process, as it runs for a person."""

import contextlib
import fcntl
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observability.cli import main
from observability.server import process_lock
from tests.support.ports import free_port
from tests.support.sample_home import ROOT, environment

START_SECONDS = 600
LEFT: list[int] = []
"""Ports of dashboards that have ended. The next dashboard uses one of them again, because the browser has already fetched and compiled the
scripts of that address.
"""


@dataclass(frozen=True)
class Dashboard:
    """A running dashboard: its address, its home and its process."""

    url: str
    home: Path
    pid: int

    def status(self) -> dict[str, Any]:
        """What the command `status --json` answers."""
        found: dict[str, Any] = self.answer("status")
        return found

    def answer(self, *command: str) -> Any:
        """The answer of a command with `--json`, which asks this process over loopback."""
        address = process_lock.read_address(self.home)
        assert address is not None
        outcome = main.at_owner(address, [*command, "--json"])
        assert outcome is not None and outcome.exit_code == 0, outcome
        return json.loads(outcome.out)

    def wait_until_loaded(self, before: dict[str, Any], timeout: float = 120) -> dict[str, Any]:
        """Wait until the loader thread has loaded all waiting segments, and at least one since the status `before`. Returns the status
        after that.
        """
        until = time.monotonic() + timeout
        while (now := self.status())["landing"]["segments"] or now["loaded"]["segments"] <= before["loaded"]["segments"]:
            assert time.monotonic() < until, now
            time.sleep(0.2)
        return now


@contextlib.contextmanager
def dashboard(home: Path, port: int | None = None, root: Path = ROOT) -> Iterator[Dashboard]:
    """Run `serve` on the given port, or on a free one, until the block ends. root: the checkout with the code to run."""
    port = port or (LEFT.pop() if LEFT else free_port())
    with home.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "observability", "serve", "--port", str(port)], cwd=root, env=environment(home), stdout=log, stderr=log
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, home.with_suffix(".log"))
            yield Dashboard(f"http://127.0.0.1:{port}", home, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=30)
            LEFT.append(port)


@contextlib.contextmanager
def one_dashboard(folder: Path, home: Callable[[], contextlib.AbstractContextManager[Path]], name: str = "fleet") -> Iterator[Dashboard]:
    """One dashboard with this name for all workers that share a folder: the first worker starts it over a home, and the last one ends it.

    Otherwise two dashboards would start and compute the same pages. Each user holds a lock, which is released even if its worker dies.
    """
    address, users = folder / f"{name}.json", (folder / f"{name}.users").open("a")
    with users, contextlib.ExitStack() as mine:
        with (folder / f"{name}.lock").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            if first := not address.exists():
                running = mine.enter_context(dashboard(mine.enter_context(home())))
                address.write_text(json.dumps([running.url, str(running.home), running.pid]), encoding="utf-8")
            url, place, pid = json.loads(address.read_text(encoding="utf-8"))
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield Dashboard(url, Path(place), pid)
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            if first:
                with (folder / f"{name}.lock").open("a") as gate:
                    fcntl.flock(gate, fcntl.LOCK_EX)  # a worker that comes later then starts another dashboard
                    address.unlink()
                fcntl.flock(users, fcntl.LOCK_EX)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `/readyz` answers 200. Fails with the log if the process ends or does not answer in time."""
    until = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
