"""Runs, parameters, metrics, tags, inputs and registered versions of both MLflow stores become records."""

import math
import shutil
import sqlite3
from pathlib import Path

import pytest

from observability.core.errors import UsageError
from tests.support.imported_items import FIXTURES, read_items, records_of, refused_counts, unpacked_fixture


@pytest.fixture(params=["file", "sqlite"])
def items(request: pytest.FixtureRequest, tmp_path: Path):
    path = FIXTURES / "mlruns" if request.param == "file" else unpacked_fixture("mlflow.db.gz", tmp_path)
    return read_items("mlflow", path)


def test_a_finished_run_keeps_all_that_was_logged(items):
    (start,) = records_of(items, "run", event="start", name="first")
    assert start["params"] == {"learning_rate": 0.05, "num_leaves": 31, "objective": "binary", "note": "a: 'b' # c\nsecond line"}
    assert start["tags"]["team"] == "credit"
    assert start["dataset"].startswith("loans 2026-01 ")
    assert (start["study"], start["model"], start["version"]) == ("loan default", "loan", "1")
    steps = records_of(items, "step", run=start["run"])
    assert [step["metrics"]["train/loss"] for step in steps] == [1.0, 0.5, 1 / 3, 0.25, 0.2]
    assert steps[0]["metrics"] == {"train/loss": 1.0, "val/loss": 1.1, "auc": 0.81}
    assert math.isnan(steps[2]["metrics"]["broken"])
    (end,) = records_of(items, "run", event="end", run=start["run"])
    assert (end["status"], end["metrics"]["train/loss"], end["metrics"]["auc"]) == ("finished", 0.2, 0.81)
    assert start["at"] < steps[0]["at"] <= steps[4]["at"] < end["at"]


def test_a_failed_run_ends_as_failed_and_an_open_one_has_no_end(items):
    (failed,) = records_of(items, "run", event="start", name="second")
    (running,) = records_of(items, "run", event="start", name="open")
    assert records_of(items, "run", event="end", run=failed["run"])[0]["status"] == "failed"
    assert records_of(items, "run", event="end", run=running["run"]) == []


def test_a_deleted_run_is_refused_with_all_its_entries(items):
    assert records_of(items, "run", name="deleted") == []
    assert refused_counts(items) == {("runs", "deleted"): 1, ("tags", "deleted"): 4, ("metric values", "deleted"): 1}


def test_registered_versions_are_events(items):
    events = records_of(items, "event")
    assert [(event["model"], event["version"], event["what"]) for event in events] == [("loan", "1", "note"), ("loan", "2", "note")]
    (start,) = records_of(items, "run", event="start", name="first")
    assert events[0]["text"] == f"Version 1 of loan was registered in MLflow from run {start['run']}."


def test_the_file_store_and_the_database_give_the_same_counts(tmp_path):
    from observability.importers.source_records import write_record_lines

    counted = []
    for path in (FIXTURES / "mlruns", unpacked_fixture("mlflow.db.gz", tmp_path)):
        with (tmp_path / "out").open("wb") as out:
            counted.append(write_record_lines(read_items("mlflow", path), out))
    assert counted[0].to_json() == counted[1].to_json()
    assert counted[0].sorts == {"model versions": 2, "runs": 4, "parameters": 5, "tags": 17, "dataset inputs": 1, "metric values": 16}
    assert counted[0].reasons == {"deleted": 6, "bad_value": 1}  # the rejected entry has step -1


def test_only_a_truncated_metric_line_is_refused(tmp_path):
    root = shutil.copytree(FIXTURES / "mlruns", tmp_path / "mlruns")
    (metric,) = root.glob("*/*/metrics/auc")
    metric.write_text(metric.read_text() + "17958\n")
    assert refused_counts(read_items("mlflow", root))["metric values", "damaged"] == 1


def test_only_a_damaged_run_is_refused(tmp_path):
    root = shutil.copytree(FIXTURES / "mlruns", tmp_path / "mlruns")
    (start,) = records_of(read_items("mlflow", root), "run", event="start", name="second")
    next(root.glob(f"*/{start['run']}/meta.yaml")).write_text("status: [")
    items = read_items("mlflow", root)
    assert refused_counts(items)["runs", "damaged"] == 1
    assert {each["name"] for each in records_of(items, "run", event="start")} == {"first", "open"}


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00 and then nothing", b"no database"])
def test_another_file_is_refused_with_one_clear_error(tmp_path, content):
    path = tmp_path / "mlflow.db"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"no MLflow store is there|the storage of MLflow cannot be read"):
        read_items("mlflow", path)


def test_a_store_of_an_older_version_without_some_tables_is_read(tmp_path):
    path = unpacked_fixture("mlflow.db.gz", tmp_path)
    whole = records_of(read_items("mlflow", path), "run", event="start", name="first")
    with sqlite3.connect(path) as connection:
        for table in ("input_tags", "inputs", "datasets", "model_version_tags", "registered_model_aliases", "model_versions"):
            connection.execute(f"DROP TABLE {table}")
    connection.close()
    (start,) = records_of(read_items("mlflow", path), "run", event="start", name="first")
    assert start == {name: value for name, value in whole[0].items() if name not in ("model", "version")} | {"dataset": None}


def test_an_optuna_storage_is_refused_as_an_mlflow_store(tmp_path):
    with pytest.raises(UsageError, match="not a storage of MLflow"):
        read_items("mlflow", unpacked_fixture("optuna.db.gz", tmp_path))
