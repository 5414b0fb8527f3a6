"""Run commands for other processes while a long command holds the store.

Only one process at a time can open the store. A running dashboard therefore runs the commands of other processes. A command that takes
longer than SHORT does the same: it writes its own address to `HOME/owner.json`, and ends only after the commands that it accepted.
"""

import contextlib
import hmac
import json
import os
import secrets
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

from observability.cli.execute import execute
from observability.cli.outcome import Outcome, Say
from observability.core.errors import ObservabilityError
from observability.server.process_lock import Address, clear_address, write_address
from observability.store.engine import Store

SHORT = 0.3
"""Seconds after which commands of other processes are accepted. Most commands end earlier and need no address."""
LOOK_EVERY = 1.0
"""Seconds between two checks whether the work is done, if nothing wakes the thread earlier."""
COMMAND_BYTES = 1_000_000
"""Maximum size of a command line in bytes, as sent."""


def sent_command(body: bytes) -> list[str]:
    """The command line in a request. Raises ValueError if there is none."""
    try:
        return [str(word) for word in json.loads(body)["argv"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("no command line") from error


def outcome_line(outcome: Outcome) -> dict[str, object]:
    """The last line of the response to a command, after its lines of progress."""
    return {"exit": outcome.exit_code, "out": outcome.out, "error": outcome.error}


@contextlib.contextmanager
def letting_others_in(store: Store, say: Say) -> Iterator[None]:
    """Run the commands of other processes while the block runs. After the block, wait until the running commands have ended."""
    host = _Host(store)
    thread = threading.Thread(target=host.run, name="commands", daemon=True)
    thread.start()
    try:
        yield
    finally:
        host.done.set()
        host.wake()
        if host.running:
            say("done; waiting for the commands of others")
        thread.join()
        say("")


class _Host:
    """The state that all requests share. running: number of running commands of other processes; closed: whether no more commands are
    accepted.
    """

    def __init__(self, store: Store) -> None:
        self.store, self.token = store, secrets.token_urlsafe(24)
        self.done, self.mutex, self.running, self.closed = threading.Event(), threading.Lock(), 0, False
        self.port: int | None = None

    def run(self) -> None:
        """Accept requests after SHORT seconds, until the work is done. If no address can be opened, no commands are accepted."""
        if not self.done.wait(SHORT):
            with contextlib.suppress(OSError, ObservabilityError):
                self.take_requests()

    def take_requests(self) -> None:
        """Publish an address and accept requests until the work is done."""
        with _Server(("127.0.0.1", 0), _Request) as server:
            server.host, server.timeout, self.port = self, LOOK_EVERY, server.server_address[1]
            write_address(self.store.home, Address(os.getpid(), self.port, self.token))
            try:
                while not self.may_close():
                    server.handle_request()
            finally:
                clear_address(self.store.home)

    def wake(self) -> None:
        """Make the thread check at once whether the work is done."""
        if self.port is not None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), LOOK_EVERY).close()

    def may_close(self) -> bool:
        """Whether all work is done. If so, no further command is accepted."""
        with self.mutex:
            self.closed = self.done.is_set() and not self.running
        return self.closed

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """Yield whether a command is accepted. It counts as running until the block ends."""
        with self.mutex:
            is_taken = not self.closed
            self.running += is_taken
        try:
            yield is_taken
        finally:
            with self.mutex:
                self.running -= is_taken
            self.wake()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True  # so that a connection that sends nothing does not delay the end
    host: _Host


class _Request(BaseHTTPRequestHandler):
    """One command line of another process. The response is lines of JSON: progress first, the outcome last."""

    timeout = 10

    def do_POST(self) -> None:
        """Run the command, if the sender has the token that is written with the address."""
        host: _Host = self.server.host  # type: ignore[attr-defined]  # _Server has it; the library types the attribute as its base
        given, size = self.headers.get("Authorization", ""), self.headers.get("Content-Length", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {host.token}".encode()):
            return self.send_error(401)
        if not size.isdecimal() or int(size) > COMMAND_BYTES:
            return self.send_error(413)
        try:
            argv = sent_command(self.rfile.read(int(size)))
        except ValueError:
            return self.send_error(400)
        with host.taken() as is_taken:
            if not is_taken:
                return self.send_error(503)
            self.send_response(200)
            self.end_headers()
            outcome = execute(host.store, argv, lambda text: self.send_line({"progress": text}))
            return self.send_line(outcome_line(outcome))

    def send_line(self, line: dict[str, object]) -> None:
        """Send a line. The command continues even if nobody reads the line."""
        with contextlib.suppress(OSError):
            self.wfile.write(json.dumps(line).encode() + b"\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        """Print nothing: HTTP requests are not logged."""
