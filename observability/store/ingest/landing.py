"""Which segments wait in landing, and what becomes of them once they are loaded?

`landing/ready/` holds published segments; loaded ones move to `landing/loaded/`, are kept for a week and compared with the manifest when the
store is opened: what the store lost (a damaged log, an older backup) is loaded again from there. A segment that cannot be loaded at all is
moved to `landing/failed/`, so that it holds up no other; nothing in it is lost.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from observability.store.ingest.parse_types import Block, Refused

BLOCK_BYTES = 16 * 1024 * 1024
LINE_BYTES = 16 * 1024 * 1024
"""A line longer than this is refused; a record that a client writes has at most 1 MB."""
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


def ready(landing: Path) -> list[Segment]:
    """Published segments, oldest first; what is no plain file is left alone. Read-only."""
    return plain_files(landing / "ready")


def plain_files(folder: Path) -> list[Segment]:
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


def groups(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Segments in runs of together at most one block, so that many small ones cost one transaction."""
    run: list[Segment] = []
    for segment in segments:
        if run and sum(each.size for each in run) + segment.size > BLOCK_BYTES:
            yield run
            run = []
        run.append(segment)
    if run:
        yield run


def read(path: Path) -> bytes:
    """The bytes of a segment, which must not be a link."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return file.read()


def blocks(path: Path, size: int = BLOCK_BYTES) -> Iterator[tuple[Block, bytes]]:
    """A segment as blocks of whole lines, of about `size` bytes, each with the bytes that were read for it."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        first = 1
        while piece := file.read(size):
            raw = piece if piece.endswith(b"\n") else piece + file.readline(LINE_BYTES)
            refused: tuple[Refused, ...] = ()
            read_bytes = raw
            if not raw.endswith(b"\n") and (rest := skip_line(file)):
                start = raw.rfind(b"\n") + 1
                line = first + raw.count(b"\n")
                shown = raw[start : start + SHOWN_BYTES].decode("utf-8", "replace")
                refused = (
                    Refused(line, shown, "line_too_long", f"the line has {len(raw) - start + rest:,} bytes, more than {LINE_BYTES:,}"),
                )
                raw = raw[:start]
            yield Block(raw, first, path.name, refused), read_bytes
            first += raw.count(b"\n") + len(refused)


def skip_line(file: BinaryIO) -> int:
    """Reads to the end of the line; gives how many bytes that were."""
    skipped = 0
    while part := file.readline(1024 * 1024):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def retire(landing: Path, segments: Iterable[Segment], folder: str = "loaded") -> None:
    """Moves segments out of `ready/`; the time of the move becomes their time of change."""
    (landing / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    for segment in segments:
        try:
            os.rename(segment.path, landing / folder / segment.name)
            os.utime(landing / folder / segment.name)
        except FileNotFoundError:
            continue


def bring_back(landing: Path, known: set[str]) -> list[Path]:
    """Moves loaded segments that the manifest does not know back to `ready/`; gives their new paths."""
    back = []
    for segment in plain_files(landing / "loaded"):
        if segment.name not in known:
            target = landing / "ready" / segment.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.rename(segment.path, target)
            back.append(target)
    return back


def purge(landing: Path, now: float | None = None) -> int:
    """Deletes loaded segments that were loaded more than a week ago; gives how many."""
    before, deleted = (now or time.time()) - KEPT_SECONDS, 0
    for segment in plain_files(landing / "loaded"):
        if segment.path.stat().st_mtime < before:
            segment.path.unlink()
            deleted += 1
    return deleted


def backlog(landing: Path) -> dict[str, int]:
    """What waits: segments and bytes that are published, segments that are still written to, and those that could not be loaded. Read-only."""
    waiting = ready(landing)
    return {
        "segments": len(waiting),
        "bytes": sum(each.size for each in waiting),
        "open": len(plain_files(landing / "open")),
        "failed": len(plain_files(landing / "failed")),
    }
