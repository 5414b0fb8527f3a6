"""Is there one minus sign in what a person reads, and does what is no number stay as it is?"""

import pytest

from observability.core import numerals


@pytest.mark.parametrize(
    ("value", "digits", "sign", "said"),
    [
        (-0.15, 3, True, "\u22120.15"),
        (0.63312, 3, True, "+0.633"),
        (0.0, 3, True, "+0"),
        (-1234.567, 3, False, "\u22121,235"),
        (1234567.0, 6, False, "1,234,567"),
        (5.0, 6, False, "5"),
        (-1.5e-7, 2, False, "\u22121.5e\u221207"),
        (1e300, 4, False, "1e+300"),
        (float("nan"), 4, False, "nan"),
    ],
)
def test_a_number_in_a_sentence(value: float, digits: int, sign: bool, said: str) -> None:
    assert numerals.figure(value, digits, sign=sign) == said


@pytest.mark.parametrize(
    ("value", "said"), [("-21", "\u221221"), ("-", "-"), ("2013-12-31", "2013-12-31"), ("EV-1", "EV-1"), (7, "7"), (None, "None")]
)
def test_a_value_of_a_log(value: object, said: str) -> None:
    assert numerals.worded(value) == said


def test_a_share() -> None:
    assert numerals.percent(0.4137) == "41.4 %" and numerals.percent(0.15, 2) == "15 %"
