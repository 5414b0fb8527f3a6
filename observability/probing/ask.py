"""Ask the questions of a probe set, and make records from the answers: predictions with the environment `probe`, each with the name of its
item.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from observability.probing.http_adapter import ProbeAnswer, ask_item, probe_opener
from observability.probing.probe_file import ProbeItem, ProbeSet

MAX_VERSION = 200


@dataclass(frozen=True)
class AskedSet:
    """The records of one round, and how many questions of the set were not asked because the time was over."""

    records: tuple[dict[str, Any], ...]
    left_out: int

    @property
    def answered(self) -> int:
        """The number of questions that were answered."""
        return sum(record["status"] == "ok" for record in self.records)


def normal_answer(text: str) -> str:
    """An answer in a form that can be compared: lower case, with single blanks, and without outer blanks, quotation marks and a
    final stop.
    """
    return " ".join(text.split()).lstrip("\"'`*").rstrip("\"'`*.!").casefold()


def answer_number(text: str) -> float | None:
    """An answer as a number; None if it is not a number."""
    value = float(text) if re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", text) else float("nan")
    return value if abs(value) < float("inf") else None


def is_well_formed(probe: ProbeSet, answer: str) -> bool | None:
    """Whether an answer has the format that the set requires; None if the set requires none."""
    if probe.numbers:
        return answer_number(answer) is not None
    if probe.answers:
        return normal_answer(answer) in {normal_answer(each) for each in probe.answers}
    return re.fullmatch(probe.pattern, answer.strip(), re.DOTALL) is not None if probe.pattern else None


def is_refusal(probe: ProbeSet, answer: ProbeAnswer) -> bool:
    """Whether the vendor marks the answer as a refusal, or the answer begins as refusals do."""
    stated = (answer.values or {}).get("refusal")
    if isinstance(stated, bool):
        return stated
    return bool(stated) or " ".join((answer.answer or "").split()).casefold().startswith(probe.refusals)


def token_count(value: Any) -> int | None:
    """The value, if it is a number of tokens; else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def probe_record(probe: ProbeSet, item: ProbeItem, answer: ProbeAnswer, at: datetime, round_id: str) -> dict[str, Any]:
    """The record of one answer."""
    values = answer.values or {}
    tokens = {name: token_count(values.get(name)) for name in ("input_tokens", "output_tokens")}
    version = values.get("version")
    record: dict[str, Any] = {
        "kind": "prediction",
        "id": f"{round_id}-{item.item}",
        "at": at.isoformat(),
        "model": probe.model,
        "version": str(version)[:MAX_VERSION] if version not in (None, "") else probe.version,
        "environment": "probe",
        "item": item.item,
        "set": probe.set,
        "round": round_id,
        "question": item.question,
        "features": {name: n for name, n in tokens.items() if n is not None},
        "status": answer.status,
        "latency_ms": round(answer.latency_ms, 3),
        "cost": (cost := answer_cost(probe, tokens, values.get("cost"))),
        "currency": None if cost is None else probe.currency,
        "expected": item.expected,
        "answers": "class" if probe.answers or probe.pattern else "number" if probe.numbers or answer.is_number else "text",
        "tolerance": probe.tolerance,
        "error": answer.error,
        "tries": answer.tries if answer.tries > 1 else None,
    }
    if answer.answer is not None:
        record |= {"prediction": answer.answer, "refused": is_refusal(probe, answer), "well_formed": is_well_formed(probe, answer.answer)}
    return {name: value for name, value in record.items() if value is not None}


def answer_cost(probe: ProbeSet, tokens: Mapping[str, int | None], stated: Any) -> float | None:
    """The cost of an answer: the cost that the vendor states, else computed from the prices in the file; None if neither is known."""
    if isinstance(stated, int | float) and not isinstance(stated, bool) and 0 <= stated < float("inf"):
        return float(stated)
    if not probe.priced:
        return None
    by_token = (tokens["input_tokens"] or 0) * probe.input_price + (tokens["output_tokens"] or 0) * probe.output_price
    return round(probe.request_price + by_token / 1000, 9)


def ask_set(
    probe: ProbeSet,
    environ: Mapping[str, str],
    *,
    progress: Callable[[int, int], object] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], object] = time.sleep,
) -> AskedSet:
    """Ask every question once, one after the other, until `most_seconds` have passed or `stopped` returns True.

    clock, sleep: functions that return the time of an answer and that pause between questions; tests replace them. Raises UsageError if the
    environment variable with the token is not set.
    """
    records = tuple(_records(probe, environ, progress, stopped, clock, sleep))
    return AskedSet(records, len(probe.items) - len(records))


def _records(
    probe: ProbeSet,
    environ: Mapping[str, str],
    progress: Callable[[int, int], object],
    stopped: Callable[[], bool],
    clock: Callable[[], datetime],
    sleep: Callable[[float], object],
) -> Iterator[dict[str, Any]]:
    """Yield the records as the answers arrive."""
    opener, began, round_id = probe_opener(probe), time.monotonic(), f"probe-{uuid.uuid4().hex[:12]}"
    for place, item in enumerate(probe.items):
        if stopped() or time.monotonic() - began > probe.most_seconds:
            return
        if place and probe.pause_s:
            sleep(probe.pause_s)
        at = clock()
        yield probe_record(probe, item, ask_item(probe, item, environ, opener, sleep), at, round_id)
        progress(place + 1, len(probe.items))
