"""Which colour does a chart use for what, in the light and the dark theme?

Streamlit swaps placeholder colours in a figure for the theme's own when it draws it (`chartCategoricalColors` in .streamlit/config.toml), so a
figure need not know the theme and follows a change of it at once. A page may only use the names below.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from observability.core.formatting import unturned

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PRIMARY, ACT, OK, WATCH, PURPLE, SKY, NEUTRAL, QUIET, SURFACE, STRONG = (f"#{n:06d}" for n in range(1, 11))
"""The ten slots: data, needs a person, fine, watch, a fifth hue, a sixth; grey text and marks, grey lines and areas, the page, its text."""
COLORWAY = (PRIMARY, WATCH, OK, PURPLE, SKY, ACT, NEUTRAL)
SEQUENTIAL = tuple((step / 9, f"#{11 + step:06d}") for step in range(10))
DIVERGING = tuple((step / 9, f"#{21 + step:06d}") for step in range(10))
TONES = {"ok": OK, "watch": WATCH, "act": ACT, "unknown": NEUTRAL}
LONG_TITLE = 34
"""Signs of an axis' title that a phone shows on one line."""
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}
"""How plotly's own buttons behave: a picture of the chart, zoom and back, nothing else."""


def themed(figure: "Figure", *, height: int = 280, x: str | None = None, y: str | None = None, legend: bool = False) -> "Figure":
    """The figure with the house's colorway, margins, grid and titles of the axes; changed in place and returned."""
    quiet = {"color": NEUTRAL, "size": 11}
    figure.update_layout(
        colorway=COLORWAY,
        height=height,
        margin={"l": 8, "r": 12, "t": 28 if legend else 12, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "title": None, "font": {"size": 12}},
        hovermode="closest",
        hoverlabel={"align": "left", "namelength": -1},
        dragmode="zoom",
        bargap=0.25,
    )
    if x:
        figure.update_xaxes(title={"text": two_lines(x), "standoff": 8, "font": quiet})
    if y:
        figure.update_yaxes(title={"text": y, "standoff": 8, "font": quiet})
    figure.update_xaxes(tickfont=quiet, showgrid=False, zeroline=False, automargin=True, linecolor=QUIET)
    figure.update_yaxes(tickfont=quiet, gridcolor=QUIET, gridwidth=0.5, zeroline=False, automargin=True, rangemode="normal")
    return figure


def two_lines(title: str) -> str:
    """The title of an axis; a long one is broken at the blank nearest to its middle, since a phone cuts off what does not fit beside it."""
    blanks = [place for place, sign in enumerate(title) if sign == " "]
    if len(title) <= LONG_TITLE or not blanks:
        return title
    middle = min(blanks, key=lambda place: abs(place - len(title) / 2))
    return f"{title[:middle]}<br>{title[middle + 1 :]}"


def labels(values: Sequence[object], longest: int = 28) -> list[str]:
    """Names for an axis or a hover text, inert: plotly reads a few HTML tags and entities, so those signs are replaced; long ones are cut."""
    return [label(each, longest) for each in values]


def label(value: object, longest: int = 28) -> str:
    """One name for an axis or a hover text (see `labels`)."""
    text = unturned(value)
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def whiskers(value: Any, low: Any, high: Any, *, color: str = NEUTRAL, thickness: float = 1, width: int = 2) -> dict[str, Any]:
    """Error bars from low to high around a value; none where one of them is not known."""
    ends = {"array": (high - value).fillna(0), "arrayminus": (value - low).fillna(0)}
    return {"type": "data", "symmetric": False, **ends, "color": color, "thickness": thickness, "width": width}
