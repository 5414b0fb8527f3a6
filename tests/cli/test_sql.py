"""The command `sql` answers one SELECT over the views as a table, CSV or JSON, and refuses everything else with a clear reason."""

import csv
import io
import json
from pathlib import Path

import pytest

from observability.store.types.loading import LoadDefaults
from tests.support.commanding import Command
from tests.support.new_store import new_store
from tests.support.record_lines import label, prediction

QUERY = """SELECT id, score, label, "feature.age" AS age, "at", absent FROM "loan.predictions" ORDER BY id"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    lines = tmp_path / "records.jsonl"
    lines.write_text("".join(json.dumps(each) + "\n" for each in (prediction(0), prediction(1, score=0.75), label(1, 1))))
    with new_store(tmp_path / "home") as store:
        store.load_files([lines], LoadDefaults())
    return tmp_path / "home"


def test_json_gives_rows_as_objects(command: Command, home: Path) -> None:
    done = command(home, "sql", QUERY, "--json")
    assert (done.code, done.error) == (0, "")
    assert json.loads(done.out) == [
        {"id": "p0", "score": 0.25, "label": None, "age": 30.0, "at": "2024-03-01T10:00:00Z", "absent": []},
        {"id": "p1", "score": 0.75, "label": "1", "age": 31.0, "at": "2024-03-01T10:00:00Z", "absent": []},
    ]


def test_csv_can_be_read_back(command: Command, home: Path) -> None:
    done = command(home, "sql", """SELECT id, 'a,"b' AS quoted, score > 0.5 AS high FROM "loan.predictions" ORDER BY id""", "--csv")
    assert list(csv.reader(io.StringIO(done.out))) == [["id", "quoted", "high"], ["p0", 'a,"b', "false"], ["p1", 'a,"b', "true"]]


def test_the_table_pads_columns_and_says_where_it_is_empty(command: Command, home: Path) -> None:
    done = command(home, "sql", """SELECT id, score AS s FROM "loan.predictions" ORDER BY id""")
    assert done.out.splitlines() == ["id     s", "--  ----", "p0  0.25", "p1  0.75"]
    assert command(home, "sql", "SELECT run FROM runs").out.splitlines() == ["run", "---", "(no rows)"]


def test_a_truncated_result_is_reported_on_stderr(command: Command, home: Path) -> None:
    done = command(home, "sql", "SELECT i FROM range(10) a(i)", "--limit", "2", "--json")
    assert (done.code, len(json.loads(done.out))) == (0, 2)
    assert done.error == "The result has more than 2 rows; raise --limit to show them.\n"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["SELECT nonsense FROM runs"], 'the query failed; got Referenced column "nonsense" not found'),
        (["DELETE FROM runs"], "only one SELECT can be run"),
        (["SELECT * FROM predictions_1"], "there is no view 'predictions_1'"),
        (['SELECT * FROM "loan".predictions'], """there is no view '"loan"."predictions"'. Did you mean "loan.predictions"?"""),
        (["SELECT count(*) FROM range(10000000000) a(i) WHERE i % 7 = sin(i)", "--seconds", "0.1"], "at most 0.1 seconds"),
        (["SELECT 1", "--limit", "0"], "--limit and --seconds take positive numbers"),
    ],
)
def test_a_wrong_query_ends_with_exit_2_and_one_sentence(command: Command, home: Path, argv: list[str], words: str) -> None:
    done = command(home, "sql", *argv)
    assert (done.code, done.out) == (2, "")
    assert words in done.error


@pytest.mark.long  # tests/dashboard/test_pages.py::test_the_query_shown_on_a_page_reproduces_the_chosen_finding_value
def test_a_finding_on_the_command_line_includes_its_proof_query_which_reproduces_the_value(command: Command, stored_fleet: Path) -> None:
    window = ("--model", "flights-delay", "--from", "2013-12-26", "--to", "2014-01-02")
    (mae,) = [
        each for each in command(stored_fleet, "check", *window, "--json").json() if each["metric"] == "mae" and each["basis"] == "measured"
    ]
    assert command(stored_fleet, "sql", mae["proof"], "--json").json() == [{"mae": pytest.approx(mae["value"], rel=1e-9)}]
    assert command(stored_fleet, "sql", mae["proof"], "--csv").out.splitlines()[0] == "mae"
