"""Write the rows of a finding as SQL: FROM and WHERE over the view of a model's predictions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from observability.core.analyzer import Context
from observability.core.catalog import Model, band_limits
from observability.core.finding import Finding
from observability.core.time import naive_utc
from observability.core.view_names import quoted_identifier, view_name
from observability.core.window import EPOCH, Slice

DAY = timedelta(days=1)


@dataclass(frozen=True)
class ProvenRows:
    """The predictions on which a value was measured: their view, and the conditions that select them."""

    source: str
    conditions: tuple[str, ...]

    def where(self, *more: str) -> str:
        """FROM and WHERE for these rows, with further conditions."""
        return f"FROM {self.source}\nWHERE " + "\n  AND ".join((*self.conditions, *more))


def text_literal(value: str) -> str:
    """The text as an SQL literal in single quotes."""
    return "'" + value.replace("'", "''") + "'"


def number_literal(value: float) -> str:
    """A number in SQL: exact, and of type DOUBLE."""
    if math.isfinite(value):
        text = repr(float(value))
        return text if "e" in text else f"{text}e0"
    return f"'{'nan' if math.isnan(value) else 'infinity' if value > 0 else '-infinity'}'::DOUBLE"


def time_literal(instant: datetime) -> str:
    """A point in time in SQL, in UTC."""
    return f"TIMESTAMP '{naive_utc(instant)}'"


def column_in_view(model: Model, reference: str) -> str:
    """The column in the view of predictions that belongs to a column reference, as an SQL identifier."""
    return quoted_identifier(model.view_columns.get(reference, reference))


def proven_rows(
    finding: Finding, context: Context, *, start: datetime | None = None, end: datetime | None = None, part: str | None = None
) -> ProvenRows:
    """The predictions that a finding is about: those of its window, version, environment, slice and time of arrival.

    start, end: limits of a part of the window. part: the slice; by default the slice of the finding.
    """
    window, model = context.window, context.model
    span = f'"at" >= {time_literal(start or finding.start)}', f'"at" < {time_literal(end or finding.end)}'
    version = [] if finding.version is None else [f"version = {text_literal(finding.version)}"]
    conditions = [f"environment = {text_literal(window.environment)}", *version, *span]
    conditions += slice_conditions(model, Slice.parse(finding.slice if part is None else part))
    return ProvenRows(known_predictions(context), tuple(conditions))


def reference_rows(finding: Finding, context: Context) -> ProvenRows:
    """The stored reference of the version that a finding is about, in the slice of the check."""
    conditions = ["environment = 'reference'", f"version = {text_literal(finding.version or context.version.name)}"]
    conditions += slice_conditions(context.model, context.window.slice)
    return ProvenRows(view_name(context.model, "predictions"), tuple(conditions))


def known_predictions(context: Context) -> str:
    """The view of a model's predictions as they were known at the time of the check."""
    if context.window.as_of is None:
        return view_name(context.model, "predictions")
    return f"{view_name(context.model, 'predictions_as_of')}({time_literal(context.window.as_of)})"


def measured_rows(finding: Finding, context: Context) -> ProvenRows:
    """The predictions on the days of a window to which a finding about performance refers (`measured` in its evidence)."""
    days = [date.fromisoformat(day) for day in finding.evidence.get("measured_days") or finding.evidence["measured"]]
    first, last = day_start(days[0]), day_start(days[-1]) + DAY
    start = first if first.date() < finding.start.date() else max(first, finding.start)
    rows = proven_rows(finding, context, start=start, end=min(last, finding.end))
    if "measured_days" not in finding.evidence:
        return rows
    listed = ", ".join(f"DATE '{day}'" for day in days)
    return replace(rows, conditions=(*rows.conditions, f'"at"::DATE IN ({listed})'))


def last_days(finding: Finding, context: Context, days: float) -> ProvenRows:
    """The predictions of the last `days` complete days of a window. If the window has fewer days: the predictions of the whole window."""
    if days >= context.window.days:
        return proven_rows(finding, context)
    end = EPOCH + (context.whole_days[1] + 1) * DAY
    return proven_rows(finding, context, start=max(end - days * DAY, finding.start), end=min(end, finding.end))


def day_start(day: date) -> datetime:
    """Midnight (UTC) of a day."""
    return EPOCH + timedelta(days=(day - EPOCH.date()).days)


def slice_conditions(model: Model, part: Slice | None) -> list[str]:
    """The conditions of a slice; empty if there is no slice."""
    return [] if part is None else [slice_condition(model, name, value) for name, value in part.conditions]


def slice_condition(model: Model, name: str, value: str) -> str:
    """One condition of a slice: a level, a band of a number, a value, or `null`."""
    reference = model.resolve(name)
    column, known = column_in_view(model, reference), model.column(reference)
    if known is None or known.kind == "category":
        return f"({column} IS NULL OR {column} = 'null')" if value == "null" else f"{column} = {text_literal(value)}"
    if known.kind == "boolean":
        return {"true": column, "false": f"NOT {column}", "null": f"{column} IS NULL"}.get(value, "false")
    if value in ("null", "NaN"):
        return f"{column} IS NULL" if value == "null" else f"isnan({column})"
    limits = band_limits(value)
    if limits is None:
        try:
            return f"{column} = {number_literal(float(value))}"
        except ValueError:
            return "false"
    signs = [f"{column} {sign} {number_literal(limit)}" for sign, limit in zip((">=", "<"), limits, strict=True) if math.isfinite(limit)]
    return " AND ".join([f"NOT isnan({column})", *signs])


def sample_sql(rows: ProvenRows, most: int) -> str:
    """A sample of limited size from some rows, drawn as the product draws it: the rows whose ids have the smallest random numbers."""
    return f'SELECT * {indented_clause(rows.where())}\n  ORDER BY sample_order, id, "at", version LIMIT {most}'


def class_literals(model: Model) -> Sequence[str]:
    """The classes of a model as SQL literals, in the order of their index."""
    return [text_literal(name) for name in model.classes]


def indented_clause(text: str, spaces: int = 2) -> str:
    """A clause whose lines after the first are indented."""
    return text.replace("\n", "\n" + " " * spaces)


def window_conditions(finding: Finding) -> list[str]:
    """The conditions that select the records in the window of a finding."""
    return [f'"at" >= {time_literal(finding.start)}', f'"at" < {time_literal(finding.end)}']


def known_record_conditions(context: Context) -> list[str]:
    """The conditions that select the records which a check reads: they had arrived, and they do not belong to the sample fleet unless the
    model does.
    """
    known = [] if context.window.as_of is None else [f"arrived <= {time_literal(context.window.as_of)}"]
    if not context.window.model:
        return known
    models: Mapping[str, Model] = context.counters.get("models") or {}
    model = models.get(context.window.model, context.model)
    return [*known, *([] if model.sample else ["sample IS NOT TRUE"])]


def where_clause(conditions: Sequence[str]) -> str:
    """The WHERE clause of some conditions."""
    return "WHERE " + " AND ".join(conditions)


def json_pointer_part(name: str) -> str:
    """A name, escaped as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
