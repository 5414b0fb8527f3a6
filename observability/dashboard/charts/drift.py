"""How do distributions compare: which moved most, on which days, and what do reference and current look like on top of each other?

Pure functions from frames to plotly figures.
"""

from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.dashboard import theme

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_BARS = 25
MOST_CELLS = 40
ACT = 0.2
"""Limits from here on are drawn in the colour of `act`."""


def ranked(frame: "DataFrame", *, selected: str | None = None) -> "Figure":
    """Horizontal bars, largest first, coloured by severity, with the interval and the limit of each; a limit of its own, where days vary much, is a stroke on its bar.

    frame: subject, value, low, high, limit, severity, n, worst_look (`on the last day`, where only then it moved so far; a dot) and value_there; its first
    MOST_BARS rows are drawn. A click gives `customdata[0]`, the subject.
    """
    import plotly.graph_objects as go

    rows = frame.head(MOST_BARS).iloc[::-1].reset_index(drop=True)
    names = theme.labels(list(rows["subject"]))
    figure = go.Figure()
    figure.add_bar(
        y=list(range(len(rows))),
        x=rows["value"],
        orientation="h",
        marker={"color": [theme.TONES[each] for each in rows["severity"]]},
        error_x=theme.whiskers(rows["value"], rows["low"], rows["high"]),
        customdata=[
            [
                subject,
                f"PSI {formatting.number(value)} ({formatting.number(low)} to {formatting.number(high)})<br>{n:,} predictions, {formatting.STATUS_WORDS[severity].lower()}",
            ]
            for subject, value, low, high, n, severity in zip(
                rows["subject"], rows["value"], rows["low"], rows["high"], rows["n"], rows["severity"]
            )
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        width=0.62,
        unselected={"marker": {"opacity": 1}},
    )
    theme.themed(figure, height=max(140, 26 * len(rows) + 70), x="population stability index (nats)")
    there = rows[rows["value_there"].notna()]
    if len(there):
        figure.add_scatter(
            y=there.index, x=there["value_there"], mode="markers", showlegend=False,
            marker={"symbol": "circle-open", "size": 9, "color": [theme.TONES[each] for each in there["severity"]], "line": {"width": 2}},
            customdata=[[subject] for subject in there["subject"]],
            hovertemplate=[f"{look}: PSI {formatting.number(value)}<extra></extra>" for look, value in zip(there["worst_look"], there["value_there"])],
        )  # fmt: skip
    shared = set(rows["limit"].dropna().value_counts().index[:2])
    own = rows[rows["limit"].notna() & ~rows["limit"].isin(shared)]
    if len(own):
        figure.add_scatter(
            y=own.index, x=own["limit"], mode="markers", marker={"symbol": "line-ns-open", "size": 14, "color": theme.NEUTRAL, "line": {"width": 2}},
            hovertemplate=[f"limit {each:.2g}: its own days vary up to that<extra></extra>" for each in own["limit"]],
        )  # fmt: skip
    for value, severity in sorted({(float(limit), "act" if limit >= ACT else "watch") for limit in shared}):
        side = "right" if severity == "watch" else "left"
        figure.add_vline(x=value, line={"color": theme.TONES[severity], "width": 1.2, "dash": "dash"})
        figure.add_annotation(
            x=value, y=1, yref="paper", yanchor="bottom", xanchor=side, text=f"{severity} {value:.2g}", showarrow=False, font={"size": 11}
        )
    ticks = [f"<b>{name}</b>" if subject == selected else name for name, subject in zip(names, rows["subject"])]
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=ticks, showgrid=False, range=[-0.6, len(rows) - 0.4])
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, rangemode="tozero", tickformat=",.3~g")
    figure.update_layout(margin={"t": 30})
    return figure


