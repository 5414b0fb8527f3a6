"""Figure of one value of each batch, or of each run of a rule, over time."""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts import time as charts_time

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

SYMBOLS = {"act": "x", "watch": "diamond", "ok": "circle"}
COLOURS = {"act": theme.ACT, "watch": theme.WATCH, "ok": theme.PRIMARY}

MOST_STEMS = 120
"""With more rows no stems are drawn."""


def record_marks(frame: "DataFrame", *, name: str, usual: float | None = None, share: bool = False) -> "Figure":
    """A mark for each row, by time, on a stem where there are few; shape and colour show the severity of its finding. usual: a dotted line.

    frame: at, value, severity ("ok", "watch", "act"), words (the hover text, inert).
    """
    import plotly.graph_objects as go

    figure, many = go.Figure(), len(frame) > MOST_STEMS
    for severity, colour in COLOURS.items():
        part = frame[frame["severity"] == severity]
        if len(part):
            size = (4 if many else 8) if severity == "ok" else 11
            marker = {"size": size, "symbol": SYMBOLS[severity], "color": colour}
            stems = theme.error_bars(part["value"], part["value"] * 0, part["value"], color=colour, thickness=1.2, width=0) | {
                "visible": not many
            }
            layout.add_curve(
                figure,
                part["at"],
                part["value"],
                "%{customdata}",
                name=formatting.STATUS_WORDS[severity],
                texts=part["words"],
                mode="markers",
                marker=marker,
                error_y=stems,
            )
    if usual is not None:
        charts_time.horizontal_line(figure, usual, theme.NEUTRAL, "usual", "dot", x=0)
    theme.themed(figure, height=260, y=name, legend=frame["severity"].nunique() > 1)
    figure.update_yaxes(rangemode="tozero", tickformat=",.1~%" if share else ",.3~s")
    return figure
