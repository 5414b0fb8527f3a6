"""Peak memory of forms, each in a process of its own: a form that is known to need more shows more, whatever was measured before it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Column, Model, Version
from observability.enrichment.form_memory import form_memory_mb
from observability.enrichment.precision_audit import AuditOptions, FormQuestion, answered_forms
from observability.worker.model import Task
from observability.worker.process import JobAnswer, Worker
from observability.worker.trade_off_forms import write_network

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
ROWS = 2000
LIBRARIES = ("sklearn.ensemble", "scipy.stats", "matplotlib.pyplot", "plotly.graph_objects")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    own = Worker()
    yield own
    own.close()


def network(folder: Path, width: int) -> bytes:
    """An ONNX graph of one hidden layer of a width."""
    rng = np.random.default_rng(1)
    path = folder / f"{width}.onnx"
    write_network(
        [rng.normal(size=(2, width)), rng.normal(size=(width, 1))], [np.zeros(width), np.zeros(1)], Task("binary"), 0.0, 1.0, path
    )
    return path.read_bytes()


def test_a_wider_layer_needs_the_memory_of_its_answers_and_leaves_no_trace_in_the_next_form(tmp_path: Path, worker: Worker) -> None:
    """A layer of 10,000 units holds ROWS × 10,000 numbers of 4 bytes at once: 80 MB."""
    files = {"wide.onnx": network(tmp_path, 10_000), "narrow.onnx": network(tmp_path, 10)}
    opened_by = {name: {"file": name, "kind": "onnx", "threads": 1} for name in ("narrow.onnx", "wide.onnx")}
    opened_by |= {"narrow again": opened_by["narrow.onnx"]}
    answer = JobAnswer({"opened_by": opened_by}, {}, files, 0.0, True, True)
    probes = pd.DataFrame(np.random.default_rng(2).normal(size=(ROWS, 2)), columns=["a", "b"])
    task = {"task": "binary", "classes": ["0", "1"]}
    found = form_memory_mb(worker, answer, tmp_path / "none", probes, task, ("onnxruntime",), lambda share, text: None)
    layer = ROWS * 10_000 * 4 / 1e6
    assert layer <= found["wide.onnx"] - found["narrow.onnx"] <= 4 * layer
    assert found["narrow again"] == pytest.approx(found["narrow.onnx"], abs=0.1 * layer), "the wide form ran before it"


class GrowingWorker(Worker):
    """A worker whose warm process imports more libraries before each call but the first."""

    calls = 0

    def call(self, job: str, *given: Any, imports: tuple[str, ...] = (), **options: Any) -> JobAnswer:
        self.calls += 1
        return super().call(job, *given, imports=(*imports, *(LIBRARIES if self.calls > 1 else ())), **options)


def test_libraries_that_the_worker_imports_between_calls_are_no_memory_of_a_form(tmp_path: Path, worker: Worker) -> None:
    """Regression: the memory that is subtracted was measured once, before the first form."""
    files = {"narrow.onnx": network(tmp_path, 10)}
    opened_by = {name: {"file": "narrow.onnx", "kind": "onnx", "threads": 1} for name in ("first", "second")}
    answer = JobAnswer({"opened_by": opened_by}, {}, files, 0.0, True, True)
    probes = pd.DataFrame(np.random.default_rng(2).normal(size=(ROWS, 2)), columns=["a", "b"])
    task = {"task": "binary", "classes": ["0", "1"]}
    growing = GrowingWorker()
    try:
        grown, usual = (
            form_memory_mb(each, answer, tmp_path / "none", probes, task, ("onnxruntime",), lambda share, text: None)
            for each in (growing, worker)
        )
    finally:
        growing.close()
    assert growing.calls >= 2 and all(grown[name] == pytest.approx(usual[name], abs=5) for name in opened_by), (grown, usual)


def test_a_form_with_fewer_trees_needs_less_memory_than_the_served_form_that_ran_before_it(tmp_path: Path, worker: Worker) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(3)
    probes = pd.DataFrame({"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS)})
    label = (rng.random(ROWS) < 0.5).astype(int)
    params = {"objective": "binary", "verbose": -1, "num_leaves": 255, "min_data_in_leaf": 1, "num_threads": 1, "seed": 1}
    path = tmp_path / "model.txt"
    lightgbm.train(params, lightgbm.Dataset(probes, label), 300).save_model(path)
    columns = (Column(1, "a", "f1", "number"), Column(2, "b", "f2", "number"))
    model = Model(1, "loan", "binary", ("0", "1"), columns=columns)
    options = AuditOptions(forms=("25 % of the trees",), network=False, seconds=0.01)
    question = FormQuestion(model, Version("1", datetime(2026, 1, 1, tzinfo=UTC)), path, options, probes, "predictions", probes.iloc[:0])
    told: list[float] = []
    part = answered_forms(worker, question, lambda share, text: told.append(share))
    assert told == sorted(told) and 0 <= told[0] < told[-1] <= 1, "regression: the measurement of memory began again at 0"
    served, fewer = part["forms"]
    size = (served["bytes"] - fewer["bytes"]) / 1e6
    assert (served["form"], fewer["form"]) == ("as served", "25 % of the trees")
    assert served["memory_peak_mb"] - fewer["memory_peak_mb"] > 0.5 * size > 2
