"""Does the command line do what the contract says, from end to end, and does it say plainly what went wrong?"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability import cli, owner, run
from observability.metrics import METRICS
from observability.store.database import Store
from tests import raw, stranger
from tests.running import dashboard, free_port
from tests.sample_home import ROOT, copied, environment, sample_home

KEYS = {
    "id", "analyzer", "model", "version", "subject", "metric", "value", "unit", "low", "high", "n", "limit", "basis", "severity", "because",
    "window", "slice", "against", "onset", "incident", "likely_source", "event", "evidence",
}  # fmt: skip
"""Of a finding (contract, section 3)."""
JULY = ("--from", "2013-07-01", "--to", "2013-08-01")
REGISTER = (
    "register", "--model", "shop", "--version", "1", "--task", "binary", "--label", stranger.LABEL, "--score", stranger.SCORE,
    "--at", stranger.WHEN, "--positive", "left", "--sensitive", "member",
)  # fmt: skip
LOAD = (
    "load", "--kind", "prediction", "--model", "shop", "--version", "1", "--features", ",".join(stranger.FEATURES), "--timezone", "UTC",
    "--map", f"{stranger.TICKET}=id", "--map", f"{stranger.WHEN}=at", "--map", f"{stranger.SCORE}=score", "--map", f"{stranger.LABEL}=label",
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    error: str

    def json(self) -> Any:
        """The answer, after checking that the command ended well."""
        assert self.code == 0, self
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line on a home, in this process."""

    def work(home: Path, *argv: object) -> Done:
        monkeypatch.setenv("OBSERVABILITY_HOME", str(home))
        capsys.readouterr()
        code = cli.main([str(each) for each in argv])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return work


def spawn(home: Path, *argv: object, cwd: Path = ROOT) -> Done:
    """Runs a command line on a home as a person does, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "observability", *map(str, argv)],
        cwd=cwd, env=environment(home) | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample fleet, which no test of this module changes."""
    return copied(sample_home(tmp_path_factory), tmp_path_factory.mktemp("commands") / "home")


@pytest.fixture
def own_fleet(fleet: Path, tmp_path: Path) -> Path:
    """A copy of the sample fleet to change."""
    return copied(fleet, tmp_path / "fleet")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A stranger's reference and serving logs, as CSV."""
    folder = tmp_path_factory.mktemp("stranger")
    found = {"reference": folder / "held_out.csv", "logs": folder / "march.csv"}
    stranger.held_out().to_csv(found["reference"], index=False)
    stranger.served().to_csv(found["logs"], index=False)
    return found


def by_metric(findings: list[dict[str, Any]], analyzer: str = "serving/performance") -> dict[str, dict[str, Any]]:
    """Findings about the model itself by their metric."""
    return {each["metric"]: each for each in findings if each["analyzer"] == analyzer and each["subject"] == "model"}


def contents(home: Path, command: Command) -> dict[str, Any]:
    """What a store holds: models with their counts, records, rejected lines, files left in landing."""
    status = command(home, "status", "--json").json()
    models = {each["model"]: (each["versions"], each["predictions"], each["reference_rows"], each["labels"]) for each in status["models"]}
    left = sorted(each.name for each in home.rglob("*") if each.is_file() and each.parent.name in ("uploads", "ready", "tmp"))
    return {"models": models, "records": status["records"], "rejected": status["rejected"]["total"], "left": left}


def one_sentence(done: Done, code: int, *words: str) -> None:
    """One line on the error stream, a sentence that holds the words, nothing on the other."""
    assert done.code == code, done
    assert done.out == ""
    lines = done.error.strip().splitlines()
    assert len(lines) == 1 and lines[0].endswith("."), done.error
    assert "Traceback" not in lines[0] and "Unexpected" not in lines[0]
    for word in words:
        assert word in lines[0], lines[0]


