"""Which object does a line of JSON hold, by the letter of RFC 8259?

Python's reader lets pass what the standard does not: NaN literals, the same key twice, halves of characters. Those are refused here.
"""

import json
import math
from typing import Any, NoReturn

from observability.records.values import Rejected, shown

MAX_LINE_BYTES = 1024 * 1024
"""A longer line is refused as `too_large`."""
HALF_CHARACTER = ("\\ud", "\\uD")
SPACE_BEFORE_COLON = ('" ', '"\t', '"\r', '"\n')


def literal(name: str) -> NoReturn:
    """Refuses NaN, Infinity and -Infinity outside quotes."""
    raise Rejected("not_json", f'{name} is not JSON (RFC 8259): write it as the string "{name}"')


def whole_number(digits: str) -> int | float:
    """An int; one of thousands of digits is an infinity, as every number beyond the range of a double."""
    return int(digits) if len(digits) < 4000 else float(digits)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, refused where a key stands twice in it."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Rejected("duplicate_key", f"the key {shown(twice).removeprefix('the text ')} stands twice in one object")
    return found


_LOOSE = json.JSONDecoder(parse_constant=literal).decode
_STRICT = json.JSONDecoder(parse_constant=literal, object_pairs_hook=unique_keys).decode
_LONG = json.JSONDecoder(parse_constant=literal, object_pairs_hook=unique_keys, parse_int=whole_number).decode


def decode(line: str) -> Any:
    """The value that a line holds. Raises Rejected: not_json, duplicate_key, bad_encoding."""
    try:
        value = _LOOSE(line)
        # Every key is followed by `":` (the other way to write it is read again); a text that holds it makes the counts differ too.
        if line.count('":') != keys_in(value) or any(each in line for each in SPACE_BEFORE_COLON):
            value = _STRICT(line)
    except json.JSONDecodeError as error:
        end = " (the line breaks off)" if error.pos >= len(line.rstrip()) else ""
        raise Rejected("not_json", f"not JSON: {error.msg} at character {error.pos + 1}{end}") from None
    except RecursionError:
        raise Rejected("not_json", "not readable: too many objects or lists inside one another") from None
    except ValueError:  # a number of more digits than Python reads at once
        value = _LONG(line)
    if any(mark in line for mark in HALF_CHARACTER):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Rejected("bad_encoding", "a \\u escape is half of a character (a surrogate without its other half)") from None
    return value


def keys_in(value: Any) -> int:
    """How many keys the objects in a value have, at any depth."""
    if value.__class__ is dict:
        total = len(value)
        for each in value.values():
            if each.__class__ is dict or each.__class__ is list:
                total += keys_in(each)
        return total
    return sum(keys_in(each) for each in value) if value.__class__ is list else 0


def canonical_json(value: Any) -> str:
    """JSON text that is the same for the same content: sorted keys, no spaces, numbers as Python writes them, NaN and infinities as texts."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except ValueError:
        return json.dumps(finite(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def finite(value: Any) -> Any:
    """The value with NaN and infinities as texts."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
