"""Figures of calibration: reliability diagram, expected calibration error compared with sampling noise, and its course over time."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.time import add_event_marks, interval_band, is_mature, shade_immature_periods


def reliability_diagram(
    groups: pd.DataFrame, counts: pd.DataFrame, before: pd.DataFrame | None = None, *, score: str, truth: str
) -> go.Figure:
    """Reliability diagram: observed rates by mean score with 95 % intervals and the diagonal; below it, the number of rows by score.

    groups, before: score, rate, low, high, n. counts: low, high (ends of each step of the score), n. score, truth: names of the axes.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.05)
    above, below = {"row": 1, "col": 1}, {"row": 2, "col": 1}
    _add_diagonal(figure, [0, 1], "score = truth", **above)
    _add_sides(figure, groups, before, unit="share", **above)
    texts = [
        f"{row['low']:g} to {row['high']:g}<br>{formatting.format_count(row['n'])} labelled predictions"
        for row in counts.to_dict("records")
    ]
    style: dict[str, Any] = {"color": theme.PRIMARY, "marker_line_width": 0, "opacity": 0.75, "showlegend": False, **below}
    middles, widths = (counts["low"] + counts["high"]) / 2, counts["high"] - counts["low"]
    layout.add_bars(figure, middles, counts["n"], texts, width=widths, **style)
    theme.themed(figure, height=470, legend=True)
    figure.update_layout(bargap=0.02)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_xaxes(title=theme.axis_title(score), **below)
    figure.update_yaxes(title=theme.axis_title(truth), range=[-0.02, 1.02], tickformat=theme.PERCENT, **above)
    return figure.update_yaxes(title=theme.axis_title("rows"), rangemode="tozero", nticks=3, tickformat="~s", **below)


def regression_calibration_lines(groups: pd.DataFrame, before: pd.DataFrame | None = None) -> go.Figure:
    """Mean truth by mean prediction of a regression, for each tenth of the predictions, with 95 % intervals and the diagonal.

    groups, before: score, rate, low, high (in the label's unit), n.
    """
    figure = go.Figure()
    scores = [*groups["score"], *(before["score"] if before is not None else ())]
    if scores:
        _add_diagonal(figure, [min(scores), max(scores)], "prediction = truth")
    _add_sides(figure, groups, before, unit="")
    return theme.themed(figure, height=400, x="mean prediction of each tenth", y="mean truth", legend=True)


def _add_diagonal(figure: go.Figure, ends: list[float], name: str, **place: int) -> None:
    """Add the line on which score and truth are equal."""
    line = {"color": theme.NEUTRAL, "width": 1, "dash": "dash"}
    figure.add_scatter(x=ends, y=ends, mode="lines", name=name, line=line, hoverinfo="skip", **place)


def _add_sides(figure: go.Figure, groups: pd.DataFrame, before: pd.DataFrame | None, *, unit: str, **place: int) -> None:
    """Add the reference as a pale line and the current groups as dots with intervals. place: the position of the subplot."""
    if before is not None and len(before):
        pale: dict[str, Any] = {"name": "reference", "color": theme.NEUTRAL, "width": 2, "opacity": 0.55, **place}
        layout.add_curve(figure, before["score"], before["rate"], texts=_group_texts("reference", before, unit), **pale)
    if len(groups):
        bars = theme.error_bars(groups["rate"], groups["low"], groups["high"], color=theme.PRIMARY, thickness=1.4, width=4)
        dots: dict[str, Any] = {
            "name": "now",
            "mode": "lines+markers",
            "marker": {"size": 8, "color": theme.PRIMARY},
            "error_y": bars,
            **place,
        }
        layout.add_curve(figure, groups["score"], groups["rate"], texts=_group_texts("now", groups, unit), **dots)


def _group_texts(side: str, groups: pd.DataFrame, unit: str) -> list[str]:
    """Hover texts of groups; they begin with the side."""
    words = ("score", "observed") if unit == "share" else ("prediction", "truth")
    return [
        f"{side}: {words[0]} {formatting.format_value(row['score'], unit)}"
        f"<br>{words[1]} {formatting.value_with_interval(row['rate'], row['low'], row['high'], unit)}"
        f"<br>{formatting.format_count(row['n'])} labelled predictions"
        for row in groups.to_dict("records")
    ]


def ece_null_strip(sides: pd.DataFrame) -> go.Figure:
    """An expected calibration error as a dot with its interval, over the 95 % band of a perfectly calibrated model.

    sides: name, ece, low, high, null_mean, null_95, n; one row for now, one for the reference.
    """
    figure = go.Figure()
    rows = layout.bottom_up(sides, len(sides))
    for place, row in enumerate(rows.to_dict("records")):
        ends = {"y0": place - 0.32, "y1": place + 0.32}
        figure.add_shape(type="rect", x0=0, x1=row["null_95"], **ends, fillcolor=theme.OK, opacity=0.18, line_width=0, layer="below")
        figure.add_shape(type="line", x0=row["null_mean"], x1=row["null_mean"], **ends, line={"color": theme.OK, "width": 1.6})
    texts = [
        f"{row['name']}: {formatting.value_with_interval(row['ece'], row['low'], row['high'], 'share')}"
        f"<br>sampling noise: mean {formatting.format_share(row['null_mean'])}, 95 % point {formatting.format_share(row['null_95'])}"
        f"<br>{formatting.format_count(row['n'])} labelled predictions"
        for row in rows.to_dict("records")
    ]
    marker = {"size": 11, "color": [theme.PRIMARY if name == "now" else theme.NEUTRAL for name in rows["name"]]}
    bars = theme.error_bars(rows["ece"], rows["low"], rows["high"], thickness=1.2, width=4)
    layout.add_marks(figure, rows["ece"], rows.index, texts, marker=marker, error_x=bars, showlegend=False)
    theme.themed(figure, height=90 + 44 * max(len(rows), 1), x="ECE (green: sampling noise)")
    layout.set_row_ticks(figure, layout.row_names(list(rows["name"])))
    return figure.update_xaxes(tickformat=theme.PERCENT, rangemode="tozero")


def ece_trend(series: pd.DataFrame, marks: pd.DataFrame | None = None) -> go.Figure:
    """The expected calibration error by period, over the band of sampling noise; grey where most labels are still missing.

    series: period, ece, low, high, null_95, n, labelled, served.
    """
    figure = go.Figure()
    known: pd.Series[Any] = series["null_95"].where(series["ece"].notna())
    shade_immature_periods(figure, series, is_mature(series))
    interval_band(figure, series["period"], known * 0, known, theme.OK, "sampling noise")
    texts = [
        f"ECE {formatting.value_with_interval(row['ece'], row['low'], row['high'], 'share')}"
        f"<br>95 % point of sampling noise {formatting.format_share(row['null_95'])}"
        f"<br>{int(row['labelled']):,} of {int(row['served']):,} predictions labelled"
        for row in series.to_dict("records")
    ]
    dots: dict[str, Any] = {"name": "ECE", "mode": "lines+markers", "marker": {"size": 5, "color": theme.PRIMARY}}
    layout.add_curve(figure, series["period"], series["ece"], layout.DAY_HOVER, texts=texts, **dots)
    theme.themed(figure, height=270, y="ECE", legend=True, tickformat=theme.PERCENT, rangemode="tozero")
    return add_event_marks(figure, marks, series["period"])
