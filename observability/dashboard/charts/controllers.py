"""Figures of models that steer a system: regret by day, quantiles of both sides, actual by predicted outcomes, inputs of both sides, and
who steered.
"""

import math
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.core.numerals import format_figure
from observability.dashboard import theme
from observability.dashboard.charts import calibration, layout
from observability.dashboard.charts.time import interval_band, period_axis
from observability.dashboard.charts.trade_offs import log_ticks
from observability.metrics.controllers import STEERERS

SIDES = {"model": ("model", theme.PRIMARY), "heuristic": ("heuristic", theme.NEUTRAL)}
STEERER_COLOURS = {"model": theme.PRIMARY, "heuristic": theme.SKY, "guardrail": theme.PURPLE, "off": theme.NEUTRAL}


def regret_line(days: pd.DataFrame) -> go.Figure:
    """The cost relative to the heuristic by day with its interval; a line marks equal cost.

    days: day, value, low, high, n, evaluated.
    """
    figure = go.Figure()
    interval_band(figure, days["day"], days["low"], days["high"], theme.PRIMARY, "95 % interval", showlegend=False)
    texts = [
        f"{formatting.value_with_interval(value, low, high, 'share')}<br>{n:,} decisions"
        for value, low, high, n in days[["value", "low", "high", "n"]].itertuples(index=False)
    ]
    style: dict[str, Any] = {"mode": "lines+markers", "marker": {"size": 5}, "showlegend": False}
    layout.add_curve(figure, days["day"], days["value"], "%{x|%a %-d %b %Y}<br>%{customdata}", texts=texts, name="regret", **style)
    figure.add_hline(y=0, line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}, layer="below")
    period_axis(figure, days["day"])
    return theme.themed(figure, height=260, y="cost against the heuristic", tickformat=theme.PERCENT)


def quantile_lines(rows: pd.DataFrame, unit: str) -> go.Figure:
    """Quantiles of the outcome of the model and of the heuristic with their intervals, at equal distances on the axis. rows: side,
    quantile, value, low, high, n.
    """
    figure = go.Figure()
    names = [f"p{100 * q:g}" for q in sorted(rows["quantile"].unique())]
    for side, part in rows.groupby("side", sort=False):
        name, colour = SIDES[str(side)]
        texts = [
            f"{name} p{100 * q:g}: {format_figure(value, 3)} {theme.inert_label(unit)}"
            + (f"<br>{format_figure(low, 3)} to {format_figure(high, 3)}" if low == low and high == high else "<br>no interval yet")
            + f"<br>{n:,} decisions"
            for q, value, low, high, n in part[["quantile", "value", "low", "high", "n"]].itertuples(index=False)
        ]
        low, high = part["low"].fillna(part["value"]), part["high"].fillna(part["value"])
        bars = theme.error_bars(part["value"], low, high, color=colour, thickness=1.4, width=4)
        x = [f"p{100 * q:g}" for q in part["quantile"]]
        style: dict[str, Any] = {"mode": "lines+markers", "marker": {"size": 8}, "error_y": bars, "color": colour}
        layout.add_curve(figure, x, part["value"], texts=texts, name=name, **style)
    theme.themed(figure, height=300, y=f"outcome ({unit})" if unit else "outcome", legend=True)
    figure.update_xaxes(categoryorder="array", categoryarray=names)
    positive = rows.loc[rows["value"] > 0, "value"]
    if len(positive) and (rows["value"] > 0).all() and positive.max() / positive.min() > 20:
        ends = float(positive.min()) / 1.3, float(max(positive.max(), rows["high"].max(skipna=True))) * 1.3
        ticks = log_ticks(*ends)
        figure.update_yaxes(type="log", range=[math.log10(ends[0]), math.log10(ends[1])], tickvals=ticks)
        figure.update_yaxes(ticktext=[f"{tick:,g}" for tick in ticks])
    else:
        figure.update_yaxes(rangemode="tozero", tickformat=",")
    return figure


def outcome_calibration(groups: pd.DataFrame, unit: str) -> go.Figure:
    """Mean actual outcome by mean predicted outcome, for groups of equal size, with the diagonal. groups: score, rate, low, high, n."""
    figure = calibration.regression_calibration_lines(groups)
    suffix = f" ({unit})" if unit else ""
    figure.update_layout(height=300)
    figure.update_xaxes(title=theme.axis_title(f"mean predicted outcome{suffix}"))
    return figure.update_yaxes(title=theme.axis_title(f"mean actual outcome{suffix}"))


def feedback_dots(rows: pd.DataFrame, limit: float, severity: str) -> go.Figure:
    """For each input, the probability that it is higher in a decision of the model than in a decision of the heuristic, with its interval;
    a half means no difference.

    rows: name, value, low, high (probabilities), n. limit: the distance from a half from which the severity applies.
    """
    figure, shown = go.Figure(), rows.iloc[::-1].reset_index(drop=True)
    hover = [
        f"{theme.inert_label(name, 60)}<br>{formatting.value_with_interval(value, low, high, 'share')}<br>{n:,} decisions"
        for name, value, low, high, n in shown[["name", "value", "low", "high", "n"]].itertuples(index=False)
    ]
    layout.add_interval_dots(figure, shown, hover)
    figure.add_vline(x=0.5, line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}, layer="below")
    line = {"color": theme.TONES[severity], "width": 1.2, "dash": "dash"}
    for end, side in ((0.5 - limit, "right"), (0.5 + limit, "left")):
        figure.add_vline(x=end, line=line, layer="below")
        words = f"{formatting.STATUS_WORDS[severity]} {formatting.format_share(end)}"
        layout.add_note(figure, words, x=end, y=1, yref="paper", yanchor="bottom", xanchor=side)
    theme.themed(figure, height=max(180, 26 * len(shown) + 70), x="pairs with the model higher")
    layout.set_row_ticks(figure, layout.row_names(list(shown["name"])))
    figure.update_layout(margin_t=28)
    figure.update_xaxes(tickformat=theme.PERCENT)
    return layout.value_axis(figure)


def steering_bars(rows: pd.DataFrame) -> go.Figure:
    """The share of each day's decisions by who made them, as stacked bars. rows: day, by, n, share."""
    figure = go.Figure()
    for by, part in rows.groupby("by", sort=False):
        name, colour = STEERERS[str(by)], STEERER_COLOURS[str(by)]
        texts = [f"{name}: {formatting.format_share(share)} ({n:,})" for share, n in part[["share", "n"]].itertuples(index=False)]
        layout.add_bars(figure, part["day"], part["share"], texts, color=colour, hover="%{x|%a %-d %b %Y}<br>%{customdata}", name=name)
    period_axis(figure, rows["day"])
    theme.themed(figure, height=260, y="share of decisions", legend=True)
    figure.update_layout(barmode="stack", bargap=0.08)
    return figure.update_yaxes(tickformat=theme.PERCENT, range=[0, 1])
