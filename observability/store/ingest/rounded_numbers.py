"""Whole numbers of a record that a column of doubles does not hold exactly.

A double holds every whole number up to 2^53 and only some beyond. A larger number (an id, nanoseconds since 1970) is rounded in its column,
by at most one part in 9e15. The exact number of a feature or group stays with the record, and each load reports the rounding once per
column.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from observability.records.kinds import KINDS
from observability.records.values import EXACT, number_or_none

OF_NUMBERS = ("number", "attribution")


def is_rounded(value: Any) -> bool:
    """Whether a value is a whole number that no double equals."""
    return value.__class__ is int and not -EXACT <= value <= EXACT and number_or_none(value) != value


def rounded_fields(record: Mapping[str, Any], kind: str) -> Iterator[tuple[str, int]]:
    """Yield the number fields of a record, as it arrived, that are rounded, by name; features and groups are left out."""
    fields = KINDS[kind].fields
    for name, value in record.items():
        if value.__class__ is int and (-EXACT <= value <= EXACT or name not in fields):
            continue
        if name in fields and (fields[name].type in ("number", "score") or fields[name].members in OF_NUMBERS):
            yield from _rounded_values(name, value)


def _rounded_values(name: str, value: Any) -> Iterator[tuple[str, int]]:
    """Yield a value, or those inside of an object, that are rounded, with their names."""
    if value.__class__ is dict:
        for member, inner in value.items():
            yield from _rounded_values(f"{name}.{member}", inner)
    elif is_rounded(value):
        yield name, value


def rounding_note(owner: str, name: str, value: int) -> str:
    """The note about a column. owner: the model, else the kind of record. value: the first number that was rounded."""
    exact = "; the record keeps it exactly" if name.startswith(("feature.", "group.")) else ""
    given = str(value) if value.bit_length() < 200 else f"a number of {value.bit_length() * 0.30103:.0f} digits"
    return (
        f"{name!r} of {owner}: {given} is counted as {number_or_none(value)!r}, as a double holds every whole number only up to 2^53"
        f"{exact}. Log ids as text."
    )
