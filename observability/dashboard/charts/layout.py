"""Parts of the layout that several charts share: named rows, the value axis, limit lines."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme

DAY_HOVER, TIME_HOVER = "%{x|%a %-d %b %Y}<br>%{customdata}", "%{x|%a %-d %b %Y %H:%M}<br>%{customdata}"
"""Hover templates of marks at a day or a time; `customdata` holds the rest of their text."""
FEW_DAYS = 60
"""Maximum number of days for which a heat map has gaps between days. With more days, a day can be narrower than two pixels on a phone."""


def bottom_up(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the first `most` rows in reverse order with a new index, so that the first row is at the top of a horizontal chart."""
    return frame.head(most).iloc[::-1].reset_index(drop=True)


def gap_between_days(days: int) -> int:
    """Return the pixels between the days of a heat map. It is 0 for many days, which would vanish between their gaps on a phone."""
    return 1 if days <= FEW_DAYS else 0


def row_names(names: Sequence[object], *, selected: object = None, longest: int = 28, line: int | None = None) -> list[str]:
    """Return the names beside the rows of a horizontal chart, with the selected one in bold. line: the number of characters above which a
    name takes two lines.
    """
    labels = [theme.label_of_two_lines(name, line) for name in names] if line else theme.inert_labels(names, longest)
    return [f"<b>{label}</b>" if name == selected else label for name, label in zip(names, labels)]


def set_row_ticks(figure: go.Figure, ticks: Sequence[str]) -> None:
    """Write texts that are ready to be shown beside the rows of a horizontal chart, from the bottom up."""
    rows = list(range(len(ticks)))
    figure.update_yaxes(tickmode="array", tickvals=rows, ticktext=list(ticks), showgrid=False, range=[-0.6, len(ticks) - 0.4])


def row_chart(
    figure: go.Figure, ticks: Sequence[str], x: str, *, height: int, legend: bool = False, top: int | None = None, **axis: object
) -> go.Figure:
    """Set the layout of a horizontal chart, and return it.

    ticks: texts beside the rows, from the bottom up. x: title of the value axis. axis: options of plotly for this axis. top: the margin
    above, such as for a legend of two lines.
    """
    theme.themed(figure, height=height, x=x, legend=legend)
    set_row_ticks(figure, ticks)
    if top is not None:
        figure.update_layout(margin={"t": top})
    return value_axis(figure, **axis)


def value_axis(figure: go.Figure, **options: object) -> go.Figure:
    """Draw the grid of the value axis of a horizontal chart, and return the figure. options: those of plotly's x axis."""
    return figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, **options)


def add_curve(
    figure: go.Figure,
    x: object,
    y: object,
    hover: str = "%{customdata}",
    *,
    name: str | None = None,
    color: str = theme.PRIMARY,
    dash: str = "solid",
    width: float = 1.8,
    texts: object = None,
    **options: Any,
) -> None:
    """Add a line that has gaps where values are missing.

    hover: the template of the line's points, with `texts` as `customdata`. options: further options of plotly.
    """
    line = {"color": color, "width": width, "dash": dash}
    template = f"{hover}<extra></extra>"
    options = {"mode": "lines", "connectgaps": False, **options}
    figure.add_scatter(x=x, y=y, name=name, line=line, customdata=texts, hovertemplate=template, **options)


def add_marks(
    figure: go.Figure,
    x: object,
    y: object,
    texts: object = None,
    *,
    name: str | None = None,
    hover: str | None = "%{customdata}",
    marker: dict[str, Any],
    **options: Any,
) -> None:
    """Add a mark for each value. texts: the `customdata` of the marks, which the template `hover` shows. options: further options of
    plotly.
    """
    template = f"{hover}<extra></extra>" if hover else None
    figure.add_scatter(x=x, y=y, mode="markers", name=name, marker=marker, customdata=texts, hovertemplate=template, **options)


def add_bars(
    figure: go.Figure, x: object, y: object, texts: object = None, *, color: object, hover: str = "%{customdata}", **options: Any
) -> None:
    """Add a bar for each value. texts: the `customdata` of the bars, which the template `hover` shows. options: further options of
    plotly.
    """
    figure.add_bar(x=x, y=y, customdata=texts, marker_color=color, hovertemplate=f"{hover}<extra></extra>", **options)


def add_row_bars(figure: go.Figure, values: "pd.Series[Any]", texts: object, **options: Any) -> None:
    """Add a horizontal bar for each value, at the value's index; a click on one bar does not fade the others. options: those of
    `add_bars`.
    """
    kept = {"marker": {"opacity": 1}}
    add_bars(figure, values, values.index, texts, orientation="h", width=0.62, unselected=kept, **options)


