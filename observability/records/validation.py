"""Check the value of one field of a record and convert it to its type."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal

from observability.records.values import (
    SCALARS,
    Rejected,
    member_attribution,
    member_number,
    member_probability,
    number_or_none,
    parse_time,
    quoted_value,
)

FieldType = Literal["text", "number", "integer", "time", "boolean", "object", "scalar", "list", "score", "label"]
Members = Literal["any", "number", "time", "attribution"]
Check = Callable[[Any, tzinfo | None], Any]

OTHER_NAMES = {
    "id": ("prediction_id", "request_id", "uuid", "_id"),
    "at": ("timestamp", "time", "ts", "datetime", "date", "event_time", "created_at"),
    "model": ("model_name", "model_id"),
    "version": ("model_version",),
    "features": ("inputs", "input", "feature"),
    "score": ("probability", "proba", "y_score", "y_prob", "output"),
    "prediction": ("predicted", "y_pred", "decision"),
    "value": ("label", "target", "actual", "outcome", "y_true", "truth"),
    "kind": ("type", "record"),
}
"""Names that other tools use for our fields; only for suggestions."""


@dataclass(frozen=True)
class RecordField:
    """One field. values: the allowed values, empty for any. members: type of an object's values. least, above, finite: limits of a
    number.
    """

    name: str
    type: FieldType
    doc: str = ""
    values: tuple[str, ...] = ()
    members: Members = "any"
    least: float | None = None
    above: float | None = None
    finite: bool = False


def field_checker(field: RecordField) -> Check:
    """A function that checks a value of this field and converts it to its type, or raises Rejected."""
    name = field.name

    def refuse(value: Any) -> Rejected:
        return Rejected("wrong_type", f"{name!r} is {field_description(field)}; got {quoted_value(value)}")

    def check_text(value: Any, _zone: tzinfo | None) -> str:
        if value.__class__ is int:
            value = str(value)
        elif value.__class__ is not str:
            raise refuse(value)
        if field.values and value not in field.values:
            raise Rejected("bad_value", f"{name!r} is one of {', '.join(field.values)}; got {quoted_value(value)}")
        if not value:
            raise Rejected("bad_value", f"{name!r} is an empty text")
        return value

    def check_number(value: Any, _zone: tzinfo | None) -> float:
        got = number_or_none(value)
        if got is None:
            raise refuse(value)
        if field.finite and not math.isfinite(got):
            raise Rejected("bad_value", f"{name!r} is a finite number; got {quoted_value(value)}")
        if field.least is not None and got < field.least:
            raise Rejected(
                "bad_value", f"{name!r} is a number from {field.least:g} on; got {quoted_value(value)}; leave it out where it is not known"
            )
        if field.above is not None and not got > field.above:
            raise Rejected("bad_value", f"{name!r} is above {field.above}; got {quoted_value(value)}")
        return got

    def check_integer(value: Any, _zone: tzinfo | None) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value.__class__ is not int:
            raise refuse(value)
        if not (field.least or 0) <= value < 2**63:
            raise Rejected("bad_value", f"{name!r} is a whole number from {field.least or 0} on; got {quoted_value(value)}")
        return int(value)

    def check_scalar(value: Any, _zone: tzinfo | None) -> Any:
        if value.__class__ not in SCALARS:
            raise refuse(value)
        return value

    def check_object(value: Any, zone: tzinfo | None) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refuse(value)
        if member is None or (member is member_number and all(item.__class__ is float for item in value.values())):
            return value
        return {key: member(f"{name}.{key}", item, zone) for key, item in value.items()}

    def check_list(value: Any, _zone: tzinfo | None) -> list[Any]:
        if not isinstance(value, list):
            raise refuse(value)
        return value

    def check_score(value: Any, zone: tzinfo | None) -> float | dict[str, float]:
        if not isinstance(value, dict):
            return check_number(value, zone)
        if not value:
            raise Rejected("bad_value", f"{name!r} is an empty object; expected class: number")
        return {key: (member_probability if name == "score" else member_number)(f"{name}.{key}", item, zone) for key, item in value.items()}

    def check_boolean(value: Any, _zone: tzinfo | None) -> bool:
        if value.__class__ is not bool:
            raise refuse(value)
        return bool(value)

    member = {"any": None, "number": member_number, "time": parse_time, "attribution": member_attribution}[field.members]
    checks: dict[str, Check] = {
        "text": check_text,
        "number": check_number,
        "integer": check_integer,
        "scalar": check_scalar,
        "object": check_object,
        "list": check_list,
        "score": check_score,
        "boolean": check_boolean,
    }
    return checks.get(field.type) or (lambda value, zone: parse_time(name, value, zone))


_TYPES = {
    "text": "a text",
    "number": "a number",
    "integer": "a whole number",
    "time": "a time, RFC 3339 with an offset",
    "boolean": "true or false",
    "object": "an object",
    "list": "a list",
    "scalar": "a text, a number, true or false",
    "score": "a number, or an object of class: number",
    "label": "a value, or an object with 'value'",
}


def field_description(field: RecordField) -> str:
    """The expected value of a field, in words."""
    return f"one of {', '.join(field.values)}" if field.values else _TYPES[field.type]


def field_suggestion(name: str, others: Mapping[str, Any]) -> str:
    """If one of the other fields looks like `name`, a hint such as `; it has 'timestamp': rename it to 'at'`; else an empty text."""
    near = [other for other in others if other.lower() in OTHER_NAMES.get(name, ()) or other.lower().strip("_ ") == name]
    near = near or difflib.get_close_matches(name, [other for other in others if len(other) > 2], n=1, cutoff=0.7)
    return f"; it has {near[0]!r}: rename it to {name!r}, or load with --map {near[0]}={name}" if near else ""
