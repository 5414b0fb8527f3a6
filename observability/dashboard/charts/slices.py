"""The figure of slices: the metric of each slice now and before."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout


def slice_dots(frame: pd.DataFrame, *, name: str, unit: str, of_label: str | None = None) -> go.Figure:
    """Draw a dot with its 95 % interval for each slice now, a diamond for the same slice before, and a line between them. A dot is hollow
    and grey if the change is not significant.

    frame: name, value, low, high, n, before, rest, coverage, sure; rows from top to bottom. of_label: the unit of the model's label.
    """
    rows = layout.bottom_up(frame, len(frame))
    figure = go.Figure()
    known = rows[rows["before"].notna()]
    for place, row in zip(known.index, known.to_dict("records")):
        ends = {"x0": row["before"], "x1": row["value"], "y0": place, "y1": place}
        figure.add_shape(type="line", **ends, line={"color": theme.QUIET, "width": 3}, layer="below")
    hover = [
        f"{theme.inert_label(row['name'], 60)}, before<br>{formatting.format_value(row['before'], unit, of_label)}"
        for row in known.to_dict("records")
    ]
    layout.add_diamonds(figure, known["before"], hover, name="before")
    for sure, label in ((True, "now, significant change"), (False, "now, not significant")):
        part = rows[rows["sure"] == sure]
        if len(part):
            color, symbol = (theme.PRIMARY, "circle") if sure else (theme.NEUTRAL, "circle-open")
            hover = [_slice_hover(row, unit, of_label) for row in part.to_dict("records")]
            layout.add_interval_dots(figure, part, hover, name=label, color=color, symbol=symbol)
    ticks = [f"{theme.label_of_two_lines(row['name'], 22)} · {formatting.compact_count(row['n'])}" for row in rows.to_dict("records")]
    height, tick_format = max(190, 32 * len(rows) + 110), ",.0%" if unit == "share" else None
    return layout.row_chart(figure, ticks, name, height=height, legend=True, top=44, tickformat=tick_format)


def _slice_hover(row: Mapping[Any, Any], unit: str, of_label: str | None) -> str:
    """Hover text of a slice."""
    interval = formatting.format_interval(row["low"], row["high"], unit)
    return (
        f"{theme.inert_label(row['name'], 60)}<br>{formatting.format_value(row['value'], unit, of_label)} ({interval})"
        f"<br>other rows {formatting.format_value(row['rest'], unit, of_label)}"
        f"<br>{row['n']:,.0f} rows, {formatting.format_share(row['coverage'])} of the whole change"
    )
