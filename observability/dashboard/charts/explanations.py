"""Figures of attributions: importance, beeswarm, importance over time, dependence on one feature.

Points carry the id of their prediction in the hover text; missing values are grey.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_BARS, MOST_ROWS, MOST_LINES, MOST_LEVELS = 15, 10, 6, 20
DAY, WEEK = "day", "week"
OUTLINE = {"width": 0.5, "color": theme.NEUTRAL}
"""Outline of points, so that the palest colour is visible on white."""


def importance_bars(frame: "DataFrame", *, unit: str, against: str | None) -> "Figure":
    """Mean absolute attribution of each feature with its interval, and a diamond for the value before.

    frame: feature, mean, low, high, share, and where there is something to compare with mean_before, share_before; its first MOST_BARS rows
    are drawn. against: what the diamonds are ("reference"), None where there are none.
    """
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, MOST_BARS)
    figure = go.Figure()
    figure.add_bar(
        y=list(range(len(rows))),
        x=rows["mean"],
        orientation="h",
        name="now",
        marker_color=theme.PRIMARY,
        error_x=theme.error_bars(rows["mean"], rows["low"], rows["high"]),
        customdata=[
            f"{theme.inert_label(row['feature'], 60)}"
            f"<br>mean |SHAP| {formatting.value_with_interval(row['mean'], row['low'], row['high'])}"
            f"<br>{formatting.format_share(row['share'])} of the attribution"
            for row in rows.to_dict("records")
        ],
        hovertemplate=layout.HOVER,
        width=0.62,
    )
    if against is not None:
        figure.add_scatter(
            x=rows["mean_before"],
            y=list(range(len(rows))),
            mode="markers",
            name=against,
            marker={"symbol": "diamond", "size": 8, "color": theme.WATCH, "line": {"width": 1, "color": theme.SURFACE}},
            customdata=[
                f"{theme.inert_label(row['feature'], 60)}, {against}<br>mean |SHAP| {formatting.format_number(row['mean_before'])}"
                f"<br>{formatting.format_share(row['share_before'])} of the attribution"
                for row in rows.to_dict("records")
            ],
            hovertemplate=layout.HOVER,
        )
    theme.themed(figure, height=max(150, 26 * len(rows) + 96), x=f"mean absolute attribution ({unit})", legend=against is not None)
    layout.name_rows(figure, list(rows["feature"]))
    layout.value_axis(figure, rangemode="tozero", tickformat=",.3~g")
    return figure


def attribution_beeswarm(frame: "DataFrame", *, features: list[str], unit: str) -> "Figure":
    """Beeswarm of attributions: a point for each prediction and feature, coloured by the value of the feature.

    frame: id, feature, attribution, value (text), rank (0 the lowest value of the feature to 1 the highest; NaN where values have no order
    or are missing). features: in order, the first on top.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    drawn = features[:MOST_ROWS]
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
            figure.add_scatter(
                x=part["attribution"],
                y=part["y"],
                mode="markers",
                showlegend=False,
                marker=_rank_markers(part["rank"] if ordered else None),
                customdata=_attribution_hover(part),
                hovertemplate="%{customdata[0]}<extra></extra>",
            )
    figure.add_vline(x=0, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    theme.themed(figure, height=max(180, 42 * len(drawn) + 80), x=f"attribution ({unit}): positive raises the score")
    layout.name_rows(figure, drawn[::-1])
    layout.value_axis(figure, tickformat=",.3~g")
    return figure


def _rank_markers(rank: Any) -> dict[str, Any]:
    """Points coloured by the rank of their value on cividis; grey where values have no order."""
    if rank is None:
        return {"size": 5, "color": theme.NEUTRAL, "opacity": 0.6}
    bar = {**theme.colorbar("value of the feature"), "tickvals": [0, 1], "ticktext": ["low", "high"]}
    return {
        "size": 5,
        "color": rank,
        "colorscale": theme.SEQUENTIAL,
        "cmin": 0,
        "cmax": 1,
        "colorbar": bar,
        "opacity": 0.9,
        "line": OUTLINE,
    }


def _attribution_hover(part: "DataFrame") -> list[list[str]]:
    """Hover text of each point (prediction, value, attribution), and the id of the prediction that a click opens."""
    return _attribution_hover_of(part.to_dict("records"))


def _attribution_hover_of(rows: Sequence[Mapping[Any, Any]]) -> list[list[str]]:
    """The same for plain rows."""
    return [
        [
            f"{theme.inert_label(row['id'], 40)}<br>{theme.inert_label(row['feature'], 40)} = {theme.inert_label(row['value'], 40)}"
            f"<br>attribution {formatting.format_number(row['attribution'])}<br>click: open its case",
            str(row["id"]),
        ]
        for row in rows
    ]


def swarm_offsets(values: NDArray[np.float64], bins: int = 60, width: float = 0.38) -> NDArray[np.float64]:
    """Offset of each point from its row, so that near values lie beside each other."""
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


def importance_over_time(frame: "DataFrame", *, features: list[str], step: str) -> "Figure":
    """Share of attribution of the first MOST_LINES features by day or week. frame: period, feature, share, low, high, n."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, name in enumerate(features[:MOST_LINES]):
        part = frame[frame["feature"] == name].sort_values("period")
        colour = theme.COLORWAY[place % len(theme.COLORWAY)]
        texts = [
            f"{theme.inert_label(name, 60)}: {formatting.value_with_interval(row['share'], row['low'], row['high'], 'share')}"
            f"<br>{row['n']:,} explained predictions"
            for row in part.to_dict("records")
        ]
        hover = ("week of " if step == WEEK else "") + "%{x|%a %e %b %Y}<br>%{customdata}"
        style: dict[str, Any] = {
            "name": theme.inert_label(name),
            "mode": "lines+markers",
            "marker": {"size": 4, "color": colour, "symbol": place},
        }
        layout.add_curve(figure, part["period"], part["share"], hover, color=colour, texts=texts, **style)
    theme.themed(figure, height=320, y="share of the attribution", legend=True)
    figure.update_yaxes(rangemode="tozero", tickformat=",.0%")
    return figure


def dependence_plot(frame: "DataFrame", *, feature: str, kind: str, unit: str, mark: Mapping[str, Any] | None = None) -> "Figure":
    """Attribution of a feature against its value: numbers on an axis, levels side by side, missing values apart on the left.

    frame: id, raw (number, or None or NaN where missing; text for levels, None), value (text), attribution, feature. mark: one prediction
    (id, raw, value, attribution) that is drawn as a diamond over the others.
    """
    import plotly.graph_objects as go

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
        names = list(part["raw"].value_counts().index[:MOST_LEVELS])
        part = part[part["raw"].isin(names)]
        places = {name: float(place) for place, name in enumerate(names)}
        part = part.sort_values(["raw", "id"], kind="stable")
        x = part["raw"].map(places) + part.groupby("raw")["attribution"].transform(
            lambda values: swarm_offsets(values.to_numpy(np.float64), 40, 0.36)
        )
        aside = -1.0
        ticks = [float(place) for place in range(len(names))], theme.inert_labels(names, 14)
    for points, at, colour, name in ((part, x, theme.PRIMARY, "value"), (frame[missing], None, theme.NEUTRAL, "missing")):
        if not len(points):
            continue
        where = np.full(len(points), aside) + swarm_offsets(points["attribution"].to_numpy(np.float64)) * 0.02 if at is None else at
        figure.add_scatter(
            x=where,
            y=points["attribution"],
            mode="markers",
            name=name,
            showlegend=False,
            marker={"size": 5, "color": colour, "opacity": 0.6},
            customdata=_attribution_hover(points),
            hovertemplate="%{customdata[0]}<extra></extra>",
        )
    if mark is not None:
        gone = mark["raw"] is None or mark["raw"] != mark["raw"]
        at_: Any = aside if gone else float(mark["raw"]) if kind == "number" else places.get(mark["value"])
        if at_ is not None:
            figure.add_scatter(
                x=[at_],
                y=[mark["attribution"]],
                mode="markers",
                name="this case",
                showlegend=False,
                marker={"symbol": "diamond", "size": 13, "color": theme.ACT, "line": {"width": 1.5, "color": theme.SURFACE}},
                customdata=_attribution_hover_of([{**mark, "feature": feature}]),
                hovertemplate="%{customdata[0]}<extra></extra>",
            )
    figure.add_hline(y=0, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    theme.themed(figure, height=340, x=theme.inert_label(feature, 60), y=f"attribution ({unit})")
    if ticks is not None:
        values, words = ([aside, *ticks[0]], ["missing", *ticks[1]]) if missing.any() else ticks
        figure.update_xaxes(tickmode="array", tickvals=values, ticktext=words)
    elif missing.any():
        figure.add_annotation(
            x=aside, y=1, yref="paper", yanchor="bottom", text="missing", showarrow=False, font={"size": 11, "color": theme.NEUTRAL}
        )
        figure.update_layout(margin={"t": 28})
    figure.update_yaxes(tickformat=",.3~g")
    return figure
