"""Figures over time: traffic with the expected traffic, a metric with its interval and limit, and the parts that such figures share."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.core.metric_definitions import LABEL_UNIT
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.metrics.measured_windows import MATURE

MAX_MARKS = 5
PLOTLY_BUTTONS = 26
"""Pixels above a low chart for plotly's buttons, which would otherwise cover its line."""
SO_FAR = " so far"
"""Words added to the name of a period that is not over."""
IMMATURE_SHADE: dict[str, Any] = {"fillcolor": theme.QUIET, "opacity": 0.35, "line_width": 0, "layer": "below"}


def axis_name(name: str, unit: str, of_label: str | None) -> str:
    """Return the title of a value axis: the metric, and its unit if the ticks do not show it. of_label: the unit of the model's label."""
    shown = of_label if unit == LABEL_UNIT else unit if unit in ("ms", "s", "h") else None
    return f"{name}, {theme.inert_label(shown, 20)}" if shown else name


def axis_format(unit: str) -> dict[str, Any]:
    """Return plotly's options for the numbers on an axis of a unit."""
    return {"tickformat": theme.PERCENT} if unit == "share" else theme.ROUNDED


def traffic_bars(frame: pd.DataFrame, marks: pd.DataFrame | None = None) -> go.Figure:
    """Draw the predictions by period as bars, and the expected number as a line with its usual range.

    frame: period, n, and if known expected, low, high (all counts per period). The bar of a period that is not over (`running`) is pale.
    """
    figure = go.Figure()
    known = "expected" in frame and bool(frame["expected"].notna().any())
    if known and "low" in frame:
        interval_band(figure, frame["period"], frame["low"], frame["high"], theme.NEUTRAL, "usual range")
    hover = "%{x|%a %-d %b %Y %H:%M}<br>%{y:,} predictions%{customdata}"
    running = frame["running"] if "running" in frame else pd.Series(False, index=frame.index)
    layout.add_bars(
        figure, frame["period"], frame["n"], [SO_FAR * each for each in running], hover=hover, name="predictions", color=theme.PRIMARY
    )
    figure.data[-1].update(marker_opacity=[0.4 if each else 0.85 for each in running])
    if known:
        expected: dict[str, Any] = {"name": "expected", "color": theme.STRONG, "width": 1.2, "dash": "dot"}
        layout.add_curve(figure, frame["period"], frame["expected"], "%{y:,.0f} expected", **expected)
    theme.themed(figure, height=260, y="predictions", legend=known, rangemode="tozero")
    figure.update_layout(bargap=0.08)
    return add_event_marks(figure, marks, frame["period"])


def metric_lines(
    series: pd.DataFrame,
    *,
    name: str,
    unit: str,
    limit: float | None = None,
    severity: str = "ok",
    baseline: float | None = None,
    baseline_name: str = "reference",
    marks: pd.DataFrame | None = None,
    height: int = 320,
    of_label: str | None = None,
) -> go.Figure:
    """Draw a metric by period: line, interval band, limit, baseline and marks of events. Periods whose labels are mostly missing are grey
    and dotted.

    baseline_name: the name of the baseline. severity: the severity of the finding whose limit is drawn (`limit_line`). of_label: the unit
    of the model's label. series: period, value, low, high, labelled, served (counts); if the metric was also estimated, estimated,
    estimated_low, estimated_high, which are drawn as a dashed line in another colour.
    """
    figure = go.Figure()
    mature = is_mature(series)
    shade_immature_periods(figure, series, mature)
    interval_band(figure, series["period"], series["low"], series["high"], theme.PRIMARY, "95 % interval")
    guessed = "estimated" in series and bool(series["estimated"].notna().any())
    if guessed:
        _add_estimate(figure, series, name=name, unit=unit)
    if not mature.all() and series["value"].notna().any():
        add_line(figure, series, name=f"{name}, labels still arriving", colour=theme.NEUTRAL, unit=unit, dash="dot")
    add_line(figure, series.assign(value=series["value"].where(mature)), name=name, colour=theme.PRIMARY, unit=unit)
    if baseline is not None:
        legend_line(figure, baseline, baseline_name)
    if limit is not None:
        legend_limit(figure, limit, severity)
    if not guessed:
        figure.update_traces(showlegend=False)
    legend = guessed or baseline is not None or limit is not None
    theme.themed(figure, height=height, y=axis_name(name, unit, of_label), legend=legend, **axis_format(unit))
    figure.update_yaxes(range=readable_range(series, mature, [level for level in (baseline, limit) if level is not None]))
    return add_event_marks(figure, marks, series["period"])