def test_a_strangers_files_from_registration_to_removal(command: Command, tmp_path: Path, files: dict[str, Path]) -> None:
    home, held_out, served = tmp_path / "home", stranger.held_out(), stranger.served()
    said = command(home, *REGISTER, "--reference", files["reference"])
    assert said.code == 0, said.error
    assert "left is the positive class" in said.out and "Fairness is judged on member" in said.out
    assert f"On these rows the accuracy is {stranger.accuracy(held_out):.1%}, the ROC AUC {stranger.auc(held_out):.3f};" in said.out

    loaded = command(home, *LOAD, files["logs"], "--json").json()
    rows = len(served)
    assert loaded == {"lines": rows, "stored": rows, "duplicates": 0, "rejected": 0, "reasons": {}}
    again = command(home, *LOAD, files["logs"], "--json").json()
    assert again == {"lines": rows, "stored": 0, "duplicates": rows, "rejected": 0, "reasons": {}}

    window = ("--model", "shop", "--from", "2024-03-04", "--to", "2024-03-19", "--json")
    findings = by_metric(command(home, "check", *window).json())
    assert findings["accuracy"]["n"] == rows
    assert findings["accuracy"]["value"] == pytest.approx(stranger.accuracy(served), rel=1e-9)
    assert findings["roc_auc"]["value"] == pytest.approx(stranger.auc(served), abs=1e-3)

    settings = tmp_path / "shop.toml"
    settings.write_text('[settings]\nowner = "crm"\nthreshold = 0.3\n')
    assert command(home, "settings", "shop", "--settings", settings, "--json").json()["threshold"] == 0.3
    assert command(home, "settings", "shop", "--json").json()["owner"] == "crm"
    moved = by_metric(command(home, "check", *window).json())
    assert moved["accuracy"]["value"] == pytest.approx(stranger.accuracy(served, 0.3), rel=1e-9)

    status = command(home, "status", "--json").json()
    shop = status["models"][0]
    assert (shop["model"], shop["versions"], shop["predictions"], shop["reference_rows"]) == ("shop", 1, rows, len(held_out))
    assert command(home, "remove", "shop").out.startswith("Removed shop.")
    assert command(home, "status", "--json").json()["models"] == []
    one_sentence(command(home, "remove", "shop"), 2, "shop")


def test_a_map_renames_the_columns_of_a_reference(command: Command, tmp_path: Path, files: dict[str, Path]) -> None:
    renamed = ("--map", f"{stranger.SCORE}=score", "--map", "spend_eur=spend", "--features", "spend,visits", "--json")
    argv = [each if each != stranger.SCORE else "score" for each in REGISTER if each not in ("--sensitive", "member")]
    said = command(tmp_path / "home", *argv, "--reference", files["reference"], *renamed).json()
    assert (said["model"], said["version"]) == ("shop", "1")
    assert any(each == "2 features: 2 numbers (spend, visits)." for each in said["inferred"])


WRONG = {
    "page.csv": "HTML", "nothing.csv": "empty", "cut.parquet": "Parquet", "sheet.csv": "spreadsheet", "latin.csv": "UTF-8", "header.csv": "no rows",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("verb", ["register", "load"])
def test_a_wrong_file_leaves_one_sentence_and_nothing_else(verb: str, name: str, command: Command, tmp_path: Path) -> None:
    home, (path, word) = tmp_path / "home", stranger.wrong_files(tmp_path)[name]
    before = contents(home, command)
    done = command(home, *REGISTER, "--reference", path) if verb == "register" else command(home, *LOAD, path)
    one_sentence(done, 2, name, word)
    assert contents(home, command) == before


def test_columns_that_are_missing_are_named(command: Command, tmp_path: Path, files: dict[str, Path]) -> None:
    home = tmp_path / "home"
    without = tmp_path / "without.csv"
    stranger.served().drop(columns=[stranger.TICKET]).to_csv(without, index=False)
    before = contents(home, command)
    one_sentence(command(home, *LOAD, without), 2, stranger.TICKET)
    one_sentence(command(home, "load", files["logs"], "--kind", "prediction", "--model", "shop", "--version", "1"), 2, "'id'", "march.csv")
    argv = [each if each != stranger.LABEL else "chruned" for each in REGISTER]
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
    one_sentence(command(home, *LOAD, files["logs"], stranger.wrong_files(tmp_path)["cut.parquet"][0]), 2, "cut.parquet")
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
        (("demo",), "not empty"),
    ],
)
def test_wrong_use_ends_with_one_sentence(argv: tuple[str, ...], word: str, command: Command, fleet: Path) -> None:
    one_sentence(command(fleet, *argv), 2, word)


