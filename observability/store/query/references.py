"""Translate column references into SQL expressions over raw rows.

Expressions use `p`, the predictions, and `l`, their current labels (store/query/source.py): `l.value`, `l.number` and `l.code`, the class
index (regression: 0 if labelled). They consist of catalog columns `f<id>` and store/db/expressions.py; no outside name occurs in them.
"""

import difflib
from dataclasses import dataclass
from typing import Literal

from observability.core.catalog import FIELDS_TO_GROUP_BY, Column, Kind, Model, Version
from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import CURRENCY
from observability.store.db.expressions import labelled_measures
from observability.store.types.column_bins import class_index

NUMBERS = ("score", "latency_ms", "energy_j", "cost")
STATED_CURRENCY = """CASE WHEN contains(p.extra::VARCHAR, '"currency"') AND json_type(p.extra, '$.currency') = 'VARCHAR'
    THEN nullif(json_extract_string(p.extra, '$.currency'), '') END"""
LABEL_FIELDS = ("label", "label_value", "error", "absolute_error", "squared_error", "log_loss", "brier", "correct")
Role = Literal["key", "histogram", "sum", "sample"]


@dataclass(frozen=True)
class FieldExpression:
    """A reference as an expression. labelled: needs the current label. column: the catalog column, if any."""

    reference: str
    sql: str
    kind: Kind | Literal["code"]
    labelled: bool = False
    column: Column | None = None


def find_field(model: Model, reference: str, *, outcomes: bool, role: Role) -> FieldExpression:
    """The field of a reference, for use as `role`.

    Raises NotFoundError if the model (or the table) has no such column, UsageError if the column cannot have that role.
    """
    found = known_field(model, reference) if outcomes or reference not in LABEL_FIELDS else None
    if found is None:
        raise _missing_column(model, reference, outcomes)
    groups = found.column is not None or reference in (*FIELDS_TO_GROUP_BY, CURRENCY, "decision", "label", "score_bin")
    if role == "key" and not groups:
        raise UsageError(f"{reference!r} of {model.name} cannot be grouped by", expected="a column of few values")
    if role == "sum" and found.kind != "number":
        raise UsageError(f"{reference!r} of {model.name} cannot be added up", got=f"a {found.kind}", expected="a number")
    has_bins = found.column is not None or reference in ("score", "latency_ms", "error") or class_index(model, reference)
    if role == "histogram" and not has_bins:
        raise UsageError(f"{reference!r} of {model.name} has no bins", expected="a feature, a group, score, latency_ms or error")
    return found


def feature_expressions(model: Model, version: Version) -> list[FieldExpression]:
    """The features of a version that the model has, in the order of the version."""
    columns = [column for name in version.features if (column := model.column(f"feature.{name}")) is not None]
    return [FieldExpression(column.reference, f"p.{column.column}", column.kind, column=column) for column in columns]


def known_field(model: Model, reference: str) -> FieldExpression | None:
    """The field of a reference; None if the model has no such field."""
    column = model.column(reference)
    if column is not None:
        return FieldExpression(reference, f"p.{column.column}", column.kind, column=column)
    if reference in NUMBERS:
        return FieldExpression(reference, f"p.{reference}", "number")
    if reference == "version":
        return FieldExpression(reference, "p.stream", "code")
    if reference in FIELDS_TO_GROUP_BY:
        return FieldExpression(reference, f"p.{reference}", "category")
    if reference == CURRENCY:
        return FieldExpression(reference, STATED_CURRENCY, "category")
    if reference == "decision":
        return FieldExpression(reference, "coalesce(p.decision, -1)", "code")
    if reference == "label":
        return FieldExpression(reference, "coalesce(l.code, -1)", "code", labelled=True)
    if reference == "score_bin":
        return FieldExpression(reference, "p.score" if model.classes else "-1", "code")
    if index := class_index(model, reference):
        return FieldExpression(reference, f"by_class[{index}]", "number")
    measures = labelled_measures(model, "p.score", "l.code", "l.number", "p.decision")
    if reference in measures:
        sql = "(p.score - l.number)" if reference == "error" else measures[reference]
        return FieldExpression(reference, sql, "number", labelled=True)
    return FieldExpression(reference, "l.number", "number", labelled=True) if reference == "label_value" else None


def level_text(field: FieldExpression) -> str:
    """The value of a column as text, as in slices: integers without a point, booleans true and false; NULL if missing."""
    x = field.sql
    if field.kind == "number":
        return f"CASE WHEN isnan({x}) THEN 'NaN' WHEN {x} = floor({x}) AND abs({x}) < 1e38 THEN {x}::HUGEINT::VARCHAR ELSE {x}::VARCHAR END"
    return f"{x}::VARCHAR" if field.kind == "boolean" else f"nullif({x}, 'null')"


def _missing_column(model: Model, reference: str, outcomes: bool) -> NotFoundError:
    """The error for a missing reference, with the nearest one."""
    if not outcomes and reference in LABEL_FIELDS:
        message = f"column {reference!r} is not in the predictions of {model.name}"
        return NotFoundError(message, attempt="Ask the table outcomes, which has labels")
    known = [column.reference for column in model.columns] + [*NUMBERS, *FIELDS_TO_GROUP_BY, "decision", "score_bin"]
    known += [name for name in LABEL_FIELDS if outcomes and known_field(model, name)]
    near = difflib.get_close_matches(reference, known, n=1)
    advice = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known[:12])}"
    return NotFoundError(f"column {reference!r} is not in {model.name}", attempt=advice)
