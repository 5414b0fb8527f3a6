"""The command `import` loads the real files of each tool exactly once, and the entries of the source equal imported plus rejected ones."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.commanding import Command
from tests.support.imported_items import FIXTURES, unpacked_fixture

SOURCES = {
    "mlflow": ("mlruns", ()),
    "mlflow sqlite": ("mlflow.db.gz", ()),
    "tensorboard": ("tensorboard", ()),
    "tensorboard torch": ("tensorboard_torch", ()),
    "optuna": ("optuna.db.gz", ()),
    "optuna journal": ("optuna.log", ()),
    "codecarbon": ("emissions.csv", ("--timezone", "Europe/Paris")),
    "zeus": ("night-7.csv", ()),
    "transformers": ("transformers", ()),
}


def contents_of(path: Path) -> dict[str, str]:
    """The digest of each file by path. Folders are listed too, so that a new file is noticed."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "folder" for file in files}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_imported_once_and_not_changed(command: Command, tmp_path: Path, name: str) -> None:
    fixture, options = SOURCES[name]
    folder = tmp_path / "source"
    folder.mkdir()
    if fixture.endswith(".gz"):
        path = unpacked_fixture(fixture, folder)
    elif (FIXTURES / fixture).is_dir():
        path = shutil.copytree(FIXTURES / fixture, folder / fixture)
    else:
        path = shutil.copy(FIXTURES / fixture, folder / fixture)
    before, home = contents_of(folder), tmp_path / "home"
    first = command(home, "import", name.split()[0], path, "--json", *options).json()
    source = first["source"]
    assert source["entries"] == source["carried"] + source["rejected"] == sum(source["sorts"].values())
    assert source["rejected"] == sum(source["reasons"].values())
    assert first["lines"] == first["stored"] and first["lines"] > 4 and first["rejected"] == 0
    second = command(home, "import", name.split()[0], path, "--json", *options).json()
    assert second["source"] == source
    assert (second["stored"], second["duplicates"]) == (0, first["lines"])
    assert contents_of(folder) == before


def test_zeus_energy_belongs_to_the_given_run(command: Command, tmp_path: Path) -> None:
    home, log = tmp_path / "home", FIXTURES / "night-7.csv"
    assert command(home, "import", "zeus", log, "--run", "loan nightly").out.startswith("Zeus measurements of run loan nightly: 5 windows")
    assert command(home, "sql", "SELECT DISTINCT run FROM resources", "--json").json() == [{"run": "loan nightly"}]
    refused = command(home, "import", "transformers", FIXTURES / "transformers", "--run", "loan nightly")
    assert refused.code == 2 and "--run" in refused.error


def test_the_report_names_what_was_rejected_and_why(command: Command, tmp_path: Path) -> None:
    done = command(tmp_path / "home", "import", "mlflow", FIXTURES)
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0] == "MLflow file store: 2 model versions, 4 runs, 5 parameters, 17 tags, 1 dataset input, 16 metric values"
    assert lines[1] == "45 in the source: 38 imported, 7 rejected"
    assert lines[2].startswith("  6 × deleted, first: run ") and lines[3].startswith("  1 × bad_value, first: 'step' is")
    assert lines[4] == "14 lines: 14 stored, 0 duplicates, 0 rejected"


