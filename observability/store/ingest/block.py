"""Store one block of lines within the transaction of the caller.

Parse, find the streams, drop what is already stored, insert the rest, and update the rollups.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Catalog, Model, Version
from observability.core.time import naive_utc
from observability.records.kinds import OF_RUNS
from observability.store.db.batched_models import ModelBatch, end_batch, insert_batched_rows, start_batch
from observability.store.db.catalog_store import add_columns, add_model, add_shared_models, reread_catalog, streams_of_models
from observability.store.db.record_tables import kind_tables
from observability.store.db.schema import model_table
from observability.store.db.shared_tables import SHARED_ROWS, give_own_tables, shared_row_counts
from observability.store.ingest.batch_rows import label_names, member_batches, prediction_names, stage_batch, streams_of_members
from observability.store.ingest.dedupe import (
    NOTHING,
    StoredRows,
    new_labels,
    new_records,
    repeated_predictions,
    rows_by_rowid,
    stored_rows,
)
from observability.store.ingest.line_counts import DUPLICATE, STORED, LineLedger, Lines
from observability.store.ingest.parse_types import LineBlock, ParsedBlock
from observability.store.ingest.stage import insert_model_rows, insert_records, stage_predictions, staged_labels, staged_records
from observability.store.query.records import models_of_runs
from observability.store.rollup.features import HOUR_US, add_feature_counts, epoch_microseconds
from observability.store.rollup.noted_steps import note_steps
from observability.store.rollup.outcomes import add_outcome_counts, outcome_columns
from observability.store.rollup.rank_blocks import note_steps_of_ranks
from observability.store.rollup.rollup import add_many_to_rollups, added_rows, merge_grown

Cursor = duckdb.DuckDBPyConnection
CONFLICT, EXPIRED = "conflicting_duplicate", "expired"


def store_parsed_block(
    writer: Cursor,
    parsed: ParsedBlock,
    block: LineBlock,
    catalog: Catalog,
    now: datetime,
    threads: int = 2,
    *,
    sample: bool = False,
    more: bool = False,
) -> tuple[LineLedger, Catalog]:
    """Store a parsed block; return the outcome of each line and the catalog with the new models and columns.

    sample: whether new models belong to the sample fleet. more: whether another block follows, so that the returned catalog must have the
    new versions as well.
    """
    ledger = LineLedger(rounded=parsed.rounded)
    hour = int(now.timestamp() // 3600)
    ledger.refuse(parsed.rejected, hour)
    catalog = _with_models(writer, parsed, catalog, now, sample)
    single, batches = member_batches([catalog.model(name) for name in sorted({*parsed.predictions, *parsed.labels})], parsed)
    _store_models(writer, single, parsed, block, ledger, now, threads)
    for members in batches:
        _store_batch(writer, members, parsed, block, ledger, now, threads)
    for kind, table in parsed.others.items():
        _store_other_records(writer, kind, table, ledger, now)
    if more and not _seen_versions(parsed) <= {
        (name, version.name) for name in parsed.predictions for version in catalog.model(name).versions
    }:
        catalog = reread_catalog(writer, catalog, parsed.predictions.keys())
    return ledger, catalog


def _with_models(writer: Cursor, parsed: ParsedBlock, catalog: Catalog, now: datetime, sample: bool) -> Catalog:
    """Create new models and columns, and give tables of their own to models that become large; return the catalog with them."""
    known = {model.name: model.key for model in catalog.models}
    coming = {
        name: sum(tables[name].num_rows for tables in (parsed.predictions, parsed.labels) if name in tables)
        for name in sorted({*parsed.predictions, *parsed.labels})
    }
    fresh = [name for name in coming if name not in known]
    small = {name: parsed.new_columns.get(name, []) for name in fresh if coming[name] <= SHARED_ROWS}
    if small:
        known |= add_shared_models(writer, small, sample=sample, now=now)
    known |= {name: add_model(writer, name, sample=sample, now=now) for name in fresh if name not in small}
    sharing = [model for model in catalog.models if model.shared and model.name in coming]
    stored = shared_row_counts(writer) if sharing else {}
    large = [model for model in sharing if coming[model.name] + stored.get(model.key, 0) > SHARED_ROWS]
    for model in large:
        give_own_tables(writer, model.key)
    wider = {name: columns for name, columns in parsed.new_columns.items() if columns and name in known and name not in small}
    for name, columns in wider.items():
        add_columns(writer, known[name], columns)
    return reread_catalog(writer, catalog, {*fresh, *wider, *(model.name for model in large)})


def _seen_versions(parsed: ParsedBlock) -> set[tuple[str, str]]:
    """The versions of a block's predictions, as (model, version)."""
    return {(name, version) for name, table in parsed.predictions.items() for version in pc.unique(table["version"]).to_pylist()}


