"""The performance page: metrics, errors, and the worst levels of a column."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import Finding, claim_period, with_window_value
from observability.core.metric_definitions import LABEL_UNIT
from observability.core.questions import Aggregate, Bucket
from observability.core.window import Slice
from observability.dashboard import choice_box, clicks, distributions, empty_states, frame, links, load
from observability.dashboard.cells import severity_cell
from observability.dashboard.charts import outcomes as charts_outcomes
from observability.dashboard.frame import ModelPage
from observability.dashboard.overview import findings
from observability.dashboard.paged_names import searched_options
from observability.dashboard.scope import BIND
from observability.dashboard.serving import slices
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, cut_note, plain_caption, plain_paragraph
from observability.investigation.label_types import class_words
from observability.metrics.performance import confusion_matrix, outcome_aggregates

COLUMNS = columns_on_phone(
    "metric value status",
    column("metric", "Metric", strong=True),
    *number_columns(value="Value", interval="95 % interval", baseline="Baseline", n="Rows"),
    column("status", "Status"),
)


def measured_by_metric(found: Sequence[Finding]) -> dict[str, Finding]:
    """The findings that have a value, by metric; label maturity is left out."""
    return {finding.metric: finding for finding in reversed(found) if finding.value is not None and finding.metric != "label_maturity"}


def measured_metric_box(metrics: dict[str, Finding], model: Model) -> Finding:
    """Draw the box for the metric, and return the finding of the chosen metric; the default is the model's main metric."""
    return metrics[choice_box.metric_selectbox(sorted(metrics), model.task, "was not measured here")]


