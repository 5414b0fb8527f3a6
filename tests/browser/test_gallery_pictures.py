"""Each kind of figure that several pages share looks like its saved picture, in the light and in the dark theme.

Plotly's own script draws the figures in the browser, without the dashboard, in one page per theme. Texts are left out and margins fixed, so
that the fonts of a machine do not matter (tests/dashboard/test_gallery.py reads labels). Pictures are halved in size and blurred before
they are compared, so that the smoothing of edges matters little. After an intended change, run `KEEP_PICTURES=1 pytest
tests/browser/test_gallery_pictures.py`.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import Browser

from observability.dashboard import theme
from observability.dashboard.charts import gallery
from observability.dashboard.charts.standalone import Scheme, plotly_script, standalone_json

pytestmark = pytest.mark.browser
KEPT = Path(__file__).parent / "pictures"
WIDTH, HEIGHT, ACROSS = 240, 150, 5
MAXIMUM = 0.25
"""Largest allowed mean difference between two pictures of a figure, on a scale of 255 levels."""
PAGE = """<body style="margin:0"><script>{script}</script><script>
window.draw = async (figures) => {{
  document.querySelectorAll('.figure').forEach((each) => each.remove())
  await Promise.all(figures.map((figure, place) => {{
    const host = document.createElement('div')
    host.className = 'figure'
    host.style = `position:absolute;left:${{place % {across} * {width}}}px;top:${{Math.floor(place / {across}) * {height}}}px`
    document.body.append(host)
    return Plotly.newPlot(host, figure.data, figure.layout, {{staticPlot: true}})
  }}))
}}</script></body>"""


def without_texts(figure: go.Figure, scheme: Scheme) -> dict:
    """A figure with the size of the saved pictures in the colours of a theme, without any text and with fixed margins."""
    body = json.loads(standalone_json(figure, scheme))
    layout = body["layout"] | {
        "width": WIDTH,
        "height": HEIGHT,
        "margin": dict.fromkeys("lrtb", 10),
        "showlegend": False,
        "annotations": [],
    }
    for name in [name for name in layout if name.startswith(("xaxis", "yaxis", "coloraxis"))]:
        layout[name] = layout[name] | {"automargin": False, "showticklabels": False, "title": {"text": ""}, "showscale": False}
    for trace in body["data"]:
        trace.pop("text", None)
        trace.pop("texttemplate", None)
        for coloured in (trace, trace.get("marker", {})):
            coloured |= {"showscale": False} if "colorbar" in coloured else {}
        if "mode" in trace:
            trace["mode"] = "+".join(part for part in trace["mode"].split("+") if part != "text") or "none"
    return {"data": body["data"], "layout": layout}


@pytest.fixture(scope="module")
def draw(chromium: Browser):
    """A function that draws figures in a theme, all in one page, and returns their pictures."""
    page = chromium.contexts[0].new_page()
    page.set_viewport_size({"width": ACROSS * WIDTH, "height": -(-len(gallery.SHARED_FIGURES) // ACROSS) * HEIGHT})
    page.set_content(PAGE.format(script=plotly_script(), width=WIDTH, height=HEIGHT, across=ACROSS))

    def drawn(figures: list[go.Figure], scheme: Scheme) -> list[Image.Image]:
        page.evaluate("(figures) => window.draw(figures)", [without_texts(figure, scheme) for figure in figures])
        whole = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        corners = [(place % ACROSS * WIDTH, place // ACROSS * HEIGHT) for place in range(len(figures))]
        return [whole.crop((left, top, left + WIDTH, top + HEIGHT)) for left, top in corners]

    yield drawn
    page.close()


def picture_difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two halved and blurred pictures, on the scale of 255 levels."""
    small = [np.asarray(each.resize((WIDTH // 2, HEIGHT // 2)).filter(ImageFilter.GaussianBlur(1)), float) for each in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())


def kept_path(name: str, scheme: str) -> Path:
    return KEPT / f"{name.lower().replace(',', '').replace(' ', '-')}-{scheme}.png"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_kind_of_figure_matches_its_stored_picture(draw: Callable, scheme: Scheme) -> None:
    drawn = dict(zip(gallery.SHARED_FIGURES, draw([make("usual") for make in gallery.SHARED_FIGURES.values()], scheme), strict=True))
    if os.environ.get("KEEP_PICTURES"):
        KEPT.mkdir(exist_ok=True)
        for name, picture in drawn.items():
            picture.quantize(64).save(kept_path(name, scheme), optimize=True)
    paths = {name: kept_path(name, scheme) for name in drawn}
    assert sorted(path.name for path in paths.values()) == sorted(path.name for path in KEPT.glob(f"*-{scheme}.png"))
    assert all(path.stat().st_size < 10_000 for path in paths.values())
    differences = {name: picture_difference(drawn[name], Image.open(path).convert("RGB")) for name, path in paths.items()}
    assert {name: value for name, value in differences.items() if value > MAXIMUM} == {}, differences


def other_bar(figure: go.Figure) -> None:
    """Give one bar the colour of another severity."""
    (bars,) = [trace for trace in figure.data if trace.type == "bar"][:1]
    bars.marker.color = [theme.ACT, *([theme.WATCH] * (len(bars.x if bars.orientation != "h" else bars.y) - 1))]


def no_limit(figure: go.Figure) -> None:
    """Remove the line of the limit from the figure."""
    assert figure.layout.shapes
    figure.layout.shapes = ()


@pytest.mark.parametrize(("name", "change"), [("Ranked drift", other_bar), ("Metric over time", no_limit), ("Compact line", no_limit)])
def test_the_picture_comparison_detects_a_planted_change(draw: Callable, name: str, change: Callable[[go.Figure], None]) -> None:
    figure = gallery.SHARED_FIGURES[name]("usual")
    change(figure)
    (drawn,) = draw([figure], "light")
    assert picture_difference(drawn, Image.open(kept_path(name, "light")).convert("RGB")) > 2 * MAXIMUM
