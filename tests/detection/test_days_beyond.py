"""Checks since which day a figure is beyond its limit, and whether this may have begun earlier."""

from datetime import date

import pytest

from observability.core.standing_since import StandingSince
from observability.detection.days_beyond import days_beyond

FIRST = 20_000  # 4 October 2024
NAN = float("nan")


@pytest.mark.parametrize(
    ("excess", "since"),
    [
        ([3.0] * 35, StandingSince(date(2024, 10, 4), earlier=True)),
        ([NAN] * 21 + [3.0] * 14, StandingSince(date(2024, 10, 25), earlier=False)),
        ([-3.0] * 21 + [3.0] * 14, StandingSince(date(2024, 10, 25), earlier=False)),
        ([3.0] * 21 + [-3.0] * 14, None),
    ],
    ids=["every day", "first measured later", "from a day", "ended"],
)
def test_an_earlier_beginning_is_possible_only_if_the_first_day_was_measured(excess: list[float], since: StandingSince | None) -> None:
    assert days_beyond(range(FIRST, FIRST + 35), excess, [1.0] * 35) == since
