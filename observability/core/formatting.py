"""Format numbers, times and names for people.

Names and values come from external logs, so all text for Markdown is escaped (`escape_markdown`).
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from observability.core import numerals
from observability.core.metric_definitions import LABEL_UNIT, METRICS
from observability.core.numerals import with_si_prefix

DASH = "–"
MINUS = numerals.MINUS
STATUS_WORDS = {"ok": "OK", "watch": "Warning", "act": "Critical", "unknown": "Unknown"}
NEWS_WORDS = {"new": "new", "worse": "worse than before", "ongoing": "ongoing", "improving": "improving", "recovered": "recovered"}
"""Words for the values of a finding's `news`."""
STATUS_ICONS = {"ok": ":material/check_circle:", "watch": ":material/warning:", "act": ":material/error:", "unknown": ":material/help:"}
STATUS_COLOURS = {"ok": "green", "watch": "orange", "act": "red", "unknown": "gray"}
ADDRESS = re.compile(r"(https?:(?=//))|(www(?=\.))|(@)", re.IGNORECASE)
DIRECTION_MARKS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""Unicode characters that embed, override or isolate text direction (bidirectional algorithm); ordinary text does not need them."""
MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=])")
FIRST_WORD = re.compile(r"^[a-z](?=[a-z]*[ ,;:])")
"""The first letter of a sentence that begins with a word of lower-case letters."""
BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|[nµm]?s|h|[kM]?Wh|[kMG]?B)(?!\w))")
"""The space between a number and the symbol of its unit."""


def escape_direction_marks(text: object) -> str:
    """The text with direction marks replaced by their code points, so that a name from a log cannot reverse the text after it."""
    return DIRECTION_MARKS.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def truncate(text: str, longest: int = 80) -> str:
    """The text, cut with an ellipsis if it is longer."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def escape_markdown(text: object) -> str:
    """The text on one line, with all characters escaped that Markdown or Streamlit's extensions interpret."""
    return escape_inline(" ".join(str(text).split()))


def escape_inline(text: str) -> str:
    """The same as `escape_markdown`, but spaces are kept. An invisible word joiner is inserted into web and mail addresses, because
    Markdown makes links even of escaped addresses. A number and the symbol of its unit stay on one line.
    """
    plain = BEFORE_UNIT.sub("\u00a0", escape_direction_marks(text))
    return MARKUP.sub(r"\\\1", ADDRESS.sub(lambda found: f"{found[1] or found[2] or ''}\u2060{found[3] or ''}", plain))


def sentence_markdown(text: str) -> str:
    """A finding's sentence as Markdown: names in backticks stay code, and everything else is escaped."""
    parts = escape_direction_marks(text).replace("\n", " ").split("`")
    return "".join(f"`{part}`" if index % 2 and part else escape_inline(part) for index, part in enumerate(parts))


def with_full_stop(text: str) -> str:
    """A sentence with its full stop."""
    return text if text.endswith((".", "!", "?")) or not text else f"{text}."


def capitalized_sentence(text: object) -> str:
    """The sentence with a capital first letter if it begins with a word of plain letters. A name with other characters stays as it is."""
    return FIRST_WORD.sub(lambda found: found[0].upper(), str(text), count=1)


def error_markdown(error: object) -> str:
    """The sentence of an error as Markdown, with a capital first letter: errors are worded to stand after a colon too."""
    return escape_markdown(capitalized_sentence(error))


def status_label(severity: str, word: str | None = None) -> str:
    """Icon and word of a severity as Streamlit Markdown, so that colour is never the only sign."""
    return f":{STATUS_COLOURS[severity]}[{STATUS_ICONS[severity]} {escape_markdown(word or STATUS_WORDS[severity])}]"


def format_count(value: float) -> str:
    """A whole number with grouped digits: 1,204."""
    return f"{round(value):,}"


def compact_count(value: float) -> str:
    """A count in short form: 950, 12.4k, 3.1M."""
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}".removesuffix(".0") + suffix
    return f"{value:,.0f}"


