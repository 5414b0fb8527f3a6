"""Figures of training: raw and smoothed curves, parallel coordinates, a heatmap of ranks and steps, and phases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.stats.curve import downsampled_indices

MAX_POINTS = 1500
"""Maximum number of points of one line. If there are more, only the lowest and the highest point of each stretch are drawn, so that spikes
stay visible.
"""
MAX_STEPS, MAX_RANKS, MAX_CELLS = 240, 64, 1500
ALL_ROWS, LABEL_HEIGHT = 560, 14
"""Total height in pixels of the rows of all ranks, if rows may be that low; and the height that the label of a row needs."""
REACHES = (0.5, 1.0, 2.0, 3.0)
"""Numbers of doublings at which the colours of the map of ranks may end."""
MAX_LEVEL_NAMES = 4
"""Maximum number of axes of parallel coordinates whose names fit side by side on a phone. If there are more axes, their names are
tilted.
"""
LONGEST_RANK = 22
DASHES = {"held out": ("solid", "dash"), "training": ("dot", "dashdot")}
"""Line styles by part of the data. The first style is for the first runs, the second for further runs, whose colours repeat."""
SYMBOLS = {"best": "star", "act": "x", "watch": "triangle-up"}


def training_curve_lines(frame: pd.DataFrame, marks: pd.DataFrame, *, name: str, x: str, log: bool) -> go.Figure:
    """Draw each curve of a run, pale as logged and smoothed above it, with marks of findings.

    frame: run, part ("training" or "held out"), step, x, value, smoothed. marks: run, x, value, kind ("best", "act", "watch"), what.
    """
    figure = go.Figure()
    runs = list(dict.fromkeys(frame["run"]))
    alone = len(runs) == 1
    for (run, part), line in frame.groupby(["run", "part"], sort=False):
        turn, place = divmod(runs.index(run), len(theme.SERIES))
        colour = (theme.PRIMARY if part == "held out" else theme.SKY) if alone else theme.SERIES[place]
        label = str(part) if alone else f"{theme.inert_label(run)}, {part}"
        kept = line.iloc[downsampled_indices(line["value"].to_numpy(float), MAX_POINTS)]
        same = bool(np.array_equal(kept["value"].to_numpy(), kept["smoothed"].to_numpy(), equal_nan=True))
        if not same:
            raw: dict[str, Any] = {"opacity": 0.3, "hoverinfo": "skip", "showlegend": False}
            layout.add_curve(figure, kept["x"], kept["value"], "", name=f"{label}, as logged", color=colour, width=1, **raw)
        whose = f"{theme.inert_label(run, 60)}, {part}"
        told = zip(kept["step"].tolist(), kept["value"].tolist())
        hover = np.array([f"{whose}<br>step {step:,}: {formatting.format_number(value, 4)}" for step, value in told], object)
        dash = DASHES.get(str(part), DASHES["held out"])[turn % 2]
        layout.add_curve(figure, kept["x"], kept["smoothed"], "%{customdata}", name=label, color=colour, dash=dash, width=1.9, texts=hover)
    for mark in marks.to_dict("records"):
        colour = theme.TONES.get(mark["kind"], theme.STRONG)
        marker = {"symbol": SYMBOLS[mark["kind"]], "size": 11, "color": colour, "line": {"width": 1, "color": theme.SURFACE}}
        texts = [f"{theme.inert_label(mark['run'], 60)}<br>{theme.inert_label(mark['what'], 120)}"]
        style: dict[str, Any] = {"name": mark["kind"], "showlegend": False, "cliponaxis": False, "marker": marker}
        layout.add_marks(figure, [mark["x"]], [mark["value"]], texts, **style)
    return theme.themed(figure, height=400, x=x, y=theme.inert_label(name, 60), legend=True, type="log" if log else None)


def parallel_coordinates(frame: pd.DataFrame, *, metric: str) -> go.Figure:
    """Draw the parameters of runs as parallel axes. The last axis is the metric, which also colours the lines.

    frame: run, one column per parameter, and the metric.
    """
    dimensions = []
    for column in frame.columns[1:]:
        values = frame[column]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        axis: dict[str, Any] = {"label": theme.inert_label(column, 24)}
        if numeric:
            axis["values"] = [float(value) for value in values]
        else:
            levels = sorted({str(value) for value in values})
            axis["values"] = [levels.index(str(value)) for value in values]
            axis |= {"tickvals": list(range(len(levels))), "ticktext": theme.inert_labels(levels, 18)}
        dimensions.append(axis)
    few = len(dimensions) <= MAX_LEVEL_NAMES
    figure = go.Figure()
    figure.add_parcoords(
        dimensions=dimensions,
        line={"color": frame[metric], "colorscale": ((0, theme.SKY), (1, theme.PURPLE)), "showscale": False},
        labelfont={"color": theme.STRONG, "size": 12 if few else 11},
        labelangle=0 if few else -45,
        tickfont={"color": theme.STRONG, "size": 11},
        rangefont={"color": theme.NEUTRAL, "size": 10},
    )
    return theme.themed(figure, height=300 if few else 360).update_layout(margin={"l": 40, "r": 90, "t": 60 if few else 120, "b": 20})


def step_stride(steps: int, ranks: int) -> int:
    """Return how many steps one column of the heatmap stands for. Each cell is an element of the page, so more ranks mean fewer columns."""
    return max(-(-steps // min(MAX_STEPS, MAX_CELLS // max(min(ranks, MAX_RANKS), 1))), 1)


def rank_row_height(ranks: int, most: int, least: int) -> tuple[int, int]:
    """Return the height of a rank's row, low enough that many ranks fit on a screen, and the number n such that every nth rank has
    a label.
    """
    height = min(most, max(least, ALL_ROWS // max(ranks, 1)))
    return height, -(-LABEL_HEIGHT // height)


def rank_color_reach(ratio: Any) -> float:
    """Return the number of doublings at which the colours end. It is the smallest of REACHES that contains all but one in 200 cells, or the
    largest if none does.
    """
    found = float(np.quantile(np.abs(np.log2(np.maximum(ratio, 1e-6))), 0.995)) if np.size(ratio) else 0.0
    return next((reach for reach in REACHES if found <= reach), max(REACHES))


def rank_step_heatmap(own: Any, ranks: Sequence[str], steps: Sequence[int], chosen: int | None = None, what: str = "own work") -> go.Figure:
    """Draw the ratio of each rank's own time to the median of the step, by rank and step. A click gives `customdata[0]`, the step.

    own: milliseconds, ranks × steps, at most MAX_RANKS and MAX_STEPS. what: what the time was spent on, a phase or all own work.
    Transparent squares lie over the heatmap, because a click on the heatmap itself gives no event.
    """
    ratio = own / np.maximum(np.median(own, axis=0) if len(own) else 1.0, 1e-9)
    figure = go.Figure()
    places, rows, label = list(range(len(steps))), list(range(len(ranks))), theme.inert_label(what, 24)
    reach = rank_color_reach(ratio)
    ends = [reach * part / 3 for part in range(-3, 4)]
    named = ["⅛", "¼", "½", "1", "2", "4", "8 ×"] if reach == max(REACHES) else [f"{2**each:.2g}" for each in ends]
    ticks: dict[str, Any] = {"tickvals": ends, "ticktext": named}
    style = {"colorscale": theme.DIVERGING, "colorbar": theme.colorbar("own time ÷ median") | ticks, "hoverinfo": "skip"}
    figure.add_heatmap(x=places, y=rows, z=np.log2(np.maximum(ratio, 1e-6)), zmin=-reach, zmax=reach, **style)
    texts = [
        [
            int(step),
            f"rank {theme.inert_label(rank)}, step {int(step):,}<br>{own[i, j]:.3g} ms of {label}, {ratio[i, j]:.2f} × the median",
        ]
        for i, rank in enumerate(ranks)
        for j, step in enumerate(steps)
    ]
    x, y = np.tile(places, len(rows)), np.repeat(rows, len(places))
    height, labelled = rank_row_height(len(ranks), 26, 9)
    layout.add_click_squares(figure, x, y, texts, size=min(12, height), hover="%{customdata[1]}")
    theme.themed(figure, height=max(170, height * len(ranks) + 80), x="step")
    shown, ends = list(range(0, len(steps), max(len(steps) // 8, 1))), [-0.5, len(steps) - 0.5]
    figure.update_xaxes(tickmode="array", tickvals=shown, ticktext=[f"{int(steps[place]):,}" for place in shown], range=ends)
    layout.set_row_ticks(figure, [f"rank {label}" for label in theme.inert_labels(ranks, LONGEST_RANK)])
    axis = figure.layout.yaxis
    figure.update_yaxes(range=[len(ranks) - 0.5, -0.5], tickvals=axis.tickvals[::labelled], ticktext=axis.ticktext[::labelled])
    if chosen is not None and chosen in list(steps):
        figure.add_vline(x=list(steps).index(chosen), line={"color": theme.STRONG, "width": 1.5})
    return figure


def straggler_ratio_line(frame: pd.DataFrame) -> go.Figure:
    """Draw the ratio of the slowest rank's own time to that of the median rank, by step. frame: step, slowest_over_median."""
    kept = frame.iloc[downsampled_indices(frame["slowest_over_median"].to_numpy(float), MAX_POINTS)]
    figure = go.Figure()
    layout.add_curve(figure, kept["step"], kept["slowest_over_median"], "step %{x:,}<br>%{y:.3g} × the median rank", width=1.6)
    figure.add_hline(y=1, line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"})
    return theme.themed(figure, height=220, x="step", y="slowest ÷ median", rangemode="tozero")


def phase_bars(frame: pd.DataFrame) -> go.Figure:
    """Draw the milliseconds per step of each rank, with its phases stacked. frame: rank, phase, ms."""
    figure = go.Figure()
    names = list(dict.fromkeys(frame["phase"]))
    for name, colour in zip(names, (theme.PRIMARY, theme.PURPLE, theme.SKY, theme.NEUTRAL, theme.STRONG)):
        rows = frame[frame["phase"] == name]
        ranks, label = [f"rank {rank}" for rank in theme.inert_labels(list(rows["rank"]), LONGEST_RANK)], theme.inert_label(name)
        style: dict[str, Any] = {"orientation": "h", "name": label, "marker_color": theme.QUIET if name == "waiting" else colour}
        figure.add_bar(x=rows["ms"], y=ranks, hovertemplate=f"{label}: %{{x:.3g}} ms<extra>%{{y}}</extra>", **style)
    height, labelled = rank_row_height(frame["rank"].nunique(), 30, 12)
    axis: dict[str, Any] = {"autorange": "reversed", "showgrid": False, "type": "category", "tick0": 0, "dtick": labelled}
    theme.themed(figure, height=max(170, height * frame["rank"].nunique() + 90), x="ms a step", legend=True, **axis)
    return layout.value_axis(figure.update_layout(barmode="stack"))
