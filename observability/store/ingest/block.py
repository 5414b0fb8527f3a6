"""How does one block of lines get into the store, inside the transaction of its caller?

Parse, find the streams, drop what is there already, insert the rest, and add to the rollups what that changes.
"""

from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Catalog, Model
from observability.store.db.catalog_store import add_columns, add_model, read_catalog
from observability.store.db.record_tables import kind_columns, kind_tables
from observability.store.db.schema import LABEL_COLUMNS, model_table
from observability.store.ingest.dedupe import NOTHING, fetched, new_labels, new_records, repeated_predictions, stored_of
from observability.store.ingest.line_counts import DUPLICATE, STORED, Ledger, Lines
from observability.store.ingest.parse_types import Block, Parsed
from observability.store.ingest.stage import insert, stage_labels, stage_others, stage_predictions, stored_columns
from observability.store.rollup.features import HOUR_US, microseconds
from observability.store.rollup.outcomes import columns_needed
from observability.store.rollup.rollup import add, merge_if_grown

Cursor = duckdb.DuckDBPyConnection
CONFLICT = "conflicting_duplicate"


def store_parsed(writer: Cursor, parsed: Parsed, block: Block, catalog: Catalog, now: datetime, threads: int = 2) -> tuple[Ledger, Catalog]:
    """Stores a parsed block; gives what became of its lines, and the catalog after it."""
    ledger = Ledger()
    hour = int(now.timestamp() // 3600)
    ledger.refuse(parsed.rejected, hour)
    catalog = with_models(writer, parsed, catalog, now)
    for name in sorted({*parsed.predictions, *parsed.labels}):
        store_model(writer, catalog.model(name), parsed.predictions.get(name), parsed.labels.get(name), block, ledger, now, threads)
    for kind, table in parsed.others.items():
        store_others(writer, kind, table, ledger, now)
    if any(
        pair not in {(model.name, version.name) for model in catalog.models for version in model.versions} for pair in seen_versions(parsed)
    ):
        catalog = read_catalog(writer)
    return ledger, catalog


def with_models(writer: Cursor, parsed: Parsed, catalog: Catalog, now: datetime) -> Catalog:
    """Makes models and columns that are new; gives the catalog with them."""
    known = {model.name: model.key for model in catalog.models}
    fresh = [name for name in sorted({*parsed.predictions, *parsed.labels}) if name not in known]
    for name in fresh:
        known[name] = add_model(writer, name, now=now)
    wider = {name: columns for name, columns in parsed.new_columns.items() if columns and name in known}
    for name, columns in wider.items():
        add_columns(writer, known[name], columns)
    return read_catalog(writer) if fresh or wider else catalog


def seen_versions(parsed: Parsed) -> set[tuple[str, str]]:
    """Models and versions of the predictions of a block."""
    return {(name, version) for name, table in parsed.predictions.items() for version in pc.unique(table["version"]).to_pylist()}


def store_model(
    writer: Cursor,
    model: Model,
    predictions: pa.Table | None,
    labels: pa.Table | None,
    block: Block,
    ledger: Ledger,
    now: datetime,
    threads: int,
) -> None:
    """Stores the predictions and labels of one model, and adds them to its rollups."""
    rows = stage_predictions(writer, model, predictions, now) if predictions is not None and predictions.num_rows else None
    revisions = stage_labels(writer, labels, now) if labels is not None and labels.num_rows else None
    parts = [table["id_hash"] for table in (rows, revisions) if table is not None]
    if not parts:
        return
    stored = stored_of(writer, model, pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.uint64()))
    same, conflicting = repeated_predictions(writer, model, rows, stored) if rows is not None else (NOTHING, NOTHING)
    if revisions is not None and conflicting.size:
        revisions = revisions.filter(pa.array(~np.isin(revisions["line"].to_numpy(), conflicting)))
    fresh = None if revisions is None else new_labels(writer, revisions, stored.labels)
    if rows is not None:
        added = set() if fresh is None else set(fresh.filter(fresh["inline"])["line"].to_pylist())
        note_predictions(ledger, model, rows, same, conflicting, added, block, now)
        dropped = np.concatenate([same, conflicting])
        if dropped.size:
            rows = rows.filter(pa.array(~np.isin(rows["line"].to_numpy(), dropped)))
        insert(writer, model_table("predictions", model.key), list(stored_columns(model)), rows)
    if revisions is not None and fresh is not None:
        own = revisions.filter(pc.invert(revisions["inline"]))
        kept = np.isin(own["line"].to_numpy(), fresh["line"].to_numpy())
        ledger.note(model.name, "label", own["line"].to_numpy(), outcome(kept), hours_of(own["arrived"]))
    older = None
    if fresh is not None and fresh.num_rows and stored.predictions.num_rows:
        touched = stored.predictions.filter(pc.is_in(stored.predictions["id_hash"], value_set=fresh["id_hash"].combine_chunks()))
        older = fetched(writer, model_table("predictions", model.key), columns_needed(model), touched["stored"])
    if fresh is not None:
        insert(writer, model_table("labels", model.key), list(LABEL_COLUMNS), fresh)
    add(writer, model, rows, older, all_revisions(stored.labels, fresh), threads=threads)
    merge_if_grown(writer, model)


