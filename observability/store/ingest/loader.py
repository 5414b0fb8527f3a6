"""How do records get into the store, from landing and from files, each exactly once?

The only writer of rows. A block of lines is parsed and stored in one transaction together with its rejected lines, what it changes in the rollups,
and the names of the landing segments it came from. A segment that is in the manifest is never loaded again, so a loader that dies at any moment
loses nothing and stores nothing twice. A file has no such name: its records are recognised by their content, so it may be loaded again as well.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from observability.client.spool import publish_abandoned
from observability.core.catalog import Catalog
from observability.core.errors import ObservabilityError
from observability.core.time import naive_utc
from observability.store.db.catalog_store import read_catalog
from observability.store.db.database import Store
from observability.store.db.expressions import EPOCH
from observability.store.ingest import landing
from observability.store.ingest.block import store_parsed
from observability.store.ingest.landing import Segment
from observability.store.ingest.line_counts import Ledger, LoadReport
from observability.store.ingest.parse import parse
from observability.store.ingest.parse_types import Block, Defaults
from observability.store.rollup.rollup import compact, wants_compaction

LOG = logging.getLogger(__name__)
Progress = Callable[[int, int, int], object]
"""Called with the bytes done, all bytes, and the lines so far."""


def load_landing(store: Store, progress: Progress | None = None) -> LoadReport:
    """Loads everything that waits in landing, oldest first; gives what was loaded now.

    Segments of writers that died are taken too. Raises StoreBrokenError where the disk is nearly full or refuses; what is committed by then
    stays, and the rest waits.
    """
    start = time.perf_counter()
    with store.loading:
        prepare(store)
        publish_abandoned(store.landing)
        waiting = landing.ready(store.landing)
        total, done, report = sum(each.size for each in waiting), 0, LoadReport()
        for group in landing.groups(waiting):
            store.require_space()
            note = (
                None
                if progress is None
                else lambda more, lines, before=done, so_far=report.lines: progress(before + more, total, so_far + lines)
            )
            report += load_or_set_aside(store, group, note)
            store.trim()
            done += sum(each.size for each in group)
        if report.lines:
            keep_small(store)
        return replace(report, seconds=time.perf_counter() - start)


def load_files(store: Store, paths: Sequence[Path], defaults: Defaults, progress: Progress | None = None) -> LoadReport:
    """Loads files (.jsonl, .csv, .parquet; contract, section 2). Each is looked at first: a wrong file raises UsageError before any row of any is stored.

    Loading a file again gives duplicates. A load that is interrupted keeps the blocks that were stored; load the file again.
    """
    from observability.store.ingest.files import open_file

    start = time.perf_counter()
    defaults = replace(defaults, groups=(*defaults.groups, *groups_of(store, defaults)))
    files = [open_file(Path(path), defaults) for path in paths]
    total = sum(each.size for each in files)
    done, report = 0, LoadReport()
    for file in files:
        now = datetime.now(UTC)
        for block in file.blocks():
            store.require_space()
            with store.write() as writer:
                ledger, _ = load_block(writer, store, block, store.catalog(), defaults, now)
            report += ledger.report()
            store.trim()
            if progress:
                progress(done + file.position(), total, report.lines)
        done += file.size
        report = replace(report, files=report.files + 1)
    keep_small(store)
    return replace(report, seconds=time.perf_counter() - start)


def groups_of(store: Store, defaults: Defaults) -> tuple[str, ...]:
    """Sensitive attributes of the model that is loaded that are no features of its version (of its newest where none is named)."""
    known = next((each for each in store.catalog().models if each.name == defaults.model), None)
    if known is None:
        return ()
    registered = [each for each in known.versions if each.registered]
    version = known.version(defaults.version) or max(registered, key=lambda each: str(each.registered_at), default=None)
    return tuple(each.name for each in known.columns if each.role == "group" and (version is None or each.name not in version.features))


def prepare(store: Store) -> None:
    """Once for each opened store: loaded segments that the manifest lacks are brought back, old ones deleted."""
    if store.reconciled:
        return
    cursor = store.cursor()
    known = {name for (name,) in cursor.execute("SELECT segment FROM manifest").fetchall()}
    cursor.close()
    for path in landing.bring_back(store.landing, known):
        LOG.warning("segment %s was loaded but the store does not have it; it is loaded again", path.name)
    landing.purge(store.landing)
    store.reconciled = True


def keep_small(store: Store) -> None:
    """Compacts the rollups of models where they have grown large."""
    now, cursor = datetime.now(UTC), store.cursor()
    large = [model for model in store.catalog().models if wants_compaction(cursor, model, now)]
    cursor.close()
    for model in large:
        with store.write() as writer:
            if model in read_catalog(writer).models:
                compact(writer, model, now=now)


def load_or_set_aside(store: Store, group: list[Segment], progress: Callable[[int, int], object] | None) -> LoadReport:
    """Loads a group of segments in one transaction.

    Where that fails for another reason than the store or the disk, each is tried alone, and one that fails again is set aside, so that it holds
    up no other.
    """
    try:
        return load_segments(store, group, progress)
    except (ObservabilityError, OSError):
        raise
    except Exception:
        if len(group) > 1:
            report = LoadReport()
            for segment in group:
                report += load_or_set_aside(store, [segment], None)
            return report
        LOG.exception("segment %s cannot be loaded; it is set aside in landing/failed", group[0].name)
        landing.retire(store.landing, group, "failed")
        return LoadReport()


def load_segments(store: Store, group: list[Segment], progress: Callable[[int, int], object] | None = None) -> LoadReport:
    """Loads segments in one transaction, and moves them out of the way once it is committed."""
    now = datetime.now(UTC)
    total = LoadReport()
    with store.write() as writer:
        catalog = store.catalog()
        names = [each.name for each in group]
        known = {name for (name,) in writer.execute("SELECT segment FROM manifest WHERE list_contains(?, segment)", [names]).fetchall()}
        fresh = [each for each in group if each.name not in known]
        if len(fresh) > 1 or (fresh and fresh[0].size <= landing.BLOCK_BYTES):
            total = load_together(writer, store, fresh, catalog, now)
        elif fresh:
            total = load_in_blocks(writer, store, fresh[0], catalog, now, progress)
    landing.retire(store.landing, group)
    if progress:
        progress(sum(each.size for each in group), total.lines)
    return replace(total, files=len(fresh))


def load_together(writer: duckdb.DuckDBPyConnection, store: Store, segments: list[Segment], catalog: Catalog, now: datetime) -> LoadReport:
    """Loads small segments as one block, and writes each one's line of the manifest."""
    parts, present = [], []
    for segment in segments:
        try:
            parts.append(landing.read(segment.path))
            present.append(segment)
        except FileNotFoundError:  # taken away since it was listed
            continue
    if not present:
        return LoadReport()
    whole = [part if part.endswith(b"\n") else part + b"\n" for part in parts]
    last_lines = np.cumsum([part.count(b"\n") for part in whole])
    block = Block(b"".join(whole), 1, present[0].name)
    ledger, _ = load_block(writer, store, block, catalog, Defaults(), now, [each.name for each in present], last_lines)
    counts = ledger.outcomes_by_segment(last_lines)
    for segment, part, row in zip(present, parts, counts.tolist(), strict=True):
        write_manifest(writer, segment.name, now, len(part), hashlib.sha256(part).hexdigest(), LoadReport(sum(row), *row))
    return ledger.report()


