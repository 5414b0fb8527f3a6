"""Draws a static chart as PNG, for programs that show no SVG, such as most e-mail programs.

The charts of `svg.py` consist of lines, polygons, circles and texts. The same elements are drawn here, so that the picture equals the chart
in a printed report.
"""

import io
import itertools
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from observability.export.svg import HEIGHT, WIDTH, daily_line_drawing
from observability.incidents.daily_values import DailyLine

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

SCALE, SMOOTH = 2, 2
"""Pixels of the picture per pixel of the chart; factor by which lines are drawn finer before the picture is reduced."""
Place = tuple[float, float]


def daily_line_png(line: DailyLine) -> bytes:
    """The chart of a metric by day on a white background. Empty with fewer than two known days."""
    from PIL import Image, ImageDraw

    markup = daily_line_drawing(line)
    if not markup:
        return b""
    parts = list(ET.fromstring(str(markup)))  # noqa: S314 - written by svg.py a line above
    size, fine = (WIDTH * SCALE, HEIGHT * SCALE), SCALE * SMOOTH
    shapes = Image.new("RGB", (size[0] * SMOOTH, size[1] * SMOOTH), "white")
    pen = ImageDraw.Draw(shapes, "RGBA")
    for part in parts:
        kind, colour = part.tag.rpartition("}")[2], part.get("fill") or "none"
        if kind == "polygon":
            pen.polygon(_places(part, fine), fill=_colour(colour, float(part.get("fill-opacity") or 1)))
        elif kind == "circle":
            x, y, radius = (fine * float(part.get(name) or 0) for name in ("cx", "cy", "r"))
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_colour(colour))
        elif kind in ("line", "polyline"):
            width = max(round(fine * float(part.get("stroke-width") or 1)), 1)
            dash = [fine * float(length) for length in (part.get("stroke-dasharray") or "").split()]
            for stretch in _stretches(_places(part, fine), dash):
                pen.line(stretch, fill=_colour(part.get("stroke") or "none"), width=width, joint="curve")
    picture = shapes.resize(size, Image.Resampling.LANCZOS)
    writer = ImageDraw.Draw(picture)
    for part in parts:
        if part.tag.endswith("text"):
            anchor = {"end": "rs", "middle": "ms"}.get(part.get("text-anchor") or "", "ls")
            at = (SCALE * float(part.get("x") or 0), SCALE * float(part.get("y") or 0))
            font = _font(SCALE * int(part.get("font-size") or 10))
            writer.text(at, part.text or "", fill=part.get("fill"), font=font, anchor=anchor)
    out = io.BytesIO()
    picture.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def _places(part: ET.Element, scale: float) -> list[Place]:
    """The points of a line, polyline or polygon."""
    if part.get("points") is None:
        return [(scale * float(part.get(f"x{end}") or 0), scale * float(part.get(f"y{end}") or 0)) for end in (1, 2)]
    pairs = (pair.split(",") for pair in (part.get("points") or "").split())
    return [(scale * float(x), scale * float(y)) for x, y in pairs]


def _stretches(places: list[Place], dash: list[float]) -> list[list[Place]]:
    """The parts of a line that are drawn: the whole line if it has no dashes, else every second part."""
    if not dash:
        return [places]
    found: list[list[Place]] = []
    left, drawn, turn = dash[0], True, 0
    for (x, y), (to_x, to_y) in itertools.pairwise(places):
        length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
        done = 0.0
        while done < length:
            step = min(left, length - done)
            ends = [(x + (to_x - x) * at / length, y + (to_y - y) * at / length) for at in (done, done + step)]
            found += [ends] if drawn else []
            done, left = done + step, left - step
            if left <= 0:
                turn, drawn = turn + 1, not drawn
                left = dash[turn % len(dash)]
    return found


def _colour(written: str, opacity: float = 1.0) -> tuple[int, int, int, int]:
    """The red, green, blue and opacity of a colour written as `#RRGGBB`."""
    red, green, blue = (int(written[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue, round(255 * opacity)


@cache
def _font(size: int) -> "FreeTypeFont | ImageFont":
    """The font DejaVu Sans, which comes with matplotlib and has most alphabets. Without it, Pillow's own font."""
    from PIL import ImageFont

    found = find_spec("matplotlib")
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf" if found and found.origin else None
    return ImageFont.truetype(str(path), size) if path and path.exists() else ImageFont.load_default(size)
