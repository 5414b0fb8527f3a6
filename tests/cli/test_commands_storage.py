"""`audit-storage`, `croissant` and `lineage` give the same results as pandas, the model file and the official readers of the format."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.cli.execute import execute
from observability.core.bundle import bundle_folder
from observability.core.errors import UsageError
from observability.core.questions import Records
from observability.core.settings import parse_settings
from observability.core.window import EPOCH, Window
from observability.store.engine import Store
from sample_data import flights
from tests.support.new_store import new_store

SAMPLE = bundle_folder() / "sample_data"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    found = new_store(tmp_path / "home")
    yield found
    found.close()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A file with two columns that can identify single people."""
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"age": rng.integers(18, 90, 400), "zip": rng.choice(["A", "B", "C"], 400), "income": rng.normal(30, 9, 400)})
    path = tmp_path / "people.csv"
    table.to_csv(path, index=False)
    return path


def answer(store: Store, *argv: object) -> dict:
    """The JSON output of a command that succeeds."""
    outcome = execute(store, [*map(str, argv), "--json"], lambda _: None)
    assert outcome.exit_code == 0, outcome.error
    return json.loads(outcome.out)


def test_an_audit_of_a_file_is_kept_with_its_data_set(store: Store, people: Path) -> None:
    said = answer(store, "audit-storage", people, "--quasi", "age,zip", "--sensitive", "income", "--data-version", "1")
    store.load_landing()
    asked = Records("dataset", ("dataset", "version", "checksum", "extra"), ever=True)
    (row,) = store.ask(asked, Window("", EPOCH, EPOCH.replace(year=9999))).to_dict("records")
    assert (row["dataset"], row["version"]) == ("people", "1")
    assert row["checksum"] == f"sha256:{hashlib.sha256(people.read_bytes()).hexdigest()}"
    storage = row["extra"]["storage"]
    assert storage == said["storage"] and set(storage["codecs"]) == {"none", "snappy", "zstd", "gzip"}
    sizes = pd.read_csv(people).value_counts(["age", "zip"])
    groups = storage["groups"]
    assert (groups["k"], groups["groups"]) == (sizes.min(), len(sizes))
    assert groups["below"]["5"] == [int((sizes < 5).sum()), int(sizes[sizes < 5].sum())]
    assert storage["forms"]["float16"]["errors"].keys() == {"income"}
    text = execute(store, ["audit-storage", str(people), "--quasi", "age,zip", "--dry-run"], lambda _: None).out
    assert "(not kept)" in text and f"k = {sizes.min()} by age, zip" in text


def test_rows_added_changed_and_deleted_since_the_version_before_are_kept(store: Store, tmp_path: Path) -> None:
    before = pd.DataFrame({"person": ["a", "b", "c", "d"], "age": [31, 40, 55, None], "zip": ["A", "B", "C", "C"]})
    after = pd.DataFrame({"person": ["d", "b", "a", "e", "f"], "age": [None, 41, 31, 20, 21], "zip": ["C", "B", "A", "A", "B"]})
    paths = [tmp_path / "people-1.csv", tmp_path / "people-2.csv"]
    for rows, path in zip((before, after), paths, strict=True):
        rows.to_csv(path, index=False)
    about = ("--dataset", "people", "--data-version", "2", "--before", paths[0], "--before-version", "1", "--key", "person")
    said = answer(store, "audit-storage", paths[1], *about)
    assert (said["added"], said["changed"], said["deleted"], said["rows"]) == (2, 1, 1, 5), (
        "e and f are new, b is one year older, c is missing"
    )
    assert said["changed_columns"] == {"age": 1} and said["parents"] == ["people@1"]
    store.load_landing()
    asked = Records("dataset", ("added", "changed", "deleted", "parents"), ever=True)
    (row,) = store.ask(asked, Window("", EPOCH, EPOCH.replace(year=9999))).to_dict("records")
    assert row == {"added": 2, "changed": 1, "deleted": 1, "parents": ["people@1"]}
    text = execute(store, ["audit-storage", str(paths[1]), *map(str, about), "--dry-run"], lambda _: None).out
    assert "since the version before: 2 added, 1 changed (age in 1), 1 deleted" in text


