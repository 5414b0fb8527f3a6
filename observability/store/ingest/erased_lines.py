"""Later arrivals about erased subjects are refused before they are parsed, and their lines in landing are emptied.

They are recognized by `subject`, and by the id of an erased prediction in `id` or `prediction`. They count as rejected, with the reason
`erased` and without their text.
"""

import json
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from observability.records.private_file import sync_folder
from observability.store.db.erasures import ErasedMatcher, without_lines
from observability.store.db.written_forms import mention_patterns
from observability.store.ingest import landing
from observability.store.ingest.parse_types import LineBlock, RefusedLine

REASON, MESSAGE = "erased", "the record is about a subject that was erased"


def without_erased(block: LineBlock, erased: ErasedMatcher) -> LineBlock:
    """The block without lines about erased subjects, which are refused; other lines keep their numbers."""
    if isinstance(block.raw, bytes):
        raw = block.raw
    else:
        raw = b"".join((text or "").encode("utf-8", "surrogatepass") + b"\n" for text in block.raw.to_pylist())
    refused = tuple(
        replace(line, raw="", message=erased.cleaned_text(line.message)) if erased.cleaned_text(line.raw) != line.raw else line
        for line in block.refused
    )
    places = erased.erased_lines(raw)
    if not places:
        return replace(block, refused=refused)
    dropped = tuple(RefusedLine(block.first_line + place, "", REASON, MESSAGE) for place in places)
    return replace(block, raw=without_lines(raw, places), refused=(*refused, *dropped))


def clean_segment(path: Path, erased: ErasedMatcher, names: Collection[str] | None = ()) -> int:
    """Empty the lines of a segment that are about erased subjects; return how many lines changed. The file keeps its times. Raises
    OSError.

    names: a line that is not emptied has erased subjects and ids in its texts replaced by MARK, but only if it mentions one of these names.
    None: every line is checked.
    """
    draft, patterns = path.with_name(path.name + ".draft"), None if names is None else mention_patterns(names)
    try:
        count = sum(len(_changed_lines(raw, erased, patterns)) for _, raw in landing.segment_blocks(path))
        if not count:
            return 0
        with draft.open("wb") as file:
            for _, raw in landing.segment_blocks(path):
                lines = raw.split(b"\n")
                for place, line in _changed_lines(raw, erased, patterns).items():
                    lines[place] = line
                file.write(b"\n".join(lines))
            file.flush()
            os.fsync(file.fileno())
        shutil.copystat(path, draft)
        os.replace(draft, path)
        sync_folder(path.parent)
    except FileNotFoundError:  # the segment was moved or removed since it was listed
        return 0
    finally:
        draft.unlink(missing_ok=True)
    return count


def cleaned_segment(raw: bytes, erased: ErasedMatcher, names: Collection[str] | None = ()) -> bytes:
    """The content of a segment as `clean_segment` would leave it."""
    lines = raw.split(b"\n")
    for place, line in _changed_lines(raw, erased, None if names is None else mention_patterns(names)).items():
        lines[place] = line
    return b"\n".join(lines)


def _changed_lines(raw: bytes, erased: ErasedMatcher, patterns: Sequence[str] | None) -> dict[int, bytes]:
    """The changed lines of a buffer in their new form, by place (from 0)."""
    changed, lines = dict.fromkeys(erased.erased_lines(raw), b""), raw.split(b"\n")
    for place in range(len(lines)) if patterns is None else _places_of(lines, patterns):
        if place not in changed and (cleaned := _cleaned_line(lines[place], erased)) != lines[place]:
            changed[place] = cleaned
    return changed


def _places_of(lines: list[bytes], patterns: Sequence[str]) -> list[int]:
    """The places (from 0) of the lines that match one of the patterns."""
    if not patterns:
        return []
    texts = pa.array(lines, pa.binary())
    masks = [pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False) for pattern in patterns]
    return list(np.flatnonzero(np.logical_or.reduce(masks)).tolist())


def _cleaned_line(line: bytes, erased: ErasedMatcher) -> bytes:
    """A line whose texts have marks in place of erased subjects and ids."""
    try:
        body = json.loads(line)
    except ValueError:
        text = line.decode("utf-8", "surrogateescape")
        return erased.cleaned_text(text).encode("utf-8", "surrogateescape")
    cleaned = erased.cleaned_json(body)
    return line if cleaned == body else json.dumps(cleaned, ensure_ascii=False).encode("utf-8", "surrogatepass")
