"""The WSGI middleware follows PEP 3333 and leaves lists, streams and inputs unchanged."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

import observability as obs

Records = Callable[[], list[dict]]
HEADERS = [("Content-Type", "application/json")]


def environment(body: bytes = b'{"a": 1}') -> dict:
    environ: dict = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "QUERY_STRING": ""}
    environ["wsgi.input"] = io.BytesIO(body)
    setup_testing_defaults(environ)
    return environ


def watched(application: Any, home: Path, **options: Any) -> obs.ObservabilityWSGIMiddleware:
    return obs.ObservabilityWSGIMiddleware(application, "loan", "3", home=home, **options)


def test_the_middleware_is_valid_wsgi_on_both_sides(tmp_path: Path, records: Records) -> None:
    def application(environ: dict, start_response: Any) -> Iterator[bytes]:
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", HEADERS)
        return iter([b'{"score"', b": 0.5}"])

    middleware = validator(watched(validator(application), tmp_path))
    chunks = middleware(environment(), lambda status, headers, exc_info=None: lambda data: None)
    assert b"".join(chunks) == b'{"score": 0.5}'
    chunks.close()
    assert records()[0]["score"] == 0.5


def test_a_list_response_is_passed_on_unchanged(tmp_path: Path, records: Records) -> None:
    answer = [b'{"score": 0.5}']

    def application(environ: dict, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", HEADERS)
        return answer

    assert watched(application, tmp_path)(environment(), lambda *_: None) is answer
    assert records()[0]["score"] == 0.5


@pytest.mark.parametrize(
    "read",
    [
        lambda stream: stream.read(),
        lambda stream: stream.readline() + stream.readline(),
        lambda stream: b"".join(stream.readlines()),
        lambda stream: b"".join(stream),
        lambda stream: (buffer := bytearray(100), buffer[: stream.readinto(buffer)])[1],
    ],
)
def test_every_wsgi_input_method_records_the_body(tmp_path: Path, records: Records, read: Callable[[Any], bytes]) -> None:
    body = b'{"a":\n1}'

    def application(environ: dict, start_response: Any) -> list[bytes]:
        assert read(environ["wsgi.input"]) == body and environ["wsgi.input"].seekable()
        start_response("200 OK", HEADERS)
        return [b"0.5"]

    watched(application, tmp_path)(environment(body), lambda *_: None)
    assert records()[0]["features"] == {"a": 1}


def test_a_response_through_the_wsgi_write_callable_is_recorded(tmp_path: Path, records: Records) -> None:
    written: list[bytes] = []

    def application(environ: dict, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", HEADERS)(b'{"score": 0.25}')
        return []

    watched(application, tmp_path)(environment(), lambda *_: written.append)
    assert written == [b'{"score": 0.25}'] and records()[0]["score"] == 0.25


class Stream:
    """An answer that fails after its first chunk, and records whether it was closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"sc'
        raise TimeoutError

    def close(self) -> None:
        self.closed = True


def test_a_failed_response_stream_is_closed_and_logged(tmp_path: Path, records: Records) -> None:
    stream = Stream()

    def application(environ: dict, start_response: Any) -> Stream:
        environ["wsgi.input"].read()
        start_response("200 OK", HEADERS)
        return stream

    chunks = watched(application, tmp_path)(environment(), lambda *_: None)
    assert next(iter(chunks)) == b'{"sc' and records() == []
    with pytest.raises(TimeoutError):
        next(iter(chunks))
    chunks.close()
    assert stream.closed and [record["status"] for record in records()] == ["timeout"]


def test_a_generator_that_starts_its_response_late_is_recorded(tmp_path: Path, records: Records) -> None:
    def application(environ: dict, start_response: Any) -> Iterator[bytes]:
        score = json.loads(environ["wsgi.input"].read())["a"]
        start_response("200 OK", HEADERS)
        yield json.dumps({"score": score}).encode()

    assert list(watched(application, tmp_path)(environment(), lambda *_: None)) == [b'{"score": 1}']
    assert records()[0]["score"] == 1
