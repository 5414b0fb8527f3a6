"""If a column of the reference has another type than the model file expects, every way of registration refuses it. Values that were logged
before are reported.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from observability.worker import score_reference as scoring
from observability.worker.process import Worker
from tests.support.commanding import Command
from tests.support.new_store import new_store
from tests.support.worker_models import save_skops

ROWS = 300
Register = Callable[..., Any]


def rows_of_homes() -> pd.DataFrame:
    """Homes with numbers, a small code, words, and the price that a model learns."""
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        {"size": rng.normal(90, 20, ROWS).round(1), "zone": rng.integers(1, 5, ROWS), "heating": rng.choice(["gas", "oil"], ROWS)}
    )
    return rows.assign(price=rows["size"] * 3 + rows["zone"] * 20 + (rows["heating"] == "gas") * 15)


def forest(folder: Path, rows: pd.DataFrame, categories: tuple[str, ...] = ()) -> tuple[Path, np.ndarray]:
    """A small LightGBM model of the rows' features, some of which are categories, and its scores."""
    lightgbm = pytest.importorskip("lightgbm")
    inputs = rows.drop(columns="price").astype(dict.fromkeys(categories, "category"))
    told = {"verbose": -1, "num_leaves": 8, "num_threads": 1}
    model = lightgbm.train(told, lightgbm.Dataset(inputs, rows["price"]), num_boost_round=15)
    model.save_model(folder / "model.txt")
    return folder / "model.txt", np.asarray(model.predict(inputs))


def written(folder: Path, rows: pd.DataFrame, scores: np.ndarray) -> Path:
    """The rows with their scores, written as a reference file that keeps types."""
    rows.assign(score=scores).to_parquet(folder / "reference.parquet", index=False)
    return folder / "reference.parquet"


@pytest.fixture
def register(tmp_path: Path, worker: Worker) -> Any:
    """Register a version in an empty store whose worker runs model files."""
    with new_store(tmp_path / "home", threads=1) as store:

        def done(reference: Path, artifact: Path | None = None, **more: Any) -> Any:
            request = RegistrationRequest("homes", "1", reference, "regression", "price", ("score",), artifact=artifact, **more)
            return store, store.register(request, scorer=scoring.reference_scorer(worker))

        yield done


def model_of(store: Any) -> Any:
    """The registered model."""
    return store.catalog().model("homes")


def test_numbers_as_text_are_refused_where_the_model_takes_numbers(register: Register, tmp_path: Path) -> None:
    """The model gives the logged scores, because "90.5" can be read as a number. But drift would be measured as for a category."""
    rows = rows_of_homes().drop(columns="heating")
    artifact, scores = forest(tmp_path, rows)
    with pytest.raises(UsageError) as raised:
        register(written(tmp_path, rows.assign(size=rows["size"].astype(str)), scores), artifact)
    error = raised.value
    assert error.what == "the model file takes a number for this feature" and error.where == "'size' of the reference"
    assert str(error.got).startswith("text: '") and error.expected == "numbers" and "as numbers" in str(error.attempt)


def test_the_command_and_the_configuration_also_refuse_numbers_as_text(command: Command, tmp_path: Path) -> None:
    rows = rows_of_homes().drop(columns="heating")
    artifact, scores = forest(tmp_path, rows)
    reference = written(tmp_path, rows.assign(size=rows["size"].astype(str)), scores)
    options = ("--model", "homes", "--version", "1", "--task", "regression", "--label", "price", "--score", "score")
    done = command(tmp_path / "home", "register", *options, "--reference", reference, "--artifact", artifact)
    said = "the model file takes a number for this feature (in 'size' of the reference); got text: '"
    assert done.code == 2 and said in done.error and "expected numbers" in done.error, done
    (tmp_path / "home.toml").write_text(
        '[[model]]\nname = "homes"\nversion = "1"\ntask = "regression"\nlabel = "price"\nscore = "score"\n'
        'reference = "reference.parquet"\nartifact = "model.txt"\n',
        encoding="utf-8",
    )
    done = command(tmp_path / "home", "apply", tmp_path / "home.toml")
    assert done.code == 2 and said in done.error, done
    assert "homes" not in command(tmp_path / "home", "status").out


def test_a_linear_model_also_refuses_numbers_as_text(register: Register, tmp_path: Path) -> None:
    pytest.importorskip("skops")
    from sklearn.linear_model import LinearRegression

    rows = rows_of_homes().drop(columns="heating")
    model = LinearRegression().fit(rows[["size", "zone"]], rows["price"])
    reference = written(tmp_path, rows.assign(zone=rows["zone"].astype(str)), model.predict(rows[["size", "zone"]]))
    with pytest.raises(UsageError, match=r"takes a number for this feature \(in 'zone' of the reference\); got text: '1'"):
        register(reference, save_skops(model, tmp_path / "model.skops"))


