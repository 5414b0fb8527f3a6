"""Convert JSON values to typed values: numbers, times, and texts that can be compared."""

import json
import math
import re
import uuid
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

EXACT = 2**53
"""Up to this number, a double represents every whole number exactly."""
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Texts that stand for numbers which JSON cannot express. They differ from null."""
FIRST, AFTER_LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2201, 1, 1, tzinfo=UTC)
"""Times must be at or after FIRST and before AFTER_LAST."""


SCALARS = frozenset((str, int, float, bool))


class Rejected(Exception):  # noqa: N818 - a result of validation, not a failure of the program
    """The record violates a rule. reason: a short code that does not change between releases. message: a sentence with the received and the
    expected value.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def quoted_value(value: Any) -> str:
    """A value for a message: its JSON, cut to 60 characters, preceded by its type if the type matters."""
    if isinstance(value, dict | list):
        return f"an object with {len(value)} fields" if isinstance(value, dict) else f"a list of {len(value)}"
    body = json.dumps(value, ensure_ascii=False, default=str)
    body = body if len(body) <= 60 else body[:57] + "…"
    prefixes = {str: "the text ", int: "the number ", float: "the number "}
    return prefixes.get(value.__class__, "") + body


def number_or_none(value: Any) -> float | None:
    """A number, or "NaN", "Infinity", "-Infinity", as a float; None for anything else. A number beyond the range of a double becomes
    infinite.
    """
    if value.__class__ is float:
        return float(value)
    if value.__class__ is int:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return NON_FINITE.get(value) if value.__class__ is str else None


def member_number(name: str, value: Any, _zone: tzinfo | None) -> float:
    """The value, a member of an object, as a number. Raises Rejected if it is not a number."""
    got = number_or_none(value)
    if got is None:
        raise Rejected("wrong_type", f"{name!r} is a number; got {quoted_value(value)}")
    return got


def member_probability(name: str, value: Any, zone: tzinfo | None) -> float:
    """The value, a member of an object, as a number from 0 to 1. Raises Rejected if it is not one."""
    got = member_number(name, value, zone)
    if not 0 <= got <= 1:
        raise Rejected("bad_value", f"{name!r} is a probability from 0 to 1; got {quoted_value(value)}")
    return got


def member_attribution(name: str, value: Any, zone: tzinfo | None) -> float | dict[str, float]:
    """A number, or an object with a number for each class."""
    if isinstance(value, dict):
        return {key: member_number(f"{name}.{key}", member, zone) for key, member in value.items()}
    return member_number(name, value, zone)


def canonical_text(value: str | float | bool) -> str:
    """A scalar as text, in the form in which classes and labels are compared: whole numbers without a decimal point, true and false, texts
    unchanged.
    """
    if value.__class__ is str:
        return str(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:([Zz])|([+-])(\d\d):([0-5]\d))?)?", re.ASCII)


def parse_time(name: str, value: Any, zone: tzinfo | None) -> datetime:
    """The time in UTC, from RFC 3339 text (digits beyond microseconds are cut off), or from a datetime.

    A bare date is midnight UTC. 24:00:00 is the end of the day; a leap second (23:59:60 UTC) is the first moment of the next day. A time
    without an offset is local time in `zone` (the earlier one where clocks go back); without a zone it is rejected. Years 1970 to 2200.
    """
    if isinstance(value, datetime | date):
        value = value.isoformat()
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise bad_time(name, value)
    day, hour, minute, second, fraction, utc, sign, offset_hour, offset_minute = match.groups()
    try:
        instant = datetime.fromisoformat(day)
        if hour is None:
            instant = instant.replace(tzinfo=UTC)
        else:
            whole = (int(hour), int(minute), int(second or 0))
            leap = whole[2] == 60
            past_midnight = whole[0] == 24 and (whole[1], whole[2], int(fraction or 0)) != (0, 0, 0)
            if past_midnight or whole[0] > 24 or whole[1] > 59 or whole[2] > 60:
                raise bad_time(name, value)
            micro = 0 if fraction is None or leap else int(fraction[:6].ljust(6, "0"))
            instant += timedelta(hours=whole[0], minutes=whole[1], seconds=whole[2], microseconds=micro)
            if utc is not None:
                instant = instant.replace(tzinfo=UTC)
            elif sign is not None:
                if int(offset_hour) > 23:
                    raise bad_time(name, value)
                offset = timedelta(hours=int(offset_hour), minutes=int(offset_minute))
                instant = (instant - offset if sign == "+" else instant + offset).replace(tzinfo=UTC)
            elif zone is not None:
                instant = instant.replace(tzinfo=zone).astimezone(UTC)
            else:
                raise Rejected(
                    "no_offset",
                    f"{name!r} has no offset: {quoted_value(value)}; write it with Z for UTC or +02:00, or load with --timezone",
                )
            if leap and (instant.hour, instant.minute, instant.second) != (0, 0, 0):
                raise bad_time(name, value)
    except (ValueError, OverflowError):
        raise bad_time(name, value) from None
    if not FIRST <= instant < AFTER_LAST:
        raise Rejected("bad_time", f"{name!r} is in the years 1970 to 2200; got {quoted_value(value)}")
    return instant


def bad_time(name: str, value: Any) -> Rejected:
    """The rejection of a value that is not a time."""
    hint = " (seconds since 1970 are not taken: write the date)" if isinstance(value, int | float) else ""
    return Rejected("bad_time", f"{name!r} is a time like 2013-07-01T10:00:00Z; got {quoted_value(value)}{hint}")


def new_record_id() -> str:
    """A unique id for a verdict or an action."""
    return uuid.uuid4().hex
