"""Remove a model, or the sample fleet, with all of its records: from the database, landing, segments and databases that were set aside,
and backups.
"""

import json
import os
import shutil
from collections.abc import Callable
from typing import Any

import duckdb

from observability.core.catalog import Model
from observability.core.errors import StoreBrokenError, StoreBusyError
from observability.records.kinds import OF_RUNS
from observability.records.private_file import sync_folder
from observability.store.collected_places import rewrite_collected
from observability.store.db.database import Database
from observability.store.db.failures import broken_disk
from observability.store.db.record_tables import kind_columns, kind_tables
from observability.store.db.results import single_row
from observability.store.db.schema import drop_model_tables, model_table
from observability.store.db.shared_tables import drop_shared_rows
from observability.store.ingest import landing
from observability.store.lake.erase_lake import remove_from_lakes
from observability.store.query.records import runs_of_model
from observability.store.rewritten_backups import remove_set_aside, rewrite_backups
from observability.store.rollup.noted_steps import drop_noted_steps
from observability.store.rollup.rank_blocks import drop_blocks_without_steps

RewriteProgress = Callable[[int, int], object]


def remove_sample(store: Database, progress: RewriteProgress | None = None) -> dict[str, Any]:
    """Remove the sample fleet: its models, and every record that came with it, including records that name no model.

    Returns {"models": their names, "predictions", "labels", "records", "rejected", "artifacts"}: how many of each were removed.
    """
    names = [model.name for model in store.catalog().models if model.sample]
    removed = [_removed_model(store, name) for name in names]
    with store.write() as writer:
        left = _remove_sample_records(writer)
    _rewrite_after(store, "the sample fleet was removed", progress)
    counts = {key: sum(each[key] for each in removed) for key in ("predictions", "labels", "records", "rejected", "artifacts")}
    return {"models": names, **counts, "records": counts["records"] + left}


def _remove_sample_records(writer: duckdb.DuckDBPyConnection) -> int:
    """Delete the records of the sample fleet that were not removed with a model; return their number."""
    count = sum(int(single_row(writer, f"DELETE FROM {table} WHERE sample")[0]) for table in kind_tables().values())
    drop_blocks_without_steps(writer)
    drop_noted_steps(writer)
    return count


def remove_model(store: Database, name: str, progress: RewriteProgress | None = None) -> dict[str, Any]:
    """Remove a model with all of its records: tables, catalog, rejected lines, arrivals, runs, events, artifacts, and its lines in loaded
    and in waiting segments of landing. Removing the last model of the sample fleet also removes the fleet's records that name no model. The
    database file and the backups that hold the model are rewritten, and databases that were set aside are removed, so that no bytes of the
    model are left.

    Returns {"model", "predictions", "labels", "records", "rejected", "artifacts"}: how many of each were removed, {"set_aside": [file],
    "backups": as `rewrite_backups`, "lakes": {rewritten: [address], unreachable: [address]}, "collected": the same of
    segments of collectors}. progress: called with the rows rewritten and all rows. Raises NotFoundError for an unknown model,
    StoreBrokenError if the disk refuses.
    """
    removed = _removed_model(store, name)
    _rewrite_after(store, f"the model {name} was removed", progress)

    def erase(copy: Database) -> bool:
        held = any(model.name == name for model in copy.catalog().models)
        if held:
            _removed_model(copy, name)
        return held

    try:
        with store.loading:
            places = {"set_aside": remove_set_aside(store.home), "backups": rewrite_backups(store.home, erase, lambda _: None)}
            collected = rewrite_collected(store.home, lambda raw: _without_records_of(raw, name))
    except OSError as error:
        raise broken_disk(
            error, store.home, f"the model {name} was removed, but not from what was set aside and from every backup"
        ) from error
    return {**removed, **places, "lakes": remove_from_lakes(store, name), "collected": collected}


def _rewrite_after(store: Database, what: str, progress: RewriteProgress | None) -> None:
    """Rewrite the database file after something was removed. If that fails, raises StoreBrokenError, which says that bytes of what was
    removed stay.
    """
    try:
        store.rewrite(progress)
    except (StoreBrokenError, StoreBusyError) as error:
        attempt = f"{error.attempt or 'Check the disk'}. Then run: observability retention --rewrite"
        raise StoreBrokenError(f"{what}, but bytes of it stay until the store is rewritten", got=error.what, attempt=attempt) from error


