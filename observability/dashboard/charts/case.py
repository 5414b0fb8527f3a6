"""What does the evidence about one prediction look like: what pushed its score, how the score would move, and how often such predictions err?

Pure functions from frames to plotly figures.
"""

from typing import TYPE_CHECKING, Any

from observability.core import formatting, numerals
from observability.dashboard import theme
from observability.dashboard.charts.time import add_line, band, level

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

UP, DOWN = theme.WATCH, theme.PRIMARY
"""What raises the score and what lowers it: the two hues that everybody can tell apart; the sign stands beside each bar as well."""


def waterfall(frame: "DataFrame", *, unit: str) -> "Figure":
    """From the base value to the output, one bar a feature. Every number stands below its name, so that none lies on a bar or a name on a narrow screen.

    frame: label, start, end, attribution, error (standard error, NaN where it was not sampled), kind (base, feature, rest, residual, output), in order of drawing from the top.
    """
    import plotly.graph_objects as go

    rows = frame.reset_index(drop=True)
    places = list(range(len(rows) - 1, -1, -1))
    figure = go.Figure()
    totals = rows["kind"].isin(["base", "output"])
    colours = [theme.NEUTRAL if total else UP if value > 0 else DOWN for total, value in zip(totals, rows["attribution"], strict=True)]
    moved = ~totals
    figure.add_bar(
        y=[place for place, one in zip(places, moved, strict=True) if one],
        x=(rows["end"] - rows["start"])[moved],
        base=rows["start"][moved],
        orientation="h",
        marker_color=[colour for colour, one in zip(colours, moved, strict=True) if one],
        error_x={
            "type": "data",
            "array": rows["error"][moved].fillna(0.0),
            "color": theme.STRONG,
            "thickness": 1,
            "width": 3,
            "visible": bool(rows["error"].gt(0).any()),
        },
        customdata=[
            f"{theme.label(each, 80)}<br>moves the output by {signed(value)}"
            for each, value in zip(rows["label"][moved], rows["attribution"][moved], strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
        width=0.62,
    )
    figure.add_scatter(
        x=rows["end"][totals],
        y=[place for place, one in zip(places, totals, strict=True) if one],
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": theme.STRONG},
        customdata=[
            f"{name} {formatting.number(value, 4)}" for name, value in zip(rows["label"][totals], rows["end"][totals], strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    for place in range(len(rows) - 1):
        x = rows["end"].iloc[place]
        figure.add_shape(
            type="line",
            x0=x,
            x1=x,
            y0=places[place] - 0.31,
            y1=places[place + 1] + 0.31,
            line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"},
        )
    theme.themed(figure, height=max(220, 38 * len(rows) + 60), x=unit)
    figure.update_yaxes(
        tickmode="array",
        tickvals=places,
        ticktext=[beside(each, total=total) for each, total in zip(rows.to_dict("records"), totals, strict=True)],
        showgrid=False,
        range=[-0.7, len(rows) - 0.3],
    )
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, tickformat=",.3~g", nticks=7)
    return figure


def beside(row: dict[Any, Any], *, total: bool) -> str:
    """What stands beside a bar, in two short lines: the feature, then its value and what it moves; of both ends, the number that they stand at."""
    name, _, value = str(row["label"]).partition(" = ")
    moves = formatting.number(row["end"], 4) if total else signed(row["attribution"])
    return f"{theme.label(name, 26)}<br>{f'= {theme.label(value, 14)}' if value else ''} <b>{moves}</b>"


def signed(value: float) -> str:
    """A number with its sign."""
    return numerals.figure(value, 3, sign=True)


def ice(frame: "DataFrame", *, feature: str, kind: str, at: object, score: float, edge: float | None, unit: str) -> "Figure":
    """The score along one feature while everything else stays; a diamond where the case itself is, a line at the edge. Simulated, so dashed.

    frame: value, score. at: the case's own value.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    number = kind == "number"
    shown = (
        frame[frame["value"].notna()]
        if number
        else frame.assign(value=theme.labels(["missing" if each is None else each for each in frame["value"]], 18))
    )
    if number:
        figure.add_scatter(
            x=shown["value"], y=shown["score"], mode="lines", line={"color": theme.PRIMARY, "width": 1.8, "dash": "dash"},
            hovertemplate=f"{theme.label(feature, 40)} %{{x:,.4~g}}<br>score %{{y:,.4~g}}<extra></extra>",
        )  # fmt: skip
    else:
        figure.add_bar(
            x=shown["value"],
            y=shown["score"],
            marker={"color": theme.PRIMARY, "opacity": 0.55, "line": {"width": 1, "color": theme.PRIMARY}},
            hovertemplate="%{x}<br>score %{y:,.4~g}<extra></extra>",
        )
    if at is not None:
        mark = at if number else theme.label(at, 18)
        figure.add_scatter(
            x=[mark],
            y=[score],
            mode="markers",
            marker={"symbol": "diamond", "size": 11, "color": theme.STRONG, "line": {"width": 1, "color": theme.SURFACE}},
            hovertemplate="this case<extra></extra>",
        )
    theme.themed(figure, height=210, x=theme.label(feature, 40))
    if edge is not None:
        level(figure, edge, theme.ACT, "cut-off", "dot")
    figure.update_yaxes(tickformat=",.3~g", nticks=5)
    return figure


def trend(frame: "DataFrame", *, overall: float | None) -> "Figure":
    """The error rate of predictions like the case by period. frame: period, value, low, high, n."""
    import plotly.graph_objects as go

    figure = go.Figure()
    band(figure, frame["period"], frame["low"], frame["high"], theme.PRIMARY, "95 % interval")
    add_line(figure, frame, name="errors", colour=theme.PRIMARY, unit="share")
    if overall is not None:
        level(figure, overall, theme.NEUTRAL, "all predictions", "dot", x=0)
    theme.themed(figure, height=220, y="share of errors")
    figure.update_yaxes(tickformat=",.0%", rangemode="tozero")
    return figure
