"""Convert Python values to JSON types."""

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from observability.core.finding import iso

BEYOND_DOUBLE = re.compile(r"\d{309}")
"""Matches so many digits that a whole number may be beyond the range of a double."""


def stored_json(text: str) -> Any:
    """The value of stored JSON. A whole number beyond the range of a double becomes the text of an infinity, as in records."""
    return json.loads(text, parse_int=_whole_number) if BEYOND_DOUBLE.search(text) else json.loads(text)


def _whole_number(digits: str) -> int | str:
    if math.isfinite(float(digits)):
        return int(digits)
    return "-Infinity" if digits.startswith("-") else "Infinity"


def json_plain(value: Any) -> Any:
    """A value in JSON types: times as RFC 3339, tuples and arrays as lists, NaN and infinities as the strings of the data contract."""
    if isinstance(value, Mapping):
        return {str(key): json_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_plain(each) for each in value]
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else iso(value) + "Z"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return json_plain(value.tolist()) if hasattr(value, "tolist") else value
