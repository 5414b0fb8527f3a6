"""A real read-only process: it answers over HTTP from a published state, and calls its owner over HTTP."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
import uvicorn
from starlette.applications import Starlette

from observability.core.errors import UsageError
from observability.server import accounts, api, audit_log, process_lock, replica, tokens
from observability.server.owner_calls import OwnerCalls
from observability.store.duck_store import DuckStore
from observability.store.published import publish_state
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
NOTE = {"kind": "event", "at": datetime(2026, 11, 1, tzinfo=UTC), "what": "note", "text": "saved"}


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[process_lock.Owner, str]]:
    """An owner that has published its store and answers over HTTP, with its address."""
    monkeypatch.setattr(process_lock, "_current", None)
    owner = process_lock.own_home(tmp_path / "owner")
    (owner.home / "keeping.toml").write_text("[publish]\nevery = 1\n")
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=api.routes()), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)  # only this flag shows that the server has started
    yield owner, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    owner.close()


def answered(port: int, path: str, method: str = "GET", **fields: str) -> tuple[int, bytes]:
    """Status and body of the response on a port. fields: fields of a form to send."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request(method, path, urlencode(fields) if fields else None, headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def stored(own: process_lock.Owner) -> DuckStore:
    """The store of an owner, which is a database in a file."""
    assert isinstance(own.store, DuckStore)
    return own.store


def test_calls_reach_the_owner_over_http(owner: tuple[process_lock.Owner, str]) -> None:
    own, address = owner
    _, token = tokens.create_token(own.home, "write", role="administrator")
    _, weak = tokens.create_token(own.home, "write")
    told = list[datetime]()
    OwnerCalls(address, token, told.append).send("write_records", records=[NOTE])
    with stored(own).cursor() as cursor:
        assert cursor.execute("SELECT text FROM events").fetchall() == [("saved",)]
    assert len(told) == 1
    with pytest.raises(UsageError, match="token of an administrator"):
        OwnerCalls(address, weak).send("write_records", records=[NOTE])


def test_a_process_that_reads_is_ready_and_signs_people_in_at_its_owner(owner: tuple[process_lock.Owner, str], tmp_path: Path) -> None:
    own, address = owner
    accounts.add_account(own.home, "root", "administrator", "four random words")
    _, token = tokens.create_token(own.home, "write", role="administrator")
    publish_state(stored(own), "run")
    port, temporary = free_port(), tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, replica.TOKEN_VARIABLE: token, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "observability", "serve", "--replica", str(own.home / "published")]
    process = subprocess.Popen([*command, "--owner", address, "--port", str(port)], cwd=tmp_path, env=environment)
    try:
        until = time.monotonic() + 120
        while True:
            assert process.poll() is None
            try:
                assert answered(port, "/readyz") == (200, b'{"ready":true}')
                break
            except ConnectionRefusedError:
                assert time.monotonic() < until
                time.sleep(0.2)  # only its answers show that it has started
        status, body = answered(port, "/api/v1/status")
        assert (status, address.encode() in body) == (421, True)
        assert answered(port, "/")[0] == 401
        assert answered(port, "/sign-in", "POST", name="root", password="not the words", next="/")[0] == 403
        assert answered(port, "/sign-in", "POST", name="root", password="four random words", next="/")[0] == 303
        assert [entry["does"] for entry in audit_log.access_entries(own.home)] == ["signed in", "failed to sign in"]
        (home,) = temporary.glob(f"{replica.HOME_PREFIX}*")
        assert not (home / audit_log.FILE).exists()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert not list(temporary.glob(f"{replica.HOME_PREFIX}*"))
