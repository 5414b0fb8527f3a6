"""Read the file of a probe set (TOML). The file states the address, the questions, and where the answer is in the response."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from observability.core.errors import UsageError

MAX_ITEMS, MAX_BYTES, MAX_QUESTION = 1_000, 4_000_000, 20_000
"""Largest number of questions of a set, size of its file in bytes, and length of a question in characters."""
QUESTION, TOKEN = "{question}", "{token}"
READ = ("answer", "version", "input_tokens", "output_tokens", "cost", "refusal")
"""The values that may be read from a response. Only the answer is required."""
NUMBERS = {
    "timeout_s": (30.0, 0.1, 600.0),
    "retries": (2.0, 0.0, 10.0),
    "pause_s": (0.0, 0.0, 60.0),
    "most_seconds": (1800.0, 1.0, 14_400.0),
    "every_hours": (24.0, 1.0, 720.0),
    "input_price": (0.0, 0.0, 1e6),
    "output_price": (0.0, 0.0, 1e6),
    "request_price": (0.0, 0.0, 1e6),
    "tolerance": (0.0, 0.0, 1e12),
}
"""Settings that are numbers: default, minimum, maximum. Prices are per 1,000 tokens and per request."""
TEXTS = ("model", "version", "url", "method", "token", "pattern", "proxy", "set", "currency", "encoder")
TABLES = ("headers", "body", "read")
DEFAULT_REFUSALS = ("i can't", "i cannot", "i can’t", "i'm sorry", "i’m sorry", "i am unable", "as an ai")
"""An answer that begins like one of these counts as a refusal, unless the file states other beginnings."""


@dataclass(frozen=True)
class ProbeItem:
    """One question of a set. expected: the right answer, if there is one."""

    item: str
    question: str
    expected: str | None = None


@dataclass(frozen=True)
class ProbeSet:
    """A fixed set of questions to one model at one address.

    token: name of the environment variable that holds the token; the token itself is never stored. body: JSON with `{question}` in its
    texts; None for a request without a body. read: JSON pointers (RFC 6901), by the name of the value that they point to. answers: the
    classes that an answer may be; pattern: the regular expression of a well-formed answer. numbers: answers are numbers, which differ if
    they are more than `tolerance` apart (None: more than their own spread in the baseline). refusals: beginnings of answers that refuse, in
    lower case. currency: the currency of the prices and of the cost that the vendor states. encoder: absolute path of the sentence encoder
    for free-text answers (sentence_encoder.py).
    """

    model: str
    url: str
    items: tuple[ProbeItem, ...]
    read: Mapping[str, str]
    set: str
    version: str = "unknown"
    method: str = "POST"
    token: str | None = None
    proxy: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    answers: tuple[str, ...] = ()
    pattern: str | None = None
    numbers: bool = False
    tolerance: float | None = None
    refusals: tuple[str, ...] = DEFAULT_REFUSALS
    timeout_s: float = 30.0
    retries: float = 2.0
    pause_s: float = 0.0
    most_seconds: float = 1800.0
    every_hours: float = 24.0
    input_price: float = 0.0
    output_price: float = 0.0
    request_price: float = 0.0
    currency: str | None = None
    encoder: str | None = None

    @property
    def priced(self) -> bool:
        """Whether the file states any price."""
        return bool(self.input_price or self.output_price or self.request_price)


def read_probe_set(path: Path) -> ProbeSet:
    """The probe set in a file. Raises UsageError, which names the key, the value and the expected value."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError("the probe file cannot be read", where=path.name, got=error.strerror, attempt="Check the path") from None
    if len(raw) > MAX_BYTES:
        raise UsageError("the probe file is too large", where=path.name, got=f"{len(raw):,} bytes", expected=f"at most {MAX_BYTES:,}")
    try:
        body = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the probe file is not TOML", where=path.name, got=error) from None
    return parse_probe_set(body, path.name)


