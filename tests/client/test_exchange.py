"""The same request and response give the same record through ASGI and WSGI."""

import asyncio
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import observability as obs
from observability.client import exchange
from observability.client.exchange import response_status

Records = Callable[[], list[dict]]
JSON = {"content-type": "application/json"}


class Answer(Exception):
    """What the application under test does: it answers with these values, or raises `failure`."""

    def __init__(self, body: object = None, status: int = 200, headers: dict | None = None, failure: BaseException | None = None) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers, self.failure = status, JSON if headers is None else headers, failure


def ask_asgi(home: Path, request: bytes, answer: Answer, *, path: str, method: str, headers: dict, **options: Any) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        assert body == request, "the application sees the request unchanged"
        if answer.failure:
            raise answer.failure
        pairs = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer.body[:5], "more_body": True})
        await send({"type": "http.response.body", "body": answer.body[5:]})

    middleware = obs.ObservabilityMiddleware(application, "loan", "3", home=home, **options)
    incoming = [{"type": "http.request", "body": request[:7], "more_body": True}, {"type": "http.request", "body": request[7:]}]
    sent: list[dict] = []

    async def receive() -> dict:
        return incoming.pop(0)

    async def send(message: dict) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs}
    asyncio.run(middleware(scope, receive, send))
    assert sent[0]["status"] == answer.status and b"".join(message["body"] for message in sent[1:]) == answer.body
    return middleware


def ask_wsgi(home: Path, request: bytes, answer: Answer, *, path: str, method: str, headers: dict, **options: Any) -> Any:
    def application(environ: dict, start_response: Any) -> Any:
        assert environ["wsgi.input"].read(7) + environ["wsgi.input"].read() == request
        if answer.failure:
            raise answer.failure
        start_response(f"{answer.status} Said", list(answer.headers.items()))
        return iter([answer.body[:5], answer.body[5:]])

    middleware = obs.ObservabilityWSGIMiddleware(application, "loan", "3", home=home, **options)
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(request)}
    environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items() if name != "content-type"}
    environ["CONTENT_TYPE"] = headers.get("content-type", "")
    started: list[str] = []
    chunks = middleware(environ, lambda status, headers, *exc: started.append(status))
    assert b"".join(chunks) == answer.body and started == [f"{answer.status} Said"]
    getattr(chunks, "close", lambda: None)()  # the server's part
    return middleware


@pytest.fixture(params=[ask_asgi, ask_wsgi])
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """A function ask(request body, answer, …) that sends the request through a middleware, and returns the closed middleware."""

    def send(
        body: object, answer: Answer, *, path: str = "/score", method: str = "POST", headers: dict | None = None, **options: Any
    ) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        middleware = None
        try:
            middleware = request.param(tmp_path, raw, answer, path=path, method=method, headers=headers or JSON, **options)
        finally:
            if middleware is not None:
                middleware.close()
        return middleware

    return send


def test_a_request_writes_a_complete_prediction_record(ask: Callable[..., Any], records: Records) -> None:
    request = {"features": {"age": 41, "name": "é", "nan": float("nan")}, "id": "q1", "subject": 17}
    middleware = ask(request, Answer({"score": 0.62, "prediction": 1, "threshold": 0.5, "model": "other"}), environment="shadow")
    (record,) = records()
    assert record.pop("latency_ms") >= 0 and record.pop("at").endswith("Z")
    assert record == {
        "kind": "prediction",
        "id": "q1",
        "model": "loan",
        "version": "3",
        "features": {"age": 41, "name": "é", "nan": "NaN"},
        "score": 0.62,
        "prediction": 1,
        "threshold": 0.5,
        "status": "ok",
        "subject": "17",
        "environment": "shadow",
    }
    assert (middleware.dropped, middleware.last_error) == (0, None)


@pytest.mark.parametrize(
    ("request_body", "answer", "headers", "expected"),
    [
        ({"a": 1, "id": "q"}, Answer({"probability": 0.2}), JSON, {"features": {"a": 1}, "score": 0.2, "id": "q"}),
        ({"a": 1, "id": "q"}, Answer({"id": "r", "prediction": "cat"}), JSON, {"prediction": "cat", "id": "r"}),
        ({"a": 1}, Answer(0.7), {**JSON, "x-request-id": "h"}, {"score": 0.7, "id": "h"}),
        ({"a": 1}, Answer({"score": {"a": 0.1, "b": 0.9}}, headers={}), {}, {"score": {"a": 0.1, "b": 0.9}}),
        ({"a": 1}, Answer({"score": 0.1, "status": "fallback", "version": "4"}), JSON, {"status": "fallback", "version": "4"}),
        ({"a": 1}, Answer({"error": "x"}, status=500), JSON, {"status": "error", "features": {"a": 1}}),
        ({"a": 1}, Answer({"error": "x"}, status=504), JSON, {"status": "timeout"}),
        ({"a": 1}, Answer({"detail": "a is low"}, status=422), JSON, {"status": "rejected"}),
        ({"a": 1}, Answer(b"<html>", status=503, headers={"content-type": "text/html"}), JSON, {"status": "error"}),
    ],
)
def test_recorded_fields_are_read_from_body_response_and_headers(
    ask: Callable[..., Any], records: Records, request_body: dict, answer: Answer, headers: dict, expected: dict
) -> None:
    ask(request_body, answer, headers=headers)
    (record,) = records()
    assert {name: record.get(name) for name in expected} == expected and record["id"]


