"""Are the files of the sample fleet whole, small, and of the shapes that the contract gives?"""

import hashlib
import json
import tomllib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from observability.settings import read_settings
from sample_data.employment import EMPLOYMENT
from sample_data.flights import DELAY, LATE

FOLDER = Path(__file__).parents[2] / "sample_data"
SPECS = (DELAY, LATE, EMPLOYMENT)
FLIGHTS = (DELAY, LATE)
BY_NAME = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
OF_FLIGHTS = pytest.mark.parametrize("spec", FLIGHTS, ids=lambda spec: spec.name)


def predictions(spec) -> pd.DataFrame:
    return pd.read_parquet(FOLDER / f"{spec.name}.predictions.parquet")


def labels(spec) -> pd.DataFrame:
    return pd.read_parquet(FOLDER / f"{spec.name}.labels.parquet")


def reference(spec) -> pd.DataFrame:
    return pd.read_parquet(FOLDER / spec.reference)


def test_all_that_ships_is_at_most_8_mb() -> None:
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir() if path.is_file()}
    assert sum(sizes.values()) <= 8_000_000
    assert all(size <= 400_000 for name, size in sizes.items() if name.endswith(".lightgbm.txt"))


def test_the_list_names_every_file_and_every_file_is_there() -> None:
    fleet = tomllib.loads((FOLDER / "fleet.toml").read_text(encoding="utf-8"))
    named = {each["path"] for each in fleet["file"]}
    for model in fleet["model"]:
        named |= {model["reference"], model["artifact"], model["settings"]}
    shipped = {path.name for path in FOLDER.iterdir() if path.suffix in (".parquet", ".jsonl", ".txt", ".toml")}
    assert named == shipped - {"fleet.toml", "LICENSE-nannyml.txt"}
    assert [each["name"] for each in fleet["model"]] == [spec.name for spec in SPECS]


@BY_NAME
def test_settings_are_read_by_the_product_and_importance_is_of_the_features(spec) -> None:
    settings = read_settings(FOLDER / spec.settings_file)
    assert set(settings.importance) == set(spec.features)
    assert sum(settings.importance.values()) == pytest.approx(1)
    assert set(settings.immutable) <= set(spec.features)
    assert settings.owner and settings.description


@BY_NAME
def test_prediction_files_have_the_contracts_columns_and_required_fields(spec) -> None:
    table = predictions(spec)
    fields = {"id", "model", "version", "at", "score", "latency_ms", "replica", "received_at"} | (
        {"label"} if spec is EMPLOYMENT else set()
    )
    assert set(table) == fields | set(spec.features)
    assert not table[sorted(fields)].isna().any(axis=None)
    assert table["id"].is_unique and table["at"].is_monotonic_increasing
    assert (table["received_at"] == table["at"]).all()
    assert set(table["model"]) == {spec.name} and set(table["version"]) == {"1"}
    assert str(table["at"].dtype.tz) == "UTC"
    if spec.task == "binary":
        assert table["score"].between(0, 1).all()


@OF_FLIGHTS
def test_labels_are_of_served_flights_and_come_after_their_predictions(spec) -> None:
    table = labels(spec)
    assert set(table) == {"id", "model", "value", "at", "source", "received_at"}
    assert not table.isna().any(axis=None) and table["id"].is_unique
    pairs = predictions(spec).merge(table, on="id", suffixes=("", "_label"))
    assert len(pairs) == len(table)
    wait = (pairs["at_label"] - pairs["at"]).dt.total_seconds() / 60
    assert wait.min() > 60 and wait.max() < 24 * 60
    never = 1 - len(table) / len(predictions(spec))
    assert 0.02 < never < 0.035


@BY_NAME
def test_reference_rows_are_labelled_and_none_of_them_was_served(spec) -> None:
    table, served = reference(spec), predictions(spec)
    assert set(table) == {"id", "at", "score", "label", *spec.features}
    assert not table[["id", "at", "score", "label"]].isna().any(axis=None)
    assert table["id"].is_unique and not set(table["id"]) & set(served["id"])
    assert table["at"].max() < served["at"].min()
    assert table[list(spec.features)].dtypes.equals(served[list(spec.features)].dtypes)


def test_both_flight_models_serve_the_same_flights_every_third_by_hash() -> None:
    ids = predictions(DELAY)["id"]
    assert list(ids) == list(predictions(LATE)["id"])
    assert all(int.from_bytes(hashlib.md5(name.encode()).digest()[:8]) % 3 == 0 for name in ids.sample(500, random_state=1))


def test_late_is_delayed_by_fifteen_minutes_or_more() -> None:
    pairs = labels(DELAY).merge(labels(LATE), on="id", suffixes=("_delay", "_late"), validate="one_to_one")
    assert ((pairs["value_delay"] >= 15).astype(int) == pairs["value_late"]).all()


def test_weather_that_was_not_observed_is_null_and_nothing_else_is() -> None:
    table = predictions(DELAY)
    missing = table.isna().mean()
    assert 0.7 < missing["wind_gust_mph"] < 0.9 and 0.05 < missing["pressure_mb"] < 0.2
    always = [name for name in table if not name.endswith(("_f", "_percent", "_degrees", "_mph", "_in", "_mb", "_miles", "_h_mb"))]
    assert not table[[*always, "distance_miles"]].isna().any(axis=None)


def test_latency_is_measured_by_both_workers_on_at_least_20_000_calls_a_model() -> None:
    for spec in SPECS:
        table = predictions(spec)
        assert set(table["replica"]) == {"worker-1", "worker-2"}
        assert table["latency_ms"].notna().sum() >= 20_000 and table["latency_ms"].min() > 0
        assert table["latency_ms"].nunique() > 50


def test_training_runs_and_their_steps_are_there_and_finished() -> None:
    records = [json.loads(line) for line in (FOLDER / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    runs = [record for record in records if record["kind"] == "run"]
    started = {record["run"] for record in runs if record["event"] == "start"}
    assert started == {f"{spec.name}-{part}" for spec in SPECS for part in (*(f"fold-{fold}" for fold in range(1, 6)), "final")}
    assert {record["run"] for record in runs if record.get("status") == "finished" and record["metrics"]} == started
    for spec in SPECS:
        steps = [record for record in records if record["kind"] == "step" and record["run"] == f"{spec.name}-final"]
        assert [record["step"] for record in steps] == list(range(1, spec.trees + 1))
    assert {record["hardware"]["host"] for record in runs if record["event"] == "start"} == {"sample fleet"}


def test_events_are_deployments_and_public_holidays() -> None:
    records = [json.loads(line) for line in (FOLDER / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["model"] for record in records if record["what"] == "deploy"] == [spec.name for spec in SPECS]
    holidays = {record["at"][:10] for record in records if record["what"] == "note"}
    # Memorial Day, Independence Day, Labor Day, Columbus Day, Veterans Day, Thanksgiving, Christmas of 2013, from a calendar.
    assert holidays == {"2013-05-27", "2013-07-04", "2013-09-02", "2013-10-14", "2013-11-11", "2013-11-28", "2013-12-25"}


def test_parquet_files_are_compressed_with_zstd() -> None:
    for path in FOLDER.glob("*.parquet"):
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD", path.name
