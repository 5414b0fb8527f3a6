"""`apply` changes a home to match a configuration file. It shows the changes first, and changes only the settings that the file names."""

import json
from datetime import datetime

import pytest

from observability.cli.configuration import planned_steps
from observability.core.errors import UsageError
from tests.support.commanding import one_sentence
from tests.support.length import some
from tests.support.new_store import new_store

REFERENCE = "id,at,score,label,age\n" + "".join(
    f"r{i},2024-03-{1 + i % 28:02}T00:00:00Z,{0.1 + 0.8 * (i % 2)},{i % 2},{20 + i % 40}\n" for i in range(200)
)
WANTED = """
[[model]]
name = "loan"
version = "3"
task = "binary"
reference = "loan.csv"
label = "label"
score = "score"
at = "at"
features = ["age"]

[models.loan.settings]
owner = "credit risk"
threshold = 0.4

[channels]
desk = "json://secret.example.org/token"
[alerts]
default = ["desk"]

[limits]
body_bytes = 500000

[retention]
rows = 400
[retention.models.loan]
rows = 90
"""


@pytest.fixture
def wanted(tmp_path):
    folder = tmp_path / "configuration"
    folder.mkdir()
    (folder / "loan.csv").write_text(REFERENCE)
    file = folder / "home.toml"
    file.write_text(WANTED)
    return file


def test_a_plan_changes_nothing_and_after_applying_it_no_change_remains(command, tmp_path, wanted):
    home = tmp_path / "home"
    planned = command(home, "apply", wanted, "--dry-run", "--json")
    body = json.loads(planned.out)
    assert body["changes"] == [
        "model loan: register version 3",
        "model loan: threshold: 0.5 → 0.4; owner: not set → credit risk",
        "alerts.toml: channels.desk: not set → json://…; alerts.default: not set → desk",
        "limits.toml: limits.body_bytes: not set → 500000",
        "keeping.toml: retention.rows: not set → 400; retention.models.loan.rows: not set → 90",
    ]
    assert not (home / "limits.toml").exists() and "loan" not in command(home, "status").out
    assert json.loads(command(home, "apply", wanted, "--json").out)["changes"] == body["changes"]
    assert command(home, "apply", wanted).out == "Nothing to change.\n"
    settings = json.loads(command(home, "settings", "loan", "--json").out)
    assert (settings["threshold"], settings["owner"]) == (0.4, "credit risk")
    assert oct((home / "alerts.toml").stat().st_mode & 0o777) == "0o600"


def test_a_version_that_was_only_seen_in_predictions_is_registered(command, tmp_path, wanted):
    home, seen = tmp_path / "home", tmp_path / "seen.jsonl"
    record = {"kind": "prediction", "id": "p1", "at": "2024-04-01T00:00:00Z", "model": "loan", "version": "3", "score": 0.2}
    seen.write_text(json.dumps(record | {"features": {"age": 30}}) + "\n")
    command(home, "load", seen)
    assert "model loan: register version 3" in json.loads(command(home, "apply", wanted, "--json").out)["changes"]
    assert command(home, "apply", wanted).out == "Nothing to change.\n"


def test_a_registration_takes_the_time_zone_of_the_file(command, tmp_path, wanted):
    (wanted.parent / "loan.csv").write_text(REFERENCE.replace("T00:00:00Z", " 00:00"))
    wanted.write_text(WANTED.replace('task = "binary"', 'task = "binary"\ntimezone = "Europe/Paris"'))
    command(tmp_path / "home", "apply", wanted)
    with new_store(tmp_path / "home") as store, store.cursor() as cursor:
        assert cursor.execute('SELECT min("at") FROM predictions_1').fetchone() == (datetime(2024, 2, 29, 23),)


