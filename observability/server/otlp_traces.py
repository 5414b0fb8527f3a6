"""Make prediction records from OTLP/HTTP spans: spans with attributes `observability.*`, and calls of language models, `gen_ai.*`.

A body is JSON or protobuf; protobuf needs the extra `otlp`. docs/sinks.md lists the attributes.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from observability.core import telemetry
from observability.core.limits import IntakeLimits
from observability.server import intake
from observability.server.inference_payloads import plain_json

Encoding = Literal["json", "protobuf"]
MEDIA: dict[Encoding, str] = {"json": "application/json", "protobuf": "application/x-protobuf"}
OWN, GEN_AI = "observability.", "gen_ai."
ERROR = 2
"""The status code of a failed span."""
NESTED = {"feature": "features", "group": "groups", "attribution": "attributions", "score": "score"}
"""For attributes `observability.NAME.KEY`: by NAME, the field of the record that holds KEY."""
GEN_AI_FEATURES = {
    "gen_ai.operation.name": "operation",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.request.max_tokens": "max_tokens",
    "gen_ai.request.temperature": "temperature",
    "gen_ai.request.top_p": "top_p",
    "gen_ai.usage.cache_read.input_tokens": "cached_input_tokens",
}
"""Attributes of a language-model call, and the features that are made from them."""
TEXTS = {
    "input_text": ("gen_ai.input.messages", "gen_ai.prompt"),
    "output_text": ("gen_ai.output.messages", "gen_ai.completion"),
}
"""Features that hold the texts of a call, and the attributes from which they are read if a service has opted in to log them. An attribute
is a list of messages, their JSON, or a text; older libraries write `gen_ai.prompt.0.content`, `gen_ai.prompt.1.content` and so on.
"""
MAX_TEXT = 32_000
"""Maximum number of characters of a text that is stored; the rest is cut off."""
CALLS = ("chat", "text_completion", "generate_content", "embeddings", "completion")
"""Operations that call a model. Other operations (running a tool, an agent around its calls) are not answers of a model."""


class SpanError(Exception):
    """Raised for a span that cannot be made into a record; the message states the reason."""


@dataclass(frozen=True)
class OtlpSpan:
    """One span. start, end: nanoseconds since 1970. status: 0 unset, 1 ok, 2 error. resource: the attributes of its sender."""

    trace: str
    id: str
    start: int
    end: int
    status: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class SpansTaken:
    """What happened to the spans of a request. passed: number of spans that are not predictions. rejected: the reason for each rejected
    span.
    """

    accepted: int = 0
    passed: int = 0
    rejected: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The first few different reasons, as one text."""
        shown = list(dict.fromkeys(self.rejected))[:5]
        return "; ".join(shown)[:2000]


def body_encoding(content_type: str) -> Encoding:
    """The encoding of a request. Raises IntakeRefusedError if the Content-Type is another one."""
    media = content_type.partition(";")[0].strip().lower()
    for encoding, name in MEDIA.items():
        if media == name:
            return encoding
    raise intake.IntakeRefusedError(415, f"unknown Content-Type {media[:60]!r}", "Send application/x-protobuf or application/json")


def take_spans(body: bytes, encoding: Encoding, token: str, limits: IntakeLimits) -> SpansTaken:
    """Make records from spans and write them. The records are on disk when this returns. Raises IntakeRefusedError, StoreBrokenError."""
    taken, lines = SpansTaken(), []
    for span in read_spans(body, encoding):
        try:
            record = span_record(span)
        except SpanError as error:
            taken.rejected.append(f"span {span.id}: {error}")
            continue
        if record is None:
            taken.passed += 1
        else:
            lines.append(json.dumps(record, ensure_ascii=True).encode())
    given = intake.take_records(lines, "any", token, limits)
    taken.accepted = given.accepted
    names = [json.loads(line)["id"] for line in lines] if given.rejected else []
    taken.rejected += [f"prediction {names[line['line'] - 1]}: {line['reason']}" for line in given.rejected]
    for outcome, count in (("accepted", taken.accepted), ("no_prediction", taken.passed), ("rejected", len(taken.rejected))):
        telemetry.SPANS.add(outcome, count)
    return taken


