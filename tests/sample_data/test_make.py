"""Does what makes the sample fleet keep its promises: pinned sources, honest times, even days?"""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from sample_data.employment import assigned_times, places
from sample_data.events import holidays, nth
from sample_data.flights import planned_minutes, weather_before
from sample_data.serving import requests
from sample_data.sources import FLIGHTS, fetch
from sample_data.spec import folds


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / FLIGHTS.file).write_bytes(b"something else")
    with pytest.raises(SystemExit, match=f"expected {FLIGHTS.sha256}"):
        fetch(FLIGHTS, tmp_path)


def test_a_group_is_never_split_over_folds_and_folds_hold_equally_many_groups() -> None:
    groups = pd.Series([f"day-{number % 20}" for number in range(200)])
    dealt = folds(groups)
    assert (dealt.groupby(groups).nunique() == 1).all()
    assert dealt.value_counts().tolist() == [40] * 5


def test_planned_minutes_stand_in_the_time_zone_of_each_airport() -> None:
    """Departure 12:00 in New York: 15:00 in Los Angeles is six hours later; 00:10 in New York's own zone is past midnight."""
    raw = pd.DataFrame({"dest": ["LAX", "BOS"], "sched_arr_time": [1500, 10]})
    day = pd.Series(pd.to_datetime(["2013-07-01", "2013-07-01"]))
    departure = pd.Series(pd.to_datetime(["2013-07-01T16:00Z", "2013-07-02T03:00Z"], utc=True))
    airports = pd.DataFrame({"faa": ["LAX", "BOS"], "tzone": ["America/Los_Angeles", "America/New_York"]})
    assert planned_minutes(raw, day, departure, airports).tolist() == [360, 70]


def test_weather_is_of_the_hour_that_had_ended_before_the_prediction() -> None:
    hours = pd.date_range("2013-05-01T08:00Z", periods=5, freq="h")
    names = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "visib")
    weather = pd.DataFrame({"origin": "JFK", "time_hour": hours.strftime("%Y-%m-%dT%H:%M:%SZ"), **{name: range(5) for name in names}})
    weather["precip"], weather["pressure"] = [0.1, 0.2, 0.3, 0.4, 0.5], [1000.0, 1001.0, 1002.0, None, 1005.0]
    found = weather_before(pd.Series(["JFK", "LGA"]), pd.Series(pd.to_datetime(["2013-05-01T11:59Z"] * 2, utc=True)), weather)
    assert found["temperature_f"].tolist()[0] == 2  # the hour that began at 10:00
    assert found["rain_3h_in"].tolist()[0] == pytest.approx(0.6)
    assert found["pressure_change_3h_mb"].isna().all() and found.loc[1].isna().all()


def test_days_are_assigned_at_equal_distances_within_the_year() -> None:
    people = pd.DataFrame({"id": range(730), "year": [2016] * 366 + [2017] * 364})
    at = assigned_times(people["year"], places(people))
    assert (at.dt.year == people["year"]).all()
    assert sorted(at[people["year"] == 2016]) == list(pd.date_range("2016-01-01", periods=366, freq="D", tz="UTC"))
    assert not at[people["year"] == 2016].is_monotonic_increasing


def test_requests_carry_plain_values_and_none_where_nothing_was_observed() -> None:
    from sample_data.flights import DELAY

    row = dict.fromkeys(DELAY.features, 1.5) | dict.fromkeys(DELAY.categories, "a") | {"rain_in": float("nan")}
    (found,) = requests(DELAY, pd.DataFrame([row]))
    assert found["rain_in"] is None and found["carrier"] == "a" and type(found["pressure_mb"]) is float
    assert tuple(found) == DELAY.features


def test_holidays_fall_on_the_days_of_a_printed_calendar() -> None:
    assert nth(2013, 12, 0, -1) == date(2013, 12, 30) and nth(2017, 5, 0, -1) == date(2017, 5, 29)
    assert {date(2017, 1, 16), date(2017, 2, 20), date(2017, 9, 4), date(2017, 10, 9), date(2017, 11, 23)} <= set(holidays(2017))
    assert len(holidays(2013)) == 10
