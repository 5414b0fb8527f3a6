"""Models of XGBoost and ONNX are explained end to end: from `register --artifact` to stored attributions that add up."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.store.opener import open_store
from tests.support.commanding import Command
from tests.support.length import some

NAMES = ["age", "income", "debt"]


def data() -> tuple[pd.DataFrame, np.ndarray]:
    """170 rows of three numbers, and a value that depends on them; 120 rows are for the reference, 50 to predict."""
    rows = pd.DataFrame(np.random.default_rng(4).normal(size=(170, 3)).astype(np.float32), columns=NAMES)
    return rows, (2 * rows["age"] - rows["income"] + 0.5 * rows["age"] * rows["debt"]).to_numpy(float)


def xgboost_model(folder: Path, rows: pd.DataFrame, value: np.ndarray) -> tuple[Path, np.ndarray]:
    """A small forest in a file, and its predictions."""
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBRegressor(n_estimators=8, max_depth=3, n_jobs=1).fit(rows, value)
    model.save_model(folder / "model.json")
    return folder / "model.json", model.predict(rows).astype(float)


def onnx_model(folder: Path, rows: pd.DataFrame, value: np.ndarray) -> tuple[Path, np.ndarray]:
    """A linear model as an ONNX graph in a file, and its predictions."""
    pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.linear_model import LinearRegression

    inputs = rows.to_numpy(np.float32)
    model = LinearRegression().fit(inputs, value)
    (folder / "model.onnx").write_bytes(skl2onnx.to_onnx(model, inputs[:1]).SerializeToString())
    return folder / "model.onnx", model.predict(inputs).astype(float)


@pytest.mark.parametrize(("make", "method"), some([(xgboost_model, "native pred_contrib"), (onnx_model, "shap permutation")], 1))
def test_an_artifact_is_registered_and_its_predictions_explained(tmp_path: Path, command: Command, make, method: str) -> None:
    rows, value = data()
    artifact, scores = make(tmp_path, rows, value)
    home, reference, served = tmp_path / "home", tmp_path / "reference.csv", tmp_path / "served.jsonl"
    rows.assign(score=scores, label=value).head(120).to_csv(reference, index=False)
    body = {"kind": "prediction", "model": "loan", "version": "1"}
    lines = [
        body | {"id": f"p{k}", "at": f"2026-03-01T10:{k % 60:02}:00Z", "features": {name: float(rows[name][k]) for name in NAMES}, "score": float(scores[k])}
        for k in range(120, 170)
    ]  # fmt: skip
    served.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    told = ("--model", "loan", "--version", "1", "--task", "regression", "--label", "label", "--score", "score", "--artifact", artifact)
    assert command(home, "register", "--reference", reference, *told).code == 0
    assert command(home, "load", served).code == 0
    state = command(home, "explain", "--json").json()
    assert state["failures"] == {} and state["versions"]["loan"]["1"]["failure"] is None
    with open_store(home) as store:
        held = store.cursor().execute("SELECT * FROM attributions_1 ORDER BY id").df()
    assert set(held["method"]) == {method} and held["adds_up"].all() and held["reproduces"].all()
    mine = held[~held["id"].str.startswith("reference/")].set_index("id")
    assert sorted(mine.index) == [f"p{k}" for k in range(120, 170)] and len(held) == 170
    sums = mine["base"] + np.stack(list(mine["values"])).sum(axis=1)
    assert np.allclose(sums, [scores[int(name[1:])] for name in mine.index], atol=1e-4)
    assert np.stack(list(mine["values"])).std(axis=0).min() > 0.01
