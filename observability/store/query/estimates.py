"""Which errors were estimated for rows whose labels were not known, what did labels then show, and which rows are still to be estimated?

A row of `estimates_<key>` holds the expected absolute and squared error of one prediction of a regression: of a bounded sample of each day, and of the
reference (there by a model that had not seen the row). They hold for one registration of the version; `enrichment_<key>`, job "errors", says for which, and
how many rows each day had when it was done. observability/enrichment/expected_errors.py fills the table.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from observability.core.catalog import Model, Version
from observability.core.questions import EstimatedErrors
from observability.core.window import Window
from observability.store.db.catalog_store import find_model, streams
from observability.store.db.results import first
from observability.store.db.schema import OUTCOMES, model_table
from observability.store.query.listing import typed
from observability.store.query.raw_rows import used
from observability.store.query.references import Field, find_field
from observability.store.query.source import Rows, from_clause, known_streams, rows_of, snapshot

if TYPE_CHECKING:
    import duckdb
    from pandas import DataFrame

    from observability.store.db.database import Store

JOB = "errors"
SAMPLE_A_DAY = 200
MEASURES = {"absolute_error": "absolute", "squared_error": "squared"}
FIGURES = ("w", "w2", "estimated", "estimated_squares", "measured", "measured_squares", "difference_squares")
BATCH = pa.schema([("stream", pa.int16()), ("id", pa.string()), ("absolute", pa.float64()), ("squared", pa.float64())])
"""What `put` takes, one row a prediction."""
UNDER_WAY = 1.1
"""The newest day is looked at again when it has grown by a tenth; older days when anything came in."""


@dataclass(frozen=True)
class State:
    """What the stored estimates of a version rest on. registration: what they hold for. rows: of the reference that were learned from.
    bias, skill: of the estimates on rows of the reference left out (worker.ErrorEstimate). note: a sentence. failure: why it could not be learned.
    """

    registration: str = ""
    rows: int = 0
    bias: float | None = None
    skill: float | None = None
    note: str = ""
    failure: str | None = None


@dataclass(frozen=True)
class Day:
    """A day of a version that may lack estimates: its stream and how many rows it has."""

    day: date
    stream: int
    rows: int


def registration(version: Version) -> str:
    """What estimates of a version hold for: its features and its reference, told by the edges of score and error, which hold the reference's own means."""
    parts = [version.features, version.reference_rows, *(repr(version.edges.get(name)) for name in ("score", "error"))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def fetch(store: "Store", asked: EstimatedErrors, window: Window) -> "DataFrame":
    """The answer to `asked` over a window, as aggregate.EstimatedErrors describes it; no rows for a model that is no regression.

    `period` is a naive UTC timestamp (1970-01-01 for a reference), `labelled` and `n` int64, other figures float64. Raises NotFoundError for an
    unknown model, version or column of the slice.
    """
    import pandas as pd

    model = store.catalog().model(window.model)
    parts = []
    if model.task == "regression":
        with snapshot(store) as cursor:
            found = rows_of(model, window, known_streams(store, cursor, model.key))
            holding = {number: each for number, each in found.streams.items() if holds(cursor, model, each)}
            if holding:
                parts = melted(summed(cursor, replace(found, streams=holding)))
    names = ["period", "measure", "labelled", "n", *FIGURES]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)
    kinds: dict[str, Any] = {"period": "datetime64[us]", "measure": object, "labelled": "int64", "n": "int64"} | dict.fromkeys(
        FIGURES, "float64"
    )
    return frame[names].astype(kinds).sort_values(["period", "measure", "labelled"], ignore_index=True)


def holds(cursor: "duckdb.DuckDBPyConnection", model: Model, version: Version) -> bool:
    """Whether the stored estimates are of the version as it is registered now."""
    state = read_state(cursor, model, version.name)
    return state is not None and state.failure is None and state.registration == registration(version)


