"""Search predictions: by subject, by the beginning of an id, or by conditions.

Conditions are typed as `carrier = UA and dep_delay > 60 and outcome = wrong`: names of features and groups, of fields to group by, or one
of SEARCH_NAMES. Typed text never becomes part of a statement: names are looked up as columns of the catalog, and values become parameters.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.catalog import Model
from observability.core.errors import NotFoundError, UsageError
from observability.core.numerals import MINUS
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.records.span_ids import LONGEST_SPAN_MS, SPAN_ID, TRACE_LETTERS
from observability.store.db.catalog_store import stream_numbers
from observability.store.db.schema import model_table
from observability.store.query.listing import PLAIN, column_fields, first_rows
from observability.store.query.references import LABEL_FIELDS, FieldExpression, known_field
from observability.store.query.source import Parameters, rows_by_place, snapshot_cursor, window_rows
from observability.store.types.search_terms import SEARCH_NAMES, SearchTerm

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Database

SHOWN = ("id", "at", "subject", "version", "score", "decision", "label", "label_value")
OR_NULL = re.compile(r"\s+or\s+null$", re.IGNORECASE)
"""Suffix by which a condition on a number also accepts missing values."""
OUTCOMES = ("right", "wrong", "unknown")


def search_predictions(
    store: "Database",
    window: Window,
    terms: Sequence[SearchTerm],
    limit: int,
    order: str = "-at",
    newly_labelled: tuple[datetime, datetime] | None = None,
) -> "DataFrame":
    """At most `limit` predictions of a window that meet every condition.

    Columns: SHOWN (as in `listing.list_rows`), `error` of a regression or `correct` (1, 0, NaN unknown), and the columns that the
    conditions name. order: as in `listing.list_rows`; a loss is added as a column. newly_labelled: only predictions with a label that
    arrived in this half-open span of time. Raises NotFoundError for an unknown name, UsageError for a value that does not fit it.
    """
    model = store.catalog().model(window.model)
    with snapshot_cursor(store) as cursor:
        found = window_rows(model, window, stream_numbers(cursor, model.key))
        if newly_labelled is not None:
            labels = model_table("labels", model.key)
            arrived = f"id_hash IN (SELECT id_hash FROM {labels} WHERE arrived >= $from_label AND arrived < $to_label)"
            times = (("from_label", naive_utc(newly_labelled[0])), ("to_label", naive_utc(newly_labelled[1])))
            found = replace(found, conditions=(*found.conditions, arrived), parameters=(*found.parameters, *times))
        where, parameters, named = _conditions(model, terms)
        outcome = "error" if model.task == "regression" else "correct"
        names = [*SHOWN, *([outcome] if known_field(model, outcome) else []), *named]
        names += [ranked] if (ranked := order.removeprefix("-")) in LABEL_FIELDS else []
        *fields, by = column_fields(model, [*dict.fromkeys(names), ranked], outcomes=True)
        descending = order.startswith("-")
        places = rows_by_place(store, cursor, found)
        frame = first_rows(places, fields, by, limit, descending=descending, where=where, values=parameters)
    return frame.assign(model=model.name)


def _conditions(model: Model, terms: Sequence[SearchTerm]) -> tuple[list[str], Parameters, list[str]]:
    """The conditions as SQL over `p` and `l`, their parameters, and the column references they name."""
    where: list[str] = []
    parameters: Parameters = {}
    named: list[str] = []
    for place, term in enumerate(terms):
        field = _term_field(model, term)
        sql, value = _comparison(model, field, term, f"term_{place}")
        where.append(sql)
        parameters |= {} if value is None else {f"term_{place}": value}
        if field.column is not None:
            named.append(field.reference)
    return where, parameters, named


def _term_field(model: Model, term: SearchTerm) -> FieldExpression:
    """The field that a condition names. Raises NotFoundError."""
    if term.name in SEARCH_NAMES:
        reference = {"answer": "decision", "outcome": "correct"}.get(term.name, term.name)
        reference = "label_value" if reference == "label" and model.task == "regression" else reference
    else:
        reference = term.name if model.column(term.name) else model.resolve(term.name)
    if reference in ("id", "subject"):
        return FieldExpression(reference, f"p.{reference}", "category")
    found = known_field(model, reference)
    if found is None:
        raise NotFoundError(f"the model {model.name}, a {model.task or 'model without registration'}, has no {term.name!r}")
    return found


def _comparison(model: Model, field: FieldExpression, term: SearchTerm, name: str) -> tuple[str, object]:
    """One condition as SQL, and its parameter or None. Raises UsageError for an unsuitable value or operator."""
    sql, equal = field.sql, term.operator in ("=", "!=")
    negated = "NOT " if term.operator == "!=" else ""
    if field.reference in ("decision", "label", "correct", "version") and not equal:
        raise UsageError(f"compare {term.name!r} with = or != only", got=str(term))
    if field.reference == "correct":
        if term.value not in OUTCOMES:
            raise UsageError("unknown outcome", got=repr(term.value), expected=", ".join(OUTCOMES))
        if term.value == "unknown":
            return f"{negated}({sql} IS NULL)", None
        return f"{negated}coalesce({sql} = {int(term.value == 'right')}, false)", None
    if field.reference == "version":
        sql = f"(p.stream IN (SELECT stream FROM streams WHERE key = {model.key} AND version = ${name}))"
        return negated + sql, term.value
    if term.value == "null" and equal:
        missing = f"{sql} = -1" if field.reference in ("decision", "label") else f"{sql} IS NULL"
        return f"{negated}({missing})", None
    if field.reference in ("decision", "label"):
        if term.value not in model.classes:
            raise UsageError(
                f"{term.value!r} is not a class of {model.name}", expected=", ".join(model.classes[:12]) or "a registered model"
            )
        return f"{negated}({sql} = ${name})", model.classes.index(term.value)
    if field.kind == "boolean":
        if term.value not in ("true", "false") or not equal:
            raise UsageError(f"{term.name!r} is true, false or null", got=str(term))
        return f"{negated}coalesce({sql} = {term.value}, false)", None
    if field.kind == "number":
        typed = OR_NULL.sub("", term.value)
        try:
            value = float(typed.replace(MINUS, "-"))
        except ValueError:
            raise UsageError(f"{term.name!r} is a number", got=repr(term.value)) from None
        operator = "=" if equal else term.operator
        missing = "" if typed == term.value else f" OR {sql} IS NULL"
        return f"({negated}coalesce({sql} {operator} ${name} AND NOT isnan({sql}), false){missing})", value
    if not equal:
        raise UsageError(f"{term.name!r} is a text: compare with = or != only", got=str(term))
    return f"{negated}coalesce({sql} = ${name}, false)", term.value


def predictions_of_subject(store: "Database", subject: str, limit: int) -> "DataFrame":
    """Predictions about a subject, of every model, newest first: model, id, at (naive UTC), version, environment, status, latency_ms."""
    return _predictions_of_all_models(store, "p.subject = $text", subject, limit)


def predictions_by_id_prefix(store: "Database", start: str, limit: int, columns: Sequence[str] = ()) -> "DataFrame":
    """Predictions whose id begins with a text, of every model, newest first; columns as in `predictions_of_subject`, then the given ones.

    columns: as in `listing.list_rows`; None for the predictions of a model that has no such column.
    """
    return _predictions_of_all_models(store, "starts_with(p.id, $text)", start, limit, columns)


def totals_of_traces(store: "Database", traces: Sequence[str]) -> "DataFrame":
    """The steps of some traces, by model and trace, counted in one pass over each model's predictions, references left out: model, trace,
    steps, failed, at (start of the first step) and end (of the last one).
    """
    import pandas as pd

    parts, latency = [], f"CASE WHEN latency_ms < {LONGEST_SPAN_MS} THEN round(1000 * latency_ms) ELSE 0 END"
    with snapshot_cursor(store) as cursor:
        for model in store.catalog().models:
            numbers = [number for key, number in stream_numbers(cursor, model.key).items() if key[1] != "reference"]
            if not numbers:
                continue
            part = cursor.execute(
                f"""SELECT left(id, {TRACE_LETTERS}) AS trace, count(*) AS steps, count(*) FILTER (status IS DISTINCT FROM 'ok') AS failed,
                min("at") AS "at", max("at" + to_microseconds(CAST({latency} AS BIGINT))) AS "end"
                FROM {model_table("predictions", model.key)} WHERE stream IN ({", ".join(map(str, numbers))})
                AND left(id, {TRACE_LETTERS}) IN (SELECT unnest($traces)) AND regexp_full_match(id, '{SPAN_ID.pattern}') GROUP BY 1""",
                {"traces": list(traces)},
            ).df()
            parts.append(part.assign(model=model.name))
    columns = ["model", "trace", "steps", "failed", "at", "end"]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    return found.sort_values(["trace", "model"], ignore_index=True)[columns]


def _predictions_of_all_models(store: "Database", condition: str, text: str, limit: int, more: Sequence[str] = ()) -> "DataFrame":
    """Predictions of every model that meet one condition, references left out. more: further columns, None where a model has none."""
    import pandas as pd

    columns, parts = ["model", "id", "at", "version", "environment", "status", "latency_ms", *more], []
    with snapshot_cursor(store) as cursor:
        for model in store.catalog().models:
            named = {number: key for key, number in stream_numbers(cursor, model.key).items() if key[1] != "reference"}
            if not named:
                continue
            own = [name for name in more if name in PLAIN or known_field(model, name) is not None]
            picked = "".join(f', {field.sql} AS "{field.reference}"' for field in column_fields(model, own, outcomes=False))
            part = cursor.execute(
                f"""SELECT p.id, p."at", p.stream, p.status, p.latency_ms{picked} FROM {model_table("predictions", model.key)} p
                WHERE p.stream IN ({", ".join(map(str, named))}) AND {condition} ORDER BY p."at" DESC, p.id, p.stream LIMIT {int(limit)}""",
                {"text": text},
            ).df()
            of_stream = part["stream"].map(named)
            part = part.assign(model=model.name, version=of_stream.str[0], environment=of_stream.str[1])
            part = part.reindex(columns=columns).astype(dict.fromkeys(more, object))
            parts.append(part.assign(**{name: part[name].where(part[name].notna(), None) for name in more}))
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    return (
        found.sort_values(["at", "model", "id", "environment", "version"], ascending=[False, True, True, True, True])
        .head(limit)
        .reset_index(drop=True)
    )
