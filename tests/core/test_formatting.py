"""Formatting of numbers and times, and escaping of names."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core import formatting
from observability.core.metric_definitions import LABEL_UNIT
from observability.dashboard import theme
from observability.detection.performance_sentences import metric_with_interval
from observability.export import review as export_review
from observability.stats.interval import Interval


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 3, "–"),
        (float("nan"), 3, "–"),
        (0, 3, "0"),
        (1234567, 3, "1,234,567"),
        (22.6432, 3, "22.6"),
        (-0.0123, 3, "−0.0123"),
        (0.5, 2, "0.50"),
        (1e-9, 3, "< 0.0001"),
        (-4e-5, 3, "−0.00004"),
        (-1e-9, 3, "0"),
    ],
)
def test_numbers_have_about_three_digits(value, digits, text) -> None:
    assert formatting.format_number(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "50 %"),
        (0.0123, "1.2 %"),
        (0.0001, "< 0.1 %"),
        (-0.0004, "−0.04 %"),
        (-1e-6, "0 %"),
        (1.0, "100 %"),
        (0.99951, "100 %"),
        (0.0, "0 %"),
        (None, "–"),
    ],
)
def test_shares_are_percentages(value, text) -> None:
    assert formatting.format_share(value) == text


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (datetime(2013, 7, 1), datetime(2013, 8, 1), "1 to 31 Jul 2013"),
        (datetime(2013, 7, 1), datetime(2013, 7, 2), "1 Jul 2013"),
        (datetime(2013, 12, 25), datetime(2014, 1, 2), "25 Dec 2013 to 1 Jan 2014"),
        (datetime(2013, 7, 1, 6), datetime(2013, 7, 2), "1 Jul 06:00 to 2 Jul 2013 00:00"),
        (datetime(2013, 7, 1, 6), datetime(2013, 7, 1, 7), "1 Jul 2013 06:00 to 07:00"),
    ],
)
def test_a_window_is_named_by_its_last_day(start, end, text) -> None:
    assert formatting.format_span(start, end) == text


def test_time_ago_is_written_in_words() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    text = [
        formatting.time_ago(now - timedelta(**each), now)
        for each in ({"seconds": 5}, {"minutes": 1}, {"hours": 30}, {"days": 100}, {"days": 4710})
    ]
    assert text == ["just now", "1 minute ago", "1 day ago", "3 months ago", "12 years ago"]
    assert formatting.time_ago(None, now) == "never"


@given(st.text())
def test_markup_is_escaped(words: str) -> None:
    escaped = formatting.escape_markdown(words)
    bare = "".join(escaped[i] for i in range(len(escaped)) if escaped[i] != "\\" and (i == 0 or escaped[i - 1] != "\\"))
    assert not set(bare) & set("`*_{}[]()<>#!|~$:")
    assert "\n" not in escaped


@pytest.mark.parametrize("address", ["https://evil.example", "HTTP://evil.example", "www.evil.example", "a@evil.example"])
def test_web_addresses_in_text_are_broken_by_invisible_characters(address: str) -> None:
    text = formatting.escape_markdown(f"see {address} now").replace("\\", "")
    assert address not in text and text.replace("\u2060", "") == f"see {address} now"


def test_sentence_markdown_keeps_code_and_escapes_the_rest() -> None:
    assert formatting.sentence_markdown("`wind*` moved: PSI *2*") == "`wind*` moved\\: PSI \\*2\\*"


def test_a_number_and_the_sign_of_its_unit_stay_on_one_line() -> None:
    sentence = "Null in 85 % of 3 batches, p99 0.122 ms, 12 % saved in 24 hours"
    told = "Null in 85\u00a0% of 3 batches, p99 0.122\u00a0ms, 12\u00a0% saved in 24 hours"
    assert formatting.escape_markdown(sentence).replace("\\", "") == told
    assert formatting.sentence_markdown("`a 1 %` is 5 %") == "`a 1 %` is 5\u00a0%"


def test_a_severity_is_icon_and_word() -> None:
    assert formatting.status_label("act") == ":red[:material/error: Critical]"


def test_direction_marks_are_escaped() -> None:
    name = "\u202egnp.exe \u2067x"
    assert formatting.escape_direction_marks(name) == "\\u202egnp.exe \\u2067x"
    for text in (
        formatting.escape_markdown(name),
        formatting.sentence_markdown(f"`{name}` and {name}"),
        theme.inert_label(name),
        export_review.chat_text(name),
    ):
        assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") & set(text)
    assert formatting.escape_direction_marks("\u05e9\u05dc\u05d5\u05dd \u200f") == "\u05e9\u05dc\u05d5\u05dd \u200f"  # a real language code


def test_a_value_in_the_unit_of_the_label_is_written_with_it() -> None:
    told = [formatting.format_value(46.7, unit, "minutes") for unit in (LABEL_UNIT, "share", "0 to 1")]
    assert told == ["46.7 minutes", "4670 %", "46.7"]
    assert [formatting.format_value(value, LABEL_UNIT, unit) for value, unit in ((46.7, None), (None, "minutes"))] == ["46.7", "–"]
    mae = Interval(46.7, 43.8, 49.5, 100)
    assert metric_with_interval("mae", mae, "minutes") == "46.7 minutes (43.8 to 49.5)"
    assert metric_with_interval("r2", Interval(0.5, 0.4, 0.6, 100), "minutes") == "0.5 (0.4 to 0.6)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a slice cannot be read; got x.", "A slice cannot be read; got x."),
        ("column 'colour' is not in loan.", "Column 'colour' is not in loan."),
        ("Wait.", "Wait."),
        ("'age' is a number.", "'age' is a number."),
        ("wind_speed is missing.", "wind_speed is missing."),
        ("limits.psi is a number.", "limits.psi is a number."),
        ("flights-delay stopped.", "flights-delay stopped."),
        ("", ""),
    ],
)
def test_the_sentence_of_an_error_begins_with_a_capital_and_a_name_stays(text: str, shown: str) -> None:
    assert formatting.capitalized_sentence(text) == shown
    assert formatting.error_markdown(text) == formatting.escape_markdown(shown)
