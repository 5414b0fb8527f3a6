"""Forms of a model are run on the same rows: scores, repeats, times and sizes."""

from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.worker import trade_off_forms, trade_off_job
from observability.worker.model import Task

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({"a": rng.normal(size=600), "b": rng.normal(size=600)})


@pytest.fixture
def measured(rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The output of the job on a small LightGBM model, with a network and a request for CUDA."""
    monkeypatch.chdir(tmp_path)
    label = (rows["a"] + rows["b"] > 0).astype(int)
    params = {"objective": "binary", "verbose": -1, "num_leaves": 7, "num_threads": 1, "seed": 1}
    lightgbm.train(params, lightgbm.Dataset(rows, label), 20).save_model("model.txt")
    arguments = {"kind": "lightgbm", "task": "binary", "classes": ["0", "1"], "threshold": 0.5, "seconds": 0.01, "forms": [], "seed": 0}
    arguments |= {"network": True, "providers": ["cuda"]}
    frames = {"probes": rows.iloc[:300].reset_index(drop=True), "reference": rows.iloc[300:].reset_index(drop=True)}
    monkeypatch.setattr(trade_off_job, "REST", 0.0)
    monkeypatch.setattr(trade_off_job, "SINGLE_ROWS", 40)
    return trade_off_job.measure_forms(frames, arguments, {"model": Path("model.txt")}, lambda share, text: None)


def test_every_form_is_measured_on_the_same_rows(measured) -> None:
    forms = {form["form"]: form for form in measured.values["forms"]}
    assert measured.values["missing"] == []
    assert next(iter(forms)) == "as served" and {"50 % of the trees", "network fp32", "network fp16", "network int8"} <= set(forms)
    assert forms["25 % of the trees"]["bytes"] < forms["50 % of the trees"]["bytes"] < forms["as served"]["bytes"]
    assert forms["network int8"]["bytes"] < forms["network fp16"]["bytes"] < forms["network fp32"]["bytes"]
    assert forms["network int8"]["parent"] == "network fp32" and forms["network fp32"]["parent"] == "as served"
    assert all(0 < form["latency_p50_ms"] <= form["latency_p99_ms"] and form["cpu_seconds_per_thousand"] > 0 for form in forms.values())
    tables = [measured.frames[f"form {place}"] for place in range(len(forms))]
    assert all(len(table) == 300 and table["score"].between(0, 1).all() for table in tables)
    assert not tables[0]["changed"].any() and (tables[0]["spread"] == 0).all()
    half = tables[list(forms).index("network fp16")]["score"] - tables[list(forms).index("network fp32")]["score"]
    assert 0 < half.abs().max() < 0.01


def test_a_part_is_one_form_of_the_model_or_all_of_the_network() -> None:
    names = ["as served", "2 threads", "network fp32", "network int8"]
    forms = [trade_off_forms.MissingForm(name, "") for name in names]
    parts = [[each.name for each in trade_off_job.forms_from_place(iter(forms), place)] for place in (None, 0, 1, 2, 4)]
    assert parts == [names, names[:1], names[1:2], names[2:], []]


def test_a_silent_fallback_is_recorded(measured) -> None:
    (asked,) = [form for form in measured.values["forms"] if form["provider"] == "cuda"]
    assert asked["form"] == "network fp32 on CUDA" and asked["used_provider"] == "cpu"


def test_a_form_that_depends_on_its_batch_is_found() -> None:
    centred = trade_off_forms.Form(
        "odd", None, "none", "fp64", lambda given: given[:, 0] - given[:, 0].mean() + 0.5, np.arange(8.0)[:, None], 1
    )
    table = trade_off_job.passes_frame(centred, Task("binary", ("0", "1")), 0.5)
    assert table["changed"].sum() == 4 and table["spread"].max() == 3.5


def test_the_input_of_the_network_has_flags_for_nulls_and_a_column_a_level() -> None:
    table = pd.DataFrame({"x": [1.0, 3.0, None], "c": ["u", None, "v"]})
    found = trade_off_forms.NetworkInput(table).matrix(table)
    assert found[:, :2].tolist() == [[-1, 0], [1, 0], [0, 1]] and found[:, 2:].sum(axis=1).tolist() == [1, 1, 1]