@pytest.mark.parametrize(
    ("changes", "body", "answer"),
    [
        ({"method": "GET"}, {"a": 1}, Answer({"score": 1})),
        ({"path": "/other", "paths": ["/score", "/v1/*"]}, {"a": 1}, Answer({"score": 1})),
        ({"headers": {"content-type": "multipart/form-data"}}, {"a": 1}, Answer({"score": 1})),
        ({}, [1, 2], Answer({"score": 1})),
        ({}, b"not json", Answer({"score": 1})),
        ({}, b"", Answer({"score": 1})),
        ({}, {"a": 1}, Answer({}, status=404)),
        ({}, {"a": 1}, Answer({}, status=307)),
        ({"features": lambda request: None}, {"a": 1}, Answer({"score": 1})),
    ],
)
def test_requests_that_are_not_predictions_are_not_recorded(
    ask: Callable[..., Any], records: Records, changes: dict, body: object, answer: Answer
) -> None:
    middleware = ask(body, answer, **changes)
    assert records() == [] and middleware.dropped == 0


@pytest.mark.parametrize("path", ["/score", "/v1/loan/score"])
def test_configured_paths_are_recorded(ask: Callable[..., Any], records: Records, path: str) -> None:
    ask({"a": 1}, Answer({"score": 1}), path=path, paths=["/score", "/v1/*"])
    assert len(records()) == 1


