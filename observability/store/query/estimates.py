"""Error estimates for rows without labels: answer questions about them, find the rows that lack them, and write them.

A row of `estimates_<key>` holds the expected absolute and squared error of one prediction of a regression, for a bounded sample of each day
and for the reference (there by a model that was not fitted on the row). The estimates are valid for one registration of the version.
`enrichment_<key>`, job "errors", keeps the registration and the number of rows of each finished day.
observability/enrichment/expected_errors.py fills the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from observability.core.catalog import Model, Version, computed_values
from observability.core.questions import EstimatedErrors
from observability.core.window import Window
from observability.store.db.catalog_store import stream_numbers
from observability.store.db.results import Cursor
from observability.store.db.schema import model_table
from observability.store.db.shared_tables import give_own_tables
from observability.store.query.enrichment_parts import (
    daily_rows,
    day_span,
    delete_job,
    finished_parts,
    read_job_state,
    registered_version,
    write_job_parts,
)
from observability.store.query.listing import typed_frame
from observability.store.query.raw_rows import used_parameters
from observability.store.query.references import FieldExpression, feature_expressions, find_field
from observability.store.query.source import WindowRows, from_clause, snapshot_cursor, snapshot_streams, window_rows
from observability.store.types.error_estimates import ESTIMATES_A_DAY, DayToEstimate, EstimationState, estimated_registration

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Database

JOB = "errors"
MEASURES = {"absolute_error": "absolute", "squared_error": "squared"}
FIGURES = ("w", "w2", "estimated", "estimated_squares", "measured", "measured_squares", "difference_squares")
UNDER_WAY = 1.1
"""The newest day is estimated again when it has grown by a tenth; older days when anything arrived."""


def answer_estimated_errors(store: "Database", asked: EstimatedErrors, window: Window) -> "DataFrame":
    """The answer to a question of type questions.EstimatedErrors over a window; no rows unless the model is a regression.

    `period` is a naive UTC timestamp (1970-01-01 for a reference), `labelled` and `n` int64, other figures float64. Raises NotFoundError
    for an unknown model, version or column of the slice.
    """
    import pandas as pd

    model = store.catalog().model(window.model)
    parts = []
    if model.task == "regression":
        with snapshot_cursor(store) as cursor:
            found = window_rows(model, window, snapshot_streams(store, cursor, model.key))
            streams = {number: version for number, version in found.streams.items() if _has_estimates(cursor, model, version)}
            if streams:
                parts = _by_measure(_daily_sums(cursor, replace(found, streams=streams)))
    names = ["period", "measure", "labelled", "n", *FIGURES]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)
    kinds: dict[str, Any] = {"period": "datetime64[us]", "measure": object, "labelled": "int64", "n": "int64"}
    return frame[names].astype(kinds | dict.fromkeys(FIGURES, "float64")).sort_values(["period", "measure", "labelled"], ignore_index=True)


def _has_estimates(cursor: Cursor, model: Model, version: Version) -> bool:
    """Whether the stored estimates come from the present registration of the version."""
    state = _read_state(cursor, model, version.name)
    return state is not None and state.failure is None and state.registration == estimated_registration(version)


def _daily_sums(cursor: Cursor, rows: WindowRows) -> "DataFrame":
    """Sums by day and by whether the label is known. For every slice, the sample of a day is drawn from all rows that had arrived."""
    fields = [find_field(rows.model, measure, outcomes=True, role="sum") for measure in MEASURES]
    table = model_table("estimates", rows.model.key)
    rows = replace(rows, conditions=(*rows.conditions, f"id_hash IN (SELECT id_hash FROM {table})"))
    clause, source, parameters = from_clause(cursor, rows, [field.sql for field in fields], labelled=True)
    chosen = f"SELECT stream, id, id_hash, absolute, squared FROM {table}"
    day = "TIMESTAMP '1970-01-01'"
    if not rows.timeless:
        day = """date_trunc('day', p."at")"""
        chosen += f""" WHERE "at" >= date_trunc('day', $start::TIMESTAMP) AND "at" < $end::TIMESTAMP + INTERVAL 1 DAY
            {"AND arrived <= $as_of" if rows.as_of else ""} QUALIFY row_number() OVER (
            PARTITION BY stream, date_trunc('day', "at") ORDER BY sample_hash, id) <= {ESTIMATES_A_DAY}"""
    picked, sums = [], []
    for place, (field, column) in enumerate(zip(fields, MEASURES.values(), strict=True)):
        g, m = f"g{place}", f"m{place}"
        picked.append(f"e.{column} AS {g}, CASE WHEN isfinite({field.sql}) THEN {field.sql} END AS {m}")
        sums.append(
            f"""fsum(w * {g}) AS estimated{place}, fsum(w * {g} * {g}) AS estimated_squares{place},
            fsum(w * coalesce({m}, 0)) AS measured{place}, fsum(w * coalesce({m} * {m}, 0)) AS measured_squares{place},
            fsum(CASE WHEN {m} IS NULL THEN 0 ELSE w * ({g} - {m}) * ({g} - {m}) END) AS difference_squares{place}"""
        )
    statement = f"""{clause} SELECT day AS period, (m0 IS NOT NULL)::BIGINT AS labelled, count(*) AS n, fsum(w) AS w, fsum(w * w) AS w2,
            {", ".join(sums)}
        FROM (SELECT {day} AS day, coalesce(p.weight, 1.0) AS w, {", ".join(picked)} {source}
            JOIN ({chosen}) e ON e.id_hash = p.id_hash AND e.id = p.id AND e.stream = p.stream)
        GROUP BY ALL"""
    return cursor.execute(statement, used_parameters(statement, parameters)).df()


def _by_measure(frame: "DataFrame") -> "list[DataFrame]":
    """The same sums in long form: one frame for each measure."""
    shared = frame[["period", "labelled", "n", "w", "w2"]]
    return [
        shared.assign(measure=measure, **{name: frame[f"{name}{place}"] for name in FIGURES[2:]}) for place, measure in enumerate(MEASURES)
    ]


def _read_state(cursor: Cursor, model: Model, version: str) -> EstimationState | None:
    """The state of a version, None if it was never tried."""
    body = read_job_state(cursor, model, JOB, version)
    return None if body is None else EstimationState(**body)


def stored_estimation_state(store: "Database", model: Model, version: Version) -> EstimationState | None:
    """The state of a version if it is about its present registration, else None."""
    with snapshot_cursor(store) as cursor:
        state = _read_state(cursor, model, version.name)
    return state if state is not None and state.registration == estimated_registration(version) else None


def days_to_estimate(store: "Database", model: Model, version: Version) -> list[DayToEstimate]:
    """Days of a version's production stream with new rows since they were last estimated, newest first."""
    with snapshot_cursor(store) as cursor:
        number = stream_numbers(cursor, model.key).get((version.name, "production"))
        if number is None:
            return []
        done = finished_parts(cursor, model, JOB, version.name)
        counted = daily_rows(cursor, model, number)
    found = []
    for place, (day, rows) in enumerate(counted):
        before, _ = done.get(str(day), (0, {}))
        if rows != before and (place > 0 or rows >= UNDER_WAY * before or rows < before):
            found.append(DayToEstimate(day, number, rows))
    return found


