"""What do attributions look like: which features drive the scores, in which direction, since when, and how does one feature's value matter?

Pure functions from frames to plotly figures. Points carry the id of their prediction in the hover text; missing values are grey.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core import formatting
from observability.dashboard import theme

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_BARS, MOST_ROWS, MOST_LINES, MOST_LEVELS = 15, 10, 6, 20
DAY, WEEK = "day", "week"
OUTLINE = {"width": 0.5, "color": theme.NEUTRAL}
"""Around points, so that those of the palest colour are seen on white."""


def bars(frame: "DataFrame", *, unit: str, against: str | None) -> "Figure":
    """Mean absolute attribution of each feature with its interval, and a diamond for what it was.

    frame: feature, mean, low, high, share, and where there is something to compare with mean_before, share_before; its first MOST_BARS rows are drawn.
    against: what the diamonds are ("reference"), None where there are none.
    """
    import plotly.graph_objects as go

    rows = frame.head(MOST_BARS).iloc[::-1].reset_index(drop=True)
    figure = go.Figure()
    figure.add_bar(
        y=list(range(len(rows))),
        x=rows["mean"],
        orientation="h",
        name="now",
        marker_color=theme.PRIMARY,
        error_x=theme.whiskers(rows["mean"], rows["low"], rows["high"]),
        customdata=[
            f"{theme.label(each['feature'], 60)}<br>mean |SHAP| {formatting.number(each['mean'])} ({formatting.number(each['low'])} to {formatting.number(each['high'])})"
            f"<br>{formatting.share(each['share'])} of the attribution"
            for each in rows.to_dict("records")
        ],
        hovertemplate="%{customdata}<extra></extra>",
        width=0.62,
    )  # fmt: skip
    if against is not None:
        figure.add_scatter(
            x=rows["mean_before"],
            y=list(range(len(rows))),
            mode="markers",
            name=against,
            marker={"symbol": "diamond", "size": 8, "color": theme.WATCH, "line": {"width": 1, "color": theme.SURFACE}},
            customdata=[
                f"{theme.label(each['feature'], 60)}, {against}<br>mean |SHAP| {formatting.number(each['mean_before'])}"
                f"<br>{formatting.share(each['share_before'])} of the attribution"
                for each in rows.to_dict("records")
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    theme.themed(figure, height=max(150, 26 * len(rows) + 96), x=f"mean absolute attribution ({unit})", legend=against is not None)
    name_rows(figure, [str(each) for each in rows["feature"]])
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, rangemode="tozero", tickformat=",.3~g")
    return figure


def name_rows(figure: "Figure", names: list[str]) -> None:
    """Names of the features beside their rows, from bottom to top."""
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(names))), ticktext=theme.labels(names), showgrid=False, range=[-0.6, len(names) - 0.4]
    )


def beeswarm(frame: "DataFrame", *, features: list[str], unit: str) -> "Figure":
    """A point for each prediction and feature: where its attribution is, coloured by the value of the feature.

    frame: id, feature, attribution, value (text), rank (0 the lowest value of the feature to 1 the highest; NaN where values have no order or are missing).
    features: in order, the first on top.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    drawn = features[:MOST_ROWS]
    places = {name: len(drawn) - 1 - place for place, name in enumerate(drawn)}
    rows = frame[frame["feature"].isin(drawn)]
    at = np.concatenate(
        [np.empty(0), *(spread(part["attribution"].to_numpy(np.float64)) for _, part in rows.groupby("feature", sort=False))]
    )
    order = [index for _, part in rows.groupby("feature", sort=False) for index in part.index]
    rows = rows.loc[order].assign(y=at)
    rows["y"] = rows["y"] + rows["feature"].map(places).to_numpy(np.float64)
    for ordered in (False, True):
        part = rows[rows["rank"].notna() == ordered]
        if len(part):
            figure.add_scatter(
                x=part["attribution"], y=part["y"], mode="markers", showlegend=False, marker=marks(part["rank"] if ordered else None),
                customdata=point_words(part), hovertemplate="%{customdata[0]}<extra></extra>",
            )  # fmt: skip
    figure.add_vline(x=0, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    theme.themed(figure, height=max(180, 42 * len(drawn) + 80), x=f"attribution ({unit}): left lowers the score, right raises it")
    name_rows(figure, drawn[::-1])
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, tickformat=",.3~g")
    return figure


def marks(rank: Any) -> dict[str, Any]:
    """Points coloured by the rank of their value on cividis; grey where values have no order."""
    if rank is None:
        return {"size": 5, "color": theme.NEUTRAL, "opacity": 0.6}
    bar = {
        "title": {"text": "value of the feature", "side": "right", "font": {"size": 11}}, "thickness": 8, "outlinewidth": 0, "tickvals": [0, 1],
        "ticktext": ["low", "high"], "tickfont": {"size": 11},
    }  # fmt: skip
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


