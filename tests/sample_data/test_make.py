"""The scripts of the sample fleet work as documented: pinned sources, true times, days spread evenly."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from sample_data.collecting import logged
from sample_data.deliveries import batches
from sample_data.employment import assigned_times, places
from sample_data.events import holidays, nth
from sample_data.flights import clock_minutes, planned_minutes, weather_before
from sample_data.provenance import dropped, known
from sample_data.sentiment import CLASSES, rows_for
from sample_data.serving import log_labels, requests
from sample_data.sources import FLIGHTS, fetch
from sample_data.spec import folds
from sample_data.texts import STATISTICS, statistics


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
    """Departure at 12:00 in New York: 15:00 in Los Angeles is six hours later, and 00:10 in New York's own zone is past midnight."""
    raw = pd.DataFrame({"dest": ["LAX", "BOS"], "sched_arr_time": [1500, 10]})
    day = pd.Series(pd.to_datetime(["2013-07-01", "2013-07-01"]))
    departure = pd.Series(pd.to_datetime(["2013-07-01T16:00Z", "2013-07-02T03:00Z"], utc=True))
    airports = pd.DataFrame({"faa": ["LAX", "BOS"], "tzone": ["America/Los_Angeles", "America/New_York"]})
    assert planned_minutes(clock_minutes(raw, day, departure, airports)).tolist() == [360, 70]


def test_weather_is_of_the_hour_that_had_ended_before_the_prediction() -> None:
    hours = pd.date_range("2013-05-01T08:00Z", periods=5, freq="h")
    names = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "visib")
    weather = pd.DataFrame({"origin": "JFK", "time_hour": hours.strftime("%Y-%m-%dT%H:%M:%SZ"), **{name: range(5) for name in names}})
    weather["precip"], weather["pressure"] = [0.1, 0.2, 0.3, 0.4, 0.5], [1000.0, 1001.0, 1002.0, None, 1005.0]
    found = weather_before(pd.Series(["JFK", "LGA"]), pd.Series(pd.to_datetime(["2013-05-01T11:59Z"] * 2, utc=True)), weather)
    assert found["temperature_f"].tolist()[0] == 2  # the hour that began at 10:00 is used
    assert found["rain_3h_in"].tolist()[0] == pytest.approx(0.6)
    assert found["pressure_change_3h_mb"].isna().all() and found.loc[1].isna().all()


def test_a_batch_is_a_stations_day_in_new_york_closed_at_midnight() -> None:
    """The rows are three hours in the evening of 1 May and one of 2 May in New York, which is four hours behind UTC."""
    hours = ["2013-05-01T22:00:00Z", "2013-05-01T23:00:00Z", "2013-05-02T01:00:00Z", "2013-05-02T04:00:00Z"]
    names = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "visib")
    weather = pd.DataFrame({"origin": "JFK", "time_hour": hours, **{name: [1.0, 2.0, 6.0, 7.0] for name in names}})
    weather["pressure"] = [1000.0, None, None, None]
    first, second = batches(weather)
    assert (first["batch"], first["rows"], second["batch"], second["rows"]) == ("JFK 2013-05-01", 3, "JFK 2013-05-02", 1)
    assert f"{first['captured_from']:%d %H}" == "01 22" and f"{first['captured_to']:%d %H}" == "02 02" and f"{first['at']:%d %H}" == "02 04"
    assert first["stats"]["temperature_f"] == {"mean": 3.0, "std": 2.65, "null_share": 0.0, "out_of_range_share": 0.0}
    assert (
        first["stats"]["pressure_mb"] == {"mean": 1000.0, "std": None, "null_share": 0.667, "out_of_range_share": 0.0}
        and second["stats"]["pressure_mb"]["mean"] is None
    )


def test_weekly_rules_are_counted_a_day_after_the_week_or_the_source_ended() -> None:
    assert f"{known(pd.Timestamp('2013-06-28')):%Y-%m-%dT%H}" == "2013-07-02T04"  # Tuesday, midnight in New York
    assert f"{known(pd.Timestamp('2013-12-31')):%Y-%m-%dT%H}" == "2014-01-02T05"
    rows = pd.DataFrame({"carrier": ["a", "a", "b"]})
    found = dropped("rule", rows, pd.Series([True, False, False]), {"dataset": "d"}, ("carrier",))
    assert (found["rows_in"], found["rows_dropped"]) == (3, 1)
    assert found["groups"] == {"carrier": {"a": {"in": 2, "dropped": 1}, "b": {"in": 1, "dropped": 0}}}


