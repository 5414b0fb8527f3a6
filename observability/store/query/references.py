"""What does a column reference stand for: which expression over the raw rows, of which kind, and needing the label or not?

Expressions speak of `p`, the predictions, and `l`, their current labels (store/query/source.py): `l.value`, `l.number` and `l.code`, the class
index (regression: 0 where labelled). They are made of columns `f<id>` of the catalog and of store/db/expressions.py; no outside name stands
in them.
"""

import difflib
from dataclasses import dataclass
from typing import Literal

from observability.core.catalog import FIELDS_TO_GROUP_BY, Column, Edges, Kind, Model, Version
from observability.core.errors import NotFoundError, UsageError
from observability.stats.quantile import LOG_EDGES
from observability.stats.scores import SCORE_EDGES
from observability.store.db.expressions import labelled_measures

NUMBERS = ("score", "latency_ms", "energy_j", "cost")
LABEL_FIELDS = ("label", "label_value", "error", "absolute_error", "squared_error", "log_loss", "brier", "correct")
SCORE_BINS, LATENCY_BINS = Edges(edges=tuple(SCORE_EDGES.tolist())), Edges(edges=tuple(LOG_EDGES.tolist()))
BAND = "band."
Role = Literal["key", "histogram", "sum", "sample"]


@dataclass(frozen=True)
class Field:
    """A reference as an expression. labelled: it needs the current label. column: the catalog's column behind it, if any."""

    reference: str
    sql: str
    kind: Kind | Literal["code"]
    labelled: bool = False
    column: Column | None = None


def find_field(model: Model, reference: str, *, outcomes: bool, role: Role) -> Field:
    """The field behind a reference, for use as `role`.

    Raises NotFoundError where the model (or the table) has no such column, UsageError where the column cannot play that role.
    """
    found = known_field(model, reference) if outcomes or reference not in LABEL_FIELDS else None
    if found is None:
        raise missing(model, reference, outcomes)
    groups = found.column is not None or reference in (*FIELDS_TO_GROUP_BY, "decision", "label", "score_bin")
    if role == "key" and not groups:
        raise UsageError(f"{reference!r} of {model.name} cannot be grouped by", expected="a column of few values")
    if role == "sum" and found.kind != "number":
        raise UsageError(f"{reference!r} of {model.name} cannot be added up", got=f"a {found.kind}", expected="a number")
    if (
        role == "histogram"
        and found.column is None
        and reference not in ("score", "latency_ms", "error")
        and not class_index(model, reference)
    ):
        raise UsageError(f"{reference!r} of {model.name} has no bins", expected="a feature, a group, score, latency_ms or error")
    return found


def known_field(model: Model, reference: str) -> Field | None:
    """The field behind a reference, None where the model has none of that name."""
    column = model.column(reference)
    if column is not None:
        return Field(reference, f"p.{column.column}", column.kind, column=column)
    if reference in NUMBERS:
        return Field(reference, f"p.{reference}", "number")
    if reference == "version":
        return Field(reference, "p.stream", "code")
    if reference in FIELDS_TO_GROUP_BY:
        return Field(reference, f"p.{reference}", "category")
    if reference == "decision":
        return Field(reference, "coalesce(p.decision, -1)", "code")
    if reference == "label":
        return Field(reference, "coalesce(l.code, -1)", "code", labelled=True)
    if reference == "score_bin":
        return Field(reference, "p.score" if model.classes else "-1", "code")
    if index := class_index(model, reference):
        return Field(reference, f"by_class[{index}]", "number")
    measures = labelled_measures(model, "p.score", "l.code", "l.number", "p.decision")
    if reference in measures:
        sql = "(p.score - l.number)" if reference == "error" else measures[reference]
        return Field(reference, sql, "number", labelled=True)
    return Field(reference, "l.number", "number", labelled=True) if reference == "label_value" else None


def banded_column(model: Model, reference: str) -> Column | None:
    """The sensitive number behind `band.NAME`, a feature or else a group; None where it is no such reference."""
    if not reference.startswith(BAND):
        return None
    name = reference.removeprefix(BAND)
    found = [each for each in model.columns if each.name == name and each.sensitive and each.kind == "number"]
    return min(found, key=lambda each: each.role != "feature", default=None)


def class_index(model: Model, reference: str) -> int | None:
    """From 1, which class the probability `score.K` is of; None where it is no such reference."""
    index = reference.removeprefix("score.")
    if model.task != "multiclass" or index == reference or not (index.isascii() and index.isdigit()):
        return None
    return int(index) + 1 if int(index) < len(model.classes) and str(int(index)) == index else None


def bins_of(model: Model, version: Version, reference: str) -> Edges:
    """How a version bins a reference; empty edges where it says nothing: every number is then in bin 0, every level unseen."""
    if reference == "latency_ms":
        return LATENCY_BINS
    if model.classes and (reference == "score" or class_index(model, reference)):
        return SCORE_BINS
    return version.edges.get(reference, Edges())


def level_text(field: Field) -> str:
    """The value of a column as text, as slices spell it: whole numbers without a point, booleans true and false; NULL where it is
    missing.
    """
    x = field.sql
    if field.kind == "number":
        return f"CASE WHEN isnan({x}) THEN 'NaN' WHEN {x} = floor({x}) AND abs({x}) < 1e38 THEN {x}::HUGEINT::VARCHAR ELSE {x}::VARCHAR END"
    return f"{x}::VARCHAR" if field.kind == "boolean" else f"nullif({x}, 'null')"


def missing(model: Model, reference: str, outcomes: bool) -> NotFoundError:
    """The error that a reference is not there, with the nearest one."""
    if not outcomes and reference in LABEL_FIELDS:
        return NotFoundError(
            f"column {reference!r} is not in the predictions of {model.name}", attempt="Ask the table outcomes, which has labels"
        )
    known = [each.reference for each in model.columns] + [*NUMBERS, *FIELDS_TO_GROUP_BY, "decision", "score_bin"]
    known += [name for name in LABEL_FIELDS if outcomes and known_field(model, name)]
    near = difflib.get_close_matches(reference, known, n=1)
    return NotFoundError(
        f"column {reference!r} is not in {model.name}", attempt=f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known[:12])}"
    )
