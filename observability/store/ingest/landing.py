"""Segments in landing, before and after they are loaded.

`landing/ready/` holds published segments. Loaded segments move to `landing/loaded/` and are kept for a week, or shorter if they would take
more space than is free on the disk. When the store is opened, they are compared with the manifest, and segments that the store lost (by a
damaged log or an older backup) are loaded again. A segment that cannot be loaded moves to `landing/failed/` with a file that holds the
reason, so that it does not block others; `observability retry` takes it again.
"""

import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from observability.records.private_file import make_private_folder, replace_private_file
from observability.store.ingest.parse_types import LineBlock, RefusedLine

BLOCK_BYTES = 16 * 1024 * 1024
LINE_BYTES = 16 * 1024 * 1024
"""A longer line is rejected. A client writes records of at most 1 MB."""
KEPT_SECONDS = 7 * 24 * 3600
GONE_EARLY = "gone-early"
"""The name of a file in landing. It contains the load time (seconds since 1970) of the newest segment that was deleted before its week was
over.
"""
SHOWN_BYTES = 1000


@dataclass(frozen=True)
class Segment:
    """A segment: its file, its size in bytes, and its modification time in seconds since 1970; for a loaded segment, when it was loaded."""

    path: Path
    size: int
    modified: float = 0.0

    @property
    def name(self) -> str:
        """The segment's name in the manifest."""
        return self.path.name


def published_segments(landing: Path) -> list[Segment]:
    """Published segments, oldest first. Anything but plain files is ignored. Read-only."""
    return segment_files(landing / "ready")


def segment_files(folder: Path) -> list[Segment]:
    """The JSONL files of a folder, by name. Raises OSError if it cannot be read; a missing folder has no segments."""
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
            found.append(Segment(Path(entry.path), state.st_size, state.st_mtime))
    return found


def segment_groups(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Groups of consecutive segments, each group at most as large as one block, so that many small segments take one transaction."""
    run: list[Segment] = []
    for segment in segments:
        if run and sum(earlier.size for earlier in run) + segment.size > BLOCK_BYTES:
            yield run
            run = []
        run.append(segment)
    if run:
        yield run


def read_segment(path: Path) -> bytes:
    """The bytes of a segment. The file must not be a link."""
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

    A line longer than LINE_BYTES is rejected with the given reason and not kept, so that memory is bounded.
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


def move_segments(landing: Path, segments: Iterable[Segment], at: datetime | None = None) -> None:
    """Move segments to `loaded/`. Their modification time becomes `at`, by default now: the arrival of their records.

    Raises OSError if the disk refuses. A segment that already exists, or that was moved, is left alone.
    """
    make_private_folder(landing / "loaded")
    moment = time.time() if at is None else at.timestamp()
    for segment in segments:
        target = landing / "loaded" / segment.name
        if segment.path != target:
            with suppress(FileNotFoundError):
                os.utime(segment.path, (moment, moment))
                os.rename(segment.path, target)


def set_segment_aside(landing: Path, segment: Segment, reason: str) -> None:
    """Move a segment to `failed/`, and note the reason beside it. Raises OSError if the disk refuses."""
    folder = landing / "failed"
    make_private_folder(folder)
    replace_private_file(_reason_file(folder / segment.name), reason)
    with suppress(FileNotFoundError):
        os.rename(segment.path, folder / segment.name)
        os.utime(folder / segment.name)


def _reason_file(segment: Path) -> Path:
    return segment.with_name(segment.name + ".reason")


def segments_set_aside(landing: Path) -> list[dict[str, Any]]:
    """The segments in `failed/`: {segment, bytes, at (RFC 3339, UTC), reason}; the reason is None if it is not known. Read-only."""
    found = []
    for segment in segment_files(landing / "failed"):
        reason = None
        with suppress(OSError, UnicodeDecodeError):
            reason = _reason_file(segment.path).read_text(encoding="utf-8")
        found.append({"segment": segment.name, "bytes": segment.size, "at": _instant(segment.modified), "reason": reason})
    return found


def take_again(landing: Path) -> int:
    """Move the segments that were set aside back to `ready/`; return their number. Raises OSError if the disk refuses."""
    back = segment_files(landing / "failed")
    make_private_folder(landing / "ready")
    for segment in back:
        with suppress(FileNotFoundError):
            os.rename(segment.path, landing / "ready" / segment.name)
        _reason_file(segment.path).unlink(missing_ok=True)
    return len(back)


def lost_segments(landing: Path, known: set[str]) -> list[Segment]:
    """Loaded segments that are not in the manifest, in the order in which they were loaded. Read-only."""
    lost = [segment for segment in segment_files(landing / "loaded") if segment.name not in known]
    return sorted(lost, key=lambda segment: (segment.modified, segment.name))


def purge_loaded_segments(landing: Path, now: float | None = None, free_bytes: int | None = None) -> int:
    """Delete segments that were loaded more than a week ago, and then the oldest remaining segments as long as these take more space than
    is free.

    Returns the number of deleted segments. Deletions within a segment's week are noted for `complete_since`. free_bytes: free bytes of the
    disk, measured by default. Raises OSError.
    """
    kept = sorted(segment_files(landing / "loaded"), key=lambda segment: (segment.modified, segment.name))
    if not kept:
        return 0
    before = (now or time.time()) - KEPT_SECONDS
    old = sum(segment.modified < before for segment in kept)
    room = sum(segment.size for segment in kept[old:])
    free = (shutil.disk_usage(landing).free if free_bytes is None else free_bytes) + sum(segment.size for segment in kept[:old])
    gone = old
    while gone < len(kept) and room > free:
        room, free, gone = room - kept[gone].size, free + kept[gone].size, gone + 1
    for number, segment in enumerate(kept[:gone]):
        segment.path.unlink(missing_ok=True)
        if number == old:  # the first deletion makes room for the note
            replace_private_file(landing / GONE_EARLY, str(kept[gone - 1].modified))
    return gone


def complete_since(landing: Path, now: float | None = None) -> float:
    """The time from which landing keeps everything that was loaded, in seconds since 1970: a week ago, or later if space was short.

    Read-only.
    """
    week_ago = (now or time.time()) - KEPT_SECONDS
    try:
        return max(float((landing / GONE_EARLY).read_text(encoding="utf-8")), week_ago)
    except (OSError, ValueError):
        return week_ago


def landing_backlog(landing: Path) -> dict[str, int]:
    """Number and bytes of published segments, number of segments still being written, and of failed ones. Read-only."""
    waiting = published_segments(landing)
    return {
        "segments": len(waiting),
        "bytes": sum(segment.size for segment in waiting),
        "open": len(segment_files(landing / "open")),
        "failed": len(segment_files(landing / "failed")),
    }


def oldest_waiting(landing: Path, now: float | None = None) -> dict[str, Any]:
    """When the oldest published segment was last written: {at (RFC 3339, UTC), seconds (its age)}, None if no segment waits. Read-only."""
    oldest = min((segment.modified for segment in published_segments(landing)), default=None)
    if oldest is None:
        return {"at": None, "seconds": None}
    return {"at": _instant(oldest), "seconds": round(max((now or time.time()) - oldest, 0.0), 1)}


def _instant(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
