"""Which command is asked for, who runs it, and how does the answer leave?

A command runs in this process where nobody owns the store, else in the owner's: the same `execute` in both. Exit 0 done, 1 found something (only
with --fail-on), 2 wrong use, 3 the store is in use or broken.
"""

import argparse
import http.client
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.execute import execute
from observability.cli.outcome import Outcome
from observability.cli.parser import parser, path
from observability.core.errors import ObservabilityError, StoreBrokenError, StoreBusyError
from observability.server import process_lock

if TYPE_CHECKING:
    pass

WAIT = 8.0
"""Seconds to wait for a lock or an owner that starts."""


def main(argv: list[str]) -> int:
    """Run one command line and print its answer. Returns the exit code."""
    try:
        said = parser().parse_args(argv)
        if said.command == "serve":
            return serve(said)
        if said.command == "metrics":
            from observability.cli import commands

            outcome = commands.metrics(said)
        else:
            outcome = here_or_at_owner(said, argv)
    except ObservabilityError as error:
        outcome = Outcome(error.exit_code, error=str(error))
    except KeyboardInterrupt:
        outcome = Outcome(130, error="Stopped. What was committed stays; run the command again to go on.")
    if outcome.out:
        print(outcome.out)
    if outcome.error:
        print(outcome.error, file=sys.stderr)
    return outcome.exit_code


def here_or_at_owner(said: argparse.Namespace, argv: list[str]) -> Outcome:
    """In this process where the lock is free, else in the owner's; retried while neither answers."""
    home = process_lock.home_folder()
    argv = absolute(said, argv)
    until = time.monotonic() + WAIT
    while True:
        try:
            with process_lock.opened(home) as store:
                return execute(store, argv, progress)
        except StoreBusyError as busy:
            address = process_lock.read_address(home)
            if address is not None and (outcome := at_owner(address, argv)) is not None:
                return outcome
            if time.monotonic() > until:
                raise busy from None
        time.sleep(0.1)  # neither the lock nor an owner's answer can be waited for: the owner may be starting or ending


def absolute(said: argparse.Namespace, argv: list[str]) -> list[str]:
    """The command line with its file names made absolute."""
    files = {
        each
        for each in [*getattr(said, "files", []), *(getattr(said, name, None) for name in ("reference", "artifact", "settings", "out"))]
        if each
    }
    return [path(each) if path(each) in files else each for each in argv]


def at_owner(address: process_lock.Address, argv: list[str]) -> Outcome | None:
    """The outcome of a command that the owner ran; None where it does not answer (stale address, still starting)."""
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=600)
    try:
        connection.request(
            "POST",
            "/_owner/command",
            body=json.dumps({"argv": argv}),
            headers={"Authorization": f"Bearer {address.token}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        if answer.status != 200:
            return None
        for line in answer:
            said: dict[str, Any] = json.loads(line)
            if "exit" in said:
                return Outcome(said["exit"], said["out"], said["error"])
            progress(said["progress"])
    except ConnectionRefusedError:
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise StoreBrokenError(
            "the dashboard stopped while it ran the command", got=error, attempt="Look at its log and run the command again"
        ) from None
    finally:
        connection.close()
    raise StoreBrokenError("the dashboard ended the command without an outcome", attempt="Look at its log and run the command again")


def progress(text: str) -> None:
    """One line on the terminal, overwritten by the next; silent where nobody looks."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}" if text else "\r\033[K")
        sys.stderr.flush()


def serve(said: argparse.Namespace) -> int:
    """Take the lock and become Streamlit; the lock stays held through the change."""
    home = process_lock.home_folder()
    os.environ["OBSERVABILITY_HOME"] = str(home)
    process_lock.take_lock(home, wait=1.0).hand_over()
    root = Path(__file__).parents[2]
    os.chdir(root)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    headless = "false" if said.open else "true"
    print(f"The dashboard is at http://localhost:{said.port} (stop it with Ctrl+C).", flush=True)
    arguments = ["-m", "streamlit", "run", str(root / "app.py"), "--server.port", str(said.port), "--server.headless", headless]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - our own interpreter and file
    return 0
