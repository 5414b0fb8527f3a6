"""The figures of a leakage audit: how well single features predict the label, and which held-out rows are also training rows."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.trust.audits import NAME, audit_value_words
from observability.core import formatting
from observability.core.numerals import percent
from observability.dashboard import frame
from observability.dashboard.cells import share_cell
from observability.dashboard.charts import audits as charts_audits
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import plain_caption, plain_paragraph, unavailable_note
from observability.detection.audit_history import HEADLINES, StoredAudit
from observability.metrics.audit_model import KNOWS

SHOWN = 15
MODEL = "the model"
MEASURES = {"roc_auc": "ROC AUC", "accuracy": "accuracy", "mae": "mean absolute error"}
OVERLAPS = (
    column("held", "Held-out rows", strong=True),
    column("exact", "Exact", align="right"),
    column("near", "Nearly", align="right"),
    column("same", "Same label", align="right", phone=False, help="Exact matches that also have the label of an equal training row"),
    column("usual", "Among training rows", align="right", phone=False, help="Training rows that equal another training row"),
)


def known_label_rows(results: Mapping[str, Any]) -> pd.DataFrame:
    """How well each feature alone, and the model, predict the label; best first. Columns: name, value, low, high, n."""
    names = ["name", "value", "low", "high", "n"]
    own = results.get("model")
    rows = [*results["features"], *([{"name": MODEL, **own}] if own else [])]
    return pd.DataFrame(rows, columns=names).sort_values("value", ascending=False, kind="stable", ignore_index=True)


def leakage_figure(here: ModelPage, audit: StoredAudit) -> None:
    """Draw how well each feature alone predicts the label, beside the model."""
    results = audit.results
    rows = known_label_rows(results)
    shown = pd.concat([rows.head(SHOWN), rows[rows["name"] == MODEL]]).drop_duplicates("name", ignore_index=True)
    level = here.model.settings.limits.get(f"{NAME}/{HEADLINES['leakage']}", KNOWS)
    figure = charts_audits.audited_group_dots(shown, "how well the label is predicted: 0 % chance, 100 % perfect", level)
    metrics = (HEADLINES["leakage"], *results["further"])
    frame.chart_with_table(figure, rows, key="leakage", alt=f"{audit_value_words(audit)}.", metrics=metrics)
    plain_caption(
        f"Measure: {MEASURES.get(results['measure'], results['measure'])} of trees on a single feature, on {results['rows']['n']:,} rows "
        f"of {results['rows']['from']}; each tree was fitted on other rows. {model_note(results)}"
    )
    if said := later_words(results):
        plain_paragraph(said)


def model_note(results: Mapping[str, Any]) -> str:
    """A sentence that states whether the model was fitted on the rows of this comparison; empty if it was not."""
    if results.get("model") is None:
        return "How well the model predicts the label cannot be compared."
    return "The model was fitted on these rows." if results["rows"].get("in_sample") else ""


def later_words(results: Mapping[str, Any]) -> str:
    """A sentence on which strong features predict the label significantly worse on served rows; empty if they were not measured on served
    rows.
    """
    again = [each for each in results["features"] if each.get("served")]
    if not again:
        return ""
    lost = [each for each in again if (high := each["lost"]["high"]) is not None and high < 0]
    if not lost:
        names = f"{formatting.join_words([each['name'] for each in again])} predict{'s' if len(again) == 1 else ''}"
        return f"On {results['rows']['served']:,} served rows, {names} the label about as well as before (no significant loss)."
    parts = [f"{each['name']} {percent(each['served']['value'])}, before {percent(each['value'])}" for each in lost]
    return (
        f"On {results['rows']['served']:,} served rows, the label is predicted significantly worse by {'; '.join(parts)}. "
        "A possible cause is a feature that is filled in after the outcome."
    )


def leakage_details(_here: ModelPage, audit: StoredAudit) -> None:
    """Draw the section about held-out rows that are also training rows."""
    results = audit.results
    st.header("Training rows among held-out rows", anchor=False)
    if not results.get("overlaps"):
        unavailable_note(results["further"]["training_overlap"].get("why") or "No rows were compared.")
        return
    rows = []
    for each in results["overlaps"]:
        exact = each["exact"]["value"] * each["held"]["n"]
        rows.append(
            table_row(
                held={"t": each["held"]["are"], "sub": f"{each['held']['n']:,} rows"},
                exact=share_cell(*(each["exact"][end] for end in ("value", "low", "high"))),
                near=share_cell(*(each["near"][end] for end in ("value", "low", "high"))),
                same={"t": f"{each['same_label']:,} of {exact:,.0f}"},
                usual=share_cell(*(each["among_training"][end] for end in ("value", "low", "high"))),
            )
        )
    draw_table("overlaps", "Training rows among held-out rows", OVERLAPS, rows, compact=True)
    training = results["overlaps"][0]["training"]
    plain_caption(
        f"Against {training['n']:,} {training['are']}. Rows of coarse features are equal by chance as well: "
        "compare with the share among training rows."
    )
