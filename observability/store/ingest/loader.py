"""Load records into the store, from landing and from files, each exactly once.

This module is the only writer of rows. A block of lines is parsed and stored in one transaction together with its rejected lines, its
changes of the rollups, and the names of the landing segments that it came from. A segment in the manifest is never loaded again, so a
loader that dies at any moment loses nothing and stores nothing twice. Records of files are recognized by their content, so a file may be
loaded again as well.
"""

import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from observability.client.spool import publish_abandoned
from observability.core.catalog import EXPORTED, RECORDED, Catalog
from observability.core.errors import StoreBrokenError, StoreBusyError
from observability.core.formatting import plural
from observability.core.limits import limits_in_force
from observability.core.time import naive_utc
from observability.store.db.catalog_store import find_model
from observability.store.db.database import FLOOR_BYTES, Database
from observability.store.db.expressions import EPOCH
from observability.store.db.failures import broken_disk, error_summary, store_failure
from observability.store.db.noted_lakes import disown_lakes
from observability.store.db.repairs import note_known_store, note_repair
from observability.store.ingest import landing
from observability.store.ingest.block import store_parsed_block
from observability.store.ingest.erased_lines import clean_segment, without_erased
from observability.store.ingest.landing import Segment
from observability.store.ingest.line_counts import LineLedger
from observability.store.ingest.parse import parse_block
from observability.store.ingest.parse_types import LineBlock, ParsedBlock
from observability.store.ingest.protected_lines import with_protection
from observability.store.ingest.sensitive_features import promote_arrived_groups
from observability.store.rollup.rank_blocks import keep_rank_blocks
from observability.store.rollup.rollup import compact_rollups, wants_compaction
from observability.store.types.loading import LoadDefaults, LoadReport, NewModelLimit

LOG = logging.getLogger(__name__)
PURGE_EVERY = 3600.0
Progress = Callable[[int, int, int], object]
"""Called with the bytes done, all bytes, and the lines so far."""


def load_landing(store: Database, progress: Progress | None = None) -> LoadReport:
    """Load everything that waits in landing, oldest first; return what this call loaded.

    Segments of writers that died are loaded too. Raises StoreBrokenError if the disk is nearly full or fails; committed segments stay, and
    the rest waits.
    """
    start = time.perf_counter()
    try:
        with store.loading:
            report = _reconcile_landing(store)
            _purge_hourly(store)
            publish_abandoned(store.landing)
            waiting = landing.published_segments(store.landing)
            total, done = sum(segment.size for segment in waiting), 0
            for group in landing.segment_groups(waiting):
                store.require_space()
                note = None if progress is None else partial(_add_progress, progress, done, total, report.lines)
                report += _load_or_set_aside(store, group, note)
                store.trim()
                done += sum(segment.size for segment in group)
            keep_rank_blocks(store)
            if report.lines:
                compact_large_rollups(store)
                note_known_store(store.home, [model.name for model in store.catalog().models])
    except duckdb.Error as error:
        if (failure := store_failure(error, store.path)) is None:
            raise
        raise failure from error
    except OSError as error:
        raise broken_disk(error, store.landing, "the landing folder cannot be used") from error
    except MemoryError as error:
        raise StoreBrokenError("there is not enough memory to load records", attempt="Free some memory; records in landing wait") from error
    return replace(report, seconds=time.perf_counter() - start)


def loaded_segments(store: Database, names: Sequence[str]) -> dict[str, datetime]:
    """When each of these segments was loaded; segments that are not in the manifest are left out."""
    if not names:
        return {}
    with store.cursor() as cursor:
        rows = cursor.execute("SELECT segment, loaded_at FROM manifest WHERE list_contains(?, segment)", [list(names)]).fetchall()
    return {name: at.replace(tzinfo=UTC) for name, at in rows}


def retry_set_aside(store: Database, progress: Progress | None = None) -> tuple[int, LoadReport]:
    """Retry the segments that were set aside, and load landing; return the number of these segments and the result of the load.

    A segment that fails again is set aside again. Raises StoreBrokenError if the disk is nearly full or fails.
    """
    with store.loading:
        try:
            taken = landing.take_again(store.landing)
        except OSError as error:
            raise broken_disk(error, store.landing, "the landing folder cannot be used") from error
    return taken, load_landing(store, progress)


def _add_progress(progress: Progress, done: int, total: int, lines: int, more: int, more_lines: int) -> None:
    progress(done + more, total, lines + more_lines)