def _store_models(
    writer: Cursor, models: list[Model], parsed: ParsedBlock, block: LineBlock, ledger: LineLedger, now: datetime, threads: int
) -> None:
    """Store the predictions and labels of models and add them to their rollups. Steps that do not differ between models take one statement
    for all of them.
    """
    labels = staged_labels(writer, {model.key: parsed.labels[model.name] for model in models if model.name in parsed.labels}, now)
    numbers = streams_of_models(writer, [model.key for model in models])
    predictions = stage_predictions(writer, models, parsed.predictions, numbers, now)
    staged = list[StagedRows]()
    for model in models:
        rows, revisions = predictions.get(model.key), labels.get(model.key)
        if rows is not None and model.rows_from is not None:
            rows, revisions = _without_expired(ledger, model, model.rows_from, rows, revisions, now)
        staged += _staged_rows(writer, model, rows, revisions, model.name)
    added = []
    for each, fresh in zip(staged, new_labels(writer, [(each.revisions, each.stored.labels) for each in staged]), strict=True):
        new = _new_rows(writer, each, fresh, block, ledger, now)
        if new.rows is not None:
            insert_model_rows(writer, each.model, "predictions", new.rows)
        if new.labels is not None:
            insert_model_rows(writer, each.model, "labels", new.labels)
        added.append(added_rows(each.model, numbers[each.model.key], new.rows, new.older, new.revisions))
    add_many_to_rollups(writer, added, threads=threads)
    merge_grown(writer, models)


def _store_batch(
    writer: Cursor, members: list[Model], parsed: ParsedBlock, block: LineBlock, ledger: LineLedger, now: datetime, threads: int
) -> None:
    """Store the predictions and labels of small models and add them to their rollups, all with the same statements."""
    batch = start_batch(writer, members, streams_of_members(members, parsed))
    rows, revisions = stage_batch(writer, batch, parsed, now)
    for staged in _staged_rows(writer, batch.model, rows, revisions, batch):
        (fresh,) = new_labels(writer, [(staged.revisions, staged.stored.labels)])
        new = _new_rows(writer, staged, fresh, block, ledger, now)
        if new.rows is not None:
            insert_batched_rows(writer, batch, "predictions", new.rows)
        if new.labels is not None:
            insert_batched_rows(writer, batch, "labels", new.labels)
        unregistered = Version("")
        versions = dict.fromkeys(batch.streams.values(), unregistered)
        if new.rows is not None:
            add_feature_counts(writer, batch.model, new.rows, versions, (), threads)
        add_outcome_counts(writer, batch.model, new.rows, new.older, new.revisions, versions, ())
    end_batch(writer)


@dataclass(frozen=True)
class StagedRows:
    """Staged predictions and labels of a model, the stored rows with their ids, and the lines of predictions that repeat a stored
    prediction (same) or contradict it (conflicting). owner: the model's name, or the batch.
    """

    model: Model
    owner: "str | ModelBatch"
    rows: pa.Table | None
    revisions: pa.Table | None
    stored: StoredRows
    same: Lines
    conflicting: Lines


@dataclass(frozen=True)
class NewRows:
    """The rows that a block adds to a model: predictions, labels, earlier stored predictions that get labels, and all labels of these
    predictions.
    """

    rows: pa.Table | None
    labels: pa.Table | None
    older: pa.Table | None
    revisions: pa.Table | None


