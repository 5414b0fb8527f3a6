"""Colours, layout and labels of charts in the light and the dark theme.

Figures use placeholder colours. When Streamlit draws a figure, it replaces them by the colours of the theme (`chartCategoricalColors` in
.streamlit/config.toml), so a figure does not depend on the theme. After a change of the theme the figure is drawn again
(`mark_color_scheme`). A page may only use the names below.
"""

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from observability.core.formatting import escape_direction_marks

PRIMARY, ACT, OK, WATCH, PURPLE, SKY, NEUTRAL, QUIET, SURFACE, STRONG = (f"#{n:06d}" for n in range(1, 11))
"""The ten placeholder colours: for data, critical, OK, warning, a fifth and a sixth hue, grey for text and marks, grey for lines and areas,
the background of the page, the text of the page.
"""
SERIES = (PRIMARY, PURPLE, SKY, NEUTRAL, STRONG)
"""Colours for lines that do not stand for a severity, in the order of use."""
SEQUENTIAL = tuple((step / 9, f"#{11 + step:06d}") for step in range(10))
DIVERGING = tuple((step / 9, f"#{21 + step:06d}") for step in range(10))
TONES = {"ok": OK, "watch": WATCH, "act": ACT, "unknown": NEUTRAL}
LONG_TITLE = 34
"""Maximum number of characters of an axis title that a phone shows on one line."""
LINE = 26
"""Approximate number of characters per line of an axis title that is broken into lines."""
AROUND, CHARACTER = 60, 6
"""Approximate number of pixels of a chart outside its vertical axis, and pixels per character of the title of that axis."""
BESIDE_TICKS = 14
"""Pixels between the title of a vertical axis and its ticks. Plotly places the title by the ticks of the first drawing; the final ticks can
be up to 9 pixels wider.
"""
PERCENT = ",.3~%"
"""Format of shares on an axis: 2.5% for a tick between 2% and 3%, but 2% without decimals."""
ROUNDED: dict[str, Any] = {"tickformat": None, "separatethousands": True, "exponentformat": "power", "minexponent": 5}
"""Options of an axis that may cross zero. Plotly then rounds ticks to their distance. A format of significant digits does not: it writes a
tick at zero as −8.88e−17.
"""
DATES: dict[str, Any] = {"locale": "en-GB", "locales": {"en-GB": {"format": {"dayMonth": "%-d %b", "dayMonthYear": "%-d %b %Y"}}}}
"""Plotly options that write days on axes as sentences do: 24 Jun 2013."""
CONFIG: dict[str, Any] = {
    **DATES,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}
"""Plotly configuration. Of Plotly's buttons only these remain: picture of the chart, zoom and reset."""
AREA_CONFIG: dict[str, Any] = {
    **CONFIG,
    "modeBarButtonsToRemove": [name for name in CONFIG["modeBarButtonsToRemove"] if name not in ("select2d", "lasso2d")],
}
"""Like CONFIG, with the additional buttons Lasso and Box Select, which choose points."""


def themed(
    figure: go.Figure, *, height: int = 280, x: str | None = None, y: str | None = None, legend: bool = False, **y_axis: object
) -> go.Figure:
    """Set the colours, margins, grid, axis titles and options of the y axis of a figure. The figure is changed in place and returned."""
    quiet = {"color": NEUTRAL, "size": 11}
    across: dict[str, object] = {"tickfont": quiet, "showgrid": False, "zeroline": False, "automargin": True, "linecolor": QUIET}
    up: dict[str, object] = {"tickfont": quiet, "gridcolor": QUIET, "gridwidth": 0.5, "zeroline": False, "automargin": True}
    across |= {"title": axis_title(break_title(x))} if x else {}
    up |= ({"title": axis_title(break_title(y, max((height - AROUND) // CHARACTER, LINE))) | {"standoff": BESIDE_TICKS}} if y else {}) | {
        "rangemode": "normal",
        **y_axis,
    }
    axes = {axis.plotly_name: across for axis in figure.select_xaxes()} | {axis.plotly_name: up for axis in figure.select_yaxes()}
    options = {
        "colorway": SERIES,
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 28 if legend else 12, "b": 8},
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "namelength": -1},
        "dragmode": "zoom",
        "bargap": 0.25,
        **axes,
    }
    for name, value in options.items():  # set part by part, because `update_layout` takes ten times as long
        figure.layout[name] = _merged(figure.layout[name].to_plotly_json(), value) if isinstance(value, dict) else value
    return figure


def _merged(held: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a figure's layout, with these options merged into it."""
    parts = {name: _merged(held[name], value) for name, value in options.items() if isinstance(value, dict) and name in held}
    return {**held, **options, **parts}


def break_title(title: str, longest: int = LONG_TITLE) -> str:
    """The title of an axis. A long title is broken into lines of about the same length."""
    if len(title) <= longest:
        return title
    lines = math.ceil(len(title) / LINE)
    tried = (
        textwrap.wrap(title, width, break_long_words=False, break_on_hyphens=False) for width in range(len(title) // lines, len(title))
    )
    return "<br>".join(next(parts for parts in tried if len(parts) <= lines))


def inert_labels(values: Sequence[object], longest: int = 28) -> list[str]:
    """Names for an axis or a hover text. Plotly interprets a few HTML tags and entities, so their characters are escaped; long names are
    cut.
    """
    return [inert_label(value, longest) for value in values]


def inert_label(value: object, longest: int = 28) -> str:
    """One name for an axis or a hover text (see `inert_labels`)."""
    text = escape_direction_marks(value)
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def label_of_two_lines(value: object, line: int) -> str:
    """A name for an axis, short enough to leave room for the figure on a phone. A long name takes two lines; it is broken at the blank, `_`
    or `/` nearest to its middle. A line that is much longer is cut.
    """
    text = escape_direction_marks(value)
    ends = [found.end() for found in re.finditer("[ _/]", text[:-1])]
    if len(text) <= line or not ends:
        return inert_label(text, line + 12)
    middle = min(ends, key=lambda end: max(end, len(text) - end))
    return "<br>".join(inert_label(part.strip(), line + 6) for part in (text[:middle], text[middle:]))


def colorbar(title: str) -> dict[str, Any]:
    """A narrow colour bar with its title at the right."""
    small = {"size": 11}
    return {"title": {"text": title, "side": "right", "font": small}, "thickness": 8, "outlinewidth": 0, "tickfont": small}


def axis_title(text: str) -> dict[str, Any]:
    """The quiet title of an axis."""
    return {"text": text, "standoff": 8, "font": {"color": NEUTRAL, "size": 11}}


def error_bars(value: Any, low: Any, high: Any, *, color: str = NEUTRAL, thickness: float = 1, width: int = 2) -> dict[str, Any]:
    """Error bars from low to high around a value; no bar where an end is unknown."""
    ends = {"array": (high - value).fillna(0), "arrayminus": (value - low).fillna(0)}
    return {"type": "data", "symmetric": False, **ends, "color": color, "thickness": thickness, "width": width}


def mark_color_scheme(figure: go.Figure) -> None:
    """Store the browser's colour scheme in a figure. This changes the figure, so Streamlit draws it again in the other colours."""
    import streamlit as st

    figure.update_layout(meta={"color_scheme": st.context.theme.type})


def mark_date_drag(figure: go.Figure) -> None:
    """Mark a figure, after `mark_color_scheme`, so that dragging along its time axis chooses dates. dashboard/assets/figures.js reads the
    mark.
    """
    figure.layout.meta = {**(figure.layout.meta or {}), "drag": "dates"}
