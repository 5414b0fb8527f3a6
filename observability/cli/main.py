"""Parse the command line, run the command and print its outcome.

A command runs in this process if no other process owns the store (has it open). Otherwise it runs in the owner's process: a dashboard, or a
command that takes longer. Both call the same function, `execute`. Exit codes: 0 done, 1 found something (only with --fail-on) or loaded
nothing of the files, 2 wrong use, 3 the store is in use or broken.
"""

import argparse
import http.client
import json
import os
import shutil
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from observability.cli.arguments import absolute_path
from observability.cli.command_host import letting_others_in
from observability.cli.execute import execute
from observability.cli.outcome import Outcome, missing_package, refused_by_disk
from observability.cli.parser import parser
from observability.core.bundle import bundle_folder
from observability.core.errors import ObservabilityError, StoreBrokenError, StoreBusyError, UsageError
from observability.server import process_lock

WAIT = 8.0
"""Seconds to wait for the lock, or for an owner that is starting."""
RUN_AGAIN = "Run the command again; the log of a dashboard that stopped says why"


def main(argv: list[str]) -> int:
    """Run one command line and print its outcome. Returns the exit code."""
    try:
        args = parser().parse_args(argv)
        if args.command == "serve":
            return serve(args)
        if args.command == "collect":
            return collect(args)
        if args.command == "mcp":
            return answer_assistant()
        if args.command == "metrics":
            from observability.cli import commands

            outcome = commands.metrics(args)
        elif args.command == "restore":
            from observability.cli import commands

            outcome = commands.run_restore(args, show_progress)
        elif args.command in ("account", "audit-log"):
            from observability.cli import commands_access

            run = {"account": commands_access.run_account, "audit-log": commands_access.run_audit_log}[args.command]
            outcome = run(process_lock.home_folder(), args)
        else:
            outcome = here_or_at_owner(args, argv)
    except ObservabilityError as error:
        outcome = Outcome(error.exit_code, error=str(error))
    except ModuleNotFoundError as error:
        outcome = missing_package(error)
    except OSError as error:
        outcome = refused_by_disk(error)
    except KeyboardInterrupt:
        outcome = Outcome(130, error="Stopped. Committed data stays; run the command again to continue.")
    return max(print_answer(outcome.out, sys.stdout), print_answer(outcome.error, sys.stderr), outcome.exit_code)


def print_answer(text: str, stream: TextIO) -> int:
    """Print a text. Returns 3 if it cannot be written, else 0. If a reader such as `head` stops early, that is not a failure."""
    try:
        if text:
            print(text, file=stream, flush=True)
        return 0
    except OSError as error:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # the interpreter writes the rest as it ends
            if stream is not sys.stderr and not isinstance(error, BrokenPipeError):
                print(f"The output could not be written: {error.strerror}. Write to another place.", file=sys.stderr)
        return 0 if isinstance(error, BrokenPipeError) else 3


def here_or_at_owner(args: argparse.Namespace, argv: list[str]) -> Outcome:
    """Run the command in this process if the lock is free, else in the owner's process. If neither is possible, try again."""
    home = process_lock.home_folder()
    argv = with_absolute_paths(args, argv)
    until = time.monotonic() + WAIT
    while True:
        try:
            with process_lock.opened_store(home) as store, letting_others_in(store, show_progress):
                return execute(store, argv, show_progress)
        except StoreBusyError as busy:
            address = process_lock.read_address(home)
            if address is not None and (outcome := at_owner(address, argv)) is not None:
                return outcome
            if time.monotonic() > until:
                raise busy from None
        time.sleep(0.1)  # the owner may be starting or ending: poll


def answer_assistant() -> int:
    """Answer the requests of an assistant until it closes standard input. Each request is a command that runs here or in the owner's
    process.
    """
    import asyncio

    from observability.server.assistant import assistant_server

    def run(argv: list[str]) -> tuple[int, str, str]:
        try:
            outcome = here_or_at_owner(parser().parse_args(argv), argv)
        except ObservabilityError as error:
            outcome = Outcome(error.exit_code, error=str(error))
        return outcome.exit_code, outcome.out, outcome.error

    async def run_beside(argv: list[str]) -> tuple[int, str, str]:
        return await asyncio.to_thread(run, argv)

    assistant_server(run_beside).run("stdio")
    return 0


