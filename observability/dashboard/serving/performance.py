"""Which metric does the performance page look at, which errors does the model make, and where is it worst?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import Finding, over_window, worst_look
from observability.core.questions import Aggregate, Bucket
from observability.core.window import Slice
from observability.dashboard import choice_box, clicks, distributions, empty_states, frame, links, load
from observability.dashboard.charts import outcomes as charts_outcomes
from observability.dashboard.frame import Here
from observability.dashboard.overview import findings
from observability.dashboard.serving import slices
from observability.dashboard.sidebar import BIND
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.metrics.performance import confusion_matrix, outcome_aggregates

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    column("metric", "Metric", strong=True),
    column("value", "Value", align="right"),
    column("interval", "95 % interval", align="right"),
    column("baseline", "Held against", align="right"),
    column("n", "Labelled rows", align="right"),
    column("status", "Status"),
)


def measured(found: Sequence[Finding]) -> dict[str, Finding]:
    """Findings that carry a value, by metric; the labels' own apart."""
    return {each.metric: each for each in reversed(found) if each.value is not None and each.metric != "label_maturity"}


def choose(metrics: dict[str, Finding], model: Model) -> Finding:
    """The metric that the box holds (bound to the address), else the model's main one; one that is not there is said."""
    return metrics[choice_box.metric(sorted(metrics), model.task, "was not measured here")]


def limit(finding: Finding) -> float | None:
    """A limit that is one number."""
    return finding.limit if isinstance(finding.limit, int | float) else None


