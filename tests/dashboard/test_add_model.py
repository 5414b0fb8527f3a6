"""On the page, a file becomes a model: it is described in plain words, corrected and registered, its logs are loaded, and the copies
deleted.
"""

import gzip
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from observability.core.errors import UsageError
from observability.dashboard import links
from observability.dashboard.operations import intake
from observability.store.db.database import Database
from observability.store.ingest.files import IMPORTERS
from observability.worker import score_reference

SHELL = str(Path(__file__).parents[2] / "observability" / "dashboard" / "shell.py")


def held_out(n: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {"income": rng.lognormal(10, 0.5, n).round(2), "region": rng.choice(["north", "south"], n), "sex": rng.choice(["F", "M"], n)}
    )
    frame["p_default"] = rng.random(n).round(3)
    frame["repaid_or_not"] = np.where(rng.random(n) < frame["p_default"], "default", "paid")
    return frame


def csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def opened(name: str = "credit") -> AppTest:
    app = AppTest.from_file(SHELL, default_timeout=300)
    app.switch_page(str(links.page_files()["add_model"])).run()
    app.text_input(key="new-model").input(name).run()
    return app


def pick(app: AppTest, label: str, value: str) -> None:
    next(each for each in app.selectbox if each.label == label).set_value(value)


def press(app: AppTest, label: str) -> AppTest:
    next(each for each in app.button if each.label == label).click().run()
    assert not app.exception, [each.message for each in app.exception]
    return app


def said(app: AppTest) -> str:
    parts = [each.value for kind in ("markdown", "warning", "error", "success", "caption") for each in getattr(app, kind)]
    return "\n".join(parts).replace("\\", "")


def test_every_format_that_is_read_can_be_uploaded() -> None:
    read = {ending.removeprefix(".") for ending in IMPORTERS}
    assert set(intake.SUFFIXES) == read, "add the ending to SUFFIXES in observability/dashboard/operations/intake.py"


def copies(store: Database) -> list[Path]:
    return [each for each in (store.home / "uploads").rglob("*") if each.is_file()]


def test_an_uploaded_file_becomes_a_loaded_model(empty: Database) -> None:
    app = opened()
    app.file_uploader(key="new-reference").upload("held out.csv", csv(held_out())).run()
    assert "no column has a usual name of the label" in said(app) and "Enter it below" in said(app) and "--" not in said(app)
    assert not [each for each in app.button if each.label.startswith("Register")]
    assert len(copies(empty)) == 1
    pick(app, "Label (ground truth)", "repaid_or_not")
    pick(app, "Score", "p_default")
    press(app, "Apply")
    assert "paid" in said(app) and not [each for each in app.button if each.label.startswith("Register")]
    pick(app, "Positive class (binary)", "default")
    press(app, "Apply")
    assert "repaid_or_not is the label" in said(app) and "3 features: 1 number (income); 2 categories (region, sex)." in said(app)
    assert empty.catalog().models == ()

    press(app, "Register version 1")
    assert "credit version 1 is registered with 600 reference rows." in said(app)
    model = empty.catalog().model("credit")
    assert model.task == "binary" and model.versions[0].features == ("income", "region", "sex")
    assert copies(empty) == []

    logs = held_out(200).drop(columns="repaid_or_not").assign(ref=[f"r{i}" for i in range(200)], scored="2026-03-01 12:00:00")
    app.file_uploader(key="new-logs").upload("march.csv", csv(logs)).run()
    assert next(each for each in app.selectbox if each.key == "log-score").value == "p_default"
    app.selectbox(key="log-at").set_value("scored")
    app.selectbox(key="log-id").set_value("ref")
    press(app, "Load")
    assert "200 lines: 200 stored, 0 duplicates, 0 rejected." in said(app)
    assert copies(empty) == []


def test_columns_can_be_corrected(empty: Database) -> None:
    app = opened("corrected")
    app.file_uploader(key="new-reference").upload(
        "a.csv", csv(held_out().rename(columns={"repaid_or_not": "label", "p_default": "score"}).replace({"default": 1, "paid": 0}))
    ).run()
    assert "label is the label" in said(app)
    editor = app.data_editor[0]
    assert list(editor.value["column"]) == ["income", "region", "sex"] and editor.value["feature"].all()
    press(app, "Register version 1")
    assert {each.name for each in empty.catalog().model("corrected").columns} == {"income", "region", "sex"}