def readable_range(series: pd.DataFrame, mature: "pd.Series[Any]", levels: Sequence[float] = ()) -> tuple[float, float] | None:
    """Return the range of the value axis if the intervals of periods with few labels would flatten the other periods; the ends of these
    intervals are then cut off. None if all intervals fit. levels: limits and baselines that stay in sight.
    """
    firm = series[mature]
    parts = [
        series["value"],
        firm["low"],
        firm["high"],
        *([series["estimated"]] if "estimated" in series else []),
        pd.Series(levels, dtype=float),
    ]
    ends = pd.concat(parts).dropna()
    if firm["value"].isna().all():
        return None
    low, high = float(ends.min()), float(ends.max())
    room = (high - low) / 2 or abs(high) / 2 or 1.0
    if not (series["low"].min() < low - room or series["high"].max() > high + room):
        return None
    return (max(low - room, 0.0) if low >= 0 else low - room), high + room


def is_mature(series: pd.DataFrame) -> "pd.Series[Any]":
    """Return by period whether the share of labels that have arrived is at least MATURE. series: labelled, served."""
    return series["labelled"] >= MATURE * series["served"].clip(lower=1)


def _add_estimate(figure: go.Figure, series: pd.DataFrame, *, name: str, unit: str) -> None:
    """Add the estimated values as a dashed line with hollow marks."""
    known = series[["period"]].assign(value=series["estimated"], low=series["estimated_low"], high=series["estimated_high"])
    add_line(figure, known, name=f"{name}, estimated", colour=theme.PURPLE, unit=unit, dash="dash")
    figure.data[-1].update(marker={**line_markers(theme.PURPLE, len(series))["marker"], "size": 6, "symbol": "circle-open"})


def compact_line(
    series: pd.DataFrame,
    *,
    name: str,
    unit: str,
    y: str | None = None,
    limit: float | None = None,
    severity: str = "ok",
    marks: pd.DataFrame | None = None,
) -> go.Figure:
    """Draw a line chart of small height. The line to a last period that is not over (`running`) is dotted.

    series: period, value, and if known low and high. y: title of the value axis. severity: the severity of the finding whose limit is
    drawn.
    """
    figure = go.Figure()
    if "running" in series and len(series) > 1 and series["running"].iloc[-1]:
        add_line(figure, series.tail(2), name=f"{name}{SO_FAR}", colour=theme.PRIMARY, unit=unit, dash="dot")
        series = series.assign(value=series["value"].where(~series["running"].astype(bool)))
    if "low" in series:
        interval_band(figure, series["period"], series["low"], series["high"], theme.PRIMARY, "interval")
    add_line(figure, series, name=name, colour=theme.PRIMARY, unit=unit)
    if limit is not None:
        limit_line(figure, limit, severity)
    numbers, rangemode = {"share": ({"tickformat": ",.0%"}, "normal"), "predictions": ({"tickformat": "~s"}, "tozero")}.get(
        unit, (theme.ROUNDED, "normal")
    )
    theme.themed(figure, height=PLOTLY_BUTTONS + 120, y=y, **numbers, nticks=4, rangemode=rangemode)
    figure.update_layout(margin={"t": PLOTLY_BUTTONS})
    return add_event_marks(figure, marks, series["period"])