def _staged_rows(
    writer: Cursor, model: Model, rows: pa.Table | None, revisions: pa.Table | None, owner: "str | ModelBatch"
) -> list[StagedRows]:
    """Staged rows together with the stored rows of their ids; an empty list without staged rows. Labels of predictions that contradict
    stored ones are left out.
    """
    tables = [table for table in (rows, revisions) if table is not None and table.num_rows]
    if not tables:
        return []
    hashes = pa.chunked_array([chunk for table in tables for chunk in table["id_hash"].chunks], pa.uint64())
    stored = stored_rows(writer, model, hashes)
    same, conflicting = repeated_predictions(writer, model, rows, stored) if rows is not None else (NOTHING, NOTHING)
    if revisions is not None and conflicting.size:
        revisions = revisions.filter(pa.array(~np.isin(revisions["line"].to_numpy(), conflicting)))
    return [StagedRows(model, owner, rows, revisions, stored, same, conflicting)]


def _new_rows(writer: Cursor, staged: StagedRows, fresh: pa.Table | None, block: LineBlock, ledger: LineLedger, now: datetime) -> NewRows:
    """Note the outcome of each staged line; returns the rows that are added. fresh: the new labels, None without any."""
    model, owner, rows, revisions, stored = staged.model, staged.owner, staged.rows, staged.revisions, staged.stored
    same, conflicting = staged.same, staged.conflicting
    if rows is not None:
        added = set() if fresh is None else set(fresh.filter(fresh["inline"])["line"].to_pylist())
        _note_predictions(ledger, owner, rows, same, conflicting, added, block, now)
        dropped = np.concatenate([same, conflicting])
        if dropped.size:
            rows = rows.filter(pa.array(~np.isin(rows["line"].to_numpy(), dropped)))
    if revisions is not None and fresh is not None:
        own = revisions.filter(pc.invert(revisions["inline"]))
        kept = np.isin(own["line"].to_numpy(), fresh["line"].to_numpy())
        _note_lines(
            ledger, label_names(owner, own), "label", own["line"].to_numpy(), _stored_or_duplicate(kept), _whole_hours(own["arrived"])
        )
    older = None
    if fresh is not None and fresh.num_rows and stored.predictions.num_rows:
        touched = stored.predictions.filter(pc.is_in(stored.predictions["id_hash"], value_set=fresh["id_hash"].combine_chunks()))
        older = rows_by_rowid(writer, model_table("predictions", model.key), outcome_columns(model), touched["stored"])
    return NewRows(rows, fresh, older, _label_revisions(stored.labels, fresh))


