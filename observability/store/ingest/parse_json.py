"""Decode a line of JSON strictly by RFC 8259.

Python's decoder accepts what the standard forbids: NaN literals, repeated keys, unpaired surrogates. These are rejected here.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NoReturn

from observability.core.time import aware_utc
from observability.records.values import Rejected, quoted_value

MAX_LINE_BYTES = 1024 * 1024
"""A longer line is rejected as `too_large`."""
HALF_CHARACTER = re.compile(r"\\u[dD]")
SPACE_BEFORE_COLON = re.compile(r'"[ \t\r\n]')


def _refuse_literal(name: str) -> NoReturn:
    """Reject NaN, Infinity and -Infinity outside quotes."""
    raise Rejected("not_json", f'{name} is not JSON (RFC 8259): write it as the string "{name}"')


def _whole_number(digits: str) -> int | float:
    """An int; a number of thousands of digits becomes an infinity, like every number beyond the range of a double."""
    return int(digits) if len(digits) < 4000 else float(digits)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises Rejected if a key is repeated."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Rejected("duplicate_key", f"the key {quoted_value(twice).removeprefix('the text ')} stands twice in one object")
    return found


_LOOSE = json.JSONDecoder(parse_constant=_refuse_literal).decode
_STRICT = json.JSONDecoder(parse_constant=_refuse_literal, object_pairs_hook=_unique_keys).decode
_LONG = json.JSONDecoder(parse_constant=_refuse_literal, object_pairs_hook=_unique_keys, parse_int=_whole_number).decode

_CANONICAL = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def decode_json(line: str) -> Any:
    """The value in a line. Raises Rejected: not_json, duplicate_key, bad_encoding."""
    try:
        value = _LOOSE(line)
        # Every key is followed by `":`; lines with other spellings are read again strictly. A text that holds these characters makes the
        # counts differ too.
        if line.count('":') != _key_count(value) or SPACE_BEFORE_COLON.search(line):
            value = _STRICT(line)
    except json.JSONDecodeError as error:
        end = " (the line breaks off)" if error.pos >= len(line.rstrip()) else ""
        raise Rejected("not_json", f"not JSON: {error.msg} at character {error.pos + 1}{end}") from None
    except RecursionError:
        raise Rejected("not_json", "not readable: too many objects or lists inside one another") from None
    except ValueError:  # a number with more digits than Python converts at once
        value = _LONG(line)
    if HALF_CHARACTER.search(line):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Rejected("bad_encoding", "a \\u escape is half of a character (a surrogate without its other half)") from None
    return value


def _key_count(value: Any) -> int:
    """Number of keys in all objects of a value, at any depth."""
    if value.__class__ is dict:
        total = len(value)
        for member in value.values():
            if member.__class__ is dict or member.__class__ is list:
                total += _key_count(member)
        return total
    return sum(_key_count(member) for member in value) if value.__class__ is list else 0


def canonical_json(value: Any) -> str:
    """JSON text that is equal for equal content: sorted keys, no spaces, NaN and infinities as texts."""
    try:
        return _CANONICAL(value)
    except ValueError:
        return _CANONICAL(json_value(value))


def escape_surrogates(text: str) -> str:
    """The text with unpaired surrogates escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def json_value(value: Any) -> Any:
    """The value in the types of JSON: NaN and infinities as texts, times in RFC 3339, other objects as their text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else aware_utc(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return json_value(float(value))
    if isinstance(value, Mapping):
        return {str(name): json_value(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(member) for member in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
