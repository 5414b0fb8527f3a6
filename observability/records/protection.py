"""Features that are protected before anything is written: hashed, put into buckets or dropped, as their model's settings declare.

The rules of every model lie in `HOME/protect.json`, which registration writes, so that the SDK, HTTP and `load` apply the same ones.
Applying them twice gives what applying them once gives.

A rule is `keep`, `hash` (HMAC with the key of the home, as `hmac:…`; equal values stay equal), `drop`, a number (the width of buckets: a
value becomes the lower end of its bucket) or a list of numbers (the ends of buckets). `subject` names the subject, other names features
and groups.
"""

import bisect
import json
import math
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from observability.records.keyed_hash import home_key, keyed_hash

FILE = "protect.json"
HASHED = re.compile(r"hmac:[0-9a-f]{32}")
LOOK_SECONDS = 1.0
Rules = Mapping[str, Mapping[str, Any]]
"""By model, the rule of each protected feature."""


def hashed_value(key: bytes, value: object) -> str:
    """A value as its keyed hash; one that is hashed already stays."""
    plain = int(value) if isinstance(value, float) and value.is_integer() else value
    text = plain if isinstance(plain, str) else json.dumps(plain)
    return text if HASHED.fullmatch(text) else f"hmac:{keyed_hash(key, f'value {text}')}"


def protected_value(rule: Any, value: Any, key: bytes) -> Any:
    """A value under a rule other than `drop`. A value that is no number has no bucket: it becomes null."""
    if value is None or rule == "keep":
        return value
    if rule == "hash":
        return hashed_value(key, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if isinstance(rule, int | float):
        return float(math.floor(value / rule) * rule)
    place = bisect.bisect_right(rule, value)
    return float(rule[max(place - 1, 0)])  # below the first end: the first bucket


def protected_record(record: Mapping[str, Any], rules: Rules, key: bytes, model: str | None = None) -> dict[str, Any]:
    """A record with the rules of its model applied; the record itself stays as it is. model: of a record that names none."""
    own = rules.get(str(record.get("model", model)), {})
    found = dict(record)
    if not own:
        return found
    if "subject" in own and found.get("subject") is not None and found.get("kind") != "signature":
        if own["subject"] == "drop":
            del found["subject"]
        else:
            found["subject"] = protected_value(own["subject"], found["subject"], key)
    for part in ("features", "groups"):
        values = found.get(part)
        if isinstance(values, Mapping):
            found[part] = {
                name: protected_value(own.get(name, "keep"), value, key) for name, value in values.items() if own.get(name) != "drop"
            }
    if isinstance(found.get("feature_at"), Mapping):
        found["feature_at"] = {name: at for name, at in found["feature_at"].items() if own.get(name) != "drop"}
    return found


def protected_line(line: bytes, rules: Rules, key: bytes, model: str | None = None) -> bytes | None:
    """A line of JSON with the rules of its model applied; the line itself where there are none; None where it is no JSON object.

    model: of a record that names none.
    """
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    if not rules.get(str(record.get("model", model))):
        return line
    protected = protected_record(record, rules, key, model)
    return line if protected == record else json.dumps(protected, ensure_ascii=False).encode("utf-8", "surrogatepass")


class Protection:
    """The rules and the key of a home, read again when the file changes. Safe under threads."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._looked, self._stamp = -math.inf, (-1, -1)
        self._rules: Rules = {}
        self._key: bytes | None = None

    def rules(self) -> Rules:
        """The rules by model, as of at most a second ago. Raises OSError, ValueError where the file cannot be read."""
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
        """The key. Raises OSError, ValueError: then nothing may be written."""
        if self._key is None:
            self._key = home_key(self.home)
        return self._key
