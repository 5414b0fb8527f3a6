"""The sample fleet does not affect other models, and it can be removed completely."""

import argparse
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.cli import commands
from observability.cli.demo_fleet import load_fleet
from observability.core.questions import Records
from observability.core.window import Window
from observability.store.duck_store import DuckStore
from observability.store.types.loading import LoadDefaults
from tests.support.new_store import new_store

DAYS = ("2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z")
FLEET = """
[[model]]
name = "sample"
version = "1"
task = "binary"
reference = "reference.csv"
label = "label"
score = "score"
features = ["x"]

[[file]]
path = "records.jsonl"

[[file]]
path = "batches.csv"
kind = "batch"
"""
RECORDS = [
    {"kind": "price", "from": DAYS[0], "resource": "request", "amount": 0.25, "currency": "USD"},
    {"kind": "run", "run": "r1", "at": DAYS[0], "event": "start", "model": "sample"},
    {"kind": "step", "run": "r1", "at": DAYS[0], "step": 1, "metrics": {"loss": 0.5}},
    {"kind": "run", "run": "r1", "at": DAYS[0], "event": "end", "status": "finished"},
    {"kind": "cleaning", "rule": "nulls", "at": DAYS[0], "rows_in": 10, "rows_changed": 0, "rows_dropped": 1},
]
LEFT = {"batch": 1, "price": 1, "run": 2}
"""Number of records that do not belong to the sample, by kind."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    """A store with a small sample fleet, and a model, a batch and a price that do not belong to the sample."""
    rng = np.random.default_rng(0)
    score = rng.uniform(size=300)
    reference = pd.DataFrame({"x": rng.normal(size=300), "score": score, "label": (rng.uniform(size=300) < score).astype(int)})
    reference.to_csv(tmp_path / "reference.csv", index=False)
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(each) + "\n" for each in RECORDS), encoding="utf-8")
    pd.DataFrame([{"batch": "b1", "at": DAYS[0], "source": "weather", "rows": 5}]).to_csv(tmp_path / "batches.csv", index=False)
    (tmp_path / "fleet.toml").write_text(FLEET, encoding="utf-8")
    found = new_store(tmp_path / "home")
    load_fleet(found, tmp_path / "fleet.toml", lambda text: None)
    own = [
        {"kind": "batch", "batch": "mine", "at": DAYS[0], "source": "shop", "rows": 7},
        {"kind": "price", "from": DAYS[0], "resource": "kwh", "amount": 0.3, "currency": "EUR"},
        {"kind": "prediction", "id": "p1", "at": DAYS[0], "model": "loan", "version": "1", "features": {"x": 1}, "score": 0.5},
        {"kind": "run", "run": "own", "at": DAYS[0], "event": "start", "model": "loan"},
        {"kind": "run", "run": "own", "at": DAYS[0], "event": "end", "status": "finished"},
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(each) + "\n" for each in own), encoding="utf-8")
    assert found.load_files([tmp_path / "own.jsonl"], LoadDefaults()).stored == 5
    yield found
    found.close()


def test_an_unregistered_sample_model_gets_its_listed_settings(store: DuckStore, tmp_path: Path) -> None:
    asked = {
        "kind": "prediction",
        "id": "q1",
        "at": DAYS[0],
        "model": "vendor",
        "version": "1",
        "environment": "probe",
        "prediction": "yes",
        "features": {"tokens": 3},
    }
    (tmp_path / "asked.jsonl").write_text(json.dumps(asked) + "\n", encoding="utf-8")
    (tmp_path / "vendor.toml").write_text('[settings]\nbudget_per_month = 30.0\nbudget_currency = "USD"\n', encoding="utf-8")
    entries = [f'[[settings]]\nmodel = "{name}"\nsettings = "vendor.toml"\n' for name in ("vendor", "nobody")]
    more = FLEET + '\n[[file]]\npath = "asked.jsonl"\n\n' + "\n".join(entries)
    (tmp_path / "fleet.toml").write_text(more, encoding="utf-8")
    other = new_store(tmp_path / "other")
    load_fleet(other, tmp_path / "fleet.toml", lambda text: None)
    settings = other.catalog().model("vendor").settings
    assert (settings.budget_per_month, settings.budget_currency, settings.pue) == (30.0, "USD", store.catalog().model("loan").settings.pue)
    assert {model.name for model in other.catalog().models} == {"sample", "vendor"}
    other.close()


def held(store: DuckStore, kind: str, model: str = "") -> int:
    """The number of records of a kind, for a model or for all."""
    return len(store.ask(Records(kind, ever=True), Window(model, *(datetime.fromisoformat(each) for each in DAYS))))


def test_prices_and_batches_of_the_sample_are_not_counted_for_other_models(store: DuckStore) -> None:
    assert held(store, "price") == held(store, "batch") == 2
    assert held(store, "price", "loan") == held(store, "batch", "loan") == 1
    assert held(store, "price", "sample") == held(store, "batch", "sample") == 2


def test_removing_the_sample_removes_all_its_records(store: DuckStore) -> None:
    said = commands.demo(store, argparse.Namespace(remove=True, if_empty=False, live=False, large=False), lambda text: None)
    assert said.exit_code == 0 and said.out == "Removed the sample fleet: the models sample, 300 predictions, 300 labels, 6 records."
    assert [model.name for model in store.catalog().models] == ["loan"]
    left = {kind: rows for kind, rows in store.status()["records"].items() if rows}
    assert left == LEFT
    again = commands.demo(store, argparse.Namespace(remove=True, if_empty=False, live=False, large=False), lambda text: None)
    assert again.out == "Removed the sample fleet: no model, 0 predictions, 0 labels, 0 records."


def test_removing_the_last_sample_model_removes_its_other_records(store: DuckStore) -> None:
    assert store.remove_model("sample")["records"] == 6
    assert {kind: rows for kind, rows in store.status()["records"].items() if rows} == LEFT


def test_removing_a_model_removes_the_records_of_its_runs_that_name_no_model(store: DuckStore) -> None:
    assert store.remove_model("loan")["records"] == 2
    assert store.status()["records"]["run"] == 2 and held(store, "run", "sample") == 2
