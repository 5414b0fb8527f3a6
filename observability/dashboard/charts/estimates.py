"""Figures of estimated performance: estimate and measurement over time, and the error of the estimate.

Estimates are dashed, in another colour, on a hatched band.
"""

from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import (
    add_event_marks,
    axis_format,
    horizontal_line,
    interval_band,
    is_mature,
    shade_immature_periods,
)

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


def estimated_metric_lines(
    series: "DataFrame", *, name: str, unit: str, baseline: float | None = None, marks: "DataFrame | None" = None, height: int = 340
) -> "Figure":
    """Measured (solid) and estimated (dashed, hatched band) by period; grey behind periods whose labels are mostly missing.

    series: period, measured, measured_low, measured_high, estimated, low, high, labelled, served. baseline: the estimate of the reference.
    """
    import plotly.graph_objects as go

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
        style: dict[str, Any] = {
            "name": side,
            "color": colour,
            "dash": dash,
            "marker": marker,
            "mode": "lines+markers" if len(series) <= 62 else "lines",
        }
        layout.add_curve(figure, series["period"], values, "%{x|%a %e %b %Y}<br>%{customdata}", texts=texts, **style)
    if baseline is not None:
        horizontal_line(figure, baseline, theme.NEUTRAL, "estimate in the reference", "dot", x=0)
    theme.themed(figure, height=height, y=name, legend=True)
    figure.update_yaxes(tickformat=axis_format(unit))
    return add_event_marks(figure, marks, series["period"])


def _hatched_band(figure: "Figure", series: "DataFrame") -> None:
    """Add the hatched interval of the estimate."""
    known = series[series["low"].notna() & series["high"].notna()]
    if not len(known):
        return
    figure.add_scatter(
        x=[*known["period"], *known["period"][::-1]],
        y=[*known["high"], *known["low"][::-1]],
        fill="toself",
        mode="none",
        line={"width": 0},
        fillpattern={"shape": "/", "fgcolor": theme.PURPLE, "fillmode": "overlay", "size": 7, "solidity": 0.25},
        fillcolor="rgba(0,0,0,0)",
        opacity=0.55,
        name="95 % interval of the estimate",
        showlegend=False,
        hoverinfo="skip",
    )


def _estimate_hover(name: str, side: str, unit: str, row: dict[object, float]) -> str:
    """Value, interval and labels of a point."""
    low, high = ("measured_low", "measured_high") if side == "measured" else ("low", "high")
    value = formatting.value_with_interval(row[side], row[low], row[high], unit)
    return f"{theme.inert_label(name, 60)}, {side}: {value}<br>{int(row['labelled']):,} of {int(row['served']):,} predictions labelled"


def estimate_error_dots(series: "DataFrame", *, name: str, unit: str, allowed: float | None = None) -> "Figure":
    """Estimate minus measurement by period, on the band of tolerated errors.

    series: period, error, error_low, error_high. allowed: half of that band.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    known = series[series["error"].notna()]
    if allowed:
        figure.add_hrect(y0=-allowed, y1=allowed, fillcolor=theme.OK, opacity=0.16, line_width=0, layer="below")
    figure.add_hline(y=0, line={"color": theme.NEUTRAL, "width": 1})
    figure.add_scatter(
        x=known["period"],
        y=known["error"],
        mode="markers",
        name="error of the estimate",
        marker={"size": 7, "color": theme.PURPLE, "symbol": "diamond"},
        error_y=theme.error_bars(known["error"], known["error_low"], known["error_high"], color=theme.PURPLE, thickness=1.1, width=3),
        customdata=[
            f"estimate − truth {formatting.value_with_interval(row['error'], row['error_low'], row['error_high'], unit)}"
            for row in known.to_dict("records")
        ],
        hovertemplate="%{x|%a %e %b %Y}<br>%{customdata}<extra></extra>",
    )
    theme.themed(figure, height=340, y=f"estimate − truth, {theme.inert_label(name, 40)}")
    figure.update_yaxes(tickformat=axis_format(unit))
    return figure
