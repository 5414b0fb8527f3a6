"""Write the raw rows of a store into a lake, once for each model and day that changed.

A day's rows have a fingerprint. Days whose fingerprint is in the manifest are left alone. The other days are written anew as a whole, and
the manifest that names them is written last. So an export that is killed anywhere, or that runs twice, leaves each row in the lake exactly
once. Days that the store does not keep any more (`Model.rows_from`) stay unchanged in the lake. Models that share tables (shared_tables.py)
are too small for files of their own and stay in the store.
"""

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from observability.core.catalog import Model
from observability.core.time import naive_utc
from observability.lake.addresses import checked_address
from observability.lake.file_place import FilePlace
from observability.records.private_file import make_private_folder
from observability.store.db.catalog_store import stream_numbers
from observability.store.db.database import Database
from observability.store.db.erasures import erasures
from observability.store.db.expressions import sql_literal
from observability.store.db.keeping import read_keeping
from observability.store.db.noted_lakes import note_lake
from observability.store.db.results import Cursor, single_row
from observability.store.db.schema import LABEL_COLUMNS, model_table, quoted_identifier
from observability.store.ingest.dedupe import LABEL_KEY
from observability.store.lake.lake_owner import (
    is_own_lake,
    is_written_here,
    open_known_lake,
    require_own_lake,
    write_own_state,
)
from observability.store.lake.manifest import (
    COUNTED_BY,
    REFERENCE,
    LakeFile,
    LakeManifest,
    LakeTable,
    read_manifest,
    remove_unnamed,
)
from observability.store.lake.uncounted_labels import note_ids_of_former_lake
from observability.store.query.source import snapshot_cursor

ROW_GROUP = 61_440
"""Number of rows of a row group. An id is found by the statistics of its hash, so that only one row group is read."""
IDENTITY = {"predictions": "stream, id_hash, arrived, decision", "labels": 'id_hash, "at", arrived, value'}
"""Columns that identify a row of a table, and that change when the stored row changes."""
WRITING = threading.RLock()
"""Held while a lake is written: the process that owns the store is the only one that writes its lakes."""
Progress = Callable[[str], object]


@dataclass(frozen=True)
class _Part:
    """Rows of one day of a model's table, as the store has them. where: the condition that selects the rows. picked: their columns,
    as SQL.
    """

    model: Model
    table: LakeTable
    day: str
    rows: int
    content: str
    where: str
    picked: str = "*"


def export_lake(store: Database, address: str, *, progress: Progress | None = None, replace: bool = False) -> dict[str, Any]:
    """Bring a lake to the state of the store: {lake, number, models, files, rows, bytes, written: {files, rows, bytes}, removed, seconds}.

    replace: also overwrite a lake that another store, or a later state of this store, wrote. Raises UsageError for an address that cannot
    be used, and for such a lake if it would lose rows and `replace` is not set; StoreBrokenError if the lake cannot be written.
    """
    with WRITING:
        return _export(store, address, progress or (lambda text: None), replace)


