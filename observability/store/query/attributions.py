"""Stored attributions (SHAP values): answer questions about them, and write them.

A row of `attributions_<key>` explains one prediction of one version. Its `values` are in the order of the features in the state of the job
`explain` (`enrichment_<key>`). Rows of an artifact that the version no longer has do not count. observability/enrichment/enrich.py fills
the table.

`class`: for multiclass the index of the explained (decided) class, else -1. `base`, `output`, `residual`: in the space of `link`; output =
base + Σ values + residual. `adds_up`: whether the residual is small enough to draw the row (stats/attribution.py has the limit).
`reproduces`: whether the artifact reproduces the logged score; NULL for logged attributions. `sampled`: whether the row is in the bounded
sample of its day or of the reference; otherwise it is one of the worst errors, which are explained in advance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model, Version, computed_values
from observability.core.questions import Attributions
from observability.core.view_names import quoted_identifier
from observability.core.window import Window
from observability.store.db.catalog_store import stream_numbers
from observability.store.db.results import Cursor, empty_result
from observability.store.db.schema import model_table
from observability.store.db.shared_tables import give_own_tables
from observability.store.query.enrichment_parts import delete_job, read_job_state, registered_version, write_job_parts
from observability.store.query.listing import column_fields, rows_of_id, typed_frame
from observability.store.query.raw_rows import used_parameters
from observability.store.query.references import FieldExpression
from observability.store.query.source import SAMPLE_ORDER, WindowRows, from_clause, snapshot_cursor, snapshot_streams, window_rows
from observability.store.types.explanations import AttributionBatch, ExplanationState, explained_registration

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Database

JOB = "explain"
ANSWER_TYPES = {
    "id": "object",
    "at": "datetime64[us]",
    "weight": "float64",
    "version": "object",
    "sampled": "bool",
    "class": "int64",
    **dict.fromkeys(("base", "output", "residual"), "float64"),
    "link": "object",
    "method": "object",
    "adds_up": "bool",
    "reproduces": "object",
}
"""Columns of an answer, before the attributions."""


def answer_attributions(store: "Database", question: Attributions, window: Window) -> "DataFrame":
    """The answer to a question about attributions, smallest hash first, with the columns of questions.Attributions.

    `attribution.NAME`, `weight` and figures are float64 (NaN if a version has no such feature), `class` int64, `sampled` and `adds_up`
    bool, others objects (None if missing). Raises NotFoundError for an unknown model, version or column.
    """
    import pandas as pd

    model = store.catalog().model(window.model)
    fields = column_fields(model, question.columns, outcomes=True)
    wanted = model.version(window.version)
    fallback = wanted.features if wanted else ()
    with snapshot_cursor(store) as cursor:
        found = window_rows(model, window, snapshot_streams(store, cursor, model.key))
        orders = {number: order for number, version in found.streams.items() if (order := _feature_order(cursor, model, version))}
        found = replace(found, streams={number: found.streams[number] for number in orders})
        if not orders and not fields:
            return _no_attributions(fallback)
        frame = _explained_rows(cursor, question, found, orders, fields) if orders else _no_explained_rows(len(fields))
    versions = {number: version.name for number, version in found.streams.items()}
    columns = frame.assign(version=frame["stream"].map(versions))[list(ANSWER_TYPES)].astype(ANSWER_TYPES)
    columns["reproduces"] = columns["reproduces"].where(columns["reproduces"].notna(), None)
    return pd.concat([columns, _attribution_columns(frame, orders, fallback), typed_frame(frame, fields, versions)], axis=1)


def attributions_of_prediction(
    store: "Database", model: Model, version: Version, prediction_id: str, environment: str
) -> dict[str, Any] | None:
    """The stored attributions of one prediction of a version in an environment, or None.

    Keys: `values` {feature: number}, `class` (-1: none), `base`, `output`, `residual`, `link`, `method`, `adds_up`, `reproduces`,
    `background`, `background_rows`, `note`.
    """
    with snapshot_cursor(store) as cursor:
        state = _read_state(cursor, model, version.name)
        if state is None or not state.holds(version):
            return None
        stream = stream_numbers(cursor, model.key).get((version.name, environment))
        names = ("class", "base", "output", "residual", "link", "method", "adds_up", "reproduces")
        columns = ["stream", '"values"', *(quoted_identifier(name) for name in names)]
        rows = rows_of_id(cursor, model_table("attributions", model.key), columns, prediction_id)
    held = next((row for row in rows if row[0] == stream), None)
    if held is None:
        return None
    values = {name: float(value) for name, value in zip(state.features, held[1])}
    background = {"background": state.background, "background_rows": state.background_rows, "note": state.note}
    return {"values": values, **dict(zip(names, held[2:], strict=True)), **background}


def _explained_rows(
    cursor: Cursor, question: Attributions, found: WindowRows, orders: Mapping[int, tuple[str, ...]], fields: Sequence[FieldExpression]
) -> "DataFrame":
    """The explained rows as stored: values by position (v0…), further fields as x0…. orders: features by stream."""
    sqls = [field.sql for field in fields]
    clause, source, parameters = from_clause(cursor, found, sqls, any(field.labelled for field in fields))
    width = max(map(len, orders.values()), default=0)
    picked = [
        'p.id, p."at", coalesce(p.weight, 1.0) AS weight, p.stream, a.sampled, a."class", a.base, a.output, a.residual, a.link, a.method',
        "a.adds_up, a.reproduces",
        *(f'a."values"[{place + 1}] AS v{place}' for place in range(width)),
        *(f"{sql} AS x{place}" for place, sql in enumerate(sqls)),
    ]
    span = "" if found.timeless else 'AND "at" >= $start AND "at" < $end'
    return cursor.execute(
        f"""{clause} SELECT {", ".join(picked)} {source}
        JOIN (SELECT * FROM {model_table("attributions", found.model.key)} WHERE stream IN ({", ".join(map(str, orders)) or "NULL"}) {span}
            {"" if question.errors else "AND sampled"}) a ON a.id_hash = p.id_hash AND a.id = p.id AND a.stream = p.stream
        ORDER BY {SAMPLE_ORDER} LIMIT {int(question.rows)}""",
        used_parameters(clause + source + span, parameters),
    ).df()


def _no_explained_rows(fields: int) -> "DataFrame":
    """The result of `_explained_rows` without rows."""
    own = {name: kind for name, kind in ANSWER_TYPES.items() if name != "version"}
    return empty_result({**own, "stream": "int64", **dict.fromkeys((f"x{place}" for place in range(fields)), "object")})


def _no_attributions(features: Iterable[str]) -> "DataFrame":
    """The answer without rows and without further columns."""
    return empty_result(ANSWER_TYPES | {f"attribution.{name}": "float64" for name in features})


def _attribution_columns(frame: "DataFrame", orders: Mapping[int, tuple[str, ...]], fallback: tuple[str, ...]) -> "DataFrame":
    """The attributions by feature over versions with different features. fallback: feature names if there are no rows."""
    import pandas as pd

    names = list(dict.fromkeys(name for order in orders.values() for name in order)) or list(fallback)
    places = {name: place for place, name in enumerate(names)}
    found = np.full((len(frame), len(names)), np.nan)
    streams_of_rows = frame["stream"].to_numpy()
    for number, order in orders.items():
        own = np.flatnonzero(streams_of_rows == number)
        given = frame[[f"v{place}" for place in range(len(order))]].to_numpy(np.float64, na_value=np.nan)
        found[np.ix_(own, np.array([places[name] for name in order], np.intp))] = np.nan_to_num(given[own])
    return pd.DataFrame(found, columns=[f"attribution.{name}" for name in names])


def _feature_order(cursor: Cursor, model: Model, version: Version) -> tuple[str, ...]:
    """The features of a version in the order of the stored values; empty if there are no valid ones."""
    state = _read_state(cursor, model, version.name)
    return state.features if state is not None and state.holds(version) else ()


def _read_state(cursor: Cursor, model: Model, version: str) -> ExplanationState | None:
    """The state of a version, None if it was never tried."""
    body = read_job_state(cursor, model, JOB, version)
    return None if body is None else ExplanationState(**body | {"features": tuple(body["features"])})


def stored_explanation_state(store: "Database", model: str, version: str, *, stale: bool = False) -> ExplanationState | None:
    """How a version is explained; None if it was never explained or, unless `stale`, if the state is about a replaced artifact."""
    known = store.catalog().model(model)
    wanted = known.version(version)
    with snapshot_cursor(store) as cursor:
        state = _read_state(cursor, known, version)
    return state if stale or (state is not None and wanted is not None and state.holds(wanted)) else None


def write_attributions(store: "Database", model: Model, version: Version, written: AttributionBatch) -> int:
    """Write one batch in one transaction; return how many rows were added. Writes nothing if the version was registered again meanwhile.

    Predictions that were removed meanwhile, and those that are already explained, are left out.
    """
    table, predictions = model_table("attributions", model.key), model_table("predictions", model.key)
    with store.write() as writer:
        store.note_changed_models([computed_values(model.name)])
        now = registered_version(writer, model, version)
        if now is None or explained_registration(now) != explained_registration(version):
            return 0
        if _read_state(writer, model, version.name) is None:
            return 0
        give_own_tables(writer, model.key)
        writer.register("explained", written.batch)
        ((count,),) = writer.execute(
            f"""INSERT INTO {table} SELECT p.stream, p.id, p.id_hash, p."at", p.sample_hash, e.sampled, e."class", e."values", e.base,
                e.output, e.residual, e.link, e.method, e.adds_up, e.reproduces
            FROM explained e JOIN {predictions} p ON p.id_hash = hash(e.id) AND p.id = e.id AND p.stream = e.stream
            WHERE NOT EXISTS (SELECT 1 FROM {table} a WHERE a.id_hash = p.id_hash AND a.id = p.id AND a.stream = p.stream)"""
        ).fetchall()
        writer.unregister("explained")
        if written.now_sampled:
            mine = ", ".join(str(number) for (name, _), number in stream_numbers(writer, model.key).items() if name == version.name)
            sampled = f"UPDATE {table} SET sampled = true WHERE stream IN ({mine}) AND id IN (SELECT unnest(?::VARCHAR[]))"
            writer.execute(sampled, [list(written.now_sampled)])
        parts = {name: (rows, {"limit": limit}) for name, (rows, limit) in written.done.items()}
        write_job_parts(writer, model, JOB, version.name, {**parts, "": (written.state.rows, asdict(written.state))})
    return int(count)


def restart_attributions(store: "Database", model: Model, version: Version, state: ExplanationState) -> None:
    """Delete all stored attributions of a version, because its artifact or its features changed, and write a new state."""
    with store.write() as writer:
        store.note_changed_models([computed_values(model.name)])
        drop_attributions(writer, model, version.name)
        write_job_parts(writer, model, JOB, version.name, {"": (0, asdict(state))})


def drop_attributions(writer: Cursor, model: Model, version: str) -> None:
    """Delete all stored attributions of a version, so that they are recomputed. Also used when another reference is registered."""
    delete_job(writer, model, JOB, version, "attributions")


def explanation_failures(cursor: Cursor, model: Model) -> dict[str, str]:
    """Why the artifacts of versions could not be explained, by version."""
    found = [(version, _read_state(cursor, model, version.name)) for version in model.versions if version.artifact]
    return {version.name: state.failure for version, state in found if state is not None and state.failure and state.holds(version)}
