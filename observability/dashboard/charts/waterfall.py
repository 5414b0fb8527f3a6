"""Figure of the parts of a change in performance."""

import textwrap
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout


def change_waterfall(frame: pd.DataFrame, *, name: str, unit: str) -> go.Figure:
    """Draw a waterfall of bars from `start` to `end`, each with the 95 % interval of its value. Parts are red (worse), green (better) or
    grey (not significant).

    frame: step, value, low, high, start, end, whole (whether the bar is a level and not a part), sure; from left to right.
    """
    rows = frame.reset_index(drop=True)
    colours = [
        theme.PRIMARY if row["whole"] else theme.NEUTRAL if not row["sure"] else theme.ACT if row["value"] > 0 else theme.OK
        for row in rows.to_dict("records")
    ]
    figure = go.Figure()
    texts = [
        f"{row['step']}<br>{formatting.value_with_interval(row['value'], row['low'], row['high'], unit)}" for row in rows.to_dict("records")
    ]
    errors = theme.error_bars(rows["value"], rows["low"], rows["high"], color=theme.STRONG, thickness=1.4, width=5)
    style: dict[str, Any] = {"base": rows["start"], "width": 0.56, "color": colours, "marker_opacity": 0.85, "error_y": errors}
    layout.add_bars(figure, rows.index, rows["end"] - rows["start"], texts, **style)
    connector = {"color": theme.NEUTRAL, "width": 1, "dash": "dot"}
    for place, end in enumerate(rows["end"][:-1]):
        figure.add_shape(type="line", x0=place + 0.28, x1=place + 0.72, y0=end, y1=end, line=connector)
    theme.themed(figure, height=320, y=name, tickformat=theme.PERCENT if unit == "share" else None, rangemode="tozero")
    names = ["<br>".join(textwrap.wrap(step, 11, break_long_words=False)) for step in rows["step"]]
    figures = [
        formatting.format_value(value, unit) if whole else signed_change_words(value, unit)
        for value, whole in zip(rows["value"], rows["whole"], strict=True)
    ]
    ticks = [f"{name}<br>{words}" for name, words in zip(names, figures, strict=True)]
    across = {"tickmode": "array", "tickvals": list(rows.index), "ticktext": ticks, "tickangle": 0}
    return figure.update_xaxes(**across, range=[-0.5, len(rows) - 0.5])


def signed_change_words(value: float, unit: str) -> str:
    """Return a difference with its sign; a difference of shares is in percentage points."""
    plus = "+" if value > 0 else ""
    return f"{plus}{formatting.format_number(100 * value)} points" if unit == "share" else f"{plus}{formatting.format_number(value)}"