def all_revisions(stored: pa.Table, fresh: pa.Table | None) -> pa.Table | None:
    """Every label of the ids of a block, as the ladder wants them."""
    parts = []
    for table, is_new in ((stored, False), (fresh, True)):
        if table is not None and table.num_rows:
            picked = table.select(["id", "at", "arrived", "value", "number"])
            parts.append(picked.append_column("is_new", pa.array(np.full(table.num_rows, is_new))))
    return pa.concat_tables(parts) if parts else None


def note_predictions(
    ledger: Ledger, model: Model, rows: pa.Table, same: Lines, conflicting: Lines, labelled: set[int], block: Block, now: datetime
) -> None:
    """Says of each prediction's line what became of it. A repeated prediction that brings a new label with it is stored, as that label."""
    line = rows["line"].to_numpy()
    outcomes = np.full(line.size, STORED, np.int8)
    if same.size:
        outcomes[np.isin(line, [each for each in same.tolist() if each not in labelled])] = DUPLICATE
    if conflicting.size:
        refused = np.isin(line, conflicting)
        rejected = rows.filter(pa.array(refused))
        message = f"the id is taken by another prediction of {model.name} with other content"
        ledger.refuse(
            pa.table(
                {
                    "line": rejected["line"],
                    "raw": pa.array(raw_lines(block, rejected["line"].to_pylist()), pa.string()),
                    "reason": pa.array([CONFLICT] * rejected.num_rows, pa.string()),
                    "message": pa.array([f"{message}: {each}" for each in rejected["id"].to_pylist()], pa.string()),
                    "kind": pa.array(["prediction"] * rejected.num_rows, pa.string()),
                    "model": pa.array([model.name] * rejected.num_rows, pa.string()),
                }
            ),
            int(now.timestamp() // 3600),
        )
        line, outcomes = line[~refused], outcomes[~refused]
        rows = rows.filter(pa.array(~refused))
    ledger.note(model.name, "prediction", line, outcomes, hours_of(rows["arrived"]))


def store_others(writer: Cursor, kind: str, table: pa.Table, ledger: Ledger, now: datetime) -> None:
    """Stores the records of another kind."""
    if not table.num_rows:
        return
    rows = stage_others(writer, kind, table, now)
    fresh = new_records(writer, kind_tables()[kind], rows)
    insert(writer, kind_tables()[kind], list(kind_columns(kind)), fresh)
    lines, hours, kept = rows["line"].to_numpy(), hours_of(rows["arrived"]), np.isin(rows["line"].to_numpy(), fresh["line"].to_numpy())
    models = rows["model"].to_pylist() if "model" in rows.column_names else [None] * rows.num_rows
    places: dict[str, list[int]] = {}
    for place, model in enumerate(models):
        places.setdefault(model or "", []).append(place)
    for name, mine in places.items():
        ledger.note(name, kind, lines[mine], outcome(kept[mine]), hours[mine])


def outcome(kept: NDArray[np.bool_]) -> NDArray[np.int8]:
    """STORED where kept, else DUPLICATE."""
    return np.where(kept, STORED, DUPLICATE).astype(np.int8)


def hours_of(instants: pa.ChunkedArray) -> Lines:
    """Whole hours since 1970, rounded down."""
    return np.floor_divide(microseconds(instants), HOUR_US)


def raw_lines(block: Block, lines: list[int]) -> list[str]:
    """The text of some lines of a block."""
    if not isinstance(block.raw, bytes):
        return [str(block.raw[line - block.first_line].as_py()) for line in lines]
    whole = block.raw.split(b"\n")
    return [whole[line - block.first_line].decode("utf-8", "replace") for line in lines]
