"""Connections whose header is incomplete or too long are closed. Other connections are answered, however long the answer takes."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from observability.core.limits import IntakeLimits
from observability.server.half_open import close_half_open_connections

LIMIT = 1.0
"""Seconds that a header may take. Even a busy machine needs less for a header that is sent at once."""
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"


def hurried() -> IntakeLimits:
    """Limits with times that are short enough for tests."""
    return replace(IntakeLimits(), header_seconds=LIMIT)  # type: ignore[arg-type]  # a part of a second


async def slow_answer(_request: Request) -> PlainTextResponse:
    """An answer that takes longer than a header may take."""
    await asyncio.sleep(1.5 * LIMIT)
    return PlainTextResponse("done")


async def late_message(websocket: WebSocket) -> None:
    """A message that comes later than a header may."""
    await websocket.accept()
    await asyncio.sleep(1.5 * LIMIT)
    await websocket.send_text("late")
    await websocket.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    close_half_open_connections(hurried)
    app = Starlette(routes=[Route("/", slow_answer), WebSocketRoute("/ws", late_message)])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_keep_alive=60))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)  # only this flag shows that the server has started
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    close_half_open_connections(IntakeLimits)


@pytest.fixture
def unhurried_port(port: int) -> Iterator[int]:
    """The port of a server that gives a header a long time."""
    close_half_open_connections(IntakeLimits)
    yield port
    close_half_open_connections(hurried)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side closes the connection within a generous time, without sending a byte."""
    connection.settimeout(60)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_without_a_complete_header_is_closed_in_time(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        assert is_closed(connection)


def test_a_header_that_drips_does_not_hold_a_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection, pytest.raises(OSError, match=r".*"):
        connection.sendall(b"GET / HTTP/1.1\r\n")
        for place in range(1200):
            connection.sendall(b"X-%d: 1\r\n" % place)
            time.sleep(0.05)  # slower than the server's checks, but faster than its timeout


@pytest.mark.parametrize("piece", [b"a" * 4000, b"X-1: 1\r\n" * 500])
def test_a_header_without_an_end_is_refused_before_it_is_kept(unhurried_port: int, piece: bytes) -> None:
    with socket.create_connection(("127.0.0.1", unhurried_port)) as connection:
        connection.settimeout(60)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        sent, got = 0, b""
        try:
            while sent < 50_000_000:
                connection.sendall(piece)
                sent += len(piece)
            got = connection.recv(1000)
        except ConnectionError:
            got = got or b"closed"
        assert got == b"closed" or got.startswith(b"HTTP/1.1 431")
        assert sent < 20_000_000, "the server took no more than fits into buffers of the system"


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_whole_header_that_is_too_long_is_refused_however_it_arrives(unhurried_port: int, pieces: int) -> None:
    most = IntakeLimits().header_bytes
    for size, status in ((most, b"200"), (most + 1, b"431"), (8 * most, b"431")):
        header = REQUEST[:-2] + b"X: " + b"x" * (size - len(REQUEST) - 5) + b"\r\n\r\n"
        assert len(header) == size
        with socket.create_connection(("127.0.0.1", unhurried_port)) as connection:
            connection.settimeout(60)
            connection.sendall(header[:-2] if pieces == 2 else header)
            if pieces == 2 and size <= most + 1:
                time.sleep(0.05)  # the second half of the header's end arrives with the next request
                connection.sendall(header[-2:] + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + b"a" * 50_000)
            got = connection.recv(1000)
            while pieces == 2 and size <= most and b"405" not in got:
                got += (chunk := connection.recv(1000))
                assert chunk
            assert got.startswith(b"HTTP/1.1 " + status) and (status == b"200" or b"the headers exceed 16,384 bytes" in got)


def test_a_large_body_is_no_header(unhurried_port: int) -> None:
    with socket.create_connection(("127.0.0.1", unhurried_port)) as connection:
        connection.settimeout(60)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        time.sleep(0.05)  # the header arrives before the body
        connection.sendall(b"a" * 50_000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 405")
        connection.sendall(b"a" * 50_000 + REQUEST)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_an_incomplete_header_after_a_slow_answer_closes_the_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(60)
        connection.sendall(REQUEST)
        got = b""
        while not got.endswith(b"done"):
            got += connection.recv(1000)
        connection.sendall(REQUEST[:-4])
        assert is_closed(connection)


def test_a_websocket_stays_open(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(60)
        connection.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\n" + UPGRADE)
        got = b""
        while b"late" not in got:
            got += (chunk := connection.recv(1000))
            assert chunk
