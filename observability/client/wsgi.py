"""Middleware that logs the predictions of a WSGI service (Flask, Django, Bottle)."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from observability.client.encode import utc_now_text
from observability.client.exchange import Capture, Exchange, Middleware, Recorder, may_be_json

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class ObservabilityWSGIMiddleware(Middleware[App]):
    """The same as `ObservabilityMiddleware`, for WSGI: the same exchange gives the same record, and the keywords are the same
    (`exchange.Options`).

    A response that is a list or tuple is passed on and logged at once. Any other iterable is passed on chunk by chunk, and logged at its
    end or at `close`.
    """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on unchanged, and record it if it may carry a prediction."""
        if not self._recorder.wants(environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/", environ.get("CONTENT_TYPE", "")):
            return self.app(environ, start_response)
        watch = _WsgiExchange(self._recorder, environ, start_response)
        try:
            chunks = self.app(environ, watch.start_response)
        except BaseException as error:
            watch.finish(error)
            raise
        if not isinstance(chunks, list | tuple):
            return _WatchedChunks(chunks, watch)
        for chunk in chunks:
            watch.response.add(chunk)
        watch.finish()
        return chunks


class _WsgiExchange:
    """One request: its input, the start of its response, and the record at the end."""

    def __init__(self, recorder: Recorder, environ: Environ, start_response: StartResponse) -> None:
        self._recorder, self._start_response = recorder, start_response
        self._request, self.response = Capture(recorder.max_body_bytes), Capture(recorder.max_body_bytes)
        self._headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
        environ["wsgi.input"] = _Tee(environ.get("wsgi.input"), self._request)
        self._status: int | None = None
        self._finished = False
        self._at, self._start = utc_now_text(), time.perf_counter()

    def start_response(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        """Call the server's `start_response` and keep the status."""
        try:
            self._status = int(status.split(None, 1)[0])
            if not may_be_json({name.lower(): value for name, value in headers}):
                self.response.give_up()
        except (ValueError, IndexError, AttributeError, TypeError):  # the server reports the error
            self.response.give_up()
        write = self._start_response(status, headers, *exc_info)

        def watched_write(chunk: bytes) -> object:
            self.response.add(chunk)
            return write(chunk)

        return watched_write

    def finish(self, failure: BaseException | None = None) -> None:
        """Write the record; later calls do nothing."""
        if self._finished:
            return
        self._finished = True
        latency_ms = (time.perf_counter() - self._start) * 1000
        self._recorder.record(Exchange(self._at, latency_ms, self._headers, self._request.body, self._status, self.response.body, failure))


class _Tee:
    """A request's input that captures the bytes that the application reads."""

    def __init__(self, stream: Any, capture: Capture) -> None:
        self._stream, self._capture = stream, capture

    def _keep(self, chunk: bytes) -> bytes:
        self._capture.add(chunk)
        return chunk

    def read(self, *size: int) -> bytes:
        return self._keep(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._keep(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._keep(line) for line in self._stream.readlines(*hint)]

    def readinto(self, buffer: Any) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            yield self._keep(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _WatchedChunks:
    """The chunks of a response, captured as they pass."""

    def __init__(self, chunks: Iterable[bytes], watch: _WsgiExchange) -> None:
        self._chunks, self._watch = chunks, watch
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._iterator is None:
                self._iterator = iter(self._chunks)
            chunk = next(self._iterator)
        except StopIteration:
            self._watch.finish()
            raise
        except BaseException as error:
            self._watch.finish(error)
            raise
        self._watch.response.add(chunk)
        return chunk

    def close(self) -> None:
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            self._watch.finish()
