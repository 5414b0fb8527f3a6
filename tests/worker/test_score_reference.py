"""`register --artifact` scores the reference in the worker. Equal scores are accepted; another model, and texts instead of numbers, are
refused.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.store.types.registration import NotScoredError, RegistrationRequest
from observability.worker import score_reference as scoring
from observability.worker.limits import WorkerError
from observability.worker.process import Worker
from tests.support.new_store import new_store
from tests.support.worker_models import numeric_table


def fitted(folder: Path, name: str, rows: pd.DataFrame, value: np.ndarray) -> tuple[Path, np.ndarray]:
    """A small LightGBM model in a text file, and its scores."""
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.train({"verbose": -1, "num_leaves": 8, "num_threads": 1}, lightgbm.Dataset(rows, value), num_boost_round=20)
    model.save_model(folder / name)
    return folder / name, np.asarray(model.predict(rows))


def request(folder: Path, rows: pd.DataFrame, scores: np.ndarray, value: np.ndarray, artifact: Path) -> RegistrationRequest:
    """A registration request with these rows and scores as the reference."""
    rows.assign(score=scores, label=value).to_csv(folder / "reference.csv", index=False)
    return RegistrationRequest("price", "1", folder / "reference.csv", "regression", "label", ("score",), artifact=artifact)


def test_the_model_file_that_served_passes_and_other_files_or_texts_for_numbers_are_refused(tmp_path: Path, worker: Worker) -> None:
    rows, value = numeric_table()
    artifact, scores = fitted(tmp_path, "model.txt", rows, value)
    other, _ = fitted(tmp_path, "other.txt", rows, -value)
    score = scoring.reference_scorer(worker)
    with new_store(tmp_path / "home", threads=1) as store:
        with pytest.raises(UsageError, match=r"other scores.*other\.txt.*apart on average"):
            store.register(request(tmp_path, rows, scores, value, other), scorer=score)
        words = rows.assign(b=np.where(rows["b"] > 0, "high", "low"))
        with pytest.raises(UsageError, match=r"takes a number for this feature \(in b\)"):
            store.register(request(tmp_path, words, scores, value, artifact), scorer=score)
        with pytest.raises(UsageError, match="lack features of the model"):
            store.register(request(tmp_path, rows.drop(columns="c"), scores, value, artifact), scorer=score)
        assert not store.catalog().models
        done = store.register(request(tmp_path, rows, scores.round(3), value, artifact), scorer=score)
        assert "gives the logged scores in 400 rows" in done.sentences[-1]


def test_limits_of_this_machine_are_not_reported_as_failures_of_the_model_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.txt"
    path.write_text("tree\nversion=v4\n", encoding="utf-8")

    def failing(reason: Any):
        def fail(*_args: object, **_options: object) -> None:
            raise WorkerError("the job took too long", reason=reason)

        return fail

    monkeypatch.setattr(scoring, "predict_scores_and_features", failing("time"))
    with pytest.raises(NotScoredError, match="took too long"):
        scoring.score_reference(Worker(), path, pd.DataFrame({"a": [1.0]}), "binary", ("0", "1"))
    monkeypatch.setattr(scoring, "predict_scores_and_features", failing("crash"))
    with pytest.raises(UsageError, match=r"fails on the reference \(in model\.txt\)"):
        scoring.score_reference(Worker(), path, pd.DataFrame({"a": [1.0]}), "binary", ("0", "1"))
    monkeypatch.setattr(scoring, "find_spec", lambda _name: None)
    with pytest.raises(NotScoredError, match="lightgbm is not installed"):
        scoring.score_reference(Worker(), path, pd.DataFrame({"a": [1.0]}), "binary", ("0", "1"))
