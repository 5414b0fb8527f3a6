"""How are energy, carbon and money drawn: bars by day, run and part, each with where it comes from, and a forecast as a fan with the budget?

Pure functions from frames to plotly figures. What was not measured is hatched, so that an assumption never looks like a reading.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from observability.dashboard import theme
from observability.dashboard.charts import time as charts_time

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

HATCH = {"measured": "", "estimated": "/", "assumed": "x"}
COLOURS = {"training": theme.PRIMARY, "labelling": theme.WATCH, "serving": theme.OK, "storage": theme.PURPLE}
Say = Callable[[float | None], str]


def bars(frame: "DataFrame", *, name: str, say: Say, source: str, baseline: float | None = None, limit: float | None = None) -> "Figure":
    """A figure for a thousand predictions by day as bars. frame: period, value. source: of all of them. baseline: of the past; limit: what is watched for."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_bar(
        x=frame["period"], y=frame["value"], name=f"{name} ({source})",
        marker={"color": theme.PRIMARY, "pattern": {"shape": HATCH.get(source, ""), "size": 5, "solidity": 0.25}},
        customdata=[say(each) for each in frame["value"]], hovertemplate="%{x|%a %e %b %Y %H:%M}<br>%{customdata}<extra></extra>",
    )  # fmt: skip
    if baseline is not None:
        charts_time.level(figure, baseline, theme.NEUTRAL, "its own past", "dot", x=0)
    if limit is not None:
        charts_time.level(figure, limit, theme.ACT, "limit", "dash")
    theme.themed(figure, height=260, y=name)
    figure.update_yaxes(rangemode="tozero", tickformat=".3~s")
    return figure


def runs(frame: "DataFrame", *, name: str, say: Say) -> "Figure":
    """Runs as horizontal bars, the newest above. frame: run, value, source; hatched by where it comes from."""
    import plotly.graph_objects as go

    rows = frame.iloc[::-1].reset_index(drop=True)
    figure = go.Figure()
    for source, part in rows.groupby("source", sort=True):
        figure.add_bar(
            x=part["value"], y=part.index, orientation="h", name=str(source),
            marker={"color": theme.PRIMARY, "pattern": {"shape": HATCH.get(str(source), ""), "size": 5, "solidity": 0.25}},
            customdata=[f"{theme.label(run, 60)}<br>{say(value)} ({source})" for run, value in zip(part["run"], part["value"])],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    theme.themed(figure, height=max(170, 26 * len(rows) + 90), x=name, legend=True)
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(rows))), ticktext=theme.labels(list(rows["run"]), 30), range=[-0.6, len(rows) - 0.4]
    )
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, rangemode="tozero", tickformat=".3~s")
    figure.update_layout(margin={"t": 40})
    return figure


def parts(frame: "DataFrame", *, currency: str, say: Say) -> "Figure":
    """Money by week or day, stacked by part. frame: period, and the columns training, labelling, serving and storage."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, colour in COLOURS.items():
        if frame[name].sum() > 0:
            figure.add_bar(
                x=frame["period"], y=frame[name], name=name, marker_color=colour, customdata=[f"{name}: {say(each)}" for each in frame[name]],
                hovertemplate="%{x|%e %b %Y}<br>%{customdata}<extra></extra>",
            )  # fmt: skip
    theme.themed(figure, height=280, y=theme.label(currency or "money"), legend=True)
    figure.update_layout(barmode="stack")
    figure.update_yaxes(rangemode="tozero")
    return figure


def fan(frame: "DataFrame", *, currency: str, say: Say, budget: float | None = None) -> "Figure":
    """The month's cost so far as a line, the days to come dashed with their interval, and the budget. frame: period, value, low, high (NaN: is over)."""
    import pandas as pd
    import plotly.graph_objects as go

    figure = go.Figure()
    ahead, over = frame[frame["low"].notna()], frame[frame["low"].isna()]
    if len(over) and len(ahead):
        joint = over.tail(1).assign(low=over["value"], high=over["value"])
        ahead = pd.concat([joint, ahead], ignore_index=True)
    charts_time.band(figure, ahead["period"], ahead["low"], ahead["high"], theme.PRIMARY, "95 % interval")
    for part, name, dash in ((ahead, "forecast", "dash"), (over, "spent", "solid")):
        if len(part):
            figure.add_scatter(
                x=part["period"], y=part["value"], name=name, mode="lines+markers" if name == "spent" else "lines",
                line={"color": theme.PRIMARY, "width": 2, "dash": dash}, marker={"size": 4},
                customdata=[say(each) for each in part["value"]], hovertemplate=f"%{{x|%a %e %b %Y}}<br>{name} %{{customdata}}<extra></extra>",
            )  # fmt: skip
    if budget is not None:
        charts_time.level(figure, budget, theme.ACT, "budget", "dash", x=0)
    theme.themed(figure, height=300, y=theme.label(currency or "money"), legend=True)
    figure.update_yaxes(rangemode="tozero")
    return figure
