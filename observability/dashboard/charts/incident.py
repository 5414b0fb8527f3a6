"""The figure of an incident: its leading metric by day, with the comparison band, the onset and marks of events."""

from datetime import datetime

import pandas as pd
import plotly.graph_objects as go

from observability.core.time import naive_utc
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts import time as charts_time
from observability.incidents.daily_values import Band


def incident_line(
    series: pd.DataFrame,
    *,
    name: str,
    unit: str,
    of_label: str | None = None,
    limit: float | None = None,
    severity: str = "ok",
    baseline: float | None = None,
    baseline_name: str = "baseline",
    band: Band | None = None,
    onset: datetime | None = None,
    marks: pd.DataFrame | None = None,
) -> go.Figure:
    """Draw the leading metric by day as a line with its interval, the shaded comparison band, the limit, the onset and marks of events.

    series: period, value, low, high. severity: the severity of the finding whose limit is drawn. baseline_name: the name of the baseline.
    band: the usual range and the name of its baseline. onset: drawn only if it lies after the first day, because these days do not date an
    earlier one.
    """
    figure = go.Figure()
    if band is not None and len(series):
        shade = {"fillcolor": theme.NEUTRAL, "opacity": 0.14, "line_width": 0, "layer": "below", "name": band[2], "showlegend": True}
        figure.add_hrect(y0=band[0], y1=band[1], **shade)
    charts_time.interval_band(figure, series["period"], series["low"], series["high"], theme.PRIMARY, "95 % interval")
    charts_time.add_line(figure, series, name=name, colour=theme.PRIMARY, unit=unit)
    if baseline is not None:
        charts_time.legend_line(figure, baseline, baseline_name)
    if limit is not None:
        charts_time.legend_limit(figure, limit, severity)
    figure.update_traces(showlegend=False)
    named = bool(figure.layout.shapes)
    theme.themed(figure, height=290, y=charts_time.axis_name(name, unit, of_label), legend=named, **charts_time.axis_format(unit))
    if onset is not None and len(series) and naive_utc(onset) > series["period"].min():
        at = naive_utc(onset)
        figure.add_vline(x=at, line={"color": theme.STRONG, "width": 1.6})
        right = at < series["period"].min() + (series["period"].max() - series["period"].min()) * 0.7
        anchor = "left" if right else "right"
        layout.add_note(
            figure, "onset", color=theme.STRONG, x=at, xanchor=anchor, xshift=4 if right else -4, y=0, yref="paper", yanchor="bottom"
        )
    return charts_time.add_event_marks(figure, marks, series["period"])
