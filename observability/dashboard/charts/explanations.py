"""Figures of attributions: importance, beeswarm, importance over time, and dependence on one feature.

The hover text of a point contains the id of its prediction; missing values are grey.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

MAX_BARS, MAX_ROWS, MAX_LINES, MAX_LEVELS = 15, 10, len(theme.SERIES), 20
DAY, WEEK = "day", "week"
OUTLINE = {"width": 0.5, "color": theme.NEUTRAL}
"""Outline of points, so that the palest colour is visible on white."""


def importance_bars(frame: pd.DataFrame, *, unit: str, against: str | None) -> go.Figure:
    """Bars of the mean absolute attribution of each feature with its interval; diamonds show the values of a baseline.

    frame: feature, mean, low, high, share; with a baseline also mean_before and share_before. The first MAX_BARS rows are drawn.
    against: the name of the baseline, such as "reference"; None without a baseline.
    """
    rows = layout.bottom_up(frame, MAX_BARS)
    figure = go.Figure()
    texts = [
        f"{theme.inert_label(row['feature'], 60)}"
        f"<br>mean |SHAP| {formatting.value_with_interval(row['mean'], row['low'], row['high'])}"
        f"<br>{formatting.format_share(row['share'])} of the attribution"
        for row in rows.to_dict("records")
    ]
    errors = theme.error_bars(rows["mean"], rows["low"], rows["high"])
    layout.add_row_bars(figure, rows["mean"], texts, name="now", color=theme.PRIMARY, error_x=errors)
    if against is not None:
        texts = [
            f"{theme.inert_label(row['feature'], 60)}, {against}<br>mean |SHAP| {formatting.format_number(row['mean_before'])}"
            f"<br>{formatting.format_share(row['share_before'])} of the attribution"
            for row in rows.to_dict("records")
        ]
        marker = {"symbol": "diamond", "size": 8, "color": theme.PURPLE, "line": {"width": 1, "color": theme.SURFACE}}
        layout.add_marks(figure, rows["mean_before"], rows.index, texts, name=against, marker=marker)
    names, x = layout.row_names(list(rows["feature"])), f"mean absolute attribution ({unit})"
    axis: dict[str, Any] = {"legend": against is not None, "rangemode": "tozero", "tickformat": ",.3~g"}
    return layout.row_chart(figure, names, x, height=max(150, 26 * len(rows) + 96), **axis)


def attribution_beeswarm(frame: pd.DataFrame, *, features: list[str], unit: str) -> go.Figure:
    """Beeswarm of attributions: a point for each prediction and feature, coloured by the value of the feature.

    frame: id, feature, attribution, value (text), rank (from 0 for the lowest value of the feature to 1 for the highest; NaN if values have
    no order or are missing). features: in order, the first on top.
    """
    figure = go.Figure()
    drawn = features[:MAX_ROWS]
    places = {name: len(drawn) - 1 - place for place, name in enumerate(drawn)}
    rows = frame[frame["feature"].isin(drawn)]
    at = np.concatenate(
        [np.empty(0), *(swarm_offsets(part["attribution"].to_numpy(np.float64)) for _, part in rows.groupby("feature", sort=False))]
    )
    order = [index for _, part in rows.groupby("feature", sort=False) for index in part.index]
    rows = rows.loc[order].assign(y=at)
    rows["y"] = rows["y"] + rows["feature"].map(places).to_numpy(np.float64)
    for ordered in (False, True):
        part = rows[rows["rank"].notna() == ordered]
        if len(part):
            marker = _rank_markers(part["rank"] if ordered else None)
            _add_cases(figure, part["attribution"], part["y"], part.to_dict("records"), marker)
    figure.add_vline(x=0, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    names, x = layout.row_names(drawn[::-1]), f"attribution ({unit}): positive raises the score"
    return layout.row_chart(figure, names, x, height=max(180, 42 * len(drawn) + 80), **theme.ROUNDED)


def _rank_markers(rank: Any) -> dict[str, Any]:
    """The style of points: coloured by the rank of the feature's value; grey if the values have no order."""
    if rank is None:
        return {"size": 5, "color": theme.NEUTRAL, "opacity": 0.6}
    bar = {**theme.colorbar("value of the feature"), "tickvals": [0, 1], "ticktext": ["low", "high"]}
    scale = {"colorscale": theme.SEQUENTIAL, "cmin": 0, "cmax": 1, "colorbar": bar}
    return {"size": 5, "color": rank, "opacity": 0.9, "line": OUTLINE, **scale}


def _add_cases(figure: go.Figure, x: object, y: object, cases: Sequence[Mapping[Any, Any]], marker: dict[str, Any]) -> None:
    """Add a point for each case. The hover text shows the prediction, the value and the attribution; a click opens the prediction."""
    texts = [
        [
            f"{theme.inert_label(case['id'], 40)}<br>{theme.inert_label(case['feature'], 40)} = {theme.inert_label(case['value'], 40)}"
            f"<br>attribution {formatting.format_number(case['attribution'])}<br>click: open its case",
            str(case["id"]),
        ]
        for case in cases
    ]
    layout.add_marks(figure, x, y, texts, hover="%{customdata[0]}", marker=marker, showlegend=False)


