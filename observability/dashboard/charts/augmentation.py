"""Figures about augmentations of training data: affinity by diversity, and the change of accuracy by class and group."""

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

EFFECTS = (
    ("helps", theme.PRIMARY, "circle"),
    ("no effect", theme.NEUTRAL, "circle-open"),
    ("small", theme.NEUTRAL, "square-open"),
    ("harms", theme.WATCH, "x"),
    ("cannot tell", theme.QUIET, "diamond-open"),
)
"""Effects of augmentations, and how they are drawn."""


def affinity_scatter(points: pd.DataFrame) -> go.Figure:
    """One mark per augmentation: affinity by diversity, both with their intervals, coloured by its effect.

    points: name, effect (of EFFECTS), affinity, affinity_low, affinity_high, diversity, diversity_low, diversity_high, text.
    """
    figure = go.Figure()
    for name, color, symbol in EFFECTS:
        rows = points[points["effect"] == name]
        if len(rows):
            marker = {"size": 10, "symbol": symbol, "color": color, "line": {"width": 1.6, "color": color}}
            x, y = (theme.error_bars(rows[key], rows[f"{key}_low"], rows[f"{key}_high"], color=color) for key in ("diversity", "affinity"))
            texts = list(rows["text"])
            layout.add_marks(figure, rows["diversity"], rows["affinity"], texts, name=name, marker=marker, error_x=x, error_y=y)
    layout.add_names(figure, list(points["name"]), list(points["diversity"]), list(points["affinity"]))
    line = {"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}
    figure.add_hline(y=1.0, line=line, layer="below")
    figure.add_vline(x=1.0, line=line, layer="below")
    return theme.themed(figure, height=320, x="diversity", y="affinity", legend=True)


def slice_change_dots(rows: pd.DataFrame, *, title: str = "change of accuracy, points", unit: str = "points") -> go.Figure:
    """The gain of each class and group with its interval, in points or in per cent of the error; a line marks no change.

    rows: name, value, low, high (shares), n.
    """
    figure, shown = go.Figure(), rows.iloc[::-1].reset_index(drop=True)
    shown = shown.assign(**{key: 100 * shown[key] for key in ("value", "low", "high")})
    hover = [
        f"{theme.inert_label(name, 60)}<br>{formatting.format_number(value)} {unit} ({formatting.format_number(low)} to "
        f"{formatting.format_number(high)})<br>{n:,} rows"
        for name, value, low, high, n in shown[["name", "value", "low", "high", "n"]].itertuples(index=False)
    ]
    layout.add_interval_dots(figure, shown, hover)
    figure.add_vline(x=0, line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}, layer="below")
    theme.themed(figure, height=max(180, 26 * len(shown) + 70), x=title)
    layout.set_row_ticks(figure, layout.row_names(list(shown["name"])))
    return layout.value_axis(figure)
