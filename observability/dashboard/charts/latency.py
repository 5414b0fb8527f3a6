"""How does service go over time: requests stacked by status, and percentiles of latency with their limit?

Pure functions from frames to plotly figures; nothing here asks or judges.
"""

from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts.time import band, level, markers, with_marks

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

STATUSES = {"ok": theme.PRIMARY, "error": theme.ACT, "timeout": theme.WATCH, "fallback": theme.PURPLE, "rejected": theme.NEUTRAL}
"""Every status, from the bottom of the stack up, and its colour; the hover text and the table say it in words."""
PERCENTILES = {"p50": (theme.SKY, "dot"), "p95": (theme.WATCH, "dash"), "p99": (theme.PRIMARY, "solid")}


def traffic(frame: "DataFrame", marks: "DataFrame | None" = None, *, height: int = 260) -> "Figure":
    """Requests by period as bars stacked by status.

    frame: period, and a column of counts for each status that occurs (`ok` among them).
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    shown = [status for status in STATUSES if status in frame and frame[status].sum()]
    for status in shown:
        figure.add_bar(
            x=frame["period"],
            y=frame[status],
            name=status,
            marker_color=STATUSES[status],
            opacity=0.85 if status == "ok" else 1.0,
            hovertemplate=f"%{{x|%a %e %b %Y %H:%M}}<br>%{{y:,}} {status}<extra></extra>",
        )
    theme.themed(figure, height=height, y="requests", legend=len(shown) > 1)
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(barmode="stack", bargap=0.08)
    return with_marks(figure, marks, frame["period"])


def percentiles(
    frame: "DataFrame", *, limit: float | None = None, log: bool = False, marks: "DataFrame | None" = None, height: int = 320
) -> "Figure":
    """p50, p95 and p99 of latency by period, p99 with its interval; a line for the service level; event marks.

    frame: period, p50, p95, p99, low, high (of p99), n (answers). All in milliseconds.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    band(figure, frame["period"], frame["low"], frame["high"], theme.PRIMARY, "95 % interval of p99")
    for name, (colour, dash) in PERCENTILES.items():
        figure.add_scatter(
            x=frame["period"],
            y=frame[name],
            name=name,
            mode="lines+markers",
            connectgaps=False,
            line={"color": colour, "width": 1.8, "dash": dash},
            **markers(colour, len(frame)),
            customdata=[hover(name, each) for each in frame.to_dict("records")],
            hovertemplate="%{x|%a %e %b %Y %H:%M}<br>%{customdata}<extra></extra>",
        )
    if limit is not None:
        level(figure, limit, theme.ACT, "service level", "dash")
    theme.themed(figure, height=height, y="ms", legend=True)
    figure.update_yaxes(tickformat=",.3~g", rangemode="normal" if log else "tozero", type="log" if log else "linear")
    if log and limit is not None:
        figure.layout.annotations[-1].y = _log10(limit)
    return with_marks(figure, marks, frame["period"])


def hover(name: str, each: dict[Any, Any]) -> str:
    """What a point says: the value, of p99 its interval, and on how many answers."""
    words = f"{name} {formatting.number(each[name])} ms"
    if name == "p99" and each["low"] == each["low"]:
        words += f" ({formatting.number(each['low'])} to {formatting.number(each['high'])})"
    return f"{words}<br>{formatting.plural(int(each['n']), 'answer')}"


def _log10(value: float) -> float:
    """An annotation on a logarithmic axis stands at the exponent."""
    import math

    return math.log10(value)
