"""How does a number stand in a sentence? With a real minus sign, the same in words, tables, drawings and files; numbers that a machine reads keep theirs."""

MINUS = "\u2212"
WHOLE = 1e15
"""From here on a number is written with an exponent."""


def figure(value: float, digits: int = 4, *, sign: bool = False) -> str:
    """A number of at most so many significant digits, its whole part in full: -0.15 is `−0.15`, 1234567 is `1,234,567`. sign: a plus stands before what
    is not below zero.
    """
    way = ",.0f" if 10**digits <= abs(value) < WHOLE else f".{digits}g"
    return f"{value:{'+' if sign else ''}{way}}".replace("-", MINUS)


def worded(value: object) -> str:
    """A value of a log as a person reads it: `-21` is `−21`; what is no number stays as it is."""
    text = str(value)
    try:
        float(text)
    except ValueError:
        return text
    return text.replace("-", MINUS)


def percent(share: float, digits: int = 3) -> str:
    """A share of at most so many significant digits: 0.414 is `41.4 %`."""
    return f"{figure(100 * share, digits)} %"


def hours_in_words(hours: float) -> str:
    """A time in the unit in which a person says it: 0.5 is `30 minutes`, 26.04 `26 hours`, 80 `3.3 days`."""
    for size, unit in ((72.0, "days"), (2.0, "hours")):
        if abs(hours) >= size:
            return f"{figure(hours / (24 if unit == 'days' else 1), 2 if unit == 'days' else 3)} {unit}"
    return f"{figure(round(60 * hours), 4)} minutes"


def with_prefix(value: float | None, unit: str) -> str:
    """A figure in a unit with the prefix that leaves it between 1 and 1,000: 0.0000541 Wh is 54.1 µWh."""
    if value is None or value != value:
        return "unknown"
    if value == 0:
        return f"0 {unit}"
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ")):
        if abs(value) >= size * 0.9995:
            return f"{digits(value / size)} {prefix}{unit}"
    return f"{digits(value / 1e-9)} n{unit}"


def digits(value: float) -> str:
    """Three significant digits without an exponent."""
    places = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:,.{places}f}"


def short_checksum(content: str) -> str:
    """A checksum as people compare it: its first eight digits."""
    kind, _, digits = content.rpartition(":")
    return f"{kind}:{digits[:8]}…" if kind and len(digits) > 12 else content if len(content) <= 20 else f"{content[:12]}…"
