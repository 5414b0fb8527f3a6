"""Middleware that logs the predictions of an ASGI service (FastAPI, Starlette, Django)."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from observability.client.encode import utc_now_text
from observability.client.exchange import Capture, Exchange, Middleware, Recorder, may_be_json

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class ObservabilityMiddleware(Middleware[App]):
    """Log a prediction for each matching request of an ASGI application, with its features, score, status and latency.

    `app = obs.ObservabilityMiddleware(app, model="loan", version="3")`; the keywords are those of `exchange.Options`. Requests and
    responses pass unchanged and without delay; the record is written after the last byte of the response. Never raises into the
    application.
    """

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a connection on unchanged, and record it if it may carry a prediction."""
        headers = _named(scope.get("headers", ())) if scope["type"] == "http" else {}
        if scope["type"] != "http" or not self._recorder.wants(scope["method"], scope["path"], headers.get("content-type", "")):
            await self.app(scope, receive, send)
            return
        watch = _AsgiExchange(self._recorder, headers, receive, send)
        try:
            await self.app(scope, watch.receive, watch.send)
        except BaseException as error:
            watch.finish(error)
            raise
        watch.finish()


class _AsgiExchange:
    """One request: its receive and send channels, the captured bodies, and the record at the end."""

    def __init__(self, recorder: Recorder, headers: dict[str, str], receive: Receive, send: Send) -> None:
        self._recorder, self._headers, self._receive, self._send = recorder, headers, receive, send
        self._request, self._response = Capture(recorder.max_body_bytes), Capture(recorder.max_body_bytes)
        self._status: int | None = None
        self._finished = False
        self._at, self._start = utc_now_text(), time.perf_counter()
        self._end: float | None = None

    async def receive(self) -> Message:
        """The next message from the server to the application."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._request.add(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass on the next message from the application to the server. The last message ends the exchange."""
        if message["type"] == "http.response.start":
            self._status = message.get("status")
            if not may_be_json(_named(message.get("headers", ()))):
                self._response.give_up()
        elif message["type"] == "http.response.body":
            self._response.add(message.get("body", b""))
            if not message.get("more_body", False):
                self._end = time.perf_counter()
        try:
            await self._send(message)
        finally:
            if self._end is not None:
                self.finish()

    def finish(self, failure: BaseException | None = None) -> None:
        """Write the record; later calls do nothing."""
        if self._finished:
            return
        self._finished = True
        latency_ms = ((self._end or time.perf_counter()) - self._start) * 1000
        self._recorder.record(Exchange(self._at, latency_ms, self._headers, self._request.body, self._status, self._response.body, failure))


def _named(headers: Any) -> dict[str, str]:
    """Headers by lower-case name. Invalid headers are left out; the server rejects them."""
    try:
        return {bytes(name).decode("latin-1").lower(): bytes(value).decode("latin-1") for name, value in headers}
    except (TypeError, ValueError):
        return {}
