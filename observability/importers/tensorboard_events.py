"""Reads TensorBoard event files: scalars, and the hyperparameters of the hparams plugin.

An event file is a sequence of records (length, checksum of the length, an Event message, checksum of the message). The fields read here are
from TensorFlow's event.proto, summary.proto and tensor.proto, and from plugin_data.proto of TensorBoard's hparams plugin.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from observability.importers.protobuf_wire import float_number, message_bytes, signed_varint, text_field, wire_fields

SCALARS, HPARAMS = "scalars", "hparams"
SORTS = {4: "images", 5: "histograms", 6: "audio clips"}
"""The type of a summary value, by the number of its field."""
PLUGIN_SORTS = {"text": "texts", "images": "images", "histograms": "histograms", "audio": "audio clips", "pr_curves": "curves"}
LARGEST_CHECKED = 65_536
"""The checksum of a record's content is verified up to this number of bytes. Larger records hold no scalars."""
MAX_BYTES = 1 << 30
SESSION_STATUS = {1: "finished", 2: "failed"}
"""Status numbers of a hparams session that has ended, and their status in records."""


@dataclass
class EventFile:
    """The content of one event file. scalars: (tag, value, time, step). other: number of other summaries by sort.

    hparams: hyperparameters from the start of the session. status, ended: status and time of the session's end, or None. first, last: times
    of the first and the last event, in seconds since 1970. damage: why reading stopped before the end of the file, or "".
    """

    scalars: list[tuple[str, float, float, int]] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    hparams: dict[str, Any] = field(default_factory=dict)
    status: str | None = None
    ended: float | None = None
    first: float | None = None
    last: float | None = None
    damage: str = ""


def read_event_file(path: Path) -> EventFile:
    """The content of an event file. A damaged or unfinished file is read up to the damage, which is described in `damage`."""
    found = EventFile()
    plugins: dict[str, str] = {}
    try:
        for data in event_messages(path):
            _add_event(found, data, plugins)
    except ValueError as error:
        found.damage = str(error)
    return found


def is_event_file(path: Path) -> bool:
    """Whether the first record of a file is that of an event file. Its length and checksum have to match, and it has to name the version of
    the format.
    """
    try:
        first = next(event_messages(path), b"")
        return any(number == 3 and text_field(value).startswith("brain.Event:") for number, value in wire_fields(first))
    except ValueError:
        return False


def event_messages(path: Path) -> Iterator[bytes]:
    """The Event messages of a file. Raises ValueError at the first record that is incomplete or has a wrong checksum."""
    with path.open("rb") as file:
        while header := file.read(12):
            if len(header) < 12:
                raise ValueError("the last record is cut")
            length, check = struct.unpack("<QI", header)
            if masked_checksum(header[:8]) != check:
                raise ValueError("the checksum of a record's length is wrong")
            if length > MAX_BYTES:
                raise ValueError("a record is larger than 1 GB")
            data, footer = file.read(length), file.read(4)
            if len(data) < length or len(footer) < 4:
                raise ValueError("the last record is cut")
            if length <= LARGEST_CHECKED and masked_checksum(data) != struct.unpack("<I", footer)[0]:
                raise ValueError("the checksum of a record is wrong")
            yield data


def _add_event(found: EventFile, data: bytes, plugins: dict[str, str]) -> None:
    """Decode one Event message and add its values to `found`."""
    time, step, summaries = 0.0, 0, []
    for number, value in wire_fields(data):
        if number == 1:
            time = float_number(value)
        elif number == 2:
            step = signed_varint(value)
        elif number == 5:
            summaries.append(message_bytes(value))
    found.first = time if found.first is None else min(found.first, time)
    found.last = time if found.last is None else max(found.last, time)
    for summary in summaries:
        for number, value in wire_fields(summary):
            if number == 1:
                _add_summary_value(found, message_bytes(value), time, step, plugins)


