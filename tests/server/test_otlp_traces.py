"""OTLP/HTTP: spans with the documented attributes become predictions, in protobuf and in JSON; rejections are reported as OTLP requires."""

import builtins
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from observability.core import telemetry
from observability.core.limits import IntakeLimits
from observability.core.questions import Sample
from observability.core.window import Window
from observability.records.keyed_hash import home_key
from observability.records.protection import hashed_value
from observability.server import api, process_lock, tokens
from observability.server.otlp_traces import OtlpSpan, SpanError, read_spans, span_record
from observability.server.route_access import route_needs
from tests.support.bytes_of_home import found_in
from tests.support.http_routes import ask_routes
from tests.support.new_store import new_store

PATH = "/v1/traces"
START = 1_793_527_200_000_000_000  # 2026-11-01T10:00:00Z
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
OWN = {
    "observability.model": "loan",
    "observability.version": 3,
    "observability.feature.age": 41,
    "observability.feature.job": "clerk",
    "observability.feature.member": True,
    "observability.score": 0.25,
    "observability.group.sex": "F",
    "observability.note": "kept",
}
GEN_AI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 180,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.response.finish_reasons": ["stop"],
}


MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]}, {"role": "user", "content": "Today?"}]


@pytest.mark.parametrize(
    "own",
    [
        {"gen_ai.input.messages": json.dumps(MESSAGES)},
        {"gen_ai.input.messages": MESSAGES},
        {"gen_ai.prompt": "Where is it?\nToday?"},
        {"gen_ai.prompt.1.content": "Today?", "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Where is it?"},
    ],
)
def test_texts_of_a_plain_span_are_features(own):
    attributes = GEN_AI | own | {"gen_ai.output.messages": json.dumps([{"parts": [{"type": "text", "content": "No."}]}])}
    features = span_record(OtlpSpan(TRACE, SPAN, START, START, attributes=attributes))["features"]
    assert (features["input_text"], features["output_text"]) == ("Where is it?\nToday?", "No.")


def test_a_span_without_texts_has_none_and_a_long_one_is_cut():
    assert "input_text" not in span_record(OtlpSpan(TRACE, SPAN, START, START, attributes=GEN_AI))["features"]
    cut = span_record(OtlpSpan(TRACE, SPAN, START, START, attributes=GEN_AI | {"gen_ai.prompt": "[" + "x" * 50_000}))
    assert len(cut["features"]["input_text"]) == 32_000


def any_value(value):
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}[type(value)]
    return AnyValue(**{kind: value})


def export(*spans, **resource):
    """A request with spans. Each positional argument holds the attributes of a span; its key `span` holds further fields of the span."""
    request = trace_service_pb2.ExportTraceServiceRequest()
    part = request.resource_spans.add()
    part.resource.attributes.extend(KeyValue(key=key.replace("_", "."), value=any_value(value)) for key, value in resource.items())
    scope = part.scope_spans.add()
    for place, attributes in enumerate(spans):
        span = scope.spans.add(
            trace_id=bytes.fromhex(TRACE),
            span_id=(int(SPAN, 16) + place).to_bytes(8),
            name="predict",
            start_time_unix_nano=START,
            end_time_unix_nano=START + 12_500_000,
        )
        span.status.code = attributes.get("span", 0)
        span.attributes.extend(KeyValue(key=key, value=any_value(value)) for key, value in attributes.items() if key != "span")
    return request


def json_form(request):
    """The JSON encoding of OTLP: ids as hexadecimal, enums as numbers."""
    body = MessageToDict(request, use_integers_for_enums=True)
    for part in body["resourceSpans"]:
        for scope in part["scopeSpans"]:
            for place, span in enumerate(scope["spans"]):
                span["traceId"], span["spanId"] = TRACE, f"{int(SPAN, 16) + place:016x}"
    return json.dumps(body).encode()