@pytest.mark.parametrize("name", ["demo", "register", "settings", "load", "check", "metrics", "status", "remove", "serve"])
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert f"Example: python -m observability {name}" in capsys.readouterr().out


def test_metrics_names_every_metric_and_needs_no_store(command: Command, tmp_path: Path) -> None:
    listed = command(tmp_path / "home", "metrics", "--json").json()
    assert [each["name"] for each in listed] == list(METRICS)
    assert all(each[key] for each in listed for key in ("title", "unit", "meaning", "formula", "source"))
    assert not (tmp_path / "home").exists()


def test_demo_if_empty_leaves_a_full_store_alone(command: Command, fleet: Path) -> None:
    before = contents(fleet, command)
    assert command(fleet, "demo", "--if-empty") == Done(0, "", "")
    assert contents(fleet, command) == before


def test_the_loaded_fleet_holds_every_raw_row(command: Command, fleet: Path) -> None:
    models = {each["model"]: each for each in command(fleet, "status", "--json").json()["models"]}
    for name in ("flights-delay", "flights-late", "employment"):
        assert models[name]["predictions"] == len(raw.predictions(name))
        assert models[name]["reference_rows"] == len(raw.reference(name))


def test_july_names_the_degradation_of_flights_delay_with_exact_figures(fleet: Path) -> None:
    findings = spawn(fleet, "check", "--model", "flights-delay", *JULY, "--json").json()
    july = raw.between(raw.predictions("flights-delay"), "2013-07-01", "2013-08-01")
    found, reference = by_metric(findings), raw.regression(raw.reference("flights-delay"))
    for metric, value in raw.regression(july).items():
        assert found[metric]["value"] == pytest.approx(value, rel=1e-9), metric
        assert found[metric]["n"] == july["label"].notna().sum()
    assert found["mae"]["severity"] == "act"
    assert found["mae"]["evidence"]["baseline"] == pytest.approx(reference["mae"], rel=1e-9)
    assert f"{reference['mae']:.3g}" in found["mae"]["because"]
    assert [each["severity"] for each in findings] == sorted(
        (each["severity"] for each in findings), key=["act", "watch", "unknown", "ok"].index
    )


def test_july_of_flights_late_agrees_with_scikit_learn(command: Command, fleet: Path) -> None:
    found = by_metric(command(fleet, "check", "--model", "flights-late", *JULY, "--json").json())
    july = raw.between(raw.predictions("flights-late"), "2013-07-01", "2013-08-01")
    for metric, value in raw.classification(july, raw.threshold("flights-late")).items():
        near = {"roc_auc": {"abs": 1e-3}, "pr_auc": {"abs": 3e-3}}.get(metric, {"rel": 1e-9})
        assert found[metric]["value"] == pytest.approx(value, **near), metric


def test_findings_carry_exactly_the_keys_of_the_contract(command: Command, fleet: Path) -> None:
    findings = command(fleet, "check", "--json").json()
    assert {each["model"] for each in findings} == {"flights-delay", "flights-late", "employment"}
    for each in findings:
        assert set(each) == KEYS
        assert set(each["window"]) == {"start", "end"}
        assert each["metric"] in METRICS and each["unit"] == METRICS[each["metric"]].unit
        assert each["basis"] in ("measured", "estimated", "simulated") and each["severity"] in ("ok", "watch", "act", "unknown")
        assert each["against"] in ("reference", "past", "level", "peers")
        assert each["severity"] == "unknown" or each["value"] is not None
        assert each["because"].endswith(".")
    assert len({each["id"] for each in findings}) == len(findings)


def test_the_silence_after_the_end_of_a_model_is_no_news(command: Command, fleet: Path) -> None:
    """The default window of a model that ended years ago is filled up to its last record's day; the rest of that day is not called silent."""
    found = {
        each["metric"]: each
        for each in command(fleet, "check", "--model", "flights-delay", "--json").json()
        if each["analyzer"] == "data/quality"
    }
    assert [found[metric]["severity"] for metric in ("silence_hours", "freshness_hours", "volume")] == ["ok"] * 3
    assert found["freshness_hours"]["value"] < 1