def test_the_id_of_a_row_is_no_feature_and_a_column_can_have_another_name_in_the_records(empty: Database) -> None:
    frame = held_out().rename(columns={"repaid_or_not": "label", "p_default": "score"}).replace({"default": 1, "paid": 0})
    frame.insert(0, "customer", np.arange(len(frame)) % 7)
    app = opened("renamed")
    app.file_uploader(key="new-reference").upload("a.csv", csv(frame)).run()
    assert "customer" in list(app.data_editor[0].value["column"]), "a column with repeated numbers is registered as an input"
    pick(app, "Id (names a row)", "customer")
    press(app, "Apply")
    editor = app.data_editor[0]
    assert list(editor.value["column"]) == ["income", "region", "sex"] and list(editor.value["name"]) == ["income", "region", "sex"]
    assert next(each for each in app.selectbox if each.label == "Id (names a row)").value == "customer"
    app.session_state["adding"]["changes"]["renames"] |= {"income": "yearly_income"}  # AppTest cannot type into a table
    app.run()
    assert list(app.data_editor[0].value["name"]) == ["yearly_income", "region", "sex"] and app.data_editor[0].value["feature"].all()
    press(app, "Register version 1")
    assert empty.catalog().model("renamed").versions[0].features == ("yearly_income", "region", "sex")


def test_logs_of_several_classes_have_a_column_a_class(empty: Database) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.random(90).round(3), "label": ["cat", "dog", "eel"] * 30})
    frame[["p_cat", "p_dog", "p_eel"]] = rng.dirichlet([1, 1, 1], 90).round(3)
    app = opened("pets")
    app.file_uploader(key="new-reference").upload("a.csv", csv(frame)).run()
    scores = ["cat=p_cat", "dog=p_dog", "eel=p_eel"]
    app.session_state["adding"]["changes"] |= {"task": "multiclass", "score": scores}  # AppTest cannot type new options
    app.run()
    press(app, "Register version 1")
    logs = frame.drop(columns="label").assign(id=[f"r{i}" for i in range(90)], at="2026-03-01")
    app.file_uploader(key="new-logs").upload("log.csv", csv(logs)).run()
    assert app.text_input(key="log-scores").value == "cat=p_cat, dog=p_dog, eel=p_eel"
    press(app, "Load")
    assert "90 lines: 90 stored" in said(app)
    assert [column.name for column in empty.catalog().model("pets").columns] == ["size"]


def test_the_form_supports_every_registration_option(empty: Database, tmp_path: Path) -> None:
    import lightgbm

    frame = held_out()
    frame["score"] = frame.pop("p_default")
    frame["label"] = (frame.pop("repaid_or_not") == "default").astype(int)
    frame["at"] = "2026-07-01 12:00"
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame[["income"]], frame["label"]), 2
    )
    frame["score"] = booster.predict(frame[["income"]])
    body = gzip.compress(frame.drop(columns=["region"]).to_csv(index=False, sep=";", decimal=",").encode())
    app = opened()
    app.file_uploader(key="new-reference").upload("held out.csv.gz", body).run()
    assert "Choose the decimal sign under Model file and settings" in said(app)
    app.selectbox(key="new-decimal").set_value(",").run()
    assert "The times of at have no offset and are taken as UTC: name their time zone under Model file and settings." in said(app)
    app.text_input(key="new-zone").input("Europe/Pari").run()
    assert "there is no such time zone" in said(app) and "Correct it under Model file and settings" in said(app)
    app.text_input(key="new-zone").input("Europe/Paris")
    app.text_input(key="new-owner").input('credit "risk"')
    app.text_input(key="new-unit").input("euro")
    app.text_input(key="new-cost_currency").input("EUR")
    app.number_input(key="new-threshold").set_value(0.4)
    app.number_input(key="new-cost_false_positive").set_value(2.0)
    app.number_input(key="new-cost_false_negative").set_value(10.0)
    app.selectbox(key="new-fairness_criterion").set_value("equalized_odds")
    app.file_uploader(key="new-artifact").upload("model.pkl", b"\x80\x04pickled").run()
    assert "1 where the score is at least 0.4" in said(app)
    press(app, "Register version 1")
    assert "pickle and joblib files run code" in said(app) and empty.catalog().models == ()
    app.file_uploader(key="new-artifact").upload("model.txt", booster.model_to_string().encode()).run()
    press(app, "Register version 1")
    assert "credit version 1 is registered with 600 reference rows." in said(app), said(app)

    model = empty.catalog().model("credit")
    kept = model.settings
    assert (kept.threshold, kept.owner, kept.unit, kept.fairness_criterion) == (0.4, 'credit "risk"', "euro", "equalized_odds")
    assert (kept.cost_false_positive, kept.cost_false_negative, kept.cost_currency) == (2, 10, "EUR")
    assert model.versions[0].artifact is not None and any("LightGBM" in each for each in model.versions[0].inferred)
    with empty.cursor() as cursor:
        assert cursor.execute('SELECT DISTINCT "at" FROM predictions_1').fetchall() == [(datetime(2026, 7, 1, 10),)]
    assert copies(empty) == []
    app.file_uploader(key="new-artifact").upload("again.txt", booster.model_to_string().encode()).run()
    press(app, "Register version 1")
    assert "is registered with 600 reference rows" in said(app) and copies(empty) == []