def _add_summary_value(found: EventFile, data: bytes, time: float, step: int, plugins: dict[str, str]) -> None:
    """Add one value of a summary. Only the first value of a tag names its plugin."""
    tag, scalar, sort, content = "", None, "", b""
    for number, value in wire_fields(data):
        if number == 1:
            tag = text_field(value)
        elif number == 2:
            scalar = float_number(value)
        elif number == 8:
            scalar, sort = tensor_number(message_bytes(value)), sort or "tensors"
        elif number == 9:
            plugin, content = _plugin_of_metadata(message_bytes(value))
            plugins[tag] = plugin or plugins.get(tag, "")
        elif number in SORTS:
            sort = SORTS[number]
    plugin = plugins.get(tag, "")
    if plugin == HPARAMS:
        _add_hparams(found, content)
    elif scalar is not None and plugin in ("", SCALARS):
        found.scalars.append((tag, scalar, time, step))
    else:
        found.other[PLUGIN_SORTS.get(plugin, sort or "tensors")] += 1


def _plugin_of_metadata(data: bytes) -> tuple[str, bytes]:
    """Name and content of the plugin in a SummaryMetadata."""
    name, content = "", b""
    for number, value in wire_fields(data):
        if number == 1:
            for part, inner in wire_fields(message_bytes(value)):
                if part == 1:
                    name = text_field(inner)
                elif part == 2:
                    content = message_bytes(inner)
    return name, content


def _add_hparams(found: EventFile, content: bytes) -> None:
    """Add what a hparams session records at its start or its end."""
    for number, value in wire_fields(content):
        if number == 3:
            for part, inner in wire_fields(message_bytes(value)):
                if part == 1:
                    name, hparam = _map_entry(message_bytes(inner))
                    found.hparams[name] = hparam
        elif number == 4:
            for part, inner in wire_fields(message_bytes(value)):
                if part == 1:
                    found.status = SESSION_STATUS.get(signed_varint(inner), found.status)
                elif part == 2:
                    found.ended = float_number(inner) or None


def _map_entry(data: bytes) -> tuple[str, Any]:
    """Key and value of an entry of a map to google.protobuf.Value. The value is a number, a text, true or false; None for anything else."""
    name, held = "", None
    for number, value in wire_fields(data):
        if number == 1:
            name = text_field(value)
        elif number == 2:
            for kind, inner in wire_fields(message_bytes(value)):
                held = float_number(inner) if kind == 2 else text_field(inner) if kind == 3 else bool(inner) if kind == 4 else None
    return name, held


def tensor_number(data: bytes) -> float | None:
    """The number in a tensor with exactly one float, double or integer. None for any other tensor."""
    kind, content, values = 0, b"", []
    for number, value in wire_fields(data):
        if number == 1:
            kind = signed_varint(value)
        elif number == 4:
            content = message_bytes(value)
        elif number in (5, 6) and isinstance(value, bytes):
            size = 4 if number == 5 else 8
            values += [float_number(value[place : place + size]) for place in range(0, len(value), size)]
        elif number in (7, 10):
            values += [float(signed_varint(value))] if isinstance(value, int) else [float(number) for number in _packed_varints(value)]
    if content:
        form = {1: "<f", 2: "<d", 3: "<i", 9: "<q"}.get(kind)
        return float(struct.unpack(form, content)[0]) if form and len(content) == struct.calcsize(form) else None
    return values[0] if kind in (1, 2, 3, 9) and len(values) == 1 else None


def _packed_varints(data: bytes) -> list[int]:
    """The numbers in a packed field of varints."""
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(signed_varint(value))
            value, shift = 0, 0
    return found


def _checksum_table() -> list[int]:
    """The look-up table of the checksum CRC-32C, one entry per byte value."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 if crc & 1 else crc >> 1
        table.append(crc)
    return table


_TABLE = _checksum_table()


def masked_checksum(data: bytes) -> int:
    """The CRC-32C checksum of data, masked as in record files."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
