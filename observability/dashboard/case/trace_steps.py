"""The steps of a trace: predictions of any model that were logged as spans (ids TRACE-SPAN), in the order in which they began."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pandas as pd

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.numerals import format_figure
from observability.core.questions import Sample
from observability.core.window import Slice, Window
from observability.dashboard import links, load, time_zone
from observability.dashboard.case.case import CasePage
from observability.dashboard.cells import UNKNOWN_CELL
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import cut_note, plain_caption, plain_paragraph
from observability.records.kinds import KINDS
from observability.records.span_ids import LONGEST_SPAN_MS, SPAN_ID

MAX_STEPS, MAX_TRACES = 200, 5
MAX_CALLS = 20_000
"""Maximum number of calls of a model that are searched for traces."""
SPAN_COLUMNS = ("id", "at", "status", "latency_ms")
CALLS = Sample("predictions", SPAN_COLUMNS, MAX_CALLS)
FAILED = tuple(status for status in KINDS["prediction"].fields["status"].values if status != "ok")
MAX_COMPLETED = 20_000
"""If a model has more calls than that: maximum number of traces for which all steps are counted."""
OPERATION, SERVICE = "feature.operation", "feature.service"
STEPS = columns_on_phone(
    "step status latency",
    column("step", "Step", strong=True, help="The operation of the span, else its id"),
    column("model", "Model"),
    column("outcome", "Answer", help="The logged prediction; for a call of a language model, its finish reason"),
    column("status", "Status"),
    *number_columns(begins="Begins at ms", latency="ms"),
)
TRACES = columns_on_phone(
    "trace steps took",
    column("trace", "Trace", strong=True),
    column("at", "Began (UTC)", short=True),
    column("models", "Models"),
    *number_columns(steps="Steps", failed="Failed", took="ms"),
)


def trace_of(prediction: str) -> str | None:
    """The trace id in the id of a prediction; None if the prediction is not a span."""
    found = SPAN_ID.fullmatch(prediction)
    return found[1] if found else None


def steps_of_trace(trace: str) -> pd.DataFrame:
    """The steps of all models in order: model, id, at, version, environment, status, latency_ms, operation and prediction (None if not
    known). Of a longer trace, only the newest MAX_STEPS steps and one more.
    """
    try:
        rows = load.store().rows_by_id_prefix(trace, MAX_STEPS + 1, ("prediction", OPERATION))
    except NotFoundError:
        return pd.DataFrame()
    return rows.rename(columns={OPERATION: "operation"}).sort_values(["at", "id"], ignore_index=True)


def draw_trace_steps(steps: pd.DataFrame, scope: Scope, chosen: str | None = None) -> None:
    """Draw the steps as a table, each with a link to its case. chosen: the id of the step that the page is about."""
    lines, more = [], len(steps) > MAX_STEPS
    steps = steps.tail(MAX_STEPS)
    for row in steps.to_dict("records"):
        name = row["operation"] if isinstance(row["operation"], str) else str(row["id"])
        cells: dict[str, Cell] = {
            "step": links.case_link(name, str(row["id"]), str(row["model"]), scope),
            "model": {"t": str(row["model"]), "sub": str(row["version"])},
            "outcome": dict(UNKNOWN_CELL) if pd.isna(row["prediction"]) else {"t": formatting.truncate(str(row["prediction"]))},
            "status": {"t": str(row["status"])},
            "begins": {"t": format_figure((row["at"] - steps["at"].min()) / timedelta(milliseconds=1))},
            "latency": {"t": format_figure(float(row["latency_ms"]))} if pd.notna(row["latency_ms"]) else dict(UNKNOWN_CELL),
        }
        lines.append(table_row(cells, selected=row["id"] == chosen))
    draw_table("trace-steps", "Steps of the trace", STEPS, lines)
    if more:
        plain_caption(f"The newest {MAX_STEPS} steps; the trace has more. Begins at: from the first step of the table.")


def trace_of_case(here: CasePage) -> None:
    """Draw the trace of a case: its steps, with the step of this page marked; nothing if the prediction is not part of a trace."""
    trace = trace_of(here.row.id)
    steps = steps_of_trace(trace) if trace else pd.DataFrame()
    if len(steps) < 2:
        return
    if len(steps) > MAX_STEPS:
        plain_paragraph(f"The newest {MAX_STEPS} steps of its trace:")
    else:
        place = int((steps["id"] == here.row.id).to_numpy().argmax())
        plain_paragraph(f"Step {place + 1} of {len(steps)} of its trace:")
    draw_trace_steps(steps, here.scope, here.row.id)


@dataclass(frozen=True)
class FoundTraces:
    """Traces with two or more steps: trace, at, took (ms), steps, failed, models; traces with failed steps first, then the slowest.

    sampled: whether some calls of these dates were not read. If so, the table has two kinds of traces: those with a failed call (among at
    most MAX_CALLS calls of each model and status), and those with a call in a sample (at most MAX_COMPLETED). Each has all its steps,
    whatever their dates.
    """

    table: pd.DataFrame
    sampled: bool = False


def traces_of_several_steps(windows: Mapping[str, Window], asked: Iterable[Model]) -> FoundTraces:
    """The traces with two or more steps, of which at least one is by a model in `asked`.

    windows: the dates for each model whose spans may be steps.
    """
    named = {model.name for model in asked}
    parts = {name: load.ask_store(CALLS, window).assign(model=name) for name, window in windows.items()}
    spans = pd.concat(parts.values(), ignore_index=True) if parts else pd.DataFrame(columns=[*SPAN_COLUMNS, "model"])
    cut = [name for name, part in parts.items() if len(part) == CALLS.rows]
    if not cut:
        return FoundTraces(_first_traces(_totals_of_spans(spans), named))
    failed = [load.ask_store(CALLS, _with_status(windows[name], status)).assign(model=name) for name in cut for status in FAILED]
    known = _totals_of_spans(pd.concat([spans, *failed], ignore_index=True).drop_duplicates())
    totals = load.store().trace_totals(_candidates(known, named))
    return FoundTraces(_first_traces(totals[totals["model"].isin(list(windows))], named), sampled=True)


def _with_status(window: Window, status: str) -> Window:
    """The window restricted to calls with a status."""
    conditions = window.slice.conditions if window.slice else ()
    return replace(window, slice=Slice((*conditions, ("status", status))))


def _totals_of_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """The number of spans of each model and trace, counted in the same way as by `Store.trace_totals`."""
    spans = spans.assign(
        trace=pd.Series([trace_of(name) for name in spans["id"]], spans.index, dtype=object),
        end=spans["at"] + pd.to_timedelta(spans["latency_ms"].where(spans["latency_ms"] < LONGEST_SPAN_MS, 0), unit="ms"),
        failed=spans["status"] != "ok",
    )
    return (
        spans.groupby(["model", "trace"])
        .agg(steps=("id", "size"), failed=("failed", "sum"), at=("at", "min"), end=("end", "max"))
        .reset_index()
    )


def _candidates(totals: pd.DataFrame, named: Container[str]) -> list[str]:
    """The traces for which all steps are counted, at most MAX_COMPLETED. First come those with a known step of a named model and at least
    two known steps, then those with one known step of a named model; among equals, those with failed steps, then the slowest.
    """
    found = _traces_of_totals(totals, named)
    found["several"] = found["own"] & (found["steps"] > 1)
    order = ["several", "own", "failed", "took", "trace"]
    return list(found.sort_values(order, ascending=[False] * 4 + [True])["trace"].head(MAX_COMPLETED))


def _first_traces(totals: pd.DataFrame, named: Container[str]) -> pd.DataFrame:
    """The traces with two or more steps, at least one by a named model, in the form of `FoundTraces`."""
    found = _traces_of_totals(totals, named)
    found = found[found["own"] & (found["steps"] > 1)].drop(columns="own")
    return found.sort_values(["failed", "took", "trace"], ascending=[False, False, True], ignore_index=True)


def _traces_of_totals(totals: pd.DataFrame, named: Container[str]) -> pd.DataFrame:
    """Each trace over all its models, with the columns of `FoundTraces` and `own`: whether a step is by one of the named models."""
    found = (
        totals.assign(own=[name in named for name in totals["model"]])
        .groupby("trace")
        .agg(
            at=("at", "min"),
            end=("end", "max"),
            steps=("steps", "sum"),
            failed=("failed", "sum"),
            models=("model", lambda each: sorted(set(each))),
            own=("own", "any"),
        )
    )
    found["took"] = (found["end"] - found["at"]).dt.total_seconds() * 1000
    return found.reset_index()


def tracing_models() -> list[Model]:
    """The models whose records name the operation or the service of a span."""
    return [model for model in load.catalog().models if model.column(OPERATION) is not None or model.column(SERVICE) is not None]


def draw_traces(found: FoundTraces, scope: Scope) -> None:
    """Draw the first traces as a table; a click on a trace shows its steps."""
    lines = []
    for row in found.table.head(MAX_TRACES).to_dict("records"):
        cells: dict[str, Cell] = {
            "trace": links.link_cell(f"{row['trace'][:12]}…", "vendors", scope, trace=row["trace"]),
            "at": {"t": time_zone.zoned_minute(row["at"])},
            "models": {"t": ", ".join(row["models"])},
            "steps": {"t": f"{row['steps']:,}"},
            "failed": {"t": f"{row['failed']:,}"},
            "took": {"t": format_figure(float(row["took"]))},
        }
        lines.append(table_row(cells))
    draw_table("traces", "Traces of several steps", TRACES, lines)
    if found.sampled:
        plain_caption(f"Traces with failed steps, then the slowest of those with a step among {MAX_CALLS:,} sampled calls of a model.")
    else:
        cut_note(len(found.table), MAX_TRACES, "{0} of {1} traces: those with failed steps, then the slowest.")
