"""Figures of service: requests stacked by status, and latency percentiles with their limit."""

import math
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import add_event_marks, horizontal_line, interval_band, line_markers

STATUSES = {"ok": theme.PRIMARY, "error": theme.ACT, "timeout": theme.WATCH, "fallback": theme.PURPLE, "rejected": theme.NEUTRAL}
"""The colour of every status, in the order of the stack from the bottom up."""
PERCENTILES = {"p50": (theme.SKY, "dot"), "p95": (theme.PURPLE, "dash"), "p99": (theme.PRIMARY, "solid")}


def requests_by_status_bars(frame: pd.DataFrame, marks: pd.DataFrame | None = None) -> go.Figure:
    """Draw the requests by period as bars that are stacked by status.

    frame: period, and a column of counts for each status that occurs, `ok` included.
    """
    figure = go.Figure()
    shown = [status for status in STATUSES if status in frame and frame[status].sum()]
    for status in shown:
        hover, opacity = f"%{{x|%a %-d %b %Y %H:%M}}<br>%{{y:,}} {status}", 0.85 if status == "ok" else 1.0
        layout.add_bars(figure, frame["period"], frame[status], hover=hover, name=status, color=STATUSES[status], opacity=opacity)
    theme.themed(figure, height=260, y="requests", legend=len(shown) > 1, rangemode="tozero")
    figure.update_layout(barmode="stack", bargap=0.08)
    return add_event_marks(figure, marks, frame["period"])


def latency_percentile_lines(
    frame: pd.DataFrame, *, limit: float | None = None, log: bool = False, marks: pd.DataFrame | None = None, height: int = 320
) -> go.Figure:
    """Draw p50, p95 and p99 of the latency by period, with the interval of p99, the service level and marks of events.

    frame: period, p50, p95, p99, low and high (of p99), n (the number of answers). All times are in milliseconds.
    """
    figure = go.Figure()
    interval_band(figure, frame["period"], frame["low"], frame["high"], theme.PRIMARY, "95 % interval of p99")
    for name, (colour, dash) in PERCENTILES.items():
        texts = [_percentile_hover(name, row) for row in frame.to_dict("records")]
        style = {"name": name, "color": colour, "dash": dash, "mode": "lines+markers", **line_markers(colour, len(frame))}
        layout.add_curve(figure, frame["period"], frame[name], layout.TIME_HOVER, texts=texts, **style)
    if limit is not None:
        horizontal_line(figure, limit, theme.ACT, "service level", "dash")
    scale = {"rangemode": "normal", "type": "log"} if log else {"rangemode": "tozero", "type": "linear"}
    theme.themed(figure, height=320, y="ms", legend=True, tickformat=",.3~g", **scale)
    if log and limit is not None:
        figure.layout.annotations[-1].y = math.log10(limit)  # an annotation on a logarithmic axis stands at the exponent
    return add_event_marks(figure, marks, frame["period"])


def _percentile_hover(name: str, row: dict[Any, Any]) -> str:
    """Return the hover text of a point: its value, the interval if it is p99, and the number of answers."""
    ends = (row["low"], row["high"]) if name == "p99" else (None, None)
    return f"{name} {formatting.value_with_interval(row[name], *ends)} ms<br>{formatting.plural(int(row['n']), 'answer')}"
