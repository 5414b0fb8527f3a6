"""Figures of groups: a metric of each group with its interval and its reference, and ratios of selection rates.

Groups below the minimum sample size are grey and hollow.
"""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

MAX_GROUPS = 30


def group_dots(frame: pd.DataFrame, *, name: str, unit: str, overall: float | None = None) -> go.Figure:
    """A dot with its 95 % interval for each group, and a diamond for its value in the reference.

    frame: group, value, low, high, n, what (which rows n counts), enough, reference; its first MAX_GROUPS rows are drawn. overall: the
    value over all groups.
    """
    figure, rows = _group_rows(frame)
    _add_group_dots(figure, rows, unit)
    known = rows[rows["reference"].notna()]
    if len(known):
        hover = [f"{row['label']}, reference<br>{formatting.format_value(row['reference'], unit)}" for row in known.to_dict("records")]
        layout.add_diamonds(figure, known["reference"], hover, name="reference")
    if overall is not None:
        figure.add_vline(x=overall, line={"color": theme.QUIET, "width": 1.2, "dash": "dash"}, layer="below")
    _style_groups(figure, rows, name)
    if unit == "share":
        figure.update_xaxes(range=_share_axis_range(rows), tickformat=theme.PERCENT)
    return figure


def selection_ratio_dots(frame: pd.DataFrame, *, against: str, low: float, high: float) -> go.Figure:
    """Each group's selection rate divided by that of one group, with its interval, over the tolerated band; the axis is logarithmic.

    frame: as for `group_dots`; value, low and high are ratios. against: the group whose ratio is 1. A ratio of 0 is drawn at the left edge.
    """
    figure, rows = _group_rows(frame)
    ends = rows.loc[rows["enough"], ["low", "high", "value"]].to_numpy(float).ravel()
    ends = ends[ends > 0]
    first, last = max(0.02, min([0.7, *(ends / 1.1)])), max([1.45, *(ends * 1.1)])
    figure.add_vrect(x0=low, x1=high, fillcolor=theme.OK, opacity=0.16, line_width=0, layer="below")
    figure.add_vline(x=1, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    _add_group_dots(figure, rows, "ratio", floor=first)
    _style_groups(figure, rows, f"selection rate ÷ that of {theme.inert_label(against)} (band: {low:g} to {high:g})")
    ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2, 0.4, low, 1, high, 2, 4, 8, 16, 32, 64) if first <= tick <= last]
    if last / first > 6:
        ticks = [tick for tick in ticks if tick not in (low, high)]
    figure.update_xaxes(type="log", range=[math.log10(first), math.log10(last)], tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    return figure


def _group_rows(frame: pd.DataFrame) -> tuple[go.Figure, pd.DataFrame]:
    """A new figure, and the rows to draw, from bottom to top, with their labels."""
    rows = layout.bottom_up(frame, MAX_GROUPS)
    return go.Figure(), rows.assign(label=theme.inert_labels(list(rows["group"]), 24))


def _add_group_dots(figure: go.Figure, rows: pd.DataFrame, unit: str, floor: float = -math.inf) -> None:
    """Add dots with intervals: large groups first, then small ones in grey. floor: the smallest value that the axis can show."""
    for enough, name in ((True, "now"), (False, "below minimum n")):
        part = rows[(rows["enough"] == enough) & rows["value"].notna()]
        if not len(part):
            continue
        hover = [
            f"{row['label']}{'' if enough else ', unknown: below minimum n'}"
            f"<br>{formatting.value_with_interval(row['value'], row['low'], row['high'], unit)}<br>{row['n']:,.0f} {row['what']}"
            for row in part.to_dict("records")
        ]
        drawn = part.assign(value=part["value"].clip(lower=floor), low=part["low"].clip(lower=floor))
        color, symbol, thickness = (theme.PRIMARY, "circle", 1.8) if enough else (theme.NEUTRAL, "circle-open", 1.0)
        layout.add_interval_dots(figure, drawn, hover, name=name, color=color, symbol=symbol, thickness=thickness)


def _style_groups(figure: go.Figure, rows: pd.DataFrame, name: str) -> None:
    """Set the layout: name and n of each group on the left, the legend above."""
    ticks = [f"{row['label']} · {formatting.compact_count(row['n'])}" for row in rows.to_dict("records")]
    layout.row_chart(figure, ticks, name, height=max(190, 34 * len(rows) + 110), legend=True, top=44)


def _share_axis_range(rows: pd.DataFrame) -> list[float]:
    """The part of 0 to 1 that is needed for all values and for the intervals of large groups, with a margin."""
    held = rows[rows["enough"]] if rows["enough"].any() else rows
    ends = np.concatenate([held[["low", "high"]].to_numpy(float).ravel(), rows[["value", "reference"]].to_numpy(float).ravel()])
    ends = ends[ends == ends]
    if not ends.size:
        return [0.0, 1.0]
    low, high = float(ends.min()), float(ends.max())
    margin = min(max(0.06 * (high - low), 0.004), 0.04)
    return [max(-margin / 2, low - margin), min(1 + margin / 2, high + margin)]