@pytest.mark.long  # tests/dashboard/test_storage.py reads the storage audit of the sample
def test_lossy_forms_flip_the_decisions_that_the_model_file_flips(store: Store, tmp_path: Path) -> None:
    """Independent check: in this process, lightgbm itself reads the file and scores the rows."""
    reference = pd.read_parquet(SAMPLE / "flights-late.reference.parquet").head(1500)
    path = SAMPLE / "flights-late.lightgbm.txt"
    booster = lightgbm.Booster(model_file=path)
    names = booster.feature_name()
    levels = dict(zip([name for name in names if name in flights.LATE.categories], booster.pandas_categorical, strict=True))
    inputs = reference[names].copy()
    for name, known in levels.items():
        inputs[name] = pd.Categorical(inputs[name], categories=known)
    reference.assign(score=booster.predict(inputs)).to_parquet(tmp_path / "reference.parquet")
    answer(
        store, "register", "--model", "late", "--version", "1", "--task", "binary", "--reference", tmp_path / "reference.parquet",
        "--label", "label", "--score", "score", "--at", "at", "--artifact", path,
    )  # fmt: skip
    storage = answer(store, "audit-storage", "--model", "late", "--in-use", "256 levels", "--dry-run")["storage"]
    forms = storage["forms"]
    assert storage["in_use"] == "256 levels" and all(form["decode"] > 0 for form in forms.values())
    assert {name: form["model"]["rows"] for name, form in forms.items()} == dict.fromkeys(forms, 1500)
    assert forms["float32"]["model"]["largest"] <= forms["256 levels"]["model"]["largest"]
    assert forms["256 levels"]["model"]["low"] <= forms["256 levels"]["model"]["flips"] / 1500 <= forms["256 levels"]["model"]["high"]
    (parts,) = (form["model"]["slices"] for name, form in forms.items() if name == "3 digits")
    for column in {each["column"] for each in parts}:
        sizes = reference[column].astype(object).where(reference[column].notna(), "null").value_counts()
        assert {each["level"]: each["n"] for each in parts if each["column"] == column} == sizes[sizes >= 30].to_dict()
    changed = inputs.copy()
    for name in forms["float16"]["errors"]:
        changed[name] = inputs[name].astype(np.float16).astype(float)
    gap = np.abs(np.asarray(booster.predict(changed)) - np.asarray(booster.predict(inputs)))
    assert forms["float16"]["model"]["largest"] == pytest.approx(gap.max(), abs=1e-9)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("audit-storage",), "no data to audit are named"),
        (("audit-storage", "FILE", "--in-use", "float8"), "the data have no such form"),
        (("audit-storage", "FILE", "--quasi", "shoe"), "--quasi names a column that the data lack"),
        (("audit-storage", "FILE", "--model", "none"), "none"),
        (("audit-storage", "FILE", "--before", "FILE"), "the version before lacks the key"),
        (("audit-storage", "FILE", "--before", "FILE", "--key", "age"), "the key does not identify a row of the version before (in age)"),
        (("audit-storage", "FILE", "--key", "age"), "--before-version and --key need --before"),
    ],
)
def test_wrong_use_is_refused_with_one_sentence(store: Store, people: Path, argv: tuple[str, ...], said: str) -> None:
    outcome = execute(store, [str(people) if each == "FILE" else each for each in argv], lambda _: None)
    assert outcome.exit_code == 2 and outcome.error and said in outcome.error


def test_column_tags_are_read_from_the_settings() -> None:
    assert parse_settings({"columns": {"age": "quasi", "name": "personal"}}).column_tags == {"age": "quasi", "name": "personal"}
    with pytest.raises(UsageError, match="no tag"):
        parse_settings({"columns": {"age": "secret"}})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the official library uses rdflib in a deprecated way
def test_a_croissant_file_is_read_by_the_official_library(store: Store, people: Path, tmp_path: Path) -> None:
    answer(store, "audit-storage", people, "--data-version", "1")
    store.load_landing()
    out = people.with_suffix(".croissant.json")
    body = answer(store, "croissant", people, "--data-version", "1", "--license", "https://example.org/licence", "--out", out)
    assert json.loads(out.read_text(encoding="utf-8")) == body and body["version"] == "1"
    assert {field["name"]: field["dataType"] for field in body["recordSet"][0]["field"]} == {
        "age": "sc:Integer", "zip": "sc:Text", "income": "sc:Float",
    }  # fmt: skip
    people.write_text(people.read_text(encoding="utf-8") + "44,A,3.0\n", encoding="utf-8")
    outcome = execute(store, ["croissant", str(people), "--data-version", "1"], lambda _: None)
    assert outcome.exit_code == 2 and "the file differs from this version" in str(outcome.error)
    import mlcroissant as croissant

    body["distribution"][0]["sha256"] = hashlib.sha256(people.read_bytes()).hexdigest()
    out.write_text(json.dumps(body), encoding="utf-8")
    rows = list(croissant.Dataset(jsonld=str(out)).records("rows"))
    table = pd.read_csv(people)
    assert len(rows) == len(table) and rows[0]["rows/age"] == table["age"].iloc[0]


def test_events_are_written_one_a_line(store: Store, people: Path, tmp_path: Path) -> None:
    answer(store, "audit-storage", people, "--data-version", "1")
    store.load_landing()
    out = tmp_path / "events.jsonl"
    assert answer(store, "lineage", "--out", out)["events"] == 1
    (event,) = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert event["outputs"][0]["name"] == "people" and event["job"] == {"namespace": "observability", "name": "make people"}
