"""Figures of a study: the best value by budget, and the importance of parameters."""

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import interval_band


def best_against_budget(points: pd.DataFrame, metric: str, chance: str = "") -> go.Figure:
    """Draw each trial's value as a dot and the best value so far as a line, by trial. Repeated runs of a setting are hollow and do not
    count for the best value.

    points: run, trial, seconds, value, best, repeat, chance_low, chance_high. chance: the name of the band between the last two columns.
    """
    figure = go.Figure()
    interval_band(figure, points["trial"], points["chance_low"], points["chance_high"], theme.NEUTRAL, chance)
    known = points[points["value"].notna()]
    texts = [
        f"{theme.inert_label(run, 60)}, trial {trial}<br>{formatting.format_number(value, 4)}"
        for run, trial, value in zip(known["run"], known["trial"], known["value"])
    ]
    again = known["repeat"].to_numpy(bool)
    for name, chosen, symbol in (("trial", ~again, "circle"), ("repeat of a setting", again, "circle-open")):
        if chosen.any():
            marker = {"size": 7, "symbol": symbol, "color": theme.QUIET if name == "trial" else theme.NEUTRAL}
            marker |= {"line": {"width": 1, "color": theme.NEUTRAL}}
            rows, own = known[chosen], [text for text, one in zip(texts, chosen, strict=True) if one]
            layout.add_marks(figure, rows["trial"], rows["value"], own, name=name, marker=marker)
    kept = points[points["best"].notna()]
    hover = "after %{x} trials<br>best %{y:.4g}"
    layout.add_curve(
        figure, kept["trial"], kept["best"], hover, name="best first run so far", color=theme.PRIMARY, width=2.2, line_shape="hv"
    )
    return theme.themed(figure, height=300, x="trial", y=theme.inert_label(metric, 60), legend=True)


def best_of_studies(points: pd.DataFrame, metric: str) -> go.Figure:
    """Draw the best value so far of each study as a line, by trial. The first study is drawn last and boldest. points: study,
    trial, best.
    """
    figure = go.Figure()
    names = list(dict.fromkeys(points["study"]))
    for place, name in reversed(list(enumerate(names))):
        kept = points[(points["study"] == name) & points["best"].notna()]
        hover = f"{theme.inert_label(name, 60)}<br>after %{{x}} trials<br>best %{{y:.4g}}"
        layout.add_curve(
            figure,
            kept["trial"],
            kept["best"],
            hover,
            name=theme.inert_label(name, 28),
            color=theme.SERIES[place % len(theme.SERIES)],
            dash="solid" if place < len(theme.SERIES) else "dash",
            width=1.6 if place else 2.4,
            line_shape="hv",
            legendrank=place + 1,
        )
    return theme.themed(figure, height=300, x="trial", y=theme.inert_label(metric, 60), legend=True)


def importance_bars(rows: pd.DataFrame, limit: float) -> go.Figure:
    """Draw the share of each parameter in the total importance; a bar is grey if its p-value is above the limit. rows: name, share,
    p_value.
    """
    names = theme.inert_labels(list(rows["name"]), 28)
    colours = [theme.PRIMARY if p <= limit else theme.QUIET for p in rows["p_value"]]
    figure = go.Figure()
    hover = "%{y}: %{x:.0%}<extra></extra>"
    figure.add_bar(x=rows["share"], y=names, orientation="h", marker_color=colours, hovertemplate=hover, showlegend=False)
    theme.themed(figure, height=max(170, 30 * len(names) + 80), x="share of the importance", autorange="reversed", type="category")
    figure.update_xaxes(tickformat=theme.PERCENT)
    return layout.value_axis(figure)