def test_settings_not_named_in_the_file_are_kept(command, tmp_path, wanted):
    home = tmp_path / "home"
    command(home, "apply", wanted)
    (home / "keeping.toml").write_text("[retention]\nrows = 400  # the regulator asks\n[backup]\nkeep = 3\n")
    wanted.write_text('[retention]\nrows = 300\n[models.loan.settings]\ndescription = "Who pays back"\n')
    done = command(home, "apply", wanted)
    assert done.out.splitlines() == [
        "Changed 2 things:",
        "  model loan: description: not set → Who pays back",
        "  keeping.toml: retention.rows: 400 → 300",
    ]
    assert (home / "keeping.toml").read_text() == "[retention]\nrows = 300  # the regulator asks\n[backup]\nkeep = 3\n"
    assert json.loads(command(home, "settings", "loan", "--json").out)["owner"] == "credit risk"


@pytest.mark.parametrize(
    ("text", "said"),
    some(
        [
            ("[limitz]\n", "limitz"),
            ("[limits]\nbody_bytes = -1\n", "whole number above zero"),
            ("[retention]\nrows = 0\n", "at least 1"),
            ("[alerts]\ndefault = ['nobody']\n", "unknown channel"),
            ("[models.loan.settings]\nthresold = 0.4\n", "thresold"),
            ("[models.other.settings]\nthreshold = 0.4\n", "not registered"),
            ("[[model]]\nname = 'a'\nversion = '1'\n", "task, reference, label, score"),
            (WANTED.replace("loan.csv", "lone.csv"), "does not exist"),
            (WANTED.replace('label = "label"', 'label = "label"\nlabl = 1'), "labl"),
            (WANTED.replace('"binary"', '"bin"'), "binary, regression, multiclass"),
            (WANTED.replace('label = "label"', 'label = "label"\nin_sample = "yes"'), "in_sample is true or false"),
            (WANTED + WANTED[: WANTED.index("[models")], "twice"),
            ("model = 3\n", "[[model]]"),
            ("limits = 3\n", "[limits]"),
            ("[limits\n", "not TOML"),
        ],
        6,
    ),
)
def test_an_invalid_configuration_is_refused_before_anything_changes(command, tmp_path, wanted, text, said):
    home = tmp_path / "home"
    if "models.loan" in text and "[[model]]" not in text:
        (wanted.parent / "first.toml").write_text(WANTED)
        command(home, "apply", wanted.parent / "first.toml")
    before = sorted(path.name for path in home.glob("*.toml"))
    wanted.write_text("[backup]\nkeep = 5\n" + text if "[" in text[:1] else text)
    done = command(home, "apply", wanted)
    one_sentence(done, 2, said)
    assert sorted(path.name for path in home.glob("*.toml")) == before


@pytest.mark.parametrize("before", [None, "[retention]\nrows = 300\n"])
def test_a_file_that_was_edited_after_the_plan_is_not_overwritten(tmp_path, before):
    wanted = tmp_path / "home.toml"
    wanted.write_text("[limits]\nbody_bytes = 500000\n[retention]\nrows = 400\n")
    with new_store(tmp_path / "home", threads=1) as store:
        keeping = store.home / "keeping.toml"
        if before:
            keeping.write_text(before)
        limits, kept = planned_steps(store, wanted, author="Ann")
        keeping.write_text("[backup]\nkeep = 3\n")
        limits.run(print)
        with pytest.raises(UsageError, match=r"edited since.*run apply again"):
            kept.run(print)
        assert keeping.read_text() == "[backup]\nkeep = 3\n"
        (again,) = planned_steps(store, wanted, author="Ann")
        again.run(print)
        assert "rows = 400" in keeping.read_text() and "keep = 3" in keeping.read_text()


def test_protected_features_may_be_declared_before_the_first_record(command, tmp_path):
    home, path = tmp_path / "home", tmp_path / "rules.toml"
    path.write_text("[models.chat.protect]\ninput_text = 'drop'\n")
    assert "model chat: protect" in command(home, "apply", path, "--dry-run").out
    assert command(home, "apply", path).code == 0
    assert json.loads((home / "protect.json").read_text()) == {"chat": {"input_text": "drop"}}
    assert command(home, "settings", "chat", "--json").json()["protect"] == {"input_text": "drop"}
    path.write_text("[protect]\nnote = 'hash'\n")
    assert "No record of voice has arrived" in command(home, "settings", "voice", "--settings", path).error
