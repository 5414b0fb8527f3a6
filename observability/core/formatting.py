"""How are numbers, times and names written for a person?

Names and values come from other people's logs, so whatever goes into Markdown goes through `plain`.
"""

import math
import re
from datetime import UTC, datetime, timedelta

from observability.core import numerals
from observability.core.metric_definitions import METRICS
from observability.core.numerals import with_prefix

DASH = "–"
MINUS = numerals.MINUS
STATUS_WORDS = {"ok": "Fine", "watch": "Watch", "act": "Act", "unknown": "Unknown"}
STATUS_ICONS = {"ok": ":material/check_circle:", "watch": ":material/warning:", "act": ":material/error:", "unknown": ":material/help:"}
STATUS_COLOURS = {"ok": "green", "watch": "orange", "act": "red", "unknown": "gray"}
ADDRESS = re.compile(r"(https?:(?=//))|(www(?=\.))|(@)", re.IGNORECASE)
TURNING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""Embeddings, overrides and isolates of direction (Unicode bidirectional algorithm); no language needs them to be read."""
MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=])")


def unturned(text: object) -> str:
    """The text with the signs written out that turn the direction of all that follows: a name from a log turns no word behind it around."""
    return TURNING.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def cut(text: str, longest: int = 80) -> str:
    """The text, its end left out where it is longer."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def plain(text: object) -> str:
    """The text with every sign that Markdown or Streamlit's extensions could read escaped, on one line."""
    return inert(" ".join(str(text).split()))


def inert(text: str) -> str:
    """`plain` that keeps blanks. Addresses are broken by an invisible word joiner, because escaping does not keep Markdown from linking them."""
    return MARKUP.sub(r"\\\1", ADDRESS.sub(lambda found: f"{found[1] or found[2] or ''}\u2060{found[3] or ''}", unturned(text)))


def sentence(text: str) -> str:
    """A finding's sentence as Markdown: names that it puts between backticks stay code, all else is inert."""
    parts = unturned(text).replace("\n", " ").split("`")
    return "".join(f"`{part}`" if index % 2 and part else inert(part) for index, part in enumerate(parts))


def stopped(text: str) -> str:
    """A sentence with its full stop."""
    return text if text.endswith((".", "!", "?")) or not text else f"{text}."


def status(severity: str, word: str | None = None) -> str:
    """Icon and word of a severity, as Streamlit Markdown; never colour alone."""
    return f":{STATUS_COLOURS[severity]}[{STATUS_ICONS[severity]} {plain(word or STATUS_WORDS[severity])}]"


def count(value: float) -> str:
    """A whole number with thin groups: 1,204."""
    return f"{round(value):,}"


def short(value: float) -> str:
    """A count in few signs: 950, 12.4k, 3.1M."""
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}".removesuffix(".0") + suffix
    return f"{value:,.0f}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with about `digits` significant digits and a real minus sign; a dash where it is unknown."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return "< 0.0001" if value > 0 else f"> {MINUS}0.0001"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{abs(value):,.0f}" if places == 0 else f"{abs(value):,.{min(places, 6)}f}"
    return (MINUS if value < 0 else "") + text


def share(value: float | None) -> str:
    """A share as a percentage with a real minus sign: 0.0123 is 1.2 %."""
    if value is None or not math.isfinite(value):
        return DASH
    percent = 100 * value
    if 0 < abs(percent) < 0.05:
        return "< 0.1 %" if percent > 0 else f"> {MINUS}0.1 %"
    return (f"{percent:.1f}" if abs(percent) < 99.95 or percent != round(percent) else f"{percent:.0f}").removesuffix(".0").replace(
        "-", MINUS
    ) + " %"


def amount(value: float | None, unit: str) -> str:
    """A value in the unit of its metric: shares as percentages, hours as h, the rest as numbers."""
    if unit == "share":
        return share(value)
    if unit in ("Wh", "gCO₂e"):
        return DASH if value is None else with_prefix(value, unit)
    text = number(value)
    return f"{text} h" if unit == "h" and text != DASH else text


def file_part(name: str, fallback: str) -> str:
    """A name as part of a file's name: no sign in it that a system could take for something else."""
    signs = "".join(each if each.isascii() and each.isalnum() else "-" for each in name)[:60].strip("-")
    return signs or fallback


def metric_title(name: str) -> str:
    """The title of a metric; an unknown name stays as it is."""
    known = METRICS.get(name)
    return known.title if known else name.replace("_", " ")


def day(instant: datetime) -> str:
    """12 Jul 2013."""
    return f"{instant.day} {instant:%b %Y}"


def minute(instant: datetime) -> str:
    """12 Jul 2013 14:05."""
    return f"{instant.day} {instant:%b %Y %H:%M}"


def span(start: datetime, end: datetime) -> str:
    """A half-open window as a person says it: 1 to 7 Jul 2013 (whole days are named by their last day)."""
    midnight = all(each.hour == each.minute == each.second == 0 for each in (start, end))
    if not midnight:
        first = f"{start.day} {start:%b %H:%M}" if start.year == end.year else minute(start)
        return f"{first} to {minute(end)}"
    last = end - timedelta(days=1)
    if last <= start:
        return day(start)
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day} to {day(last)}"
    if start.year == last.year:
        return f"{start.day} {start:%b} to {day(last)}"
    return f"{day(start)} to {day(last)}"


def ago(instant: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that says enough."""
    if instant is None:
        return "never"
    seconds = (now - instant.replace(tzinfo=instant.tzinfo or UTC)).total_seconds()
    if seconds < 0:
        return f"{minute(instant)} (ahead of this clock)"
    for size, unit in ((730 * 86400, "year"), (60 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            n = int(seconds // {"year": 365.25 * 86400, "month": 30.44 * 86400}.get(unit, size))
            return f"{n:,} {unit}{'s' if n != 1 else ''} ago"
    return "just now"


def plural(n: int, one: str, many: str | None = None) -> str:
    """`1 model`, `3 models`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def size(octets: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    return ""


def condition(text: str | None) -> str:
    """A slice as a person reads it: `carrier=AA&origin=EWR` is carrier = AA and origin = EWR."""
    from observability.core.window import Slice

    parsed = Slice.parse(text)
    return " and ".join(f"{name} = {value}" for name, value in parsed.conditions) if parsed else "all rows"