def metric_rows(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """The table rows of all metrics over the whole window. If the last days are worse, they are shown below the status."""
    rows = []
    for finding in found:
        whole, days = with_window_value(finding), claim_period(finding)
        worst_days = f"{days} {formatting.format_value(finding.value, finding.unit)}" if days else None
        cells: dict[str, Cell] = {
            "metric": {"t": formatting.metric_title(whole.metric)},
            "value": {"t": formatting.format_value(whole.value, whole.unit, load.label_unit(whole.model))},
            "interval": {"t": formatting.format_interval(whole.low, whole.high, whole.unit)},
            "baseline": {
                "t": formatting.format_value(whole.evidence.get("baseline"), whole.unit),
                "sub": findings.BASELINES.get(whole.against),
            },
            "n": {"t": f"{whole.n:,}"},
            "status": {**severity_cell(whole.severity), "sub": worst_days, "title": whole.because.replace("`", "")},
        }
        rows.append(table_row(cells))
    return rows


def metrics_section(found: Sequence[Finding]) -> None:
    """Draw the table of all metrics, with downloads of its CSV and of the findings behind it."""
    draw_table("metrics", "Measured metrics", COLUMNS, metric_rows(found), compact=True)
    with st.container(horizontal=True, gap="small"):
        csv_button("metrics", lambda: metrics_frame(found), label="Table as CSV")
        findings.findings_downloads(found, "performance", what="Findings as ")


def metrics_frame(found: Sequence[Finding]) -> pd.DataFrame:
    """The table of all metrics: metric, value, low, high, baseline and n of the window, severity, and the days and the value that the claim
    is about.
    """
    names = ("metric", "value", "low", "high", "n", "severity")
    rows = []
    for finding in found:
        whole = with_window_value(finding)
        window = {name: getattr(whole, name) for name in names} | {"baseline": whole.evidence.get("baseline")}
        rows.append(window | {"worst_look": claim_period(finding), "value_there": finding.value})
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high", "baseline", "n", "severity", "worst_look", "value_there"])


def errors_section(here: ModelPage) -> None:
    """Draw the confusion matrix of a classifier, or the distribution of errors of a regression."""
    if here.model.task == "regression":
        _regression_errors(here)
        return
    counts = load.ask_store(outcome_aggregates(here.model, Bucket("day"))["counts"], here.window)
    matrix = confusion_matrix(here.model, counts)
    total = float(matrix.sum())
    if total <= 0:
        empty_states.no_rows_state("labelled decisions")
        return
    classes = here.model.classes or ("0", "1")
    wrong = total - float(np.trace(matrix))
    counted = f"{formatting.format_count(wrong)} of {formatting.format_count(total)} decisions"
    words = f"{formatting.format_share(wrong / total)} wrong: {counted}."
    plain_paragraph(words)
    names = [class_words(here.model, name) for name in classes]
    figure, twin = charts_outcomes.confusion_heatmap(matrix.tolist(), names), confusion_frame(matrix, names)
    on_cell = clicks.cases_on_click("confusion", lambda point: cases_of_confusion_cell(here, point, classes))
    metrics = ("accuracy", "precision", "recall")
    frame.chart_with_table(figure, twin, key="confusion", alt=words, metrics=metrics, on_select=on_cell)


def cases_of_confusion_cell(here: ModelPage, point: clicks.Point, classes: Sequence[str]) -> clicks.CaseQuery | None:
    """The predictions of a clicked cell of the confusion matrix."""
    label, decision = (clicks.row_of_mark(point, axis, len(classes)) for axis in ("y", "x"))
    if label is None or decision is None:
        return None
    parts = [clicks.equality_condition("label", classes[label]), clicks.equality_condition("answer", classes[decision])]
    return clicks.CaseQuery(here.scope, " and ".join(part for part in parts if part), clicks.LARGEST) if all(parts) else None


def confusion_frame(matrix: Any, classes: Sequence[str]) -> pd.DataFrame:
    """The confusion matrix as a table: label, decision, n, and share of the rows with that label."""
    totals = matrix.sum(axis=1)
    cells = [
        [label, decision, round(float(matrix[i, j])), float(matrix[i, j] / totals[i]) if totals[i] else None]
        for i, label in enumerate(classes)
        for j, decision in enumerate(classes)
    ]
    return pd.DataFrame(cells, columns=["label", "decision", "n", "share_of_label"])


def _regression_errors(here: ModelPage) -> None:
    """Draw the distribution of errors of a regression, with the bin edges of the reference."""
    version, window = distributions.analyzed_version(here.model, here.window, here.window.version)
    edges = version.edges.get("error") if version else None
    if edges is None:
        st.caption("Register this version with a reference to see its error distribution.")
        return
    current = load.ask_store(Aggregate("outcomes", keys=(Bucket("day"),), histogram=("error",)), window)
    reference = load.ask_store(Aggregate("outcomes", histogram=("error",)), window.reference())
    twin = distributions.histogram_frame(edges, _ordinary_bins(current), _ordinary_bins(reference))
    if not twin["n_current"].sum():
        empty_states.no_rows_state("labelled predictions")
        return
    words = error_sides(twin, here.model.settings.unit)
    plain_paragraph(words)
    on_step = clicks.cases_on_click("errors", lambda point: distributions.cases_of_step(here, point, twin, "error"))
    frame.chart_with_table(
        charts_outcomes.error_histogram(twin, here.model.settings.unit),
        twin,
        key="errors",
        alt=words,
        metrics=("bias", "mae"),
        on_select=on_step,
    )


def error_sides(steps: pd.DataFrame, unit: str | None = None) -> str:
    """A sentence with the shares of labelled predictions that are too high and too low. steps: the histogram steps of the error, with low,
    high and current. unit: the label's unit.

    The step that contains zero has errors of both signs, so it belongs to neither side; the sides start at its ends.
    """
    above, below = steps[steps["low"] >= 0], steps[steps["high"] <= 0]
    high, low = float(above["current"].sum()), float(below["current"].sum())
    sides: list[str] = []
    for share, side, ends in ((high, "too high", above["low"]), (low, "too low", -below["high"])):
        least = float(ends.min()) if len(ends) else 0.0
        by = f" by {formatting.format_value(least, LABEL_UNIT, unit)} or more" if least > 0 else ""
        sides.append(f"{formatting.format_share(share)} {'of labelled predictions ' if not sides else ''}{side}{by}")
    between = 1 - high - low
    if len(above) + len(below) < len(steps):
        sides.append(f"{formatting.format_share(max(between, 0.0))} between")
    return f"{', '.join(sides)}."


def _ordinary_bins(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without the bins of special values, which have negative numbers."""
    return rows[rows["bin"] >= 0]


def slice_levels_section(here: ModelPage, finding: Finding) -> None:
    """Draw the box to choose a column, and the column's worst levels by the metric. Each level is a link that makes it the slice."""
    offered = slices.slice_columns(here.model)
    names = searched_options(list(offered), "Search columns", "by", st.session_state.get("by") or st.query_params.get("by"))
    name = st.selectbox("Column", names, index=None, placeholder="Choose a column to slice by", key="by", bind=BIND, width=280)
    if name is None and _worst_levels_anywhere(here, finding):
        return
    if name is None:
        name = next(iter(offered))
        plain_caption(f"No replica, device, version or sensitive group is significantly worse than all rows. Shown: {name}.")
    levels = frame.answer_or_stop(lambda: slices.worst_levels(here.model, here.window, offered[name], finding.metric))
    if levels.empty:
        empty_states.no_rows_state()
        return
    title = formatting.metric_title(finding.metric)
    columns = columns_on_phone(
        "level value interval",
        column("level", name, strong=True),
        column("value", title, align="right"),
        column("interval", "95 % interval", width="11rem", help="Dashed: all rows"),
        column("n", "Labelled", align="right"),
    )
    draw_table("slices", f"{title} by {name}, worst first", columns, _slice_level_rows(here, name, finding, levels), compact=True)
    cut_note(len(levels), slices.MAX_LEVELS, "The first {0} of {1} levels.")
    csv_button(f"{finding.metric}-by-{name}", levels, key="slices-csv")


def _worst_levels_anywhere(here: ModelPage, finding: Finding) -> bool:
    """Draw the levels of rolled-up columns that are significantly worse than all rows, each as a link to its column. Returns whether there
    are any.
    """
    found = frame.answer_or_stop(lambda: slices.worst_levels_of_all_columns(here.model, here.window, finding.metric, finding.value or 0.0))
    if found.empty:
        return False
    title = formatting.metric_title(finding.metric)
    columns = (column("level", "Where", strong=True), column("value", title, align="right"), column("n", "Labelled", align="right"))
    rows = []
    for level in found.head(slices.MAX_LEVELS // 2).to_dict("records"):
        name = f"{level['column']} = {level['level']}"
        value = {
            "t": formatting.format_value(level["value"], finding.unit),
            "sub": f"all rows {formatting.format_value(finding.value, finding.unit)}",
        }
        link = links.link_cell(name, "performance", here.scope, by=str(level["column"]), metric=finding.metric)
        rows.append(table_row(level=link, value=value, n=f"{level['n']:,}"))
    draw_table("worst-anywhere", f"{title}: significantly worse than all rows", columns, rows, compact=True)
    st.caption("Replicas, devices, versions and sensitive groups with at least 100 labels. Choose a column to see all of its levels.")
    return True


def _slice_level_rows(here: ModelPage, name: str, finding: Finding, levels: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of the slice table; their intervals are drawn on one common scale."""
    shown = levels.head(slices.MAX_LEVELS)
    ends = shown.loc[shown["enough"], ["low", "high", "value"]].astype(float)
    low, high = (float(np.nanmin(ends)), float(np.nanmax(ends))) if ends.notna().any(axis=None) else (0.0, 1.0)
    rows = []
    for row in shown.to_dict("records"):
        level = str(row["level"])
        scope = replace(here.scope, slice=Slice(((name, level),)))
        cells: dict[str, Cell] = {
            "level": links.link_cell(level, "performance", scope, by=name),
            "value": {"t": formatting.format_value(row["value"], finding.unit)},
            "n": {"t": f"{row['n']:,}", "title": f"{row['served']:,} served"},
        }
        if not row["enough"]:
            cells["value"] |= {"s": "unknown", "title": f"Fewer than {slices.MINIMUM_LABELS} labelled rows"}
        elif row["low"] is not None and row["low"] == row["low"]:
            bar = {"v": row["value"], "low": row["low"], "high": row["high"], "min": low, "max": high, "whole": finding.value}
            cells["interval"] = {"title": formatting.format_interval(row["low"], row["high"], finding.unit), "interval": bar}
        rows.append(table_row(cells))
    return rows
