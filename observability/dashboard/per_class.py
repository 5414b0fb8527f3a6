"""Metrics of each class of a multiclass model, now and in the reference."""

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.dashboard import clicks, distributions, links, load
from observability.dashboard.cells import interval_cell
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import csv_button
from observability.metrics.performance import class_performance, outcome_aggregates

FIGURES = {
    "recall": "Recall",
    "precision": "Precision",
    "f1": "F1",
    "label_share": "Share of labels",
    "selection_rate": "Share of decisions",
}
UNITS = {"f1": "0 to 1"}


def per_class_frame(model: Model, counts: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """Return one row for each class and metric: class, metric, value, low, high, n, reference (the value of the metric in the
    reference).
    """
    now, then = class_performance(model, counts), class_performance(model, before) if before is not None and len(before) else {}
    rows = [
        [name, metric, figure.value, figure.low, figure.high, figure.n, then[name][metric].value if name in then else None]
        for name in now
        for metric, figure in ((metric, now[name][metric]) for metric in FIGURES)
    ]
    columns = ["class", "metric", "value", "low", "high", "n", "reference"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], float))


def per_class_section(here: ModelPage) -> None:
    """Draw the metrics of each class of a multiclass model; nothing for other models."""
    if here.model.task != "multiclass":
        return
    _, reference = distributions.compared_windows(here.model, here.window)
    counts = outcome_aggregates(here.model)["counts"]
    rows = per_class_frame(here.model, load.ask_store(counts, here.window), load.ask_store(counts, reference) if reference else None)
    if not rows["n"].max() > 0:
        return
    st.header("By class", anchor=False)
    st.markdown(formatting.sentence_markdown(lowest_recall_sentence(rows)))
    columns = [column("class", "Class", strong=True), column("n", "Labelled", align="right")]
    columns += [column(metric, title, align="right", help="With 95 % interval and reference") for metric, title in FIGURES.items()]
    drawn = []
    for name, part in rows.groupby("class", sort=False):
        figures = part.set_index("metric").drop(columns="class").astype(float)
        cells: dict[str, Cell] = {"class": _class_cell(here, str(name)), "n": {"t": formatting.format_count(figures["n"]["recall"])}}
        cells |= {metric: _class_metric_cell(metric, *figures.loc[metric, ["value", "low", "high", "reference"]]) for metric in FIGURES}
        drawn.append(table_row(cells))
    draw_table("classes", "Metrics by class", columns, drawn, compact=True)
    csv_button("classes", rows)


def _class_cell(here: ModelPage, name: str) -> Cell:
    """Return the cell of the class, which links to its misclassified predictions."""
    label = clicks.equality_condition("label", name)
    return links.link_cell(name, "cases", here.scope, q=f"{label} and outcome = wrong", order=clicks.LARGEST) if label else {"t": name}


def _class_metric_cell(metric: str, value: float, low: float, high: float, reference: float) -> Cell:
    """Return a cell with a value, and its interval and reference below."""
    unit = UNITS.get(metric, "share")
    if value != value:
        return {"t": formatting.DASH, "title": "No rows"}
    cell = interval_cell(value, low, high, unit)
    if reference == reference:
        cell["sub"] = f"{cell['sub']}\nreference {formatting.format_value(reference, unit)}"
    return cell


def lowest_recall_sentence(rows: pd.DataFrame) -> str:
    """Return a sentence on the class with the lowest recall, with its value in the reference."""
    known = rows[(rows["metric"] == "recall") & rows["value"].notna()]
    if known.empty:
        return "No labels of any class yet."
    least = known.sort_values(["value", "class"], kind="stable").iloc[0]
    recall = formatting.value_with_interval(least["value"], least["low"], least["high"], "share")
    reference = f"; {formatting.format_share(least['reference'])} in the reference" if least["reference"] == least["reference"] else ""
    return f"Lowest recall: `{least['class']}`, {recall} of {formatting.format_count(least['n'])} labelled predictions{reference}."
