"""The map of predictions: one mark per prediction, placed by the first two principal components of the inputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

OUTCOMES = {
    "No label": {"symbol": "circle-open", "size": 6, "color": theme.NEUTRAL, "opacity": 0.55},
    "Right": {"symbol": "circle", "size": 6, "color": theme.OK, "opacity": 0.6},
    "Wrong": {"symbol": "x", "size": 7, "color": theme.ACT, "opacity": 0.9},
}
"""Marks of the outcomes; an outcome that is drawn later lies on top."""
CAP = 0.95
"""Quantile above which all values of a number have the last colour of the scale."""


def scattered_predictions(
    frame: pd.DataFrame, *, titles: Sequence[str], number: str | None = None, case: tuple[float, float] | None = None
) -> go.Figure:
    """Draw the predictions as marks. The `customdata` of a mark is its place in the frame and its text.

    frame: x, y, outcome (of OUTCOMES), text, and `value` if the colour is a number. titles: the titles of both axes. number: the name of
    `value`; with None, the outcome gives the colour. case: the position of the marked case.
    """
    figure = go.Figure()
    rows = frame.assign(place=np.arange(len(frame)))
    if number is None:
        for name, marker in OUTCOMES.items():
            _add_predictions(figure, rows[rows["outcome"] == name], name, marker)
    else:
        unknown = rows["value"].isna()
        _add_predictions(figure, rows[unknown], "Unknown", OUTCOMES["No label"])
        known = rows[~unknown].sort_values("value", kind="stable")
        ends = known["value"].quantile([0.0, CAP]) if len(known) else pd.Series([0.0, 1.0])
        scale = {"cmin": float(ends.iloc[0]), "cmax": float(ends.iloc[1]), "colorscale": theme.SEQUENTIAL}
        bar, line = theme.colorbar(number), {"width": 0.6, "color": theme.NEUTRAL}
        _add_predictions(
            figure, known, number, {"size": 7, "opacity": 0.85, "color": known["value"], "colorbar": bar, "line": line, **scale}
        )
    if case is not None:
        marker = {"symbol": "star", "size": 17, "color": theme.STRONG, "line": {"width": 1.5, "color": theme.SURFACE}}
        layout.add_marks(figure, [case[0]], [case[1]], name="This case", hover="This case", marker=marker)
    theme.themed(figure, height=460, y=titles[1], legend=True)
    figure.update_layout(dragmode="lasso")
    figure.update_xaxes(title=theme.axis_title(titles[0]), showticklabels=False, showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5)
    return figure.update_yaxes(showticklabels=False)


def _add_predictions(figure: go.Figure, rows: pd.DataFrame, name: str, marker: dict[str, Any]) -> None:
    """Add the marks of some rows, if there are any."""
    if len(rows):
        texts = rows[["place", "text"]].to_numpy()
        named = f"{name} ({formatting.format_count(len(rows))})"
        layout.add_marks(figure, rows["x"], rows["y"], texts, name=named, hover="%{customdata[1]}", marker=marker)
