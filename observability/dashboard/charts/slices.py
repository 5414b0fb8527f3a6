"""How does a number differ between slices, now and before?

Pure functions from frames to plotly figures.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.dashboard import theme

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


def dots(frame: "DataFrame", *, name: str, unit: str) -> "Figure":
    """A dot with its 95 % interval for each slice now, a diamond for the same slice before, a line between them; hollow and grey where chance may
    explain the move.

    frame: name, value, low, high, n, before, rest, coverage, sure; from top to bottom.
    """
    import plotly.graph_objects as go

    rows = frame.iloc[::-1].reset_index(drop=True)
    figure = go.Figure()
    known = rows[rows["before"].notna()]
    for place, each in zip(known.index, known.to_dict("records")):
        figure.add_shape(
            type="line", x0=each["before"], x1=each["value"], y0=place, y1=place, line={"color": theme.QUIET, "width": 3}, layer="below"
        )
    figure.add_scatter(
        x=known["before"],
        y=known.index,
        mode="markers",
        name="before",
        marker={"symbol": "diamond-open", "size": 9, "color": theme.NEUTRAL, "line": {"width": 1.6}},
        customdata=[
            f"{theme.label(each['name'], 60)}, before<br>{formatting.amount(each['before'], unit)}" for each in known.to_dict("records")
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    for sure, label in ((True, "now, more than chance"), (False, "now, chance may explain it")):
        part = rows[rows["sure"] == sure]
        if len(part):
            figure.add_scatter(
                x=part["value"],
                y=part.index,
                mode="markers",
                name=label,
                marker={
                    "size": 10,
                    "color": theme.PRIMARY if sure else theme.NEUTRAL,
                    "symbol": "circle" if sure else "circle-open",
                    "line": {"width": 1.6},
                },
                error_x=theme.whiskers(
                    part["value"], part["low"], part["high"], color=theme.PRIMARY if sure else theme.NEUTRAL, thickness=1.5, width=4
                ),
                customdata=[hover(each, unit) for each in part.to_dict("records")],
                hovertemplate="%{customdata}<extra></extra>",
            )
    theme.themed(figure, height=max(190, 32 * len(rows) + 110), x=name, legend=True)
    ticks = [f"{theme.label(each['name'], 34)} · {formatting.short(each['n'])}" for each in rows.to_dict("records")]
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=ticks, showgrid=False, range=[-0.6, len(rows) - 0.4])
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, tickformat=",.0%" if unit == "share" else None)
    figure.update_layout(margin={"t": 44})
    return figure


def hover(each: Mapping[Any, Any], unit: str) -> str:
    """What a slice says when it is pointed at."""
    return (
        f"{theme.label(each['name'], 60)}<br>{formatting.amount(each['value'], unit)} ({formatting.amount(each['low'], unit)} to {formatting.amount(each['high'], unit)})"
        f"<br>other rows {formatting.amount(each['rest'], unit)}<br>{each['n']:,.0f} rows, {formatting.share(each['coverage'])} of the whole change"
    )
