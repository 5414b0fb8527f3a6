"""Figures of energy, carbon and cost: bars by day, run and part, and a forecast with the budget.

What was not measured is hatched.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts import time as charts_time

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

HATCH = {"measured": "", "estimated": "/", "assumed": "x"}
COLOURS = {"training": theme.PRIMARY, "labelling": theme.WATCH, "serving": theme.OK, "storage": theme.PURPLE}
Say = Callable[[float | None], str]


def consumption_bars(
    frame: "DataFrame", *, name: str, say: Say, source: str, baseline: float | None = None, limit: float | None = None
) -> "Figure":
    """Energy or carbon per thousand predictions by period as bars.

    frame: period, value. source: of all values. baseline: of the past. limit: of the finding.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_bar(
        x=frame["period"],
        y=frame["value"],
        name=f"{name} ({source})",
        marker=_hatched(source),
        customdata=[say(value) for value in frame["value"]],
        hovertemplate="%{x|%a %e %b %Y %H:%M}<br>%{customdata}<extra></extra>",
    )
    if baseline is not None:
        charts_time.horizontal_line(figure, baseline, theme.NEUTRAL, "past", "dot", x=0)
    if limit is not None:
        charts_time.horizontal_line(figure, limit, theme.ACT, "limit", "dash")
    theme.themed(figure, height=260, y=name)
    figure.update_yaxes(rangemode="tozero", tickformat=".3~s")
    return figure


def _hatched(source: str) -> dict[str, Any]:
    """Markers of bars, hatched where they were not measured."""
    return {"color": theme.PRIMARY, "pattern": {"shape": HATCH.get(source, ""), "size": 5, "solidity": 0.25}}


def run_energy_bars(frame: "DataFrame", *, name: str, say: Say) -> "Figure":
    """Energy of training runs as horizontal bars, the newest on top. frame: run, value, source."""
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, len(frame))
    figure = go.Figure()
    for source, part in rows.groupby("source", sort=True):
        figure.add_bar(
            x=part["value"],
            y=part.index,
            orientation="h",
            name=str(source),
            marker=_hatched(str(source)),
            customdata=[f"{theme.inert_label(run, 60)}<br>{say(value)} ({source})" for run, value in zip(part["run"], part["value"])],
            hovertemplate=layout.HOVER,
        )
    theme.themed(figure, height=max(170, 26 * len(rows) + 90), x=name, legend=True)
    layout.name_rows(figure, list(rows["run"]), longest=30)
    layout.value_axis(figure, rangemode="tozero", tickformat=".3~s")
    layout.legend_room(figure)
    return figure


def cost_stack(frame: "DataFrame", *, currency: str, say: Say) -> "Figure":
    """Cost by week or day, stacked by part. frame: period, training, labelling, serving, storage."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, colour in COLOURS.items():
        if frame[name].sum() > 0:
            figure.add_bar(
                x=frame["period"],
                y=frame[name],
                name=name,
                marker_color=colour,
                customdata=[f"{name}: {say(value)}" for value in frame[name]],
                hovertemplate="%{x|%e %b %Y}<br>%{customdata}<extra></extra>",
            )
    theme.themed(figure, height=280, y=theme.inert_label(currency or "cost"), legend=True)
    figure.update_layout(barmode="stack")
    figure.update_yaxes(rangemode="tozero")
    return figure


def cost_forecast_fan(frame: "DataFrame", *, currency: str, say: Say, budget: float | None = None) -> "Figure":
    """The month's cost so far, the forecast dashed with its interval, and the budget.

    frame: period, value, low, high (NaN for the past).
    """
    import pandas as pd
    import plotly.graph_objects as go

    figure = go.Figure()
    ahead, over = frame[frame["low"].notna()], frame[frame["low"].isna()]
    if len(over) and len(ahead):
        joint = over.tail(1).assign(low=over["value"], high=over["value"])
        ahead = pd.concat([joint, ahead], ignore_index=True)
    charts_time.interval_band(figure, ahead["period"], ahead["low"], ahead["high"], theme.PRIMARY, "95 % interval")
    for part, name, dash in ((ahead, "forecast", "dash"), (over, "spent", "solid")):
        if len(part):
            mode, texts = "lines+markers" if name == "spent" else "lines", [say(value) for value in part["value"]]
            hover = f"%{{x|%a %e %b %Y}}<br>{name} %{{customdata}}"
            style: dict[str, Any] = {"name": name, "dash": dash, "width": 2, "mode": mode, "marker": {"size": 4}}
            layout.add_curve(figure, part["period"], part["value"], hover, texts=texts, **style)
    if budget is not None:
        charts_time.horizontal_line(figure, budget, theme.ACT, "budget", "dash", x=0)
    theme.themed(figure, height=300, y=theme.inert_label(currency or "cost"), legend=True)
    figure.update_yaxes(rangemode="tozero")
    return figure
