"""Figures of labels: maturity by day, arrival by age, agreement of annotators."""

from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import theme
from observability.dashboard.charts import layout

MOST = 30
"""Annotators that are drawn."""

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


def label_maturity_bars(frame: "DataFrame", window: Window, limit: float | None = None) -> "Figure":
    """Bars by day: the labelled share, and hatched on top the share still expected (estimated); a dotted line is the usual share by that
    age.

    frame: period, served, labelled, share, usual, final. window: its first day is marked. limit: of the label maturity, a dashed line.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    counts = [[f"{labelled:,.0f} of {served:,.0f}"] for labelled, served in zip(frame["labelled"], frame["served"])]
    figure.add_bar(
        x=frame["period"],
        y=frame["share"],
        name="labelled",
        marker={"color": theme.PRIMARY},
        customdata=counts,
        hovertemplate="%{x|%a %e %b %Y}<br>%{y:.1%} labelled, %{customdata[0]} predictions<extra></extra>",
    )
    figure.add_bar(
        x=frame["period"],
        y=frame["final"] - frame["share"],
        name="still expected (estimated)",
        marker={"color": theme.QUIET, "pattern": {"shape": "/", "fgcolor": theme.NEUTRAL}},
        hovertemplate="%{x|%a %e %b %Y}<br>%{y:.1%} still expected (estimated)<extra></extra>",
    )
    usual: dict[str, Any] = {"name": "usual by that age", "color": theme.STRONG, "dash": "dot", "width": 1.4}
    layout.add_curve(figure, frame["period"], frame["usual"], "%{y:.1%} usual by that age", **usual)
    if limit is not None:
        figure.add_hline(y=limit, line={"color": theme.NEUTRAL, "width": 1, "dash": "dash"}, layer="below")
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


def annotator_dots(frame: "DataFrame", x: str = "agrees with most of the others") -> "Figure":
    """A dot with its interval for each annotator, and a diamond for all others.

    frame: annotator, value, low, high, n, others, others_n, severity; its first MOST rows are drawn, the first at the top.
    x: title of the value axis.
    """
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, MOST)
    figure = go.Figure()
    hover = [
        f"the others without {theme.inert_label(row['annotator'])}<br>{row['others']:.1%} of {row['others_n']:,} items"
        for row in rows.to_dict("records")
    ]
    layout.add_diamonds(figure, rows["others"], hover, name="the others without them")
    for severity, color in ((None, theme.PRIMARY), ("watch", theme.WATCH), ("act", theme.ACT)):
        part = rows[rows["severity"].isna() if severity is None else rows["severity"] == severity]
        if len(part):
            name = "each annotator" if severity is None else f"{formatting.STATUS_WORDS[severity]}: significantly below"
            layout.add_interval_dots(figure, part, layout.item_share_texts(part, "annotator"), name=name, color=color)
    theme.themed(figure, height=90 + 26 * len(rows), x=x, legend=True)
    layout.name_rows(figure, list(rows["annotator"]), longest=24)
    least = min(rows["low"].min(), rows["others"].min())
    figure.update_xaxes(tickformat=".0%", range=[max(least - 0.05, 0.0), 1.01])
    return figure


def label_arrival_curve(frame: "DataFrame") -> "Figure":
    """The usual share of labels by age, and the lowest of its weeks. frame: age, usual, lowest."""
    import plotly.graph_objects as go

    figure = go.Figure()
    lowest: dict[str, Any] = {"name": "lowest of three weeks", "color": theme.NEUTRAL, "dash": "dot", "width": 1}
    layout.add_curve(figure, frame["age"], frame["lowest"], "%{y:.1%} in the lowest week", **lowest)
    usual: dict[str, Any] = {"name": "usual", "mode": "lines+markers", "marker": {"size": 4}}
    layout.add_curve(figure, frame["age"], frame["usual"], "%{x} days after it began<br>%{y:.1%} labelled", **usual)
    theme.themed(figure, height=260, x="days since the day began", y="labelled", legend=True)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure
