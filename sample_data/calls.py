"""Seven weeks of calls of two language models that do not exist, with feedback and a change of version. `python sample_data/calls.py`

Everything is SIMULATED, and each record states this (in `source`, feedback in `annotator`). An online shop asks `acme/chat-large` at its
help desk, and `acme/chat-small` for summaries and for short replies. Each call is a span of OpenTelemetry, which the product's own
converter (server/otlp_traces.py) turns into a record. One help-desk request in eight keeps its whole trace: retrieve, rerank, generate, and
for some a tool and a second answer. From CHANGED_FROM on, a new version of `acme/chat-small` answers. Its summaries are about twice as
long, and it refuses about one request for a summary in three.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
CALLS, FEEDBACK = "calls.predictions.parquet", "calls.labels.parquet"
LARGE, SMALL, STEPS = "acme/chat-large", "acme/chat-small", "help-desk"
FEATURES = ("operation", "service", "topic", "input_tokens", "output_tokens")
FIRST, DAYS = datetime(2025, 10, 9, tzinfo=UTC), 49
CHANGED_FROM = datetime(2025, 11, 6, tzinfo=UTC)
OLD, NEW, LARGE_VERSION = "chat-small-2025-06", "chat-small-2025-11", "chat-large-2025-08"
SUMMARIES, HELP, REPLIES = "summaries", "help-desk", "replies"
SEED = 83
OF_WEEKDAY = (1.1, 1.05, 1.0, 1.0, 1.05, 0.75, 0.7)
"""Share of the calls of a usual day, from Monday on."""
PRICES = {LARGE: (2.0, 8.0), SMALL: (0.2, 0.8)}
"""Invented price in USD of a million input tokens and of a million output tokens."""
ERRORS, TIMEOUTS, TRACED, WITH_TOOL = 0.012, 0.004, 0.125, 0.4
RATED = {HELP: 0.3, SUMMARIES: 0.15, REPLIES: 0.1}
"""Share of answered calls that get feedback from a person, by route."""
REFUSED, REFUSED_NOW, LONGER = 0.015, 0.32, 2.1
"""Share of refusals, share of refusals among summaries by the new version, and by what factor its summaries are longer."""
ASKED = {
    "delivery": ("Where is my {thing}?", "My {thing} was to come {day}. Is it late?", "Can the {thing} be left with a neighbour {day}?"),
    "refund": ("I sent the {thing} back {day}. When do I get the money?", "The {thing} came broken. Can I have a refund?"),
    "invoice": ("I need an invoice for the {thing}.", "The invoice for the {thing} names the wrong company.", "I paid twice {day}."),
    "account": ("I cannot sign in since {day}.", "Please delete my account.", "How do I change the address for the {thing}?"),
    "product": ("Does the {thing} fit a small kitchen?", "Is the {thing} dishwasher-safe?", "Which {thing} is the quietest?"),
}
"""What customers ask, by topic."""
SUMMARISED = {
    "reviews": "Summarise the reviews of the {thing} since {day}.",
    "tickets": "Summarise the tickets about the {thing} of {day}.",
    "returns": "Why was the {thing} sent back {day}? Summarise.",
}
THINGS = (
    "kettle",
    "toaster",
    "desk lamp",
    "coffee grinder",
    "blender",
    "mixing bowl",
    "bread knife",
    "pan",
    "bottle rack",
    "kitchen scale",
)
WHEN = ("yesterday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "last week")


@dataclass(frozen=True)
class Route:
    """One use of a model. a_day: calls per usual day. asked, answered: median tokens. ms: milliseconds per call and per token."""

    service: str
    model: str
    a_day: float
    asked: float
    answered: float
    ms: tuple[float, float]
    topics: Mapping[str, float]


ROUTES = (
    Route(HELP, LARGE, 48, 640, 150, (380, 13), {"delivery": 0.34, "refund": 0.22, "invoice": 0.16, "account": 0.16, "product": 0.12}),
    Route(SUMMARIES, SMALL, 42, 1500, 110, (260, 8), {"reviews": 0.45, "tickets": 0.35, "returns": 0.2}),
    Route(REPLIES, SMALL, 13, 180, 40, (210, 8), {"delivery": 0.5, "refund": 0.2, "account": 0.3}),
)


class Spans:
    """The spans of the application in OTLP form, and people's feedback on its answers."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(SEED)
        self.spans: list[tuple[str, dict[str, Any]]] = []
        self.feedback: list[dict[str, Any]] = []

    def add(self, service: str, trace: str, at: datetime, ms: float, attributes: Mapping[str, Any], failed: str | None = None) -> str:
        """Add one span; returns the id of its record."""
        name, start = self.rng.bytes(8).hex(), int(at.timestamp() * 1000) * 10**6
        stated = {**attributes, "observability.source": "simulated", **({"error.type": failed} if failed else {})}
        span: dict[str, Any] = {
            "traceId": trace,
            "spanId": name,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + int(10 * ms) * 10**5),
        }
        span |= {"status": {"code": 2} if failed else {}, "attributes": [{"key": key, "value": any_value(stated[key])} for key in stated]}
        self.spans.append((service, span))
        return f"{trace}-{name}"

    def step(self, trace: str, at: datetime, operation: str, middle: float, outcome: str) -> datetime:
        """Add a step of the help desk that calls no model; returns the time when it ends."""
        ms = middle * float(self.rng.lognormal(0, 0.25))
        stated = {"model": STEPS, "version": "2025.10", "prediction": outcome, "feature.operation": operation, "feature.service": HELP}
        self.add(HELP, trace, at, ms, {f"observability.{name}": value for name, value in stated.items()})
        return at + timedelta(milliseconds=ms + 2)

    def call(self, route: Route, trace: str, at: datetime, topic: str, text: str, finish: str = "stop") -> datetime:
        """Add a call of a model, with feedback on its answer; returns the time when it ends."""
        rng = self.rng
        new = route.model == SMALL and at >= CHANGED_FROM
        moved = new and route.service == SUMMARIES
        asked = int(route.asked * rng.lognormal(0, 0.45))
        refuses = finish == "stop" and rng.random() < (REFUSED_NOW if moved else REFUSED)
        usual = 24 if refuses or finish != "stop" else route.answered * (LONGER if moved else 1)
        answered = max(int(usual * rng.lognormal(0, 0.15 if refuses else 0.5)), 4)
        luck = rng.random()
        failed = "rate_limit_exceeded" if luck < ERRORS else "timeout" if luck < ERRORS + TIMEOUTS else None
        # The new version is faster per token, so a call takes as long as before.
        ms = (route.ms[0] + route.ms[1] * answered / (LONGER if moved and not refuses else 1)) * float(rng.lognormal(0, 0.2))
        ms = {"rate_limit_exceeded": 35.0, "timeout": 30_000.0}.get(failed or "", ms)
        stated: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": route.model}
        stated |= {"gen_ai.usage.input_tokens": asked, "observability.feature.topic": topic, "observability.text": text}
        stated["gen_ai.response.model"] = (NEW if new else OLD) if route.model == SMALL else LARGE_VERSION
        stated |= {"observability.currency": "USD", "observability.cost": 0.0}  # a call that failed is not billed
        if not failed:
            price = [each / 1e6 for each in PRICES[route.model]]
            stated |= {"gen_ai.usage.output_tokens": answered, "gen_ai.response.finish_reasons": [finish]}
            cost = round(asked * price[0] + answered * price[1], 7)
            stated |= {"observability.refused": bool(refuses), "observability.cost": cost}
        name = self.add(route.service, trace, at, ms, stated, failed)
        end = at + timedelta(milliseconds=ms + 2)
        if not failed and finish == "stop" and rng.random() < RATED[route.service]:
            helped = rng.random() < (0.08 if refuses else 0.84)
            said = (end + timedelta(seconds=float(20 + rng.exponential(240)))).replace(microsecond=0)
            common = {"id": name, "model": route.model, "at": said, "received_at": said, "value": "helpful" if helped else "not helpful"}
            self.feedback.append({**common, "source": "human", "annotator": "simulated"})
        return end


def any_value(value: Any) -> dict[str, Any]:
    """A value in the JSON encoding of OTLP."""
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(each) for each in value]}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def asked_at(rng: np.random.Generator, day: datetime) -> datetime:
    """A random time of a day; most requests come between 8 and 20 o'clock."""
    hour = float(np.clip(rng.normal(14, 3.5), 0, 23.9)) if rng.random() < 0.9 else float(rng.uniform(0, 24))
    return day + timedelta(milliseconds=int(3_600_000 * hour))


def asked_text(rng: np.random.Generator, topic: str) -> str:
    """A question about a topic."""
    forms = ASKED.get(topic) or (SUMMARISED[topic],)
    day = WHEN[int(rng.integers(len(WHEN)))]
    return forms[int(rng.integers(len(forms)))].format(thing=THINGS[int(rng.integers(len(THINGS)))], day=day)


def application_spans() -> Spans:
    """The spans and feedback of all requests of the seven weeks."""
    spans = Spans()
    rng = spans.rng
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        for route in ROUTES:
            for _ in range(int(rng.poisson(route.a_day * OF_WEEKDAY[day.weekday()]))):
                trace, at = rng.bytes(16).hex(), asked_at(rng, day)
                topic = str(rng.choice(list(route.topics), p=list(route.topics.values())))
                text = asked_text(rng, topic)
                if route.service == HELP and rng.random() < TRACED:
                    at = spans.step(trace, at, "retrieve", 45, "20 passages")
                    at = spans.step(trace, at, "rerank", 28, "4 passages")
                    if rng.random() < WITH_TOOL:
                        at = spans.call(route, trace, at, topic, text, "tool_calls")
                        at = spans.step(trace, at, "execute_tool", 90, "order found" if rng.random() < 0.9 else "no order")
                spans.call(route, trace, at, topic, text)
    return spans


def span_records(spans: list[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The records that the product's converter makes of spans."""
    from observability.server.otlp_traces import read_spans, span_record

    parts: dict[str, list[dict[str, Any]]] = {}
    for service, span in spans:
        parts.setdefault(service, []).append(span)
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": any_value(name)}]},
                "scopeSpans": [{"spans": own}],
            }
            for name, own in parts.items()
        ]
    }
    for sent in read_spans(json.dumps(body).encode(), "json"):
        record = span_record(sent)
        assert record is not None, "every span is a call or a step"
        yield record


def make(out: Path) -> None:
    """Write both files."""
    from sample_data.collecting import write_sorted

    spans = application_spans()
    rows = pd.DataFrame(list(span_records(spans.spans)))
    features = pd.DataFrame(rows.pop("features").tolist())[list(FEATURES)]
    rows["at"] = pd.to_datetime(rows["at"], utc=True, format="ISO8601")
    rows["received_at"] = (rows["at"] + pd.to_timedelta(rows["latency_ms"], unit="ms")).dt.ceil("ms")
    rows = rows.drop(columns="kind").join(features).sort_values(["at", "id"], ignore_index=True)
    write_sorted(rows, out / CALLS)
    labels = pd.DataFrame(spans.feedback).sort_values(["at", "id"], ignore_index=True)
    write_sorted(labels[labels["at"] < FIRST + timedelta(days=DAYS)], out / FEEDBACK)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    make(HERE)
