"""The forms of a model are run on the same rows: scores, repeats, times and sizes."""

import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.worker import trade_off_forms, trade_off_job
from observability.worker.model import Task

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({"a": rng.normal(size=600), "b": rng.normal(size=600)})


@pytest.fixture
def measured(rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The result of the job for a small LightGBM model, with a network and a request for CUDA."""
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
    assert next(iter(forms)) == "as served" and {
        "50 % of the trees",
        "network fp32",
        "network fp16",
        "network bf16",
        "network int8",
    } <= set(forms)
    assert forms["25 % of the trees"]["bytes"] < forms["50 % of the trees"]["bytes"] < forms["as served"]["bytes"]
    assert forms["network int8"]["bytes"] < forms["network fp16"]["bytes"] < forms["network fp32"]["bytes"]
    assert forms["network int8"]["parent"] == "network fp32" and forms["network fp32"]["parent"] == "as served"
    assert all(0 < form["latency_p50_ms"] <= form["latency_p99_ms"] and form["cpu_seconds_per_thousand"] > 0 for form in forms.values())
    tables = [measured.frames[f"form {place}"] for place in range(len(forms))]
    assert all(len(table) == 300 and table["score"].between(0, 1).all() for table in tables)
    assert not tables[0]["changed"].any() and (tables[0]["spread"] == 0).all()
    whole = tables[list(forms).index("network fp32")]["score"]
    half, brain = ((tables[list(forms).index(f"network {name}")]["score"] - whole).abs().max() for name in ("fp16", "bf16"))
    assert 0 < half < 0.01 and half < brain < 0.05, "bf16 has three bits less precision"
    assert forms["network bf16"]["precision"] == "weights in bf16, computed in fp32"
    assert forms["network int8"]["bytes"] < forms["network bf16"]["bytes"] < forms["network fp32"]["bytes"]


def upper_half(values: np.ndarray) -> np.ndarray:
    """Numbers rounded to bf16 through their bits: to the nearest value with only the upper 16 bits, ties to even."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)).astype(np.uint32).view(np.float32)


def test_weights_in_bf16_are_the_nearest_even_of_the_upper_bits_and_are_computed_with_in_fp32(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    ties = np.array([0x3F808000, 0x3F818000, 0x3F80FFFF, 0xBF808001, 0x00000001, 0x7F7F7FFF], np.uint32).view(np.float32)
    weights = [np.concatenate([ties, rng.normal(size=26)]).reshape(4, 8), rng.normal(size=(8, 1))]
    weights = [each.astype(np.float32) for each in weights]
    offsets = [rng.normal(size=8).astype(np.float32), np.zeros(1, np.float32)]
    trade_off_forms.write_network(weights, offsets, Task("regression", ()), np.zeros(1), np.ones(1), Path("network.onnx"))
    rounded = trade_off_forms.bfloat16_file(Path("network.onnx"))
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor).astype(np.float32) for tensor in onnx.load(rounded).graph.initializer}
    for place, (weight, offset) in enumerate(zip(weights, offsets, strict=True)):
        assert np.array_equal(stored[f"w{place} in bf16"], upper_half(weight)) and np.array_equal(
            stored[f"b{place} in bf16"], upper_half(offset)
        )
    rows = rng.normal(size=(50, 4)).astype(np.float32)
    rows[:, 0] = 0.0  # the largest weights would hide the effect of the others
    hidden = np.maximum(rows @ upper_half(weights[0]) + upper_half(offsets[0]), 0)
    (given,) = trade_off_forms.onnx_session(rounded, 1, "cpu").run(None, {"x": rows})
    assert np.allclose(given, hidden @ upper_half(weights[1]), atol=1e-5)
    with pytest.raises(ValueError, match="no weights in fp32"):
        trade_off_forms.bfloat16_file(rounded)


def test_a_part_is_one_form_of_the_model_or_all_of_the_network() -> None:
    names = ["as served", "2 threads", "network fp32", "network int8"]
    forms = [trade_off_forms.MissingForm(name, "") for name in names]
    parts = [[each.name for each in trade_off_job.forms_from_place(iter(forms), place)] for place in (None, 0, 1, 2, 4)]
    assert parts == [names, names[:1], names[1:2], names[2:], []]


def test_a_silent_fallback_is_recorded(measured) -> None:
    (asked,) = [form for form in measured.values["forms"] if form["provider"] == "cuda"]
    assert asked["form"] == "network fp32 on CUDA" and asked["used_provider"] == "cpu"
    assert 0 < asked["cpu_operations"] == asked["operations"], "the runtime's profile counts them"
    assert "MatMul" in "".join(asked["cpu_operation_types"]) or "Gemm" in "".join(asked["cpu_operation_types"]), "it also names their types"
    assert list(Path().glob("*.json")) == []
    assert {form["operations"] for form in measured.values["forms"] if form["provider"] == "cpu"} == {None}


def test_operations_of_a_profile_count_once_and_by_the_provider_that_ran_them() -> None:
    """The profile has the kinds of entries that ONNX Runtime writes: sessions, fences, and an operation that ran in two passes."""

    def event(name: str, provider: str | None, place: int, category: str = "Node") -> dict:
        about = {"op_name": name.partition("_")[0], "node_index": str(place)} | ({"provider": provider} if provider else {})
        return {"cat": category, "pid": 1, "tid": 1, "dur": 3, "ts": 5, "ph": "X", "name": name, "args": about}

    gpu, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    events = [event("model_run", None, 0, "Session"), event("Gemm_0_fence_before", gpu, 0)]
    events += 2 * [event("Gemm_0_kernel_time", gpu, 0), event("Shape_1_kernel_time", cpu, 1), event("Gemm_2_kernel_time", gpu, 2)]
    assert trade_off_forms.operations_by_provider(json.dumps(events)) == {(gpu, "Gemm"): 2, (cpu, "Shape"): 1}


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
