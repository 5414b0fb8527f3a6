"""Figures of an audit of data: the share of rows that each check found, the effect on a model of dropping these rows, and label
predictability by column.
"""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

MAX_BARS = 12


def audited_share_bars(frame: pd.DataFrame, *, x: str) -> go.Figure:
    """Horizontal bars of shares with intervals, coloured by severity; a stroke on each bar marks its limit.

    frame: name, value, low, high, limit (NaN: none), severity, n; its first MAX_BARS rows are drawn. x: title of the axis.
    """
    rows = layout.bottom_up(frame, MAX_BARS)
    figure = go.Figure()
    texts = [
        f"{theme.inert_label(row['name'], 60)}<br>{formatting.value_with_interval(row['value'], row['low'], row['high'], 'share')}"
        f"<br>{row['n']:,} rows" + ("" if row["limit"] != row["limit"] else f"<br>limit {formatting.format_share(row['limit'])}")
        for row in rows.to_dict("records")
    ]
    colors = [theme.TONES.get(severity, theme.PRIMARY) for severity in rows["severity"]]
    layout.add_row_bars(figure, rows["value"], texts, color=colors, error_x=theme.error_bars(rows["value"], rows["low"], rows["high"]))
    edge = max(float(rows[["value", "high"]].max().max()), 0.02)
    limited = rows[rows["limit"].notna() & (rows["limit"] <= edge)]
    for place, limit in zip(limited.index, limited["limit"], strict=True):
        ends: dict[str, Any] = {"x0": limit, "x1": limit, "y0": place - 0.42, "y1": place + 0.42}
        figure.add_shape(type="line", line={"color": theme.STRONG, "width": 2}, **ends)
    height = max(150, 30 * len(rows) + 70)
    layout.row_chart(figure, layout.row_names(list(rows["name"]), longest=32), x, height=height, tickformat=",.3~%")
    return figure.update_xaxes(range=[0, edge * 1.04])


def rule_effect_dots(frame: pd.DataFrame, *, x: str) -> go.Figure:
    """The change of a model's metric when the rows found by each check are dropped, with its interval; a line marks no change.

    frame: name, value, low, high, before, after. x: title of the axis.
    """
    figure, rows = go.Figure(), layout.bottom_up(frame, MAX_BARS)
    hover = [
        f"{theme.inert_label(row['name'], 60)}<br>{formatting.format_number(row['before'], 4)} with these rows, "
        f"{formatting.format_number(row['after'], 4)} without<br>{formatting.value_with_interval(row['value'], row['low'], row['high'])}"
        for row in rows.to_dict("records")
    ]
    layout.add_interval_dots(figure, rows, hover)
    figure.add_vline(x=0, line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}, layer="below")
    return layout.row_chart(figure, layout.row_names(list(rows["name"]), longest=32), x, height=max(150, 30 * len(rows) + 70))
