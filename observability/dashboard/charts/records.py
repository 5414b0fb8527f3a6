"""How is one figure of each batch, or of each run of a rule, drawn over time?

A pure function from a frame to a plotly figure.
"""

from typing import TYPE_CHECKING

from observability.dashboard import theme
from observability.dashboard.charts import time as charts_time

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

NAMES = {"act": "needs a person", "watch": "worth a look", "ok": "as usual"}
SYMBOLS = {"act": "x", "watch": "diamond", "ok": "circle"}
COLOURS = {"act": theme.ACT, "watch": theme.WATCH, "ok": theme.PRIMARY}

MOST_STEMS = 120
"""Of more rows than this stems would fill the picture."""


def marks(frame: "DataFrame", *, name: str, usual: float | None = None, share: bool = False) -> "Figure":
    """A mark for each row of the frame, by time, on a stem where there are few; those that a finding names have another sign and colour. usual: a dotted line.

    frame: at, value, severity ("ok", "watch", "act"), words (the hover text, inert).
    """
    import plotly.graph_objects as go

    figure, many = go.Figure(), len(frame) > MOST_STEMS
    for severity, said in NAMES.items():
        part = frame[frame["severity"] == severity]
        if len(part):
            figure.add_scatter(
                x=part["at"], y=part["value"], mode="markers", name=said,
                marker={"size": (4 if many else 8) if severity == "ok" else 11, "symbol": SYMBOLS[severity], "color": COLOURS[severity]},
                error_y={"type": "data", "symmetric": False, "array": part["value"] * 0, "arrayminus": part["value"], "width": 0, "thickness": 1.2, "visible": not many},
                customdata=part["words"], hovertemplate="%{customdata}<extra></extra>",
            )  # fmt: skip
    if usual is not None:
        charts_time.level(figure, usual, theme.NEUTRAL, "usual", "dot", x=0)
    theme.themed(figure, height=260, y=name, legend=frame["severity"].nunique() > 1)
    figure.update_yaxes(rangemode="tozero", tickformat=",.1~%" if share else ",.3~s")
    return figure
