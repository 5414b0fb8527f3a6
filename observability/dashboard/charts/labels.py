"""Figures of labels: maturity by day, arrival by age, agreement of annotators."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import legend_limit

MAX_ANNOTATORS = 30
"""Maximum number of annotators that are drawn."""


def label_maturity_bars(frame: pd.DataFrame, window: Window, limit: float | None = None, severity: str = "watch") -> go.Figure:
    """Draw the labelled share by day as bars, with the share that is still expected (estimated) hatched on top. A dotted line shows the
    usual share at that age.

    frame: period, served, labelled, share, usual, final. window: its first day is marked. limit: the limit of the label maturity.
    severity: the severity of its finding, which names the limit.
    """
    figure = go.Figure()
    counts = [[f"{labelled:,.0f} of {served:,.0f}"] for labelled, served in zip(frame["labelled"], frame["served"])]
    hover = "%{x|%a %-d %b %Y}<br>%{y:.1%} labelled, %{customdata[0]} predictions"
    layout.add_bars(figure, frame["period"], frame["share"], counts, hover=hover, name="labelled", color=theme.PRIMARY)
    coming, pattern = "still expected (estimated)", {"shape": "/", "fgcolor": theme.NEUTRAL}
    style: dict[str, Any] = {"name": coming, "hover": f"%{{x|%a %-d %b %Y}}<br>%{{y:.1%}} {coming}", "color": theme.QUIET}
    layout.add_bars(figure, frame["period"], frame["final"] - frame["share"], marker_pattern=pattern, **style)
    usual: dict[str, Any] = {"name": "usual by that age", "color": theme.STRONG, "dash": "dot", "width": 1.4}
    layout.add_curve(figure, frame["period"], frame["usual"], "%{y:.1%} usual by that age", **usual)
    if limit is not None:
        legend_limit(figure, limit, severity)
    start = naive_utc(window.start)
    if len(frame) and frame["period"].min() < start:
        figure.add_vline(x=start, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
        layout.add_note(figure, "this window", x=start, y=1, yref="paper", yanchor="bottom", xanchor="left")
    theme.themed(figure, height=320, y="share of the day's predictions", legend=True, tickformat=theme.PERCENT, range=[0, 1.02])
    return figure.update_layout(barmode="stack", bargap=0.15)


def annotator_dots(frame: pd.DataFrame, x: str = "agreement with the majority of the others") -> go.Figure:
    """Draw a dot with its interval for each annotator, and a diamond for the other annotators.

    frame: annotator, value, low, high, n, others, others_n, severity; its first MAX_ANNOTATORS rows are drawn, the first at the top.
    x: title of the value axis.
    """
    rows = layout.bottom_up(frame, MAX_ANNOTATORS)
    figure = go.Figure()
    hover = [
        f"the others without {theme.inert_label(row['annotator'])}<br>{row['others']:.1%} of {row['others_n']:,} items"
        for row in rows.to_dict("records")
    ]
    layout.add_diamonds(figure, rows["others"], hover, name="agreement among the others")
    for severity, color in ((None, theme.PRIMARY), ("watch", theme.WATCH), ("act", theme.ACT)):
        part = rows[rows["severity"].isna() if severity is None else rows["severity"] == severity]
        if len(part):
            name = "each annotator" if severity is None else f"{formatting.STATUS_WORDS[severity]}: significantly below"
            layout.add_interval_dots(figure, part, layout.item_share_texts(part, "annotator"), name=name, color=color)
    theme.themed(figure, height=90 + 26 * max(len(rows), 1), x=x, legend=True)
    layout.set_row_ticks(figure, layout.row_names(list(rows["annotator"]), longest=24))
    least = min(rows["low"].min(), rows["others"].min())
    return figure.update_xaxes(tickformat=theme.PERCENT, range=[max(least - 0.05, 0.0), 1.01])


def label_arrival_curve(frame: pd.DataFrame) -> go.Figure:
    """Draw the usual share of labels by age, and the lowest share of the weeks. frame: age, usual, lowest."""
    figure = go.Figure()
    lowest: dict[str, Any] = {"name": "lowest of three weeks", "color": theme.NEUTRAL, "dash": "dot", "width": 1}
    layout.add_curve(figure, frame["age"], frame["lowest"], "%{y:.1%} in the lowest week", **lowest)
    usual: dict[str, Any] = {"name": "usual", "mode": "lines+markers", "marker": {"size": 4}}
    layout.add_curve(figure, frame["age"], frame["usual"], "%{x} days after it began<br>%{y:.1%} labelled", **usual)
    return theme.themed(
        figure, height=260, x="days since the day began", y="labelled", legend=True, tickformat=theme.PERCENT, range=[0, 1.02]
    )
