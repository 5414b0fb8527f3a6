"""Information about the label in a single feature and in the model, and training rows among the held-out ones, as the worker finds them."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from observability.metrics.audit_model import AuditModel
from observability.worker.audit_leakage_job import answers_by_class, label_known_alone, label_known_by_model, training_rows_held_out
from observability.worker.model import Task

ROWS = 400


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, np.ndarray, Path]:
    """Rows whose feature `told` equals the label except in one row of a hundred, and a model that uses the other features."""
    rng = np.random.default_rng(7)
    rows = pd.DataFrame(rng.normal(size=(ROWS, 2)).round(3), columns=["a", "b"])
    labels = (rows["a"] + rng.normal(0, 1, ROWS) > 0).astype(float).to_numpy()
    rows["told"] = np.where(rng.random(ROWS) < 0.01, 1 - labels, labels)
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1, "num_leaves": 4}
    path = tmp_path_factory.mktemp("leakage") / "model.txt"
    lightgbm.train(params, lightgbm.Dataset(rows[["a", "b"]], labels), num_boost_round=10).save_model(path)
    return rows, labels, path


def asked(job: Any, frames: dict[str, pd.DataFrame], path: Path, **more: Any) -> dict[str, Any]:
    given = {"kind": "lightgbm", "task": "binary", "classes": ["0", "1"], "seed": 0, **more}
    return dict(job(frames, given, {"model": path}, lambda *_: None).values)


def test_a_feature_that_reveals_the_label_contains_more_about_it_than_the_model(world: tuple[pd.DataFrame, np.ndarray, Path]) -> None:
    rows, labels, path = world
    found = asked(label_known_alone, {"rows": rows}, path, labels=labels.tolist(), columns=list(rows))
    shares = found["shares"]
    assert found["measure"] == "roc_auc" and shares["told"][0] > 0.95 > shares["a"][0] > shares["b"][0]
    assert all(low <= value <= high and n == ROWS for value, low, high, n in shares.values())
    own = asked(label_known_by_model, {"rows": rows}, path, labels=labels.tolist())["share"]
    reached = roc_auc_score(labels, lightgbm.Booster(model_file=path).predict(rows[["a", "b"]]))
    assert own[0] == pytest.approx(2 * reached - 1, abs=1e-6) and shares["a"][0] < own[0] < shares["told"][1]
    few = asked(label_known_alone, {"rows": rows.head(50)}, path, labels=labels[:50].tolist(), columns=["a"])
    assert set(few) == {"why"} and "50 labelled rows" in few["why"]


def test_answers_of_a_model_are_ordered_as_the_classes_that_have_rows() -> None:
    rows = pd.DataFrame({"a": np.arange(300.0)})
    scores = np.tile([0.1, 0.2, 0.3, 0.4], (300, 1))
    task = Task("multiclass", ("w", "x", "y", "z"))
    found = answers_by_class(scores, task, AuditModel(rows, pd.Series(np.tile([0.0, 2.0, 3.0], 100))))
    assert found is not None and found[0].tolist() == [0.1, 0.3, 0.4]
    assert answers_by_class(scores, task, AuditModel(rows, rows["a"])) is None


def test_training_rows_are_found_among_held_out_ones_whatever_the_type_of_a_column(world: tuple[pd.DataFrame, np.ndarray, Path]) -> None:
    rows, labels, path = world
    training = rows.assign(empty=None, count=np.arange(ROWS))
    held = pd.concat([training.iloc[:20], training.iloc[20:30].assign(a=training["a"].iloc[20:30] + 1e-6)], ignore_index=True)
    held = held.assign(count=held["count"].astype(float), empty=np.nan)[["count", "empty", "told", "b", "a"]]
    sides = {"training": training, "held": held}
    found = asked(training_rows_held_out, sides, path, labels=labels.tolist(), held_labels=[*labels[:15], *(1 - labels[15:30])])
    assert (found["in_training"], found["near"], found["same_label"]) == (20, 10, 15)
    assert (found["training_rows"], found["rows"], found["training_repeated"]) == (ROWS, 30, 0)
