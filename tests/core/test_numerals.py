"""Numbers have a typographic minus sign; other text is unchanged."""

import pytest

from observability.core import numerals


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (-0.15, 3, True, "\u22120.15"),
        (0.63312, 3, True, "+0.633"),
        (0.0, 3, True, "+0"),
        (-0.0, 3, False, "0"),
        (-1234.567, 3, False, "\u22121,235"),
        (1234567.0, 6, False, "1,234,567"),
        (5.0, 6, False, "5"),
        (-1.5e-7, 2, False, "\u22121.5e\u221207"),
        (1e300, 4, False, "1e+300"),
        (float("nan"), 4, False, "nan"),
    ],
)
def test_a_number_in_a_sentence_is_formatted_with_digits_and_sign(value: float, digits: int, sign: bool, text: str) -> None:
    assert numerals.format_figure(value, digits, sign=sign) == text


@pytest.mark.parametrize(
    ("change", "decimals", "text"),
    [
        (4.1, 0, "+4 %"),
        (-1234.4, 0, "\u22121,234 %"),
        (-0.4, 0, "\u22120.4 %"),
        (0.949, 0, "+0.9 %"),
        (0.951, 0, "+1 %"),
        (-10.04, 1, "\u221210.0 %"),
        (-0.04, 0, "about the same"),
        (0.04, 1, "about the same"),
        (0.0, 0, "about the same"),
    ],
)
def test_a_nonzero_change_is_never_written_as_a_signed_zero(change: float, decimals: int, text: str) -> None:
    """Regression: a log loss that fell by 0.4 % was written `+0 %`."""
    assert numerals.change_in_words(change, "%", decimals) == text


@pytest.mark.parametrize(
    ("value", "text"), [("-21", "\u221221"), ("-", "-"), ("2013-12-31", "2013-12-31"), ("EV-1", "EV-1"), (7, "7"), (None, "None")]
)
def test_a_logged_value_is_written_as_text(value: object, text: str) -> None:
    assert numerals.logged_value_text(value) == text


def test_a_percentage_has_the_requested_digits() -> None:
    assert numerals.percent(0.4137) == "41.4 %" and numerals.percent(0.15, 2) == "15 %"


def test_a_number_that_rounds_up_to_one_digit_more_has_no_exponent() -> None:
    assert numerals.format_figure(99.9, 2) == "100"
    assert numerals.format_figure(99.4, 2) == "99"
    assert numerals.format_figure(9999.7, 4) == "10,000"
