"""Draws two distributions of one column on top of each other: steps for numbers, paired bars for categories."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

REFERENCE_AND_CURRENT = {"reference": "reference", "current": "current"}
"""The two sides of an overlay, with the baseline first: column of the frame → name in the legend."""


def distribution_overlay(frame: pd.DataFrame, *, name: str, sides: Mapping[str, str] = REFERENCE_AND_CURRENT) -> go.Figure:
    """Draw two distributions of one column: paired bars if the frame has levels, else steps."""
    return (overlay_levels if "level" in frame else overlay_histogram)(frame, name=name, sides=sides)


def overlay_histogram(frame: pd.DataFrame, *, name: str, sides: Mapping[str, str] = REFERENCE_AND_CURRENT) -> go.Figure:
    """Draw two distributions of a number as steps on the same bins, with the baseline filled; each step takes a click.

    frame: low and high (the ends of each step as drawn), step (in words), and for each side its shares and n_<side>.
    """
    figure = go.Figure()
    figure.add_scatter(**_filled_area(_step_edges(frame), list(frame[next(iter(sides))])), fillcolor=theme.NEUTRAL, opacity=0.2)
    step_outlines(figure, frame, sides)
    hover = [
        f"{theme.inert_label(each['step'], 60)}" + "".join(f"<br>{_side_text(each, side, words)}" for side, words in sides.items())
        for each in frame.to_dict("records")
    ]
    clickable_steps(figure, frame, hover, float(frame[list(sides)].to_numpy().max()))
    x = theme.inert_label(name, 60)
    return theme.themed(figure, height=300, x=x, y="share of values", legend=True, rangemode="tozero", tickformat=theme.PERCENT)


def _side_text(row: Mapping[Any, Any], side: str, words: str) -> str:
    """Return the text for one side of a step or level: its share and its number of predictions."""
    return f"{words} {formatting.format_share(row[side])}, {int(row[f'n_{side}']):,} predictions"


def step_outlines(figure: go.Figure, frame: pd.DataFrame, sides: Mapping[str, str] = REFERENCE_AND_CURRENT) -> None:
    """Add the steps of each side that the frame has as lines; the baseline is thin and grey."""
    for place, (side, words) in enumerate(sides.items()):
        if side in frame:
            line = {"shape": "hv", "color": theme.PRIMARY if place else theme.NEUTRAL, "width": 2.0 if place else 1.2}
            heights = [*frame[side], frame[side].iloc[-1]]
            figure.add_scatter(x=_step_edges(frame), y=heights, name=words, mode="lines", hoverinfo="skip", line=line)


def clickable_steps(figure: go.Figure, frame: pd.DataFrame, hover: Sequence[str], top: float) -> None:
    """Add a transparent bar over each step (from low to high). It carries the hover text and takes a click, because a line takes none."""
    clear, heights = {"marker": {"opacity": 0}}, [top] * len(frame)
    style: dict[str, Any] = {"color": None, "marker_opacity": 0, "selected": clear, "unselected": clear, "showlegend": False}
    middles, widths = (frame["low"] + frame["high"]) / 2, frame["high"] - frame["low"]
    layout.add_bars(figure, middles, heights, list(hover), width=widths, **style)


def _step_edges(frame: pd.DataFrame) -> list[float]:
    """The positions at which steps begin, and the end of the last one."""
    return [*frame["low"], frame["high"].iloc[-1]]


def _filled_area(edges: list[float], values: list[float]) -> dict[str, Any]:
    """Return the area under steps as a closed outline, because plotly makes only areas of that kind transparent."""
    x = [edge for edge in edges for _ in range(2)]
    y = [0.0, *(value for value in values for _ in range(2)), 0.0]
    return {"x": x, "y": y, "fill": "toself", "mode": "none", "hoverinfo": "skip", "showlegend": False}


def overlay_levels(frame: pd.DataFrame, *, name: str, sides: Mapping[str, str] = REFERENCE_AND_CURRENT) -> go.Figure:
    """Draw two distributions of a category as paired bars. frame: level, and for each side its shares and n_<side>."""
    figure, places = go.Figure(), list(range(len(frame)))
    for place, (side, words) in enumerate(sides.items()):
        texts = [f"{theme.inert_label(row['level'], 60)}<br>{_side_text(row, side, words)}" for row in frame.to_dict("records")]
        color, opacity = (theme.PRIMARY, 1) if place else (theme.NEUTRAL, 0.55)
        layout.add_bars(figure, places, frame[side], texts, name=words, color=color, opacity=opacity)
    x = theme.inert_label(name, 60)
    theme.themed(figure, height=300, x=x, y="share of predictions", legend=True, rangemode="tozero", tickformat=theme.PERCENT)
    figure.update_xaxes(tickmode="array", tickvals=places, ticktext=theme.inert_labels(list(frame["level"]), 18))
    return figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.05)
