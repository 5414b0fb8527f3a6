"""How does an estimated metric go over time beside the measured one, and how far off was the estimate where labels came in?

Pure functions from frames to plotly figures. What is estimated is dashed, in another hue, on a hatched band: it is never drawn as a measurement.
"""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts.time import MATURE, axis_format, band, level, shade_young, with_marks

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


def over_time(
    series: "DataFrame", *, name: str, unit: str, baseline: float | None = None, marks: "DataFrame | None" = None, height: int = 340
) -> "Figure":
    """Measured (solid) and estimated (dashed, hatched band) by period; grey behind periods whose labels are mostly still to come.

    series: period, measured, measured_low, measured_high, estimated, low, high, labelled, served. baseline: the estimate of the reference.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    mature = series["labelled"] >= MATURE * series["served"].clip(lower=1)
    shade_young(figure, series, mature)
    hatched(figure, series)
    band(
        figure,
        series["period"],
        series["measured_low"].where(mature),
        series["measured_high"].where(mature),
        theme.PRIMARY,
        "95 % interval",
    )
    for side, colour, dash, values in (
        ("measured", theme.PRIMARY, "solid", series["measured"].where(mature)),
        ("estimated", theme.PURPLE, "dash", series["estimated"]),
    ):
        figure.add_scatter(
            x=series["period"], y=values, name=side, mode="lines+markers" if len(series) <= 62 else "lines", connectgaps=False,
            line={"color": colour, "width": 1.8, "dash": dash},
            marker={"size": 5, "color": colour, "symbol": "circle" if side == "measured" else "circle-open"},
            customdata=[hover(name, side, unit, each) for each in series.to_dict("records")],
            hovertemplate="%{x|%a %e %b %Y}<br>%{customdata}<extra></extra>",
        )  # fmt: skip
    if baseline is not None:
        level(figure, baseline, theme.NEUTRAL, "estimated of the reference", "dot", x=0)
    theme.themed(figure, height=height, y=name, legend=True)
    figure.update_yaxes(tickformat=axis_format(unit))
    return with_marks(figure, marks, series["period"])


def hatched(figure: "Figure", series: "DataFrame") -> None:
    """The band of the estimate."""
    known = series[series["low"].notna() & series["high"].notna()]
    if not len(known):
        return
    figure.add_scatter(
        x=[*known["period"], *known["period"][::-1]], y=[*known["high"], *known["low"][::-1]], fill="toself", mode="none", line={"width": 0},
        fillpattern={"shape": "/", "fgcolor": theme.PURPLE, "fillmode": "overlay", "size": 7, "solidity": 0.25}, fillcolor="rgba(0,0,0,0)",
        opacity=0.55, name="95 % interval of the estimate", showlegend=False, hoverinfo="skip",
    )  # fmt: skip


def hover(name: str, side: str, unit: str, each: dict[object, float]) -> str:
    """What a point says."""
    low, high = ("measured_low", "measured_high") if side == "measured" else ("low", "high")
    words = f"{theme.label(name, 60)}, {side}: {formatting.amount(each[side], unit)}"
    if each[low] == each[low]:
        words += f" ({formatting.amount(each[low], unit)} to {formatting.amount(each[high], unit)})"
    return f"{words}<br>{int(each['labelled']):,} of {int(each['served']):,} predictions labelled"


def errors(series: "DataFrame", *, name: str, unit: str, allowed: float | None = None) -> "Figure":
    """How far the estimate was from what labels showed, by period, on the band of errors that are too small to count.

    series: period, error, error_low, error_high. allowed: half of that band.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    known = series[series["error"].notna()]
    if allowed:
        figure.add_hrect(y0=-allowed, y1=allowed, fillcolor=theme.OK, opacity=0.16, line_width=0, layer="below")
    figure.add_hline(y=0, line={"color": theme.NEUTRAL, "width": 1})
    figure.add_scatter(
        x=known["period"], y=known["error"], mode="markers", name="error of the estimate",
        marker={"size": 7, "color": theme.PURPLE, "symbol": "diamond"},
        error_y=theme.whiskers(known["error"], known["error_low"], known["error_high"], color=theme.PURPLE, thickness=1.1, width=3),
        customdata=[
            f"estimate less truth {formatting.amount(each['error'], unit)} ({formatting.amount(each['error_low'], unit)} to {formatting.amount(each['error_high'], unit)})"
            for each in known.to_dict("records")
        ],
        hovertemplate="%{x|%a %e %b %Y}<br>%{customdata}<extra></extra>",
    )  # fmt: skip
    theme.themed(figure, height=340, y=f"estimate − truth, {theme.label(name, 40)}")
    figure.update_yaxes(tickformat=axis_format(unit))
    return figure
