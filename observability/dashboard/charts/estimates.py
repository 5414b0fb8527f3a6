"""Figures of estimated performance: estimate and measurement over time, and the error of the estimate.

Estimates are dashed and in another colour, over a hatched band.
"""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import (
    add_event_marks,
    axis_format,
    axis_name,
    interval_band,
    is_mature,
    legend_line,
    shade_immature_periods,
)


def estimated_metric_lines(
    series: pd.DataFrame,
    *,
    name: str,
    unit: str,
    of_label: str | None = None,
    baseline: float | None = None,
    marks: pd.DataFrame | None = None,
    height: int = 340,
) -> go.Figure:
    """Measured values (solid) and estimates (dashed, hatched band) by period; grey behind periods for which most labels are missing.

    series: period, measured, measured_low, measured_high, estimated, low, high, labelled, served. baseline: the estimate for the reference.
    """
    figure = go.Figure()
    mature = is_mature(series)
    shade_immature_periods(figure, series, mature)
    _hatched_band(figure, series)
    low, high = (series[end].where(mature) for end in ("measured_low", "measured_high"))
    interval_band(figure, series["period"], low, high, theme.PRIMARY, "95 % interval")
    for side, colour, dash, values in (
        ("measured", theme.PRIMARY, "solid", series["measured"].where(mature)),
        ("estimated", theme.PURPLE, "dash", series["estimated"]),
    ):
        texts = [_estimate_hover(name, side, unit, row) for row in series.to_dict("records")]
        marker = {"size": 5, "color": colour, "symbol": "circle" if side == "measured" else "circle-open"}
        mode = "lines+markers" if len(series) <= 62 else "lines"
        style: dict[str, Any] = {"name": side, "color": colour, "dash": dash, "marker": marker, "mode": mode}
        layout.add_curve(figure, series["period"], values, layout.DAY_HOVER, texts=texts, **style)
    if baseline is not None:
        legend_line(figure, baseline, "estimate in the reference")
    theme.themed(figure, height=height, y=axis_name(name, unit, of_label), legend=True, **axis_format(unit))
    return add_event_marks(figure, marks, series["period"])


def _hatched_band(figure: go.Figure, series: pd.DataFrame) -> None:
    """Add the hatched interval of the estimate."""
    pattern = {"shape": "/", "fgcolor": theme.PURPLE, "fillmode": "overlay", "size": 7, "solidity": 0.25}
    style: dict[str, Any] = {"fillpattern": pattern, "opacity": 0.55, "showlegend": False}
    interval_band(figure, series["period"], series["low"], series["high"], "rgba(0,0,0,0)", "95 % interval of the estimate", **style)


def _estimate_hover(name: str, side: str, unit: str, row: dict[object, float]) -> str:
    """Value, interval and labels of a point."""
    low, high = ("measured_low", "measured_high") if side == "measured" else ("low", "high")
    value = formatting.value_with_interval(row[side], row[low], row[high], unit)
    return f"{theme.inert_label(name, 60)}, {side}: {value}<br>{int(row['labelled']):,} of {int(row['served']):,} predictions labelled"


def estimate_error_dots(
    series: pd.DataFrame, *, name: str, unit: str, of_label: str | None = None, allowed: float | None = None
) -> go.Figure:
    """Estimate minus measurement by period, over the band of tolerated errors.

    series: period, error, error_low, error_high. allowed: half the width of that band.
    """
    figure = go.Figure()
    known = series[series["error"].notna()]
    if allowed:
        figure.add_hrect(y0=-allowed, y1=allowed, fillcolor=theme.OK, opacity=0.16, line_width=0, layer="below")
    figure.add_hline(y=0, line={"color": theme.NEUTRAL, "width": 1})
    texts = [
        f"estimate − truth {formatting.value_with_interval(row['error'], row['error_low'], row['error_high'], unit)}"
        for row in known.to_dict("records")
    ]
    errors = theme.error_bars(known["error"], known["error_low"], known["error_high"], color=theme.PURPLE, thickness=1.1, width=3)
    style: dict[str, Any] = {"name": "error of the estimate", "marker": {"size": 7, "color": theme.PURPLE, "symbol": "diamond"}}
    layout.add_marks(figure, known["period"], known["error"], texts, hover=layout.DAY_HOVER, error_y=errors, **style)
    title = axis_name(f"estimate − truth, {theme.inert_label(name, 40)}", unit, of_label)
    return theme.themed(figure, height=340, y=title, **axis_format(unit))
