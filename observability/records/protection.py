"""Protect features before anything is written: they are hashed, put into buckets or dropped, as the settings of their model require.

The rules of all models are in `HOME/protect.json`, which registration writes, so that the SDK, HTTP and `load` apply the same rules.
Applying them twice gives the same result as applying them once.

A rule is `keep`, `hash` (HMAC with the key of the home, as `hmac:…`; equal values stay equal), `drop`, a number (the width of buckets: a
value becomes the lower end of its bucket) or a list of numbers (the ends of buckets). The name `subject` refers to the subject; other names
refer to features, groups, and fields that a record has beyond those of its kind.
"""

import bisect
import json
import math
import os
import re
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from observability.records.keyed_hash import home_key, keyed_hash
from observability.records.kinds import KINDS

FILE = "protect.json"
HASHED = re.compile(r"hmac:[0-9a-f]{32}")
LOOK_SECONDS = 1.0
Rules = Mapping[str, Mapping[str, Any]]
"""By model, the rule of each protected feature."""
NO_RENAMES: Mapping[str, str] = MappingProxyType({})


def hashed_value(key: bytes, value: object) -> str:
    """The keyed hash of a value. A value that is already hashed stays unchanged."""
    plain = int(value) if isinstance(value, float) and value.is_integer() else value
    text = plain if isinstance(plain, str) else json.dumps(plain)
    return text if HASHED.fullmatch(text) else f"hmac:{keyed_hash(key, f'value {text}')}"


def protected_value(rule: Any, value: Any, key: bytes) -> Any:
    """A value after a rule other than `drop` is applied. For buckets, a value that is not a number becomes null."""
    if value is None or rule == "keep":
        return value
    if rule == "hash":
        return hashed_value(key, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if isinstance(rule, int | float):
        return float(math.floor(value / rule) * rule)
    place = bisect.bisect_right(rule, value)
    return float(rule[max(place - 1, 0)])  # a value below the first end belongs to the first bucket


def protected_record(
    record: Mapping[str, Any],
    rules: Rules,
    key: bytes,
    model: str | None = None,
    renames: Mapping[str, str] = NO_RENAMES,
    flat: Collection[str] = (),
) -> dict[str, Any]:
    """A record after the rules of its model are applied to features, groups, the subject, and fields that its kind does not have.

    The given record is not changed. model: the model of records that name none. renames: name in the record → name in the rules. flat:
    names on the top level that are features.
    """
    theirs = {ours: name for name in record if (ours := renames.get(name, name)) in ("kind", "model")}
    named = record.get(theirs.get("model", "model"))
    own = rules.get(str(model if named is None else named), {})
    if not own:
        return dict(record)
    kind = str(record.get(theirs.get("kind", "kind")))
    known = KINDS.get(kind, KINDS["prediction"]).fields
    found: dict[str, Any] = {}
    for name, value in record.items():
        ours = renames.get(name, name)
        if ours in ("features", "groups") and isinstance(value, Mapping):
            found[name] = _protected_fields(value, own, key, renames)
        elif ours == "feature_at" and isinstance(value, Mapping):
            found[name] = {each: at for each, at in value.items() if own.get(renames.get(each, each)) != "drop"}
        elif (ours == "subject" and kind != "signature") or (ours != "subject" and (ours not in known or ours in flat)):
            found |= _protected_fields({name: value}, own, key, renames)
        else:
            found[name] = value
    return found


def _protected_fields(values: Mapping[str, Any], own: Mapping[str, Any], key: bytes, renames: Mapping[str, str]) -> dict[str, Any]:
    """Values by name, after the rules of one model are applied."""
    ruled = ((name, own.get(renames.get(name, name), "keep"), value) for name, value in values.items())
    return {name: protected_value(rule, value, key) for name, rule, value in ruled if rule != "drop"}


def protected_line(
    line: bytes,
    rules: Rules,
    key: bytes,
    model: str | None = None,
    renames: Mapping[str, str] = NO_RENAMES,
    flat: Collection[str] = (),
) -> bytes | None:
    """A line of JSON after `protected_record` is applied; the line itself if nothing changes. None if it is not a JSON object, or has the
    same key twice.
    """
    try:
        record = json.loads(line, object_pairs_hook=_unique_keys, parse_int=_number, parse_float=_number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    protected = protected_record(record, rules, key, model, renames, flat)
    return line if protected == record else json.dumps(protected, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as an object. Raises ValueError if a key occurs twice, because readers differ in which of the two values they use."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _number(digits: str) -> int | float | str:
    """A number. If it is beyond the range of a double, it becomes the text that records use for infinity."""
    if len(digits) < 300 and digits.lstrip("-").isdecimal():
        return int(digits)
    value = float(digits)
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


class Protection:
    """The rules and the key of a home. The rules are read again when their file changes. Thread-safe."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._looked, self._stamp = -math.inf, (-1, -1)
        self._rules: Rules = {}
        self._key: bytes | None = None

    def rules(self) -> Rules:
        """The rules by model, at most one second old. Raises OSError, ValueError if the file cannot be read."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            try:
                state = os.stat(self.home / FILE)
                stamp = state.st_mtime_ns, state.st_ino
            except (FileNotFoundError, NotADirectoryError):
                stamp = (0, 0)
            if stamp != self._stamp:
                rules = json.loads((self.home / FILE).read_text(encoding="utf-8")) if stamp != (0, 0) else {}
                self._rules, self._stamp = rules, stamp
            self._looked = now
        return self._rules

    def key(self) -> bytes:
        """The key. Raises OSError or ValueError; in that case, nothing may be written."""
        if self._key is None:
            self._key = home_key(self.home)
        return self._key
