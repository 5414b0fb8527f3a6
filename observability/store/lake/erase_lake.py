"""Erase a subject's rows, or a model, from the lakes that a home wrote to.

Of a subject the store was erased before. Its days are then written anew (export.py: an erasure changes every fingerprint). Here the files
of days that the store does not keep any more, and of labels, lose the rows of the erased predictions; what the former states of the lake
name is removed at once.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb

from observability.core.catalog import Model
from observability.core.errors import StoreBrokenError, UsageError
from observability.lake.file_place import FilePlace
from observability.records.private_file import make_private_folder
from observability.store.db.database import Database
from observability.store.db.erasures import ErasedMatcher
from observability.store.db.expressions import sql_literal
from observability.store.db.noted_lakes import known_lakes
from observability.store.lake.export import ROW_GROUP, WRITING, export_lake
from observability.store.lake.lake_owner import open_known_lake, require_own_lake, write_own_state
from observability.store.lake.manifest import TABLES, LakeFile, LakeManifest, read_manifest, remove_unnamed


def erase_from_lakes(store: Database, matcher: ErasedMatcher, say: Callable[[str], object]) -> dict[str, list[str]]:
    """Erase predictions about erased subjects and their labels from every known lake: {rewritten: [address], unreachable: [address]}."""
    found: dict[str, list[str]] = {"rewritten": [], "unreachable": []}
    for address in known_lakes(store.home):
        say(f"erasing the lake {address}")
        try:
            with WRITING:
                place = open_known_lake(store.home, address)
                _erase_kept_days(store, place, matcher)
                export_lake(store, address)
                remove_unnamed(place, [read_manifest(place)])
            found["rewritten"].append(address)
        except (StoreBrokenError, UsageError):
            found["unreachable"].append(address)
    return found


def remove_from_lakes(store: Database, model: str) -> dict[str, list[str]]:
    """Remove a model from every known lake that holds it: {rewritten: [address], unreachable: [address]}."""
    found: dict[str, list[str]] = {"rewritten": [], "unreachable": []}
    for address in known_lakes(store.home):
        try:
            with WRITING:
                place = open_known_lake(store.home, address)
                held = _without_model(store, place, model)
                remove_unnamed(place, [read_manifest(place)])
            found["rewritten"] += [address] if held else []
        except (StoreBrokenError, UsageError):
            found["unreachable"].append(address)
    return found


def _own_state(store: Database, place: FilePlace) -> LakeManifest:
    """The present state of a lake; UsageError for one that another store, or a later state of this one, wrote."""
    state = read_manifest(place)
    require_own_lake(store.home, place, state)
    return state


def _without_model(store: Database, place: FilePlace, model: str) -> bool:
    """Write a state of a lake that names no file of a model; whether the one before named any."""
    before = _own_state(store, place)
    files = [file for file in before.files if file.model != model]
    if len(files) == len(before.files):
        return False
    scratch = store.home / "tmp" / "lake"
    shutil.rmtree(scratch, ignore_errors=True)
    make_private_folder(scratch)
    try:
        write_own_state(store.home, place, before, files, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return True


def _erase_kept_days(store: Database, place: FilePlace, matcher: ErasedMatcher) -> None:
    """Write the files anew that hold rows of erased predictions of models whose older days the store does not keep."""
    scratch = store.home / "tmp" / "lake"
    shutil.rmtree(scratch, ignore_errors=True)
    make_private_folder(scratch)
    before = _own_state(store, place)
    files = {file.name: file for file in before.files}
    try:
        with duckdb.connect(config={"threads": store.threads, "memory_limit": "1GB"}) as connection:
            for model in store.catalog().models:
                if model.rows_from is None:
                    continue
                gone = set[str]()
                for table in TABLES:
                    for file in before.of_model(model.name, table):
                        gone.update(_erased_ids(connection, _fetched(place, file, scratch), file, matcher))
                connection.execute("CREATE OR REPLACE TABLE gone (id VARCHAR)")
                if gone:
                    connection.executemany("INSERT INTO gone VALUES (?)", [[name] for name in sorted(gone)])
                    _rewrite(connection, place, model, files, scratch, sorted(gone))
        if set(files.values()) != set(before.files):
            write_own_state(store.home, place, before, sorted(files.values(), key=lambda file: file.name), scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fetched(place: FilePlace, file: LakeFile, scratch: Path) -> str:
    """The path of a file of the lake on this machine, as a literal."""
    if place.folder is not None:
        return sql_literal(str(place.folder / file.name))
    path = scratch / "fetched.parquet"
    path.write_bytes(place.read(file.name))
    return sql_literal(str(path))


def _erased_ids(connection: duckdb.DuckDBPyConnection, path: str, file: LakeFile, matcher: ErasedMatcher) -> list[str]:
    """The ids in a file of predictions about erased subjects; of labels, those of predictions that were noted as erased."""
    source = f"read_parquet({path}, hive_partitioning = false)"
    if file.table == "labels":
        ids = connection.execute(f"SELECT DISTINCT id FROM {source}").fetchall() if matcher.predictions.get(file.model) else []
        return [name for (name,) in ids if matcher.is_prediction(file.model, name)]
    subjects = [name for (name,) in connection.execute(f"SELECT DISTINCT subject FROM {source} WHERE subject IS NOT NULL").fetchall()]
    erased = [name for name in subjects if matcher.is_subject(name)]
    if not erased:
        return []
    rows = connection.execute(f"SELECT DISTINCT id FROM {source} WHERE list_contains(?::VARCHAR[], subject)", [erased]).fetchall()
    return [name for (name,) in rows]


def _rewrite(
    connection: duckdb.DuckDBPyConnection, place: FilePlace, model: Model, files: dict[str, LakeFile], scratch: Path, gone: list[str]
) -> None:
    """Write the files of a model anew that hold rows of these ids."""
    for name, file in [item for item in files.items() if item[1].model == model.name]:
        source = f"read_parquet({_fetched(place, file, scratch)}, hive_partitioning = false)"
        ((held,),) = connection.execute(f"SELECT count(*) FROM {source} WHERE id IN (FROM gone)").fetchall()
        if not held:
            continue
        del files[name]
        if held == file.rows:
            continue
        path = scratch / "part.parquet"
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
        connection.execute(
            f"COPY (SELECT * FROM {source} WHERE id NOT IN (FROM gone) ORDER BY id_hash, id) TO {sql_literal(str(path))} ({options})"
        )
        content = hashlib.sha256(f"{file.content} {gone}".encode()).hexdigest()[:24]
        own = replace(file, content=content, rows=file.rows - held, bytes=path.stat().st_size)
        place.publish(path, own.name)
        files[own.name] = own