def load_files(store: Database, paths: Sequence[Path], defaults: LoadDefaults, progress: Progress | None = None) -> LoadReport:
    """Load files (.jsonl, .csv, also as .gz, or .parquet). Raises UsageError for a wrong file before any row of any file is stored.

    If a file is loaded again, its lines count as duplicates. An interrupted load keeps the stored blocks, and the file can be loaded
    again.
    """
    from observability.store.ingest.files import open_file

    start = time.perf_counter()
    defaults = with_registered_columns(store, defaults)
    files = [open_file(Path(path), defaults) for path in paths]
    total = sum(file.size for file in files)
    done, report = 0, LoadReport()
    if progress:
        progress(0, total, 0)
    for file in files:
        now = datetime.now(UTC)
        for block in file.blocks():
            store.require_space()
            with store.write() as writer:
                ledger, _ = load_line_block(writer, store, block, store.catalog(), defaults, now)
            report += ledger.report(file.path.name)
            store.trim()
            if progress:
                progress(done + file.done, total, report.lines)
        done += file.size
        report = replace(report, files=report.files + 1)
    keep_rank_blocks(store)
    compact_large_rollups(store)
    note_known_store(store.home, [model.name for model in store.catalog().models])
    return replace(report, seconds=time.perf_counter() - start)


def with_registered_columns(store: Database, defaults: LoadDefaults) -> LoadDefaults:
    """The load defaults, completed with the columns of files that the registration of the named version names, or else the registration of
    the newest version.

    Adds the sensitive attributes that are not features, the columns that were left out, and the score columns.
    """
    model = store.catalog().by_name.get(defaults.model or "")
    if model is None:
        return defaults
    newest = max((version for version in model.versions if version.registered), key=lambda each: str(each.registered_at), default=None)
    named = model.version(defaults.version)
    version = named or newest
    groups = [column.name for column in model.columns if column.role == "group"]
    groups = [name for name in groups if version is None or name not in version.features]
    registered = named if named is not None and named.registered else newest
    defaults = replace(defaults, groups=(*defaults.groups, *groups))
    if registered is None:
        return defaults
    class_scores = tuple((name, column) for name, column in registered.scores if name is not None)
    return replace(
        defaults,
        left_out=frozenset(registered.left_out) | {column for _, column in registered.scores},
        score_column=next((column for name, column in registered.scores if name is None), None),
        class_scores=class_scores,
        classes=tuple(name for name, _ in class_scores) or (model.classes if model.task == "multiclass" else ()),
    )


def _reconcile_landing(store: Database) -> LoadReport:
    """Once per opened store: load again the segments in `loaded/` that the manifest lacks, with their first times of arrival.

    The manifest lacks segments if the log of the store was damaged or lost, or if the store was rebuilt or restored from a backup.
    """
    if store.reconciled:
        return LoadReport()
    with store.cursor() as cursor:
        known = {name for (name,) in cursor.execute("SELECT segment FROM manifest").fetchall()}
    lost, report = landing.lost_segments(store.landing, known), LoadReport()
    if lost and not store.mended:
        disown_lakes(store.home)
        note_repair(
            store.home,
            f"The store lacked {plural(len(lost), 'segment')} that it had loaded. They were kept in landing and are loaded again.",
            "Registrations, files loaded by hand and what people entered in the dashboard, as far as they were saved after "
            f"{datetime.fromtimestamp(lost[0].modified, UTC):%Y-%m-%d %H:%M} UTC",
        )
    for moment, together in itertools.groupby(lost, key=lambda segment: segment.modified):
        for group in landing.segment_groups(together):
            store.require_space()
            report += _load_or_set_aside(store, group, None, datetime.fromtimestamp(moment, UTC))
            store.trim()
    store.mended, store.reconciled = False, True
    return report


def _purge_hourly(store: Database) -> None:
    """Delete old loaded segments: after the store was opened, then once per hour, and on each call while the disk is nearly full."""
    if time.monotonic() >= store.purge_at or store.free_bytes() < FLOOR_BYTES:
        landing.purge_loaded_segments(store.landing)
        store.purge_at = time.monotonic() + PURGE_EVERY