def add_click_squares(figure: go.Figure, x: object, y: object, texts: object, *, size: int, hover: str = "%{customdata}") -> None:
    """Add transparent squares over the cells of a heatmap. They carry hover texts and take clicks, because a heatmap takes none."""
    clear = {"marker": {"opacity": 0}}
    marker = {"symbol": "square", "size": size}
    checked = np.array(texts, dtype=object)  # plotly checks each value of a list
    add_marks(figure, x, y, checked, hover=hover, marker=marker, opacity=0, showlegend=False, selected=clear, unselected=clear)


def add_interval_dots(
    figure: go.Figure,
    rows: pd.DataFrame,
    hover: Sequence[object],
    *,
    name: str | None = None,
    color: str | Sequence[str] = theme.PRIMARY,
    symbol: str = "circle",
    thickness: float = 1.6,
    columns: tuple[str, str, str] = ("value", "low", "high"),
) -> None:
    """Add a dot with its interval for each row, at the row's index. columns: the columns of the value and of the ends of its interval.
    hover: the text of each dot.
    """
    value, low, high = (rows[column] for column in columns)
    bars = theme.error_bars(value, low, high, color=color if isinstance(color, str) else theme.NEUTRAL, thickness=thickness, width=4)
    marker = {"size": 10, "color": color, "symbol": symbol, "line": {"width": 1.6}}
    add_marks(figure, value, rows.index, hover, name=name, marker=marker, error_x=bars, showlegend=bool(name))


def add_diamonds(figure: go.Figure, values: "pd.Series[Any]", hover: Sequence[object], *, name: str) -> None:
    """Add a hollow grey diamond at the row's index for the value that each row is compared with. hover: the text of each diamond."""
    marker = {"symbol": "diamond-open", "size": 9, "color": theme.NEUTRAL, "line": {"width": 1.6}}
    add_marks(figure, values, values.index, hover, name=name, marker=marker)


def add_note(figure: go.Figure, text: str, *, color: str | None = None, **place: object) -> None:
    """Add a small text without an arrow. place: options of plotly's annotations."""
    figure.add_annotation(text=text, showarrow=False, font={"size": 11, "color": color}, **place)


def add_names(
    figure: go.Figure,
    names: Sequence[object],
    x: Sequence[float],
    y: Sequence[float],
    *,
    log: bool = False,
    axis: tuple[float, float] | None = None,
    line: float = 0.08,
) -> None:
    """Write the name beside each mark, on the side towards the middle of the axis. The name stands above the mark if a line of text fits
    there, or if there is at least as much room above as below. Otherwise it stands below.

    log: whether the horizontal axis is logarithmic. axis: its ends, by default those of the marks. line: height of a line of text as a
    share of the marks' range.
    """
    at = [math.log10(value) for value in x] if log else list(x)
    if not at:
        return
    ends = [math.log10(end) for end in axis] if axis and log else list(axis or (min(at), max(at)))
    middle, line = sum(ends) / 2, line * ((max(y) - min(y)) or 1.0)
    taken: list[float] = []
    for name, across, up in sorted(zip(names, at, y, strict=True), key=lambda mark: -mark[2]):
        above, below = up + 0.8 * line, up - 0.8 * line
        room = {place: min((abs(place - other) for other in taken), default=line) for place in (above, below)}
        over = room[above] >= min(line, room[below])
        taken.append(above if over else below)
        side: dict[str, object] = {"xanchor": "left", "xshift": 7} if across <= middle else {"xanchor": "right", "xshift": -7}
        side |= {"yanchor": "bottom", "yshift": 4} if over else {"yanchor": "top", "yshift": -4}
        add_note(figure, theme.inert_label(name, 28), color=theme.STRONG, x=across, y=up, **side)


def item_share_texts(rows: pd.DataFrame, name: str) -> list[str]:
    """Hover texts of shares of items. rows: value, low, high, n, and the column `name`."""
    return [
        f"{theme.inert_label(row[name])}<br>{row['value']:.1%} ({row['low']:.1%} to {row['high']:.1%}) of {row['n']:,} items"
        for row in rows.to_dict("records")
    ]


def limit_line(figure: go.Figure, limit: float, severity: str) -> None:
    """Draw the limit of findings as a vertical line in the colour of the severity that begins there. The word of the severity and the value
    stand above.
    """
    figure.add_vline(x=limit, line={"color": theme.TONES[severity], "width": 1.2, "dash": "dash"}, layer="below")
    words, side = f"{formatting.STATUS_WORDS[severity]} {limit:.2g}", "right" if severity == "watch" else "left"
    add_note(figure, words, x=limit, y=1, yref="paper", yanchor="bottom", xanchor=side)