def heatmap(frame: "DataFrame", *, value: str, unit: str, top: float, selected: str | None = None) -> "Figure":
    """Subject × day as colours; a click gives `customdata[0]`, the subject, and `customdata[1]`, the day.

    frame: subject, day (timestamps), value, n; subjects are drawn in the order of their first row. top: the value of the strongest colour.
    A click on a heatmap gives no event, so transparent squares lie over it and carry hover and click.
    """
    import pandas as pd
    import plotly.graph_objects as go

    subjects = list(dict.fromkeys(frame["subject"]))[:MOST_CELLS]
    days = sorted(frame["day"].unique())
    known = {(subject, day): (score, n) for subject, day, score, n in frame[["subject", "day", "value", "n"]].to_numpy().tolist()}
    grid = [[known.get((subject, day), (None, 0))[0] for day in days] for subject in subjects]
    shown = formatting.share if unit == "share" else formatting.number
    figure = go.Figure()
    figure.add_heatmap(
        x=days,
        y=list(range(len(subjects))),
        z=grid,
        zmin=0,
        zmax=top,
        colorscale=theme.SEQUENTIAL,
        xgap=1,
        ygap=1,
        hoverinfo="skip",
        colorbar={
            "title": {"text": value, "side": "right", "font": {"size": 11}},
            "thickness": 8,
            "outlinewidth": 0,
            "tickformat": ",.0%" if unit == "share" else ",.2~g",
            "tickfont": {"size": 11},
        },
    )
    cells = [(x, y, subject, *known[subject, x]) for y, subject in enumerate(subjects) for x in days if (subject, x) in known]
    figure.add_scatter(
        x=[cell[0] for cell in cells],
        y=[cell[1] for cell in cells],
        mode="markers",
        opacity=0,
        marker={"symbol": "square", "size": 18},
        customdata=[
            [subject, str(x)[:10], f"{theme.label(subject, 60)}<br>{value} {shown(score)}, {int(n):,} predictions"]
            for x, _, subject, score, n in cells
        ],
        hovertemplate="%{x|%a %e %b %Y}<br>%{customdata[2]}<extra></extra>",
        showlegend=False,
        unselected={"marker": {"opacity": 0}},
        selected={"marker": {"opacity": 0}},
    )
    theme.themed(figure, height=max(150, 24 * len(subjects) + 60))
    names = theme.labels(subjects)
    ticks = [f"<b>{name}</b>" if subject == selected else name for name, subject in zip(names, subjects)]
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(subjects))), ticktext=ticks, range=[len(subjects) - 0.5, -0.5], showgrid=False
    )
    if days:
        half = pd.Timedelta(hours=12)
        figure.update_xaxes(range=[days[0] - half, days[-1] + half])
    figure.update_layout(hovermode="closest", hoverdistance=-1)  # a cell is wider than its square
    return figure


def overlay_numbers(frame: "DataFrame", *, name: str) -> "Figure":
    """Reference and current of a number as steps on the same bins.

    frame: low, high (ends of each step as drawn), step (in words), reference, current (shares of each side's values).
    """
    import plotly.graph_objects as go

    edges = edges_of(frame)
    figure = go.Figure()
    hover = [
        f"{step}<br>reference {formatting.share(then)}, current {formatting.share(now)}"
        for step, then, now in zip(frame["step"], frame["reference"], frame["current"])
    ]
    figure.add_scatter(**area(edges, list(frame["reference"])), fillcolor=theme.NEUTRAL, opacity=0.2)
    outlines(figure, frame)
    steps(figure, frame, hover, max(*frame["reference"], *frame["current"]))
    theme.themed(figure, height=300, x=theme.label(name, 60), y="share of values", legend=True)
    figure.update_yaxes(rangemode="tozero", tickformat=",.0%")
    return figure


def edges_of(frame: "DataFrame") -> list[float]:
    """Where steps begin, and where the last one ends."""
    return [*frame["low"], frame["high"].iloc[-1]]


def outlines(figure: "Figure", frame: "DataFrame") -> None:
    """The steps of the reference (where the frame has one) and of the current rows as lines."""
    for side, colour, width in (("reference", theme.NEUTRAL, 1.2), ("current", theme.PRIMARY, 2.0)):
        if side in frame:
            figure.add_scatter(
                x=edges_of(frame), y=[*frame[side], frame[side].iloc[-1]], name=side, mode="lines", hoverinfo="skip",
                line={"shape": "hv", "color": colour, "width": width},
            )  # fmt: skip


def steps(figure: "Figure", frame: "DataFrame", hover: list[str], top: float) -> None:
    """A transparent bar over each step (low, high), which carries its hover text and takes a click; a line takes none."""
    clear = {"marker": {"opacity": 0}}
    figure.add_bar(
        x=(frame["low"] + frame["high"]) / 2, y=[top] * len(frame), width=frame["high"] - frame["low"], **clear, selected=clear, unselected=clear,
        customdata=hover, hovertemplate="%{customdata}<extra></extra>", showlegend=False,
    )  # fmt: skip


def area(edges: list[float], values: list[float]) -> dict[str, Any]:
    """The area under steps, as a closed outline: plotly fades only areas of that kind."""
    x = [edge for edge in edges for _ in range(2)]
    y = [0.0, *(value for value in values for _ in range(2)), 0.0]
    return {"x": x, "y": y, "fill": "toself", "mode": "none", "hoverinfo": "skip", "showlegend": False}


def overlay_levels(frame: "DataFrame", *, name: str) -> "Figure":
    """Reference and current of a category as paired bars. frame: level, reference, current (shares), n_reference, n_current."""
    import plotly.graph_objects as go

    figure = go.Figure()
    names = theme.labels(list(frame["level"]), 18)
    for side, colour in (("reference", theme.NEUTRAL), ("current", theme.PRIMARY)):
        figure.add_bar(
            x=list(range(len(frame))),
            y=frame[side],
            name=side,
            marker_color=colour,
            opacity=0.55 if side == "reference" else 1,
            customdata=[
                f"{theme.label(level, 60)}<br>{side} {formatting.share(share)}, {int(n):,} predictions"
                for level, share, n in zip(frame["level"], frame[side], frame[f"n_{side}"])
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    theme.themed(figure, height=300, x=theme.label(name, 60), y="share of predictions", legend=True)
    figure.update_xaxes(tickmode="array", tickvals=list(range(len(frame))), ticktext=names)
    figure.update_yaxes(rangemode="tozero", tickformat=",.0%")
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.05)
    return figure
