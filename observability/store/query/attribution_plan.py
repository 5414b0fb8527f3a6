"""Select the predictions of a version that are still to be explained.

They are a bounded sample of each day (the rows with the smallest `sample_hash` among those with status `ok`), a sample of the reference,
and rows that are requested by id. The number of rows of each finished day is kept, so the work grows with new rows, not with stored ones.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from observability.core.catalog import Model, Version
from observability.store.db.catalog_store import stream_numbers
from observability.store.db.database import Database
from observability.store.db.results import single_row
from observability.store.db.schema import STATUS_CODES, model_table
from observability.store.query.attributions import JOB
from observability.store.query.enrichment_parts import daily_rows, day_span, finished_parts
from observability.store.query.listing import typed_frame
from observability.store.query.references import feature_expressions
from observability.store.query.source import snapshot_cursor
from observability.store.types.explanations import ERRORS, REFERENCE, ExplanationPart, RowsToExplain

META = ("id", "decision", "score", "probabilities", "attributions", "base_value", "attributions_link")


def explanation_parts(store: Database, model: Model, version: Version, per_day: int, reference_rows: int) -> list[ExplanationPart]:
    """The reference and every day of a version that has rows, newest day first."""
    with snapshot_cursor(store) as cursor:
        of = {environment: number for (name, environment), number in stream_numbers(cursor, model.key).items() if name == version.name}
        done = finished_parts(cursor, model, JOB, version.name)
        found = []
        for environment, limit in (("reference", reference_rows), ("production", per_day)):
            for day, rows in daily_rows(cursor, model, of.get(environment), f"status = {STATUS_CODES['ok']}"):
                name = REFERENCE if environment == "reference" else str(day)
                before, facts = done.get(name, (-1, {}))
                is_done = before == rows and facts["limit"] >= min(limit, rows)
                found.append(ExplanationPart(name, of[environment], rows, limit, is_done))
        return found


def logs_attributions(store: Database, model: Model, version: Version) -> bool:
    """Whether any prediction of a version was logged with attributions."""
    with snapshot_cursor(store) as cursor:
        number = stream_numbers(cursor, model.key).get((version.name, "production"))
        table = model_table("predictions", model.key)
        return bool(cursor.execute(f"SELECT 1 FROM {table} WHERE stream = ? AND attributions IS NOT NULL LIMIT 1", [number]).fetchall())


def rows_to_explain(store: Database, model: Model, version: Version, parts: Sequence[ExplanationPart]) -> RowsToExplain:
    """Rows of the samples of some parts (the reference alone, or days) that are not explained yet."""
    stream, limit = parts[0].stream, parts[0].limit
    days = [date.fromisoformat(part.name) for part in parts if part.name != REFERENCE]
    values: dict[str, Any] = {"stream": stream}
    span, order = "", "ORDER BY sample_hash, id"
    if days:
        span = """AND "at" >= $start AND "at" < $end AND CAST("at" AS DATE) IN (SELECT unnest($days::DATE[]))"""
        values |= {**day_span(days), "days": days}
        order = f"""QUALIFY row_number() OVER (PARTITION BY CAST("at" AS DATE) {order}) <= {limit}"""
    else:
        order = f"{order} LIMIT {limit}"
    chosen = f"""SELECT rowid AS place, id, id_hash FROM {model_table("predictions", model.key)}
        WHERE stream = $stream AND coalesce(status, 'ok') = 'ok' {span} {order}"""
    return _rows_to_explain(store, model, version, stream, chosen, values, sampled=True)


def rows_to_explain_by_id(store: Database, model: Model, version: Version, stream: int, ids: Sequence[str]) -> RowsToExplain:
    """The predictions with these ids that are not explained yet."""
    chosen = f"""SELECT rowid AS place, id, id_hash FROM {model_table("predictions", model.key)}
        WHERE stream = $stream AND id_hash IN (SELECT hash(unnest($ids::VARCHAR[]))) AND id IN (SELECT unnest($ids::VARCHAR[]))"""
    return _rows_to_explain(store, model, version, stream, chosen, {"stream": stream, "ids": list(ids)}, sampled=False)


def _rows_to_explain(
    store: Database, model: Model, version: Version, stream: int, chosen: str, values: dict[str, Any], *, sampled: bool
) -> RowsToExplain:
    """The chosen rows with the columns that an explanation needs. Rows with a stored explanation for the same purpose are left out."""
    fields = feature_expressions(model, version)
    with snapshot_cursor(store) as cursor:
        again = "NOT a.sampled" if sampled else "false"
        frame = cursor.execute(
            f"""WITH chosen AS ({chosen})
            SELECT {", ".join(f'p."{name}"' for name in META)}, a.id IS NOT NULL AS known,
                {", ".join(f"{field.sql} AS x{place}" for place, field in enumerate(fields)) or "1 AS nothing"}
            FROM {model_table("predictions", model.key)} p JOIN chosen c ON p.rowid = c.place
            LEFT JOIN (SELECT id, id_hash, sampled FROM {model_table("attributions", model.key)} WHERE stream = $stream) a
                ON a.id_hash = c.id_hash AND a.id = c.id
            WHERE a.id IS NULL OR {again} ORDER BY p."at" DESC, p.sample_hash, p.id""",
            values,
        ).df()
    rows = frame[list(META)].astype({"id": object}).assign(stream=stream, sampled=sampled, known=frame["known"].astype(bool))
    inputs = typed_frame(frame, fields, {}).rename(columns={field.reference: field.column.name for field in fields if field.column})
    return RowsToExplain(rows, inputs.reindex(rows.index))


def worst_errors_part(store: Database, model: Model, version: Version, stream: int, limit: int) -> ExplanationPart:
    """The worst errors as a part of the job. The part stays done until another label or prediction arrives."""
    labels, predictions = (model_table(table, model.key) for table in ("labels", "predictions"))
    with snapshot_cursor(store) as cursor:
        (now,) = single_row(cursor, f"SELECT (SELECT count(*) FROM {labels}) + (SELECT count(*) FROM {predictions})")
        before, _ = finished_parts(cursor, model, JOB, version.name).get(ERRORS, (-1, {}))
    return ExplanationPart(ERRORS, stream, int(now), limit, before == now)
