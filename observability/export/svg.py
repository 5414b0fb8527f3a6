"""Which static charts does a printed report show? Small SVG drawings without scripts, whose colours and dashes survive a black-and-white printer.

Every function gives markup that is safe to stand in a page: texts are escaped here, numbers are formatted here, nothing else comes in.
"""

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from observability.core import numerals

BLUE, ORANGE, GREY, LINE, INK = "#0072B2", "#D55E00", "#5A6672", "#C9D1D9", "#101922"
Point = tuple[str, float | None, float | None, float | None]
"""Day, value, low, high."""


def line(
    points: Sequence[Point],
    *,
    label: str,
    limit: float | None = None,
    width: int = 640,
    height: int = 150,
    words: str = "",
    share: bool = False,
    dashed: Sequence[float | None] = (),
) -> Markup:
    """A value by day with its interval band and its limit. label: what it says, for those who cannot see it; words: unit on the axis; share: values are
    shares, written as percent as everywhere else; dashed: an estimate of the same days, a dashed line that nobody takes for the measured one.

    Days whose value is unknown are gaps. Fewer than two known days give no drawing, but an empty text.
    """
    known = [(place, value) for place, (_, value, _, _) in enumerate(points) if value is not None]
    if len(known) < 2:
        return Markup("")
    reach = [each for _, value, low, high in points for each in (value, low, high) if each is not None]
    bottom, top = span([*reach, *([limit] if limit is not None else []), *(each for each in dashed if each is not None)])
    left, right, floor, ceiling = 52.0, width - 8.0, height - 22.0, 20.0 if words else 8.0

    def x(place: float) -> float:
        return left + (right - left) * place / max(len(points) - 1, 1)

    def y(value: float) -> float:
        return floor - (floor - ceiling) * (value - bottom) / (top - bottom)

    parts = [
        f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y(each):.1f}" y2="{y(each):.1f}" stroke="{LINE}" stroke-width="0.7"/>'
        f'<text x="{left - 6:.1f}" y="{y(each) + 3.5:.1f}" text-anchor="end" font-size="10" fill="{GREY}">{f"{100 * each:.3g} %" if share else figure(each)}</text>'
        for each in (bottom, (bottom + top) / 2, top)
    ]
    for run in runs(points):
        band = [f"{x(place):.1f},{y(low if low is not None else value):.1f}" for place, value, low, _ in run]
        band += [f"{x(place):.1f},{y(high if high is not None else value):.1f}" for place, value, _, high in reversed(run)]
        parts.append(f'<polygon points="{" ".join(band)}" fill="{BLUE}" fill-opacity="0.15"/>')
        path = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value, _, _ in run)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="1.8"/>')
        parts += [f'<circle cx="{x(place):.1f}" cy="{y(value):.1f}" r="2.2" fill="{BLUE}"/>' for place, value, _, _ in run]
    for run in runs([("", each, None, None) for each in dashed]):
        path = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value, _, _ in run)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="1.4" stroke-dasharray="2 3"/>')
    if limit is not None:
        parts.append(
            f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y(limit):.1f}" y2="{y(limit):.1f}" stroke="{ORANGE}" stroke-width="1.2" stroke-dasharray="5 3"/>'
        )
    for place in {0, len(points) - 1}:
        anchor = "start" if place == 0 else "end"
        parts.append(
            f'<text x="{x(place):.1f}" y="{height - 6}" text-anchor="{anchor}" font-size="10" fill="{GREY}">{escape(points[place][0])}</text>'
        )
    if words:
        parts.append(f'<text x="{left:.1f}" y="10" font-size="10" fill="{GREY}">{escape(words)}</text>')
    return drawing(parts, width, height, label)


def interval(
    value: float, low: float, high: float, *, label: str, least: float, most: float, zero: bool = True, width: int = 220
) -> Markup:
    """One value with its interval on a scale from least to most, and a mark at zero."""
    height, floor = 22, 11.0
    bottom, top = span([least, most, low, high, *([0.0] if zero else [])])

    def x(each: float) -> float:
        return 4 + (width - 8) * (each - bottom) / (top - bottom)

    parts = [f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{floor}" y2="{floor}" stroke="{BLUE}" stroke-width="2"/>']
    parts.append(f'<circle cx="{x(value):.1f}" cy="{floor}" r="3.6" fill="{BLUE}"/>')
    if zero:
        parts.insert(0, f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="2" y2="{height - 2}" stroke="{GREY}" stroke-width="1"/>')
    return drawing(parts, width, height, label)


def waterfall(base: float, bars: Sequence[tuple[str, float]], output: float, *, label: str, width: int = 680) -> Markup:
    """From a base value to an output, one bar a feature, from top to bottom: what raises is pale orange with an edge, what lowers is filled blue."""
    ends = [base]
    for _, value in bars:
        ends.append(ends[-1] + value)
    bottom, top = span([*ends, output])
    left, right, step = 270.0, width - 70.0, 24

    def x(value: float) -> float:
        return left + (right - left) * (value - bottom) / (top - bottom)

    def row(place: int, name: str, drawn: str, said: str, at: float) -> str:
        y = 8 + step * place
        return (
            f'<text x="{left - 10:.1f}" y="{y + 14}" text-anchor="end" font-size="11" fill="{INK}">{escape(cut(name))}</text>{drawn}'
            f'<text x="{at + 6:.1f}" y="{y + 14}" font-size="11" fill="{INK}">{escape(said)}</text>'
        )

    def total(place: int, name: str, value: float) -> str:
        y = 8 + step * place + 10
        return row(place, name, f'<path d="M{x(value):.1f} {y - 6}l6 6l-6 6l-6 -6z" fill="{INK}"/>', figure(value), x(value) + 4)

    parts = [total(0, "base value", base)]
    for place, (name, value) in enumerate(bars, 1):
        low, high = sorted((ends[place - 1], ends[place]))
        y, colour = 8 + step * place + 2, ORANGE if value > 0 else BLUE
        fill = f'fill="{colour}" fill-opacity="0.35" stroke="{colour}"' if value > 0 else f'fill="{colour}"'
        drawn = f'<rect x="{x(low):.1f}" y="{y}" width="{max(x(high) - x(low), 1):.1f}" height="16" {fill}/>'
        parts.append(row(place, name, drawn, numerals.figure(value, 3, sign=True), x(high)))
    parts.append(total(len(bars) + 1, "this case", output))
    return drawing(parts, width, 16 + step * (len(bars) + 2), label)


def cut(name: str, longest: int = 42) -> str:
    """A name that fits beside its bar."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def drawing(parts: Sequence[str], width: int, height: int, label: str) -> Markup:
    """The parts as one drawing that says what it shows and shrinks with the page."""
    return Markup(  # noqa: S704 - every text in parts was escaped above
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}" style="max-width:100%">{"".join(parts)}</svg>'
    )


def runs(points: Sequence[Point]) -> list[list[tuple[int, float, float | None, float | None]]]:
    """Unbroken runs of known days."""
    found: list[list[tuple[int, float, float | None, float | None]]] = [[]]
    for place, (_, value, low, high) in enumerate(points):
        if value is None:
            found.append([])
        else:
            found[-1].append((place, value, low, high))
    return [run for run in found if run]


def span(values: Sequence[float]) -> tuple[float, float]:
    """From a little below the smallest to a little above the largest; never empty."""
    least, most = min(values), max(values)
    pad = 0.08 * (most - least) or abs(most) * 0.1 or 1.0
    return least - pad, most + pad


def figure(value: float) -> str:
    """A number on an axis."""
    return numerals.figure(value, 3)