def parse_probe_set(body: Mapping[str, Any], where: str) -> ProbeSet:
    """The probe set in a parsed TOML body, which has the table [probe] and the list [[item]]."""
    if unknown := sorted(set(body) - {"probe", "item"}):
        raise UsageError("unknown table", where=where, got=", ".join(unknown), expected="[probe] and [[item]]")
    stated = body.get("probe")
    if not isinstance(stated, dict):
        raise UsageError("the table [probe] is missing", where=where, expected="[probe] with model and url")
    known = {*TEXTS, *NUMBERS, *TABLES, "answers", "refusals", "numbers"}
    if unknown := sorted(set(stated) - known):
        raise UsageError("unknown key", where=f"{where}, [probe]", got=", ".join(unknown), expected=", ".join(sorted(known)))
    texts = {name: _text(stated[name], f"probe.{name}", where) for name in TEXTS if name in stated}
    for name in ("model", "url"):
        if name not in texts:
            raise UsageError(f"probe.{name} is missing", where=where, expected="a text")
    _check_address(texts["url"], "probe.url", where)
    if "proxy" in texts:
        _check_address(texts["proxy"], "probe.proxy", where)
    if not Path(texts.get("encoder", "/")).is_absolute():
        expected = "an absolute path: the schedule reads a copy of this file elsewhere"
        raise UsageError("probe.encoder is a path", where=where, got=texts["encoder"], expected=expected)
    values: dict[str, Any] = {
        **texts,
        **{name: _number(stated[name], name, where) for name in NUMBERS if name in stated},
        "set": texts.get("set", Path(where).stem),
        "method": texts.get("method", "POST").upper(),
        "headers": _headers(stated.get("headers", {}), where),
        "body": stated.get("body"),
        "read": _pointers(stated.get("read", {}), where),
        "items": _items(body.get("item"), where),
    }
    for name in ("answers", "refusals"):
        if name in stated:
            values[name] = tuple(text.strip().lower() if name == "refusals" else text for text in _texts(stated[name], name, where))
    if not isinstance(stated.get("numbers", False), bool):
        raise UsageError("probe.numbers is true or false", where=where, got=repr(stated["numbers"]))
    values["numbers"] = stated.get("numbers", "tolerance" in stated)
    if values["numbers"] and (stated.get("answers") or stated.get("pattern")):
        raise UsageError("answers are numbers or classes", where=where, expected="probe.numbers or tolerance without answers and pattern")
    if "tolerance" in stated and not values["numbers"]:
        raise UsageError("probe.tolerance is of numbers", where=where, expected="numbers = true, or no tolerance")
    if values["method"] not in ("GET", "POST", "PUT"):
        raise UsageError("unknown method", where=where, got=values["method"], expected="GET, POST or PUT")
    if QUESTION not in f"{values['url']} {values['body']!r}":
        raise UsageError("the question is sent nowhere", where=where, expected=f"{QUESTION} in probe.body or probe.url")
    if any(TOKEN in text for text in values["headers"].values()) and "token" not in values:
        raise UsageError("a header needs a token", where=where, expected="probe.token, the name of an environment variable")
    try:
        re.compile(values.get("pattern") or "")
    except re.error as error:
        raise UsageError("probe.pattern is no regular expression", where=where, got=error) from None
    return ProbeSet(**values)


def _text(value: Any, name: str, where: str) -> str:
    """The value as a text that is not empty; else raises UsageError."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"the field {name} is a text", where=where, got=repr(value))
    return value


def _texts(value: Any, name: str, where: str) -> list[str]:
    """The value as a list of texts. Raises UsageError unless it is a list of at least one text."""
    if not isinstance(value, list) or not value:
        raise UsageError(f"probe.{name} is a list of texts", where=where, got=repr(value))
    return [_text(each, f"probe.{name}", where) for each in value]


def _number(value: Any, name: str, where: str) -> float:
    """The value as a number within the bounds of its setting; else raises UsageError."""
    _, least, most = NUMBERS[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UsageError(f"probe.{name} is a number", where=where, got=repr(value), expected=f"{least:g} to {most:g}")
    return float(value)


def _check_address(url: str, name: str, where: str) -> None:
    """Refuse an address that is not http or https, has no host, or carries a password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"the field {name} is no address", where=where, got=url, expected="http:// or https:// with a host")
    if parts.username or parts.password:
        raise UsageError(
            f"the field {name} holds a password", where=where, attempt="Put it into an environment variable, and name that as probe.token"
        )


def _headers(value: Any, where: str) -> dict[str, str]:
    """The headers: texts without line breaks; else raises UsageError."""
    if not isinstance(value, dict):
        raise UsageError("probe.headers is a table of texts", where=where, got=repr(value))
    for name, text in value.items():
        if not isinstance(text, str) or re.search(r"[\r\n]", name + text):
            raise UsageError(f"the header {name} is a text on one line", where=where, got=repr(text))
    return dict(value)


def _pointers(value: Any, where: str) -> dict[str, str]:
    """JSON pointers, by the name of the value to which they point."""
    if not isinstance(value, dict) or set(value) - set(READ):
        raise UsageError("probe.read is a table of JSON pointers", where=where, got=repr(value), expected=", ".join(READ))
    for name, pointer in value.items():
        if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
            raise UsageError(
                f"probe.read.{name} is a JSON pointer", where=where, got=repr(pointer), expected="as /choices/0/message/content"
            )
    if "answer" not in value:
        raise UsageError("probe.read.answer is missing", where=where, expected="a JSON pointer, as /choices/0/message/content")
    return dict(value)


def _items(value: Any, where: str) -> tuple[ProbeItem, ...]:
    """The questions, each with its own name."""
    if not isinstance(value, list) or not value:
        raise UsageError("the set has no questions", where=where, expected="[[item]] with item and question")
    if len(value) > MAX_ITEMS:
        raise UsageError("the set has too many questions", where=where, got=f"{len(value):,}", expected=f"at most {MAX_ITEMS:,}")
    found = []
    for place, entry in enumerate(value, 1):
        if not isinstance(entry, dict) or set(entry) - {"item", "question", "expected"}:
            raise UsageError(f"question {place} is wrong", where=where, got=repr(entry), expected="item, question and perhaps expected")
        texts = [_text(entry.get(name), f"{name} of question {place}", where) for name in ("item", "question")]
        if len(texts[1]) > MAX_QUESTION:
            got, expected_length = f"{len(texts[1]):,} characters", f"at most {MAX_QUESTION:,}"
            raise UsageError(f"question {place} is too long", where=where, got=got, expected=expected_length)
        expected = _text(entry["expected"], f"expected of question {place}", where) if "expected" in entry else None
        found.append(ProbeItem(texts[0], texts[1], expected))
    names = [each.item for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError("two questions have one name", where=where, got=", ".join(twice[:5]), expected="each item once")
    return tuple(found)
