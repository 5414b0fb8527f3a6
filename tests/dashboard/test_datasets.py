"""The page about datasets shows each version's content, versions with the same content, the runs that used them and the rules applied to
them.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.dashboard import load
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words

END = datetime(2026, 3, 16, tzinfo=UTC)


def lines() -> list[dict]:
    """Three versions of one dataset (the third has the content of the first, the second was logged twice with different contents), a run
    that names the third version, a run that names only the dataset, a rule, and a rule that was only proposed.
    """
    at = [(END - timedelta(days=day)).isoformat() for day in range(10)]
    columns = {"age": {"null_share": 0.125, "distinct": 866}, "sex": {}}
    common = {"kind": "dataset", "dataset": "loans", "rows": 1000}
    found = [
        common | {"version": "1", "at": at[9], "checksum": "sha256:1111111111111111", "bytes": 2_000_000},
        common | {"version": "2", "at": at[6], "checksum": "sha256:2222222222222222", "added": 40, "parents": ["loans@1"]},
        common | {"version": "2", "at": at[5], "checksum": "sha256:3333333333333333", "added": 41, "parents": ["loans@1"]}
        | {"changed_columns": {"age": 7, "sex": 9}},
        common | {"version": "3", "at": at[3], "checksum": "sha256:1111111111111111", "columns": columns},
        {"kind": "run", "run": "of-three", "event": "start", "at": at[2], "dataset": "loans@3", "model": "loan"},
        {"kind": "run", "run": "of-any", "event": "start", "at": at[2], "dataset": "loans", "model": "loan"},
        {
            "kind": "cleaning", "rule": "adults", "dataset": "loans", "version": "3", "at": at[3], "rows_in": 1250, "rows_changed": 5,
            "rows_dropped": 250,
        },
        {
            "kind": "cleaning", "rule": "audit: outliers", "dataset": "loans", "version": "3", "at": at[3], "rows_in": 1000, "rows_changed": 0,
            "rows_dropped": 9, "proposed": True,
        },
    ]  # fmt: skip
    return found


@pytest.fixture
def logged(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with these records."""
    land(empty, lines(), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    return empty


def test_each_dataset_version_shows_its_content_and_identical_versions(logged: Database) -> None:
    app = opened("datasets")
    three, two, one = (each["cells"] for each in tables(app)["Versions of loans, newest first"]["rows"])
    assert [each["version"]["t"] for each in (three, two, one)] == ["3", "2", "1"]
    assert three["content"]["sub"] == "same content as version 1" and one["content"]["sub"] == "same content as version 3"
    assert two["content"]["s"] == "act" and two["content"]["t"] == "sha256:22222222… then sha256:33333333…"
    assert two["changes"]["sub"] == "changed in sex, age" and not three["changes"].get("sub")
    assert two["changes"]["t"] == "41 added" and two["parents"]["t"] == "loans@1" and one["bytes"]["t"] == "2.0 MB"
    assert (three["used"]["t"], two["used"]["t"]) == ("2", "1")
    assert "1 version was logged with different contents" in words(app)
    assert "Version 2 of dataset loans was logged with 2 different contents" in words(app).replace("`", "")


def test_a_version_shows_its_columns_its_rules_and_its_runs(logged: Database) -> None:
    app = opened("datasets", dataset="loans", version_of_data="3")
    (rule,) = tables(app)["Rules that cleaned loans 3"]["rows"]
    assert (rule["cells"]["dropped"]["t"], rule["cells"]["dropped"]["sub"]) == ("250", "20 %")
    assert rule["cells"]["rule"]["go"]["parameters"]["rule"] == "dataset:loans/rule:adults"
    assert "of-three" in words(app) and "of-any" in words(app) and "12.5 %" in words(app)
    shown = [cell.get("t") for each in tables(app).values() for row in each["rows"] for cell in row["cells"].values()]
    assert "866" in shown and "866.0" not in shown
    assert "of-three" not in words(opened("datasets", dataset="loans", version_of_data="2"))


def test_an_empty_page_shows_the_code_that_logs_datasets(empty: Database) -> None:
    assert any("log.dataset(" in each.value for each in opened("datasets").code)
