from datetime import UTC, datetime

import pytest

from observability.core.errors import UsageError
from observability.core.weeks import Week


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2013-W27", datetime(2013, 7, 1)),
        ("2013W27", datetime(2013, 7, 1)),
        ("2020-w53", datetime(2020, 12, 28)),
        ("2019-W1", datetime(2018, 12, 31)),
    ],
)
def test_a_week_begins_on_its_monday(text, start):
    week = Week.parse(text)
    assert week.start == start.replace(tzinfo=UTC)
    assert (week.end - week.start).days == 7
    assert Week.of(week.start) == week
    assert Week.of(week.end) == week.back(-1)


@pytest.mark.parametrize("text", ["2013-27", "W27", "2013-W54", "2019-W53", "", "2013-W00", "9999-W52", "0001-W01"])
def test_an_invalid_week_raises_an_error(text):
    with pytest.raises(UsageError):
        Week.parse(text)


def test_the_last_week_that_is_over_is_the_one_before_today():
    assert str(Week.before_now(datetime(2026, 11, 24, 12, tzinfo=UTC))) == "2026-W47"
    assert str(Week.before_now(datetime(2026, 11, 23, 0, tzinfo=UTC))) == "2026-W47"
    assert str(Week.before_now(datetime(2026, 11, 22, 23, tzinfo=UTC))) == "2026-W46"
    assert str(Week.before_now(datetime(2027, 1, 3, 23, tzinfo=UTC))) == "2026-W52"
    assert str(Week.before_now(datetime(2027, 1, 4, tzinfo=UTC))) == "2026-W53"