def export_response(taken: SpansTaken, encoding: Encoding) -> bytes:
    """The response of OTLP: empty, or with the number of rejected spans and the reasons."""
    if encoding == "json":
        partial = {"rejectedSpans": str(len(taken.rejected)), "errorMessage": taken.message}
        return json.dumps({"partialSuccess": partial} if taken.rejected else {}).encode()
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    answer = trace_service_pb2.ExportTraceServiceResponse()
    if taken.rejected:
        answer.partial_success.rejected_spans = len(taken.rejected)
        answer.partial_success.error_message = taken.message
    return answer.SerializeToString()


def read_spans(body: bytes, encoding: Encoding) -> list[OtlpSpan]:
    """The spans in a body. Raises IntakeRefusedError if the body cannot be read, or if the library for protobuf is missing."""
    if encoding == "protobuf":
        return _protobuf_spans(body)
    try:
        return [
            _json_span(span, resource)
            for part in json.loads(body).get("resourceSpans", [])
            for resource in [_json_attributes(part.get("resource", {}).get("attributes", []))]
            for scope in part.get("scopeSpans", [])
            for span in scope.get("spans", [])
        ]
    except (ValueError, TypeError, AttributeError, KeyError, ArithmeticError, RecursionError) as error:
        attempt = "Send an ExportTraceServiceRequest in the JSON encoding of OTLP"
        raise intake.IntakeRefusedError(400, f"the spans cannot be read: {type(error).__name__} {str(error)[:100]}", attempt) from None


def _json_span(span: Mapping[str, Any], resource: Mapping[str, Any]) -> OtlpSpan:
    code = span.get("status", {}).get("code", 0)
    return OtlpSpan(
        str(span["traceId"]).lower(),
        str(span["spanId"]).lower(),
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
        ERROR if code in (ERROR, "STATUS_CODE_ERROR") else 0,
        _json_attributes(span.get("attributes", [])),
        resource,
    )


