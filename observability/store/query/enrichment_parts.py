"""Progress of the enrichment jobs: the state of a job for a version, and the rows of its finished parts (`enrichment_<key>`)."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from observability.core.catalog import Model, Version
from observability.store.db.catalog_store import find_model, stream_numbers
from observability.store.db.results import Cursor, first_row
from observability.store.db.schema import OUTCOMES, model_table
from observability.store.db.shared_tables import give_own_tables


def read_job_state(cursor: Cursor, model: Model, job: str, version: str) -> dict[str, Any] | None:
    """The state of a job for a version, None if it never ran."""
    table = model_table("enrichment", model.key)
    held = first_row(cursor, f"SELECT state FROM {table} WHERE job = ? AND version = ? AND part = ''", [job, version])
    return None if held is None else json.loads(held[0])


def finished_parts(cursor: Cursor, model: Model, job: str, version: str) -> dict[str, tuple[int, dict[str, Any]]]:
    """Rows and further facts of each finished part, by its name."""
    table = model_table("enrichment", model.key)
    rows = cursor.execute(f"SELECT part, rows, state FROM {table} WHERE job = ? AND version = ? AND part <> ''", [job, version]).fetchall()
    return {name: (held, json.loads(text)) for name, held, text in rows}


def write_job_parts(writer: Cursor, model: Model, job: str, version: str, parts: Mapping[str, tuple[int, Mapping[str, Any]]]) -> None:
    """Replace the stored parts of a version. parts: rows and further facts by part name; the part "" holds the state of the job."""
    give_own_tables(writer, model.key)
    table = model_table("enrichment", model.key)
    where = "job = ? AND version = ? AND part IN (SELECT unnest(?::VARCHAR[]))"
    writer.execute(f"DELETE FROM {table} WHERE {where}", [job, version, list(parts)])
    values = [[job, version, name, rows, json.dumps(facts)] for name, (rows, facts) in parts.items()]
    writer.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", values)


def delete_job(writer: Cursor, model: Model, job: str, version: str, table: str) -> None:
    """Delete the state and the parts of a job for a version, and its results in a table."""
    give_own_tables(writer, model.key)
    numbers = [number for (name, _), number in stream_numbers(writer, model.key).items() if name == version]
    writer.execute(f"DELETE FROM {model_table(table, model.key)} WHERE stream IN (SELECT unnest(?::SMALLINT[]))", [numbers])
    writer.execute(f"DELETE FROM {model_table('enrichment', model.key)} WHERE job = ? AND version = ?", [job, version])


def registered_version(writer: Cursor, model: Model, version: Version) -> Version | None:
    """The version as registered in the open transaction; None if the model or the version was removed."""
    known = find_model(writer, model.name)
    return known.version(version.name) if known and known.key == model.key else None


def daily_rows(cursor: Cursor, model: Model, stream: int | None, condition: str = "true") -> list[tuple[date, int]]:
    """Days of a stream with their number of rows, newest first. condition: on the columns of the counts."""
    rows = cursor.execute(
        f"""SELECT period // 24, sum(n)::BIGINT FROM {model_table("counts", model.key)}
        WHERE stream = ? AND measure = {OUTCOMES} AND slice = 0 AND {condition} GROUP BY 1 HAVING sum(n) > 0 ORDER BY 1 DESC""",
        [stream],
    ).fetchall()
    return [(date(1970, 1, 1) + timedelta(days=day), count) for day, count in rows]


def day_span(days: Sequence[date]) -> dict[str, datetime]:
    """Start of the first and end of the last of some days, naive UTC."""
    return {"start": datetime.combine(min(days), time()), "end": datetime.combine(max(days) + timedelta(days=1), time())}
