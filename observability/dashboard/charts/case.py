"""Figures of one prediction: attribution waterfall, ICE curves, the error rate of similar predictions."""

from typing import TYPE_CHECKING, Any

from observability.core import formatting, numerals
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import add_line, horizontal_line, interval_band

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

UP, DOWN = theme.WATCH, theme.PRIMARY
"""What raises the score and what lowers it; the sign stands beside each bar as well."""


def attribution_waterfall(frame: "DataFrame", *, unit: str) -> "Figure":
    """Waterfall from the base value to the output, one bar a feature, with each number below the feature's name.

    frame: label, start, end, attribution, error (standard error, NaN where it was not sampled), kind (base, feature, rest, residual,
    output), from the top.
    """
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, len(frame))
    rows["is_total"] = rows["kind"].isin(["base", "output"])
    moved, totals = rows[~rows["is_total"]], rows[rows["is_total"]]
    figure = go.Figure()
    figure.add_bar(
        y=moved.index,
        x=moved["end"] - moved["start"],
        base=moved["start"],
        orientation="h",
        marker_color=[UP if value > 0 else DOWN for value in moved["attribution"]],
        error_x={
            "type": "data",
            "array": moved["error"].fillna(0.0),
            "color": theme.STRONG,
            "thickness": 1,
            "width": 3,
            "visible": bool(rows["error"].gt(0).any()),
        },
        customdata=[
            f"{theme.inert_label(label, 80)}<br>moves the output by {_signed_number(value)}"
            for label, value in zip(moved["label"], moved["attribution"])
        ],
        hovertemplate=layout.HOVER,
        width=0.62,
    )
    figure.add_scatter(
        x=totals["end"],
        y=totals.index,
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": theme.STRONG},
        customdata=[f"{label} {formatting.format_number(end, 4)}" for label, end in zip(totals["label"], totals["end"])],
        hovertemplate=layout.HOVER,
    )
    connector = {"color": theme.NEUTRAL, "width": 1, "dash": "dot"}
    for place, end in list(enumerate(rows["end"]))[1:]:
        figure.add_shape(type="line", x0=end, x1=end, y0=place - 0.31, y1=place - 0.69, line=connector)
    theme.themed(figure, height=max(220, 38 * len(rows) + 60), x=unit)
    layout.set_row_ticks(figure, [_bar_label(row) for row in rows.to_dict("records")])
    layout.value_axis(figure, tickformat=",.3~g", nticks=7)
    return figure


def _bar_label(row: dict[Any, Any]) -> str:
    """Two short lines beside a bar: the feature; its value and attribution, or the level of the base and the output."""
    name, _, value = str(row["label"]).partition(" = ")
    moves = formatting.format_number(row["end"], 4) if row["is_total"] else _signed_number(row["attribution"])
    return f"{theme.inert_label(name, 26)}<br>{f'= {theme.inert_label(value, 14)}' if value else ''} <b>{moves}</b>"


def _signed_number(value: float) -> str:
    """A number with its sign."""
    return numerals.format_figure(value, 3, sign=True)


def ice_curve(frame: "DataFrame", *, feature: str, kind: str, at: object, score: float, edge: float | None, unit: str) -> "Figure":
    """ICE curve: the score along one feature with all others fixed; dashed, since it is simulated.

    frame: value, score. at: the case's own value, a diamond. edge: the decision threshold, a line.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    number = kind == "number"
    shown = (
        frame[frame["value"].notna()]
        if number
        else frame.assign(value=theme.inert_labels(["missing" if value is None else value for value in frame["value"]], 18))
    )
    if number:
        figure.add_scatter(
            x=shown["value"],
            y=shown["score"],
            mode="lines",
            line={"color": theme.PRIMARY, "width": 1.8, "dash": "dash"},
            hovertemplate=f"{theme.inert_label(feature, 40)} %{{x:,.4~g}}<br>score %{{y:,.4~g}}<extra></extra>",
        )
    else:
        figure.add_bar(
            x=shown["value"],
            y=shown["score"],
            marker={"color": theme.PRIMARY, "opacity": 0.55, "line": {"width": 1, "color": theme.PRIMARY}},
            hovertemplate="%{x}<br>score %{y:,.4~g}<extra></extra>",
        )
    if at is not None:
        mark = at if number else theme.inert_label(at, 18)
        figure.add_scatter(
            x=[mark],
            y=[score],
            mode="markers",
            marker={"symbol": "diamond", "size": 11, "color": theme.STRONG, "line": {"width": 1, "color": theme.SURFACE}},
            hovertemplate="this case<extra></extra>",
        )
    theme.themed(figure, height=210, x=theme.inert_label(feature, 40))
    if edge is not None:
        horizontal_line(figure, edge, theme.ACT, "cut-off", "dot")
    figure.update_yaxes(tickformat=",.3~g", nticks=5)
    return figure


def error_rate_trend(frame: "DataFrame", *, overall: float | None) -> "Figure":
    """The error rate of similar predictions by period. frame: period, value, low, high, n."""
    import plotly.graph_objects as go

    figure = go.Figure()
    interval_band(figure, frame["period"], frame["low"], frame["high"], theme.PRIMARY, "95 % interval")
    add_line(figure, frame, name="errors", colour=theme.PRIMARY, unit="share")
    if overall is not None:
        horizontal_line(figure, overall, theme.NEUTRAL, "all predictions", "dot", x=0)
    theme.themed(figure, height=220, y="share of errors")
    figure.update_yaxes(tickformat=",.0%", rangemode="tozero")
    return figure