def add_line(figure: go.Figure, series: pd.DataFrame, *, name: str, colour: str, unit: str, dash: str = "solid") -> None:
    """Add the values of a series as a line, whose hover text gives the interval and the number of labels."""
    hover = [_hover_text(name, unit, row) for row in series.to_dict("records")]
    style = {"name": name, "color": colour, "dash": dash, "mode": "lines+markers", **line_markers(colour, len(series))}
    layout.add_curve(figure, series["period"], series["value"], layout.DAY_HOVER, texts=hover, **style)


def line_markers(colour: str, count: int) -> dict[str, Any]:
    """Return the markers on a line, which take clicks; they are visible if there are at most 62."""
    seen = {"marker": {"opacity": 1 if count <= 62 else 0}}
    return {"marker": {"size": 4, "color": colour, **seen["marker"]}, "selected": seen, "unselected": seen}


def _hover_text(name: str, unit: str, row: dict[Any, Any]) -> str:
    """The text of a point: its value, and its interval and number of labels if the series has them."""
    words = f"{theme.inert_label(name, 60)} {formatting.value_with_interval(row['value'], row.get('low'), row.get('high'), unit)}"
    if "labelled" in row:
        words += f"<br>{int(row['labelled']):,} of {int(row['served']):,} predictions labelled"
    return words


def interval_band(
    figure: go.Figure, x: "pd.Series[Any]", low: "pd.Series[Any]", high: "pd.Series[Any]", colour: str, name: str, **options: Any
) -> None:
    """Add a filled band between two series where both are known. Gaps have no band; a single point between two gaps has a stroke. options:
    further options of plotly.
    """
    x, low, high = (each.reset_index(drop=True) for each in (x, low, high))
    known = low.notna() & high.notna()
    runs = [run.index for _, run in x[known].groupby((known != known.shift()).cumsum()[known])]
    bands: dict[str, list[Any]] = {"x": [], "y": []}
    strokes: dict[str, list[Any]] = {"x": [], "y": []}
    for run in runs:
        ends = bands if len(run) > 1 else strokes
        ends["x"] += [*([None] if ends["x"] else []), *x[run], *x[run][::-1]]
        ends["y"] += [*([None] if ends["y"] else []), *high[run], *low[run][::-1]]
    if bands["x"]:
        style = {"fill": "toself", "fillcolor": colour, "opacity": 0.16, "mode": "none", "line": {"width": 0}, **options}
        figure.add_scatter(**bands, **style, name=name, hoverinfo="skip")
    if strokes["x"]:
        line = {"color": colour, "width": 4}
        figure.add_scatter(**strokes, mode="lines", line=line, opacity=0.3, name=name, hoverinfo="skip", showlegend=False)


def horizontal_line(figure: go.Figure, value: float, colour: str, name: str, dash: str) -> None:
    """Add a horizontal line with its name above the left end, because plotly's buttons cover the right end."""
    figure.add_hline(y=value, line={"color": colour, "width": 1.2, "dash": dash})
    layout.add_note(figure, name, color=colour, x=0, xref="paper", xanchor="left", y=value, yanchor="bottom")


def legend_line(figure: go.Figure, value: float, name: str, *, colour: str = theme.NEUTRAL, dash: str = "dot") -> None:
    """Add a horizontal line that the legend names, because bars, stems and curves would cross a name beside the line."""
    figure.add_hline(y=value, line={"color": colour, "width": 1.2, "dash": dash}, name=name, showlegend=True)


def limit_line(figure: go.Figure, limit: float, severity: str) -> None:
    """Add the limit of a finding, named after the severity that starts there: Critical for a critical finding, Warning for any other."""
    begins, name = limit_begins(severity)
    horizontal_line(figure, limit, theme.TONES[begins], name, "dash")


def legend_limit(figure: go.Figure, limit: float, severity: str) -> None:
    """Add the limit of a finding in the same way as `limit_line`, but with its name in the legend."""
    begins, name = limit_begins(severity)
    legend_line(figure, limit, name, colour=theme.TONES[begins], dash="dash")