def _export(store: Database, address: str, say: Progress, replace: bool) -> dict[str, Any]:
    begun = time.monotonic()
    place, scratch = open_known_lake(store.home, address, replace=replace), store.home / "tmp" / "lake"
    shutil.rmtree(scratch, ignore_errors=True)
    make_private_folder(scratch)
    before = read_manifest(place)
    if is_lake_of_home(store.home, place):
        note_ids_of_former_lake(store, before)
    try:
        files, written = _present_files(store, place, before, scratch, say, replace)
        same = files == sorted(before.files, key=_order) and is_own_lake(store.home, place.address, before)
        state = before if same else write_own_state(store.home, place, before, files, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {
        "lake": place.address,
        "number": state.number,
        "models": len({file.model for file in files}),
        "files": len(files),
        "rows": sum(file.rows for file in files),
        "bytes": sum(file.bytes for file in files),
        "written": {"files": len(written), "rows": sum(each.rows for each in written), "bytes": sum(each.bytes for each in written)},
        "removed": len({file.name for file in before.files} - {file.name for file in files}),
        "seconds": round(time.monotonic() - begun, 3),
    }


def export_leaving(
    store: Database,
    writer: Cursor,
    address: str,
    model: Model,
    *,
    before: datetime | None = None,
    lone: str = "false",
    counted_by: str | None = None,
) -> None:
    """Write to the lake the rows that a transaction is about to remove from the store and that the lake lacks: labels of a model, and its
    predictions from before an instant. lone: SQL condition for the labels to write whose prediction is not in the store. counted_by: the
    round of late labels that counts these labels.

    The caller holds WRITING. Raises what `export_lake` does.
    """
    place, scratch, token = open_known_lake(store.home, address), store.home / "tmp" / "lake", _erasure_token(store.home)
    state = read_manifest(place)
    require_own_lake(store.home, place, state)
    held = {(file.table, file.day): file for file in state.files if file.model == model.name}
    mark = None if counted_by is None else (lone, counted_by)
    parts = _parts(writer, model, "labels", token, f"({_has_prediction(model)} OR {lone})", mark)
    if before is not None:
        parts += _parts(
            writer, model, "predictions", token, f"{_is_production(writer, model)} AND \"at\" < TIMESTAMP '{naive_utc(before)}'"
        )
    shutil.rmtree(scratch, ignore_errors=True)
    make_private_folder(scratch)
    try:
        stale = [part for part in parts if not _is_held(writer, place, part, held.get((part.table, part.day)), scratch)]
        if not stale:
            return
        note_lake(store.home, place.address, state.number, state.number)
        for part in stale:
            held[part.table, part.day] = _written(writer, place, part, scratch, _older_file(model, part, held.get((part.table, part.day))))
        others = [file for file in state.files if file.model != model.name]
        write_own_state(store.home, place, state, sorted([*others, *held.values()], key=_order), scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _present_files(
    store: Database, place: FilePlace, before: LakeManifest, scratch: Path, say: Progress, replace: bool
) -> tuple[list[LakeFile], list[LakeFile]]:
    """All files of the new state in order, and the files among them that were newly written for it."""
    known = {(file.model, file.table, file.day): file for file in before.files}
    token, counts_late = _erasure_token(store.home), is_lake_of_home(store.home, place)
    own, ours = is_own_lake(store.home, place.address, before), is_written_here(store.home, place.address, before)

    def older(part: _Part) -> LakeFile | None:
        return _older_file(part.model, part, known.get((part.model.name, part.table, part.day))) if ours else None

    kept: list[LakeFile] = []
    parts: list[_Part] = []
    with snapshot_cursor(store) as cursor:
        for model in store.catalog().models:
            if model.shared:
                continue
            labels = _has_prediction(model) if counts_late and model.rows_from is not None else "true"
            found = [*_parts(cursor, model, "predictions", token), *_parts(cursor, model, "labels", token, labels)]
            there = {(part.table, part.day) for part in found}
            of_model = [file for file in before.files if file.model == model.name] if ours else []
            kept += [file for file in of_model if (file.table, file.day) not in there and _is_kept(model, file)]
            parts += found
        if not own and not replace and (lost := _lost_files(cursor, place, before, kept, parts, scratch, ours)):
            require_own_lake(store.home, place, before, lost)
        note_lake(store.home, place.address, before.number, before.number)
        remove_unnamed(place, [before])
        files, written = list(kept), list[LakeFile]()
        for part in parts:
            file = known.get((part.model.name, part.table, part.day))
            if file is None or not _is_held(cursor, place, part, file, scratch, ours=ours):
                say(f"writing {part.rows:,} {part.table} of {part.model.name}, {part.day}")
                file = _written(cursor, place, part, scratch, older(part))
                written.append(file)
            files.append(file)
    return sorted(files, key=_order), written


def _lost_files(
    cursor: Cursor, place: FilePlace, before: LakeManifest, kept: list[LakeFile], parts: list[_Part], scratch: Path, ours: bool
) -> list[LakeFile]:
    """The files of a state with rows that the next state would not have. For a lake of another store, every file that the next state would
    replace or remove.
    """
    stay, days = set(kept), {(part.model.name, part.table, part.day): part for part in parts}
    found = []
    for file in before.files:
        part = days.get((file.model, file.table, file.day))
        if file in stay or (part is not None and part.content == file.content):
            continue
        if part is None or not ours or not (_older_file(part.model, part, file) or _has_rows_of(cursor, place, part, file, scratch)):
            found.append(file)
    return found


def _is_held(cursor: Cursor, place: FilePlace, part: _Part, file: LakeFile | None, scratch: Path, *, ours: bool = True) -> bool:
    """Whether a file has the rows of a day as the store has them. A file of labels may also have labels of removed predictions; it is read
    if its fingerprint differs. ours: whether this store wrote the lake.
    """
    if file is None or file.content == part.content:
        return file is not None
    if not ours or part.picked != "*" or part.rows > file.rows or _older_file(part.model, part, file) is None:
        return False
    held, stored = _file_rows(place, file, scratch), model_table(part.table, part.model.key)
    there = {name for name, *_ in cursor.execute(f"DESCRIBE {held}").fetchall()}
    if any(name not in there for name in LABEL_COLUMNS):
        return False
    columns = ", ".join(map(quoted_identifier, LABEL_COLUMNS))
    more = f"SELECT {columns} FROM {stored} WHERE {part.where} EXCEPT ALL SELECT {columns} FROM ({held})"
    return bool(single_row(cursor, f"SELECT count(*) FROM ({more})")[0] == 0)


def _file_rows(place: FilePlace, file: LakeFile, scratch: Path) -> str:
    """A query for the rows of a file of a lake. It reads a copy in a folder that the store may read, which is valid until the next file is
    asked for.
    """
    path = scratch / "held.parquet"
    path.write_bytes(place.read(file.name))
    return f"SELECT * FROM read_parquet({sql_literal(str(path))}, hive_partitioning = false)"


def _has_rows_of(cursor: Cursor, place: FilePlace, part: _Part, file: LakeFile, scratch: Path) -> bool:
    """Whether the store has every row of a file; a row that arrived again counts as the same row. Reads the file."""
    if part.rows < file.rows:
        return False
    columns = IDENTITY[part.table].replace("arrived", '"at"' if part.table == "predictions" else "number")
    held = f"SELECT {columns} FROM ({_file_rows(place, file, scratch)})"
    stored = f"SELECT {columns} FROM {model_table(part.table, part.model.key)} WHERE {part.where}"
    return bool(single_row(cursor, f"SELECT count(*) FROM ({held} EXCEPT ALL {stored})")[0] == 0)


def _order(file: LakeFile) -> tuple[str, str, str]:
    return file.model, file.table, file.day


def _is_kept(model: Model, file: LakeFile) -> bool:
    """Whether a file of a day without rows in the store stays in the lake: predictions from before the first day that the store keeps, and
    labels of any day, because a label leaves the store with its prediction.
    """
    if model.rows_from is None or file.day == REFERENCE:
        return False
    return file.table == "labels" or file.day < naive_utc(model.rows_from).date().isoformat()


def _older_file(model: Model, part: _Part, file: LakeFile | None) -> LakeFile | None:
    """The file of a day of labels, if it may have labels that the store removed together with their predictions."""
    return file if model.rows_from is not None and part.table == "labels" else None


def is_lake_of_home(home: Path, place: FilePlace) -> bool:
    """Whether a place is the folder of the lake that the settings of a home name. Removed rows are read from this lake, and late labels are
    counted with it.
    """
    text = read_keeping(home).lake
    own = None if text is None else checked_address(text).path
    if own is None or place.folder is None:
        return False
    with suppress(OSError):  # one folder may have several names
        return own.samefile(place.folder)
    return own.resolve() == place.folder.resolve()


def days_held_otherwise(
    store: Database, cursor: Cursor, place: FilePlace, state: LakeManifest, model: Model, days: Collection[str]
) -> dict[str, str]:
    """Those of `days` whose rows or labels in the lake differ from those in the store, each with the reason.

    For a day that retention removed, the lake's file is the only copy.
    """
    token, since = _erasure_token(store.home), None if model.rows_from is None else naive_utc(model.rows_from).date().isoformat()
    files = {(file.table, file.day): file for file in state.files if file.model == model.name}
    chosen = f'list_contains({sorted(days)}::VARCHAR[], "at"::DATE::VARCHAR)'
    parts = {part.day: part for part in _parts(cursor, model, "predictions", token, f"{_is_production(cursor, model)} AND {chosen}")}
    found = {}
    for day in days:
        file, part = files.get(("predictions", day)), parts.get(day)
        if file is None:
            found[day] = "the lake does not have it"
        elif (since is None or day >= since) and (part is None or part.content != file.content):
            found[day] = "its rows are not those of the store"
    with_prediction = _has_prediction(model) if since is not None and is_lake_of_home(store.home, place) else "true"
    labels = {part.day: part for part in _parts(cursor, model, "labels", token, with_prediction)}
    make_private_folder(store.home / "tmp")
    with TemporaryDirectory(dir=store.home / "tmp") as scratch:
        stale = [day for day, part in labels.items() if not _is_held(cursor, place, part, files.get(("labels", day)), Path(scratch))]
        lacking = [
            _days_lacking_labels(cursor, place, model, chosen, file, Path(scratch))
            for file in state.of_model(model.name, "labels")
            if since is not None and ((part := labels.get(file.day)) is None or (part.content, part.rows) != (file.content, file.rows))
        ]
    if since is None and any(table == "labels" and day not in labels for table, day in files):
        return {**dict.fromkeys(days, "the lake has labels that the store does not have"), **found}
    late = f'SELECT id_hash FROM {model_table("labels", model.key)} WHERE list_contains({stale}::VARCHAR[], "at"::DATE::VARCHAR)'
    otherwise = set().union(_days_of(cursor, model, chosen, late) if stale else set(), *lacking)
    return {**dict.fromkeys(sorted(otherwise), "its labels are not those of the store"), **found}


def _days_lacking_labels(cursor: Cursor, place: FilePlace, model: Model, chosen: str, file: LakeFile, scratch: Path) -> set[str]:
    """The days of the chosen predictions for which a lake file has a label that the store lacks. Reads the file."""
    held = _file_rows(place, file, scratch)
    there = {name for name, *_ in cursor.execute(f"DESCRIBE {held}").fetchall()}
    columns = ", ".join(quoted_identifier(name) for name in LABEL_COLUMNS if name in there)
    stored = f"SELECT {columns} FROM {model_table('labels', model.key)} WHERE \"at\"::DATE = DATE '{file.day}'"
    lacking = f"SELECT {columns} FROM ({held}) WHERE {_has_prediction(model)} EXCEPT ALL {stored}"
    return _days_of(cursor, model, chosen, f"SELECT id_hash FROM ({lacking})")


def _days_of(cursor: Cursor, model: Model, chosen: str, hashes: str) -> set[str]:
    """The days of the chosen predictions whose ids have one of these hashes."""
    rows = f"FROM {model_table('predictions', model.key)} WHERE {chosen} AND id_hash IN ({hashes})"
    return {day for (day,) in cursor.execute(f'SELECT DISTINCT "at"::DATE::VARCHAR {rows}').fetchall()}


def _has_prediction(model: Model) -> str:
    """SQL: whether the store has the prediction of a label. A label that came after its prediction was removed is written once it is
    counted (late_labels.py), so all labels in the lake are counted.
    """
    return f"id_hash IN (SELECT id_hash FROM {model_table('predictions', model.key)})"


def _is_production(cursor: Cursor, model: Model) -> str:
    """SQL: whether a prediction does not belong to a reference."""
    numbers = [number for (_, environment), number in stream_numbers(cursor, model.key).items() if environment == "reference"]
    return f"NOT list_contains({sorted(numbers)}::SMALLINT[], stream)"


def _parts(
    cursor: Cursor, model: Model, table: LakeTable, token: str, chosen: str = "true", mark: tuple[str, str] | None = None
) -> list[_Part]:
    """The days of a model's table with the fingerprints of their rows. chosen: SQL condition for the rows. mark: SQL condition for the rows
    that a round of late labels counted, and the name of that round; a day with such rows has another fingerprint in each round.
    """
    name, condition = model_table(table, model.key), _is_production(cursor, model) if table == "predictions" else "true"
    rows = cursor.execute(
        f"""SELECT CASE WHEN {condition} THEN "at"::DATE END AS day, count(*), bit_xor(hash({IDENTITY[table]})),
            sum(hash({IDENTITY[table]}, 1)::HUGEINT)::VARCHAR, count(*) FILTER (WHERE {mark[0] if mark else "false"})
            FROM {name} WHERE {chosen} GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    found = []
    for day, count, mixed, total, marked in rows:
        of_day = f"({condition}) AND \"at\" >= TIMESTAMP '{day}' AND \"at\" < TIMESTAMP '{day}' + INTERVAL 1 DAY"
        own = f"{token} {mark[1]}" if mark and marked else token
        content = hashlib.sha256(f"{count} {mixed} {total} {own}".encode()).hexdigest()[:24]
        picked = f"*, CASE WHEN {mark[0]} THEN {sql_literal(mark[1])} END AS {COUNTED_BY}" if mark and marked else "*"
        where = f"{of_day if day else f'NOT ({condition})'} AND {chosen}"
        found.append(_Part(model, table, str(day) if day else REFERENCE, count, content, where, picked))
    return found


def _written(cursor: Cursor, place: FilePlace, part: _Part, scratch: Path, older: LakeFile | None) -> LakeFile:
    """Write the rows of a day into the lake. older: a file whose rows stay if the store does not have them any more."""
    path = scratch / "part.parquet"
    rows = f"SELECT {part.picked} FROM {model_table(part.table, part.model.key)} WHERE {part.where}"
    if older is not None:
        same = " AND ".join(f"s.{name} IS NOT DISTINCT FROM o.{name}" for name in map(quoted_identifier, [*LABEL_KEY, "arrived"]))
        others = f"SELECT * FROM ({_file_rows(place, older, scratch)}) o WHERE NOT EXISTS (SELECT 1 FROM ({rows}) s WHERE {same})"
        rows = f"{rows} UNION ALL BY NAME {others}"
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
    (count,) = single_row(cursor, f"COPY (SELECT * FROM ({rows}) ORDER BY id_hash, id) TO {sql_literal(str(path))} ({options})")
    file = LakeFile(part.model.name, part.table, part.day, part.content, int(count), path.stat().st_size)
    place.publish(path, file.name)
    return file


def _erasure_token(home: Path) -> str:
    """A text that changes with every erasure. An erasure puts marks into texts of other rows, so all days are then written anew."""
    return " ".join(sorted(erasure.subject for erasure in erasures(home)))