def point_words(part: "DataFrame") -> list[list[str]]:
    """What a point says (the prediction, the value, the attribution), and the id of its prediction, whose case a click opens."""
    return point_words_of(part.to_dict("records"))


def point_words_of(rows: Sequence[Mapping[Any, Any]]) -> list[list[str]]:
    """The same of plain rows."""
    return [
        [
            f"{theme.label(each['id'], 40)}<br>{theme.label(each['feature'], 40)} = {theme.label(each['value'], 40)}"
            f"<br>attribution {formatting.number(each['attribution'])}<br>click: open its case",
            str(each["id"]),
        ]
        for each in rows
    ]


def spread(values: NDArray[np.float64], bins: int = 60, width: float = 0.38) -> NDArray[np.float64]:
    """How far each point is moved off its row, so that near values lie beside each other: the swarm is as wide as there are many."""
    if not values.size:
        return values
    low, high = float(values.min()), float(values.max())
    at = np.minimum(((values - low) / ((high - low) or 1.0) * bins).astype(int), bins - 1)
    offset = np.zeros(values.size)
    for each in np.unique(at):
        mine = np.flatnonzero(at == each)
        offset[mine] = (np.arange(mine.size) + 1) // 2 * np.where(np.arange(mine.size) % 2, 1, -1)
    most = np.abs(offset).max()
    return np.asarray(offset * (min(width / most, 0.05) if most else 0.0), np.float64)


def over_time(frame: "DataFrame", *, features: list[str], step: str) -> "Figure":
    """Share of attribution of the first MOST_LINES features by day or week. frame: period, feature, share, low, high, n."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, name in enumerate(features[:MOST_LINES]):
        part = frame[frame["feature"] == name].sort_values("period")
        colour = theme.COLORWAY[place % len(theme.COLORWAY)]
        figure.add_scatter(
            x=part["period"],
            y=part["share"],
            name=theme.label(name),
            mode="lines+markers",
            line={"color": colour, "width": 1.8},
            marker={"size": 4, "color": colour, "symbol": place},
            customdata=[
                f"{theme.label(name, 60)}: {formatting.share(each['share'])} ({formatting.share(each['low'])} to {formatting.share(each['high'])})"
                f"<br>{each['n']:,} explained predictions"
                for each in part.to_dict("records")
            ],
            hovertemplate=("week of " if step == WEEK else "") + "%{x|%a %e %b %Y}<br>%{customdata}<extra></extra>",
        )
    theme.themed(figure, height=320, y="share of the attribution", legend=True)
    figure.update_yaxes(rangemode="tozero", tickformat=",.0%")
    return figure


def dependence(frame: "DataFrame", *, feature: str, kind: str, unit: str, mark: Mapping[str, Any] | None = None) -> "Figure":
    """How a feature's attribution goes with its value: numbers on an axis, levels side by side, missing values apart on the left.

    frame: id, raw (number, or None or NaN where missing; text for levels, None), value (text), attribution, feature. mark: one prediction (id, raw,
    value, attribution) that is drawn as a diamond over the others.
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
        x = part["raw"].map(places) + part.groupby("raw")["attribution"].transform(lambda each: spread(each.to_numpy(np.float64), 40, 0.36))
        aside = -1.0
        ticks = [float(place) for place in range(len(names))], theme.labels(names, 14)
    for points, at, colour, name in ((part, x, theme.PRIMARY, "value"), (frame[missing], None, theme.NEUTRAL, "missing")):
        if not len(points):
            continue
        where = np.full(len(points), aside) + spread(points["attribution"].to_numpy(np.float64)) * 0.02 if at is None else at
        figure.add_scatter(
            x=where, y=points["attribution"], mode="markers", name=name, showlegend=False, marker={"size": 5, "color": colour, "opacity": 0.6},
            customdata=point_words(points), hovertemplate="%{customdata[0]}<extra></extra>",
        )  # fmt: skip
    if mark is not None:
        gone = mark["raw"] is None or mark["raw"] != mark["raw"]
        at_: Any = aside if gone else float(mark["raw"]) if kind == "number" else places.get(mark["value"])
        if at_ is not None:
            figure.add_scatter(
                x=[at_], y=[mark["attribution"]], mode="markers", name="this case", showlegend=False,
                marker={"symbol": "diamond", "size": 13, "color": theme.ACT, "line": {"width": 1.5, "color": theme.SURFACE}},
                customdata=point_words_of([{**mark, "feature": feature}]), hovertemplate="%{customdata[0]}<extra></extra>",
            )  # fmt: skip
    figure.add_hline(y=0, line={"color": theme.NEUTRAL, "width": 1}, layer="below")
    theme.themed(figure, height=340, x=theme.label(feature, 60), y=f"attribution ({unit})")
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
