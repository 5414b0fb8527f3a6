"""The page about slices: watched slices, largest changes, weakest slices, from the findings of serving/slices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.window import Slice
from observability.dashboard import choice_box, clicks, empty_states, frame, links
from observability.dashboard.cells import interval_cell, severity_cell
from observability.dashboard.charts import slices as charts_slices
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import csv_button, plain_paragraph
from observability.metrics.performance import HEADLINE

ANALYZER = "serving/slices"
MAX_SLICES = 12
SIGNIFICANT = 0.05
"""A slice is significant if its corrected p-value is at most this."""
WATCHED = (
    column("slice", "Slice", strong=True, width="16rem"),
    column("status", "Status", width="8rem"),
    column("said", "Finding", wide=True),
)


def split_slice_findings(found: Sequence[Finding]) -> tuple[list[Finding], Finding | None]:
    """The findings that need action, and the finding that summarizes the search. If there are several versions, the summary of the version
    with most rows is returned.
    """
    summaries = [finding for finding in found if finding.metric == "slices_named" and finding.subject == "model"]
    return [finding for finding in found if finding.needs_action], max(summaries, key=lambda finding: finding.n, default=None)


def watched_slices_section(here: ModelPage, found: Sequence[Finding]) -> None:
    """Draw the watched slices, each with the finding about it in this window."""
    watched = here.model.settings.slices
    if not watched:
        return
    st.header("Watched slices", anchor=False)
    about = {finding.slice: finding for finding in found if finding.severity == "unknown" or finding.evidence.get("watched")}
    rows = [_watched_slice_row(here, part, about.get(part)) for part in watched]
    draw_table("watched", "Watched slices and their findings", WATCHED, rows, compact=True)
    st.caption("Add and remove watched slices on a case; Rules and settings lists them all.")


def _watched_slice_row(here: ModelPage, part: str, finding: Finding | None) -> dict[str, Any]:
    """The table row of one watched slice, which links to the performance page of this slice."""
    scope = replace(here.scope, slice=Slice.parse(part))
    return table_row(
        slice=links.link_cell(formatting.slice_in_words(part), "performance", scope),
        status=severity_cell(finding.severity if finding else "unknown"),
        said=finding.because if finding else "No finding in this window.",
    )


def slice_metric_box(here: ModelPage, summary: Finding) -> str:
    """Draw the box for the metric, and return the chosen metric; the default is the model's main metric."""
    return choice_box.metric_selectbox(list(summary.evidence["ranked"]), here.model.task, "was not compared by slice here")


