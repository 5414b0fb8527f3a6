"""The figure of exports: how much of its privacy budget each recipient has used, release by release."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme
from observability.dashboard.charts import layout

COLOURS = {"act": theme.ACT, "watch": theme.WATCH}
"""Colours of budgets by the severity of their finding; budgets with other severities are blue."""
DASHES, SYMBOLS = ("solid", "dash", "dot", "dashdot"), ("circle", "square", "diamond", "triangle-up")
"""Line styles and marker symbols, one for each recipient."""


def budget_steps(frame: pd.DataFrame, states: Mapping[str, str] | None = None) -> go.Figure:
    """The share of the budget that each recipient has used, as steps over time; a line marks the whole budget.

    frame: who, at, epsilon, budget, share, sorted by time. states: the severity of each recipient's budget, which sets its colour.
    """
    figure = go.Figure()
    for place, (who, rows) in enumerate(frame.groupby("who", sort=True)):
        name = theme.inert_label(str(who), 40)
        texts = [f"{name}<br>ε {spent:.3g} of {budget:g}" for spent, budget in zip(rows["epsilon"], rows["budget"], strict=True)]
        colour = COLOURS.get((states or {}).get(str(who), ""), theme.PRIMARY)
        options: dict[str, Any] = {"mode": "lines+markers", "line_shape": "hv", "dash": DASHES[place % len(DASHES)]}
        options["marker"] = {"size": 8, "symbol": SYMBOLS[place % len(SYMBOLS)]}
        hover = "%{customdata}<br>%{y:.0%} of the budget<br>%{x|%-d %b %Y}"
        layout.add_curve(figure, rows["at"], rows["share"], hover, name=name, color=colour, texts=texts, **options)
    figure.add_hline(y=1.0, line={"color": theme.ACT, "width": 1.4, "dash": "dash"}, layer="below")
    layout.add_note(figure, "budget", color=theme.ACT, x=0, xref="paper", y=1.0, xanchor="left", yanchor="bottom")
    theme.themed(figure, height=280, y="share of the privacy budget", legend=True, rangemode="tozero", tickformat=theme.PERCENT)
    return figure