def _removed_model(store: Database, name: str) -> dict[str, Any]:
    """Remove a model with all of its records, without rewriting the database file; returns how many of each were removed."""
    model = store.catalog().model(name)
    with store.write() as writer:
        tables = {table: model_table(table, model.key) for table in ("predictions", "labels")}
        counts = {table: single_row(writer, f"SELECT count(*) FROM {name}")[0] for table, name in tables.items()}
        refused = _delete_rows(writer, "DELETE FROM rejected WHERE model = ?", name)
        writer.execute("DELETE FROM arrivals WHERE model = ?", [name])
        writer.execute("DELETE FROM taken_files WHERE model = ?", [name])
        records = _delete_run_records(writer, name)
        for kind, table in kind_tables().items():
            if "model" in kind_columns(kind):
                records += _delete_rows(writer, f"DELETE FROM {table} WHERE model = ?", name)
        (drop_shared_rows if model.shared else drop_model_tables)(writer, model.key)
        for table in ("versions", "columns", "edges", "streams", "rollups", "retained", "settings_kept", "reference_columns", "models"):
            writer.execute(f"DELETE FROM {table} WHERE key = ?", [model.key])
        if model.sample and not any(other.sample for other in store.catalog().models if other.name != name):
            records += _remove_sample_records(writer)
    with store.loading:
        _remove_lines(store, name)
    return {"model": name, **counts, "records": records, "rejected": refused, "artifacts": _remove_artifacts(store, model)}


def _delete_run_records(writer: duckdb.DuckDBPyConnection, name: str) -> int:
    """Delete the records of a model's runs that name no model themselves; return how many."""
    runs = sorted({run for (run,) in writer.execute(runs_of_model(), {"model": name}).fetchall() if run is not None})
    count = 0
    for kind in OF_RUNS:
        own = " AND model IS NULL" if "model" in kind_columns(kind) else ""
        count += int(single_row(writer, f"DELETE FROM {kind_tables()[kind]} WHERE list_contains(?::VARCHAR[], run){own}", [runs])[0])
    drop_blocks_without_steps(writer)
    drop_noted_steps(writer)
    return count


def _delete_rows(writer: duckdb.DuckDBPyConnection, statement: str, name: str) -> int:
    """Run a DELETE statement; return the number of rows."""
    return int(single_row(writer, statement, [name])[0])


def _remove_artifacts(store: Database, model: Model) -> int:
    """Delete the artifacts of a model in the home folder that no other model uses."""
    kept = {own.artifact for other in store.catalog().models for own in other.versions}
    count = 0
    for artifact in sorted({own.artifact for own in model.versions if own.artifact} - kept):
        path = (store.home / artifact).resolve()
        if path.is_relative_to(store.home.resolve()) and path.is_file():
            path.unlink()
            count += 1
    return count


def _remove_lines(store: Database, name: str) -> None:
    """Rewrite the segments that wait, failed or were loaded: leave out the lines of a model, so that they are not loaded again."""
    for segment in [segment for folder in ("ready", "failed", "loaded") for segment in landing.segment_files(store.landing / folder)]:
        raw = landing.read_segment(segment.path)
        if (kept := _without_records_of(raw, name)) != raw:
            draft = segment.path.with_suffix(".draft")
            with draft.open("wb") as file:
                file.write(kept)
                file.flush()
                os.fsync(file.fileno())
            shutil.copystat(segment.path, draft)
            os.replace(draft, segment.path)
            sync_folder(segment.path.parent)


def _without_records_of(raw: bytes, name: str) -> bytes:
    """The content of a segment without the lines of a model."""
    needle = json.dumps(name)[1:-1].encode()
    lines = raw.splitlines(keepends=True)
    return b"".join(line for line in lines if (needle not in line and name.encode() not in line) or not _is_record_of(line, name))


def _is_record_of(line: bytes, name: str) -> bool:
    """Whether a line is a record of the model."""
    try:
        return bool(json.loads(line).get("model") == name)
    except (ValueError, AttributeError):
        return False