def test_people_are_assigned_times_at_equal_distances_within_their_year() -> None:
    people = pd.DataFrame({"id": range(730), "year": [2016] * 366 + [2017] * 364})
    at = assigned_times(people["year"], places(people))
    assert (at.dt.year == people["year"]).all()
    assert sorted(at[people["year"] == 2016]) == list(pd.date_range("2016-01-01", periods=366, freq="D", tz="UTC"))
    assert not at[people["year"] == 2016].is_monotonic_increasing


def test_requests_hold_plain_values_and_none_for_unobserved_features() -> None:
    from sample_data.flights import DELAY

    row = dict.fromkeys(DELAY.features, 1.5) | dict.fromkeys(DELAY.categories, "a") | {"rain_in": float("nan")}
    (found,) = requests(DELAY, pd.DataFrame([row]))
    assert found["rain_in"] is None and found["carrier"] == "a" and type(found["pressure_mb"]) is float
    assert tuple(found) == DELAY.features


def test_every_known_label_is_logged_with_its_extra_fields_and_unknown_labels_are_not(tmp_path: Path) -> None:
    from sample_data.flights import LATE
    from sample_data.sentiment import SENTIMENT

    at = pd.to_datetime(["2013-05-01T10:00Z", "2013-05-01T09:00Z", None], utc=True)
    log_labels(LATE, pd.DataFrame({"id": ["a", "b", "c"], "label": [1, 0, None], "label_at": at}), tmp_path / "late")
    found = list(logged(tmp_path / "late"))
    assert [(each["id"], each["value"], each["source"]) for each in found] == [("b", 0, "outcome"), ("a", 1, "outcome")]
    rated = {"rating_mean": [0.5], "rating_spread": [0.7], "raters": [20]}
    log_labels(SENTIMENT, pd.DataFrame({"id": ["t"], "label": ["positive"], "label_at": at[:1], **rated}), tmp_path / "rated")
    (one,) = logged(tmp_path / "rated")
    assert (one["value"], one["source"], one["rating_mean"], one["rating_spread"], one["raters"]) == ("positive", "human", 0.5, 0.7, 20)


def test_holidays_fall_on_the_days_of_a_printed_calendar() -> None:
    assert nth(2013, 12, 0, -1) == date(2013, 12, 30) and nth(2017, 5, 0, -1) == date(2017, 5, 29)
    assert {date(2017, 1, 16), date(2017, 2, 20), date(2017, 9, 4), date(2017, 10, 9), date(2017, 11, 23)} <= set(holidays(2017))
    assert len(holidays(2013)) == 10


def test_text_statistics_equal_those_that_a_reader_counts() -> None:
    found = statistics("@anonymous I'm NOT happy!!! Sooo sad :( haha... see http://url_removed #fail 42")
    assert tuple(found) == STATISTICS
    nothing = {"question_marks", "positive_emoticons"}
    assert {name for name, value in found.items() if value == 0} == nothing
    said = {
        name: found[name]
        for name in ("words", "shouted_words", "exclamation_marks", "negations", "links", "mentions", "hashtags", "digits")
    }
    assert said == {
        "words": 8,
        "shouted_words": 1,
        "exclamation_marks": 3,
        "negations": 1,
        "links": 1,
        "mentions": 1,
        "hashtags": 1,
        "digits": 2,
    }
    assert found["laughter"] == found["stretched_words"] == found["negative_emoticons"] == found["ellipses"] == 1
    assert statistics("")["mean_word_length"] == 0 and statistics("Good :-) <3 :D")["positive_emoticons"] == 3


def test_texts_are_rated_by_the_nearest_point_of_the_scale_and_split_by_the_hash_of_their_number() -> None:
    ratings = [[-1, 0], [-1, 0, 0], [1, 0, 0], [0, 1], [0, 0]]
    tweets = pd.DataFrame({"number": range(1, 3001), "text": "a &amp; b", "ratings": [ratings[number % 5] for number in range(3000)]})
    table = rows_for(tweets).set_index("id")
    assert table.loc[[f"tweet-{number:04}" for number in range(1, 6)], "label"].tolist() == [
        CLASSES[0], CLASSES[1], CLASSES[1], CLASSES[2], CLASSES[1],
    ]  # fmt: skip
    assert set(table["text"]) == {"a & b"} and table["at"].is_monotonic_increasing
    learned = table["fold"] >= 0
    assert learned.sum() == 1680 and learned.iloc[:1680].all() and sorted(table["fold"].unique()) == [-1, 0, 1, 2, 3, 4]
    assert table.loc["tweet-0001", "rating_spread"] == 0.5 and table.loc["tweet-0001", "raters"] == 2