def _without_expired(
    ledger: LineLedger, model: Model, start: datetime, rows: pa.Table, revisions: pa.Table | None, now: datetime
) -> tuple[pa.Table | None, pa.Table | None]:
    """Refuse predictions from before an instant. Their rows were removed, but their counts are kept, so they would be counted twice."""
    old = pc.less(rows["at"], pa.scalar(naive_utc(start), rows["at"].type))
    expired = rows.filter(old)
    if not expired.num_rows:
        return rows, revisions
    size = expired.num_rows
    message = f"rows of {model.name} before {start:%Y-%m-%d} are not kept; got a prediction at"
    refused = {
        "raw": [""] * size,
        "reason": [EXPIRED] * size,
        "message": [f"{message} {at:%Y-%m-%d}" for at in expired["at"].to_pylist()],
        "kind": ["prediction"] * size,
        "model": [model.name] * size,
    }
    texts = {name: pa.array(values, pa.string()) for name, values in refused.items()}
    ledger.refuse(pa.table({"line": expired["line"], **texts}), int(now.timestamp() // 3600))
    rows = rows.filter(pc.invert(old))
    if revisions is not None:
        revisions = revisions.filter(pa.array(~np.isin(revisions["line"].to_numpy(), expired["line"].to_numpy())))
        revisions = revisions if revisions.num_rows else None
    return rows if rows.num_rows else None, revisions


def _label_revisions(stored: pa.Table, fresh: pa.Table | None) -> pa.Table | None:
    """Every label of the ids of a block, in the form that `ladder.write_ladder_events` takes."""
    parts = []
    for table, is_new in ((stored, False), (fresh, True)):
        if table is not None and table.num_rows:
            picked = table.select(["id", "at", "arrived", "value", "number"])
            parts.append(picked.append_column("is_new", pa.array(np.full(table.num_rows, is_new))))
    return pa.concat_tables(parts) if parts else None


def _note_predictions(
    ledger: LineLedger,
    owner: "str | ModelBatch",
    rows: pa.Table,
    same: Lines,
    conflicting: Lines,
    labelled: set[int],
    block: LineBlock,
    now: datetime,
) -> None:
    """Note the outcome of each prediction line. A repeated prediction with a new label counts as stored."""
    line = rows["line"].to_numpy()
    outcomes = np.full(line.size, STORED, np.int8)
    if same.size:
        outcomes[np.isin(line, [number for number in same.tolist() if number not in labelled])] = DUPLICATE
    if conflicting.size:
        refused = np.isin(line, conflicting)
        rejected = rows.filter(pa.array(refused))
        known = prediction_names(owner, rejected)
        names = [known] * rejected.num_rows if isinstance(known, str) else known.tolist()
        ids = [id_ if isinstance(owner, str) else id_.partition("/")[2] for id_ in rejected["id"].to_pylist()]
        message = "the id is taken by another prediction of {} of this version and environment with other content; got {}"
        ledger.refuse(
            pa.table(
                {
                    "line": rejected["line"],
                    "raw": pa.array(_raw_lines(block, rejected["line"].to_pylist()), pa.string()),
                    "reason": pa.array([CONFLICT] * rejected.num_rows, pa.string()),
                    "message": pa.array(list(map(message.format, names, ids)), pa.string()),
                    "kind": pa.array(["prediction"] * rejected.num_rows, pa.string()),
                    "model": pa.array(names, pa.string()),
                }
            ),
            int(now.timestamp() // 3600),
        )
        line, outcomes = line[~refused], outcomes[~refused]
        rows = rows.filter(pa.array(~refused))
    _note_lines(ledger, prediction_names(owner, rows), "prediction", line, outcomes, _whole_hours(rows["arrived"]))


def _note_lines(
    ledger: LineLedger, names: "str | NDArray[np.object_]", kind: str, lines: Lines, outcomes: NDArray[np.int8], hours: Lines
) -> None:
    """Note the outcome of lines of one model, or of several models: `names` then has the model of each line."""
    if isinstance(names, str):
        ledger.note(names, kind, lines, outcomes, hours)
        return
    if not names.size:
        return
    found, of_line = np.unique(names, return_inverse=True)
    order = np.argsort(of_line, kind="stable")
    ends = np.cumsum(np.bincount(of_line, minlength=found.size))[:-1]
    for name, mine in zip(found.tolist(), np.split(order, ends), strict=True):
        ledger.note(name, kind, lines[mine], outcomes[mine], hours[mine])


def _store_other_records(writer: Cursor, kind: str, table: pa.Table, ledger: LineLedger, now: datetime) -> None:
    """Store the records of another kind."""
    if not table.num_rows:
        return
    rows = staged_records(writer, kind, table, now)
    fresh = new_records(writer, kind_tables()[kind], rows)
    insert_records(writer, kind, fresh)
    if kind == "step" and fresh.num_rows:
        writer.register("new_steps", fresh)
        note_steps_of_ranks(writer, "new_steps")
        note_steps(writer, "new_steps")
        writer.unregister("new_steps")
    lines, hours, kept = rows["line"].to_numpy(), _whole_hours(rows["arrived"]), np.isin(rows["line"].to_numpy(), fresh["line"].to_numpy())
    models = "" if "model" not in rows.column_names else pc.fill_null(rows["model"], "").to_numpy()
    _note_lines(ledger, models, kind, lines, _stored_or_duplicate(kept), hours)
    if kind in OF_RUNS and fresh.num_rows:
        ledger.owners |= models_of_runs(writer, pc.unique(pc.drop_null(fresh["run"])).to_pylist())


def _stored_or_duplicate(kept: NDArray[np.bool_]) -> NDArray[np.int8]:
    """STORED for each row that is kept, else DUPLICATE."""
    return np.where(kept, STORED, DUPLICATE).astype(np.int8)


def _whole_hours(instants: pa.ChunkedArray) -> Lines:
    """Whole hours since 1970, rounded down."""
    return np.floor_divide(epoch_microseconds(instants), HOUR_US)


def _raw_lines(block: LineBlock, lines: list[int]) -> list[str]:
    """The text of some lines of a block."""
    if not isinstance(block.raw, bytes):
        return [str(block.raw[line - block.first_line].as_py()) for line in lines]
    whole = block.raw.split(b"\n")
    return [whole[line - block.first_line].decode("utf-8", "replace") for line in lines]
