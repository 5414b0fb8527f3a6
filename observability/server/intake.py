"""Take the records of an HTTP request. The size of its body is limited, and valid records are on disk before the response.

A body is JSONL, a JSON array of records, or one JSON object; plain or compressed with gzip.
"""

import asyncio
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from starlette.requests import Request

from observability.core.errors import StoreBrokenError
from observability.core.limits import IntakeLimits
from observability.records.protection import Protection, protected_line
from observability.records.values import quoted_value
from observability.server import process_lock
from observability.server.access import ACTING
from observability.server.refused_lines import refused_lines

GZIP_MAGIC = b"\x1f\x8b"
DROPPED_HEADER = "observability-dropped"
"""Header in which a client says how many records it dropped since its last accepted request."""
Wrong = dict[int, tuple[str, str]]
"""The rejected lines by their number: the reason as a word, and the message."""
Takes = Literal["any", "label"]
"""What an address accepts: records of any kind, or labels, which need not state their kind."""


class IntakeRefusedError(Exception):
    """Raised if a request is refused as a whole. It holds the status of the response, the problem, the advice, and headers of the
    response.
    """

    def __init__(self, status: int, error: str, attempt: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.attempt, self.headers = status, error, attempt, headers


@dataclass(frozen=True)
class Taken:
    """What happened to the lines of a body. rejected: {line, reason} of each rejected line. reasons: number of rejected lines by reason
    (one word). notes: remarks on numbers that are rounded.
    """

    accepted: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


async def read_body(request: Request, limits: IntakeLimits) -> bytes:
    """The body of a request as it was sent. Raises IntakeRefusedError if it is too large or does not arrive in time."""
    announced = request.headers.get("content-length", "0")
    too_large = IntakeRefusedError(413, f"the body exceeds {limits.body_bytes:,} bytes", "Send fewer lines per request")
    if announced.isdecimal() and (len(announced) > 15 or int(announced) > limits.body_bytes):
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > limits.body_bytes:
                    raise too_large
    except TimeoutError:
        raise IntakeRefusedError(
            408, f"the body did not arrive within {limits.body_seconds} seconds", "Send it again", {"Connection": "close"}
        ) from None
    return bytes(body)


def expanded_body(body: bytes, encoding: str, most: int) -> bytes:
    """The decompressed body. encoding: the request's Content-Encoding; gzip is recognised without it too.

    Raises IntakeRefusedError if the encoding is unknown, the body is damaged, or it expands to more than `most` bytes.
    """
    if encoding.strip().lower() not in ("", "identity", "gzip", "x-gzip"):
        raise IntakeRefusedError(415, f"unknown Content-Encoding {encoding[:40]!r}", "Send the body as it is, or compressed with gzip")
    if not body.startswith(GZIP_MAGIC):
        if "gzip" in encoding.lower() and body:
            raise IntakeRefusedError(400, "the body is not gzip, as Content-Encoding says", "Compress it, or leave Content-Encoding out")
        return body
    expanded = bytearray()
    rest = body
    try:
        while rest:
            stream = zlib.decompressobj(wbits=31)
            expanded += stream.decompress(rest, most + 1 - len(expanded))
            if len(expanded) > most:
                raise IntakeRefusedError(413, f"the body exceeds {most:,} bytes after decompression", "Send fewer lines per request")
            if not stream.eof:
                raise IntakeRefusedError(400, "the gzip body ends too early", "Send it again")
            rest = stream.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise IntakeRefusedError(400, f"the gzip body cannot be read: {error}", "Compress it again") from None
    return bytes(expanded)


def record_lines(body: bytes) -> list[bytes]:
    """The records of a body, one per line. Blank lines stay, so that the position in the list is the line number, or the position in the
    array.

    Raises IntakeRefusedError for an array that is not valid JSON.
    """
    start = body.lstrip(b" \t\r\n")
    if start.startswith(b"["):
        return _array_elements(start)
    if start.startswith(b"{") and not start.partition(b"\n")[0].rstrip().endswith(b"}"):  # one object over several lines
        with suppress(ValueError):
            json.loads(start)
            return [_on_one_line(start.decode())]
    return body.split(b"\n")


def _array_elements(body: bytes) -> list[bytes]:
    """The elements of a JSON array, each with its original text."""
    found: list[bytes] = []
    try:
        text = body.decode()
        at = _past_space(text, 1)
        while found or text[at] != "]":
            _, end = _DECODER.raw_decode(text, at)
            found.append(_on_one_line(text[at:end]))
            at = _past_space(text, end)
            if text[at] == "]":
                break
            if text[at] != ",":
                raise ValueError("no comma")
            at = _past_space(text, at + 1)
        if text[at + 1 :].strip():
            raise ValueError("text after the array")
    except (ValueError, IndexError, RecursionError):
        where = f"after {len(found)} elements" if found else "at its first element"
        attempt = "Send valid JSON in UTF-8, or one record per line (JSONL)"
        raise IntakeRefusedError(400, f"the JSON array cannot be read {where}", attempt) from None
    return found


_DECODER = json.JSONDecoder()


def _on_one_line(text: str) -> bytes:
    """Valid JSON without its line breaks. In valid JSON, they can occur only between tokens."""
    return text.replace("\r", " ").replace("\n", " ").encode()


def _past_space(text: str, at: int) -> int:
    """The place of the next character that is not JSON white space."""
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at


def take_records(lines: list[bytes], takes: Takes, token: str, limits: IntakeLimits) -> Taken:
    """Validate lines as the loader does, and write valid ones to the landing folder, synced.

    Raises IntakeRefusedError if the token brought too many new columns, StoreBrokenError if the disk refuses.
    """
    owner = process_lock.current_owner()
    store, quotas = owner.store, owner.quotas
    store.require_space()
    wrong: Wrong = {}
    lines = [_within_limits(line, number, limits, wrong) for number, line in enumerate(lines, start=1)]
    if takes == "label":
        lines = [_as_label(line, number, wrong) for number, line in enumerate(lines, start=1)]
    checked = store.check_lines(b"\n".join(lines), quotas.new_model_limit(token, limits, store.catalog().unregistered))
    if wait := quotas.seconds_to_wait_for_columns(token, checked.new_columns, limits):
        raise IntakeRefusedError(
            429,
            f"the request brings new features beyond the {limits.new_columns_per_hour:,} that one token may bring an hour",
            "Register the model, send the features that it has, or raise new_columns_per_hour in limits.toml",
            {"Retry-After": str(math.ceil(wait))},
        )
    wrong |= {line: (reason, message) for line, reason, message in checked.rejected}
    wrong |= {number: ("not_allowed", message) for number, message in refused_lines(ACTING.get(), lines, wrong).items()}
    good = [line for number, line in enumerate(lines, start=1) if line.strip() and number not in wrong]
    quotas.count_records(token, len(good) + len(wrong), limits)
    if good:
        good = protected_lines(store.home, good)
        owner.records.commit(b"\n".join(good) + b"\n", len(good))
        quotas.count_new_names(token, checked.new_models, checked.new_columns)
    rejected = [{"line": line, "reason": message} for line, (_, message) in sorted(wrong.items())]
    return Taken(len(good), rejected, Counter(reason for reason, _ in wrong.values()), checked.notes)


def protected_lines(home: Path, lines: list[bytes]) -> list[bytes]:
    """Lines after the rules for protected features are applied. Raises StoreBrokenError if the rules cannot be read; nothing is then
    written.
    """
    protection = Protection(home)
    try:
        rules = protection.rules()
        return [protected_line(line, rules, protection.key()) or line for line in lines] if rules else lines
    except (OSError, ValueError) as error:
        raise StoreBrokenError("the rules or the key of protected features cannot be read", where=str(home), got=error) from error


def _within_limits(line: bytes, number: int, limits: IntakeLimits, wrong: Wrong) -> bytes:
    """The line. If a text in it is too long, or it has too many features, the line becomes blank and is noted in `wrong`. Short lines are
    not parsed, because they cannot exceed a limit.
    """
    if len(line) <= min(limits.value_characters, 4 * limits.features_per_line):
        return line
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(record, dict):
        return line
    for part in ("features", "groups"):
        given = record.get(part)
        if isinstance(given, dict) and len(given) > limits.features_per_line:
            message = f"{part!r} has {len(given):,} entries; one line has at most {limits.features_per_line:,} (limits.toml)"
            wrong[number] = "too_many_features", message
            return b""
    longest = max(map(len, texts_within(record)), default=0)
    if longest > limits.value_characters:
        wrong[number] = "text_too_long", f"a text has {longest:,} characters; one has at most {limits.value_characters:,} (limits.toml)"
        return b""
    return line


def texts_within(value: object) -> Iterator[str]:
    """Every text in a JSON value, names included."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict):
            waiting += [*inner, *inner.values()]
        elif isinstance(inner, list):
            waiting += inner


def _as_label(line: bytes, number: int, wrong: Wrong) -> bytes:
    """A line, with the kind label if it states no kind. A line of another kind becomes blank and is noted in `wrong`."""
    try:
        record = json.loads(line) if line.strip() else None
    except (ValueError, RecursionError):
        return line
    if not isinstance(record, dict) or not record or record.get("kind") == "label":
        return line
    if "kind" not in record:
        return b'{"kind":"label",' + line.lstrip()[1:]
    message = f"'kind' is label at this address; got {quoted_value(record['kind'])}. Send other kinds to /api/v1/records"
    wrong[number] = "wrong_kind", message
    return b""
