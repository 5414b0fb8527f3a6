"""How do two sides look next to each other: which figures differ, which columns lie apart, and what do both look like on top of each other?

Pure functions from frames to plotly figures. Side A has the colour of data, side B is grey.
"""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts.drift import steps

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_BARS = 25
MOST_FIGURES = 40
TONES = {"differs": theme.WATCH, "slight": theme.SKY, "alike": theme.OK, "unknown": theme.NEUTRAL}
WORDS = {"differs": "differs", "slight": "slight: less than matters", "alike": "alike", "unknown": "cannot tell"}
REACH = 6.0
"""Multiples of the smallest change that matters up to which a figure is drawn; what lies beyond stands at the edge."""


def forest(frame: "DataFrame") -> "Figure":
    """A dot and an interval for each change, in multiples of the smallest that matters, on the band of changes that do not.

    frame: name, multiple, low, high (multiples), verdict, said; its first MOST_FIGURES rows are drawn, the first on top.
    """
    import plotly.graph_objects as go

    rows = frame.head(MOST_FIGURES).iloc[::-1].reset_index(drop=True)
    figure = go.Figure()
    figure.add_vrect(x0=-1, x1=1, fillcolor=theme.OK, opacity=0.14, line_width=0, layer="below")
    figure.add_vline(x=0, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    for verdict, colour in TONES.items():
        part = rows[rows["verdict"] == verdict]
        if not len(part):
            continue
        at = part["multiple"].clip(-REACH, REACH)
        figure.add_scatter(
            x=at,
            y=part.index,
            mode="markers",
            name=WORDS[verdict],
            marker={"color": colour, "size": 10, "symbol": "circle-open" if verdict == "unknown" else "circle"},
            error_x=theme.whiskers(
                at, part["low"].clip(-REACH, REACH), part["high"].clip(-REACH, REACH), color=colour, thickness=1.6, width=4
            ),
            customdata=[f"{theme.label(name, 80)}<br>{theme.label(said, 120)}" for name, said in zip(part["name"], part["said"])],
            hovertemplate="%{customdata}<extra></extra>",
        )
    theme.themed(figure, height=max(160, 25 * len(rows) + 100), x="A − B, in multiples of the smallest change that matters", legend=True)
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(rows))), ticktext=theme.labels(list(rows["name"]), 44), showgrid=False,
        range=[-0.6, len(rows) - 0.4],
    )  # fmt: skip
    figure.update_xaxes(range=[-REACH * 1.05, REACH * 1.05], showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5)
    figure.update_layout(margin={"t": 44})
    return figure


def ranked(frame: "DataFrame", *, least: float, selected: str | None = None) -> "Figure":
    """Bars of the distance of each column, largest first, with its interval; a tick where chance alone stays under 95 times in 100.

    frame: column, psi, low, high, null_95, verdict, n_a, n_b; its first MOST_BARS rows are drawn. least: the smallest distance that matters.
    A click gives `customdata[0]`, the column.
    """
    import plotly.graph_objects as go

    rows = frame.head(MOST_BARS).iloc[::-1].reset_index(drop=True)
    figure = go.Figure()
    figure.add_bar(
        y=list(range(len(rows))),
        x=rows["psi"],
        orientation="h",
        width=0.62,
        marker={"color": [TONES[each] for each in rows["verdict"]]},
        error_x=theme.whiskers(rows["psi"], rows["low"], rows["high"]),
        customdata=[
            [each["column"], f"PSI {formatting.number(each['psi'])} ({formatting.number(each['low'])} to {formatting.number(each['high'])}), {WORDS[each['verdict']]}"
             f"<br>chance alone stays under {formatting.number(each['null_95'])}<br>{each['n_a']:,.0f} rows of A, {each['n_b']:,.0f} of B"]
            for each in rows.to_dict("records")
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        unselected={"marker": {"opacity": 1}},
        showlegend=False,
    )  # fmt: skip
    figure.add_scatter(
        x=rows["null_95"],
        y=list(range(len(rows))),
        mode="markers",
        name="chance alone stays under this (95 %)",
        marker={"symbol": "line-ns-open", "size": 14, "color": theme.STRONG, "line": {"width": 1.6, "color": theme.STRONG}},
        hoverinfo="skip",
        unselected={"marker": {"opacity": 1}},
    )
    theme.themed(figure, height=max(150, 26 * len(rows) + 90), x="population stability index (nats)", legend=True)
    figure.add_vline(x=least, line={"color": theme.WATCH, "width": 1.2, "dash": "dash"})
    names = theme.labels(list(rows["column"]))
    ticks = [f"<b>{name}</b>" if column == selected else name for name, column in zip(names, rows["column"])]
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=ticks, showgrid=False, range=[-0.6, len(rows) - 0.4])
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, rangemode="tozero", tickformat=",.3~g")
    figure.update_layout(margin={"t": 44})
    return figure


def overlay_numbers(frame: "DataFrame", *, name: str) -> "Figure":
    """Both sides of a number as steps, each of which takes a click. frame: step, low, high, a, b (shares of the values), n_a, n_b."""
    import plotly.graph_objects as go

    figure = go.Figure()
    edges = [*frame["low"], float(frame["high"].iloc[-1])]
    hover = [
        f"{theme.label(step, 60)}<br>A: {formatting.share(a)}, {int(n_a):,} rows<br>B: {formatting.share(b)}, {int(n_b):,} rows"
        for step, a, b, n_a, n_b in zip(*(frame[name] for name in ("step", "a", "b", "n_a", "n_b")))
    ]
    for side, colour, width in (("b", theme.NEUTRAL, 1.4), ("a", theme.PRIMARY, 2.0)):
        figure.add_scatter(
            x=edges,
            y=[*frame[side], frame[side].iloc[-1]],
            name=f"side {side.upper()}",
            mode="lines",
            line={"shape": "hv", "color": colour, "width": width, "dash": "solid" if side == "a" else "dash"},
            hoverinfo="skip",
        )
    steps(figure, frame, hover, max(*frame["a"], *frame["b"]))
    theme.themed(figure, height=300, x=theme.label(name, 60), y="share of values", legend=True)
    figure.update_layout(legend={"traceorder": "reversed"})
    figure.update_yaxes(rangemode="tozero", tickformat=",.0%")
    return figure


def overlay_levels(frame: "DataFrame", *, name: str) -> "Figure":
    """Both sides of a category as paired bars. frame: level, a, b (shares), n_a, n_b."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for side, colour in (("b", theme.NEUTRAL), ("a", theme.PRIMARY)):
        figure.add_bar(
            x=list(range(len(frame))),
            y=frame[side],
            name=f"side {side.upper()}",
            marker_color=colour,
            opacity=0.55 if side == "b" else 1,
            customdata=[
                f"{theme.label(level, 60)}<br>{side.upper()}: {formatting.share(share)}, {int(n):,} rows"
                for level, share, n in zip(frame["level"], frame[side], frame[f"n_{side}"])
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    theme.themed(figure, height=300, x=theme.label(name, 60), y="share of rows", legend=True)
    figure.update_xaxes(tickmode="array", tickvals=list(range(len(frame))), ticktext=theme.labels(list(frame["level"]), 18))
    figure.update_yaxes(rangemode="tozero", tickformat=",.0%")
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.05)
    return figure
