"""The decomposition of a change of performance into covariate shift and concept drift."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.window import Slice
from observability.dashboard import frame, links
from observability.dashboard.charts import waterfall as charts_waterfall
from observability.dashboard.charts.waterfall import signed_change_words
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import column, draw_table, number_columns, table_row
from observability.dashboard.widgets import plain_caption, plain_paragraph

ANALYZER = "serving/why_changed"
INPUTS, RELATION = "change_from_inputs", "change_from_relation"
BEFORE = {"reference": "Sample of the reference", "past": "Sample of the month before"}
"""Titles of the earlier level, by what the finding compares with."""
STEPS = {"before": "Before", "inputs": "Covariate shift", "relation": "Concept drift", "now": "Now"}
"""Titles of the levels and parts, by their names in the finding's evidence."""


def change_parts(found: Sequence[Finding]) -> dict[str, Finding]:
    """The findings about parts that have a value, by metric. If there are several versions, those of the version with most rows."""
    return {finding.metric: finding for finding in sorted(found, key=lambda finding: finding.n) if finding.value is not None}


def distinct_sentences(found: Sequence[Finding]) -> list[Finding]:
    """The findings without repeated sentences. If a change cannot be split, the findings about both parts have the same sentence."""
    return [finding for place, finding in enumerate(found) if finding.because not in {earlier.because for earlier in found[:place]}]


def _loss(here: ModelPage) -> tuple[str, str]:
    """Name and unit of the mean loss of the model's task."""
    return ("Mean absolute error", "") if here.model.task == "regression" else ("Error rate", "share")


def _change_steps_frame(finding: Finding) -> pd.DataFrame:
    """The waterfall as a table. Columns: step, value (of the level before, of the level now, or of a part), low, high, start, end, whole
    (True for a level), sure (the interval excludes zero).
    """
    parts = finding.evidence["parts"]
    level, rows = parts["before"][0], []
    for name, words in STEPS.items():
        value, low, high = parts[name]
        whole = name in ("before", "now")
        start, end = (0.0, value) if whole else (level, level + value)
        level = end
        title = BEFORE.get(finding.against, words) if name == "before" else words
        rows.append([title, value, low, high, start, end, whole, not low <= 0 <= high])
    return pd.DataFrame(rows, columns=["step", "value", "low", "high", "start", "end", "whole", "sure"])


def change_waterfall_section(here: ModelPage, found: Mapping[str, Finding]) -> None:
    """Draw the change from the earlier level to the present one, part by part."""
    finding = found[RELATION]
    rows, (name, unit) = _change_steps_frame(finding), _loss(here)
    before, inputs, relation, now = rows["value"]
    levels = f"{name} {formatting.format_value(before, unit)} → {formatting.format_value(now, unit)}"
    parts = f"covariate shift {signed_change_words(inputs, unit)}, concept drift {signed_change_words(relation, unit)}."
    words = f"{levels}. Unreliable split: {parts}" if finding.severity == "unknown" else f"{levels}: {parts}"
    plain_paragraph(words)
    figure = charts_waterfall.change_waterfall(rows, name=name, unit=unit)
    twin = rows[["step", "value", "low", "high"]]
    frame.chart_with_table(figure, twin, key="waterfall", alt=words, metrics=(INPUTS, RELATION))
    evidence = finding.evidence
    plain_caption(
        f"Samples by hash: {finding.n:,} labelled rows now, {evidence['baseline_n']:,} before; the Performance page has the "
        "figures of all rows. "
        f"{formatting.format_share(evidence['alone_now'])} of the window has no counterpart before."
    )


def covariate_shift_section(here: ModelPage, found: Mapping[str, Finding]) -> None:
    """Draw the inputs whose shift explains most of the change, each as a link to the drift of that input."""
    inputs = found[INPUTS].evidence["carried"] if INPUTS in found else []
    if not inputs:
        st.caption("No single input has a significant effect.")
        return
    unit = _loss(here)[1]
    st.markdown("Effect of the shift of each input alone on the mean loss. Inputs are correlated, so the effects overlap.")
    columns = (column("name", "Input", strong=True), column("value", "Effect", align="right", help="With its 95 % interval"))
    rows = []
    for part in inputs:
        interval = f"{signed_change_words(part['low'], unit)} to {signed_change_words(part['high'], unit)}"
        link = links.link_cell(part["name"], "drift", here.scope, feature=part["name"])
        rows.append(table_row(name=link, value={"t": signed_change_words(part["value"], unit), "sub": interval}))
    draw_table("inputs", "Inputs whose shift explains most", columns, rows, compact=True)


def concept_drift_section(here: ModelPage, found: Mapping[str, Finding]) -> None:
    """Draw the slices whose share of the concept drift is larger than their share of the rows; each slice links to its performance page."""
    slices = found[RELATION].evidence["carried"]
    if not slices:
        st.caption("No slice has more of the concept drift than its share of the rows.")
        return
    st.markdown("Slices with more of the concept drift than their share of the rows.")
    columns = (
        column("slice", "Slice", strong=True),
        *number_columns(part="Of the drift", share="Of the rows"),
    )
    rows = []
    for part in slices:
        scope = replace(here.scope, slice=Slice(((part["name"], part["level"]),)))
        link = links.link_cell(f"{part['name']} = {part['level']}", "performance", scope)
        rows.append(table_row(slice=link, part=formatting.format_share(part["of_part"]), share=formatting.format_share(part["share"])))
    draw_table("relation", "Slices with concept drift", columns, rows, compact=True)
