"""Segments in landing, before and after they are loaded.

`landing/ready/` holds published segments. Loaded ones move to `landing/loaded/` and are kept for a week. When the store is opened they are
compared with the manifest, and what the store lost (a damaged log, an older backup) is loaded again. A segment that cannot be loaded moves
to `landing/failed/`, so that it does not block others.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from observability.store.ingest.parse_types import LineBlock, RefusedLine

BLOCK_BYTES = 16 * 1024 * 1024
LINE_BYTES = 16 * 1024 * 1024
"""A longer line is rejected. A client writes records of at most 1 MB."""
KEPT_SECONDS = 7 * 24 * 3600
SHOWN_BYTES = 1000


@dataclass(frozen=True)
class Segment:
    """A published segment: its file and its size in bytes."""

    path: Path
    size: int

    @property
    def name(self) -> str:
        """Its name in the manifest."""
        return self.path.name


def published_segments(landing: Path) -> list[Segment]:
    """Published segments, oldest first. Anything but plain files is ignored. Read-only."""
    return segment_files(landing / "ready")


def segment_files(folder: Path) -> list[Segment]:
    """The JSONL files of a folder, by name."""
    found = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    for entry in entries:
        try:
            state = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if entry.name.endswith(".jsonl") and stat.S_ISREG(state.st_mode):
            found.append(Segment(Path(entry.path), state.st_size))
    return found


def segment_groups(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Groups of consecutive segments of together at most one block, so that many small ones cost one transaction."""
    run: list[Segment] = []
    for segment in segments:
        if run and sum(earlier.size for earlier in run) + segment.size > BLOCK_BYTES:
            yield run
            run = []
        run.append(segment)
    if run:
        yield run


def read_segment(path: Path) -> bytes:
    """The bytes of a segment, which must not be a link."""
    with _open_plain_file(path) as file:
        return file.read()


def segment_blocks(path: Path, size: int = BLOCK_BYTES) -> Iterator[tuple[LineBlock, bytes]]:
    """A segment as blocks of whole lines of about `size` bytes, each with the bytes that were read for it."""
    with _open_plain_file(path) as file:
        yield from line_blocks(file, path.name, "line_too_long", size)


def _open_plain_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def line_blocks(stream: BinaryIO, name: str, reason: str, size: int) -> Iterator[tuple[LineBlock, bytes]]:
    """Whole lines of a stream as blocks of about `size` bytes, each with the bytes that were read for it.

    A line longer than LINE_BYTES is rejected with this reason and not kept, so that memory is bounded.
    """
    first = 1
    while piece := stream.read(size):
        whole = raw = piece if piece.endswith(b"\n") else piece + stream.readline(LINE_BYTES)
        refused: tuple[RefusedLine, ...] = ()
        if not raw.endswith(b"\n") and (rest := _skip_rest_of_line(stream)):
            start, line = raw.rfind(b"\n") + 1, first + raw.count(b"\n")
            shown = raw[start : start + SHOWN_BYTES].decode("utf-8", "replace")
            message = f"the line has {len(raw) - start + rest:,} bytes; one has at most {LINE_BYTES:,}"
            refused, raw = (RefusedLine(line, shown, reason, message),), raw[:start]
        yield LineBlock(raw, first, name, refused), whole
        first += raw.count(b"\n") + len(refused)


def _skip_rest_of_line(stream: BinaryIO) -> int:
    """Read to the end of the line; return the number of bytes."""
    skipped = 0
    while part := stream.readline(1024 * 1024):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def move_segments(landing: Path, segments: Iterable[Segment], folder: str = "loaded") -> None:
    """Move segments out of `ready/`. Their modification time becomes the time of the move."""
    (landing / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    for segment in segments:
        try:
            os.rename(segment.path, landing / folder / segment.name)
            os.utime(landing / folder / segment.name)
        except FileNotFoundError:
            continue


def restore_segments(landing: Path, known: set[str]) -> list[Path]:
    """Move loaded segments that are not in the manifest back to `ready/`; return their new paths."""
    back = []
    for segment in segment_files(landing / "loaded"):
        if segment.name not in known:
            target = landing / "ready" / segment.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.rename(segment.path, target)
            back.append(target)
    return back


def purge_loaded_segments(landing: Path, now: float | None = None) -> int:
    """Delete segments that were loaded more than a week ago; return how many."""
    before, deleted = (now or time.time()) - KEPT_SECONDS, 0
    for segment in segment_files(landing / "loaded"):
        if segment.path.stat().st_mtime < before:
            segment.path.unlink()
            deleted += 1
    return deleted


def landing_backlog(landing: Path) -> dict[str, int]:
    """Number and bytes of published segments, number of segments still being written, and of failed ones. Read-only."""
    waiting = published_segments(landing)
    return {
        "segments": len(waiting),
        "bytes": sum(segment.size for segment in waiting),
        "open": len(segment_files(landing / "open")),
        "failed": len(segment_files(landing / "failed")),
    }
