"""The figures of an audit of fairness under distribution shift: the gap between groups under each shift, and the rates of the groups under
the worst shift.
"""

from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.trust.audits import NAME, RATE_WORDS, audit_value_words
from observability.core import formatting
from observability.dashboard import frame
from observability.dashboard.charts import audits as charts_audits
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import csv_button, plain_caption
from observability.detection.audit_history import HEADLINES, StoredAudit

SHOWN = 16
RATES = (
    column("group", "Group", strong=True),
    column("reference", "Reference", align="right"),
    column("shifted", "Worst shift", align="right"),
)


def shift_gap_rows(results: dict[str, Any], attribute: str, rate: str) -> pd.DataFrame:
    """The gap between groups for one attribute and rate, one row per shift, largest first. Columns: name, kind, value, low, high, n,
    divergence, lowest, highest.
    """
    rows = []
    for shift in results["shifts"]:
        gap = shift.get("gaps", {}).get(attribute, {}).get(rate)
        if gap is not None:
            about = {"name": shift["shift"], "kind": shift["kind"], "divergence": shift["divergence"], "n": round(shift["effective_rows"])}
            rows.append(about | gap)
    names = ["name", "kind", "value", "low", "high", "n", "divergence", "lowest", "highest"]
    return pd.DataFrame(rows, columns=names).sort_values("value", ascending=False, kind="stable", ignore_index=True)


def shift_figure(here: ModelPage, audit: StoredAudit) -> None:
    """Draw the gap between groups under each shift, for one attribute and one rate that the reader chooses."""
    results, worst = dict(audit.results), audit.results["worst"]
    attributes = sorted({name for shift in results["shifts"] for name in shift.get("gaps", {})})
    rates = list(dict.fromkeys(rate for shift in results["shifts"] for own in shift.get("gaps", {}).values() for rate in own))
    left, right = st.columns(2)
    attribute = left.segmented_control("Groups by", attributes, default=worst["attribute"], key="shift-attribute")
    rate = right.selectbox("Rate", rates, rates.index(worst["rate"]), RATE_WORDS.__getitem__, key="shift-rate", width=280)
    rows = shift_gap_rows(results, attribute or worst["attribute"], rate)
    usual = rows[rows["kind"].isin(("none", "served"))]
    shown = pd.concat([rows.head(SHOWN), usual]).drop_duplicates("name").sort_values("value", ascending=False, kind="stable")
    level = here.model.settings.limits.get(f"{NAME}/{HEADLINES['fairness']}")
    words = f"difference of the {RATE_WORDS[rate or worst['rate']].lower()} between groups"
    figure = charts_audits.audited_group_dots(shown, words, level)
    metrics = (HEADLINES["fairness"],)
    frame.chart_with_table(figure, shown, key="shifts", alt=f"{audit_value_words(audit)}.", metrics=metrics)
    facts = results["rows"]
    served = f", also to the inputs of {facts['served']:,} served requests of {facts['served_days']} days" if facts["served"] else ""
    plain_caption(
        f"{facts['reference']:,} rows of the reference, reweighted by {len(results['shifts']) - 1} shifts{served}. "
        f"The worst lies within {results['divergence']} nats; it is chosen on one half of the rows and measured on the other."
    )


def shift_details(_here: ModelPage, audit: StoredAudit) -> None:
    """Draw the rate of each group in the reference and under the worst shift."""
    worst = audit.results["worst"]
    st.header("Rates under the worst shift", anchor=False)
    groups = audit.results.get("groups", {}).get(worst["attribute"], {})
    rows = [table_row(group=level, reference=_rate_cell(own), shifted=_rate_cell(own["shifted"])) for level, own in groups.items()]
    words = f"{RATE_WORDS[worst['rate']]} by {worst['attribute']}: {worst['shift']}"
    draw_table("shifted-rates", words, RATES, rows, compact=True)
    flat = [
        {
            "group": level,
            **{f"{side}_{part}": cell[part] for side, cell in (("reference", own), ("shifted", own["shifted"])) for part in PARTS},
        }
        for level, own in groups.items()
    ]
    csv_button("rates-under-shift", pd.DataFrame(flat))
    if worst["before"] is not None:
        shares = f"{formatting.format_share(worst['before'])} to {formatting.format_share(worst['after'])}"
        plain_caption(f"{words}. The share of these rows rises from {shares}.")


PARTS = ("value", "low", "high", "n")


def _rate_cell(cell: dict[str, Any]) -> Cell:
    """A rate with its interval."""
    if cell.get("value") is None:
        return {"t": "–"}
    return {"t": formatting.format_share(cell["value"]), "sub": formatting.format_interval(cell["low"], cell["high"], "share")}