def _json_attributes(given: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {str(each["key"]): _json_value(each.get("value", {})) for each in given}


def _json_value(value: Mapping[str, Any]) -> Any:
    """A value from an AnyValue in the JSON encoding, where 64-bit integers are texts."""
    if "intValue" in value:
        return int(value["intValue"])
    if "doubleValue" in value:
        return plain_json(float(value["doubleValue"]))
    if "arrayValue" in value:
        return [_json_value(each) for each in value["arrayValue"].get("values", [])]
    if "kvlistValue" in value:
        return _json_attributes(value["kvlistValue"].get("values", []))
    return next((value[name] for name in ("stringValue", "boolValue", "bytesValue") if name in value), None)


def _protobuf_spans(body: bytes) -> list[OtlpSpan]:
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
    except ImportError:
        attempt = "Install it where the dashboard runs: pip install 'observability-dashboard[otlp]'; or send application/json"
        raise intake.IntakeRefusedError(415, "spans in protobuf need the package opentelemetry-proto, which is missing", attempt) from None
    request = trace_service_pb2.ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        attempt = "Send an ExportTraceServiceRequest of OTLP"
        raise intake.IntakeRefusedError(400, "the spans cannot be read: the body is no such protobuf message", attempt) from None
    return [
        OtlpSpan(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code,
            {each.key: _protobuf_value(each.value) for each in span.attributes},
            resource,
        )
        for part in request.resource_spans
        for resource in [{each.key: _protobuf_value(each.value) for each in part.resource.attributes}]
        for scope in part.scope_spans
        for span in scope.spans
    ]


def _protobuf_value(value: Any) -> Any:
    """A value from an AnyValue in the protobuf encoding."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_protobuf_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {each.key: _protobuf_value(each.value) for each in value.kvlist_value.values}
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return None if kind is None else plain_json(getattr(value, kind))


def span_record(span: OtlpSpan) -> dict[str, Any] | None:
    """The prediction record made from a span; None if the span is not a prediction. Raises SpanError if it is one but something is
    missing.
    """
    attributes = span.attributes
    call = _is_model_call(attributes)
    if not call and not any(name.startswith(OWN) for name in attributes):
        return None
    if not span.trace or not span.id or span.start <= 0:
        raise SpanError("it has no trace id, span id or start time")
    record: dict[str, Any] = {"kind": "prediction", "id": f"{span.trace}-{span.id}", "at": _rfc3339(span.start)}
    if span.end >= span.start:
        record["latency_ms"] = (span.end - span.start) / 1e6
    if _failed(span):
        record["status"] = "timeout" if "timeout" in str(attributes.get("error.type", "")).lower() else "error"
    record |= _own_fields(attributes, _model_call_fields(span) if call and f"{OWN}model" not in attributes else {"features": {}})
    if missing := [name for name in ("model", "version") if not record.get(name)]:
        raise SpanError(f"it has no attribute {OWN}{missing[0]}")
    return record | {"kind": "prediction"}


def _own_fields(attributes: Mapping[str, Any], of_call: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a call, with those added that attributes `observability.*` give. Unknown attributes become extra fields of the
    record.
    """
    fields = dict(of_call)
    for name, value in sorted(attributes.items()):
        if not name.startswith(OWN):
            continue
        head, _, key = name.removeprefix(OWN).partition(".")
        target = NESTED.get(head)
        if key and target:
            if not isinstance(fields.setdefault(target, {}), dict):
                raise SpanError(f"it has both {OWN}{head} and {name}")
            fields[target][key] = value
        else:
            fields[name.removeprefix(OWN)] = value
    for name in ("id", "model", "version"):
        if name in fields:
            fields[name] = str(fields[name])
    return fields


def _is_model_call(attributes: Mapping[str, Any]) -> bool:
    """Whether a span is one call of a language model."""
    named = attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model")
    return bool(named) and str(attributes.get("gen_ai.operation.name", CALLS[0])) in CALLS


def _model_call_fields(span: OtlpSpan) -> dict[str, Any]:
    """The fields of one language-model call. Its prediction is the finish reason; its version is the model that answered."""
    attributes = span.attributes
    asked = str(attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model"))
    features = {name: attributes[key] for key, name in GEN_AI_FEATURES.items() if attributes.get(key) is not None}
    features |= call_texts(attributes)
    provider = attributes.get("gen_ai.provider.name") or attributes.get("gen_ai.system")
    service = span.resource.get("service.name")
    features |= {name: str(value) for name, value in (("provider", provider), ("service", service)) if value}
    fields: dict[str, Any] = {"model": asked, "version": str(attributes.get("gen_ai.response.model") or asked), "features": features}
    reasons = attributes.get("gen_ai.response.finish_reasons")
    if reasons:
        fields["prediction"] = ",".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons)
    elif not _failed(span):
        fields["prediction"] = "unknown"
    if error := attributes.get("error.type"):
        fields["error_type"] = str(error)
    return fields


def call_texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the question and the answer of a call, by feature, without roles and names; only those that the span has."""
    found = {}
    for name, keys in TEXTS.items():
        given = next((attributes[key] for key in keys if attributes.get(key)), None)
        if given is None:
            contents = re.compile(rf"{re.escape(keys[-1])}\.(\d+)\.content")
            numbered = [(int(match[1]), value) for key, value in attributes.items() if (match := contents.fullmatch(key))]
            given = [{"content": value} for _, value in sorted(numbered, key=lambda each: each[0])]
        if text := "\n".join(_message_texts(given)):
            found[name] = text[:MAX_TEXT]
    return found


def _message_texts(given: Any) -> Iterator[str]:
    """Yield the texts in messages: a text itself, or the texts in its JSON, and the contents of messages and of their parts."""
    if isinstance(given, str):
        try:
            inside = json.loads(given) if given.lstrip().startswith(("[", "{")) else None
        except (ValueError, RecursionError):
            inside = None
        if inside is None:
            yield given
        else:
            yield from _message_texts(inside)
    elif isinstance(given, list):
        for each in given:
            yield from _message_texts(each)
    elif isinstance(given, dict):
        for name in ("content", "parts", "text"):
            if isinstance(given.get(name), str):
                yield given[name]
            elif name in given:
                yield from _message_texts(given[name])


def _failed(span: OtlpSpan) -> bool:
    return span.status == ERROR or bool(span.attributes.get("error.type"))


def _rfc3339(nanoseconds: int) -> str:
    """A time with microseconds, as RFC 3339. Raises SpanError if it is out of range."""
    try:
        seconds, rest = divmod(nanoseconds, 10**9)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000).isoformat()
    except (OverflowError, ValueError, OSError):
        raise SpanError("its start time is out of range") from None
