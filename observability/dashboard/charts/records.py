"""Figures of a value over time: for each batch, for each run of a rule, or for each round of several sets of questions."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts import time as charts_time

SYMBOLS = {"act": "x", "watch": "diamond", "ok": "circle", "unknown": "circle-open"}
COLOURS = {"act": theme.ACT, "watch": theme.WATCH, "ok": theme.PRIMARY, "unknown": theme.NEUTRAL}
BEGINS = {"act": "Critical", "watch": "Warning"}

MAX_STEMS = 120
"""Number of rows above which no stems are drawn."""
ZERO_TOP, TINY = 0.05, 0.005
"""The upper end of an axis of shares, used if no share is above TINY."""


def record_marks(frame: pd.DataFrame, *, name: str, usual: float | None = None, share: bool = False) -> go.Figure:
    """Draw a mark for each row by time, on a stem if there are few rows. Shape and colour show the severity of the row's finding. usual: a
    value drawn as a dotted line.

    frame: at, value, severity, words (the hover text, already made inert).
    """
    figure, many = go.Figure(), len(frame) > MAX_STEMS
    for severity, colour in COLOURS.items():
        part = frame[frame["severity"] == severity]
        if len(part):
            size = (4 if many else 8) if severity in ("ok", "unknown") else 11
            marker = {"size": size, "symbol": SYMBOLS[severity], "color": colour}
            stems = theme.error_bars(part["value"], part["value"] * 0, part["value"], color=colour, thickness=1.2, width=0)
            style: dict[str, Any] = {"name": formatting.STATUS_WORDS[severity], "marker": marker, "error_y": {**stems, "visible": not many}}
            layout.add_marks(figure, part["at"], part["value"], part["words"], cliponaxis=False, **style)
    if usual is not None:
        charts_time.legend_line(figure, usual, "usual")
    legend, tick_format = frame["severity"].nunique() > 1 or usual is not None, ",.1~%" if share else ",.3~s"
    theme.themed(figure, height=260, y=name, legend=legend, rangemode="tozero", tickformat=tick_format)
    top = max(float(frame["value"].max()), usual or 0.0)
    if not top > (TINY if share else 0):
        figure.update_yaxes(
            range=[0, ZERO_TOP if share else 1]
        )  # plotly draws an axis up to 100 % for zeros, and writes 0 % at every tick for tiny shares
    return figure


def flips_by_set(frame: pd.DataFrame) -> go.Figure:
    """Draw a line for each set of questions, with a mark where a change begins and where the declared version changes.

    frame: at, label (of the line), value (a share), mark (`change`, `version` or empty), severity (of a change), words (the hover text,
    already made inert).
    """
    figure = go.Figure()
    for name, part in frame.groupby("label", sort=True):
        line = {"name": theme.inert_label(str(name), 40), "mode": "lines+markers", "marker": {"size": 4}, "line": {"width": 1.4}}
        figure.add_scatter(x=part["at"], y=part["value"], customdata=part["words"], hovertemplate="%{customdata}<extra></extra>", **line)
    begins = frame["mark"] == "change"
    marks = [
        (f"{word}: change begins", begins & (frame["severity"] == each), SYMBOLS[each], COLOURS[each]) for each, word in BEGINS.items()
    ]
    marks.append(("version changes", frame["mark"] == "version", "triangle-down", theme.NEUTRAL))
    for words, chosen, symbol, colour in marks:
        part = frame[chosen]
        if len(part):
            marker = {"size": 11, "symbol": symbol, "color": colour}
            layout.add_marks(figure, part["at"], part["value"], part["words"], name=words, marker=marker, cliponaxis=False)
    theme.themed(figure, height=240, y="Flips", legend=True, rangemode="tozero", tickformat=theme.PERCENT)
    if not float(frame["value"].max()) > TINY:
        figure.update_yaxes(range=[0, ZERO_TOP])
    return figure