def test_a_slice_of_all_models_leaves_out_those_without_its_column(command: Command, fleet: Path) -> None:
    said = command(fleet, "check", "--slice", "SEX=female")
    assert said.code == 0
    assert "flights-delay is left out: column 'SEX' is not in flights-delay." in said.out
    found = by_metric(command(fleet, "check", "--slice", "SEX=female", "--json").json())
    week = raw.last_week(raw.predictions("employment"))
    expected = raw.classification(week[week["SEX"] == "female"], raw.threshold("employment"))
    assert found["accuracy"]["value"] == pytest.approx(expected["accuracy"], rel=1e-9)
    assert found["accuracy"]["slice"] == "SEX=female"


def test_fail_on_ends_with_one_where_a_finding_is_that_bad(command: Command, fleet: Path) -> None:
    week = ("--model", "employment", "--from", "2017-01-02", "--to", "2017-01-09")
    assert command(fleet, "check", "--model", "flights-delay", *JULY, "--fail-on", "act").code == 1
    assert command(fleet, "check", "--model", "flights-delay", *JULY).code == 0
    assert command(fleet, "check", *week, "--fail-on", "act").code == 0


def test_nothing_that_arrives_after_as_of_gives_the_game_away(command: Command, own_fleet: Path, tmp_path: Path) -> None:
    as_of, week = pd.Timestamp("2013-07-08T00:00", tz="UTC"), ("--model", "flights-delay", "--from", "2013-07-01", "--to", "2013-07-08")
    served = raw.between(raw.predictions("flights-delay"), "2013-07-01", "2013-07-08")
    labels = pd.read_parquet(raw.SAMPLE / "flights-delay.labels.parquet").set_index("id")
    arrived = served["id"].map(labels["received_at"])
    known = served[arrived <= as_of]
    assert 0 < len(known) < served["label"].notna().sum()
    asked = ("check", *week, "--as-of", "2013-07-08", "--json")
    before = command(own_fleet, *asked).json()
    for metric, value in raw.regression(known).items():
        assert by_metric(before)[metric]["value"] == pytest.approx(value, rel=1e-9), metric
    assert by_metric(before)["mae"]["n"] == len(known)

    never = served[served["label"].isna()]["id"].head(20).tolist()
    corrected = known["id"].head(200).tolist()
    planted = tmp_path / "planted.jsonl"
    planted.write_text(
        "".join(
            json.dumps({"kind": "label", "id": each, "at": "2013-07-03T12:00:00Z", "model": "flights-delay", "value": 5000,
                        "source": "correction", "received_at": "2013-07-08T00:30:00Z"}) + "\n"
            for each in [*never, *corrected]
        )
    )  # fmt: skip
    assert command(own_fleet, "load", planted, "--json").json()["stored"] == len(never) + len(corrected)
    assert command(own_fleet, *asked).json() == before
    truth = served.set_index("id")["label"].copy()
    truth[[*never, *corrected]] = 5000.0
    told = raw.regression(served.assign(label=served["id"].map(truth)))
    now = by_metric(command(own_fleet, "check", *week, "--json").json())
    assert now["mae"]["value"] == pytest.approx(told["mae"], rel=1e-9)
    assert now["mae"]["value"] > 2 * by_metric(before)["mae"]["value"]


def test_a_store_that_another_process_holds_ends_with_three_and_its_pid(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(cli, "WAIT", 0.5)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pathlib import Path; from observability import owner; lock = owner.take_lock(Path(sys.argv[1])); "
         "print('held', flush=True); sys.stdin.read()", str(home)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(home),
    )  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        one_sentence(command(home, "status"), 3, "another process")
        owner.write_address(home, owner.Address(holder.pid, free_port(), "nobody listens"))
        one_sentence(command(home, "status"), 3, f"process {holder.pid}")
        one_sentence(command(home, "serve", "--port", free_port()), 3, f"process {holder.pid}")
    finally:
        holder.communicate("")
    assert command(home, "status").code == 0


