"""Figures for a file that is read without the dashboard: the colours of the theme and plotly's own script are written into the file."""

import json
import re
import tomllib
from functools import cache
from typing import Any, Literal

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from observability.core.bundle import bundle_folder
from observability.dashboard import theme

CONFIG = {**theme.CONFIG, "responsive": True}
Scheme = Literal["light", "dark"]
SLOT = re.compile(r"#0000(\d\d)\b")


def standalone_json(figure: go.Figure, scheme: Scheme = "light") -> str:
    """A figure in the colours of a theme as JSON that can stand in an HTML file: data, layout and config."""
    body = json.loads(figure.to_json())
    ground, font = _theme_options(scheme)["backgroundColor"], {"color": _theme_options(scheme)["textColor"], "size": 12}
    layout = {**body.get("layout", {}), "paper_bgcolor": ground, "plot_bgcolor": ground, "font": font}
    layout.pop("template", None)
    text = json.dumps({"data": body.get("data", []), "layout": layout, "config": CONFIG})
    return SLOT.sub(lambda found: theme_colours(scheme).get(found[0], found[0]), text).replace("<", "\\u003c").replace("&", "\\u0026")


@cache
def _theme_options(scheme: Scheme) -> dict[str, Any]:
    """The options of a theme."""
    options: dict[str, Any] = tomllib.loads((bundle_folder() / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][scheme]
    return options


@cache
def theme_colours(scheme: Scheme) -> dict[str, str]:
    """The colour of each slot (dashboard/theme.py) in a theme."""
    config = _theme_options(scheme)
    colours = config["chartCategoricalColors"], config["chartSequentialColors"], config["chartDivergingColors"]
    return {f"#{first + place:06d}": colour for first, held in zip((1, 11, 21), colours, strict=True) for place, colour in enumerate(held)}


def plotly_script() -> str:
    """Return the script of plotly, which is written into the file so that the file makes no requests."""
    return str(get_plotlyjs())