def format_number(value: float | None, digits: int = 3) -> str:
    """A number with about `digits` significant digits and a real minus sign; a dash if it is unknown."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return "< 0.0001" if value > 0 else f"{MINUS}{-value:.5f}" if value <= -5e-6 else "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{abs(value):,.0f}" if places == 0 else f"{abs(value):,.{min(places, 6)}f}"
    return (MINUS if value < 0 else "") + text


def format_share(value: float | None) -> str:
    """A share as a percentage with a real minus sign: 0.0123 is 1.2 %."""
    if value is None or not math.isfinite(value):
        return DASH
    percent = 100 * value
    if 0 < abs(percent) < 0.05:
        return "< 0.1 %" if percent > 0 else f"{MINUS}{-percent:.2f} %" if percent <= -0.005 else "0 %"
    return (f"{percent:.1f}" if abs(percent) < 99.95 or percent != round(percent) else f"{percent:.0f}").removesuffix(".0").replace(
        "-", MINUS
    ) + " %"


def format_value(value: float | None, unit: str, of_label: str | None = None) -> str:
    """A value in the unit of its metric: shares as percentages, hours as h, others as numbers. of_label: the unit of the model's label,
    which is appended to values in that unit.
    """
    if unit == "share":
        return format_share(value)
    if unit in ("Wh", "gCO₂e"):
        return DASH if value is None else with_si_prefix(value, unit)
    text = format_number(value)
    written = "h" if unit == "h" else of_label if unit == LABEL_UNIT else None
    return f"{text} {written}" if written and text != DASH else text


def format_interval(low: float | None, high: float | None, unit: str = "") -> str:
    """An interval in the unit of its metric: `0.12 to 0.19`; a dash if an end is unknown."""
    if low is None or high is None:
        return DASH
    return f"{format_value(low, unit)} to {format_value(high, unit)}"


def value_with_interval(value: float | None, low: float | None, high: float | None, unit: str = "") -> str:
    """A value and its interval in the unit of the metric: `0.15 (0.12 to 0.19)`; without the interval if an end is unknown."""
    known = low is not None and high is not None and low == low and high == high
    return format_value(value, unit) + (f" ({format_interval(low, high, unit)})" if known else "")


def safe_file_part(name: str, fallback: str) -> str:
    """A name as part of a file name: ASCII letters, digits and hyphens."""
    return "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name)[:60].strip("-") or fallback


def metric_title(name: str) -> str:
    """The title of a metric; an unknown name is returned unchanged."""
    known = METRICS.get(name)
    return known.title if known else name.replace("_", " ")


def format_day(instant: datetime) -> str:
    """The date as `12 Jul 2013`."""
    return f"{instant.day} {instant:%b %Y}"


def format_iso_day(written: str) -> str:
    """The day of an ISO time: 12 Jul 2013."""
    return format_day(datetime.fromisoformat(written[:10]))


def format_minute(instant: datetime) -> str:
    """The date and time as `12 Jul 2013 14:05`, without a time zone."""
    return f"{instant.day} {instant:%b %Y %H:%M}"


def format_span(start: datetime, end: datetime) -> str:
    """A half-open window in words, such as 1 to 7 Jul 2013. If it consists of whole days, the last day is named, not the end."""
    midnight = all(instant.hour == instant.minute == instant.second == 0 for instant in (start, end))
    if not midnight:
        if start.date() == end.date():
            return f"{format_minute(start)} to {end:%H:%M}"
        first = f"{start.day} {start:%b %H:%M}" if start.year == end.year else format_minute(start)
        return f"{first} to {format_minute(end)}"
    last = end - timedelta(days=1)
    if last <= start:
        return format_day(start)
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day} to {format_day(last)}"
    if start.year == last.year:
        return f"{start.day} {start:%b} to {format_day(last)}"
    return f"{format_day(start)} to {format_day(last)}"


def time_ago(instant: datetime | None, now: datetime) -> str:
    """Time since an instant, in the largest fitting unit."""
    if instant is None:
        return "never"
    seconds = (now - instant.replace(tzinfo=instant.tzinfo or UTC)).total_seconds()
    if seconds < 0:
        return f"{format_minute(instant)} (ahead of this clock)"
    for size, unit in ((730 * 86400, "year"), (60 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            n = int(seconds // {"year": 365.25 * 86400, "month": 30.44 * 86400}.get(unit, size))
            return f"{n:,} {unit}{'s' if n != 1 else ''} ago"
    return "just now"


def join_words(words: Sequence[str], most: int | None = None) -> str:
    """The words as `a, b and c`; if there are more than `most` words, as `a, b and 4 more`."""
    if most is not None and len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def plural(n: int, one: str, many: str | None = None) -> str:
    """The number with its noun: `1 model`, `3 models`. many: the plural if it is not `one` with an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def format_bytes(octets: float) -> str:
    """Bytes with a decimal prefix: 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    return ""


def slice_in_words(text: str | None) -> str:
    """A slice in words: `carrier=AA&origin=EWR` is carrier = AA and origin = EWR."""
    from observability.core.window import Slice

    parsed = Slice.parse(text)
    return " and ".join(f"{name} = {numerals.with_minus_signs(value)}" for name, value in parsed.conditions) if parsed else "all rows"
