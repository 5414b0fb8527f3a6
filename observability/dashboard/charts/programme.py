"""Figure of the review programme by month, with one small panel for each measure."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.energy import said_ticks

PANEL = 118
"""Height of a panel in pixels."""
FEW_MONTHS = 8
"""Maximum number of months for which each month is named below the figure."""


def programme_panels(frame: pd.DataFrame, titles: Mapping[Any, str], *, few: int) -> go.Figure:
    """Draw a panel for each measure: its value by month, hollow if it is based on fewer than `few` items. A month without a value is a gap.

    frame: measure, month, value (a share, or hours), unit (share or h), n, words. titles: the titles of the measures, from the top down.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.05, subplot_titles=list(titles.values()))
    theme.themed(figure, height=PANEL * len(titles))
    for row, measure in enumerate(titles, start=1):
        part = frame[frame["measure"] == measure]
        symbols = ["circle" if n >= few else "circle-open" for n in part["n"]]
        style: dict[str, Any] = {"mode": "lines+markers", "marker": {"size": 8, "symbol": symbols, "color": theme.PRIMARY}}
        hover = "%{x|%b %Y}: %{customdata}"
        layout.add_curve(figure, part["month"], part["value"], hover, texts=part["words"], name=titles[measure], row=row, col=1, **style)
        top = float(part["value"].max()) if part["value"].notna().any() else 0.0
        if set(part["unit"]) == {"share"}:
            options: dict[str, Any] = {"range": [-0.08, 1.08], "tickvals": [0, 0.5, 1], "tickformat": theme.PERCENT}
        else:
            options = {"range": [-0.08 * (top or 1), 1.15 * (top or 1)], **hour_ticks(top)}
        figure.update_yaxes(row=row, col=1, **options)
    months = frame["month"].drop_duplicates()
    if len(months):
        ends = [months.min() - pd.Timedelta(days=15), months.max() + pd.Timedelta(days=15)]
        step = {"tickvals": list(months)} if len(months) <= FEW_MONTHS else {"dtick": "M3"}
        figure.update_xaxes(range=ends, tickformat="%b %Y", **step)
    figure.update_annotations(font={"size": 12, "color": theme.NEUTRAL}, x=0, xanchor="left")
    return figure.update_layout(margin={"t": 28})


def hour_ticks(top: float) -> dict[str, Any]:
    """Return the ticks of an axis of hours from 0 to the largest value, in minutes, hours or days; no ticks if no value is known."""
    if not top > 0:
        return {"tickvals": []}
    hours, unit = (24.0, "d") if top >= 72 else (1.0, "h") if top >= 2 else (1 / 60, "min")
    ticks = said_ticks(top / hours, lambda count: f"{count:g} {unit}", 2)
    return {**ticks, "tickvals": [hours * count for count in ticks["tickvals"]]}
