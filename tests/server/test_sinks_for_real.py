"""The public libraries of CloudEvents and OpenTelemetry send to a server over HTTP. Each sent record is either stored once or rejected
once.
"""

import http.client
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cloudevents.core.bindings import http as binding
from cloudevents.core.v1.event import CloudEvent
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from observability.server import tokens
from observability.store.opener import open_store
from tests.store.conftest import query
from tests.support.collector import Collector

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Collector]:
    """A running server with the HTTP routes and the loader."""
    made = Collector(tmp_path / "home")
    made.start()
    yield made
    made.kill()


def post(server: Collector, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict]:
    """The response to one request with the write token."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", path, body, {**headers, "Authorization": f"Bearer {server.token}"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def stored(server: Collector) -> dict[str, list]:
    """The ids of predictions, the models, and the rejected lines, read after the server has ended."""
    server.kill()
    with open_store(server.home) as store:
        store.load_landing()
        models = [model.key for model in store.catalog().models]
        ids = [name for key in models for (name,) in query(store, f"SELECT id FROM predictions_{key}")]
        return {"ids": sorted(ids), "models": [model.name for model in store.catalog().models], "rejected": query(store, "FROM rejected")}


def test_events_of_the_cloudevents_library_are_stored_or_rejected(server: Collector) -> None:
    sent, accepted, rejected = 0, 0, 0
    for number in range(12):
        about = {"source": "/models/loan", "inferenceservicename": "loan", "requestid": f"r{number}", "modelversion": "3"}
        about |= {"datacontenttype": "application/json", "specversion": "1.0"}
        at = START + timedelta(minutes=number)
        answer = {"predictions": [0.25]} if number % 4 else {"predictions": "a text that is no list"}
        parts = [
            ("request", at, {"instances": [{"age": 30 + number, "job": "clerk"}]}),
            ("response", at + timedelta(milliseconds=12), answer),
        ]
        for part, time, data in parts:
            event = CloudEvent({**about, "id": f"{part}-{number}", "time": time, "type": f"org.kubeflow.serving.inference.{part}"}, data)
            message = binding.to_binary_event(event) if number % 2 else binding.to_structured_event(event)
            status, body = post(server, "/api/v1/cloudevents", dict(message.headers), message.body)
            assert status in (202, 422), body
            accepted, rejected = accepted + body["accepted"], rejected + len(body["rejected"])
        sent += 1
    found = stored(server)
    assert found["models"] == ["loan"] and len(found["ids"]) == len(set(found["ids"])) == accepted
    assert sent == accepted + rejected and (accepted, rejected) == (9, 3)


def test_spans_of_the_opentelemetry_sdk_are_stored_or_rejected(server: Collector) -> None:
    headers = {"Authorization": f"Bearer {server.token}"}
    exporter = OTLPSpanExporter(endpoint=f"{server.url}/v1/traces", headers=headers, timeout=60)
    provider = TracerProvider(resource=Resource({"service.name": "checkout"}))
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=16))
    tracer = provider.get_tracer("tests")
    for number in range(50):
        with tracer.start_as_current_span("predict") as span:
            span.set_attribute("observability.model", "loan")
            if number % 5:
                span.set_attribute("observability.version", "3")
            span.set_attribute("observability.feature.age", 30 + number)
            span.set_attribute("observability.score", 0.25)
            span.set_attribute("observability.id", f"p{number}")
        with tracer.start_as_current_span("a query of a database"):
            pass
    assert provider.force_flush(60_000)
    provider.shutdown()
    read = tokens.create_token(server.home, "read")[1]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {read}"})
    told = dict(re.findall(r'ingest_spans\w*\{outcome="(\w+)"\} (\d+)', connection.getresponse().read().decode()))
    found = stored(server)
    assert found["ids"] == sorted(f"p{number}" for number in range(50) if number % 5)
    assert sum(map(int, told.values())) == 100 and len(found["ids"]) + int(told["rejected"]) == 50, told