def compact_large_rollups(store: Database) -> None:
    """Compact the rollups of models if they have grown large. The first call of a day looks at every model, a later one at those that
    have changed since.
    """
    now, generation = datetime.now(UTC), store.generation
    seen = store.compacted[1] if store.compacted[0] == now.date() else -1
    with store.cursor() as cursor:
        large = wants_compaction(cursor, [model for model in store.catalog().models if store.model_commit(model.name) > seen], now)
    for model in large:
        with store.write() as writer:
            store.note_changed_models([model.name])
            if (present := find_model(writer, model.name)) is not None:
                compact_rollups(writer, present, now=now)
    store.compacted = now.date(), generation


def _load_or_set_aside(
    store: Database, group: list[Segment], progress: Callable[[int, int], object] | None, arrived: datetime | None = None
) -> LoadReport:
    """Load a group of segments in one transaction.

    If the transaction fails for a reason other than the store, the disk or memory, each segment is loaded alone. A segment that fails again
    is set aside.
    """
    try:
        return load_segments(store, group, progress, arrived)
    except (StoreBrokenError, StoreBusyError, OSError, MemoryError):
        raise
    except Exception as error:
        if len(group) > 1:
            report = LoadReport()
            for segment in group:
                report += _load_or_set_aside(store, [segment], None, arrived)
            return report
        LOG.exception("segment %s cannot be loaded; it is set aside in landing/failed", group[0].name)
        landing.set_segment_aside(store.landing, group[0], f"{type(error).__name__}: {error_summary(error)}")
        return LoadReport(set_aside=1)


def load_segments(
    store: Database, group: list[Segment], progress: Callable[[int, int], object] | None = None, arrived: datetime | None = None
) -> LoadReport:
    """Load segments in one transaction, and move them away after the commit. arrived: when their records arrived, by default now."""
    now = arrived or datetime.now(UTC)
    total = LoadReport()
    with store.write() as writer:
        catalog = store.catalog()
        names = [segment.name for segment in group]
        known = {name for (name,) in writer.execute("SELECT segment FROM manifest WHERE list_contains(?, segment)", [names]).fetchall()}
        fresh = [segment for segment in group if segment.name not in known]
        if len(fresh) > 1 or (fresh and fresh[0].size <= landing.BLOCK_BYTES):
            total = _load_small_segments(writer, store, fresh, catalog, now)
        elif fresh:
            total = _load_large_segment(writer, store, fresh[0], catalog, now, progress)
    if (erased := store.erased()) is not None:
        for segment in group:
            clean_segment(segment.path, erased)
    landing.move_segments(store.landing, group, now)
    if progress:
        progress(sum(segment.size for segment in group), total.lines)
    return replace(total, files=len(fresh))


def _load_small_segments(
    writer: duckdb.DuckDBPyConnection, store: Database, segments: list[Segment], catalog: Catalog, now: datetime
) -> LoadReport:
    """Load small segments as one block, and write a manifest row for each."""
    parts, present = [], []
    for segment in segments:
        try:
            parts.append(landing.read_segment(segment.path))
            present.append(segment)
        except FileNotFoundError:  # the segment was moved since it was listed
            continue
    if not present:
        return LoadReport()
    whole = [part if part.endswith(b"\n") else part + b"\n" for part in parts]
    last_lines = np.cumsum([part.count(b"\n") for part in whole])
    block = LineBlock(b"".join(whole), 1, present[0].name)
    ledger, _ = load_line_block(
        writer, store, block, catalog, LoadDefaults(sent=True), now, [segment.name for segment in present], last_lines
    )
    counts = ledger.outcomes_by_segment(last_lines)
    for segment, part, row in zip(present, parts, counts.tolist(), strict=True):
        _write_manifest(writer, segment.name, now, len(part), hashlib.sha256(part).hexdigest(), LoadReport(sum(row), *row))
    return ledger.report()


def _load_large_segment(
    writer: duckdb.DuckDBPyConnection,
    store: Database,
    segment: Segment,
    catalog: Catalog,
    now: datetime,
    progress: Callable[[int, int], object] | None,
) -> LoadReport:
    """Load a large segment block by block in one transaction."""
    report, digest, size = LoadReport(), hashlib.sha256(), 0
    for block, raw in landing.segment_blocks(segment.path):
        ledger, catalog = load_line_block(writer, store, block, catalog, LoadDefaults(sent=True), now, more=True)
        report += ledger.report()
        digest.update(raw)
        size += len(raw)
        if progress:
            progress(size, report.lines)
    _write_manifest(writer, segment.name, now, size, digest.hexdigest(), report)
    return report


