"""Format numbers for people with a typographic minus sign. Numbers for machines keep the hyphen."""

import re

MINUS = "\u2212"
NEGATIVE = re.compile(r"(?:(?<=[\s(])|^)-(?=\.?\d)")
"""Matches the hyphen before a negative number."""
WHOLE = 1e15
"""From this size on, a number is written with an exponent."""


def format_figure(value: float, digits: int = 4, *, sign: bool = False) -> str:
    """A number with at most `digits` significant digits; the part before the decimal point is always written in full: -0.15 is `−0.15`,
    1234567 is `1,234,567`.

    sign: whether zero and positive numbers get a plus sign.
    """
    form = ",.0f" if 10**digits - 0.5 <= abs(value) < WHOLE else f".{digits}g"
    return f"{value + 0.0:{'+' if sign else ''}{form}}".replace("-", MINUS)  # a negative zero is zero


def change_in_words(change: float, unit: str, decimals: int = 0) -> str:
    """A change in percent or points with its sign: 4.1 is `+4 %`. A change below 1 has one decimal, such as `−0.4 %`; if that rounds to
    0.0, the text is `about the same`.
    """
    text = f"{change:+,.{decimals if abs(change) >= 0.95 else 1}f}".replace("-", MINUS)
    return f"{text} {unit}" if text.strip(f"+{MINUS}0.") else "about the same"


def score_beside_threshold(score: float, threshold: float, text: str) -> str:
    """A score with so many digits that the text is on the correct side of the threshold: 0.3488 with threshold 0.35 is `0.349`. text: the
    usual text of the score, which is returned if it is already on the correct side.
    """
    digits = len(text.partition(".")[2])
    while digits < 17 and _is_number(text) and (float(text) >= threshold) != (score >= threshold):
        digits += 1
        text = f"{score:.{digits}f}"
    return text


def _is_number(text: str) -> bool:
    """Whether a text is a plain number."""
    return text.replace(".", "", 1).isdecimal()


def logged_value_text(value: object) -> str:
    """A logged value for people: `-21` is `−21`; other text is unchanged."""
    text = str(value)
    try:
        float(text)
    except ValueError:
        return text
    return text.replace("-", MINUS)


def measured_value_text(value: object) -> str:
    """A logged value for people. Numbers have at most six significant digits: `12.3456789` is `12.3457`, `-21` is `−21`."""
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return text
    return format_figure(number, 6) if len(text.lstrip("-").replace(".", "")) > 6 and number == number else logged_value_text(text)


def with_minus_signs(sentence: str) -> str:
    """A sentence for people in which negative numbers have a real minus sign. Names in backticks, dates and ranges are not changed."""
    if "-" not in sentence:
        return sentence
    parts = sentence.split("`")
    return "`".join(part if place % 2 else NEGATIVE.sub(MINUS, part) for place, part in enumerate(parts))


def percent(share: float, digits: int = 3) -> str:
    """A share as a percentage of at most `digits` significant digits: 0.414 is `41.4 %`."""
    return f"{format_figure(100 * share, digits)} %"


def short_percent(share: float) -> str:
    """A share as a percentage with one decimal at most: 0.414 is `41.4 %`, 0.0001 is `under 0.1 %`, 0 is `0 %`."""
    if 0 < abs(share) < 0.0005:
        return "under 0.1 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def hours_in_words(hours: float) -> str:
    """Hours in the largest fitting unit: 0.5 is `30 minutes`, 1 `1 hour`, 26.04 `26 hours`, 80 `3.3 days`."""
    for size, unit in ((72.0, "days"), (2.0, "hours")):
        if abs(hours) >= size:
            return f"{format_figure(hours / (24 if unit == 'days' else 1), 2 if unit == 'days' else 3)} {unit}"
    minutes = round(60 * hours)
    return "1 hour" if minutes == 60 else f"{format_figure(minutes, 4)} minute{'' if minutes == 1 else 's'}"


def with_si_prefix(value: float | None, unit: str) -> str:
    """A figure with its unit and the SI prefix that gives a number between 1 and 1,000: 0.0000541 Wh is 54.1 µWh."""
    if value is None or value != value:
        return "unknown"
    if value == 0:
        return f"0 {unit}"
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ")):
        if abs(value) >= size * 0.9995:
            return f"{three_digits(value / size)} {prefix}{unit}"
    return f"{three_digits(value / 1e-9)} n{unit}"


def three_digits(value: float) -> str:
    """A number with three significant digits, without an exponent."""
    places = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:,.{places}f}"


def short_checksum(content: str) -> str:
    """A checksum, shortened to its first eight digits."""
    kind, _, digits = content.rpartition(":")
    return f"{kind}:{digits[:8]}…" if kind and len(digits) > 12 else content if len(content) <= 20 else f"{content[:12]}…"
