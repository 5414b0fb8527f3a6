"""The first day of a lasting excess is found in series where this day is known."""

import numpy as np
import pytest

from observability.stats.lasting_excess import has_stretch_within, lasting_excess_start, lasting_excess_starts

DAYS = 35


def starts(means: list[float], repeats: int = 60) -> list[int | None]:
    """The estimates for series with the given means and unit errors."""
    rng = np.random.default_rng(5)
    return [lasting_excess_start(rng.normal(means, 1.0), np.ones(len(means))) for _ in range(repeats)]


@pytest.mark.parametrize(
    ("means", "first"),
    [
        ([2.0] * DAYS, 0),
        ([-2.0] * 20 + [2.0] * 15, 20),
        ([2.0] * 8 + [-2.0] * 12 + [2.0] * 15, 20),
    ],
    ids=["always", "from a day", "again"],
)
def test_the_first_day_is_found(means: list[float], first: int) -> None:
    found = starts(means)
    assert found.count(first) >= 0.9 * len(found), found
    assert all(each is not None and abs(each - first) <= 2 for each in found), found


def test_an_excess_that_ended_or_is_uncertain_has_no_first_day() -> None:
    assert set(starts([3.0] * 20 + [-3.0] * 15)) == {None}
    assert set(starts([0.0] * DAYS)) == {None}
    assert lasting_excess_start([4.0, 4.0], [1.0, 1.0]) is None


@pytest.mark.parametrize("weekend", [-0.5, -5.0], ids=["hardly", "far"])
def test_a_weekend_within_the_level_ends_nothing(weekend: float) -> None:
    week = [4.0] * 5 + [weekend] * 2
    assert set(starts(week * 5 + [4.0] * 4)) == {0}
    assert lasting_excess_start(week * 5 + [4.0] * 4, [1.0] * 39) == 0


def test_three_days_within_the_level_end_an_excess() -> None:
    assert lasting_excess_start([4.0] * 14 + [-5.0] * 3 + [4.0] * 14, [1.0] * 31) == 17


@pytest.mark.parametrize("days", [28, 7])
def test_uncertain_days_before_an_excess_do_not_count_as_beyond_the_level(days: int) -> None:
    assert lasting_excess_start([-0.1] * 28 + [1.0] * days, [0.3] * (28 + days)) == 28


def test_days_without_a_value_are_left_out() -> None:
    nan = float("nan")
    assert lasting_excess_start([nan, nan, *[-3.0] * 10, nan, *[3.0] * 10], [1.0] * 23) == 13
    assert lasting_excess_start([nan] * 21 + [3.0] * 14, [1.0] * 35) == 21


def test_a_stretch_is_surely_within_the_level_or_not() -> None:
    errors = np.full(28, 1.0)
    beyond = np.full(28, 5.0)
    assert not has_stretch_within(beyond, errors)
    assert has_stretch_within(np.where(np.arange(28) // 7 == 1, -5.0, beyond), errors)
    assert not has_stretch_within(np.where(np.arange(28) // 7 == 1, np.nan, beyond), errors), "not measured"
    assert not has_stretch_within([-5.0, -5.0], [1.0, 1.0]), "too few"


def test_starts_of_many_series_are_those_of_each() -> None:
    rng = np.random.default_rng(5)
    series = [rng.normal(size=size) + 3 * (np.arange(size) >= size // 2) - 1 for size in [0, 2, 3, 9, 35, 35, 12] * 9]
    series[4][[2, 7]] = np.nan
    errors = [rng.random(each.size) for each in series]
    found = lasting_excess_starts(series, errors)
    assert found == [lasting_excess_start(*own) for own in zip(series, errors, strict=True)]
    assert len({first for first in found if first is not None}) > 5 and None in found
