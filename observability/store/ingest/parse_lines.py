"""Find the lines of a block in its buffer."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from observability.store.ingest.parse_types import LineBlock

Array = np.ndarray[Any, np.dtype[Any]]
NEWLINE, BYTE_ORDER_MARK = 10, b"\xef\xbb\xbf"
SPACE = b" \t\r\n"


@dataclass(frozen=True)
class BlockLines:
    """The lines of a buffer that are not blank: where each begins and ends, its number, and whether it is UTF-8."""

    raw: memoryview
    buffer: Array
    starts: Array
    ends: Array
    numbers: Array
    readable: Array

    def pick(self, chosen: Any) -> "BlockLines":
        """Some of the lines (by position, slice or mask)."""
        picked = {name: getattr(self, name)[chosen] for name in ("starts", "ends", "numbers", "readable")}
        return replace(self, **picked)

    def __len__(self) -> int:
        return len(self.starts)

    def text(self, place: int) -> bytes:
        """The bytes of a line."""
        return bytes(self.raw[self.starts[place] : self.ends[place]])


def block_lines(block: LineBlock) -> BlockLines:
    """The lines of a block. Line numbers count blank lines too."""
    if isinstance(block.raw, bytes):
        raw, starts, ends = block.raw, *_line_bounds(block.raw)
    else:
        raw, starts, ends = _text_buffer(block.raw)
    numbers = np.arange(block.first_line, block.first_line + len(starts), dtype=np.int64)
    if block.first_line == 1 and len(starts) and raw[starts[0] : starts[0] + 3] == BYTE_ORDER_MARK:
        starts = starts.copy()
        starts[0] += 3
    buffer = np.frombuffer(raw, np.uint8) if len(raw) else np.zeros(1, np.uint8)
    full = np.flatnonzero(ends > starts)
    spaced = buffer[starts[full]] <= ord(" ")
    blank = [place for place in full[spaced].tolist() if not raw[starts[place] : ends[place]].strip(SPACE)]
    kept = np.setdiff1d(full, blank, assume_unique=True) if blank else full
    lines = BlockLines(memoryview(raw), buffer, starts[kept], ends[kept], numbers[kept], np.ones(len(kept), np.bool_))
    try:
        raw.decode()
    except UnicodeDecodeError:
        return replace(lines, readable=np.array([_is_utf8(lines.text(place)) for place in range(len(lines))], np.bool_))
    return lines


def _line_bounds(raw: bytes) -> tuple[Array, Array]:
    """Where lines begin and end, without their newline."""
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8) == NEWLINE)
    if raw and not raw.endswith(b"\n"):
        ends = np.append(ends, len(raw))
    return np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1] + 1]), ends


def _text_buffer(texts: pa.Array) -> tuple[bytes, Array, Array]:
    """The bytes of an array of texts, and where each begins and ends."""
    if not len(texts):
        return b"", np.zeros(0, np.int64), np.zeros(0, np.int64)
    texts = texts.fill_null("") if texts.null_count else texts
    _, offsets, data = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    at = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    raw = data.to_pybytes() if data is not None else b""
    return raw, at[:-1], at[1:]


def _is_utf8(line: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
