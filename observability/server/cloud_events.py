"""Join requests and responses of model servers (CloudEvents) by their id, and make prediction records from them (docs/sinks.md).

The three modes of the HTTP binding are accepted: binary (`ce-` headers), structured, and batched JSON.
"""

import base64
import binascii
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from observability.core.catalog import Catalog, Model
from observability.core.errors import ObservabilityError
from observability.core.limits import IntakeLimits
from observability.core.time import instant_from_text
from observability.server import intake, process_lock
from observability.server.access import ACTING
from observability.server.inference_payloads import PayloadError, answer_fields, answer_rows, feature_rows, json_body
from observability.server.refused_lines import refused_lines
from observability.server.waiting_halves import (
    OTHER,
    Half,
    Part,
    content_digest,
    is_about_erased,
    set_halves_aside,
    settle_overdue_halves,
)

STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
EVENTS = 10_000
"""Maximum number of events in one request."""
SETTLE_SECONDS = 5.0
"""Seconds between two checks for events that have waited too long, while events arrive. While none arrive, the check is made every minute
(process_lock.py).
"""
TYPES = {"request": (".inference.request",), "response": (".inference.response",)}
"""Endings of the event types of the two halves (request and response), such as org.kubeflow.serving.inference.request or
io.seldon.serving.inference.response.
"""
PAIR = ("namespace", "inferenceservicename", "component", "endpoint", "modelid")
"""Attributes that must be equal in both halves of a pair, in addition to their id."""
PARAMETERS = ("model", "version", "environment", "model_from", "version_from")
"""Parameters of the address: fixed values, or names of the event attributes that hold the values."""
HOSTILE = "a number is too large, or lists are nested too deeply"
Numbered = tuple[int, str, str]
"""A rejected event: its number, the reason as a word, and the message."""


@dataclass(frozen=True)
class CloudEvent:
    """One event. number: its place in the request, from 1."""

    number: int
    attributes: Mapping[str, str]
    data: Any


@dataclass
class EventsTaken:
    """What happened to the events of a request. accepted: number of records written. waiting: number of halves that were kept until the
    other half arrives.
    """

    accepted: int = 0
    waiting: int = 0
    duplicates: int = 0
    rejected: list[Numbered] = field(default_factory=list)

    def answer(self) -> dict[str, Any]:
        """The body of the response."""
        rejected = [{"line": number, "reason": message} for number, _, message in sorted(self.rejected)]
        return {"accepted": self.accepted, "waiting": self.waiting, "duplicates": self.duplicates, "rejected": rejected}


