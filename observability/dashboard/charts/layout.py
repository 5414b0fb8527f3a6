"""Layout that several charts share: named rows, the value axis, limit lines."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.dashboard import theme

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from plotly.graph_objects import Figure

HOVER = "%{customdata}<extra></extra>"
"""Hover template of marks whose `customdata` is their text."""


def bottom_up(frame: "DataFrame", most: int) -> "DataFrame":
    """The first `most` rows in reverse order with a new index, so that the first one stands at the top of a horizontal chart."""
    return frame.head(most).iloc[::-1].reset_index(drop=True)


def name_rows(figure: "Figure", names: Sequence[object], *, selected: object = None, longest: int = 28) -> None:
    """Write a name beside each row of a horizontal chart, from the bottom up; the selected one is bold."""
    ticks = [f"<b>{label}</b>" if name == selected else label for name, label in zip(names, theme.inert_labels(names, longest))]
    set_row_ticks(figure, ticks)


def set_row_ticks(figure: "Figure", ticks: Sequence[str]) -> None:
    """Write finished texts beside the rows of a horizontal chart, from the bottom up."""
    rows = list(range(len(ticks)))
    figure.update_yaxes(tickmode="array", tickvals=rows, ticktext=list(ticks), showgrid=False, range=[-0.6, len(ticks) - 0.4])


def value_axis(figure: "Figure", **options: object) -> None:
    """Draw the grid of a horizontal chart's value axis; options are those of plotly's x axis."""
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, **options)


def legend_room(figure: "Figure") -> None:
    """Leave room for a legend of two lines above a chart."""
    figure.update_layout(margin={"t": 44})


def add_curve(
    figure: "Figure",
    x: object,
    y: object,
    hover: str,
    *,
    name: str | None = None,
    color: str = theme.PRIMARY,
    dash: str = "solid",
    width: float = 1.8,
    texts: object = None,
    **options: Any,
) -> None:
    """Add a line with gaps where values are missing.

    hover: template of its points, with `texts` as `customdata`; options: further ones of plotly.
    """
    line = {"color": color, "width": width, "dash": dash}
    template = f"{hover}<extra></extra>"
    options = {"mode": "lines", "connectgaps": False, **options}
    figure.add_scatter(x=x, y=y, name=name, line=line, customdata=texts, hovertemplate=template, **options)


def add_interval_dots(
    figure: "Figure",
    rows: "DataFrame",
    hover: Sequence[object],
    *,
    name: str | None = None,
    color: str | Sequence[str] = theme.PRIMARY,
    symbol: str = "circle",
    thickness: float = 1.6,
    columns: tuple[str, str, str] = ("value", "low", "high"),
) -> None:
    """Add a dot with its interval for each row, at the row's index. columns: of the value and its ends. hover: text of each dot."""
    value, low, high = (rows[column] for column in columns)
    bars = theme.error_bars(value, low, high, color=color if isinstance(color, str) else theme.NEUTRAL, thickness=thickness, width=4)
    marker = {"size": 10, "color": color, "symbol": symbol, "line": {"width": 1.6}}
    figure.add_scatter(
        x=value,
        y=rows.index,
        mode="markers",
        name=name,
        marker=marker,
        error_x=bars,
        customdata=hover,
        hovertemplate=HOVER,
        showlegend=bool(name),
    )


def add_diamonds(figure: "Figure", values: "Series[Any]", hover: Sequence[object], *, name: str) -> None:
    """Add a hollow grey diamond for what each row is compared with, at the row's index. hover: text of each diamond."""
    marker = {"symbol": "diamond-open", "size": 9, "color": theme.NEUTRAL, "line": {"width": 1.6}}
    figure.add_scatter(x=values, y=values.index, mode="markers", name=name, marker=marker, customdata=hover, hovertemplate=HOVER)


def item_share_texts(rows: "DataFrame", name: str) -> list[str]:
    """Hover texts of shares of items. rows: value, low, high, n, and the column `name`."""
    return [
        f"{theme.inert_label(row[name])}<br>{row['value']:.1%} ({row['low']:.1%} to {row['high']:.1%}) of {row['n']:,} items"
        for row in rows.to_dict("records")
    ]


def limit_line(figure: "Figure", limit: float, severity: str) -> None:
    """Draw the limit of findings as a vertical line in the colour of the severity that begins there, with its word and value above."""
    figure.add_vline(x=limit, line={"color": theme.TONES[severity], "width": 1.2, "dash": "dash"}, layer="below")
    figure.add_annotation(
        x=limit,
        y=1,
        yref="paper",
        yanchor="bottom",
        xanchor="right" if severity == "watch" else "left",
        text=f"{formatting.STATUS_WORDS[severity]} {limit:.2g}",
        showarrow=False,
        font={"size": 11},
    )
