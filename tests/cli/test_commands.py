"""The command line follows the contract from end to end, and states clearly what went wrong."""

import errno
import json
import re
import shlex
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from observability.cli import command_host, commands, main
from observability.cli.execute import execute
from observability.cli.outcome import Outcome, missing_package
from observability.core.finding import Finding, acknowledged_finding
from observability.core.metric_definitions import METRICS
from observability.incidents.grouping import group_findings
from observability.server import process_lock
from tests.support import outside_project, raw_rows
from tests.support.commanding import Command, Done, by_metric, contents, one_sentence, spawn
from tests.support.length import some
from tests.support.new_store import new_store
from tests.support.ports import free_port
from tests.support.record_lines import prediction
from tests.support.running import dashboard
from tests.support.sample_home import ROOT, environment

REGISTER = (
    "register",
    "--model",
    "shop",
    "--version",
    "1",
    "--task",
    "binary",
    "--label",
    outside_project.LABEL,
    "--score",
    outside_project.SCORE,
    "--at",
    outside_project.WHEN,
    "--positive",
    "left",
    "--sensitive",
    "member",
    "--features",
    ",".join(outside_project.FEATURES),
)
LOAD = (
    "load",
    "--kind",
    "prediction",
    "--model",
    "shop",
    "--version",
    "1",
    "--features",
    ",".join(outside_project.FEATURES),
    "--timezone",
    "UTC",
    "--map",
    f"{outside_project.TICKET}=id",
    "--map",
    f"{outside_project.WHEN}=at",
    "--map",
    f"{outside_project.SCORE}=score",
    "--map",
    f"{outside_project.LABEL}=label",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A reference and serving logs from a stranger, as CSV."""
    folder = tmp_path_factory.mktemp("stranger")
    found = {"reference": folder / "held_out.csv", "logs": folder / "march.csv"}
    outside_project.held_out().to_csv(found["reference"], index=False)
    outside_project.served().to_csv(found["logs"], index=False)
    return found


def test_an_external_projects_files_work_from_registration_to_removal(command: Command, tmp_path: Path, files: dict[str, Path]) -> None:
    home, held_out, served = tmp_path / "home", outside_project.held_out(), outside_project.served()
    said = command(home, *REGISTER, "--reference", files["reference"])
    assert said.code == 0, said.error
    assert "left is the positive class" in said.out and "Sensitive attributes: member" in said.out
    assert (
        f"On these rows the accuracy is {100 * outside_project.accuracy(held_out):.1f} %, the ROC AUC {outside_project.auc(held_out):.3f};"
        in said.out
    )

    loaded = command(home, *LOAD, files["logs"], "--json").json()
    rows = len(served)
    assert loaded == {"lines": rows, "stored": rows, "duplicates": 0, "rejected": 0, "reasons": {}}
    again = command(home, *LOAD, files["logs"], "--json").json()
    assert again == {"lines": rows, "stored": 0, "duplicates": rows, "rejected": 0, "reasons": {}}

    window = ("--model", "shop", "--from", "2024-03-04", "--to", "2024-03-19", "--json")
    findings = by_metric(command(home, "check", *window).json())
    assert findings["accuracy"]["n"] == rows
    assert findings["accuracy"]["value"] == pytest.approx(outside_project.accuracy(served), rel=1e-9)
    assert findings["roc_auc"]["value"] == pytest.approx(outside_project.auc(served), abs=1e-3)

    settings = tmp_path / "shop.toml"
    settings.write_text('[settings]\nowner = "crm"\nthreshold = 0.3\n')
    assert command(home, "settings", "shop", "--settings", settings, "--json").json()["threshold"] == 0.3
    assert command(home, "settings", "shop", "--json").json()["owner"] == "crm"
    moved = by_metric(command(home, "check", *window).json())
    assert moved["accuracy"]["value"] == pytest.approx(outside_project.accuracy(served, 0.3), rel=1e-9)

    status = command(home, "status", "--json").json()
    shop = status["models"][0]
    assert (shop["model"], shop["versions"], shop["predictions"], shop["reference_rows"]) == ("shop", 1, rows, len(held_out))
    assert command(home, "remove", "shop").out.startswith("Removed shop.")
    assert command(home, "status", "--json").json()["models"] == []
    one_sentence(command(home, "remove", "shop"), 2, "shop")


def test_a_map_renames_the_columns_of_a_reference(command: Command, tmp_path: Path, files: dict[str, Path]) -> None:
    renamed = ("--map", f"{outside_project.SCORE}=score", "--map", "spend_eur=spend", "--features", "spend,visits", "--json")
    argv = [each if each != outside_project.SCORE else "score" for each in REGISTER if each not in ("--sensitive", "member")]
    said = command(tmp_path / "home", *argv, "--reference", files["reference"], *renamed).json()
    assert (said["model"], said["version"]) == ("shop", "1")
    assert any(each == "2 features: 2 numbers (spend, visits)." for each in said["inferred"])


WRONG = {
    "page.csv": "HTML",
    "nothing.csv": "empty",
    "cut.parquet": "Parquet",
    "sheet.csv": "spreadsheet",
    "latin.csv": "UTF-8",
    "header.csv": "no rows",
}


@pytest.mark.parametrize("name", some(WRONG, 3))
@pytest.mark.parametrize("verb", ["register", "load"])
def test_a_wrong_file_leaves_one_sentence_and_nothing_else(verb: str, name: str, command: Command, tmp_path: Path) -> None:
    home, (path, word) = tmp_path / "home", outside_project.wrong_files(tmp_path)[name]
    before = contents(home, command)
    done = command(home, *REGISTER, "--reference", path) if verb == "register" else command(home, *LOAD, path)
    one_sentence(done, 2, name, word)
    assert contents(home, command) == before


def test_columns_that_are_missing_are_named(command: Command, tmp_path: Path, files: dict[str, Path]) -> None:
    home = tmp_path / "home"
    without = tmp_path / "without.csv"
    outside_project.served().drop(columns=[outside_project.TICKET]).to_csv(without, index=False)
    before = contents(home, command)
    one_sentence(command(home, *LOAD, without), 2, outside_project.TICKET)
    one_sentence(command(home, "load", files["logs"], "--kind", "prediction", "--model", "shop", "--version", "1"), 2, "'id'", "march.csv")
    argv = [each if each != outside_project.LABEL else "chruned" for each in REGISTER]
    one_sentence(command(home, *argv, "--reference", files["reference"]), 2, "chruned", "churned")
    one_sentence(command(home, *REGISTER, "--reference", tmp_path / "nowhere.csv"), 2, "nowhere.csv")
    assert contents(home, command) == before


def test_an_unknown_ending_and_a_wrong_second_file_load_nothing(command: Command, tmp_path: Path, files: dict[str, Path]) -> None:
    home = tmp_path / "home"
    book = tmp_path / "march.xlsx"
    book.write_bytes(b"PK\x03\x04")
    before = contents(home, command)
    one_sentence(command(home, *LOAD, book), 2, "march.xlsx", ".parquet")
    one_sentence(command(home, *REGISTER, "--reference", book), 2, "march.xlsx")
    one_sentence(command(home, *LOAD, files["logs"], outside_project.wrong_files(tmp_path)["cut.parquet"][0]), 2, "cut.parquet")
    assert contents(home, command) == before


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("check", "--model", "nope"), "nope"),
        (("check", "--from", "yesterday"), "yesterday"),
        (("check", "--model", "employment", "--from", "2017-02-01", "--to", "2017-01-01"), "before it starts"),
        (("check", "--fail-on", "panic"), "panic"),
        (("check", "--model", "flights-late", "--slice", "shoe_size=44"), "shoe_size"),
        (("settings", "nope"), "nope"),
        (("load", "--map", "theirs"), "theirs=ours"),
        (("dance",), "dance"),
        (("demo",), "demo --remove"),
    ],
)
def test_wrong_use_ends_with_one_sentence(argv: tuple[str, ...], word: str, command: Command, stored_fleet: Path) -> None:
    one_sentence(command(stored_fleet, *argv), 2, word)


@pytest.mark.parametrize("argv", [("status",), ("metrics",), ("serve",)])
def test_a_missing_package_ends_with_one_sentence_and_exit_2(
    argv: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'duckdb.typing'", name="duckdb.typing")

    monkeypatch.setenv("OBSERVABILITY_HOME", str(tmp_path / "home"))
    for place in ("observability.cli.main.here_or_at_owner", "observability.cli.commands.metrics", "observability.cli.main.serve"):
        monkeypatch.setattr(place, absent)
    code = main.main(list(argv))
    printed = capsys.readouterr()
    one_sentence(Done(code, printed.out, printed.err), 2, "duckdb", "pip install 'observability-dashboard[dashboard]'")
    assert "typing" not in printed.err


def test_a_package_that_is_missing_inside_a_command_ends_with_exit_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'shap'", name="shap")

    monkeypatch.setitem(commands.COMMANDS, "explain", absent)
    outcome = execute(SimpleNamespace(home=tmp_path), ["explain"], lambda text: None)
    one_sentence(Done(outcome.exit_code, outcome.out, outcome.error), 2, "shap")


def test_a_missing_module_of_this_package_is_not_reported_as_a_missing_dependency() -> None:
    with pytest.raises(ModuleNotFoundError):
        missing_package(ModuleNotFoundError("No module named 'observability.nowhere'", name="observability.nowhere"))


@pytest.mark.parametrize(
    "name",
    [
        "demo",
        "register",
        "settings",
        "load",
        "check",
        "explain",
        "review",
        "case",
        "relabel",
        "token",
        "lab",
        "metrics",
        "status",
        "remove",
        "serve",
    ],
)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([name, "--help"])
    assert ended.value.code == 0
    assert f"Example: python -m observability {name}" in capsys.readouterr().out


def test_metrics_names_every_metric_and_needs_no_store(command: Command, tmp_path: Path) -> None:
    listed = command(tmp_path / "home", "metrics", "--json").json()
    assert [each["name"] for each in listed] == list(METRICS)
    assert all(each[key] for each in listed for key in ("title", "unit", "meaning", "formula", "source"))
    assert not (tmp_path / "home").exists()


def test_demo_if_empty_leaves_a_full_store_alone(command: Command, stored_fleet: Path) -> None:
    before = contents(stored_fleet, command)
    assert command(stored_fleet, "demo", "--if-empty") == Done(0, "", "")
    assert contents(stored_fleet, command) == before


def test_the_loaded_fleet_holds_every_raw_row(command: Command, stored_fleet: Path) -> None:
    models = {each["model"]: each for each in command(stored_fleet, "status", "--json").json()["models"]}
    for name in ("flights-delay", "flights-late", "employment", "sentiment"):
        files = [name, f"{name}.2"] if name in ("flights-late", "employment") else [name]
        files += [f"{name}.1-pruned"] if name == "flights-late" else []
        on_devices = ["flights-late.devices"] if name == "flights-late" else []  # these predictions are of a version that is not registered
        assert models[name]["versions"] == len([*files, *on_devices])
        asked = [*files, *on_devices, "clients"] if name == "flights-late" else files
        assert models[name]["predictions"] == sum(raw_rows.stored_rows(file, "predictions") for file in asked)
        assert models[name]["reference_rows"] == sum(raw_rows.stored_rows(file, "reference") for file in files)


def test_set_aside_segments_are_reported_and_retry_loads_them(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.store.ingest import loader

    ready = tmp_path / "landing" / "ready"
    ready.mkdir(parents=True)
    line = {"kind": "label", "id": "a", "at": "2024-01-01T00:00:00Z", "model": "loan", "value": 1}
    (ready / "20240101T000000-1-a.jsonl").write_text(json.dumps(line) + "\n")
    monkeypatch.setattr(loader, "parse_block", lambda *args: (_ for _ in ()).throw(ZeroDivisionError("a bug")))
    done = command(tmp_path, "load", "--json")
    assert done.json()["lines"] == 0 and "1 segment could not be loaded" in done.error and "retry" in done.error
    status = command(tmp_path, "status", "--json").json()
    assert status["landing"]["failed"] == 1 and status["set_aside"][0]["reason"] == "ZeroDivisionError: a bug"
    assert "1 segment could not be loaded" in command(tmp_path, "retry").error
    monkeypatch.undo()
    again = command(tmp_path, "retry")
    assert again.code == 0 and again.error == "" and "1 segment taken again" in again.out and "1 stored" in again.out
    assert command(tmp_path, "retry", "--json").json()["lines"] == 0
    assert command(tmp_path, "status", "--json").json()["set_aside"] == []


@pytest.mark.parametrize("argv", [("status",), ("audit-log",), ("sql", "SELECT")])
def test_an_output_that_cannot_be_written_ends_with_three_and_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
) -> None:
    home = new_store(tmp_path / "home")
    home.close()
    monkeypatch.setenv("OBSERVABILITY_HOME", str(home.home))
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stderr" if argv[0] == "sql" else "sys.stdout", full)
        assert main.main([*argv]) == 3
    told = capsys.readouterr().err
    assert told == ("" if argv[0] == "sql" else "The output could not be written: No space left on device. Write to another place.\n")


def test_a_reader_that_closes_the_pipe_early_is_no_failure(tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m observability audit-log --json; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; ({command}) | true"],
        cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.stderr == "0\n"


@pytest.mark.parametrize("where", ["command", "address"])
def test_a_disk_that_refuses_ends_a_command_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    home = new_store(tmp_path / "home")
    home.close()
    monkeypatch.setenv("OBSERVABILITY_HOME", str(home.home))

    def refuse(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/mnt/file")

    def wait(*_args: object) -> Outcome:
        time.sleep(2 * command_host.SHORT)  # by now the commands of other processes would be run
        return Outcome(0, "done")

    monkeypatch.setattr(commands, "COMMANDS", {"status": refuse if where == "command" else wait})
    monkeypatch.setattr(command_host, "write_address", refuse)
    monkeypatch.setattr(threading, "excepthook", lambda failed: sys.stderr.write(repr(failed.exc_value)))
    assert main.main(["status"]) == (3 if where == "command" else 0)
    told = capsys.readouterr().err
    assert told == "" if where == "address" else "the disk refused" in told and told.count("\n") == 1


def test_a_store_that_another_process_holds_ends_with_three_and_its_pid(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(main, "WAIT", 0.5)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from observability.server import process_lock; "
            "lock = process_lock.take_lock(Path(sys.argv[1])); "
            "print('held', flush=True); sys.stdin.read()",
            str(home),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(home),
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        one_sentence(command(home, "status"), 3, "another process")
        process_lock.write_address(home, process_lock.Address(holder.pid, free_port(), "nobody listens"))
        one_sentence(command(home, "status"), 3, f"process {holder.pid}")
        one_sentence(command(home, "serve", "--port", free_port()), 3, f"process {holder.pid}")
    finally:
        holder.communicate("")
    assert command(home, "status").code == 0


@pytest.mark.long  # tests/cli/test_command_host.py, tests/server/test_api.py
def test_commands_go_to_the_dashboard_that_runs(own_fleet: Path, tmp_path: Path, command: Command, files: dict[str, Path]) -> None:
    extra = tmp_path / "extra.jsonl"
    rows = raw_rows.last_week(raw_rows.predictions("employment")).head(50)
    extra.write_text(
        "".join(
            json.dumps(
                {
                    "kind": "label",
                    "id": each,
                    "at": "2018-12-31T23:00:00Z",
                    "model": "employment",
                    "value": int(1 - label),
                    "source": "correction",
                }
            )
            + "\n"
            for each, label in zip(rows["id"], rows["label"])
        )
    )
    with dashboard(own_fleet) as running:
        address = process_lock.read_address(own_fleet)
        assert address is not None and address.pid == running.pid
        assert (own_fleet / "owner.json").stat().st_mode & 0o077 == 0
        before = by_metric(spawn(own_fleet, "check", "--model", "employment", "--json").json())
        loaded = spawn(own_fleet, "load", extra.name, "--json", cwd=tmp_path).json()
        assert loaded == {"lines": 50, "stored": 50, "duplicates": 0, "rejected": 0, "reasons": {}}
        after = by_metric(command(own_fleet, "check", "--model", "employment", "--json").json())
        week = raw_rows.last_week(raw_rows.predictions("employment"))
        flipped = week.assign(label=week["label"].where(~week["id"].isin(rows["id"]), 1 - week["label"]))
        for found, truth in ((before, week), (after, flipped)):
            expected = raw_rows.classification(truth, raw_rows.threshold("employment"))["accuracy"]
            assert found["accuracy"]["value"] == pytest.approx(expected, rel=1e-9)
        token = re.search(r"obs_\S+", command(own_fleet, "token", "create", "--scope", "read").out)
        assert token is not None
        [line] = re.findall(r"`(curl -H [^`]*)`", (ROOT / "README.md").read_text(encoding="utf-8"))
        asked = line.replace("TOKEN", token[0]).replace("localhost:8501", running.url).replace("/ID", f"/{rows['id'].iloc[0]}")
        case = json.loads(subprocess.run([*shlex.split(asked), "-sS"], capture_output=True, text=True, timeout=600, check=True).stdout)
        assert case["prediction"]["id"] == rows["id"].iloc[0] and case["label"]["revisions"]
        assert command(own_fleet, *REGISTER, "--reference", files["reference"]).code == 0
        assert [each["model"] for each in running.status()["models"]] == [
            "acme/chat-large",
            "acme/chat-small",
            "acme/sentiment-small",
            "employment",
            "flights-delay",
            "flights-late",
            "help-desk",
            "sentiment",
            "shop",
        ]
        assert [each["model"] for each in running.status()["controllers"]] == ["route-cache"]
        assert command(own_fleet, "remove", "shop").code == 0
        one_sentence(command(own_fleet, *LOAD, outside_project.wrong_files(tmp_path)["page.csv"][0]), 2, "page.csv")
        assert (
            command(own_fleet, "check", "--model", "flights-delay", "--from", "2013-06-24", "--to", "2013-07-01", "--fail-on", "act").code
            == 1
        )
        done = spawn(own_fleet, "serve", "--port", free_port())
        assert (done.code, f"process {running.pid}" in done.error) == (3, True)
    assert not (own_fleet / "owner.json").exists()
    assert [each["model"] for each in command(own_fleet, "status", "--json").json()["models"]] == [
        "acme/chat-large",
        "acme/chat-small",
        "acme/sentiment-small",
        "employment",
        "flights-delay",
        "flights-late",
        "help-desk",
        "sentiment",
    ]


def test_backup_verify_and_restore_from_the_command_line(command: Command, tmp_path: Path) -> None:
    line = tmp_path / "line.jsonl"
    line.write_text(json.dumps({"kind": "label", "id": "a", "at": "2024-01-01T00:00:00Z", "model": "loan", "value": 1}) + "\n")
    assert command(tmp_path / "home", "load", line).code == 0
    made = command(tmp_path / "home", "backup", tmp_path / "backups", "--json").json()
    assert command(tmp_path / "home", "verify", "--json").json()["problems"] == []
    one_sentence(command(tmp_path / "home", "restore", tmp_path), 2, "no backup")
    restored = command(tmp_path / "other", "restore", tmp_path / "backups", "--json").json()
    assert restored["tables"] == made["tables"] and restored["tables"]["labels_shared"] == 1
    assert command(tmp_path / "other", "status", "--json").json()["models"][0]["labels"] == 1
    assert "Restored" in command(tmp_path / "other", "restore", tmp_path / "backups").out


def test_export_lake_writes_every_row_once(command: Command, tmp_path: Path) -> None:
    home, file, lake = tmp_path / "home", tmp_path / "some.jsonl", tmp_path / "lake"
    lines = [prediction(place, at=f"2024-03-0{1 + place % 3}T10:00:00Z") for place in range(1_200)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert command(home, "load", file, "--json").json()["stored"] == 1_200
    done = command(home, "export-lake", lake, "--json").json()
    found = duckdb.execute(
        f"SELECT day::VARCHAR, count(DISTINCT id) FROM '{lake}/predictions/*/*/*.parquet' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert found == [(f"2024-03-0{day}", 400) for day in (1, 2, 3)] and done["written"] == {**done["written"], "rows": 1_200, "files": 3}
    assert "Written now: 0 rows" in command(home, "export-lake", lake).out


def test_rollup_lake_recomputes_days_and_lists_those_it_keeps(command: Command, tmp_path: Path) -> None:
    home, lake = tmp_path / "home", tmp_path / "lake"
    for name, hour, first in (("some", 10, 0), ("late", 11, 1_200)):
        lines = [
            prediction(place, at=f"2024-03-0{1 + place % 3}T{hour}:00:00Z") for place in range(first, first + (1_200 if not first else 1))
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command(home, "load", tmp_path / "some.jsonl")
    assert command(home, "rollup-lake", lake, "--from", "2024-03-01", "--to", "2024-03-03").code == 3, "there is no lake at this place"
    command(home, "export-lake", lake)
    days = ("--from", "2024-03-01", "--to", "2024-03-02")
    (done,) = command(home, "rollup-lake", lake, *days, "--json").json()["models"]
    assert (done["days"], done["rows"], done["left"]) == (2, 800, {})
    command(home, "load", tmp_path / "late.jsonl")
    told = command(home, "rollup-lake", lake, *days, "--model", done["model"]).out
    assert "1 day of 400 rows in place" in told and "2024-03-01 stays as it was: its rows are not those of the store." in told
    assert "last day is before" in command(home, "rollup-lake", lake, "--from", "2024-03-02", "--to", "2024-03-01").error
    assert "--from is not a date" in command(home, "rollup-lake", lake, "--from", "March", "--to", "2024-03-01").error
    assert "no lake is named" in command(home, "rollup-lake", *days).error


def test_forget_reports_what_was_erased_without_naming_the_subject(command: Command, tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "some.jsonl"
    lines = [prediction(0, subject="person-77x"), prediction(1, subject="another")]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert command(home, "load", file).code == 0
    done = command(home, "forget", "--subject", "person-77x")
    assert done.code == 0 and "1 predictions" in done.out and "computed again: loan" in done.out and "person-77x" not in done.out
    again = command(home, "forget", "--subject", "person-77x", "--json").json()
    assert again["rows"] == {} and command(home, "load", file, "--json").json()["reasons"] == {"erased": 1}
    assert command(home, "forget", "--subject", " ").code == 2


def test_an_acknowledged_incident_is_printed_as_critical() -> None:
    """Regression: the line began with "Warning", above a total of "1 acknowledged"."""
    start = datetime(2026, 3, 2, tzinfo=UTC)
    found = Finding("data/quality", "loan", "1", "wind", "null_rate", 0.85, 90, "act", "Null.", start, start, "reference")
    (incident,) = group_findings([acknowledged_finding(found)], {})[1]
    assert incident.severity == "watch" and commands.incident_line(incident, ("loan",)).startswith("Critical ")