def load_in_blocks(
    writer: duckdb.DuckDBPyConnection,
    store: Store,
    segment: Segment,
    catalog: Catalog,
    now: datetime,
    progress: Callable[[int, int], object] | None,
) -> LoadReport:
    """Loads a large segment block by block, all in the one transaction."""
    report, digest, size = LoadReport(), hashlib.sha256(), 0
    for block, raw in landing.blocks(segment.path):
        ledger, catalog = load_block(writer, store, block, catalog, Defaults(), now)
        report += ledger.report()
        digest.update(raw)
        size += len(raw)
        if progress:
            progress(size, report.lines)
    write_manifest(writer, segment.name, now, size, digest.hexdigest(), report)
    return report


def load_block(
    writer: duckdb.DuckDBPyConnection, store: Store, block: Block, catalog: Catalog, defaults: Defaults, now: datetime,
    segments: Iterable[str] = (), last_lines: np.ndarray | None = None,
) -> tuple[Ledger, Catalog]:  # fmt: skip
    """Parses and stores one block, with its rejected lines and the counts of arrivals.

    segments, last_lines: where the block is made of several segments, their names and the number of the last line of each.
    """
    parsed = parse(writer, block, catalog, defaults, now)
    ledger, catalog = store_parsed(writer, parsed, block, catalog, now, store.threads)
    write_rejected(writer, ledger, block, now, list(segments), last_lines)
    arrivals = ledger.arrivals()
    if arrivals is not None:
        writer.register("block_arrivals", arrivals)
        writer.execute(
            f"""INSERT INTO arrivals SELECT model, kind, {EPOCH} + to_hours(hour), stored, duplicates, rejected FROM block_arrivals
            ON CONFLICT (model, kind, hour) DO UPDATE SET stored = stored + excluded.stored, duplicates = duplicates + excluded.duplicates,
                rejected = rejected + excluded.rejected"""
        )
        writer.unregister("block_arrivals")
    return ledger, catalog


def write_rejected(
    writer: duckdb.DuckDBPyConnection, ledger: Ledger, block: Block, now: datetime, segments: list[str], last_lines: np.ndarray | None
) -> None:
    """Keeps the rejected lines of a block with their reasons, each under the name of its segment and its number there."""
    for table in ledger.rejected:
        line = table["line"].to_numpy()
        if last_lines is None:
            names = [block.segment] * line.size
        else:
            place = np.searchsorted(last_lines, line, side="left")
            names = [segments[each] for each in place]
            line = line - np.concatenate([[0], last_lines])[place]
        own = {name: table[name] for name in ("raw", "reason", "message", "kind", "model")}
        writer.register("block_rejected", pa.table({"segment": pa.array(names, pa.string()), "line": pa.array(line), **own}))
        writer.execute("INSERT INTO rejected SELECT *, ? FROM block_rejected", [naive_utc(now)])
        writer.unregister("block_rejected")


def write_manifest(writer: duckdb.DuckDBPyConnection, name: str, now: datetime, size: int, digest: str, report: LoadReport) -> None:
    """Says that a segment is loaded. Its primary key makes a second time impossible."""
    writer.execute(
        "INSERT INTO manifest VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [name, naive_utc(now), size, digest, report.lines, report.stored, report.duplicates, report.rejected],
    )
