"""Charts of printed reports."""

import re

from observability.export.svg import line_drawing


def ticks(values: list[float], limit: float | None = None) -> list[str]:
    """The labels of the vertical axis in a chart of shares."""
    points = [(f"2024-01-0{day}", value, None, None) for day, value in enumerate(values, 1)]
    return re.findall(r'text-anchor="end"[^>]*>([^<]* %)<', str(line_drawing(points, label="x", limit=limit, share=True)))


def test_an_axis_of_shares_stays_between_0_and_100_percent():
    assert ticks([1.0, 1.0], limit=0.0) == ["0 %", "50 %", "100 %"]
    assert ticks([0.0, 0.02]) == ["0 %", "1.08 %", "2.16 %"]
    assert ticks([0.97, 1.0])[-1] == "100 %"


def test_an_axis_of_shares_extends_beyond_100_percent_only_for_such_values():
    assert ticks([1.2, 1.0])[-1] == "120 %"
    assert ticks([-0.2, 0.5])[0] == "−20 %"


def test_the_first_and_the_last_day_are_named_as_in_sentences():
    points = [("2013-06-03", 1.0, None, None), ("2013-06-24", 2.0, None, None)]
    drawn = str(line_drawing(points, label="x"))
    assert ">3 Jun 2013<" in drawn and ">24 Jun 2013<" in drawn
    weeks = [("week 1", 1.0, None, None), ("week 2", 2.0, None, None)]
    assert ">week 2<" in str(line_drawing(weeks, label="x"))
