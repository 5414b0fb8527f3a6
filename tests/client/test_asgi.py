"""The ASGI middleware leaves streams, other protocols and cancellation unchanged."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import observability as obs

Records = Callable[[], list[dict]]
REQUEST = {"type": "http.request", "body": b'{"a": 1}', "more_body": False}
SCOPE = {"type": "http", "method": "POST", "path": "/", "headers": [(b"Content-Type", b"application/json")]}
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}


async def drive(application: Any, home: Path, scope: dict = SCOPE, on_send: Any = None, **options: Any) -> tuple[Any, list[dict]]:
    sent: list[dict] = []

    async def receive() -> dict:
        return REQUEST

    async def send(message: dict) -> None:
        sent.append(message)
        if on_send:
            on_send(message)

    middleware = obs.ObservabilityMiddleware(application, "loan", "3", home=home, **options)
    await middleware(scope, receive, send)
    middleware.close()
    return middleware, sent


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_protocols_pass_through(tmp_path: Path, records: Records, kind: str) -> None:
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, await receive()))
        await send({"type": f"{kind}.done"})

    scope = {"type": kind}
    _, sent = asyncio.run(drive(application, tmp_path, scope))
    assert seen[0][0] is scope and seen[0][1] is REQUEST and sent == [{"type": f"{kind}.done"}] and records() == []


def test_a_streamed_response_is_forwarded_in_chunks_and_not_buffered(tmp_path: Path, records: Records) -> None:
    progress: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({**START, "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(3):
            progress.append(f"made {number}")
            await send({"type": "http.response.body", "body": b"data\n" * 400_000, "more_body": number < 2})

    middleware, sent = asyncio.run(
        drive(application, tmp_path, on_send=lambda message: progress.append("sent"), outcome=lambda response: {"prediction": "streamed"})
    )
    assert progress == ["sent", "made 0", "sent", "made 1", "sent", "made 2", "sent"]
    assert all(len(message["body"]) == 2_000_000 for message in sent[1:])
    assert records()[0]["prediction"] == "streamed" and middleware.dropped == 0


def test_the_record_is_written_with_the_last_byte_and_not_after_background_work(tmp_path: Path, records: Records) -> None:
    began, passed = time.perf_counter(), list[float]()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(0.03)
        await send(START)
        await send({"type": "http.response.body", "body": b'{"score": 0.5}'})
        passed.append(1000 * (time.perf_counter() - began))
        assert len(records()) == 1
        await asyncio.sleep(0.03)
        raise RuntimeError("in the background")

    with pytest.raises(RuntimeError):
        asyncio.run(drive(application, tmp_path))
    (record,) = records()
    assert 29 <= record["latency_ms"] <= passed[0] + 0.001 and record["status"] == "ok"


def test_a_cancelled_request_is_a_timeout(tmp_path: Path, records: Records) -> None:
    waited = list[float]()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        began = time.perf_counter()
        try:
            await asyncio.sleep(60)
        finally:
            waited.append(1000 * (time.perf_counter() - began))

    async def give_up() -> None:
        await asyncio.wait_for(drive(application, tmp_path), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    (record,) = records()
    assert record["status"] == "timeout" and record["features"] == {"a": 1} and record["latency_ms"] >= waited[0] - 0.001


def test_a_disconnected_client_is_logged_as_an_error_and_raised_to_the_server(tmp_path: Path, records: Records) -> None:
    def gone(message: dict) -> None:
        raise ConnectionResetError

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({**START, "status": 500})

    with pytest.raises(ConnectionResetError):
        asyncio.run(drive(application, tmp_path, on_send=gone))
    assert [record["status"] for record in records()] == ["error"]


def test_messages_that_break_the_protocol_reach_the_server(tmp_path: Path) -> None:
    odd = [{"type": "http.response.start"}, {"type": "http.response.body", "body": "text"}]

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in odd:
            await send(message)

    _, sent = asyncio.run(drive(application, tmp_path, {**SCOPE, "headers": [("content-type", "text")]}))
    assert sent == odd


def test_concurrent_requests_are_recorded_separately(tmp_path: Path, records: Records) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = json.loads((await receive())["body"])
        await asyncio.sleep(0.001 * (body["a"] % 7))
        await send(START)
        await send({"type": "http.response.body", "body": json.dumps({"score": body["a"]}).encode()})

    async def all_at_once() -> None:
        middleware = obs.ObservabilityMiddleware(application, "loan", "3", home=tmp_path)

        async def one(number: int) -> None:
            async def receive() -> dict:
                return {**REQUEST, "body": json.dumps({"a": number}).encode()}

            async def send(message: dict) -> None:
                await asyncio.sleep(0)

            await middleware(dict(SCOPE), receive, send)

        await asyncio.gather(*map(one, range(100)))
        middleware.close()

    asyncio.run(all_at_once())
    assert sorted(record["score"] for record in records()) == list(range(100))
    assert all(record["features"] == {"a": record["score"]} for record in records())
