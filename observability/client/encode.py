"""Encode records of any Python values (numpy scalars, NaN, datetimes) as one line of JSON.

NaN and infinities become the strings "NaN", "Infinity" and "-Infinity", which differ from null. Foreign types are recognised by their
methods, without importing their libraries. A value without a JSON form is written as text, so that the record is not lost because of one
such feature.
"""

import json
import math
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from enum import Enum

MAX_LINE_BYTES = 1024 * 1024
_MAX_DEPTH = 30
_MAX_TEXT = 200
_MAX_ERROR = 300
_MISSING = {"NaTType", "NAType"}  # missing values of pandas


class RefusedError(ValueError):
    """The record cannot be written; the message gives the reason."""


def encode_line(record: Mapping[str, object]) -> bytes:
    """The record as one line of UTF-8 JSON with its newline. RefusedError if it is larger than 1 MB."""
    try:
        line = _ENCODER.encode(record).encode() + b"\n"
    except (ValueError, TypeError):  # NaN, an infinity, a key that is no string, a lone surrogate, a cycle
        line = _ENCODER.encode(_clean(record)).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise RefusedError(f"the record has {len(line)} bytes, more than {MAX_LINE_BYTES}")
    return line


def format_time(value: object, field: str = "at") -> object:
    """A point in time as RFC 3339 in UTC with microseconds and "Z".

    A date is midnight UTC; text is left to the loader. RefusedError for a datetime without an offset.
    """
    if isinstance(value, datetime) and type(value).__name__ not in _MISSING:
        if value.utcoffset() is None:
            raise RefusedError(f"the field {field}: {value.isoformat()} has no offset; give a datetime with a timezone")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00.000000Z"
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":
        raise RefusedError(f"the field {field}: {value} has no offset; give a datetime with a timezone")
    return value


def utc_now_text() -> str:
    """The present time, in the format of `format_time`."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def describe_error(error: BaseException | None) -> str:
    """An exception as a short line of text. It also works if the exception's `str` fails."""
    try:
        return f"{type(error).__name__}: {error}"[:_MAX_ERROR]
    except Exception:
        return type(error).__name__


def _plain(value: object) -> object:
    """The JSON form of a foreign value: a number, text, list or dictionary (whose members may be foreign)."""
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, datetime):
        return value.isoformat() if value.utcoffset() is None else format_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m"):
        return str(value)
    for method in ("to_dict", "item", "tolist"):
        try:
            plain = getattr(value, method)()
        except (AttributeError, TypeError, ValueError, RuntimeError):
            continue
        if plain is None or isinstance(plain, str | int | float | list | dict):
            return plain
    if hasattr(value, "__float__"):
        return float(value)
    if isinstance(value, Collection):
        return list(value)
    return str(value)[:_MAX_TEXT]


def _clean(value: object, depth: int = 0) -> object:
    """A copy in which every number is finite, every key is text and every text is valid Unicode."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if depth >= _MAX_DEPTH:
        return type(value).__name__
    if isinstance(value, dict):
        return {_key(key): _clean(member, depth + 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(member, depth + 1) for member in value]
    return _clean(_plain(value), depth + 1)


def _key(key: object) -> str:
    """A dictionary's key as text; true, null and numbers in their JSON form."""
    cleaned = _clean(key)
    if isinstance(cleaned, str):
        return cleaned
    return json.dumps(cleaned) if cleaned is None or isinstance(cleaned, bool | int | float) else str(key)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
