"""Sends requests to an ASGI application, over HTTP or a WebSocket, without a port."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

HOST = "127.0.0.1:8501"
ORIGIN = f"http://{HOST}"


@dataclass
class Reply:
    """A response: its status, its headers as (name, value) in order, and its body."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header with this name."""
        return next((value for key, value in self.headers if key == name), None)

    def cookies(self) -> dict[str, str]:
        """The cookies that the response sets."""
        pairs = [value.split(";")[0].partition("=") for key, value in self.headers if key == "set-cookie"]
        return {name: value for name, _, value in pairs}


def _scope(kind: str, path: str, headers: dict[str, str], server: str) -> dict[str, Any]:
    address, _, query = path.partition("?")
    return {
        "type": kind,
        "path": address,
        "raw_path": address.encode(),
        "query_string": query.encode("latin-1", "replace"),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "scheme": "http" if kind == "http" else "ws",
        "server": (server, 8501),
        "client": ("127.0.0.1", 40_000),
        "http_version": "1.1",
        "subprotocols": [],
    }


def http(
    app: ASGIApp,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    *,
    host: str = HOST,
    server: str = "127.0.0.1",
) -> Reply:
    """The response of an application to one HTTP request."""
    reply, sent = Reply(), [body]
    scope = {**_scope("http", path, {"host": host, **(headers or {})}, server), "method": method}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent.pop(), "more_body": False} if sent else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = [(name.decode().lower(), value.decode()) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            reply.body += message.get("body", b"")

    asyncio.run(app(scope, receive, send))
    return reply


def websocket(
    app: ASGIApp, headers: dict[str, str], messages: int = 0, *, path: str = "/_stcore/stream", server: str = "127.0.0.1"
) -> list[str]:
    """The types of the messages from the server if a client connects, sends the given number of binary messages, and leaves."""
    said: list[str] = []
    inbox = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "bytes": b"x"} for _ in range(messages))]

    async def receive() -> Any:
        return inbox.pop(0) if inbox else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        said.append(message["type"])

    asyncio.run(app(_scope("websocket", path, headers, server), receive, send))
    return said
