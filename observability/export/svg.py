"""Draws static SVG charts for printed reports. They need no scripts and are readable in black and white.

Every function returns safe markup: it escapes texts and formats numbers itself.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape

from markupsafe import Markup

from observability.core import formatting, numerals
from observability.incidents.daily_values import DailyLine

BLUE, ORANGE, GREY, LINE, INK = "#0072B2", "#D55E00", "#5A6672", "#C9D1D9", "#101922"
WIDTH, HEIGHT = 640, 150
"""Width and height of a chart of daily values, in pixels."""
MAX_DOTS = 60
"""A line with more points than this is drawn without dots."""
Point = tuple[str, float | None, float | None, float | None]
"""The day, the value, and the ends of its interval (low, high)."""


def line_drawing(
    points: Sequence[Point],
    *,
    label: str,
    limit: float | None = None,
    words: str = "",
    share: bool = False,
    dashed: Sequence[float | None] = (),
) -> Markup:
    """A chart of a value by day, with its interval band and limit. Unknown days are gaps. Empty with fewer than two known days.

    label: alternative text. words: title of the axis. share: whether values are formatted as percentages. dashed: estimates for the same
    days, drawn as a dashed line.
    """
    known = [(place, value) for place, (_, value, _, _) in enumerate(points) if value is not None]
    if len(known) < 2:
        return Markup("")
    drawn = [*(number for _, *numbers in points for number in numbers), limit, *dashed]
    bottom, top = axis_span(numbers := [number for number in drawn if number is not None])
    if share:  # no ticks below 0 % or above 100 % unless values lie there
        bottom, top = max(bottom, min(0.0, *numbers)), min(top, max(1.0, *numbers))
    left, right, floor, ceiling = 52.0, WIDTH - 8.0, HEIGHT - 22.0, 20.0 if words else 8.0

    def x(place: float) -> float:
        return left + (right - left) * place / max(len(points) - 1, 1)

    def y(value: float) -> float:
        return floor - (floor - ceiling) * (value - bottom) / (top - bottom)

    def level(value: float, stroke: str) -> str:
        return f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}" {stroke}/>'

    def text(at: float, height: float, words: str, anchor: str = "start") -> str:
        return f'<text x="{at:.1f}" y="{height:.1f}" text-anchor="{anchor}" font-size="10" fill="{GREY}">{escape(words)}</text>'

    parts = []
    for tick in (bottom, (bottom + top) / 2, top):
        number = f"{axis_number(100 * tick)} %" if share else axis_number(tick)
        parts += [level(tick, f'stroke="{LINE}" stroke-width="0.7"'), text(left - 6, y(tick) + 3.5, number, "end")]
    for run in unbroken_runs(points):
        band = [f"{x(place):.1f},{y(low if low is not None else value):.1f}" for place, value, low, _ in run]
        band += [f"{x(place):.1f},{y(high if high is not None else value):.1f}" for place, value, _, high in reversed(run)]
        parts.append(f'<polygon points="{" ".join(band)}" fill="{BLUE}" fill-opacity="0.15"/>')
        path = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value, _, _ in run)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="1.8"/>')
        if len(points) <= MAX_DOTS:
            parts += [f'<circle cx="{x(place):.1f}" cy="{y(value):.1f}" r="2.2" fill="{BLUE}"/>' for place, value, _, _ in run]
    for run in unbroken_runs([("", value, None, None) for value in dashed]):
        path = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value, _, _ in run)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="1.4" stroke-dasharray="2 3"/>')
    if limit is not None:
        parts.append(level(limit, f'stroke="{ORANGE}" stroke-width="1.2" stroke-dasharray="5 3"'))
    parts += [text(x(place), HEIGHT - 6, period_name(points[place][0]), "end" if place else "start") for place in (0, len(points) - 1)]
    if words:
        parts.append(text(left, 10, words))
    return svg_drawing(parts, WIDTH, HEIGHT, label)


def daily_line_drawing(line: DailyLine) -> Markup:
    """A chart of a metric by day. Empty with fewer than two known days."""
    return line_drawing(line.points, label=line.label, limit=line.limit, words=line.title, share=line.share)


def waterfall_drawing(base: float, bars: Sequence[tuple[str, float]], output: float, *, label: str, width: int = 680) -> Markup:
    """A waterfall from a base value to an output, one bar per feature. Positive bars are pale orange with an edge, negative bars are solid
    blue.
    """
    ends = [base]
    for _, value in bars:
        ends.append(ends[-1] + value)
    bottom, top = axis_span([*ends, output])
    left, right, step = 270.0, width - 70.0, 24

    def x(value: float) -> float:
        return left + (right - left) * (value - bottom) / (top - bottom)

    def row(place: int, name: str, drawn: str, value: str, at: float) -> str:
        y = 8 + step * place
        return (
            f'<text x="{left - 10:.1f}" y="{y + 14}" text-anchor="end" font-size="11" fill="{INK}">'
            f"{escape(formatting.truncate(name, 42))}</text>{drawn}"
            f'<text x="{at + 6:.1f}" y="{y + 14}" font-size="11" fill="{INK}">{escape(value)}</text>'
        )

    def total(place: int, name: str, value: float) -> str:
        y = 8 + step * place + 10
        return row(place, name, f'<path d="M{x(value):.1f} {y - 6}l6 6l-6 6l-6 -6z" fill="{INK}"/>', axis_number(value), x(value) + 4)

    parts = [total(0, "base value", base)]
    for place, (name, value) in enumerate(bars, 1):
        low, high = sorted((ends[place - 1], ends[place]))
        y, colour = 8 + step * place + 2, ORANGE if value > 0 else BLUE
        fill = f'fill="{colour}" fill-opacity="0.35" stroke="{colour}"' if value > 0 else f'fill="{colour}"'
        drawn = f'<rect x="{x(low):.1f}" y="{y}" width="{max(x(high) - x(low), 1):.1f}" height="16" {fill}/>'
        parts.append(row(place, name, drawn, numerals.format_figure(value, 3, sign=True), x(high)))
    parts.append(total(len(bars) + 1, "this case", output))
    return svg_drawing(parts, width, 16 + step * (len(bars) + 2), label)


def svg_drawing(parts: Sequence[str], width: int, height: int, label: str) -> Markup:
    """The parts as one SVG element with an alternative text, which shrinks with the page."""
    return Markup(  # noqa: S704 - every text in parts was escaped above
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}" style="max-width:100%">{"".join(parts)}</svg>'
    )


def unbroken_runs(points: Sequence[Point]) -> list[list[tuple[int, float, float | None, float | None]]]:
    """Sequences of consecutive known days. Each day is (index, value, low, high)."""
    runs: list[list[tuple[int, float, float | None, float | None]]] = [[]]
    for place, (_, value, low, high) in enumerate(points):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((place, value, low, high))
    return [run for run in runs if run]


def axis_span(values: Sequence[float]) -> tuple[float, float]:
    """The range of an axis: the values with a margin of 8 % on each side. It is never empty."""
    least, most = min(values), max(values)
    pad = 0.08 * (most - least) or abs(most) * 0.1 or 1.0
    return least - pad, most + pad


def period_name(period: str) -> str:
    """A period as a label of an axis: a day as 24 Jun 2013, any other period unchanged."""
    try:
        return formatting.format_day(datetime.fromisoformat(period))
    except ValueError:
        return period


def axis_number(value: float) -> str:
    """A number with three significant digits."""
    return numerals.format_figure(value, 3)


def paired_bars(bars: Sequence[tuple[str, float, float]], *, label: str, names: tuple[str, str], width: int = 640) -> Markup:
    """A chart with two bars for each name, one above the other, and the shares written beside them. bars: (name, first share, second
    share); at least one.
    """
    step, left, right = 30, 170.0, width - 60.0
    most = max((max(one, other) for _, one, other in bars), default=0.0) or 1.0
    parts = [
        f'<rect x="{left + 90 * place:.0f}" y="2" width="10" height="10" fill="{colour}"/>'
        f'<text x="{left + 14 + 90 * place:.0f}" y="11" font-size="11" fill="{INK}">{escape(name)}</text>'
        for place, (name, colour) in enumerate(zip(names, (GREY, BLUE), strict=True))
    ]
    for place, (name, *shares) in enumerate(bars):
        top = 20 + step * place
        shown = name if len(name) <= 26 else f"{name[:25]}…"
        parts.append(f'<text x="{left - 8:.0f}" y="{top + 16}" text-anchor="end" font-size="11" fill="{INK}">{escape(shown)}</text>')
        for row, (share, colour) in enumerate(zip(shares, (GREY, BLUE), strict=True)):
            long, height = (right - left) * share / most, top + 1 + 12 * row
            parts.append(f'<rect x="{left:.0f}" y="{height}" width="{long:.1f}" height="11" fill="{colour}"/>')
            parts.append(f'<text x="{left + long + 5:.1f}" y="{height + 9}" font-size="10" fill="{GREY}">{100 * share:.3g} %</text>')
    return svg_drawing(parts, width, 24 + step * len(bars), label)