def test_runs_of_a_registered_version_are_runs_of_the_model(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    command(home, "import", "mlflow", unpacked_fixture("mlflow.db.gz", tmp_path))
    rows = command(home, "sql", "SELECT model, version, status FROM runs WHERE event = 'end' ORDER BY status", "--json").json()
    assert rows == [{"model": None, "version": None, "status": "failed"}, {"model": "loan", "version": "1", "status": "finished"}]
    findings = command(home, "check", "--from", "2026-11-20", "--to", "2026-12-01", "--json").json()
    assert {finding["metric"] for finding in findings if finding["model"] == "loan" and finding["severity"] == "act"} == {
        "non_finite_steps"
    }


def test_a_copied_trainer_state_adds_nothing(command: Command, tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "elsewhere" / "trainer_state.json"
    command(home, "import", "transformers", FIXTURES / "transformers", "--at", "2026-01-02T03:04:05Z")
    copy.parent.mkdir()
    copy.write_bytes((FIXTURES / "transformers" / "trainer_state.json").read_bytes())
    assert command(home, "import", "transformers", copy, "--json").json()["stored"] == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("mlflow", "/nowhere"), "the source is not there; got /nowhere"),
        (("mlflow", "EMPTY"), "no MLflow store is there"),
        (("tensorboard", "EMPTY"), "no TensorBoard event file is there"),
        (("optuna", "EMPTY"), "this is a folder"),
        (("codecarbon", "EMPTY"), "the source is not there"),
        (("transformers", "EMPTY"), "no trainer_state.json is there"),
        (("tables", "EMPTY", "--model", "m"), "a reference and a current table are needed"),
        (("wandb", "EMPTY"), "no documented format"),
        (("optuna", "EMPTY", "--timezone", "Mars/Olympus"), "unknown time zone"),
        (("mlflow", "EMPTY", "EMPTY"), "one path is enough"),
        (("nothing", "EMPTY"), "invalid choice"),
    ],
)
def test_a_wrong_path_or_format_is_one_clear_error(command: Command, tmp_path: Path, argv: tuple[str, ...], words: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = command(tmp_path / "home", "import", *[str(empty) if each == "EMPTY" else each for each in argv])
    assert done.code == 2 and words in done.error and done.out == ""
    assert len(done.error.strip().splitlines()) == 1 and "Traceback" not in done.error


MODELS = FIXTURES / "mlflow_models"


@pytest.mark.parametrize(
    ("flavour", "file", "lines"),
    [
        ("sklearn_pickle", "model.pkl", ["import mlflow, skops.io", "mlflow.sklearn.load_model(", 'skops.io.dump(model, "model.skops")']),
        ("xgboost_ubj", "model.ubj", ["import mlflow", "mlflow.xgboost.load_model(", 'model.save_model("model.json")']),
    ],
)
def test_a_pickle_is_refused_with_the_lines_that_convert_it(
    command: Command, tmp_path: Path, flavour: str, file: str, lines: list[str]
) -> None:
    done = command(tmp_path / "home", "import", "mlflow", MODELS / flavour, "--model", "loan", "--version", "1")
    assert done.code == 2 and file in done.error
    shown = [line.strip() for line in done.error.splitlines() if line.startswith("    ")]
    assert len(shown) == 3
    assert all(wanted in line for wanted, line in zip(lines, shown))


def test_a_model_folder_registers_name_version_signature_and_file(command: Command, tmp_path: Path) -> None:
    folder, home = tmp_path / "model", tmp_path / "home"
    shutil.copytree(MODELS / "lightgbm", folder)
    (folder / "registered_model_meta").write_text("model_name: loan\nmodel_version: '3'\n")
    held_out = tmp_path / "held_out.csv"
    pd.read_csv(MODELS / "held_out.csv").assign(noise=np.arange(300) % 7).to_csv(held_out, index=False)
    done = command(home, "import", "mlflow", folder, "--reference", held_out, "--label", "defaulted", "--json").json()
    assert (done["model"], done["version"], done["flavour"]) == ("loan", "3", "lightgbm")
    said = " ".join(done["inferred"])
    assert "2 features: 2 numbers (age, income)" in said  # the column `signature` is noise and gives no feature
    assert "The model file gives the logged scores in 300 rows" in said


def test_an_incomplete_model_folder_says_which_option_is_missing(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "Give --model" in command(home, "import", "mlflow", MODELS / "lightgbm").error
    assert "Give --reference" in command(home, "import", "mlflow", MODELS / "lightgbm", "--model", "loan", "--version", "1").error


def rows(shift: float, start: str | None = None, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": rng.normal(40 + shift, 8, 700).round(1), "income": rng.normal(50, 10, 700).round(1)})
    frame["y_pred_proba"] = (1 / (1 + np.exp((frame["income"] - 50) / 6))).round(4)
    frame["y_pred"] = (frame["y_pred_proba"] > 0.5).astype(int)
    frame["target"] = (rng.random(700) < frame["y_pred_proba"]).astype(int)
    return frame if start is None else frame.assign(timestamp=pd.date_range(start, periods=700, freq="10min"))


def test_two_tables_are_enough_for_a_first_report(command: Command, tmp_path: Path) -> None:
    rows(0, "2026-01-01").to_csv(tmp_path / "reference.csv", index=False)
    rows(30, "2026-02-01", seed=1).to_csv(tmp_path / "current.csv", index=False)
    home = tmp_path / "home"
    refused = command(home, "import", "tables", tmp_path, "--model", "loan")
    assert refused.code == 2 and "--timezone" in refused.error
    assert command(home, "status", "--json").json()["models"] == []  # nothing was registered before the user looked at the current table
    first = command(home, "import", "tables", tmp_path, "--model", "loan", "--timezone", "UTC", "--json").json()
    assert (first["lines"], first["stored"], first["rejected"]) == (700, 700, 0)
    drifted = {finding["subject"] for finding in first["findings"] if finding["metric"] == "psi" and finding["severity"] == "act"}
    assert drifted == {"age"}
    accuracy = next(each for each in first["findings"] if each["metric"] == "roc_auc" and each["subject"] == "model")
    assert accuracy["n"] == 700 and accuracy["window"] == {"start": "2026-02-01T00:00:00Z", "end": "2026-02-06T00:00:00Z"}
    paths = (tmp_path / "reference.csv", tmp_path / "current.csv")
    second = command(home, "import", "tables", *paths, "--model", "loan", "--timezone", "UTC")
    assert "700 lines: 0 stored, 700 duplicates, 0 rejected" in second.out
    assert "Critical loan" in second.out and "observability serve" in second.out
    assert command(home, "status", "--json").json()["models"][0]["predictions"] == 700


def test_a_prediction_column_of_probabilities_is_the_score(command: Command, tmp_path: Path) -> None:
    for name, seed in (("reference", 0), ("current", 1)):
        frame = rows(0, "2026-01-01", seed).drop(columns="y_pred").rename(columns={"y_pred_proba": "prediction"})
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    done = command(tmp_path / "home", "import", "tables", tmp_path, "--model", "loan", "--timezone", "UTC")
    assert "prediction holds fractions from 0 to 1, so it is taken as the score" in done.out and "700 stored" in done.out
    asked = "SELECT count(score) AS scores, count(prediction) AS decisions FROM \"loan.predictions\" WHERE environment = 'production'"
    assert command(tmp_path / "home", "sql", asked, "--json").json() == [{"scores": 700, "decisions": 0}]


def test_rows_without_id_time_and_label_are_stored_once(command: Command, tmp_path: Path) -> None:
    reference = (
        rows(0).drop(columns=["y_pred", "y_pred_proba"]).assign(target=lambda each: each["age"] * 2, prediction=lambda each: each["age"])
    )
    reference.to_parquet(tmp_path / "reference.parquet")
    current = tmp_path / "current.parquet"
    reference.drop(columns="target").to_parquet(current)
    home = tmp_path / "home"
    done = command(home, "import", "tables", tmp_path, "--model", "dose", "--at", "2026-03-04T05:06:07Z")
    assert "Rows have no time: all are stored at 2026-03-04 05:06 UTC" in done.out
    assert "The current table has no column 'target': its rows have no labels." in done.out
    current.touch()
    again = command(home, "import", "tables", tmp_path, "--model", "dose", "--json").json()
    assert (again["stored"], again["duplicates"]) == (0, 700)
    asked = "SELECT count(score) AS scores, min(id) LIKE '%-1' AS named FROM \"dose.predictions\" WHERE environment = 'production'"
    assert command(home, "sql", asked, "--json").json() == [{"scores": 700, "named": True}]
