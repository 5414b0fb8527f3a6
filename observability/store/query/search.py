"""Which predictions does a person mean: those of a subject, those whose id begins like this, those that meet some conditions?

Conditions are typed as `carrier = UA and dep_delay > 60 and outcome = wrong`: names of features and groups, of fields to group by, or one of OWN.
Nothing that is typed stands in a statement: names become columns of the catalog, values become parameters.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.catalog import Model
from observability.core.errors import NotFoundError, UsageError
from observability.core.numerals import MINUS
from observability.core.window import Window
from observability.store.db.catalog_store import streams
from observability.store.db.schema import model_table
from observability.store.query.listing import fetched, fields_of
from observability.store.query.raw_rows import used
from observability.store.query.references import LABEL_FIELDS, Field, known_field
from observability.store.query.source import Parameters, from_clause, rows_of, snapshot, stored

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

OWN = ("score", "answer", "label", "outcome", "error", "absolute_error", "id", "subject", "latency_ms", "cost")
"""Names beside those of columns, which go before them (`feature.score` is the feature of that name). answer, label: a class, of a regression label is a number. outcome: right, wrong or unknown. error, absolute_error: of a regression."""
SHOWN = ("id", "at", "subject", "version", "score", "decision", "label", "label_value")
OR_NULL = re.compile(r"\s+or\s+null$", re.IGNORECASE)
"""What lets a condition of a number hold of rows that lack it, too."""
OUTCOMES = ("right", "wrong", "unknown")
NAME = r"""(?:"[^"]+"|[^\s"=<>!&]+)"""
SIGN = r"(?:!=|<=|>=|=|<|>)"
TERM = re.compile(
    rf"""\s*({NAME})\s*({SIGN})\s*(?:"([^"]*)"|([^"].*?))\s*(?:(?:(?<=\s)and\s|&)(?=\s*{NAME}\s*{SIGN})|$)""", re.DOTALL | re.IGNORECASE
)
"""One condition up to the end, or to an `and` or & with what looks like another one behind it."""


@dataclass(frozen=True)
class Term:
    """One condition as it was typed: a name, one of = != < <= > >=, and a value; `null` stands for a missing one, and a number may be `5 or null`."""

    name: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {self.value}"


def is_filter(text: str) -> bool:
    """Whether a text reads as conditions, and not as an id or a subject."""
    return bool(TERM.match(text))


def parse(text: str) -> tuple[Term, ...]:
    """Conditions joined by `and` or &. Names and values with blanks or signs stand between double quotes. Raises UsageError."""
    terms: list[Term] = []
    place = 0
    while place < len(text) or not terms:
        found = TERM.match(text, place)
        if not found:
            raise UsageError(
                "this condition cannot be read", got=repr(text[place : place + 80]), expected="name = value, also with != < <= > >="
            )
        terms.append(Term(found[1].strip('"'), found[2], found[4] if found[3] is None else found[3]))
        place = found.end()
    return tuple(terms)


def matching(
    store: "Store",
    window: Window,
    terms: Sequence[Term],
    limit: int,
    order: str = "-at",
    newly_labelled: tuple[datetime, datetime] | None = None,
) -> "DataFrame":
    """At most `limit` predictions of a window that meet every condition: the columns SHOWN (as in `listing.rows`), `error` of a regression or
    `correct` (1, 0, NaN unknown), and the columns that the conditions name.

    order: as in `listing.rows`; where it is a loss, that column comes along. newly_labelled: only those of which a label arrived in this half-open time. Raises NotFoundError for an unknown name, UsageError for a value that does not fit it.
    """
    model = store.catalog().model(window.model)
    with snapshot(store) as cursor:
        found = rows_of(model, window, streams(cursor, model.key))
        if newly_labelled is not None:
            arrived = (
                f"id_hash IN (SELECT id_hash FROM {model_table('labels', model.key)} WHERE arrived >= $from_label AND arrived < $to_label)"
            )
            times = (("from_label", stored(newly_labelled[0])), ("to_label", stored(newly_labelled[1])))
            found = replace(found, conditions=(*found.conditions, arrived), parameters=(*found.parameters, *times))
        where, parameters, named = conditions(model, terms)
        outcome = "error" if model.task == "regression" else "correct"
        names = [*SHOWN, *([outcome] if known_field(model, outcome) else []), *named]
        names += [ranked] if (ranked := order.removeprefix("-")) in LABEL_FIELDS else []
        fields = fields_of(model, list(dict.fromkeys(names)), outcomes=True)
        by = fields_of(model, [order.removeprefix("-")], outcomes=True)[0]
        ordering = f"{by.sql} {'DESC' if order.startswith('-') else 'ASC'} NULLS LAST, p.id"
        labelled = by.labelled or any("l." in each for each in where)
        clause, source, values = from_clause(cursor, found, [by.sql, *where], labelled)
        source = source.replace("(SELECT *", "(SELECT rowid AS place, *", 1)
        asked = f"{clause} SELECT p.place {source} WHERE {' AND '.join(where) or 'true'} ORDER BY {ordering} LIMIT {int(limit)}"
        places = [number for (number,) in cursor.execute(asked, used(asked, values | parameters)).fetchall()]
        frame = fetched(cursor, found, fields, places, ordering, extra=(by,))
    return frame.assign(model=model.name)


def conditions(model: Model, terms: Sequence[Term]) -> tuple[list[str], Parameters, list[str]]:
    """The conditions as SQL over `p` and `l`, their parameters, and the column references they name."""
    where: list[str] = []
    parameters: Parameters = {}
    named: list[str] = []
    for place, term in enumerate(terms):
        field = field_of(model, term)
        sql, value = compared(model, field, term, f"term_{place}")
        where.append(sql)
        parameters |= {} if value is None else {f"term_{place}": value}
        if field.column is not None:
            named.append(field.reference)
    return where, parameters, named


def field_of(model: Model, term: Term) -> Field:
    """What the name of a condition stands for. Raises NotFoundError with the nearest name."""
    if term.name in OWN:
        reference = {"answer": "decision", "outcome": "correct"}.get(term.name, term.name)
        reference = "label_value" if reference == "label" and model.task == "regression" else reference
    else:
        reference = term.name if model.column(term.name) else model.resolve(term.name)
    if reference in ("id", "subject"):
        return Field(reference, f"p.{reference}", "category")
    found = known_field(model, reference)
    if found is None:
        raise NotFoundError(f"{term.name!r} is not known of {model.name}, a {model.task or 'model that is not registered'}")
    return found


def compared(model: Model, field: Field, term: Term, name: str) -> tuple[str, object]:
    """One condition as SQL, and its parameter (None: it needs none). Raises UsageError for a value or an operator that does not fit."""
    sql, equal = field.sql, term.operator in ("=", "!=")
    negated = "NOT " if term.operator == "!=" else ""
    if field.reference in ("decision", "label", "correct", "version") and not equal:
        raise UsageError(f"{term.name!r} is compared with = or != only", got=str(term))
    if field.reference == "correct":
        if term.value not in OUTCOMES:
            raise UsageError("unknown outcome", got=repr(term.value), expected=", ".join(OUTCOMES))
        return {"right": f"{negated}coalesce({sql} = 1, false)", "wrong": f"{negated}coalesce({sql} = 0, false)",
                "unknown": f"{negated}({sql} IS NULL)"}[term.value], None  # fmt: skip
    if field.reference == "version":
        sql = f"(p.stream IN (SELECT stream FROM streams WHERE key = {model.key} AND version = ${name}))"
        return negated + sql, term.value
    if term.value == "null" and equal:
        missing = f"{sql} = -1" if field.reference in ("decision", "label") else f"{sql} IS NULL"
        return f"{negated}({missing})", None
    if field.reference in ("decision", "label"):
        if term.value not in model.classes:
            raise UsageError(f"{term.value!r} is no class of {model.name}", expected=", ".join(model.classes[:12]) or "a registered model")
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
        raise UsageError(f"{term.name!r} is a text, which is compared with = or != only", got=str(term))
    return f"{negated}coalesce({sql} = ${name}, false)", term.value


def of_subject(store: "Store", subject: str, limit: int) -> "DataFrame":
    """Predictions about a subject, of every model, newest first: model, id, at (naive UTC), version, environment."""
    return listed(store, "subject = $text", subject, limit)


def beginning_with(store: "Store", start: str, limit: int) -> "DataFrame":
    """Predictions whose id begins with a text, of every model, newest first; columns as in `of_subject`."""
    return listed(store, "starts_with(id, $text)", start, limit)


def listed(store: "Store", condition: str, text: str, limit: int) -> "DataFrame":
    """Predictions of every model that meet one condition; references are left out."""
    import pandas as pd

    parts = []
    with snapshot(store) as cursor:
        for model in store.catalog().models:
            named = {number: key for key, number in streams(cursor, model.key).items() if key[1] != "reference"}
            if not named:
                continue
            part = cursor.execute(
                f"""SELECT id, "at", stream FROM {model_table("predictions", model.key)}
                WHERE stream IN ({", ".join(map(str, named))}) AND {condition} ORDER BY "at" DESC, id LIMIT {int(limit)}""",
                {"text": text},
            ).df()
            of_stream = part["stream"].map(named)
            parts.append(part.assign(model=model.name, version=of_stream.str[0], environment=of_stream.str[1]).drop(columns="stream"))
    columns = ["model", "id", "at", "version", "environment"]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    return found.sort_values(["at", "model", "id"], ascending=[False, True, True]).head(limit).reset_index(drop=True)[columns]