def slice_frame(slices: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The slices of a finding's evidence as a table, with their names in words."""
    columns = ["slice", "value", "low", "high", "n", "before", "rest", "effect", "coverage", "p_adjusted"]
    rows = pd.DataFrame([{name: part[name] for name in columns} for part in slices], columns=columns)
    return rows.assign(name=[formatting.slice_in_words(part) for part in rows["slice"]]).astype({"before": float})


def changed_slices_section(here: ModelPage, summary: Finding, metric: str, urgent: Sequence[Finding]) -> None:
    """Draw the slices that changed most relative to the rest, whether or not the change is significant. urgent: findings that need action;
    the search may have missed their slices.
    """
    rows = slice_frame(summary.evidence["ranked"][metric]).head(MAX_SLICES)
    if rows.empty:
        empty_states.no_rows_state()
        return
    first, unit, title = rows.iloc[0], METRICS[metric].unit, formatting.metric_title(metric)
    drawn = with_significance(rows, metric, urgent)
    before, now = (formatting.format_value(first[side], unit, here.model.settings.unit) for side in ("before", "value"))
    significant = f"{int(drawn['sure'].sum())} of {len(rows)} significant"
    words = f"{first['name']}, {title[:1].lower()}{title[1:]} {before} → {now}. {significant}."
    plain_paragraph(words)
    figure = charts_slices.slice_dots(drawn, name=title, unit=unit, of_label=here.model.settings.unit)
    on_dot = clicks.cases_on_click("changed", lambda point: cases_of_slice_dot(here, point, rows, metric))
    frame.chart_with_table(figure, rows, key="changed", alt=words, metrics=(metric,), on_select=on_dot)
    _slices_table(here, "changed-slices", f"{title}: slices that became worse than the rest", rows, metric, "before")


def with_significance(rows: pd.DataFrame, metric: str, urgent: Sequence[Finding]) -> pd.DataFrame:
    """The slices with the added column `sure`: whether the change of the metric is significant, according to the search or to a finding
    that needs action.
    """
    named = {slice_of_finding(finding) for finding in urgent if finding.metric == metric}
    return rows.assign(sure=(rows["p_adjusted"] <= SIGNIFICANT) | rows["slice"].isin(named))


def slice_of_finding(finding: Finding) -> str | None:
    """The slice that a finding is about, written as the search writes slices. A sensitive group, a replica or a device is written in the
    subject of its finding.
    """
    name, sign, level = finding.subject.partition("=")
    return str(Slice(((name, level),))) if sign else finding.slice


def cases_of_slice_dot(here: ModelPage, point: clicks.Point, rows: pd.DataFrame, metric: str) -> clicks.CaseQuery | None:
    """The wrong predictions (or the failed requests) of a clicked slice."""
    number = clicks.row_of_mark(point, "y", len(rows))
    part = None if number is None else Slice.parse(rows["slice"].iloc[len(rows) - 1 - number])
    return clicks.cases_of_slice(here, part.conditions if part else (), clicks.error_condition(here.model.task, metric))


def weakest_slices_section(here: ModelPage, summary: Finding) -> None:
    """Draw the slices whose main loss is significantly higher than that of the rest, whether or not it changed."""
    rows = slice_frame(summary.evidence.get("weak", []))
    rows = rows[rows["p_adjusted"] <= SIGNIFICANT].head(MAX_SLICES)
    metric = HEADLINE.get(here.model.task or "", "accuracy")
    if rows.empty:
        st.caption("No slice is significantly worse than the rest.")
        return
    st.markdown("Significantly worse than the rest of this window, changed or not.")
    _slices_table(here, "weak-slices", f"{formatting.metric_title(metric)}: slices that are worse than the rest", rows, metric, "rest")
    csv_button("weak-slices", rows, key="weak-csv")


def _slices_table(here: ModelPage, key: str, caption: str, rows: pd.DataFrame, metric: str, beside: str) -> None:
    """Draw slices as a table; each row links to the performance page of its slice. beside: the column, `before` or `rest`, whose
    value a phone shows below the slice's own.
    """
    columns = columns_on_phone(
        "slice value n",
        column("slice", "Slice", strong=True),
        column("value", formatting.metric_title(metric), align="right", help="With its 95 % interval"),
        column(
            "before", "Before", align="right", help="The same slice in the reference, or the month before (of 20,000 sampled rows at most)"
        ),
        column("rest", "Other rows", align="right"),
        column("coverage", "Coverage", align="right", help="Share of the whole change (or of all errors) in the slice"),
        column("n", "n", align="right"),
    )
    draw_table(key, caption, columns, [_slice_row(here, row, metric, beside) for row in rows.to_dict("records")], compact=True)


def _slice_row(here: ModelPage, part: Mapping[Any, Any], metric: str, beside: str) -> dict[str, Any]:
    """One slice as a table row. beside: as in `_slices_table`."""
    units = METRICS[metric].unit, here.model.settings.unit
    slices = (here.scope.slice, Slice.parse(part["slice"]))
    conditions = [condition for outer in slices if outer for condition in outer.conditions]
    scope = replace(here.scope, slice=Slice(tuple(dict(conditions).items())))
    other = f"{'before' if beside == 'before' else 'others'} {formatting.format_value(part[beside], *units)}"
    return table_row(
        slice=links.link_cell(part["name"], "performance", scope, metric=metric),
        value=interval_cell(part["value"], part["low"], part["high"], *units) | {"phone": other},
        before=formatting.format_value(part["before"], *units),
        rest=formatting.format_value(part["rest"], *units),
        coverage=formatting.format_share(part["coverage"]),
        n=f"{part['n']:,}",
    )
