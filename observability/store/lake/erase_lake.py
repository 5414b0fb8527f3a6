"""Erase a subject's rows, or a model, from the lakes that a home wrote to.

The subject has already been erased from the store, and the export writes the store's days anew (export.py), because an erasure changes
every fingerprint. This module removes the rows of the erased predictions from two kinds of files: files of labels, and files of days that
the store no longer keeps. Files that only former states of the lake name are removed at once. Texts of other rows get a mark, as in the
store.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import duckdb

from observability.core.errors import StoreBrokenError, UsageError
from observability.lake.file_place import FilePlace
from observability.records.private_file import make_private_folder
from observability.store.db.database import Database
from observability.store.db.erased_texts import cleaned_value, mentions_sql
from observability.store.db.erasures import SHORTEST_WORD, ErasedMatcher
from observability.store.db.expressions import sql_literal
from observability.store.db.noted_lakes import known_lakes
from observability.store.db.schema import quoted_identifier
from observability.store.lake.export import ROW_GROUP, WRITING, export_lake
from observability.store.lake.lake_owner import open_known_lake, require_own_lake, write_own_state
from observability.store.lake.manifest import TABLES, LakeFile, LakeManifest, read_manifest, remove_unnamed


def erased_ids_in_lakes(store: Database, matcher: ErasedMatcher) -> dict[str, list[str]]:
    """By model, the ids of predictions about erased subjects in all known lakes that can be read. Only models with removed days are
    included.
    """
    models, found = {model.name for model in store.catalog().models if model.rows_from is not None}, dict[str, list[str]]()
    scratch = store.home / "tmp" / "lake"
    for address in known_lakes(store.home) if models else ():
        # a lake that cannot be read leaves the erasure unfinished, and the next try looks there again
        with suppress(StoreBrokenError, UsageError, OSError, duckdb.Error), WRITING:
            shutil.rmtree(scratch, ignore_errors=True)
            make_private_folder(scratch)
            place = open_known_lake(store.home, address)
            with duckdb.connect(config={"threads": store.threads, "memory_limit": "1GB"}) as connection:
                for file in read_manifest(place).files:
                    if file.table == "predictions" and file.model in models:
                        found.setdefault(file.model, []).extend(_erased_ids(connection, _fetched(place, file, scratch), file, matcher))
    shutil.rmtree(scratch, ignore_errors=True)
    return found


def erase_from_lakes(
    store: Database, matcher: ErasedMatcher, names: Sequence[str] | None, say: Callable[[str], object]
) -> dict[str, list[str]]:
    """Erase predictions about erased subjects and their labels from every known lake: {rewritten: [address], unreachable: [address]}.

    names: the subject, then its ids. Only texts that contain one of them are checked; None: every text is checked.
    """
    found: dict[str, list[str]] = {"rewritten": [], "unreachable": []}
    for address in known_lakes(store.home):
        say(f"erasing the lake {address}")
        try:
            with WRITING:
                place = open_known_lake(store.home, address)
                _erase_kept_days(store, place, matcher, names)
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
    """The present state of a lake. Raises UsageError if another store, or a later state of this store, wrote it."""
    state = read_manifest(place)
    require_own_lake(store.home, place, state)
    return state


def _without_model(store: Database, place: FilePlace, model: str) -> bool:
    """Write a state of a lake that names no file of a model; return whether the previous state named any."""
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


def _erase_kept_days(store: Database, place: FilePlace, matcher: ErasedMatcher, names: Sequence[str] | None) -> None:
    """For models whose older days the store does not keep: rewrite the files that hold rows of erased predictions or mention them."""
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
                for file in [file for file in files.values() if file.model == model.name]:
                    path = _fetched(place, file, scratch)
                    if (own := _cleaned_file(connection, path, file, matcher, names, scratch / "part.parquet")) != file:
                        del files[file.name]
                        if own is not None:
                            place.publish(scratch / "part.parquet", own.name)
                            files[own.name] = own
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
    """The ids to erase in a file of the lake. In a file of predictions: the ids of predictions about erased subjects. In a file of labels:
    the ids of predictions that were noted as erased.
    """
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


def _cleaned_file(
    connection: duckdb.DuckDBPyConnection, path: str, file: LakeFile, matcher: ErasedMatcher, names: Sequence[str] | None, to: Path
) -> LakeFile | None:
    """Write a file without the rows of the table `gone`, and with marks in its texts. Returns the new file, the old one if nothing changes,
    or None if no row stays.
    """
    source = f"(SELECT * FROM read_parquet({path}, hive_partitioning = false) WHERE id NOT IN (FROM gone))"
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {source}").fetchall()
    if not rows:
        return None
    changed, replaced = list[tuple[str, str, str]](), list[str]()
    for column, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall():
        if column == "id" or kind not in {"VARCHAR", "JSON"}:
            continue
        text = f"{quoted_identifier(column)}::VARCHAR"
        searched = "" if names is None else f"AND {mentions_sql(text, names if column == 'extra' else names[:1])}"
        texts = connection.execute(f"SELECT DISTINCT {text} FROM {source} WHERE length({text}) >= {SHORTEST_WORD} {searched}").fetchall()
        of_column = [
            (column, old, new) for (old,) in sorted(texts) if (new := cleaned_value(matcher, old, kind, marks_review=False)) != old
        ]
        if of_column:
            changed += of_column
            mark = f"SELECT new FROM changed_texts WHERE place = {sql_literal(column)} AND old = {text}"
            replaced.append(f"coalesce(({mark}), {text})::{kind} AS {quoted_identifier(column)}")
    if rows == file.rows and not changed:
        return file
    connection.execute("CREATE OR REPLACE TABLE changed_texts (place VARCHAR, old VARCHAR, new VARCHAR)")
    if changed:
        connection.executemany("INSERT INTO changed_texts VALUES (?, ?, ?)", changed)
    marked = f"* REPLACE ({', '.join(replaced)})" if replaced else "*"
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
    connection.execute(f"COPY (SELECT {marked} FROM {source} ORDER BY id_hash, id) TO {sql_literal(str(to))} ({options})")
    ((gone,),) = connection.execute("SELECT list(id ORDER BY id) FROM gone").fetchall()
    content = hashlib.sha256(f"{file.content} {gone} {changed}".encode()).hexdigest()[:24]
    return replace(file, content=content, rows=rows, bytes=to.stat().st_size)
