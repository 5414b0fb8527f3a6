"""How right is a model of several classes, class by class, now and in the reference?"""

from typing import TYPE_CHECKING

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.dashboard import clicks, distributions, frame, links, load
from observability.dashboard.frame import Here
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.metrics.performance import by_class, outcome_aggregates
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

FIGURES = {
    "recall": "Recall",
    "precision": "Precision",
    "f1": "F1",
    "label_share": "Share of labels",
    "selection_rate": "Share of decisions",
}
UNITS = {"f1": "0 to 1"}


def class_frame(model: Model, counts: "DataFrame", before: "DataFrame | None") -> "DataFrame":
    """class, metric, value, low, high, n, and `reference`: the value there; one row for each class and figure."""
    import pandas as pd

    now, then = by_class(model, counts), by_class(model, before) if before is not None and len(before) else {}
    rows = [
        [name, metric, *ends(now[name][metric]), then[name][metric].value if name in then else None] for name in now for metric in FIGURES
    ]
    columns = ["class", "metric", "value", "low", "high", "n", "reference"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], float))


def ends(each: Interval) -> tuple[float | None, float | None, float | None, float]:
    """Value, interval and n."""
    return each.value, each.low, each.high, each.n


def class_by_class(here: Here) -> None:
    """The table of a model of several classes; nothing for others."""
    if here.model.task != "multiclass":
        return
    version, window = distributions.judged_version(here.model, here.window, here.window.version)
    asked = outcome_aggregates(here.model)["counts"]
    before = load.frame(asked, window.reference()) if version is not None and version.reference_rows else None
    rows = class_frame(here.model, load.frame(asked, here.window), before)
    if not rows["n"].max() > 0:
        return
    st.header("Class by class", anchor=False)
    st.markdown(formatting.sentence(least_found(rows)))
    columns = [column("class", "Class", strong=True), column("n", "Labelled", align="right")]
    columns += [column(metric, title, align="right", help="With its 95 % interval, and the reference") for metric, title in FIGURES.items()]
    drawn = []
    for name, part in rows.groupby("class", sort=False):
        of = part.set_index("metric")
        cells: dict[str, Cell] = {"class": of_class(here, str(name)), "n": {"t": formatting.count(of["n"].astype(float)["recall"])}}
        cells |= {metric: figure(metric, *of.loc[metric, ["value", "low", "high", "reference"]].astype(float)) for metric in FIGURES}
        drawn.append(row(cells))
    table("classes", "Figures of each class", columns, drawn, compact=True)
    frame.download("classes.csv", lambda: inert_csv(rows), "CSV", key="classes-csv")


def of_class(here: Here, name: str) -> Cell:
    """The class, a link to its labelled predictions that were decided otherwise."""
    label = clicks.equals("label", name)
    return links.link(name, "cases", here.scope, q=f"{label} and outcome = wrong", order=clicks.LARGEST) if label else {"t": name}


def figure(metric: str, value: float, low: float, high: float, reference: float) -> Cell:
    """A figure over its interval and the reference's."""
    unit = UNITS.get(metric, "share")
    if value != value:
        return {"t": formatting.DASH, "title": "No rows to tell it from"}
    sub = f"{formatting.amount(low, unit)} to {formatting.amount(high, unit)}"
    return {
        "t": formatting.amount(value, unit),
        "sub": sub + (f"\nreference {formatting.amount(reference, unit)}" if reference == reference else ""),
    }


def least_found(rows: "DataFrame") -> str:
    """Which class is found least often, and what happened to it in the reference."""
    known = rows[(rows["metric"] == "recall") & rows["value"].notna()]
    if known.empty:
        return "No label of any class is known yet."
    least = known.sort_values(["value", "class"], kind="stable").iloc[0]
    said = (
        f"Found least often is `{least['class']}`: {formatting.share(least['value'])} of its {formatting.count(least['n'])} labelled predictions "
        f"({formatting.share(least['low'])} to {formatting.share(least['high'])})"
    )
    return f"{said}; {formatting.share(least['reference'])} in the reference." if least["reference"] == least["reference"] else f"{said}."