@pytest.mark.parametrize(
    ("options", "body", "answer", "reason"),
    [
        ({}, {"a": 1}, Answer({"answer": 42}), "no score"),
        ({}, {"a": 1}, Answer(b"data: 1", headers={"content-type": "text/event-stream"}), "no score"),
        ({}, {"a": 1}, Answer(gzip.compress(b'{"score": 1}'), headers={**JSON, "content-encoding": "gzip"}), "no score"),
        ({"max_body_bytes": 50}, {"a": "x" * 100}, Answer({"score": 1}), "more than 50 bytes"),
        ({"max_body_bytes": 50}, {"a": 1}, Answer({"score": 1, "pad": "x" * 100}), "no score"),
        ({"features": lambda request: request["missing"]}, {"a": 1}, Answer({"score": 1}), "KeyError: 'missing'"),
        ({"outcome": lambda response: 1 / 0}, {"a": 1}, Answer({"score": 1}), "ZeroDivisionError"),
        ({"identify": lambda *_: 1 / 0}, {"a": 1}, Answer({"score": 1}), "ZeroDivisionError"),
        ({}, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", Answer({"score": 1}), "RecursionError"),
    ],
)
def test_a_request_that_cannot_be_logged_is_counted_with_the_reason(
    ask: Callable[..., Any], records: Records, options: dict, body: object, answer: Answer, reason: str
) -> None:
    middleware = ask(body, answer, **options)
    assert records() == [] and middleware.dropped == 1 and reason in str(middleware.last_error)


def test_callables_extract_features_outcome_and_cost(ask: Callable[..., Any], records: Records) -> None:
    ask(
        {"rows": [{"a": 1}]},
        Answer({"out": [0.3], "ref": "z"}),
        headers={**JSON, "X-User": "u9"},
        features=lambda request: request["rows"][0],
        outcome=lambda response: {"score": response["out"][0], "cost": 0.01},
        identify=lambda request, response, headers: response["ref"],
        subject=lambda request, headers: headers["x-user"],
    )
    (record,) = records()
    assert {name: record[name] for name in ("features", "score", "cost", "id", "subject")} == {
        "features": {"a": 1},
        "score": 0.3,
        "cost": 0.01,
        "id": "z",
        "subject": "u9",
    }


@pytest.mark.parametrize(("failure", "status"), [(ValueError("model"), "error"), (TimeoutError(), "timeout"), (SystemExit(), "error")])
def test_a_service_exception_is_raised_unchanged_and_logged(
    ask: Callable[..., Any], tmp_path: Path, records: Records, failure: BaseException, status: str
) -> None:
    log = obs.Logger(tmp_path)
    with pytest.raises(type(failure)) as raised:
        ask({"a": 1}, Answer(failure=failure), logger=log)
    log.close()
    (record,) = records()
    assert raised.value is failure and record["status"] == status and "score" not in record


def test_a_broken_disk_does_not_reach_the_service(ask: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "landing").write_text("a file where the folder should be")
    middleware = ask({"a": 1}, Answer({"score": 1}))
    assert middleware.dropped == 1


@pytest.mark.parametrize(
    ("status", "failure", "expected"),
    [
        (200, None, "ok"),
        (204, None, "ok"),
        (400, None, "rejected"),
        (401, None, None),
        (404, None, None),
        (408, None, "timeout"),
        (429, None, "rejected"),
        (500, None, "error"),
        (504, None, "timeout"),
        (None, None, "error"),
        (302, None, None),
        (None, ValueError(), "error"),
        (200, ValueError(), "error"),
        (None, TimeoutError(), "timeout"),
        (422, ValueError(), "rejected"),
        (None, asyncio.CancelledError(), "timeout"),
        (None, type("ReadTimeout", (Exception,), {})(), "timeout"),
    ],
)
def test_the_logged_status_follows_http_status_and_exception(
    status: int | None, failure: BaseException | None, expected: str | None
) -> None:
    assert response_status(status, failure) == expected


@pytest.mark.parametrize(
    ("request_body", "answer"),
    [
        ([{"a": 1}, {"a": 2, "id": "own"}, {"a": 3}], [{"score": 0.1}, {"score": 0.2}, 0.3]),
        ({"instances": [{"a": 1}, {"a": 2, "id": "own"}, {"a": 3}]}, {"predictions": [0.1, {"probability": 0.2}, {"score": 0.3}]}),
    ],
)
def test_each_prediction_of_a_list_is_one_record(ask: Callable[..., Any], records: Records, request_body: Any, answer: Any) -> None:
    middleware = ask(request_body, Answer(answer), headers={**JSON, "x-request-id": "h"})
    assert [(record["id"], record["features"], record["score"]) for record in records()] == [
        ("h-0", {"a": 1}, 0.1),
        ("own", {"a": 2}, 0.2),
        ("h-2", {"a": 3}, 0.3),
    ]
    assert middleware.dropped == 0


def test_each_item_of_a_failed_list_is_a_failure_and_missing_answers_are_counted(ask: Callable[..., Any], records: Records) -> None:
    ask([{"a": 1}, {"a": 2}], Answer({"detail": "no"}, status=500))
    assert [record["status"] for record in records()] == ["error", "error"]
    for body in ([0.1], {"scores": [0.1, 0.2, 0.3]}, {"score": 0.1}, None):
        middleware = ask([{"a": 1}, {"a": 2}], Answer(body))
        assert (middleware.dropped, middleware.unscored) == (2, 2)
        assert "the request has 2 predictions" in middleware.last_error
    assert len(records()) == 2


def test_extract_reads_other_shapes(ask: Callable[..., Any], records: Records) -> None:
    def extract(request: Any, response: Any, headers: Any) -> list[dict]:
        rows = [dict(zip(request["columns"], row, strict=True)) for row in request["data"]]
        scores = [None] * len(rows) if response is None else response["data"]
        return [{"features": row, "score": score, "id": f"{headers['x-key']}{i}"} for i, (row, score) in enumerate(zip(rows, scores))]

    request = {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}
    ask(request, Answer({"data": [0.1, 0.2]}), headers={**JSON, "x-key": "k"}, extract=extract)
    middleware = ask(request, Answer({"data": [0.1, None]}), headers={**JSON, "x-key": "l"}, extract=extract)
    assert middleware.unscored == 1
    ask(request, Answer(status=503), headers={**JSON, "x-key": "m"}, extract=extract)
    assert {record["id"]: (record.get("score"), record["status"]) for record in records()} == {
        "k0": (0.1, "ok"),
        "k1": (0.2, "ok"),
        "l0": (0.1, "ok"),
        "m0": (None, "error"),
        "m1": (None, "error"),
    }
    assert records()[0]["features"] == {"a": 1, "b": "x"}


def test_answers_without_a_score_are_warned_of_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(exchange.time, "monotonic", lambda: clock[0])
    recorder = exchange.Recorder("loan", "3", home=tmp_path)
    unscored = exchange.Exchange("2026-11-01T00:00:00Z", 1.0, {}, b'{"a": 1}', 200, b'{"answer": "yes"}')
    for _ in range(3):
        recorder.record(unscored)
    assert len(caplog.messages) == 1
    clock[0] += exchange.WARN_SECONDS
    recorder.record(unscored)
    recorder.record(unscored)
    assert len(caplog.messages) == 2
    assert caplog.messages[1].startswith("3 predictions of loan")
    assert (recorder.unscored, recorder.log.dropped) == (5, 5)