def read_events(body: bytes, headers: Mapping[str, str]) -> tuple[list[CloudEvent], list[Numbered]]:
    """The events of a request, and its parts that are not events. Raises IntakeRefusedError if the request is not a CloudEvent."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    rejected: list[Numbered] = []
    events: list[CloudEvent] = []
    try:
        given: list[Any] = [json_body(body)] if media == STRUCTURED else json_body(body) if media == BATCHED else [None]
        if not isinstance(given, list):
            raise PayloadError("a batch is a JSON array")
    except PayloadError as error:
        raise intake.IntakeRefusedError(400, f"the events cannot be read: {error}", "Send the JSON format of CloudEvents") from None
    if len(given) > EVENTS:
        raise intake.IntakeRefusedError(413, f"the request has {len(given):,} events", f"Send at most {EVENTS:,} at once")
    if given == [None] and media not in (STRUCTURED, BATCHED):
        if "ce-id" not in headers and "ce-type" not in headers:
            attempt = f"Send ce-id, ce-type and ce-source as headers, or Content-Type {STRUCTURED} or {BATCHED}"
            raise intake.IntakeRefusedError(415, "the request is no CloudEvent", attempt)
        attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        given = [{**attributes, "data": body}]
    for number, event in enumerate(given, start=1):
        try:
            events.append(_event(number, event))
        except PayloadError as error:
            rejected.append((number, "no_event", str(error)))
    return events, rejected


def _event(number: int, event: Any) -> CloudEvent:
    """One event of the JSON format. Raises PayloadError."""
    if not isinstance(event, Mapping):
        raise PayloadError("an event is a JSON object")
    attributes = {name: str(value) for name, value in event.items() if name not in ("data", "data_base64") and value is not None}
    for name in ("id", "type", "source"):
        if not attributes.get(name):
            raise PayloadError(f"the event has no attribute {name!r}")
    data = event.get("data")
    if "data_base64" in event:
        try:
            data = base64.b64decode(str(event["data_base64"]), validate=True)
        except (ValueError, binascii.Error):
            raise PayloadError("'data_base64' is not base64") from None
    if isinstance(data, bytes | str):
        data = json_body(data)
    return CloudEvent(number, attributes, data)


def take_events(body: bytes, headers: Mapping[str, str], mapping: Mapping[str, str], token: str, limits: IntakeLimits) -> EventsTaken:
    """Join the events of a request with halves that wait, write the records, and keep the halves that found no partner. Everything is on
    disk when this returns.

    mapping: the parameters of the address. Raises IntakeRefusedError or StoreBrokenError; nothing of the request is then kept.
    """
    owner = process_lock.current_owner()
    events, rejected = read_events(body, headers)
    taken = EventsTaken(rejected=rejected)
    with owner.waiting.mutex:
        if time.monotonic() - owner.waiting.settled_at >= SETTLE_SECONDS:
            settle_overdue_halves(owner.waiting, owner.records)
        _join(owner, events, mapping, token, limits, taken)
    return taken


def _join(
    owner: "process_lock.Owner",
    events: Sequence[CloudEvent],
    mapping: Mapping[str, str],
    token: str,
    limits: IntakeLimits,
    taken: EventsTaken,
) -> None:
    """Join events, and count the outcome of each in `taken`."""
    catalog, now, erased = owner.store.catalog(), time.time(), owner.store.erased()
    halves: list[tuple[int, Half]] = []
    for event in events:
        try:
            half = _half_of(event, mapping, token, catalog, now)
            if erased is not None and is_about_erased(half, erased):
                raise PayloadError("the event is about a subject that was erased")
            halves.append((event.number, half))
        except PayloadError as error:
            taken.rejected.append((event.number, "no_record", str(error)))
        except (ArithmeticError, RecursionError):
            taken.rejected.append((event.number, "no_record", HOSTILE))
    known = owner.waiting.find([half.key for _, half in halves])
    changed: dict[tuple[str, Part], Half] = {}
    pairs: list[tuple[int, Half, Half]] = []
    for number, half in halves:
        place = half.key, half.part
        if (same := known.get(place)) is not None:
            if same.digest == half.digest:
                taken.duplicates += 1
            else:
                taken.rejected.append((number, "conflicting_duplicate", f"another {half.part} of this id came before, with other content"))
            continue
        known[place] = half
        other = known.get((half.key, OTHER[half.part]))
        if other is None or other.joined:
            changed[place] = half
        else:
            pairs.append((number, half, other))
    lines, sources = [], []
    lost: list[tuple[Part, dict[str, Any]]] = []
    for number, half, other in pairs:
        earlier = other.lines if other.arrived < now else ()  # those were acknowledged
        try:
            records = _joined_records(half, other, catalog)
        except (PayloadError, ArithmeticError, RecursionError) as error:
            taken.rejected.append((number, "no_record", str(error) if isinstance(error, PayloadError) else HOSTILE))
            lost += [(other.part, line) for line in earlier]
        else:
            lines += [json.dumps(record, ensure_ascii=True).encode() for record in records]
            sources += [(number, other.part, earlier[place : place + 1]) for place in range(len(records))]
        for each in (half, other):
            changed[each.key, each.part] = Half(each.key, each.part, each.digest, (), now)
    given = intake.take_records(lines, "any", token, limits)
    taken.accepted = given.accepted
    reasons: dict[int, str] = {}
    for line in given.rejected:
        number, part, earlier = sources[line["line"] - 1]
        reasons.setdefault(number, line["reason"])
        lost += [(part, each) for each in earlier]
    taken.rejected += [(number, "no_record", reason) for number, reason in reasons.items()]
    set_halves_aside(owner.records, lost, "rejected")
    owner.waiting.keep(list(changed.values()))
    taken.waiting = sum(not half.joined for half in changed.values())


def _half_of(event: CloudEvent, mapping: Mapping[str, str], token: str, catalog: Catalog, now: float) -> Half:
    """An event as half of a pair. Raises PayloadError if it is not an event, or if its data cannot be read."""
    attributes = event.attributes
    part = _part(attributes["type"])
    joined_by = attributes.get("requestid") or attributes["id"]
    key = json.dumps([token, joined_by, *(attributes.get(name, "") for name in PAIR)])
    name = _mapped(attributes, mapping, "model") or _model_name(attributes)
    model = next((model for model in catalog.models if model.name == name), None)
    line: dict[str, Any] = {"kind": "prediction", "id": joined_by, "model": name}
    if at := attributes.get("time"):
        try:
            line["at"] = (instant_from_text(at, "time") or datetime.now(UTC)).isoformat()
        except ObservabilityError:
            raise PayloadError(f"the time of the event is no RFC 3339 time: {at[:40]!r}") from None
    if version := _mapped(attributes, mapping, "version") or attributes.get("modelversion"):
        line["version"] = version
    if attributes.get("endpoint"):
        line["endpoint"] = attributes["endpoint"]
    if mapping.get("environment"):
        line["environment"] = mapping["environment"]
    if part == "request":
        rows = feature_rows(event.data, tuple(column.name for column in model.features()) if model is not None else ())
        lines = [{**line, "features": row} for row in rows]
    else:
        if isinstance(event.data, Mapping) and event.data.get("model_version"):
            line.setdefault("version", str(event.data["model_version"]))
        lines = [{**line, "answer": row} for row in answer_rows(event.data)]
    digest = content_digest(lines)  # computed before protection and arrival time are added, because these depend on the key and the clock
    arrival = datetime.fromtimestamp(now, UTC).isoformat()
    dumped = [json.dumps({"received": arrival, **each}, ensure_ascii=True).encode() for each in lines]
    for message in refused_lines(ACTING.get(), dumped, ()).values():
        raise PayloadError(message)
    protected = intake.protected_lines(process_lock.current_owner().home, dumped)
    return Half(key, part, digest, tuple(map(json.loads, protected)), now)


def _part(kind: str) -> Part:
    for part, ends in TYPES.items():
        if kind.endswith(ends):
            return "request" if part == "request" else "response"
    raise PayloadError(f"the type {kind[:80]!r} is neither a request nor a response; expected an end of .inference.request or .response")


def _mapped(attributes: Mapping[str, str], mapping: Mapping[str, str], what: str) -> str | None:
    """The model or version: fixed by the address, or read from the attribute that the address names. Raises PayloadError if the attribute
    is missing.
    """
    if mapping.get(what):
        return mapping[what]
    if not (source := mapping.get(f"{what}_from")):
        return None
    if not attributes.get(source.lower()):
        raise PayloadError(f"the event has no attribute {source[:60]!r}, which {what}_from names")
    return attributes[source.lower()]


def _model_name(attributes: Mapping[str, str]) -> str:
    """The name of the model: the service (with its component, unless that is the predictor), else the attribute modelid, else the last part
    of the source.
    """
    if service := attributes.get("inferenceservicename"):
        component = attributes.get("component", "predictor")
        return service if component in ("", "predictor") else f"{service}-{component}"
    if model := attributes.get("modelid") or urlsplit(attributes["source"]).path.strip("/").rpartition("/")[2]:
        return model
    raise PayloadError("no attribute says which model it is: send inferenceservicename or modelid, or add ?model=NAME to the address")


def _joined_records(half: Half, other: Half, catalog: Catalog) -> list[dict[str, Any]]:
    """The records of a pair, one per instance. Raises PayloadError."""
    request, response = (half, other) if half.part == "request" else (other, half)
    if len(request.lines) != len(response.lines):
        raise PayloadError(f"the request has {len(request.lines)} instances and the response {len(response.lines)} answers")
    found = []
    for place, (asked, answered) in enumerate(zip(request.lines, response.lines, strict=True)):
        model = next((model for model in catalog.models if model.name == asked["model"]), None)
        name = asked["id"] if len(request.lines) == 1 else f"{asked['id']}-{place}"
        record = {
            "kind": "prediction",
            "id": name,
            "at": asked.get("at") or answered.get("at") or min(asked["received"], answered["received"]),
            "model": asked["model"],
            "version": asked.get("version") or answered.get("version") or _version_of(model, asked.get("endpoint")),
            "features": asked["features"],
            **answer_fields(answered["answer"], model),
        }
        if "environment" in asked:
            record["environment"] = asked["environment"]
        if "at" in asked and "at" in answered:
            latency = (datetime.fromisoformat(answered["at"]) - datetime.fromisoformat(asked["at"])).total_seconds() * 1000
            if latency >= 0:
                record["latency_ms"] = latency
        found.append(record)
    return found


def _version_of(model: Model | None, endpoint: str | None) -> str:
    """The version if no event names one: the registered version if there is only one, else the endpoint, else `unknown`."""
    registered = [] if model is None else [version.name for version in model.versions if version.registered]
    return registered[0] if len(registered) == 1 else endpoint or "unknown"