def test_numbers_as_text_are_refused_where_the_model_file_takes_numbers(empty: Database, tmp_path: Path) -> None:
    import lightgbm

    frame = held_out().drop(columns="region").round({"income": -2})
    frame["label"] = (frame.pop("repaid_or_not") == "default").astype(int)
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame[["income"]], frame["label"]), 2
    )
    frame["score"] = booster.predict(frame[["income"]])
    frame.drop(columns="p_default").astype({"income": str}).to_parquet(tmp_path / "held_out.parquet", index=False)
    app = opened()
    app.file_uploader(key="new-reference").upload("held_out.parquet", (tmp_path / "held_out.parquet").read_bytes()).run()
    assert "Numbers written as text, treated as categories: income." in said(app), said(app)
    app.file_uploader(key="new-artifact").upload("model.txt", booster.model_to_string().encode()).run()
    press(app, "Register version 1")
    assert "the model file takes a number for this feature" in said(app) and "got text" in said(app)
    assert empty.catalog().models == ()


@pytest.mark.parametrize(
    ("name", "body"), [("a.csv", b""), ("a.parquet", b"PAR1nonsense"), ("a.jsonl", b"not json\n"), ("a.csv", b"only_a_header\n")]
)
def test_a_wrong_file_gets_one_sentence_and_leaves_nothing(name: str, body: bytes, empty: Database) -> None:
    app = opened()
    app.file_uploader(key="new-reference").upload(name, body).run()
    assert not app.exception
    assert len(app.error) + len(app.warning) == 1
    assert empty.catalog().models == () and not [each for each in app.button if each.label.startswith("Register")]


def test_a_column_is_called_the_time_only_where_its_times_can_be_read(empty: Database) -> None:
    """Regression: the file had a green tick; then the registration failed with three sentences in one, in a closed bar."""
    app = opened("when")
    frame = held_out().rename(columns={"repaid_or_not": "label", "p_default": "score"}).replace({"default": 1, "paid": 0})
    app.file_uploader(key="new-reference").upload("own file.csv", csv(frame.assign(when="24/06/2013 10:00"))).run()
    pick(app, "Time", "when")
    press(app, "Apply")
    assert "The time column 'when' cannot be read; got" in said(app) and "Write its dates as year-month-day" in said(app)
    assert "is the time of each prediction" not in said(app) and not [each for each in app.button if each.label.startswith("Register")]


def test_a_third_value_of_the_label_is_named_without_options_of_the_command_line(empty: Database) -> None:
    app = opened("maybe")
    frame = held_out().rename(columns={"repaid_or_not": "label", "p_default": "score"})
    frame.loc[0, "label"] = "maybe"
    app.file_uploader(key="new-reference").upload("own file.csv", csv(frame)).run()
    assert "3 values of the label" in said(app) and "maybe" in said(app) and "own file.csv" in said(app)
    assert "--" not in said(app) and "class=column for each class" in said(app)


def test_a_failed_registration_shows_its_error(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise UsageError("the disk is full")

    monkeypatch.setattr(score_reference, "register_and_compare", fails)
    app = opened("fails")
    frame = held_out().rename(columns={"repaid_or_not": "label", "p_default": "score"}).replace({"default": 1, "paid": 0})
    frame["customer"] = [f"c{max(row, 2)}" for row in range(len(frame))]
    app.file_uploader(key="new-reference").upload("own file.csv", csv(frame)).run()
    assert "customer looks like an id (598 different values in 600 rows)" in said(app)
    press(app, "Register version 1")
    assert [each.value.replace("\\", "") for each in app.error] == ["The disk is full."] and not app.get("status")


def test_an_uploaded_file_waits_for_a_model_name(empty: Database) -> None:
    app = AppTest.from_file(SHELL, default_timeout=300)
    app.switch_page(str(links.page_files()["add_model"])).run()
    app.file_uploader(key="new-reference").upload("a.csv", csv(held_out())).run()
    assert [each.value for each in app.info] == ["Enter a model name to continue."]


def test_an_uploaded_copy_keeps_its_file_name_in_the_uploads_folder(empty: Database) -> None:
    from io import BytesIO
    from types import SimpleNamespace

    class Upload(BytesIO):
        name = "../../etc/passwd.csv"

    path = intake.keep_upload(Upload(b"a\n1\n"))
    assert path.name == "passwd.csv" and path.parent.parent == empty.home / "uploads" and path.read_bytes() == b"a\n1\n"
    intake.discard_upload(path)
    assert not path.exists()
    intake.discard_upload(Path(empty.home / "store.duckdb"))
    assert (empty.home / "store.duckdb").exists()
    with pytest.raises(Exception, match="cannot be read"):
        intake.keep_upload(SimpleNamespace(name="a.exe"))
