"""Figures of label suggestions: accuracy and coverage by confidence, accuracy over a session, anchoring."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import interval_band
from observability.stats.interval import Interval


def accuracy_coverage_curve(frame: pd.DataFrame, at: float, today: Interval) -> go.Figure:
    """Draw the accuracy (with its interval) and the coverage of suggestions by confidence threshold, the chosen threshold, and the accuracy
    of people.

    frame: confidence, coverage, value, low, high, n, accepted. today: the error of people.
    """
    figure, known = go.Figure(), frame[frame["value"].notna()]
    counts = [[int(n), int(accepted)] for n, accepted in zip(known["n"], known["accepted"], strict=True)]
    if len(known):
        interval_band(figure, known["confidence"], known["low"], known["high"], theme.PRIMARY, "95 % interval")
        hover = "from %{x:.1%}: %{y:.1%} correct of %{customdata[0]:,} gold items"
        layout.add_curve(figure, known["confidence"], known["value"], hover, name="accuracy on gold items", width=2, texts=counts)
    coverage: dict[str, Any] = {"name": "coverage", "color": theme.PURPLE, "dash": "dash", "texts": frame["accepted"]}
    hover = "from %{x:.1%}: %{y:.1%} of the suggestions (%{customdata:,})"
    layout.add_curve(figure, frame["confidence"], frame["coverage"], hover, **coverage)
    if today.value is not None:
        ends, right = [frame["confidence"].min(), frame["confidence"].max()], 1 - today.value
        people: dict[str, Any] = {"name": "people today", "color": theme.STRONG, "dash": "dot", "width": 1.3}
        layout.add_curve(figure, ends, [right, right], "people today: %{y:.1%} correct", **people)
    figure.add_vline(x=at, line={"color": theme.NEUTRAL, "width": 1.4})
    theme.themed(figure, height=260, x="confidence from", y="share", legend=True, tickformat=theme.PERCENT, range=[0, 1.02])
    return figure.update_xaxes(tickformat=theme.PERCENT, range=[max(min(float(frame["confidence"].min()), at) - 0.01, 0.0), 1.005])


def session_accuracy_dots(frame: pd.DataFrame) -> go.Figure:
    """Draw the accuracy by hour of the session, with its interval. frame: hour, value, low, high, n."""
    figure = go.Figure()
    name, hover = "accuracy on gold items", "hour %{x}: %{y:.1%} correct of %{customdata:,} gold items"
    bars = theme.error_bars(frame["value"], frame["low"], frame["high"], color=theme.PRIMARY, thickness=1.6, width=0)
    style: dict[str, Any] = {"name": name, "marker": {"size": 9, "color": theme.PRIMARY}, "error_y": bars}
    layout.add_marks(figure, frame["hour"], frame["value"], frame["n"], hover=hover, **style)
    axis: dict[str, Any] = {"tickformat": theme.PERCENT, "range": [max(float(frame["low"].min()) - 0.05, 0.0), 1.01]}
    return theme.themed(figure, height=240, x="hours since the session began", y=name, **axis).update_xaxes(dtick=1)


def anchoring_dots(frame: pd.DataFrame) -> go.Figure:
    """Draw the error rate with a wrong suggestion and without a suggestion, each as a dot with its interval. frame: side, value, low, high,
    n.
    """
    figure, rows = go.Figure(), layout.bottom_up(frame, len(frame))
    layout.add_interval_dots(figure, rows, layout.item_share_texts(rows, "side"), color=[theme.PRIMARY, theme.PURPLE][: len(rows)])
    names, ends = layout.row_names(list(rows["side"])), [-0.01, min(float(rows["high"].max()) + 0.05, 1.01)]
    return layout.row_chart(figure, names, "error rate on the same items", height=150, tickformat=theme.PERCENT, range=ends)
