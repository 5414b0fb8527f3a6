"""Trials of Optuna's SQLite storage and journal become runs of their study."""

import math
import sqlite3
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from observability.core.errors import UsageError
from tests.support.imported_items import FIXTURES, read_items, records_of, refused_counts, unpacked_fixture


@pytest.fixture(params=["sqlite", "journal"])
def items(request: pytest.FixtureRequest, tmp_path: Path):
    path = FIXTURES / "optuna.log" if request.param == "journal" else unpacked_fixture("optuna.db.gz", tmp_path)
    return read_items("optuna", path)


def trial(items, study: str, number: int) -> dict:
    (start,) = records_of(items, "run", event="start", study=study, trial=number)
    return start


def test_a_trial_is_a_run_with_the_parameter_values_passed_to_the_objective(items):
    start = trial(items, "loan search", 0)
    assert start["params"].keys() == {"x", "kind", "depth"}
    assert start["params"]["kind"] in ("tree", "linear", None)
    assert isinstance(start["params"]["depth"], int)
    assert (start["directions"], start["attributes"]) == (["minimize"], {"host": "h1"})
    steps = records_of(items, "step", run=start["run"])
    x, depth = start["params"]["x"], start["params"]["depth"]
    assert [step["metrics"]["objective"] for step in steps] == [x**2 + depth / 10 + 1 / (step + 1) for step in range(3)]
    (end,) = records_of(items, "run", event="end", run=start["run"])
    assert (end["status"], end["metrics"]) == ("finished", {"objective": x**2 + (0 if start["params"]["kind"] == "tree" else 1)})
    assert start["at"] < end["at"] and start["at"].endswith("Z")


def test_pruned_and_failed_trials_keep_their_status(items):
    ends = {number: records_of(items, "run", event="end", run=trial(items, "loan search", number)["run"])[0] for number in (2, 3)}
    assert (ends[2]["status"], ends[3]["status"]) == ("pruned", "failed")


def test_several_objectives_have_the_names_of_the_study(items):
    (end,) = records_of(items, "run", event="end", run=trial(items, "two goals", 1)["run"])
    assert end["metrics"].keys() == {"loss", "auc"} and end["metrics"]["auc"] == math.inf


def test_entries_without_a_matching_field_are_refused(items):
    assert refused_counts(items) == {("study attributes", "no_field"): 1, ("trials", "not_started"): 1}


def test_times_of_older_versions_need_a_time_zone(tmp_path):
    path = unpacked_fixture("optuna.db.gz", tmp_path)
    utc = trial(read_items("optuna", path, timezone=ZoneInfo("Europe/Paris")), "loan search", 0)["at"]
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE version_info SET library_version = '4.6.0'")
    connection.close()
    with pytest.raises(UsageError, match=r"times have no offset.*--timezone"):
        read_items("optuna", path)
    assert trial(read_items("optuna", path, timezone=UTC), "loan search", 0)["at"] == utc
    assert trial(read_items("optuna", path, timezone=ZoneInfo("Europe/Paris")), "loan search", 0)["at"] < utc


def test_a_journal_that_is_being_written_is_read_up_to_its_last_whole_line(tmp_path):
    lines = (FIXTURES / "optuna.log").read_text().splitlines(keepends=True)
    path = tmp_path / "optuna.log"
    path.write_text("".join(lines[:9]) + lines[9][:20])
    assert len(records_of(read_items("optuna", path), "run", event="start")) == 1
    path.write_text("".join(lines[:4]) + "nonsense\n" + "".join(lines[4:]))
    with pytest.raises(UsageError, match=r"the journal is damaged \(in optuna.log, line 5\)"):
        read_items("optuna", path)


@pytest.mark.parametrize("content", [b'{"a": 1}\n', b"a,b\n1,2\n", b"\xff\xfe\x00", b""])
def test_another_file_is_refused_as_optuna_storage(tmp_path, content):
    path = tmp_path / "study.log"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"not an Optuna storage|holds no study"):
        read_items("optuna", path)