def limit_begins(severity: str) -> tuple[str, str]:
    """Return the severity that starts at the limit of a finding (`act` for a finding of severity `act`, else `watch`), and the name of the
    limit.
    """
    begins = "act" if severity == "act" else "watch"
    return begins, f"{formatting.STATUS_WORDS[begins]} limit"


def shade_immature_periods(figure: go.Figure, series: pd.DataFrame, mature: "pd.Series[Any]") -> None:
    """Shade the periods whose labels are mostly missing."""
    if mature.all() or len(series) < 2:
        return
    half = (series["period"].iloc[1] - series["period"].iloc[0]) / 2
    first = last = None
    for period, settled in zip(series["period"], mature):
        if not settled:
            first, last = first or period, period
        elif first is not None:
            figure.add_vrect(x0=first - half, x1=last + half, **IMMATURE_SHADE)
            first = None
    if first is not None:
        figure.add_vrect(x0=first - half, x1=last + half, **IMMATURE_SHADE)


def add_event_marks(figure: go.Figure, marks: pd.DataFrame | None, periods: "pd.Series[Any]") -> go.Figure:
    """Add thin vertical lines for deploys and other events (at, what, text). At most five are drawn, deploys first; the hover text of the
    last one gives the number of the others.
    """
    period_axis(figure, periods)
    if marks is None or marks.empty or periods.empty:
        return figure
    inside = marks[(marks["at"] >= periods.min()) & (marks["at"] <= periods.max() + (periods.max() - periods.min()) / max(len(periods), 1))]
    if inside.empty:
        return figure
    drawn = inside.assign(later=inside["what"] != "deploy").sort_values(["later", "at"])
    shown, folded = drawn.head(MAX_MARKS).sort_values("at"), drawn.iloc[MAX_MARKS:]
    for at in shown["at"]:
        figure.add_vline(x=at, line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"})
    texts = [f"{theme.inert_label(what)}: {theme.inert_label(words, 80)}" for what, words in zip(shown["what"], shown["text"])]
    if len(folded):
        texts[-1] += f"<br>and {len(folded)} more events in this window"
    words = {"text": _mark_labels(shown, periods), "textposition": "bottom right", "textfont": {"size": 10, "color": theme.NEUTRAL}}
    marker = {"symbol": "triangle-down", "size": 9, "color": theme.NEUTRAL}
    style = {"mode": "markers+text", "marker": marker, "yaxis": "y2", "name": "events", "showlegend": False, "cliponaxis": False}
    hover = f"{layout.TIME_HOVER}<extra></extra>"
    figure.add_scatter(x=shown["at"], y=[1.0] * len(shown), customdata=texts, hovertemplate=hover, **words, **style)
    return figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})


def period_axis(figure: go.Figure, periods: "pd.Series[Any]") -> None:
    """Set the time axis. With a single period, the axis extends a day to either side and has one tick, and the bar is a day wide. Without
    periods, the axis has no ticks.
    """
    if periods.empty:
        figure.update_xaxes(showticklabels=False)
    elif periods.nunique() == 1:
        day = pd.Timedelta(days=1)
        only = periods.iloc[0]
        form = "%-d %b %Y" if only == only.normalize() else "%-d %b %Y %H:%M"
        figure.update_xaxes(range=[only - day, only + day], tickmode="array", tickvals=[only], tickformat=form)
        figure.update_traces(width=day / pd.Timedelta(milliseconds=1), selector={"type": "bar"})  # plotly draws a single bar as a hairline


def _mark_labels(shown: pd.DataFrame, periods: "pd.Series[Any]") -> list[str]:
    """The text beside each mark: the start of its label, or nothing if the next mark is too near."""
    room = (periods.max() - periods.min()) * 0.14
    following = shown["at"].shift(-1).fillna(periods.max() + room)
    return [theme.inert_label(words, 20) if after - at >= room else "" for words, at, after in zip(shown["text"], shown["at"], following)]
