"""Figures of two sides next to each other: changes of all metrics on one axis, distances of columns."""

from typing import TYPE_CHECKING

from observability.compare.difference import VERDICTS
from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_BARS = 25
MOST_FIGURES = 40
TONES = {"differs": theme.WATCH, "slight": theme.SKY, "alike": theme.OK, "unknown": theme.NEUTRAL}
WORDS: dict[str, str] = {str(verdict): words.lower() for verdict, words in VERDICTS.items()} | {
    "slight": "below the smallest relevant change"
}
REACH = 6.0
"""Multiples of the smallest relevant change up to which a figure is drawn; what lies beyond stands at the edge."""
SIDES = {"b": "side B", "a": "side A"}
"""Sides of an overlay, as charts/overlay.py takes them."""


def forest_plot(frame: "DataFrame") -> "Figure":
    """A dot and an interval for each change, in multiples of the smallest relevant one, on the band of irrelevant changes.

    frame: name, multiple, low, high (multiples), verdict, said; its first MOST_FIGURES rows are drawn, the first on top.
    """
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, MOST_FIGURES)
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
    theme.themed(figure, height=max(160, 25 * len(rows) + 100), x="A − B, in multiples of the smallest relevant change", legend=True)
    layout.name_rows(figure, list(rows["name"]), longest=44)
    layout.value_axis(figure, range=[-REACH * 1.05, REACH * 1.05])
    layout.legend_room(figure)
    return figure


def distance_bars(frame: "DataFrame", *, least: float, selected: str | None = None) -> "Figure":
    """Bars of the distance of each column, largest first, with its interval and the 95 % point of the null distribution as a tick.

    frame: column, psi, low, high, null_95, verdict, n_a, n_b; its first MOST_BARS rows are drawn. least: the smallest relevant distance.
    A click gives `customdata[0]`, the column.
    """
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, MOST_BARS)
    places = list(range(len(rows)))
    figure = go.Figure()
    figure.add_bar(
        y=places,
        x=rows["psi"],
        orientation="h",
        width=0.62,
        marker={"color": [TONES[verdict] for verdict in rows["verdict"]]},
        error_x=theme.error_bars(rows["psi"], rows["low"], rows["high"]),
        customdata=[
            [
                row["column"],
                f"PSI {formatting.value_with_interval(row['psi'], row['low'], row['high'])}, {WORDS[row['verdict']]}"
                f"<br>95 % point of the null {formatting.format_number(row['null_95'])}"
                f"<br>{row['n_a']:,.0f} rows of A, {row['n_b']:,.0f} of B",
            ]
            for row in rows.to_dict("records")
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        unselected={"marker": {"opacity": 1}},
        showlegend=False,
    )
    figure.add_scatter(
        x=rows["null_95"],
        y=places,
        mode="markers",
        name="95 % point of the null distribution",
        marker={"symbol": "line-ns-open", "size": 14, "color": theme.STRONG, "line": {"width": 1.6, "color": theme.STRONG}},
        hoverinfo="skip",
        unselected={"marker": {"opacity": 1}},
    )
    theme.themed(figure, height=max(150, 26 * len(rows) + 90), x="population stability index (nats)", legend=True)
    figure.add_vline(x=least, line={"color": theme.WATCH, "width": 1.2, "dash": "dash"})
    layout.name_rows(figure, list(rows["column"]), selected=selected)
    layout.value_axis(figure, rangemode="tozero", tickformat=",.3~g")
    layout.legend_room(figure)
    return figure