def test_commands_go_to_the_dashboard_that_runs(own_fleet: Path, tmp_path: Path, command: Command, files: dict[str, Path]) -> None:
    extra = tmp_path / "extra.jsonl"
    rows = raw.last_week(raw.predictions("employment")).head(50)
    extra.write_text(
        "".join(
            json.dumps({"kind": "label", "id": each, "at": "2018-12-31T23:00:00Z", "model": "employment", "value": int(1 - label),
                        "source": "correction"}) + "\n"
            for each, label in zip(rows["id"], rows["label"])
        )
    )  # fmt: skip
    with dashboard(own_fleet) as running:
        address = owner.read_address(own_fleet)
        assert address is not None and address.pid == running.pid
        assert (own_fleet / "owner.json").stat().st_mode & 0o077 == 0
        before = by_metric(spawn(own_fleet, "check", "--model", "employment", "--json").json())
        loaded = spawn(own_fleet, "load", extra.name, "--json", cwd=tmp_path).json()
        assert loaded == {"lines": 50, "stored": 50, "duplicates": 0, "rejected": 0, "reasons": {}}
        after = by_metric(command(own_fleet, "check", "--model", "employment", "--json").json())
        week = raw.last_week(raw.predictions("employment"))
        flipped = week.assign(label=week["label"].where(~week["id"].isin(rows["id"]), 1 - week["label"]))
        for found, truth in ((before, week), (after, flipped)):
            expected = raw.classification(truth, raw.threshold("employment"))["accuracy"]
            assert found["accuracy"]["value"] == pytest.approx(expected, rel=1e-9)
        assert command(own_fleet, *REGISTER, "--reference", files["reference"]).code == 0
        assert [each["model"] for each in running.status()["models"]] == ["employment", "flights-delay", "flights-late", "shop"]
        assert command(own_fleet, "remove", "shop").code == 0
        one_sentence(command(own_fleet, *LOAD, stranger.wrong_files(tmp_path)["page.csv"][0]), 2, "page.csv")
        assert command(own_fleet, "check", "--model", "flights-delay", *JULY, "--fail-on", "act").code == 1
        done = spawn(own_fleet, "serve", "--port", free_port())
        assert (done.code, f"process {running.pid}" in done.error) == (3, True)
    assert not (own_fleet / "owner.json").exists()
    assert [each["model"] for each in command(own_fleet, "status", "--json").json()["models"]] == [
        "employment",
        "flights-delay",
        "flights-late",
    ]


WEEKS = [datetime(2017, 1, 2, tzinfo=UTC) + timedelta(weeks=number) for number in range(52)]
"""Mondays of the ISO weeks of 2017."""


@pytest.fixture(scope="module")
def opened(fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The fleet, open in this process."""
    with owner.opened(copied(fleet, tmp_path_factory.mktemp("opened") / "home")) as store:
        yield store


def test_no_week_of_employment_in_2017_needs_a_person(opened: Store) -> None:
    acts = [
        f"{start:%G-W%V}: {finding.because}"
        for start in WEEKS
        for finding in run.check(opened, model="employment", start=start, end=start + timedelta(weeks=1)).findings
        if finding.severity == "act"
    ]
    assert acts == []
    assert {f"{start:%G-W%V}" for start in WEEKS} == {f"2017-W{number:02}" for number in range(1, 53)}


def test_a_fall_of_accuracy_by_five_points_in_one_of_those_weeks_needs_one(command: Command, own_fleet: Path, tmp_path: Path) -> None:
    start = WEEKS[19]
    week = raw.between(raw.predictions("employment"), pd.Timestamp(start), pd.Timestamp(start + timedelta(weeks=1)))
    right = week[(week["score"] >= raw.threshold("employment")) == (week["label"] == 1)]
    flipped = right.sample(round(0.05 * len(week)), random_state=np.random.RandomState(2017))
    planted = tmp_path / "planted.parquet"
    pd.DataFrame(
        {"id": flipped["id"], "at": flipped["at"], "model": "employment", "value": 1 - flipped["label"], "source": "correction"}
    ).to_parquet(planted, index=False)
    assert command(own_fleet, "load", planted, "--kind", "label", "--json").json()["stored"] == len(flipped)

    window = ("--from", f"{start:%Y-%m-%d}", "--to", f"{start + timedelta(weeks=1):%Y-%m-%d}")
    found = by_metric(command(own_fleet, "check", "--model", "employment", *window, "--json").json())
    assert found["accuracy"]["value"] == pytest.approx((len(right) - len(flipped)) / len(week), rel=1e-9)
    assert found["accuracy"]["severity"] == "act"
    assert command(own_fleet, "check", "--model", "employment", *window, "--fail-on", "act").code == 1
