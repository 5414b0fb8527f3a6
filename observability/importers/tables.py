"""Reads a reference and a current table, in the format that Evidently and NannyML accept. The module finds the roles of the columns, and
turns the current rows into predictions.

A current row without an id gets one from the content of the file and its row number, so that a second import adds nothing. Rows without a
time get the given time, else the time of the file.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from observability.client.encode import format_time
from observability.core.errors import UsageError
from observability.importers.source_records import error_line, require_source, utc_time_text

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".csv", ".csv.gz", ".parquet", ".jsonl")
MAX_DECOMPRESSED = 2 * 1024**3
"""Maximum size of a compressed table after decompression, in bytes."""
TIME_NAMES = ("at", "timestamp", "datetime", "event_time", "time", "date", "ts")
ID_NAMES = ("id", "identifier", "prediction_id", "request_id", "uuid")
PROBABILITY_NAMES = ("y_pred_proba", "prediction_proba", "pred_proba", "predicted_proba", "predicted_probability")
CLASS_PREFIX = re.compile(r"^(?:y_pred_proba|prediction_proba|pred_proba)_(.+)$")
CLASS_NAMES = ("y_pred", "prediction", "predicted")


@dataclass(frozen=True)
class TableRoles:
    """The columns of a table by their role. score: column names, or `class=COLUMN`. None and () mean that the registration finds
    the role.
    """

    score: tuple[str, ...]
    prediction: str | None
    at: str | None
    id: str | None


@dataclass(frozen=True)
class CurrentTable:
    """The current rows, ready for loading. renames: the field for each renamed column. notes: sentences about what was added."""

    table: "pa.Table"
    renames: Mapping[str, str]
    notes: tuple[str, ...]


def table_paths(paths: Sequence[Path]) -> tuple[Path, Path]:
    """The paths of the reference and the current table. paths: two files, or a folder with one file of each name. Raises UsageError
    otherwise.
    """
    for path in paths:
        require_source(path)
    if len(paths) == 2 and all(path.is_file() for path in paths):
        return paths[0], paths[1]
    if len(paths) == 1 and paths[0].is_dir():
        found = {
            name: sorted(path for path in paths[0].iterdir() if path.name.lower() in {name + ending for ending in ENDINGS})
            for name in ("reference", "current")
        }
        if all(len(each) == 1 for each in found.values()):
            return found["reference"][0], found["current"][0]
    raise UsageError(
        "a reference and a current table are needed",
        got=", ".join(path.name for path in paths),
        expected="two files, or a folder with reference.csv and current.csv",
        attempt="observability import tables reference.csv current.csv --model NAME",
    )


def require_decompressed_size(path: Path) -> None:
    """Raise UsageError if a .gz file is damaged or holds more than MAX_DECOMPRESSED bytes. Its whole content would be in memory at once."""
    size = 0
    try:
        with gzip.open(path) as file:
            while block := file.read(1 << 20):
                size += len(block)
                if size > MAX_DECOMPRESSED:
                    expected, attempt = f"at most {MAX_DECOMPRESSED / 1e9:.1f} GB", "Take a random sample of its rows"
                    raise UsageError("the file is too large when decompressed", where=path.name, expected=expected, attempt=attempt)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError("the table cannot be read", where=path.name, got=error_line(error)) from None


def read_table(path: Path) -> "pa.Table":
    """The rows of a .csv, .parquet or .jsonl file. Raises UsageError if it cannot be read."""
    import pyarrow as pa

    name = path.name.lower()
    if not name.endswith(ENDINGS):
        raise UsageError("files of this ending are not read", got=path.name, expected=", ".join(ENDINGS))
    if name.endswith(".gz"):
        require_decompressed_size(path)
    try:
        if name.endswith(".parquet"):
            import pyarrow.parquet as pq

            return pq.read_table(path)
        if name.endswith(".jsonl"):
            from pyarrow import json

            return json.read_json(path)
        from pyarrow import csv

        return csv.read_csv(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError("the table cannot be read", where=path.name, got=error_line(error)) from None


def table_roles(names: Sequence[str], *, score: Sequence[str] = (), prediction: str | None = None, at: str | None = None) -> TableRoles:
    """The roles of a table's columns, recognized by their usual names in Evidently and NannyML. Given roles are kept."""
    found = tuple(score)
    if not found:
        single = [name for name in PROBABILITY_NAMES if name in names]
        by_class = [(match[1], name) for name in names if (match := CLASS_PREFIX.match(name))]
        found = tuple(single[:1]) or tuple(f"{label}={column}" for label, column in by_class)
    taken = {option.split("=", 1)[-1] for option in found}
    decided = prediction or (next((name for name in CLASS_NAMES if name in names and name not in taken), None) if found else None)
    lowered = {name.lower(): name for name in reversed(list(names))}
    timed = at or next((lowered[name] for name in TIME_NAMES if name in lowered), None)
    return TableRoles(found, decided, timed, next((lowered[name] for name in ID_NAMES if name in lowered), None))