def swarm_offsets(values: NDArray[np.float64], bins: int = 60, width: float = 0.38) -> NDArray[np.float64]:
    """The offset of each point from the centre of its row, so that points with similar values do not cover each other."""
    if not values.size:
        return values
    low, high = float(values.min()), float(values.max())
    at = np.minimum(((values - low) / ((high - low) or 1.0) * bins).astype(int), bins - 1)
    offset = np.zeros(values.size)
    for place in np.unique(at):
        mine = np.flatnonzero(at == place)
        offset[mine] = (np.arange(mine.size) + 1) // 2 * np.where(np.arange(mine.size) % 2, 1, -1)
    most = np.abs(offset).max()
    return np.asarray(offset * (min(width / most, 0.05) if most else 0.0), np.float64)


def importance_over_time(frame: pd.DataFrame, *, features: list[str], step: str) -> go.Figure:
    """Lines of the share of attribution of the first MAX_LINES features, by day or week. frame: period, feature, share, low, high, n."""
    figure = go.Figure()
    for place, name in enumerate(features[:MAX_LINES]):
        part = frame[frame["feature"] == name].sort_values("period")
        colour = theme.SERIES[place % len(theme.SERIES)]
        texts = [
            f"{theme.inert_label(name, 60)}: {formatting.value_with_interval(row['share'], row['low'], row['high'], 'share')}"
            f"<br>{row['n']:,} explained predictions"
            for row in part.to_dict("records")
        ]
        hover = ("week of " if step == WEEK else "") + layout.DAY_HOVER
        marker = {"size": 4, "color": colour, "symbol": place}
        style: dict[str, Any] = {"name": theme.inert_label(name), "color": colour, "mode": "lines+markers", "marker": marker}
        layout.add_curve(figure, part["period"], part["share"], hover, texts=texts, **style)
    return theme.themed(figure, height=320, y="share of the attribution", legend=True, rangemode="tozero", tickformat=theme.PERCENT)


def dependence_plot(frame: pd.DataFrame, *, feature: str, kind: str, unit: str, mark: Mapping[str, Any] | None = None) -> go.Figure:
    """The attribution of a feature by its value. Numbers are on an axis, levels are side by side, and missing values are on the left.

    frame: id, raw (a number, or text for levels; None or NaN if missing), value (text), attribution, feature. mark: one prediction (id,
    raw, value, attribution), drawn as a diamond over the others.
    """
    figure = go.Figure()
    missing = frame["raw"].isna()
    part = frame[~missing]
    if kind == "number":
        x: Any = part["raw"].astype(float)
        low, high = (float(x.min()), float(x.max())) if len(part) else (0.0, 1.0)
        aside = low - 0.08 * ((high - low) or 1.0)
        ticks: tuple[list[float], list[str]] | None = None
        places: dict[Any, float] = {}
    else:
        names = list(part["raw"].value_counts().index[:MAX_LEVELS])
        part = part[part["raw"].isin(names)]
        places = {name: float(place) for place, name in enumerate(names)}
        part = part.sort_values(["raw", "id"], kind="stable")
        x = part["raw"].map(places) + part.groupby("raw")["attribution"].transform(
            lambda values: swarm_offsets(values.to_numpy(np.float64), 40, 0.36)
        )
        aside = -1.0
        ticks = [float(place) for place in range(len(names))], theme.inert_labels(names, 14)
    for points, at, colour in ((part, x, theme.PRIMARY), (frame[missing], None, theme.NEUTRAL)):
        if len(points):
            attribution = points["attribution"]
            where = np.full(len(points), aside) + swarm_offsets(attribution.to_numpy(np.float64)) * 0.02 if at is None else at
            _add_cases(figure, where, attribution, points.to_dict("records"), {"size": 5, "color": colour, "opacity": 0.6})
    if mark is not None:
        gone = mark["raw"] is None or mark["raw"] != mark["raw"]
        at_: Any = aside if gone else float(mark["raw"]) if kind == "number" else places.get(mark["value"])
        if at_ is not None:
            marker = {"symbol": "diamond", "size": 13, "color": theme.PURPLE, "line": {"width": 1.5, "color": theme.SURFACE}}
            _add_cases(figure, [at_], [mark["attribution"]], [{**mark, "feature": feature}], marker)
    figure.add_hline(y=0, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    theme.themed(
        figure, height=340, x=theme.inert_label(feature, 60), y=f"attribution ({unit})"
    )  # a format would write a rounding error of 0 as −8.88e−17
    if ticks is not None:
        values, words = ([aside, *ticks[0]], ["missing", *ticks[1]]) if missing.any() else ticks
        figure.update_xaxes(tickmode="array", tickvals=values, ticktext=words)
    elif missing.any():
        layout.add_note(figure, "missing", color=theme.NEUTRAL, x=aside, y=1, yref="paper", yanchor="bottom")
        figure.update_layout(margin={"t": 28})
    return figure