def rows_to_estimate(store: "Database", model: Model, version: Version, days: Sequence[DayToEstimate]) -> "DataFrame":
    """Rows of the samples of some days that have no estimate: id, score and `feature.NAME` of each feature of the version."""
    fields = [FieldExpression("id", "p.id", "code"), FieldExpression("score", "p.score", "number"), *feature_expressions(model, version)]
    predictions, table = model_table("predictions", model.key), model_table("estimates", model.key)
    picked = ", ".join(f"{field.sql} AS x{place}" for place, field in enumerate(fields))
    dates = [day.day for day in days]
    with snapshot_cursor(store) as cursor:
        frame = cursor.execute(
            f"""SELECT {picked} FROM {predictions} p JOIN (
                SELECT rowid AS place FROM {predictions} WHERE stream = $stream AND "at" >= $start AND "at" < $end
                    AND CAST("at" AS DATE) IN (SELECT unnest($days::DATE[])) AND isfinite(score)
                QUALIFY row_number() OVER (PARTITION BY CAST("at" AS DATE) ORDER BY sample_hash, id) <= {ESTIMATES_A_DAY}) c
                ON p.rowid = c.place
            WHERE NOT EXISTS (SELECT 1 FROM {table} e WHERE e.id_hash = p.id_hash AND e.id = p.id AND e.stream = p.stream)
            ORDER BY p.sample_hash, p.id""",
            {"stream": days[0].stream, "days": dates, **day_span(dates)},
        ).df()
    return typed_frame(frame, fields, {})


def write_estimates(
    store: "Database", model: Model, version: Version, rows: pa.Table | None, state: EstimationState, done: Mapping[date, int]
) -> int:
    """Write estimates, the state, and finished days with their number of rows, in one transaction; return how many estimates were added.

    Writes nothing if the version was registered again meanwhile. Removed predictions, and those that are already estimated, are left out.
    """
    table, predictions = model_table("estimates", model.key), model_table("predictions", model.key)
    count = 0
    with store.write() as writer:
        store.note_changed_models([computed_values(model.name)])
        now = registered_version(writer, model, version)
        if now is None or estimated_registration(now) != estimated_registration(version):
            return 0
        give_own_tables(writer, model.key)
        if rows is not None and rows.num_rows:
            writer.register("guessed", rows)
            ((count,),) = writer.execute(
                f"""INSERT INTO {table} SELECT p.stream, p.id, p.id_hash, p."at", p.arrived, p.sample_hash, g.absolute, g.squared
                FROM guessed g JOIN {predictions} p ON p.id_hash = hash(g.id) AND p.id = g.id AND p.stream = g.stream
                WHERE NOT EXISTS (SELECT 1 FROM {table} e WHERE e.id_hash = p.id_hash AND e.id = p.id AND e.stream = p.stream)"""
            ).fetchall()
            writer.unregister("guessed")
        parts: dict[str, tuple[int, dict[str, Any]]] = {str(day): (held, {}) for day, held in done.items()}
        write_job_parts(writer, model, JOB, version.name, parts | {"": (state.rows, asdict(state))})
    return int(count)


def restart_estimates(store: "Database", model: Model, version: Version) -> None:
    """Delete every estimate of a version, because it was registered again."""
    with store.write() as writer:
        store.note_changed_models([computed_values(model.name)])
        delete_job(writer, model, JOB, version.name, "estimates")


def reference_stream_number(store: "Database", model: Model, version: Version) -> int:
    """The number of the stream that holds the reference of a version."""
    with snapshot_cursor(store) as cursor:
        return stream_numbers(cursor, model.key)[version.name, "reference"]