@pytest.fixture
def sink(tmp_path, monkeypatch):
    """A function that posts spans to the owner of a new home."""
    monkeypatch.setattr(telemetry, "SPANS", telemetry.EventCounts())
    store = new_store(tmp_path / "home", threads=1)
    owner = process_lock.Owner(store.home, process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", owner)
    token = tokens.create_token(store.home, "write")[1]

    def post(body, media="application/x-protobuf", token=token, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask_routes(api.routes(), "POST", PATH, token, body, {"content-type": media, **named})

    def load():
        owner.records.publish()
        return store.load_landing()

    post.store, post.load = store, load
    yield post
    store.close()


def test_protobuf_and_json_requests_give_the_same_records(sink):
    request = export(OWN, GEN_AI, service_name="shop")
    binary = request.SerializeToString()
    assert read_spans(binary, "protobuf") == read_spans(json_form(request), "json")
    reply = sink(gzip.compress(binary), content_encoding="gzip")
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "application/x-protobuf", b"")
    again = sink(json_form(request), "application/json")
    assert (again.status, again.json()) == (200, {})
    report = sink.load()
    assert (report.stored, report.duplicates, report.rejected) == (2, 2, 0)
    assert {model.name for model in sink.store.catalog().models} == {"loan", "gpt-4o"}
    assert {column.reference for column in sink.store.catalog().model("loan").columns} == {
        "feature.age",
        "feature.job",
        "feature.member",
        "group.sex",
    }


def span(attributes, status=0, **resource):
    return OtlpSpan(TRACE, SPAN, START, START + 12_500_000, status, attributes, resource)


def test_a_span_with_own_attributes_is_a_prediction():
    assert span_record(span(OWN)) == {
        "kind": "prediction",
        "id": f"{TRACE}-{SPAN}",
        "at": "2026-11-01T10:00:00+00:00",
        "latency_ms": 12.5,
        "model": "loan",
        "version": "3",
        "features": {"age": 41, "job": "clerk", "member": True},
        "groups": {"sex": "F"},
        "score": 0.25,
        "note": "kept",
    }
    several = span_record(
        span({"observability.model": "m", "observability.version": "1", "observability.score.a": 0.3, "observability.score.b": 0.7})
    )
    assert several["score"] == {"a": 0.3, "b": 0.7}
    given = span_record(span({**OWN, "observability.id": 7, "observability.latency_ms": 3.5, "observability.kind": "label"}))
    assert (given["id"], given["latency_ms"], given["kind"]) == ("7", 3.5, "prediction")
    with pytest.raises(SpanError, match=r"observability\.version"):
        span_record(span({"observability.model": "m"}))
    with pytest.raises(SpanError, match="both"):
        span_record(span({**OWN, "observability.score.a": 1.0}))


def test_a_call_of_a_language_model_is_a_prediction_of_the_model_that_was_asked():
    record = span_record(span(GEN_AI, **{"service.name": "shop"}))
    assert (record["model"], record["version"], record["prediction"]) == ("gpt-4o", "gpt-4o-2024-08-06", "stop")
    assert record["features"] == {
        "operation": "chat",
        "input_tokens": 100,
        "output_tokens": 180,
        "temperature": 0.5,
        "provider": "openai",
        "service": "shop",
    }
    assert "status" not in record
    failed = span_record(span({"gen_ai.request.model": "gpt-4o", "error.type": "ReadTimeout"}, status=2))
    assert (failed["status"], failed["error_type"], failed["version"]) == ("timeout", "ReadTimeout", "gpt-4o")
    assert "prediction" not in failed
    assert span_record(span({"gen_ai.request.model": "gpt-4o"}, status=2))["status"] == "error"
    assert span_record(span({"gen_ai.operation.name": "execute_tool", "gen_ai.request.model": "gpt-4o"})) is None
    assert span_record(span({"http.request.method": "GET"})) is None


def test_own_attributes_of_a_call_are_added_to_the_fields_of_its_span():
    more = {"observability.cost": 0.0021, "observability.refused": True, "observability.feature.topic": "refund"}
    record = span_record(span({**GEN_AI, **more}))
    assert (record["model"], record["version"], record["prediction"]) == ("gpt-4o", "gpt-4o-2024-08-06", "stop")
    assert (record["cost"], record["refused"]) == (0.0021, True)
    assert record["features"] == span_record(span(GEN_AI))["features"] | {"topic": "refund"}
    other = span_record(span({**GEN_AI, **OWN}))
    assert other == span_record(span(OWN)), "a span that names its own model is not a call of the vendor's model"


def test_rejected_spans_are_a_partial_success_and_other_spans_are_passed_over(sink):
    request = export(
        OWN, {"http.route": "/"}, {"observability.model": "m"}, {**OWN, "observability.score": 7.5, "observability.status": "no"}
    )
    reply = sink(request.SerializeToString())
    answer = trace_service_pb2.ExportTraceServiceResponse.FromString(reply.body)
    assert reply.status == 200
    assert answer.partial_success.rejected_spans == 2
    assert "observability.version" in answer.partial_success.error_message
    assert "status" in answer.partial_success.error_message
    assert telemetry.SPANS.totals() == {"accepted": 1, "no_prediction": 1, "rejected": 2}
    partial = sink(json_form(request), "application/json").json()["partialSuccess"]
    assert (partial["rejectedSpans"], partial["errorMessage"]) == ("2", answer.partial_success.error_message)
    assert sink.load().stored == 1


def test_a_body_that_is_no_otlp_request_is_refused(sink):
    for body, media, status in (
        (b"\xff\xff", "application/x-protobuf", 400),
        (b"[]", "application/json", 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}', "application/json", 400),
        (b'{"resourceSpans": [7]}', "application/json", 400),
        (json_form(export(OWN)).replace(b'"3"', b"1e999"), "application/json", 400),
        (b"", "text/plain", 415),
    ):
        reply = sink(body, media)
        assert reply.status == status, reply.body
        assert set(reply.json()) == {"error", "try"}
    assert sink(b"").status == 200
    assert sink(b"{}", "application/json").json() == {}
    assert sink(b" " * (IntakeLimits().body_bytes + 1)).status == 413


def test_without_the_library_protobuf_is_refused_with_the_extra_and_json_is_taken(sink, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    reply = sink(b"")
    assert reply.status == 415
    assert "observability-dashboard[otlp]" in reply.json()["try"]
    assert sink(json_form(export(OWN)), "application/json").status == 200


def test_spans_need_a_token_that_writes(sink):
    body = export(OWN).SerializeToString()
    assert route_needs("POST", PATH) == route_needs("POST", "/api/v1/cloudevents") == "token"
    assert sink(body, token=None).status == 401
    assert sink(body, token=tokens.create_token(sink.store.home, "read")[1]).status == 403
    limited = tokens.create_token(sink.store.home, "write", "one", models=("price",))[1]
    partial = sink(json_form(export(OWN)), "application/json", token=limited).json()["partialSuccess"]
    assert "not for the model" in partial["errorMessage"]
    assert sink.load().lines == 0


@pytest.mark.parametrize("rule", ["drop", "hash"])
def test_a_protected_prompt_of_a_span_reaches_no_file(sink, rule):
    secret = "My name is Ada Lovelace"
    assert sink(export(GEN_AI).SerializeToString()).status == 200 and sink.load().stored == 1
    settings = sink.store.catalog().model("gpt-4o").settings
    sink.store.update_settings("gpt-4o", replace(settings, protect={"input_text": rule}))
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": secret}]}])
    spans = [GEN_AI | {text: asked, "span": 0} for text in ("gen_ai.input.messages", "gen_ai.prompt")]
    request = export(GEN_AI, *spans)
    assert sink(request.SerializeToString()).status == 200 and sink(json_form(request), "application/json").status == 200
    home = sink.store.home
    assert found_in(home, secret) == [], "the secret is not in the landing folder either"
    report = sink.load()
    assert (report.stored, report.rejected) == (2, 0) and found_in(home, secret) == []
    assert bool(found_in(home, hashed_value(home_key(home), secret))) is (rule == "hash"), "equal prompts have equal hashes"
    day = datetime.fromtimestamp(START / 1e9, UTC)
    kept = sink.store.ask(Sample("predictions", ("id",), 10), Window("gpt-4o", day - timedelta(days=1), day + timedelta(days=1)))
    assert len(kept) == 3, "the rest of each call is stored"
