"""Figures for a file that is read without the dashboard: the theme's colours written into them, and plotly's own script."""

import json
import re
import tomllib
from functools import cache
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from observability.core.bundle import bundle_folder
from observability.dashboard import theme

CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": list(theme.CONFIG["modeBarButtonsToRemove"])}
SLOT = re.compile(r"#0000(\d\d)\b")


def standalone_json(figure: go.Figure) -> str:
    """A figure in the colours of the light theme as JSON that can stand in an HTML file: data, layout and config."""
    body = json.loads(figure.to_json())
    layout = {**body.get("layout", {}), "paper_bgcolor": "#FFFFFF", "plot_bgcolor": "#FFFFFF", "font": {"color": "#101922", "size": 12}}
    layout.pop("template", None)
    text = json.dumps({"data": body.get("data", []), "layout": layout, "config": CONFIG})
    return SLOT.sub(lambda found: light_colours().get(found[0], found[0]), text).replace("<", "\\u003c").replace("&", "\\u0026")


@cache
def light_colours() -> dict[str, str]:
    """The colour of each slot (dashboard/theme.py) in the light theme."""
    config: dict[str, Any] = tomllib.loads((bundle_folder() / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]["light"]
    colours = config["chartCategoricalColors"], config["chartSequentialColors"], config["chartDivergingColors"]
    return {f"#{first + place:06d}": colour for first, held in zip((1, 11, 21), colours, strict=True) for place, colour in enumerate(held)}


def plotly_script() -> str:
    """The script that draws figures, for a file that requests nothing."""
    return str(get_plotlyjs())