def current_predictions(
    table: "pa.Table",
    path: Path,
    roles: TableRoles,
    *,
    label: str,
    scores: Sequence[tuple[str | None, str]],
    prediction: str | None,
    at: datetime,
) -> CurrentTable:
    """The current rows, with a column for each field of a prediction. scores: (class, column) as registered; at: the time for rows without
    a time.

    Raises UsageError if a score column is missing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names, notes = table.column_names, []
    outputs = [column for _, column in scores] + ([prediction] if prediction else [])
    for column in outputs:
        if column not in names:
            raise UsageError(f"the current table lacks the column {column!r}", where=path.name, got=", ".join(names[:12]))
    renames = {label: "label"} if label in names else {}
    if label not in names:
        notes.append(f"The current table has no column {label!r}: its rows have no labels.")
    if len(scores) == 1 and scores[0][0] is None:
        renames[scores[0][1]] = "score"
    elif scores:
        parts = [table[column].cast(pa.float64()).combine_chunks() for _, column in scores]
        probabilities = pa.StructArray.from_arrays(parts, names=[str(name) for name, _ in scores])
        table = table.drop_columns([column for _, column in scores]).append_column("score", pa.chunked_array([probabilities]))
    if prediction and prediction not in renames:
        renames[prediction] = "prediction"
    if roles.id is not None and pc.count_distinct(table[roles.id], mode="all").as_py() == table.num_rows:
        renames[roles.id] = "id"
    else:
        digest = content_digest(path)
        ids = [f"{digest}-{number}" for number in range(1, table.num_rows + 1)]
        table = table.append_column(_free_name("id", table.column_names), pa.array(ids, pa.string()))
        renames[table.column_names[-1]] = "id"
        notes.append(f"Rows have no id of their own: they are called {digest}-1 to {digest}-{table.num_rows}.")
    if roles.at is not None:
        renames[roles.at] = "at"
    else:
        moment = str(format_time(at))
        table = table.append_column(_free_name("at", table.column_names), pa.array([moment] * table.num_rows, pa.string()))
        renames[table.column_names[-1]] = "at"
        notes.append(f"Rows have no time: all are stored at {at:%Y-%m-%d %H:%M} UTC; --at gives another.")
    return CurrentTable(table, {theirs: ours for theirs, ours in renames.items() if theirs != ours}, tuple(notes))


def content_digest(path: Path) -> str:
    """The first characters of a file's SHA-256, from which ids are made for rows without an id."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:10]


def _free_name(name: str, taken: Sequence[str]) -> str:
    """The name, with leading underscores added until no column has it."""
    while name in taken:
        name = f"_{name}"
    return name


def covered_days(
    table: "pa.Table", roles: TableRoles, at: datetime | None, timezone: tzinfo | None, where: str
) -> tuple[datetime, datetime] | None:
    """The whole days in UTC that the rows cover, as [start, end). at: the time for rows without a time. None if the times are unknown or
    cannot be read.

    Raises UsageError if the times need a time zone.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if roles.at is None:
        return None if at is None else _whole_days(at, at)
    column = table[roles.at]
    if pa.types.is_date(column.type):
        column, timezone = column.cast(pa.timestamp("us")), UTC
    found = [value for value in pc.min_max(column).as_py().values() if isinstance(value, str | datetime)]
    texts = [value if isinstance(value, str) else value.isoformat() for value in found]
    try:
        moments = [datetime.fromisoformat(utc_time_text(text, timezone, where)) for text in texts]
    except ValueError:
        return None
    return _whole_days(moments[0], moments[1]) if len(moments) == 2 else None


def _whole_days(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    """The whole days in UTC from the first time to the last, as [start, end)."""
    start, end = (each.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) for each in (first, last))
    return start, end + timedelta(days=1)