def load_line_block(
    writer: duckdb.DuckDBPyConnection,
    store: Database,
    block: LineBlock,
    catalog: Catalog,
    defaults: LoadDefaults,
    now: datetime,
    segments: Sequence[str] = (),
    last_lines: np.ndarray | None = None,
    *,
    more: bool = False,
) -> tuple[LineLedger, Catalog]:
    """Parse and store one block, with its rejected lines and the counts of arrivals.

    segments, last_lines: for a block made of several segments, their names and the number of the last line of each. more: another block
    follows (`store_parsed_block`).
    """
    if (erased := store.erased()) is not None:
        block = without_erased(block, erased)
    block = with_protection(block, store.home, catalog.models, defaults)
    known, defaults = len(catalog.models), replace(defaults, new_models=_room_for_models(store, catalog))
    parsed = parse_block(writer, block, catalog, defaults, now)
    if (promoted := promote_arrived_groups(writer, parsed, catalog)) is not None:
        catalog = promoted
        parsed = parse_block(writer, block, catalog, defaults, now)
    if defaults.sample:
        marked = {
            kind: table.append_column("sample", pa.array([True] * table.num_rows, pa.bool_())) for kind, table in parsed.others.items()
        }
        parsed = replace(parsed, others=marked)
    ledger, catalog = store_parsed_block(writer, parsed, block, catalog, now, store.threads, sample=defaults.sample, more=more)
    _write_rejected(writer, ledger, block, now, segments, last_lines)
    changed = {EXPORTED} if _holds_exports_only(parsed) else ledger.changed_models()
    store.note_changed_models(changed and changed | ({RECORDED} if len(catalog.models) > known else set()))
    arrivals = ledger.arrivals()
    if arrivals is not None:
        writer.register("block_arrivals", arrivals)
        writer.execute(
            f"""INSERT INTO arrivals SELECT model, kind, {EPOCH} + to_hours(hour), $sent, stored, duplicates, rejected FROM block_arrivals
            ON CONFLICT (model, kind, hour, sent) DO UPDATE SET stored = stored + excluded.stored,
                duplicates = duplicates + excluded.duplicates, rejected = rejected + excluded.rejected""",
            {"sent": defaults.sent},
        )
        writer.unregister("block_arrivals")
    return ledger, catalog


def _room_for_models(store: Database, catalog: Catalog) -> NewModelLimit:
    """The limit for further unregistered models in the store."""
    most = limits_in_force(store.home).limits.unregistered_models
    why = (
        f"the store has {most} models that are not registered, as many as it takes. Register the model, remove others, "
        "or raise unregistered_models in limits.toml"
    )
    return NewModelLimit(frozenset(), max(most - len(catalog.unregistered), 0), why)


def _holds_exports_only(parsed: ParsedBlock) -> bool:
    """Whether a block holds only events of exports; these do not make findings about a model stale."""
    others = {kind: table for kind, table in parsed.others.items() if table.num_rows}
    if set(others) != {"event"} or parsed.predictions or parsed.labels or parsed.rejected.num_rows:
        return False
    return set(others["event"]["what"].to_pylist()) == {"export"}


def _write_rejected(
    writer: duckdb.DuckDBPyConnection,
    ledger: LineLedger,
    block: LineBlock,
    now: datetime,
    segments: Sequence[str],
    last_lines: np.ndarray | None,
) -> None:
    """Store the rejected lines of a block with their reasons, each under the name of its segment and its line number in the segment."""
    for table in ledger.rejected:
        line = table["line"].to_numpy()
        if last_lines is None:
            names = [block.segment] * line.size
        else:
            place = np.searchsorted(last_lines, line, side="left")
            names = [segments[number] for number in place]
            line = line - np.concatenate([[0], last_lines])[place]
        own = {name: table[name] for name in ("raw", "reason", "message", "kind", "model")}
        writer.register("block_rejected", pa.table({"segment": pa.array(names, pa.string()), "line": pa.array(line), **own}))
        writer.execute("INSERT INTO rejected SELECT *, ? FROM block_rejected", [naive_utc(now)])
        writer.unregister("block_rejected")


def _write_manifest(writer: duckdb.DuckDBPyConnection, name: str, now: datetime, size: int, digest: str, report: LoadReport) -> None:
    """Record that a segment is loaded. Its primary key prevents a second load."""
    writer.execute(
        "INSERT INTO manifest VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [name, naive_utc(now), size, digest, report.lines, report.stored, report.duplicates, report.rejected],
    )