def rows(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """All metrics over the whole window as a table's rows; where the last days are worse than it, they are said under the status."""
    return [
        row(
            {
                "metric": {"t": formatting.metric_title(each.metric)},
                "value": {"t": formatting.amount(each.value, each.unit)},
                "interval": {
                    "t": f"{formatting.amount(each.low, each.unit)} to {formatting.amount(each.high, each.unit)}" if each.low is not None else formatting.DASH
                },
                "baseline": {"t": formatting.amount(each.evidence.get("baseline"), each.unit), "title": each.against},
                "n": {"t": f"{each.n:,}"},
                "status": {
                    "s": each.severity, "t": formatting.STATUS_WORDS[each.severity], "sub": look(claim), "title": each.because.replace("`", ""),
                },
            }
        )
        for claim, each in ((claim, over_window(claim)) for claim in found)
    ]  # fmt: skip


def look(claim: Finding) -> str | None:
    """The worst part of the window with its value, where the claim is about that."""
    where = worst_look(claim)
    return f"{where} {formatting.amount(claim.value, claim.unit)}" if where else None


def all_metrics(found: Sequence[Finding]) -> None:
    """The table of all metrics, its CSV, and the findings behind it."""
    table("metrics", "Measured metrics", COLUMNS, rows(found), compact=True)
    with st.container(horizontal=True, gap="small"):
        frame.download("metrics.csv", lambda: inert_csv(as_frame(found)), "Table as CSV", key="metrics-csv")
        findings.downloads(found, "performance", what="Findings as ")


def as_frame(found: Sequence[Finding]) -> "DataFrame":
    """What the table shows: metric, value, low, high, baseline and n of the window, severity; and the look that the severity is of."""
    import pandas as pd

    rows_ = [
        [each.metric, each.value, each.low, each.high, each.evidence.get("baseline"), each.n, each.severity, worst_look(claim), claim.value]
        for claim, each in ((claim, over_window(claim)) for claim in found)
    ]
    return pd.DataFrame(rows_, columns=["metric", "value", "low", "high", "baseline", "n", "severity", "worst_look", "value_there"])


def errors(here: Here) -> None:
    """The confusion matrix of a classifier, or the errors of a regression."""
    if here.model.task == "regression":
        error_steps(here)
        return
    counts = load.frame(outcome_aggregates(here.model, Bucket("day"))["counts"], here.window)
    matrix = confusion_matrix(here.model, counts)
    if matrix.sum() <= 0:
        empty_states.no_rows("labelled decisions")
        return
    classes = here.model.classes or ("0", "1")
    wrong = float(matrix.sum() - np.trace(matrix))
    said = f"{formatting.count(wrong)} of {formatting.count(matrix.sum())} decisions were wrong ({formatting.share(wrong / matrix.sum())})."
    st.markdown(formatting.plain(said))
    figure = charts_outcomes.confusion(matrix.tolist(), classes)
    frame.chart(
        figure, matrix_twin(matrix, classes), key="confusion", alt=said, metrics=("accuracy", "precision", "recall"),
        on_select=clicks.leads("confusion", lambda point: cell_of(here, point, classes)),
    )  # fmt: skip


def cell_of(here: Here, point: clicks.Point, classes: Sequence[str]) -> clicks.Cases | None:
    """The predictions of one cell of the confusion matrix."""
    label, decision = (clicks.place(point, axis, len(classes)) for axis in ("y", "x"))
    if label is None or decision is None:
        return None
    parts = [clicks.equals("label", classes[label]), clicks.equals("answer", classes[decision])]
    return clicks.Cases(here.scope, " and ".join(each for each in parts if each), clicks.LARGEST) if all(parts) else None


def matrix_twin(matrix: Any, classes: Sequence[str]) -> "DataFrame":
    """The confusion matrix as a table: label, decision, n, share of the label's rows."""
    import pandas as pd

    totals = matrix.sum(axis=1)
    cells = [
        [label, decision, round(float(matrix[i, j])), float(matrix[i, j] / totals[i]) if totals[i] else None]
        for i, label in enumerate(classes)
        for j, decision in enumerate(classes)
    ]
    return pd.DataFrame(cells, columns=["label", "decision", "n", "share_of_label"])


def error_steps(here: Here) -> None:
    """The errors of a regression on the reference's edges."""
    version, window = distributions.judged_version(here.model, here.window, here.window.version)
    edges = version.edges.get("error") if version else None
    if edges is None:
        st.caption("Register this version with a reference to see how its errors are spread.")
        return
    asked = Aggregate("outcomes", keys=(Bucket("day"),), histogram=("error",))
    current = load.frame(asked, window)
    reference = load.frame(Aggregate("outcomes", histogram=("error",)), window.reference())
    twin = distributions.numbers(edges, known(current), known(reference))
    if not twin["n_current"].sum():
        empty_states.no_rows("labelled predictions")
        return
    high = float(twin.loc[twin["low"] >= 0, "current"].sum())
    said = f"{formatting.share(high)} of the labelled predictions were too high, {formatting.share(1 - high)} too low."
    st.markdown(formatting.plain(said))
    on_step = clicks.leads("errors", lambda point: distributions.step_of(here, point, twin, "error"))
    frame.chart(charts_outcomes.errors(twin), twin, key="errors", alt=said, metrics=("bias", "mae"), on_select=on_step)


def known(rows_: "DataFrame") -> "DataFrame":
    """Rows of ordinary bins."""
    return rows_[rows_["bin"] >= 0]


def slices_of(here: Here, finding: Finding) -> None:
    """Choose a column; its worst levels by the metric, each a link that makes it the slice."""
    offered = slices.columns(here.model)
    name = st.selectbox("Column", list(offered), index=None, placeholder="Choose a column to slice by", key="by", bind=BIND, width=280)
    if name is None:
        anywhere(here, finding)
        return
    frame_ = frame.guarded(lambda: slices.worst(here.model, here.window, offered[name], finding.metric))
    if frame_.empty:
        empty_states.no_rows()
        return
    columns = (
        column("level", name, strong=True),
        column("value", formatting.metric_title(finding.metric), align="right"),
        column("interval", "95 % interval", width="11rem", help="Dashed: all rows"),
        column("n", "Labelled", align="right"),
    )
    table(
        "slices",
        f"{formatting.metric_title(finding.metric)} by {name}, worst first",
        columns,
        level_rows(here, name, finding, frame_),
        compact=True,
    )
    if len(frame_) > slices.MOST_LEVELS:
        st.caption(f"The first {slices.MOST_LEVELS} of {len(frame_):,} levels.")
    frame.download(f"{finding.metric}-by-{name}.csv", lambda: inert_csv(frame_), "CSV", key="slices-csv")


def anywhere(here: Here, finding: Finding) -> None:
    """The levels of any column kept as counts that are worse than all rows beyond chance, each a link to its column."""
    found = frame.guarded(lambda: slices.worst_of_all(here.model, here.window, finding.metric, finding.value or 0.0))
    if found.empty:
        st.caption(
            "No replica, device, version or sensitive group with 100 labels is worse than all rows beyond its interval. Choose a column to see more."
        )
        return
    columns = (
        column("level", "Where", strong=True),
        column("value", formatting.metric_title(finding.metric), align="right"),
        column("n", "Labelled", align="right"),
    )
    rows_ = [
        row(
            {
                "level": links.link(
                    f"{each['column']} = {each['level']}", "performance", here.scope, by=str(each["column"]), metric=finding.metric
                ),
                "value": {
                    "t": formatting.amount(each["value"], finding.unit),
                    "sub": f"all rows {formatting.amount(finding.value, finding.unit)}",
                },
                "n": {"t": f"{each['n']:,}"},
            }
        )
        for each in found.head(slices.MOST_LEVELS // 2).to_dict("records")
    ]
    table("worst-anywhere", f"{formatting.metric_title(finding.metric)}: worse than all rows beyond chance", columns, rows_, compact=True)
    st.caption(
        "Of replicas, devices, versions and sensitive groups with at least 100 labels. Choose a column above to see all of its levels."
    )


def level_rows(here: Here, name: str, finding: Finding, levels: "DataFrame") -> list[dict[str, Any]]:
    """Rows of the slice table, on one scale."""
    shown = levels.head(slices.MOST_LEVELS)
    ends = shown.loc[shown["enough"], ["low", "high", "value"]].astype(float)
    low, high = (float(np.nanmin(ends)), float(np.nanmax(ends))) if ends.notna().any(axis=None) else (0.0, 1.0)
    found = []
    for each in shown.to_dict("records"):
        level = str(each["level"])
        cells: dict[str, Cell] = {
            "level": links.link(
                level, "performance", here.scope.__class__(**{**vars(here.scope), "slice": Slice(((name, level),))}), by=name
            ),
            "value": {"t": formatting.amount(each["value"], finding.unit)},
            "n": {"t": f"{each['n']:,}", "title": f"{each['served']:,} served"},
        }
        if not each["enough"]:
            cells["value"] |= {"s": "unknown", "title": f"Fewer than {slices.MINIMUM_LABELS} labelled rows"}
        elif each["low"] is not None and each["low"] == each["low"]:
            said = f"{formatting.amount(each['low'], finding.unit)} to {formatting.amount(each['high'], finding.unit)}"
            cells["interval"] = {
                "title": said,
                "interval": {"v": each["value"], "low": each["low"], "high": each["high"], "min": low, "max": high, "whole": finding.value},
            }
        found.append(row(cells))
    return found
