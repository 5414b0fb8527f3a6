"""How does a rate differ between groups: a dot with its interval for each, what it was in the reference, and the band of near-equal ratios?

Pure functions from frames to plotly figures. Groups that are too small to be judged are grey and hollow.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from observability.core import formatting
from observability.dashboard import theme

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_GROUPS = 30


def dots(frame: "DataFrame", *, name: str, unit: str, overall: float | None = None) -> "Figure":
    """A dot and a 95 % interval for each group, and a diamond for the reference.

    frame: group, value, low, high, n, what (which rows n counts), enough, reference; its first MOST_GROUPS rows are drawn. overall: all groups.
    """
    figure, rows = drawn(frame)
    add_groups(figure, rows, unit)
    known = rows[rows["reference"].notna()]
    if len(known):
        figure.add_scatter(
            x=known["reference"],
            y=known.index,
            mode="markers",
            name="reference",
            marker={"symbol": "diamond-open", "size": 9, "color": theme.NEUTRAL, "line": {"width": 1.6}},
            customdata=[f"{each['label']}, reference<br>{formatting.amount(each['reference'], unit)}" for each in known.to_dict("records")],
            hovertemplate="%{customdata}<extra></extra>",
        )
    if overall is not None:
        figure.add_vline(x=overall, line={"color": theme.QUIET, "width": 1.2, "dash": "dash"}, layer="below")
    themed(figure, rows, name)
    if unit == "share":
        figure.update_xaxes(range=share_range(rows), tickformat=",.0%")
    return figure


def ratios(frame: "DataFrame", *, against: str, low: float, high: float) -> "Figure":
    """Each group's selection rate over that of one group, with its interval, on a band of ratios that count as near; the axis is logarithmic.

    frame: as for `dots`; value, low and high are ratios. against: the group that stands at 1. A ratio of 0 stands at the left edge.
    """
    figure, rows = drawn(frame)
    ends = rows.loc[rows["enough"], ["low", "high", "value"]].to_numpy(float).ravel()
    ends = ends[ends > 0]
    first, last = max(0.02, min([0.7, *(ends / 1.1)])), max([1.45, *(ends * 1.1)])
    figure.add_vrect(x0=low, x1=high, fillcolor=theme.OK, opacity=0.16, line_width=0, layer="below")
    figure.add_vline(x=1, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    add_groups(figure, rows, "ratio", floor=first)
    themed(figure, rows, f"selection rate ÷ that of {theme.label(against)} (band: {low:g} to {high:g})")
    ticks = [each for each in (0.02, 0.05, 0.1, 0.2, 0.4, low, 1, high, 2, 4, 8, 16, 32, 64) if first <= each <= last]
    if last / first > 6:
        ticks = [each for each in ticks if each not in (low, high)]
    figure.update_xaxes(type="log", range=[math.log10(first), math.log10(last)], tickvals=ticks, ticktext=[f"{each:g}" for each in ticks])
    return figure


def drawn(frame: "DataFrame") -> "tuple[Figure, DataFrame]":
    """A new figure, and the rows that are drawn from bottom to top, with a label that has n in it."""
    import plotly.graph_objects as go

    rows = frame.head(MOST_GROUPS).iloc[::-1].reset_index(drop=True)
    return go.Figure(), rows.assign(label=theme.labels(list(rows["group"]), 24))


def add_groups(figure: "Figure", rows: "DataFrame", unit: str, floor: float = -math.inf) -> None:
    """Dots with intervals: those of groups that are large enough, then the grey ones. floor: the smallest number that the axis can show."""
    for enough, name in ((True, "now"), (False, "too small to judge")):
        part = rows[(rows["enough"] == enough) & rows["value"].notna()]
        if not len(part):
            continue
        colour = theme.PRIMARY if enough else theme.NEUTRAL
        figure.add_scatter(
            x=part["value"].clip(lower=floor),
            y=part.index,
            mode="markers",
            name=name,
            marker={"color": colour, "size": 10, "symbol": "circle" if enough else "circle-open"},
            error_x=theme.whiskers(
                part["value"].clip(lower=floor),
                part["low"].clip(lower=floor),
                part["high"],
                color=colour,
                thickness=1.8 if enough else 1,
                width=4,
            ),
            customdata=[
                f"{each['label']}{'' if enough else ', unknown: too small to judge'}<br>{formatting.amount(each['value'], unit)}"
                f" ({formatting.amount(each['low'], unit)} to {formatting.amount(each['high'], unit)})<br>{each['n']:,.0f} {each['what']}"
                for each in part.to_dict("records")
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )


def themed(figure: "Figure", rows: "DataFrame", name: str) -> None:
    """Names and n of the groups on the left, the legend above."""
    theme.themed(figure, height=max(190, 34 * len(rows) + 110), x=name, legend=True)
    ticks = [f"{each['label']} · {formatting.short(each['n'])}" for each in rows.to_dict("records")]
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=ticks, showgrid=False, range=[-0.6, len(rows) - 0.4])
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5)
    figure.update_layout(margin={"t": 44})


def share_range(rows: "DataFrame") -> list[float]:
    """The part of 0 to 1 that all values, and the intervals of groups which are large enough, need, with a margin."""
    held = rows[rows["enough"]] if rows["enough"].any() else rows
    ends = np.concatenate([held[["low", "high"]].to_numpy(float).ravel(), rows[["value", "reference"]].to_numpy(float).ravel()])
    ends = ends[ends == ends]
    if not ends.size:
        return [0.0, 1.0]
    return [max(-0.02, float(ends.min()) - 0.04), min(1.02, float(ends.max()) + 0.04)]
