"""How does a number get from before to now, part by part?

Pure functions from frames to plotly figures.
"""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.dashboard import theme

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


def steps(frame: "DataFrame", *, name: str, unit: str) -> "Figure":
    """Bars from `start` to `end`: levels in the quiet colour, parts in that of worse (up) or better (down), grey where chance may explain them; each
    with the 95 % interval of its own value at its end.

    frame: step, value, low, high, start, end, whole (a level, not a part), sure; from left to right.
    """
    import plotly.graph_objects as go

    rows = frame.reset_index(drop=True)
    colours = [
        theme.PRIMARY if each["whole"] else theme.NEUTRAL if not each["sure"] else theme.ACT if each["value"] > 0 else theme.OK
        for each in rows.to_dict("records")
    ]
    figure = go.Figure()
    figure.add_bar(
        x=rows.index,
        y=rows["end"] - rows["start"],
        base=rows["start"],
        width=0.56,
        marker={"color": colours, "opacity": 0.85},
        error_y=theme.whiskers(rows["value"], rows["low"], rows["high"], color=theme.STRONG, thickness=1.4, width=5),
        customdata=[
            f"{each['step']}<br>{formatting.amount(each['value'], unit)} ({formatting.amount(each['low'], unit)} to {formatting.amount(each['high'], unit)})"
            for each in rows.to_dict("records")
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    for place, end in enumerate(rows["end"][:-1]):
        figure.add_shape(
            type="line", x0=place + 0.28, x1=place + 0.72, y0=end, y1=end, line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"}
        )
    theme.themed(figure, height=320, y=name)
    ticks = [f"{each['step']}<br>{formatting.amount(each['value'], unit)}" for each in rows.to_dict("records")]
    figure.update_xaxes(tickmode="array", tickvals=list(rows.index), ticktext=ticks, range=[-0.5, len(rows) - 0.5])
    figure.update_yaxes(tickformat=",.1%" if unit == "share" else None, rangemode="tozero")
    return figure
