"""Figures about the labels of several annotators: agreement by week, confusion, and replayed labelling policies."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import interval_band


def agreement_by_week(weeks: pd.DataFrame) -> go.Figure:
    """Krippendorff's alpha by week with its interval. frame: week, value, low, high, n."""
    figure, known = go.Figure(), weeks[weeks["low"].notna()]
    if len(known):
        interval_band(figure, known["week"], known["low"], known["high"], theme.PRIMARY, "95 % interval")
    style: dict[str, Any] = {"name": "alpha", "mode": "lines+markers", "texts": weeks["n"]}
    layout.add_curve(figure, weeks["week"], weeks["value"], "week of %{x|%-d %b %Y}: %{y:.2f} on %{customdata:,} items", **style)
    return theme.themed(figure, height=240, y="Krippendorff's alpha", legend=True)


def confusion_squares(table: pd.DataFrame) -> go.Figure:
    """The share of each label within each likely true class. table: true, label, n, share."""
    wide = table.pivot(index="true", columns="label", values="share")
    names = list(dict.fromkeys(table["true"]))
    wide = wide.loc[names, names]
    text = [[f"{value:.0%}" for value in row] for row in wide.to_numpy()]
    labels = [theme.inert_label(name) for name in names]
    figure = go.Figure(
        go.Heatmap(
            z=wide.to_numpy(),
            x=labels,
            y=labels,
            text=text,
            texttemplate="%{text}",
            colorscale=theme.SEQUENTIAL,
            zmin=0,
            zmax=1,
            showscale=False,
            hovertemplate="likely %{y}, labelled %{x}: %{z:.1%}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    return theme.themed(figure, height=140 + 44 * len(names), x="label", y="likely true class")


def replay_curves(curve: pd.DataFrame) -> go.Figure:
    """The number of wrong labels that remain after each share of the later labels, by policy. curve: policy, share, errors, low, high."""
    figure = go.Figure()
    spread = curve[curve["low"].notna()]
    if len(spread):
        interval_band(figure, spread["share"], spread["low"], spread["high"], theme.NEUTRAL, "95 % of random orders")
    colors = {"ActiveLab": theme.PRIMARY, "margin": theme.PURPLE, "random": theme.STRONG}
    for name, part in curve.groupby("policy", sort=False):
        style: dict[str, Any] = {"name": str(name), "color": colors.get(str(name), theme.NEUTRAL)}
        layout.add_curve(figure, part["share"], part["errors"], f"{name}: %{{y:.1f}} wrong after %{{x:.0%}}", **style)
    theme.themed(figure, height=300, x="share of the later labels", y="wrong labels left", legend=True)
    return figure.update_xaxes(tickformat=theme.PERCENT)
