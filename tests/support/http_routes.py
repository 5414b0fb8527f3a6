"""Sends requests to the routes of the HTTP interface without a port."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute


@dataclass
class Answer:
    """An HTTP answer: its status, headers and body."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body, read as JSON."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


def ask_routes(
    routes: Sequence[BaseRoute], method: str, path: str, token: str | None = None, body: bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    """The answer to one request."""
    address, _, query = path.partition("?")
    sent = {} if token is None else {"authorization": f"Bearer {token}"}
    scope = {
        "type": "http",
        "method": method,
        "path": address,
        "raw_path": address.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in {**sent, **(headers or {})}.items()],
        "scheme": "http",
        "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 2),
        "http_version": "1.1",
    }
    answer = Answer()
    pieces = [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    asyncio.run(Starlette(routes=routes)(scope, receive, send))
    return answer