def summed(cursor: "duckdb.DuckDBPyConnection", rows: Rows) -> "DataFrame":
    """Sums by day and by whether the label is known. The sample of a day is chosen among all that had arrived, whatever the slice."""
    fields = [find_field(rows.model, measure, outcomes=True, role="sum") for measure in MEASURES]
    table = model_table("estimates", rows.model.key)
    rows = replace(rows, conditions=(*rows.conditions, f"id_hash IN (SELECT id_hash FROM {table})"))
    clause, source, parameters = from_clause(cursor, rows, [each.sql for each in fields], labelled=True)
    chosen = f"SELECT stream, id, id_hash, absolute, squared FROM {table}"
    day = "TIMESTAMP '1970-01-01'"
    if not rows.timeless:
        day = """date_trunc('day', p."at")"""
        chosen += f""" WHERE "at" >= date_trunc('day', $start::TIMESTAMP) AND "at" < $end::TIMESTAMP + INTERVAL 1 DAY
            {"AND arrived <= $as_of" if rows.as_of else ""} QUALIFY row_number() OVER (
            PARTITION BY stream, date_trunc('day', "at") ORDER BY sample_hash, id) <= {SAMPLE_A_DAY}"""
    picked, sums = [], []
    for place, (field, column) in enumerate(zip(fields, MEASURES.values(), strict=True)):
        g, m = f"g{place}", f"m{place}"
        picked.append(f"e.{column} AS {g}, CASE WHEN isfinite({field.sql}) THEN {field.sql} END AS {m}")
        sums.append(
            f"""fsum(w * {g}) AS estimated{place}, fsum(w * {g} * {g}) AS estimated_squares{place}, fsum(w * coalesce({m}, 0)) AS measured{place},
            fsum(w * coalesce({m} * {m}, 0)) AS measured_squares{place},
            fsum(CASE WHEN {m} IS NULL THEN 0 ELSE w * ({g} - {m}) * ({g} - {m}) END) AS difference_squares{place}"""
        )
    statement = f"""{clause} SELECT day AS period, (m0 IS NOT NULL)::BIGINT AS labelled, count(*) AS n, fsum(w) AS w, fsum(w * w) AS w2, {", ".join(sums)}
        FROM (SELECT {day} AS day, coalesce(p.weight, 1.0) AS w, {", ".join(picked)} {source}
            JOIN ({chosen}) e ON e.id_hash = p.id_hash AND e.id = p.id AND e.stream = p.stream)
        GROUP BY ALL"""
    return cursor.execute(statement, used(statement, parameters)).df()


def melted(frame: "DataFrame") -> "list[DataFrame]":
    """One frame a measure."""
    shared = frame[["period", "labelled", "n", "w", "w2"]]
    return [
        shared.assign(measure=measure, **{name: frame[f"{name}{place}"] for name in FIGURES[2:]}) for place, measure in enumerate(MEASURES)
    ]


def read_state(cursor: "duckdb.DuckDBPyConnection", model: Model, version: str) -> State | None:
    """The state of a version, None where it was never tried."""
    held = first(
        cursor, f"SELECT state FROM {model_table('enrichment', model.key)} WHERE job = ? AND version = ? AND part = ''", [JOB, version]
    )
    return None if held is None else State(**json.loads(held[0]))


def state_of(store: "Store", model: Model, version: Version) -> State | None:
    """`read_state` of the registration that holds now; None too where what is kept is about an earlier one."""
    with snapshot(store) as cursor:
        state = read_state(cursor, model, version.name)
    return state if state is not None and state.registration == registration(version) else None


def waiting(store: "Store", model: Model, version: Version) -> list[Day]:
    """Days of a version's production stream in which something came since they were done, newest first."""
    with snapshot(store) as cursor:
        number = streams(cursor, model.key).get((version.name, "production"))
        if number is None:
            return []
        table = model_table("enrichment", model.key)
        done = dict(
            cursor.execute(f"SELECT part, rows FROM {table} WHERE job = ? AND version = ? AND part <> ''", [JOB, version.name]).fetchall()
        )
        counted = cursor.execute(
            f"""SELECT period // 24, sum(n)::BIGINT FROM {model_table("counts", model.key)}
            WHERE stream = ? AND measure = {OUTCOMES} AND slice = 0 GROUP BY 1 HAVING sum(n) > 0 ORDER BY 1 DESC""",
            [number],
        ).fetchall()
    found = []
    for place, (period, rows) in enumerate(counted):
        day = date(1970, 1, 1) + timedelta(days=period)
        before = done.get(str(day), 0)
        if rows != before and (place > 0 or rows >= UNDER_WAY * before or rows < before):
            found.append(Day(day, number, rows))
    return found


