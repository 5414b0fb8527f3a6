"""Which part of each day's predictions has its label, which is still expected, and how do labels come with age?

Pure functions from frames to plotly figures; nothing here asks or judges.
"""

from typing import TYPE_CHECKING

from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import theme
from observability.dashboard.charts.time import MATURE

MOST = 30
"""Annotators that are drawn, those farthest below the others."""

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


def by_day(frame: "DataFrame", window: Window) -> "Figure":
    """Bars by day: the labelled share, and hatched on top what is still expected (estimated); a dotted line says what is usual by that age.

    frame: period, served, labelled, share, usual, final. window: its first day is marked.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    counts = [[f"{labelled:,.0f} of {served:,.0f}"] for labelled, served in zip(frame["labelled"], frame["served"])]
    figure.add_bar(
        x=frame["period"], y=frame["share"], name="labelled", marker={"color": theme.PRIMARY}, customdata=counts,
        hovertemplate="%{x|%a %e %b %Y}<br>%{y:.1%} labelled, %{customdata[0]} predictions<extra></extra>",
    )  # fmt: skip
    figure.add_bar(
        x=frame["period"], y=frame["final"] - frame["share"], name="still expected (estimated)",
        marker={"color": theme.QUIET, "pattern": {"shape": "/", "fgcolor": theme.NEUTRAL}},
        hovertemplate="%{x|%a %e %b %Y}<br>%{y:.1%} still expected (estimated)<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=frame["period"], y=frame["usual"], name="usual by that age", mode="lines", line={"color": theme.STRONG, "width": 1.4, "dash": "dot"},
        hovertemplate="%{y:.1%} usual by that age<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=MATURE, line={"color": theme.NEUTRAL, "width": 1, "dash": "dash"}, layer="below")
    start = naive_utc(window.start)
    if len(frame) and frame["period"].min() < start:
        figure.add_vline(x=start, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
        figure.add_annotation(
            x=start, y=1, yref="paper", yanchor="bottom", xanchor="left", text="this window", showarrow=False, font={"size": 11}
        )
    theme.themed(figure, height=320, y="share of the day's predictions", legend=True)
    figure.update_layout(barmode="stack", bargap=0.15)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def people(frame: "DataFrame", x: str = "agrees with most of the others") -> "Figure":
    """A dot with its interval for each annotator, and a diamond where the others are without them.

    frame: annotator, value, low, high, n, others, others_n, severity; its first MOST rows are drawn, the first at the top.
    x: what value says.
    """
    import plotly.graph_objects as go

    rows = frame.head(MOST).iloc[::-1].reset_index(drop=True)
    rows["annotator"] = theme.labels(list(rows["annotator"]), 24)
    figure = go.Figure()
    figure.add_scatter(
        x=rows["others"], y=rows.index, name="the others without them", mode="markers", marker={"symbol": "diamond-open", "size": 9, "color": theme.NEUTRAL, "line": {"width": 1.6}},
        customdata=rows[["annotator", "others_n"]], hovertemplate="the others without %{customdata[0]}<br>%{x:.1%} of %{customdata[1]:,} items<extra></extra>",
    )  # fmt: skip
    for severity, colour in ((None, theme.PRIMARY), ("watch", theme.WATCH), ("act", theme.ACT)):
        part = rows[rows["severity"].isna() if severity is None else rows["severity"] == severity]
        if len(part):
            figure.add_scatter(
                x=part["value"], y=part.index, name="each annotator" if severity is None else f"{severity}: surely below", mode="markers", marker={"size": 9, "color": colour},
                error_x=theme.whiskers(part["value"], part["low"], part["high"], color=colour, thickness=1.6, width=0),
                customdata=part[["annotator", "low", "high", "n"]],
                hovertemplate="%{customdata[0]}<br>%{x:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%}) of %{customdata[3]:,} items<extra></extra>",
            )  # fmt: skip
    theme.themed(figure, height=90 + 26 * len(rows), x=x, legend=True)
    figure.update_yaxes(tickvals=list(rows.index), ticktext=list(rows["annotator"]), range=[-0.6, len(rows) - 0.4], showgrid=False)
    least = min(rows["low"].min(), rows["others"].min())
    figure.update_xaxes(tickformat=".0%", range=[max(least - 0.05, 0.0), 1.01])
    return figure


def by_age(frame: "DataFrame") -> "Figure":
    """The usual share of labels by age, over the lowest of the weeks that it comes from. frame: age, usual, lowest."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=frame["age"], y=frame["lowest"], name="lowest of three weeks", mode="lines", line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"},
        hovertemplate="%{y:.1%} in the lowest week<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=frame["age"], y=frame["usual"], name="usual", mode="lines+markers", line={"color": theme.PRIMARY, "width": 1.8}, marker={"size": 4},
        hovertemplate="%{x} days after it began<br>%{y:.1%} labelled<extra></extra>",
    )  # fmt: skip
    theme.themed(figure, height=260, x="days since the day began", y="labelled", legend=True)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure
