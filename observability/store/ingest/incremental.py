"""Load a source that grows. Each of its files is loaded once; a load continues where an earlier one ended.

The table `taken_files` is the watermark. The progress in a file is committed together with its rows. So if a load dies at any moment and
is started again, no row is skipped or loaded twice, whatever its kind, and rejected rows are counted once. A file that changed since it
was taken is read again: rows that are already stored count as duplicates, and rows with the same id but other content are rejected.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from observability.core.errors import StoreBrokenError, UsageError
from observability.core.time import naive_utc
from observability.store.db.database import Database
from observability.store.db.repairs import note_known_store
from observability.store.db.results import Cursor
from observability.store.ingest.files import open_source_file
from observability.store.ingest.loader import Progress, compact_large_rollups, load_line_block, with_registered_columns
from observability.store.ingest.parse_types import LineBlock
from observability.store.rollup.rank_blocks import keep_rank_blocks
from observability.store.types.loading import LoadDefaults, LoadReport
from observability.store.types.sources import DataSource, SourceFile, SourceReport

if TYPE_CHECKING:
    from observability.store.ingest.importer import Importer

Purpose = tuple[str, str, str, str]
"""The address of a source, and the kind, model and version that a load gives to its records. They belong together because one table may
hold both predictions and labels.
"""
_ONE_AT_A_TIME = threading.Lock()
"""Held during a load, because two simultaneous loads of one source would both take the same file."""


def load_source(
    store: Database, source: DataSource, defaults: LoadDefaults, progress: Progress | None = None, *, again: bool = False
) -> SourceReport:
    """Load the part of a source that earlier loads have not read. Their progress is stored by address, kind, model and version.

    again: read every file from its start, as if none had been taken. A file that cannot be read is reported and tried again by the next
    load; the others are loaded. Raises UsageError if no file could be read, StoreBrokenError if the store, the disk or the network
    fails.
    """
    with _ONE_AT_A_TIME:
        start = time.perf_counter()
        defaults = with_registered_columns(store, defaults)
        files, left_out = source.list_files()
        purpose = (source.address, defaults.kind or "", defaults.model or "", defaults.version or "")
        taken = {} if again else _taken_files(store, purpose)
        states = {file.name: _state_of(file, taken) for file in files}
        counts = Counter(states.values())
        waiting = [file for file in files if states[file.name] != "present"]
        report = SourceReport(source.address, source.format, len(files), present=counts["present"], left_out=left_out)
        total, done, loaded, failures = sum(file.size for file in waiting), 0, LoadReport(), dict[str, str]()
        first: UsageError | None = None
        for file in waiting:
            next_line = taken[file.name][1] if states[file.name] == "resumed" else 0
            try:
                for part, read in _load_source_file(store, file, defaults, purpose, next_line):
                    loaded += part
                    if progress:
                        progress(done + read, total, loaded.lines)
            except UsageError as error:
                first = first or error
                failures[file.name] = str(error)
            else:
                loaded = replace(loaded, files=loaded.files + 1)
                report = replace(report, **{states[file.name]: getattr(report, states[file.name]) + 1})
            done += file.size
        if first is not None and len(failures) == len(files):
            raise first
        keep_rank_blocks(store)
        compact_large_rollups(store)
        note_known_store(store.home, [model.name for model in store.catalog().models])
        return replace(report, failures=failures, loaded=replace(loaded, seconds=time.perf_counter() - start))


def _taken_files(store: Database, purpose: Purpose) -> dict[str, tuple[str, int, bool]]:
    """The progress of earlier loads: by file its fingerprint, the line at which the next load continues, and whether it was read to the
    end.
    """
    with store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT file, fingerprint, next_line, done FROM taken_files WHERE source = ? AND kind = ? AND model = ? AND version = ?",
            purpose,
        ).fetchall()
    return {name: (fingerprint, next_line, done) for name, fingerprint, next_line, done in rows}


def _state_of(file: SourceFile, taken: dict[str, tuple[str, int, bool]]) -> str:
    """The state of a file in the report's counts: present, new, resumed or rewritten."""
    if file.name not in taken:
        return "new"
    fingerprint, _, done = taken[file.name]
    if done and (file.immutable or fingerprint == file.fingerprint):
        return "present"
    if fingerprint != file.fingerprint:
        return "rewritten"
    return "resumed"


def _load_source_file(
    store: Database, file: SourceFile, defaults: LoadDefaults, purpose: Purpose, next_line: int
) -> Iterator[tuple[LoadReport, int]]:
    """Load a file, beginning with a given line. Yields the report of each transaction, and the bytes read so far."""
    importer, now, fresh = open_source_file(file, defaults), datetime.now(UTC), not next_line
    for block, following in _with_following(importer):
        if following is not None and following <= next_line:
            continue
        store.require_space()
        with store.write() as writer:
            report = LoadReport()
            if block is not None:
                ledger, _ = load_line_block(writer, store, block, store.catalog(), defaults, now)
                report = ledger.report(file.name)
            _note_taken(writer, file, purpose, following, report, now, fresh=fresh)
        fresh = False
        store.trim()
        yield report, importer.done


def _with_following(importer: "Importer") -> Iterator[tuple[LineBlock | None, int | None]]:
    """Yield each block with the number of the first line of the next block (None after the last). A file without rows gives (None,
    None).
    """
    before: LineBlock | None = None
    try:
        for block in importer.blocks():
            if before is not None:
                yield before, block.first_line
            before = block
    except OSError as error:
        raise StoreBrokenError("the source cannot be read", where=importer.path.name, got=error) from error
    yield before, None


def _note_taken(
    writer: Cursor, file: SourceFile, purpose: Purpose, following: int | None, report: LoadReport, now: datetime, *, fresh: bool
) -> None:
    """Note how far a file was read, in the transaction of its rows. If a file is read from its start, its counts begin at zero again."""
    key = "source = ? AND kind = ? AND model = ? AND version = ? AND file = ?"
    counts = [report.lines, report.stored, report.duplicates, report.rejected]
    if not fresh:
        (before,) = writer.execute(
            f"SELECT lines, stored, duplicates, rejected FROM taken_files WHERE {key}", [*purpose, file.name]
        ).fetchall()
        counts = [first + second for first, second in zip(before, counts, strict=True)]
    writer.execute(f"DELETE FROM taken_files WHERE {key}", [*purpose, file.name])
    row = [*purpose, file.name, file.fingerprint, file.size, following or 0, following is None, naive_utc(now), *counts]
    writer.execute(f"INSERT INTO taken_files VALUES ({', '.join('?' * len(row))})", row)
