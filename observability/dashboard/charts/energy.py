"""Figures of energy, carbon and cost: bars by day, by run and by part, and a forecast with the budget.

Values that were not measured are hatched.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts import time as charts_time

HATCH = {"measured": "", "estimated": "/", "assumed": "x"}
COLOURS = {"training": theme.PURPLE, "labelling": theme.SKY, "serving": theme.PRIMARY, "storage": theme.NEUTRAL}
Say = Callable[[float | None], str]
TRAILING_ZEROS = re.compile(r"(?:\.|(\.\d*[1-9]))0+(?!\d)")


def consumption_bars(frame: pd.DataFrame, *, name: str, say: Say, source: str, baseline: float | None = None) -> go.Figure:
    """Energy or carbon per thousand predictions by period as bars.

    frame: period, value. say: a function that formats a value with its unit, also for ticks. source: the source of all values. baseline:
    the value of the past, drawn as a line.
    """
    figure = go.Figure()
    texts, style = [say(value) for value in frame["value"]], {"name": f"{name} ({source})", "showlegend": False, **_hatched(source)}
    layout.add_bars(figure, frame["period"], frame["value"], texts, hover=layout.TIME_HOVER, **style)
    if baseline is not None:
        charts_time.legend_line(figure, baseline, "past")
    charts_time.period_axis(figure, frame["period"])
    theme.themed(figure, height=260, y=name, legend=baseline is not None, rangemode="tozero")
    return figure.update_yaxes(said_ticks(float(frame["value"].max()), say, 4))


def said_ticks(top: float, say: Say, most: int) -> dict[str, Any]:
    """Ticks of an axis from 0 to a value: at most `most` ticks above 0, at multiples of 1, 2 or 5 times a power of ten. Empty if the value
    is unknown; then plotly chooses the ticks.
    """
    if not top > 0 or not math.isfinite(top):
        return {}
    power = 10.0 ** math.floor(math.log10(top / most))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * (most + 1) > top)
    ticks = [place * step for place in range(math.floor(top / step * (1 + 1e-9)) + 1)]
    texts = [TRAILING_ZEROS.sub(r"\1", say(tick)) for tick in ticks]
    if len(set(texts)) < len(texts):  # rounding made some texts equal, so write plain numbers; the axis title has the unit
        digits = max(-math.floor(math.log10(step)), 0)
        texts = [f"{tick:,.{digits}f}" for tick in ticks]
    return {"tickvals": ticks, "ticktext": texts, "tickangle": 0}


def _hatched(source: str) -> dict[str, Any]:
    """Colour and pattern of bars, hatched if they were not measured."""
    return {"color": theme.PRIMARY, "marker_pattern": {"shape": HATCH.get(source, ""), "size": 5, "solidity": 0.25}}


def run_energy_bars(frame: pd.DataFrame, *, name: str, say: Say) -> go.Figure:
    """Energy or cost of training runs as horizontal bars, the newest on top.

    frame: run, value, source. name: title of the value axis, left out if every tick already says it, such as a currency. say: a function
    that formats a value with its unit, also for ticks.
    """
    rows = layout.bottom_up(frame, len(frame))
    figure = go.Figure()
    for source, part in rows.groupby("source", sort=True):
        texts = [f"{theme.inert_label(run, 60)}<br>{say(value)} ({source})" for run, value in zip(part["run"], part["value"])]
        layout.add_bars(figure, part["value"], part.index, texts, orientation="h", name=str(source), **_hatched(str(source)))
    names, height = layout.row_names(list(rows["run"]), longest=30), max(170, 26 * len(rows) + 90)
    ticks = said_ticks(float(rows["value"].max()), say, 3)
    title = "" if ticks and all(name in text for text in ticks["ticktext"]) else name
    layout.row_chart(figure, names, title, height=height, legend=True, top=44, rangemode="tozero")
    return figure.update_xaxes(ticks)


def cost_stack(frame: pd.DataFrame, *, currency: str, say: Say) -> go.Figure:
    """Cost by week or day, stacked by part. frame: period, training, labelling, serving, storage."""
    figure = go.Figure()
    for name, colour in COLOURS.items():
        if frame[name].sum() > 0:
            texts, hover = [f"{name}: {say(value)}" for value in frame[name]], "%{x|%-d %b %Y}<br>%{customdata}"
            layout.add_bars(figure, frame["period"], frame[name], texts, hover=hover, name=name, color=colour)
    theme.themed(figure, height=280, y=theme.inert_label(currency or "cost"), legend=True, rangemode="tozero", tickformat=",.3~r")
    return figure.update_layout(barmode="stack")


def cost_forecast_fan(frame: pd.DataFrame, *, currency: str, say: Say, budget: float | None = None) -> go.Figure:
    """The month's cost so far, the forecast (dashed) with its interval, and the budget.

    frame: period, value, low, high (NaN for past periods).
    """
    figure = go.Figure()
    ahead, over = frame[frame["low"].notna()], frame[frame["low"].isna()]
    if len(over) and len(ahead):
        joint = over.tail(1).assign(low=over["value"], high=over["value"])
        ahead = pd.concat([joint, ahead], ignore_index=True)
    charts_time.interval_band(figure, ahead["period"], ahead["low"], ahead["high"], theme.PRIMARY, "95 % interval")
    for part, name, dash in ((ahead, "forecast", "dash"), (over, "spent", "solid")):
        if len(part):
            mode, texts = "lines+markers" if name == "spent" else "lines", [say(value) for value in part["value"]]
            hover = f"%{{x|%a %-d %b %Y}}<br>{name} %{{customdata}}"
            style: dict[str, Any] = {"name": name, "dash": dash, "width": 2, "mode": mode, "marker": {"size": 4}}
            layout.add_curve(figure, part["period"], part["value"], hover, texts=texts, **style)
    if budget is not None:
        charts_time.horizontal_line(figure, budget, theme.ACT, "budget", "dash")
    return theme.themed(figure, height=300, y=theme.inert_label(currency or "cost"), legend=True, rangemode="tozero", tickformat=",.3~r")


def batch_energy_lines(frame: pd.DataFrame) -> go.Figure:
    """Joules of a thousand predictions by batch size, as a line with intervals for each form of the model; both axes are logarithmic.

    frame: form, batch, value, low, high, source; sorted by form and size.
    """
    figure = go.Figure()
    for place, (form, rows) in enumerate(frame.groupby("form", sort=False)):
        colour, name = theme.SERIES[place % len(theme.SERIES)], theme.inert_label(str(form))
        bars = theme.error_bars(rows["value"], rows["low"], rows["high"], color=colour, width=4)
        dash = "solid" if (rows["source"] == "measured").all() else "dash"
        texts = [f"{value:.3g} J ({low:.3g} to {high:.3g} J), {source}" for value, low, high, source in rows[list(ENERGY_ENDS)].to_numpy()]
        layout.add_curve(
            figure,
            rows["batch"],
            rows["value"],
            f"{name}<br>batches of %{{x:,}}<br>%{{customdata}}",
            name=name,
            color=colour,
            dash=dash,
            texts=texts,
            mode="lines+markers",
            error_y=bars,
        )
    sizes = sorted(frame["batch"].unique())
    theme.themed(figure, height=300, x="predictions in a batch", y="J per 1,000 predictions", legend=True)
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=[f"{size:,}" for size in sizes])
    return figure.update_yaxes(type="log", dtick=1, tickformat=",.3~g")


ENERGY_ENDS = ("value", "low", "high", "source")
