"""What the cleaning rules of an audited dataset do to a model: its metric with and without the rows that each rule drops."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.metric_definitions import METRICS
from observability.core.numerals import format_figure
from observability.core.questions import Records
from observability.core.window import Window
from observability.dashboard import load
from observability.dashboard.cells import UNKNOWN_CELL, count_and_share_cell
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import plain_paragraph
from observability.metrics.data_audit import suspect_accuracy_words

AUDITED = Records("cleaning", ("rule", "dataset", "version", "at", "rows_in", "rows_dropped", "extra"))
COLUMNS = columns_on_phone(
    "rule dropped gap",
    column("rule", "Rule", strong=True),
    *number_columns(dropped="Rows it drops"),
    column("before", "With them", align="right", help="The metric of a model fitted on all rows, on held-out rows"),
    column("after", "Without them", align="right", help="The metric of the model fitted without these rows, on the same held-out rows"),
    column("gap", "Difference", align="right", help="With its 95 % interval, over the folds of cross-validation"),
    column(
        "kept", "Of kept rows", align="right", help="The metric of the model fitted on all rows, counted on the rows that the rule keeps"
    ),
)


def audited_rules(runs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The rules of the newest audit of a dataset with the effect of each: rule, rows_in, rows_dropped, effect; empty without one."""
    extra = runs["extra"].map(lambda each: each.get("effect") if isinstance(each, Mapping) else None)
    found = runs.assign(effect=extra)[(runs["dataset"] == dataset) & extra.map(lambda each: isinstance(each, Mapping))]
    return found[found["version"] == found["version"].iloc[-1]].drop_duplicates("rule", keep="last") if len(found) else found


def audit_effects_section(window: Window, dataset: str | None) -> None:
    """Draw the table of the newest audit of a dataset; nothing where none was made."""
    if not dataset:
        return
    rules = audited_rules(load.ask_store(AUDITED, window), dataset)
    if rules.empty:
        return
    metric = str(rules["effect"].iloc[0].get("metric"))
    title = METRICS[metric].title if metric in METRICS else metric
    st.header("Effect on the model", anchor=False)
    st.markdown(
        formatting.escape_markdown(f"{title} of a model fitted with and without the rows that each rule drops, on the same held-out rows.")
    )
    lines = [table_row(_effect_cells(run)) for run in rules.to_dict("records")]
    draw_table("audit-effects", f"{title} with and without the rows of each rule", COLUMNS, lines, compact=True)
    for own in (effect.get("own_model") for effect in rules["effect"]):
        if isinstance(own, Mapping):
            plain_paragraph(f"{suspect_accuracy_words(own)} A fitted model contradicts suspect labels; people have not checked them.")


def _effect_cells(run: Mapping[Any, Any]) -> dict[str, Cell]:
    """The cells of one rule."""
    effect: Mapping[str, Any] = run["effect"]
    before, after, low, high, kept = (_number(effect.get(name)) for name in ("before", "after", "low", "high", "metric_of_kept_rows"))
    gap: Cell = dict(UNKNOWN_CELL)
    if before is not None and after is not None:
        ends = None if low is None or high is None else f"{format_figure(low, 3, sign=True)} to {format_figure(high, 3, sign=True)}"
        gap = {"t": format_figure(after - before, 3, sign=True), "sub": ends}
    return {
        "rule": {"t": str(run["rule"])},
        "dropped": count_and_share_cell(int(run["rows_dropped"]), int(run["rows_in"])),
        "before": {"t": formatting.format_number(before, 4)},
        "after": {"t": formatting.format_number(after, 4)},
        "gap": gap,
        "kept": {"t": formatting.format_number(kept, 4)},
    }


def _number(value: Any) -> float | None:
    """A logged number; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
