"""Figures of devices that serve a model: versions by day, and how late their answers arrive."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme


def version_shares(frame: pd.DataFrame, versions: Sequence[str]) -> go.Figure:
    """The share of reporting devices on each version by day, as stacked areas. frame: day, version, devices, share; versions in order.

    versions: all versions that were ever reported, in a fixed order, so that a version has the same colour in every window.
    """
    figure = go.Figure()
    for version, rows in frame.groupby("version", sort=False):
        colour = theme.SERIES[versions.index(str(version)) % len(theme.SERIES)]
        name = theme.inert_label(str(version))
        figure.add_scatter(
            x=rows["day"],
            y=rows["share"],
            customdata=rows["devices"],
            name=name,
            mode="lines",
            stackgroup="versions",
            line={"color": colour, "width": 1},
            hovertemplate=f"{name}<br>%{{x|%a %-d %b %Y}}<br>%{{y:.1%}} of devices (%{{customdata:,}})<extra></extra>",
        )
    theme.themed(figure, height=280, y="share of devices", legend=True)
    return figure.update_yaxes(tickformat=theme.PERCENT, range=[0, 1])


def lag_lines(frame: pd.DataFrame, limit: float) -> go.Figure:
    """The median and the 95th percentile of the lag of reports by day, in hours, and the limit. frame: day, p50, p95, n."""
    figure = go.Figure()
    for name, colour in (("p50", theme.PRIMARY), ("p95", theme.PURPLE)):
        figure.add_scatter(
            x=frame["day"],
            y=frame[name],
            customdata=frame["n"],
            name=name,
            mode="lines+markers" if len(frame) < 40 else "lines",
            line={"color": colour, "width": 2},
            hovertemplate=f"{name} %{{y:.3g}} h<br>%{{x|%a %-d %b %Y}}<br>%{{customdata:,}} reports<extra></extra>",
        )
    figure.add_hline(y=limit, line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}, layer="below")
    theme.themed(figure, height=260, y="hours until arrival", legend=True)
    return figure.update_yaxes(rangemode="tozero")