def with_absolute_paths(args: argparse.Namespace, argv: list[str]) -> list[str]:
    """The command line with absolute file names."""
    files = {
        *getattr(args, "files", []),
        *getattr(args, "sources", []),
        *(getattr(args, name, None) for name in ("file", "held_out", "reference", "artifact", "settings", "out", "folder", "backup")),
    }
    return [absolute_path(argument) if absolute_path(argument) in files else argument for argument in argv]


def at_owner(address: process_lock.Address, argv: list[str]) -> Outcome | None:
    """The outcome of a command that the owner runs; None if the owner does not answer (stale address, or still starting)."""
    connection, who = http.client.HTTPConnection("127.0.0.1", address.port, timeout=600), f"the owner of the store, process {address.pid},"
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
            reply: dict[str, Any] = json.loads(line)
            if "exit" in reply:
                return Outcome(reply["exit"], reply["out"], reply["error"])
            show_progress(reply["progress"])
    except ConnectionRefusedError:
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise StoreBrokenError(f"{who} stopped while it ran the command", got=error, attempt=RUN_AGAIN) from None
    finally:
        connection.close()
    raise StoreBrokenError(f"{who} ended the command without an outcome", attempt=RUN_AGAIN)


def show_progress(text: str) -> None:
    """Write one line to the terminal, which the next line overwrites. If the error stream is not a terminal, nothing is written."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}" if text else "\r\033[K")
        sys.stderr.flush()


def collect(args: argparse.Namespace) -> int:
    """Run a collector until it is stopped."""
    from observability.lake.segment_place import open_segment_place
    from observability.server.collector import run_collector

    place = open_segment_place(args.to)
    print(f"The collector takes records at http://{args.host}:{args.port} for {place.address} (Ctrl+C stops it).", flush=True)
    run_collector(place, args.host, args.port)
    return 0


def name_replica(args: argparse.Namespace) -> Path:
    """Set the environment variables that the dashboard's process reads, and return the folder made for the replica. Raises UsageError,
    StoreBrokenError.

    Raises UsageError, StoreBrokenError.
    """
    from observability.server import replica

    if not args.replica:
        raise UsageError("--owner needs --replica", expected="--replica FOLDER")
    os.environ |= {process_lock.PUBLISHED_VARIABLE: args.replica, replica.OWNER_VARIABLE: args.owner or ""}
    replica.owner_of_environment()
    made = replica.prepared_home(Path(args.replica))
    os.environ["OBSERVABILITY_HOME"] = str(made)
    return made


def serve(args: argparse.Namespace) -> int:
    """Take the lock, and replace this process by Streamlit, which keeps the lock. A replica takes no lock."""
    if find_spec("streamlit") is None:
        raise ModuleNotFoundError("streamlit", name="streamlit")
    if not args.replica and not args.owner:
        os.environ.pop(process_lock.PUBLISHED_VARIABLE, None)  # the variable comes from a parent process that only read the store
        return run_dashboard(args)
    made = name_replica(args)
    try:
        return run_dashboard(args)
    finally:
        shutil.rmtree(made, ignore_errors=True)  # reached only if this process did not become the dashboard


def run_dashboard(args: argparse.Namespace) -> int:
    """Check from which addresses the pages may be opened, and become the dashboard of the home that the environment variable names."""
    from observability.server.access_settings import read_access_settings, require_auth_packages
    from observability.server.request_origin import require_safe_binding

    home = process_lock.home_folder()
    os.environ["OBSERVABILITY_HOME"] = str(home)
    settings = read_access_settings(home)
    require_safe_binding(args.host, settings)
    require_auth_packages(settings)
    if not args.replica:
        process_lock.take_lock(home, wait=1.0).hand_over()
    root = bundle_folder()
    os.chdir(root)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    headless = "false" if args.open else "true"
    print(f"The dashboard is at http://localhost:{args.port} (Ctrl+C stops it).", flush=True)
    arguments = ["-m", "streamlit", "run", str(root / "app.py"), "--server.port", str(args.port), "--server.headless", headless]
    arguments += ["--server.address", args.host]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - our own interpreter and file
    return 0
