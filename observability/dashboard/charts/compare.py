"""Figures that compare two sides: changes of all metrics on one axis, and distances of columns."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.compare.difference import VERDICTS
from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

MAX_BARS = 25
MAX_FIGURES = 40
TONES = {"differs": theme.WATCH, "slight": theme.SKY, "alike": theme.OK, "unknown": theme.NEUTRAL}
WORDS: dict[str, str] = {str(verdict): words.lower() for verdict, words in VERDICTS.items()} | {
    "slight": "below the smallest relevant change"
}
REACH = 6.0
"""A change is drawn at its place up to this multiple of the smallest relevant change; a larger change is drawn at the edge."""
SIDES = {"b": "side B", "a": "side A"}
"""The names of the two sides, in the form that charts/overlay.py expects."""


def forest_plot(frame: pd.DataFrame) -> go.Figure:
    """A dot and an interval for each change, in multiples of the smallest relevant change; a band marks irrelevant changes.

    frame: name, multiple, low, high (multiples), verdict, said; its first MAX_FIGURES rows are drawn, the first on top.
    """
    rows = layout.bottom_up(frame, MAX_FIGURES)
    figure = go.Figure()
    figure.add_vrect(x0=-1, x1=1, fillcolor=theme.OK, opacity=0.14, line_width=0, layer="below")
    figure.add_vline(x=0, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    for verdict, colour in TONES.items():
        part = rows[rows["verdict"] == verdict]
        if not len(part):
            continue
        hover = [f"{theme.inert_label(name, 80)}<br>{theme.inert_label(said, 120)}" for name, said in zip(part["name"], part["said"])]
        columns = ("multiple", "low", "high")
        clipped = part.assign(**{column: part[column].clip(-REACH, REACH) for column in columns})
        symbol = "circle-open" if verdict == "unknown" else "circle"
        layout.add_interval_dots(figure, clipped, hover, name=WORDS[verdict], color=colour, symbol=symbol, columns=columns)
    x, height, ends = "A − B, in multiples of the smallest relevant change", max(160, 25 * len(rows) + 100), [-REACH * 1.05, REACH * 1.05]
    return layout.row_chart(figure, layout.row_names(list(rows["name"]), longest=44), x, height=height, legend=True, top=44, range=ends)


def distance_bars(frame: pd.DataFrame, *, least: float, selected: str | None = None) -> go.Figure:
    """Bars of the distance of each column, in the order of the frame, each with its interval and a tick at the 95 % point of the null
    distribution.

    frame: column, psi, low, high, null_95, verdict, n_a, n_b; its first MAX_BARS rows are drawn, the first on top. least: the smallest
    relevant distance. A click gives `customdata[0]`, the column.
    """
    rows = layout.bottom_up(frame, MAX_BARS)
    figure = go.Figure()
    texts = [
        [
            row["column"],
            f"PSI {formatting.value_with_interval(row['psi'], row['low'], row['high'])}, {WORDS[row['verdict']]}"
            f"<br>95 % point of the null {formatting.format_number(row['null_95'])}"
            f"<br>{row['n_a']:,.0f} rows of A, {row['n_b']:,.0f} of B",
        ]
        for row in rows.to_dict("records")
    ]
    colors, errors = [TONES[verdict] for verdict in rows["verdict"]], theme.error_bars(rows["psi"], rows["low"], rows["high"])
    layout.add_row_bars(figure, rows["psi"], texts, hover="%{customdata[1]}", color=colors, error_x=errors, showlegend=False)
    tick = {"symbol": "line-ns-open", "size": 14, "color": theme.STRONG, "line": {"width": 1.6, "color": theme.STRONG}}
    style: dict[str, Any] = {"marker": tick, "hoverinfo": "skip", "unselected": {"marker": {"opacity": 1}}}
    layout.add_marks(figure, rows["null_95"], rows.index, name="95 % point of the null distribution", hover=None, **style)
    dashes = {"color": theme.WATCH, "width": 1.2, "dash": "dash"}
    figure.add_vline(x=least, line=dashes, name=WORDS["slight"].removeprefix("below the "), showlegend=True)
    names, room = layout.row_names(list(rows["column"]), selected=selected), {"height": max(150, 26 * len(rows) + 90), "top": 44}
    x = "population stability index (nats)"
    return layout.row_chart(figure, names, x, **room, legend=True, rangemode="tozero", tickformat=",.3~g")
