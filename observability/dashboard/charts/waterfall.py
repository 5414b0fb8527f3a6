"""Figure of a change of performance, part by part."""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


def change_waterfall(frame: "DataFrame", *, name: str, unit: str) -> "Figure":
    """Waterfall of bars from `start` to `end`, each with the 95 % interval of its value; parts are red (worse), green (better) or grey (not
    significant).

    frame: step, value, low, high, start, end, whole (a level, not a part), sure; from left to right.
    """
    import plotly.graph_objects as go

    rows = frame.reset_index(drop=True)
    colours = [
        theme.PRIMARY if row["whole"] else theme.NEUTRAL if not row["sure"] else theme.ACT if row["value"] > 0 else theme.OK
        for row in rows.to_dict("records")
    ]
    figure = go.Figure()
    figure.add_bar(
        x=rows.index,
        y=rows["end"] - rows["start"],
        base=rows["start"],
        width=0.56,
        marker={"color": colours, "opacity": 0.85},
        error_y=theme.error_bars(rows["value"], rows["low"], rows["high"], color=theme.STRONG, thickness=1.4, width=5),
        customdata=[
            f"{row['step']}<br>{formatting.value_with_interval(row['value'], row['low'], row['high'], unit)}"
            for row in rows.to_dict("records")
        ],
        hovertemplate=layout.HOVER,
    )
    for place, end in enumerate(rows["end"][:-1]):
        figure.add_shape(
            type="line", x0=place + 0.28, x1=place + 0.72, y0=end, y1=end, line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"}
        )
    theme.themed(figure, height=320, y=name)
    ticks = [f"{row['step']}<br>{formatting.format_value(row['value'], unit)}" for row in rows.to_dict("records")]
    figure.update_xaxes(tickmode="array", tickvals=list(rows.index), ticktext=ticks, range=[-0.5, len(rows) - 0.5])
    figure.update_yaxes(tickformat=",.1%" if unit == "share" else None, rangemode="tozero")
    return figure
