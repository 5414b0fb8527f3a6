"""Which inputs mattered most in the frozen week, and how do the week and the reference differ in the first of them?"""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import distributions, frame, links, load
from observability.dashboard.charts import drift as charts_drift
from observability.dashboard.review.fleet import scope_of
from observability.dashboard.review.review import Room
from observability.dashboard.table import column, row, table
from observability.review import sentences

COLUMNS = (
    column("feature", "Input", strong=True),
    column("drift", "Drift (PSI)", align="right", width="9rem"),
    column("share", "Importance", align="right", width="8rem"),
    column(
        "impact", "Product", align="right", width="7rem", help="Drift × importance, a heuristic: what moved and is listened to comes first"
    ),
    column("n", "n", align="right", width="5rem"),
)
SHOWN = 5


def ranked(room: Room) -> None:
    """For each model its inputs by drift × importance, and the first of them over the reference."""
    for part in room.body["models"]:
        found = part.get("inputs", {"why": sentences.OLDER})
        if "why" in found:
            if part["served"]:
                st.caption(formatting.plain(f"{part['model']}: {found['why']}"))
            continue
        st.subheader(formatting.plain(part["model"]), anchor=False)
        st.caption(formatting.plain(found["said"]))
        left, right = st.columns([3, 2], gap="large")
        with left:
            rows = [as_row(room, part["model"], each, found["by"]) for each in found["rows"][:SHOWN]]
            table(f"ranked-{part['model']}", f"Inputs of {part['model']} by drift and importance", COLUMNS, rows, compact=True)
        with right:
            overlay(part["model"], found)


def as_row(room: Room, model: str, each: dict[str, Any], by: str) -> dict[str, Any]:
    """One input."""
    reach = (
        f"{formatting.number(each['low'])} to {formatting.number(each['high'])}"
        if each["low"] is not None and each["high"] is not None
        else None
    )
    return row(
        {
            "feature": {"s": each["severity"], **links.link(each["feature"], "drift", scope_of(room, model), feature=each["feature"])},
            "drift": {"t": formatting.number(each["drift"]), "sub": reach},
            "share": {
                "t": formatting.DASH if each["share"] is None else formatting.share(each["share"]),
                "sub": "as set" if by == "settings" else None,
            },
            "impact": {"t": formatting.number(each["impact"])},
            "n": {"t": formatting.count(each["n"])},
        }
    )


def overlay(model: str, found: dict[str, Any]) -> None:
    """The week's first input beside the reference, from the frozen counts."""
    import pandas as pd

    kept = found.get("overlay")
    known = load.catalog().model(model) if kept else None
    version = known.version(kept["version"]) if known and kept else None
    edges = distributions.edges_of(version, kept["column"]) if version and kept else None
    if kept is None or edges is None:
        return
    sides = [pd.DataFrame(kept[name], columns=["bin", "w"]) for name in ("current", "reference")]
    name = found["rows"][0]["feature"]
    if edges.levels:
        shown = distributions.levels(edges, *sides)
        figure = charts_drift.overlay_levels(shown, name=name)
    else:
        shown = distributions.numbers(edges, *sides)
        figure = charts_drift.overlay_numbers(shown, name=name)
    frame.chart(figure, shown, key=f"overlay-{model}", alt=f"{name} of {model}: this week beside the reference.", metrics=("psi",))
