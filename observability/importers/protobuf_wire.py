"""Reads the wire format of protocol buffers, as numbered fields without a schema."""

import struct
from collections.abc import Iterator

Field = tuple[int, int | bytes]
"""The number of a field and its value: an int if it is a varint, else its bytes."""
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5


def wire_fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in their order. Raises ValueError if the message is damaged."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _read_varint(data, place)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, place = _read_varint(data, place)
            yield number, value
            continue
        if wire == DELIMITED:
            length, place = _read_varint(data, place)
        else:
            length = {FIXED64: 8, FIXED32: 4}.get(wire, -1)
        if length < 0 or place + length > end:
            raise ValueError("the message ends within a field")
        yield number, data[place : place + length]
        place += length


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number of variable length at `place`, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("the message ends within a number")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number is longer than ten bytes")


def signed_varint(value: int | bytes) -> int:
    """A varint as a signed 64-bit number."""
    number = value if isinstance(value, int) else 0
    return number - (1 << 64) if number >= 1 << 63 else number


def float_number(value: int | bytes) -> float:
    """The number of a fixed field of four or eight bytes. Raises ValueError for another length."""
    if not isinstance(value, bytes) or len(value) not in (4, 8):
        raise ValueError("a number has a wrong length")
    return float(struct.unpack("<f" if len(value) == 4 else "<d", value)[0])


def text_field(value: int | bytes) -> str:
    """The text of a field."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def message_bytes(value: int | bytes) -> bytes:
    """The bytes of an embedded message. Raises ValueError if the value is a number."""
    if not isinstance(value, bytes):
        raise ValueError("a message is expected, not a number")
    return value
