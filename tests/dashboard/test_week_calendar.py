"""The calendar of reviews: months as rows, weeks as cells with their state."""

from datetime import date, timedelta

import pytest

from observability.core.weeks import Week
from observability.dashboard.review import week_calendar
from observability.dashboard.review.week_calendar import month_rows, week_states


def test_each_week_has_the_state_that_its_review_reached() -> None:
    weeks = [Week(2013, number) for number in range(26, 32)]
    names = [str(week) for week in weeks]
    states = week_states(names[:3], [names[3]], [weeks[4], *weeks[:3]], {names[0]: True, names[1]: False})
    assert {str(week): state for week, state in states.items()} == dict(
        zip(names, ["closed", "held", "frozen", "draft", "missing"], strict=False)
    ), "the last week has no predictions"
    assert week_calendar.state_counts(list(states.values())) == "1 closed · 1 held · 1 frozen · 1 draft · 1 missing"


@pytest.mark.parametrize("year", [2013, 2020, 2026])
def test_a_year_holds_each_of_its_weeks_once_in_the_month_of_its_thursday(year: int) -> None:
    """Counted by the dates of the calendar, without the code of the page."""
    wanted: dict[str, list[str]] = {}
    day = date(year, 1, 1)
    while day.year == year:
        if day.weekday() == 3:
            wanted.setdefault(f"{day:%b}", []).append(f"{day - timedelta(days=3):%-d}–{day + timedelta(days=3):%-d}")
        day += timedelta(days=1)
    rows = month_rows({Week(year, 1): "missing", Week(year, 52): "closed"}, year, None)
    found = {row["cells"]["month"]["t"]: [cell["t"] for key, cell in row["cells"].items() if key != "month"] for row in rows}
    assert found == wanted


def test_a_cell_links_to_its_week_and_says_its_state_in_a_word() -> None:
    rows = month_rows({Week(2013, 27): "held", Week(2013, 26): "missing"}, 2013, "2013-W27")
    july = next(row["cells"] for row in rows if row["cells"]["month"]["t"] == "Jul")
    cell = july["week1"]
    assert (cell["t"], cell["sub"], cell["week"]) == ("1–7", "Held", "held open")
    assert cell["go"] == {"page": "review", "parameters": {"review": "2013-W27"}} and "week" not in july["week2"]
    assert [row["cells"]["month"]["t"] for row in rows] == ["Jun", "Jul"]
