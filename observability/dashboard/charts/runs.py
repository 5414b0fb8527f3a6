"""How does training go: curves raw and smoothed, parameters in parallel, ranks by step, phases stacked?

Pure functions from frames to plotly figures.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core import formatting
from observability.dashboard import theme
from observability.stats.curve import thin

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_POINTS = 1500
"""Points of one line; of more, the lowest and highest of each stretch are drawn, so that no spike is lost."""
MOST_STEPS, MOST_RANKS = 240, 64
LONGEST_RANK = 22
COLOURS = (theme.PRIMARY, theme.WATCH, theme.OK, theme.PURPLE, theme.SKY, theme.ACT, theme.NEUTRAL)
DASHES = {"held out": "solid", "training": "dot"}
SYMBOLS = {"best": "star", "act": "x", "watch": "triangle-up"}


def curves(frame: "DataFrame", marks: "DataFrame", *, name: str, x: str, log: bool) -> "Figure":
    """Each line of a run twice: as logged, faded, and smoothed over it; marks of what was found.

    frame: run, part ("training" or "held out"), step, x, value, smoothed. marks: run, x, value, kind ("best", "act", "watch"), what.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    runs = list(dict.fromkeys(frame["run"]))
    alone = len(runs) == 1
    for (run, part), line in frame.groupby(["run", "part"], sort=False):
        colour = (theme.PRIMARY if part == "held out" else theme.SKY) if alone else COLOURS[runs.index(run) % len(COLOURS)]
        label = str(part) if alone else f"{theme.label(run)}, {part}"
        kept = line.iloc[thin(line["value"].to_numpy(float), MOST_POINTS)]
        same = bool(np.array_equal(kept["value"].to_numpy(), kept["smoothed"].to_numpy(), equal_nan=True))
        if not same:
            figure.add_scatter(
                x=kept["x"], y=kept["value"], mode="lines", name=f"{label}, as logged", line={"color": colour, "width": 1}, opacity=0.3,
                hoverinfo="skip", showlegend=False,
            )  # fmt: skip
        hover = [
            f"{theme.label(run, 60)}, {part}<br>step {step:,}: {formatting.number(value, 4)}"
            for step, value in zip(kept["step"].tolist(), kept["value"].tolist())
        ]
        figure.add_scatter(
            x=kept["x"], y=kept["smoothed"], mode="lines", name=label, connectgaps=False, customdata=hover,
            line={"color": colour, "width": 1.9, "dash": DASHES.get(str(part), "solid")}, hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    for each in marks.to_dict("records"):
        colour = theme.TONES.get(each["kind"], theme.STRONG)
        figure.add_scatter(
            x=[each["x"]], y=[each["value"]], mode="markers", name=each["kind"], showlegend=False, cliponaxis=False,
            marker={"symbol": SYMBOLS[each["kind"]], "size": 11, "color": colour, "line": {"width": 1, "color": theme.SURFACE}},
            customdata=[f"{theme.label(each['run'], 60)}<br>{theme.label(each['what'], 120)}"], hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    theme.themed(figure, height=400, x=x, y=theme.label(name, 60), legend=True)
    if log:
        figure.update_yaxes(type="log")
    return figure


def parallel(frame: "DataFrame", *, metric: str) -> "Figure":
    """Parameters of runs as parallel axes, the last one the metric, which also colours the lines. frame: run, one column a parameter, metric."""
    import plotly.graph_objects as go

    dimensions = []
    for column in frame.columns[1:]:
        values = frame[column]
        numeric = all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
        axis: dict[str, Any] = {"label": theme.label(column, 24)}
        if numeric:
            axis["values"] = [float(each) for each in values]
        else:
            levels = sorted({str(each) for each in values})
            axis |= {
                "values": [levels.index(str(each)) for each in values],
                "tickvals": list(range(len(levels))),
                "ticktext": theme.labels(levels, 18),
            }
        dimensions.append(axis)
    figure = go.Figure()
    figure.add_parcoords(
        dimensions=dimensions,
        line={"color": frame[metric], "colorscale": ((0, theme.SKY), (1, theme.ACT)), "showscale": False},
        labelfont={"color": theme.STRONG, "size": 12},
        tickfont={"color": theme.STRONG, "size": 11},
        rangefont={"color": theme.NEUTRAL, "size": 10},
    )
    theme.themed(figure, height=300)
    figure.update_layout(margin={"l": 70, "r": 70, "t": 60, "b": 20})
    return figure


def every_kth(steps: int) -> int:
    """Every how many steps a column of the heatmap stands for."""
    return max(-(-steps // MOST_STEPS), 1)


def ranks(own: Any, ranks: Sequence[str], steps: Sequence[int], chosen: int | None = None) -> "Figure":
    """Rank × step: a rank's own time over the step's median. A click gives `customdata[0]`, the step.

    own: ms, ranks × steps, at most MOST_RANKS and MOST_STEPS. Squares that are not seen lie over the heatmap, since a click on it gives no event.
    """
    import plotly.graph_objects as go

    ratio = own / np.maximum(np.median(own, axis=0), 1e-9)
    figure = go.Figure()
    places, rows = list(range(len(steps))), list(range(len(ranks)))
    figure.add_heatmap(
        x=places, y=rows, z=np.log2(np.maximum(ratio, 1e-6)), zmin=-3, zmax=3, colorscale=theme.DIVERGING, hoverinfo="skip",
        colorbar={
            "title": {"text": "own time ÷ median", "side": "right", "font": {"size": 11}}, "thickness": 8, "outlinewidth": 0,
            "tickvals": [-3, -2, -1, 0, 1, 2, 3], "ticktext": ["⅛", "¼", "½", "1", "2", "4", "8 ×"], "tickfont": {"size": 11},
        },
    )  # fmt: skip
    figure.add_scatter(
        x=[place for _ in rows for place in places],
        y=[row for row in rows for _ in places],
        mode="markers",
        opacity=0,
        marker={"symbol": "square", "size": 12},
        customdata=[
            [int(step), f"rank {theme.label(rank)}, step {int(step):,}<br>{own[i, j]:.3g} ms of own work, {ratio[i, j]:.2f} × the median"]
            for i, rank in enumerate(ranks)
            for j, step in enumerate(steps)
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        showlegend=False,
        unselected={"marker": {"opacity": 0}},
        selected={"marker": {"opacity": 0}},
    )
    theme.themed(figure, height=max(170, 26 * len(ranks) + 80), x="step")
    ticks = list(range(0, len(steps), max(len(steps) // 8, 1)))
    figure.update_xaxes(
        tickmode="array", tickvals=ticks, ticktext=[f"{int(steps[each]):,}" for each in ticks], range=[-0.5, len(steps) - 0.5]
    )
    figure.update_yaxes(
        tickmode="array", tickvals=rows, ticktext=[f"rank {each}" for each in theme.labels(ranks, LONGEST_RANK)], showgrid=False
    )
    figure.update_yaxes(range=[len(ranks) - 0.5, -0.5])
    if chosen is not None and chosen in list(steps):
        figure.add_vline(x=list(steps).index(chosen), line={"color": theme.STRONG, "width": 1.5})
    return figure


def slowest(frame: "DataFrame") -> "Figure":
    """The slowest rank's own time over the median one, by step. frame: step, slowest_over_median."""
    import plotly.graph_objects as go

    kept = frame.iloc[thin(frame["slowest_over_median"].to_numpy(float), MOST_POINTS)]
    figure = go.Figure()
    figure.add_scatter(
        x=kept["step"], y=kept["slowest_over_median"], mode="lines", line={"color": theme.PRIMARY, "width": 1.6},
        hovertemplate="step %{x:,}<br>%{y:.3g} × the median rank<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=1, line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"})
    theme.themed(figure, height=220, x="step", y="slowest ÷ median")
    figure.update_yaxes(rangemode="tozero")
    return figure


def phases(frame: "DataFrame") -> "Figure":
    """Milliseconds a step of each rank, its phases stacked. frame: rank, phase, ms."""
    import plotly.graph_objects as go

    figure = go.Figure()
    names = list(dict.fromkeys(frame["phase"]))
    for name, colour in zip(names, (theme.PRIMARY, theme.WATCH, theme.OK, theme.PURPLE, theme.SKY)):
        rows = frame[frame["phase"] == name]
        waiting = name == "waiting"
        figure.add_bar(
            y=[f"rank {each}" for each in theme.labels(list(rows["rank"]), LONGEST_RANK)], x=rows["ms"], orientation="h", name=theme.label(name),
            marker={"color": theme.QUIET if waiting else colour}, hovertemplate=f"{theme.label(name)}: %{{x:.3g}} ms<extra>%{{y}}</extra>",
        )  # fmt: skip
    theme.themed(figure, height=max(170, 30 * frame["rank"].nunique() + 90), x="ms a step", legend=True)
    figure.update_layout(barmode="stack")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5)
    return figure
