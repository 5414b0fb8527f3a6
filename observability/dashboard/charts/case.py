"""Figures about one prediction: attribution waterfall, ICE curves, and the error rate of similar predictions."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting, numerals
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import add_line, horizontal_line, interval_band

UP, DOWN = theme.WATCH, theme.PRIMARY
"""Colours of positive and negative attributions. The sign is also written beside each bar."""


def attribution_waterfall(frame: pd.DataFrame, *, unit: str) -> go.Figure:
    """Waterfall from the base value to the output, with one bar per feature; the number is written below the feature's name.

    frame: label, start, end, attribution, error (standard error; NaN if it was not sampled), kind (base, feature, rest, residual, output);
    the first row is at the top.
    """
    rows = layout.bottom_up(frame, len(frame))
    rows["is_total"] = rows["kind"].isin(["base", "output"])
    moved, totals = rows[~rows["is_total"]], rows[rows["is_total"]]
    figure = go.Figure()
    texts = [
        f"{theme.inert_label(label, 80)}<br>moves the output by {signed_number(value)}"
        for label, value in zip(moved["label"], moved["attribution"])
    ]
    colors, sampled = [UP if value > 0 else DOWN for value in moved["attribution"]], bool(rows["error"].gt(0).any())
    errors = {"type": "data", "array": moved["error"].fillna(0.0), "color": theme.STRONG, "thickness": 1, "width": 3, "visible": sampled}
    layout.add_row_bars(figure, moved["end"] - moved["start"], texts, base=moved["start"], color=colors, error_x=errors)
    levels = [f"{label} {formatting.format_number(end, 4)}" for label, end in zip(totals["label"], totals["end"])]
    layout.add_marks(figure, totals["end"], totals.index, levels, marker={"symbol": "diamond", "size": 11, "color": theme.STRONG})
    connector = {"color": theme.NEUTRAL, "width": 1, "dash": "dot"}
    for place, end in list(enumerate(rows["end"]))[1:]:
        figure.add_shape(type="line", x0=end, x1=end, y0=place - 0.31, y1=place - 0.69, line=connector)
    ticks = [_bar_label(row) for row in rows.to_dict("records")]
    return layout.row_chart(figure, ticks, unit, height=max(220, 38 * len(rows) + 60), **theme.ROUNDED, nticks=7)


def _bar_label(row: dict[Any, Any]) -> str:
    """Two short lines beside a bar: the feature's name; then its value and attribution, or, for base and output, the level."""
    name, _, value = str(row["label"]).partition(" = ")
    moves = formatting.format_number(row["end"], 4) if row["is_total"] else signed_number(row["attribution"])
    return f"{theme.inert_label(name, 26)}<br>{f'= {theme.inert_label(value, 14)}' if value else ''} <b>{moves}</b>"


def signed_number(value: float) -> str:
    """A number with its sign."""
    return numerals.format_figure(value, 3, sign=True)


def ice_curve(frame: pd.DataFrame, *, feature: str, kind: str, at: object, score: float, edge: float | None, share: bool) -> go.Figure:
    """ICE curve: how the score changes with one feature while all others are fixed; dashed, because it is simulated.

    frame: value, score. at: the value of the case, drawn as a diamond. edge: the decision threshold, drawn as a line. share: whether the
    score is a probability, so that the axis does not go below zero.
    """
    figure = go.Figure()
    number = kind == "number"
    shown = (
        frame[frame["value"].notna()]
        if number
        else frame.assign(value=theme.inert_labels(["missing" if value is None else value for value in frame["value"]], 18))
    )
    if number:
        hover = f"{theme.inert_label(feature, 40)} %{{x:,.4~g}}<br>score %{{y:,.4~g}}"
        layout.add_curve(figure, shown["value"], shown["score"], hover, dash="dash")
    else:
        outline = {"width": 1, "color": theme.PRIMARY}
        style: dict[str, Any] = {"color": theme.PRIMARY, "marker_opacity": 0.55, "marker_line": outline}
        layout.add_bars(figure, shown["value"], shown["score"], hover="%{x}<br>score %{y:,.4~g}", **style)
    if at is not None:
        marker = {"symbol": "diamond", "size": 11, "color": theme.STRONG, "line": {"width": 1, "color": theme.SURFACE}}
        layout.add_marks(figure, [at if number else theme.inert_label(at, 18)], [score], hover="this case", marker=marker)
    theme.themed(
        figure, height=210, x=theme.inert_label(feature, 40), **theme.ROUNDED, nticks=5, rangemode="nonnegative" if share else "normal"
    )
    if edge is not None:
        horizontal_line(figure, edge, theme.ACT, "cut-off", "dot")
    return figure


def error_rate_trend(frame: pd.DataFrame, *, overall: float | None) -> go.Figure:
    """The error rate of similar predictions by period. frame: period, value, low, high, n."""
    figure = go.Figure()
    interval_band(figure, frame["period"], frame["low"], frame["high"], theme.PRIMARY, "95 % interval")
    add_line(figure, frame, name="errors", colour=theme.PRIMARY, unit="share")
    if overall is not None:
        horizontal_line(figure, overall, theme.NEUTRAL, "all predictions", "dot")
    return theme.themed(figure, height=220, y="share of errors", tickformat=theme.PERCENT, rangemode="tozero")