def missing(store: "Store", model: Model, version: Version, days: Sequence[Day]) -> "DataFrame":
    """Rows of the samples of these days that have no estimate: id, score and `feature.NAME` of each feature of the version."""
    columns = [each for name in version.features if (each := model.column(f"feature.{name}")) is not None]
    fields = [Field("id", "p.id", "code"), Field("score", "p.score", "number")]
    fields += [Field(each.reference, f"p.{each.column}", each.kind, column=each) for each in columns]
    predictions, table = model_table("predictions", model.key), model_table("estimates", model.key)
    picked = ", ".join(f"{each.sql} AS x{place}" for place, each in enumerate(fields))
    with snapshot(store) as cursor:
        frame = cursor.execute(
            f"""SELECT {picked} FROM {predictions} p JOIN (
                SELECT rowid AS place FROM {predictions} WHERE stream = $stream AND "at" >= $start AND "at" < $end
                    AND CAST("at" AS DATE) IN (SELECT unnest($days::DATE[])) AND isfinite(score)
                QUALIFY row_number() OVER (PARTITION BY CAST("at" AS DATE) ORDER BY sample_hash, id) <= {SAMPLE_A_DAY}) c ON p.rowid = c.place
            WHERE NOT EXISTS (SELECT 1 FROM {table} e WHERE e.id_hash = p.id_hash AND e.id = p.id AND e.stream = p.stream)
            ORDER BY p.sample_hash, p.id""",
            {
                "stream": days[0].stream, "days": [each.day for each in days], "start": midnight(min(each.day for each in days)),
                "end": midnight(max(each.day for each in days) + timedelta(days=1)),
            },
        ).df()  # fmt: skip
    return typed(frame, fields, {})


def midnight(day: date) -> datetime:
    """The start of a day, naive UTC as the tables store it."""
    return datetime.combine(day, datetime.min.time())


def batch(stream: int, ids: Sequence[str], absolute: "np.ndarray[Any, Any]", squared: "np.ndarray[Any, Any]") -> pa.Table:
    """Estimates as `put` takes them; those that are no numbers are left out."""
    size = len(ids)
    second = np.asarray(squared, np.float64)
    held = np.isfinite(absolute) & np.isfinite(second)
    table = pa.table(
        {"stream": np.full(size, stream, np.int16), "id": pa.array(list(ids), pa.string()), "absolute": pa.array(absolute, pa.float64()),
         "squared": pa.array(second, pa.float64())}, schema=BATCH,
    )  # fmt: skip
    return table.filter(pa.array(held))


def put(store: "Store", model: Model, version: Version, rows: pa.Table | None, state: State, done: Mapping[date, int]) -> int:
    """Writes estimates, the state, and days that are done with the rows they had, in one transaction; gives how many estimates came in.

    Nothing is written where the version was registered anew meanwhile. Predictions that are gone, and those that are estimated already, are left out.
    """
    table, predictions = model_table("estimates", model.key), model_table("predictions", model.key)
    count = 0
    with store.write() as writer:
        known = find_model(writer, model.name)
        now = known.version(version.name) if known and known.key == model.key else None
        if now is None or registration(now) != registration(version):
            return 0
        if rows is not None and rows.num_rows:
            writer.register("guessed", rows)
            ((count,),) = writer.execute(
                f"""INSERT INTO {table} SELECT p.stream, p.id, p.id_hash, p."at", p.arrived, p.sample_hash, g.absolute, g.squared
                FROM guessed g JOIN {predictions} p ON p.id_hash = hash(g.id) AND p.id = g.id AND p.stream = g.stream
                WHERE NOT EXISTS (SELECT 1 FROM {table} e WHERE e.id_hash = p.id_hash AND e.id = p.id AND e.stream = p.stream)"""
            ).fetchall()
            writer.unregister("guessed")
        parts = {str(day): (held, "{}") for day, held in done.items()} | {"": (state.rows, json.dumps(asdict(state)))}
        enrichment = model_table("enrichment", model.key)
        writer.execute(
            f"DELETE FROM {enrichment} WHERE job = ? AND version = ? AND part IN (SELECT unnest(?::VARCHAR[]))",
            [JOB, version.name, list(parts)],
        )
        writer.executemany(
            f"INSERT INTO {enrichment} VALUES (?, ?, ?, ?, ?)",
            [[JOB, version.name, name, held, text] for name, (held, text) in parts.items()],
        )
    return int(count)


def restart(store: "Store", model: Model, version: Version) -> None:
    """Drops every estimate of a version, because it was registered anew."""
    with store.write() as writer:
        numbers = [number for (name, _), number in streams(writer, model.key).items() if name == version.name]
        writer.execute(f"DELETE FROM {model_table('estimates', model.key)} WHERE stream IN (SELECT unnest(?::SMALLINT[]))", [numbers])
        writer.execute(f"DELETE FROM {model_table('enrichment', model.key)} WHERE job = ? AND version = ?", [JOB, version.name])


def forget(writer: "duckdb.DuckDBPyConnection", key: int, ids: Sequence[str]) -> int:
    """Deletes the estimates of predictions that are forgotten, in the transaction that forgets them; gives how many."""
    ((count,),) = writer.execute(
        f"DELETE FROM {model_table('estimates', key)} WHERE id IN (SELECT unnest(?::VARCHAR[]))", [list(ids)]
    ).fetchall()
    return int(count)
