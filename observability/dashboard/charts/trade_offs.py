"""Figures of the forms of a model: changed decisions by the cost of a form, and changed decisions by slice."""

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

GROUPS = (("Pareto front", theme.PRIMARY, "circle"), ("dominated", theme.NEUTRAL, "circle-open"), ("other device", theme.WATCH, "x"))
"""The groups of forms, with the colour and symbol of each."""
LINE = 0.055
"""Height of a line of text, as a share of the vertical axis."""
NAME_WIDTH = 0.2
"""Width of a name as a share of the horizontal axis. A name takes less than this on a wide screen, and about this on a phone."""


def form_scatter(points: pd.DataFrame, *, x: str, y: str, share: bool, budget: float | None, most_flips: float | None) -> go.Figure:
    """Draw one mark per form: its changed decisions with their interval, and its cost. The front is a line with names; budgets are dashed
    lines.

    points: form, x, value, low, high, group (a name in GROUPS), text. share: whether the y axis is a share.
    """
    figure = go.Figure()
    front = points[points["group"] == GROUPS[0][0]].sort_values(["x", "value"], ascending=[True, False])
    layout.add_curve(
        figure,
        front["x"],
        front["value"],
        "%{x:.3g}<br>%{y:.2%}",
        name="front",
        color=theme.PRIMARY,
        width=1.2,
        line_shape="hv",
        showlegend=False,
    )
    for name, color, symbol in GROUPS:
        rows = points[points["group"] == name]
        if len(rows):
            marker = {"size": 10, "symbol": symbol, "color": color, "line": {"width": 1.6, "color": color}}
            bars = theme.error_bars(rows["value"], rows["low"], rows["high"], color=color)
            layout.add_marks(figure, rows["x"], rows["value"], list(rows["text"]), name=name, marker=marker, error_y=bars)
    ends = [*points["x"], *([budget] if budget else [])]
    first, last = min(ends) / 1.15, max(ends) * 1.15
    top = max(float(points["high"].max()), most_flips or 0.0) * 1.06 or 1.0
    named = named_points(front, top)
    if len(named):
        heights = [clear_height(points, mark, value, (first, last), top) for mark, value in zip(named["x"], named["value"], strict=True)]
        layout.add_names(figure, list(named["form"]), list(named["x"]), heights, log=True, axis=(first, last))
    line = {"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}
    if budget is not None:
        figure.add_vline(x=budget, line=line, layer="below")
    if most_flips is not None:
        figure.add_hline(y=most_flips, line=line, layer="below")
    theme.themed(figure, height=340, x=x, y=y, legend=True)
    figure.update_yaxes(tickformat=",.3~%" if share else None, range=[-0.04 * top, top])
    ticks = log_ticks(first, last)
    figure.update_xaxes(type="log", range=[math.log10(first), math.log10(last)])
    return figure.update_xaxes(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks]) if len(ticks) > 1 else figure


def named_points(front: pd.DataFrame, top: float) -> pd.DataFrame:
    """The rows of the front whose names do not cover each other. Each is at least a line of text above or below the row before it."""
    kept: list[int] = []
    values = front["value"].to_numpy(float)
    for place, value in enumerate(values):
        if not kept or abs(value - values[kept[-1]]) >= LINE * top:
            kept.append(place)
    return front.iloc[kept]


def clear_height(points: pd.DataFrame, x: float, value: float, axis: tuple[float, float], top: float) -> float:
    """Return the height at which a name beside the mark at (x, value) covers no other interval. It is the height of the mark, or the upper
    end of the intervals that are in the way.

    points: all marks. axis: the ends of the logarithmic axis; the name is written towards its middle. top: the upper end of the vertical
    axis.
    """
    first, last, here = (math.log(end) for end in (*axis, x))
    towards = 1 if here <= (first + last) / 2 else -1
    across = (points["x"].astype(float).map(math.log) - here) * towards / (last - first)
    height, line = value, LINE * top
    met = points[(across > 0) & (across <= NAME_WIDTH)].sort_values("low")
    for low, high in zip(met["low"], met["high"], strict=True):
        if low <= height + line and high >= height:
            height = float(high)
    return height


def log_ticks(first: float, last: float) -> Sequence[float]:
    """Return the ticks of a logarithmic axis: 1, 2 and 5 times powers of ten if the axis spans less than three powers, else powers
    of ten.
    """
    steps = (1, 2, 5) if last / first < 1000 else (1,)
    powers = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    return [value for power in powers for step in steps if first <= (value := float(f"{step}e{power}")) <= last]


def form_slice_dots(rows: pd.DataFrame, overall: float) -> go.Figure:
    """Draw the rate of changed decisions of each slice with its interval, and the rate of all rows as a line. rows: name, value, low, high,
    n.
    """
    figure, shown = go.Figure(), rows.iloc[::-1].reset_index(drop=True)
    hover = [
        f"{theme.inert_label(name, 60)}<br>{formatting.value_with_interval(value, low, high, 'share')}<br>{n:,} rows"
        for name, value, low, high, n in shown[["name", "value", "low", "high", "n"]].itertuples(index=False)
    ]
    layout.add_interval_dots(figure, shown, hover)
    figure.add_vline(x=overall, line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}, layer="below")
    layout.add_note(figure, f"all {formatting.format_share(overall)}", x=overall, y=1, yref="paper", yanchor="bottom", xanchor="left")
    theme.themed(figure, height=max(180, 26 * len(shown) + 70), x="changed decisions")
    layout.set_row_ticks(figure, layout.row_names(list(shown["name"])))
    figure.update_layout(margin_t=28)
    figure.update_xaxes(tickformat=",.3~%")
    return layout.value_axis(figure)
