"""The most important inputs of a frozen week, and a chart of the first input over the reference."""

from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.dashboard import distributions, frame, links, load
from observability.dashboard.cells import frozen_interval_words
from observability.dashboard.charts.overlay import distribution_overlay
from observability.dashboard.review.fleet import frozen_scope
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import plain_caption
from observability.review import sentences

COLUMNS = (
    column("feature", "Input", strong=True),
    column("drift", "Drift (PSI)", align="right", width="9rem"),
    column("share", "Importance", align="right", width="8rem"),
    column("impact", "Drift impact", align="right", width="7rem", help="Drift × importance, a heuristic"),
    column("n", "n", align="right", width="5rem"),
)
SHOWN = 5


def ranked_inputs(room: ReviewPage) -> None:
    """Draw the inputs of each model, ranked by drift × importance, and a chart of the first input over the reference."""
    for part in room.body["models"]:
        found = part.get("inputs", {"why": sentences.OLDER})
        if "why" in found:
            if part["served"]:
                plain_caption(f"{part['model']}: {found['why']}")
            continue
        st.subheader(formatting.escape_markdown(part["model"]), anchor=False)
        plain_caption(found["said"])
        left, right = st.columns([3, 2], gap="large")
        with left:
            rows = [_ranked_input_row(room, part["model"], each, found["by"]) for each in found["rows"][:SHOWN]]
            draw_table(f"ranked-{part['model']}", f"Inputs of {part['model']} by drift and importance", COLUMNS, rows, compact=True)
        with right:
            _input_overlay(part["model"], found)


def _ranked_input_row(room: ReviewPage, model: str, each: dict[str, Any], by: str) -> dict[str, Any]:
    """The table row of one input: its drift, its importance (from attributions or the settings) and the product of both."""
    target = links.link_cell(each["feature"], "drift", frozen_scope(room, model), feature=each["feature"])
    return table_row(
        feature={"s": each["severity"], **target},
        drift={"t": formatting.format_number(each["drift"]), "sub": frozen_interval_words({"unit": "", **each})},
        share={"t": formatting.format_share(each["share"]), "sub": "from settings" if by == "settings" else None},
        impact=formatting.format_number(each["impact"]),
        n=formatting.format_count(each["n"]),
    )


def _input_overlay(model: str, found: dict[str, Any]) -> None:
    """Draw the distributions of the first input and of the reference, from frozen counts."""
    kept = found.get("overlay")
    known = load.catalog().model(model) if kept else None
    version = known.version(kept["version"]) if known and kept else None
    edges = distributions.column_edges(version, kept["column"]) if version and kept else None
    if kept is None or edges is None:
        return
    sides = [pd.DataFrame(kept[name], columns=["bin", "w"]) for name in ("current", "reference")]
    name = found["rows"][0]["feature"]
    shown = distributions.overlay_frame(edges, *sides)
    figure = distribution_overlay(shown, name=name)
    frame.chart_with_table(figure, shown, key=f"overlay-{model}", alt=f"{name} of {model}: this week and the reference.", metrics=("psi",))
