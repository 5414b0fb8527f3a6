"""Figures of audits: accuracy by an attacker's budget, ROC of a membership attack, absent features, and deletion of features."""

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import interval_band

SMALLEST_RATE = 1e-4
"""Left end of the logarithmic axes of a ROC."""


def budget_curves(points: pd.DataFrame, x: str, y: str, *, groups: bool = False) -> go.Figure:
    """Lines of a measure by `at`, one for each `curve`; the first line has a band. points: curve, at, value, low, high, n."""
    figure = go.Figure()
    for place, (name, own) in enumerate(points.groupby("curve", sort=False)):
        colour = theme.SERIES[place % len(theme.SERIES)]
        if not groups or place == 0:
            interval_band(figure, own["at"], own["low"], own["high"], colour, "95 % interval", opacity=0.2, showlegend=False)
        texts = [
            f"{name}, {row['at']:g}: {row['value']:.3g} ({row['low']:.3g} to {row['high']:.3g}), n {row['n']:,.0f}"
            for row in own.to_dict("records")
        ]
        dash = ("solid", "dash", "dot", "dashdot")[place % 4]
        layout.add_curve(figure, own["at"], own["value"], texts=texts, name=str(name), color=colour, dash=dash, mode="lines+markers")
    return theme.themed(figure, height=320, x=x, y=y, legend=True)


def attack_roc(points: pd.DataFrame) -> go.Figure:
    """ROC curves of attacks on logarithmic axes, with the diagonal that chance gives. points: attack, false_positive_rate,
    true_positive_rate.
    """
    figure = go.Figure()
    ends = [SMALLEST_RATE, 1.0]
    line = {"color": theme.NEUTRAL, "dash": "dot", "width": 1.4}
    figure.add_scatter(x=ends, y=ends, mode="lines", line=line, name="chance", hoverinfo="skip")
    for place, (name, own) in enumerate(points.groupby("attack", sort=False)):
        seen = own[(own["false_positive_rate"] > 0) & (own["true_positive_rate"] > 0)]
        texts = [
            f"{name}: {formatting.format_share(row['true_positive_rate'])} of training records at "
            f"{formatting.format_share(row['false_positive_rate'])} false positives"
            for row in seen.to_dict("records")
        ]
        rates = seen["false_positive_rate"], seen["true_positive_rate"]
        layout.add_curve(
            figure, *rates, texts=texts, name=str(name), color=theme.SERIES[place % len(theme.SERIES)], dash=("solid", "dash")[place % 2]
        )
    theme.themed(figure, height=340, x="false positive rate", y="true positive rate", legend=True)
    ticks = {"tickvals": [1e-4, 1e-3, 1e-2, 1e-1, 1], "ticktext": ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]}
    figure.update_xaxes(type="log", range=[-4, 0], **ticks)
    return figure.update_yaxes(type="log", range=[-4, 0], **ticks)


def audited_group_dots(rows: pd.DataFrame, x: str, level: float | None = None) -> go.Figure:
    """A dot with its interval for each group; the first group is at the top. rows: name, value, low, high, n. level: a line for
    comparison.
    """
    figure, shown = go.Figure(), rows.iloc[::-1].reset_index(drop=True)
    hover = [
        f"{row['name']}: {formatting.format_share(row['value'])} "
        f"({formatting.format_interval(row['low'], row['high'], 'share')}), n {row['n']:,}"
        for row in shown.to_dict("records")
    ]
    layout.add_interval_dots(figure, shown, hover)
    if level is not None:
        figure.add_vline(x=level, line={"color": theme.NEUTRAL, "dash": "dot", "width": 1.4})
    ticks = layout.row_names([f"{row['name']} ({row['n']:,})" for row in shown.to_dict("records")])
    return layout.row_chart(figure, ticks, x, height=60 + 26 * max(len(shown), 2), tickformat=theme.PERCENT, rangemode="tozero")


def deletion_curves(points: pd.DataFrame) -> go.Figure:
    """How far the score moves on average when features are deleted by attribution and at random. points: features, by_attribution,
    at_random.
    """
    figure = go.Figure()
    for name, words, colour, dash in (
        ("by_attribution", "largest attribution first", theme.PRIMARY, "solid"),
        ("at_random", "random order", theme.NEUTRAL, "dash"),
    ):
        texts = [f"{words}: {value:.3g} after {count:.0f} features" for value, count in zip(points[name], points["features"])]
        layout.add_curve(figure, points["features"], points[name], texts=texts, name=words, color=colour, dash=dash, mode="lines+markers")
    return theme.themed(figure, height=300, x="deleted features", y="movement of the score", legend=True)


def distance_shares(rows: pd.DataFrame, far: float) -> go.Figure:
    """The distribution of distances to the reference as step lines, for requests and for the reference's own rows. rows: distance,
    requests, reference.
    """
    figure = go.Figure()
    for name, words, colour, dash in (("requests", "requests", theme.PRIMARY, "solid"), ("reference", "reference", theme.NEUTRAL, "dash")):
        texts = [f"{words}: {formatting.format_share(share)} from {at:.3g}" for share, at in zip(rows[name], rows["distance"])]
        layout.add_curve(figure, rows["distance"], rows[name], texts=texts, name=words, color=colour, dash=dash)
    far_line = {"color": theme.NEUTRAL, "dash": "dot", "width": 1.4}
    figure.add_vline(x=far, line=far_line, annotation_text="far", annotation_position="top right")
    return theme.themed(figure, height=300, x="distance to the reference", y="share of rows", legend=True, tickformat=theme.PERCENT)