def test_booleans_as_text_are_refused_where_the_model_takes_numbers(register: Register, tmp_path: Path) -> None:
    rows = rows_of_homes().drop(columns="heating").assign(garden=lambda each: each["size"] > 90)
    artifact, scores = forest(tmp_path, rows)
    _, done = register(written(tmp_path, rows, scores), artifact)
    assert "gives the logged scores" in done.sentences[-1], "a model accepts true and false as numbers"
    with pytest.raises(UsageError, match=r"takes a number for this feature \(in garden\); got 'True'; expected a number, true, false"):
        register(written(tmp_path, rows.assign(garden=rows["garden"].astype(str)), scores), artifact)


def test_codes_that_the_model_takes_as_a_category_are_a_category(register: Register, tmp_path: Path) -> None:
    rows = rows_of_homes().drop(columns="heating")
    artifact, scores = forest(tmp_path, rows, ("zone",))
    store, done = register(written(tmp_path, rows, scores), artifact)
    kinds = {column.name: column.kind for column in model_of(store).columns}
    assert kinds == {"size": "number", "zone": "category"}
    assert "The model file takes zone as categories, so their numbers are treated as categories." in done.sentences
    assert not any("treated as numbers with one bin per value" in sentence for sentence in done.sentences)
    with pytest.raises(UsageError, match="got declared a number; expected a category"):
        register(written(tmp_path, rows, scores), artifact, kinds={"zone": "number"})


def test_numbers_in_place_of_categories_are_refused(register: Register, tmp_path: Path) -> None:
    """The reference has no scores, so only the types can reveal the error."""
    rows = rows_of_homes()
    artifact, _ = forest(tmp_path, rows, ("heating",))
    coded = rows.assign(heating=rows["heating"].map({"gas": 1, "oil": 2}))
    coded.assign(score=rows["price"] + 1).to_parquet(tmp_path / "reference.parquet", index=False)
    with pytest.raises(UsageError, match=r"knows none of its values \(in 'heating' of the reference\); got numbers: 1, 2.*'gas', 'oil'"):
        register(tmp_path / "reference.parquet", artifact)


def test_a_declared_kind_that_the_values_do_not_have_is_refused(register: Register, tmp_path: Path) -> None:
    rows = rows_of_homes()
    with pytest.raises(UsageError, match="'heating' cannot be a number"):
        register(written(tmp_path, rows, rows["price"].to_numpy()), kinds={"heating": "number"})


def test_without_a_model_file_numbers_written_as_text_are_reported(register: Register, tmp_path: Path) -> None:
    rows = rows_of_homes()
    texts = rows.assign(size=rows["size"].astype(str), zone=rows["zone"] > 2).astype({"zone": str})
    _, done = register(written(tmp_path, texts, rows["price"].to_numpy() + 1))
    assert any(sentence.startswith("Numbers written as text, treated as categories: size.") for sentence in done.sentences)
    _, done = register(written(tmp_path, texts.assign(size=[f"{place}.5" for place in range(ROWS)]), rows["price"].to_numpy() + 1))
    assert any("size (it has a different value in every row, like an id, and holds numbers written as text)" in s for s in done.sentences)
    assert any(sentence.startswith("True and false written as text, treated as categories: zone.") for sentence in done.sentences)


def test_predictions_logged_in_another_type_are_reported_and_counted(register: Register, tmp_path: Path) -> None:
    """Regression: a text that is not a number became null, so a wrong type was counted as a missing value."""
    rows = rows_of_homes()
    reference = written(tmp_path, rows, rows["price"].to_numpy() + 1)
    texts = ["80.5", "90", "large", None, "70"]
    lines = [
        {"kind": "prediction", "id": f"p{place}", "at": "2026-03-01T10:00:00Z", "model": "homes", "version": "1", "score": 200.0,
         "features": {"size": text, "zone": 2, "heating": "gas"}}
        for place, text in enumerate(texts)
    ]  # fmt: skip
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    store, _ = register(reference)
    store.remove_model("homes")
    store.load_files([tmp_path / "log.jsonl"], LoadDefaults())
    store, done = register(reference)
    (warning,) = [sentence for sentence in done.sentences if "have logged" in sentence]
    assert warning.startswith(
        "Warning: predictions have logged size as text, and the reference holds numbers: of 4 values 1 cannot be converted and count as "
        "wrong type. Log numbers,"
    )
    column = model_of(store).column("feature.size")
    assert column is not None and column.kind == "number"
    with store.cursor() as cursor:
        stored = cursor.execute(
            f"SELECT id, {column.column}, wrong, extra->'features'->>'size' FROM predictions_{model_of(store).key} "
            "WHERE id LIKE 'p%' ORDER BY id"
        ).fetchall()
    assert stored == [
        ("p0", 80.5, None, None),
        ("p1", 90.0, None, None),
        ("p2", None, [column.id], "large"),
        ("p3", None, None, None),
        ("p4", 70.0, None, None),
    ]
