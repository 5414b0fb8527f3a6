"""The job that runs the forms of a model (trade_off_forms.py) on the same probes: scores, repeats, times, processor time and sizes."""

import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.metrics.trade_offs import NETWORK_ROWS
from observability.stats.arrays import Floats
from observability.worker.explain_job import scores_frame, task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.model import OpenModel, Task
from observability.worker.model_files import open_model
from observability.worker.trade_off_forms import (
    NETWORK,
    SERVED,
    Form,
    MissingForm,
    NetworkInput,
    is_network_form,
    lightgbm_forms,
    network_file,
    onnx_forms,
    row_slice,
)

PASSES = 3
SINGLE_ROWS = 200
"""Probes that are also scored one at a time: for the latency of a request, and for answers that depend on their batch."""
WARM_UP = 5
REST = 0.25
"""Seconds without work before and after the load, so that a reader of energy counters learns of its beginning and end in time."""
BEGIN, END = "load begins: ", "load ends: "
MODEL = "model"
"""The file of the request; other files are those that the job wrote."""
INPUTS = "network inputs"
"""The frame of the probes as the network takes them."""


def measure_forms(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Run every form on the frame `probes`. The network learns from the frame `reference`.

    arguments: `threshold` of a binary model, `seconds` of load a form, `forms` (names, empty: all), `network` (whether it is trained),
    `providers` (devices to ask for), `seed`, and `place` for a part (`forms_from_place`). The frame of each form holds its scores, `spread`
    (largest difference between passes) and `changed` (whether passes decided differently). `opened_by`: by form, the file that holds it
    alone, its kind and its threads, for `form_memory_job`.
    """
    probes, task = frames["probes"], task_from_arguments(arguments)
    model = open_model(arguments["kind"], files["model"], probes, task)
    wanted, seconds = set(arguments["forms"]), float(arguments["seconds"])
    measured: list[dict[str, Any]] = []
    missing: list[dict[str, str]] = []
    tables: dict[str, pd.DataFrame] = {}
    opened_by: dict[str, dict[str, Any]] = {}
    written: dict[str, Path] = {}
    forms = built_forms(model, frames, files["model"], arguments, task, report)
    for form in forms_from_place(forms, arguments.get("place")):
        if wanted and form.name not in {*wanted, SERVED}:
            continue
        if isinstance(form, MissingForm):
            missing.append({"form": form.name, "why": form.why})
            continue
        share = len(measured) / (len(measured) + 2)
        report(share, f"scoring with {form.name}")
        tables[f"form {len(measured)}"] = passes_frame(form, task, arguments["threshold"])
        times, singles = single_times(form), min(SINGLE_ROWS, len(probes))
        report(share, f"{BEGIN}{form.name}")
        time.sleep(REST)
        load = load_figures(form, len(probes), seconds)
        report(share, f"{END}{form.name}")
        time.sleep(REST)
        measured.append(
            {
                "form": form.name,
                "parent": form.parent,
                "runtime": form.runtime,
                "precision": form.precision,
                "threads": form.threads,
                "provider": form.provider,
                "used_provider": form.used,
                "operations": form.operations,
                "cpu_operations": None if form.cpu_operations is None else sum(form.cpu_operations.values()),
                "cpu_operation_types": sorted(form.cpu_operations or {}, key=lambda kind: (-(form.cpu_operations or {})[kind], kind)),
                "bytes": form.size,
                "latency_p50_ms": float(np.quantile(times, 0.5)),
                "latency_p99_ms": float(np.quantile(times, 0.99)),
                "single_rows": singles,
                "passes": PASSES,
            }
            | load
        )
        if form.file is not None and form.used == "cpu":
            file = MODEL if form.file == files["model"] else form.file.name
            written |= {} if file == MODEL else {file: form.file}
            opened_by[form.name] = {"file": file, "kind": form.kind, "threads": form.threads}
            if is_network_form(form.name):
                tables[INPUTS] = pd.DataFrame(form.rows["x"]).add_prefix("input ")
    return Output({"forms": measured, "missing": missing, "opened_by": opened_by}, tables, written)


def forms_from_place(forms: Iterator[Form | MissingForm], place: int | None) -> Iterator[Form | MissingForm]:
    """Yield all forms. With a place, yield the form at that place alone; from the first form of the network on, yield all of its forms,
    because they share its training.
    """
    for form in islice(forms, place, None):
        yield form
        if place is not None and not is_network_form(form.name):
            return


def built_forms(
    model: OpenModel, frames: "dict[str, pd.DataFrame]", path: Path, arguments: dict[str, Any], task: Task, report: Report
) -> Iterator[Form | MissingForm]:
    """Yield the forms of a model file, the served form first, then the forms of the network that imitates the model."""
    columns = list(model.columns)
    rows, kind, providers = model.encode(frames["probes"][columns]), arguments["kind"], arguments["providers"]
    if kind == "lightgbm":
        yield from lightgbm_forms(path, model, rows, task)
    elif kind == "onnx":
        yield from onnx_forms(path, lambda encoded: encoded, rows, task, SERVED, None, providers)
    else:
        yield Form(SERVED, None, kind, "fp64", model.score, rows, path.stat().st_size, file=path, kind=kind)
    if kind == "onnx" or not arguments["network"]:
        return
    lacking = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    reference = frames.get("reference")
    if lacking or reference is None or len(reference) < NETWORK_ROWS:
        why = f"{lacking[0]} is not installed" if lacking else f"it learns from a reference of {NETWORK_ROWS} rows or more"
        yield MissingForm(NETWORK, why)
        return
    report(0.05, "training a small network on the reference")
    encoder = NetworkInput(reference[columns])
    scores = model.score(model.encode(reference[columns]))
    graph = network_file(encoder.matrix(reference[columns]), scores, task, int(arguments["seed"]))
    inputs = encoder.matrix(frames["probes"][columns])
    yield from onnx_forms(graph, lambda _: {"x": inputs}, None, task, NETWORK, SERVED, providers)


def passes_frame(form: Form, task: Task, threshold: float | None) -> pd.DataFrame:
    """The scores of the first pass, and the largest distance of further passes from it. Further passes score whole batches, and some probes
    one at a time.
    """
    first = form.score(form.rows)
    spread, changed = np.zeros(len(first)), np.zeros(len(first), bool)
    singles = np.array(first)
    for place in range(min(SINGLE_ROWS, len(first))):
        singles[place] = form.score(row_slice(form.rows, place, place + 1))[0]
    for scores in (*(form.score(form.rows) for _ in range(PASSES - 1)), singles):
        difference = np.abs(scores - first)
        spread = np.maximum(spread, difference if difference.ndim == 1 else difference.max(axis=1))
        changed |= form_decisions(scores, task, threshold) != form_decisions(first, task, threshold)
    return scores_frame(first).assign(spread=spread, changed=changed)


def form_decisions(scores: Floats, task: Task, threshold: float | None) -> Any:
    """The class of each row; 0 for a regression."""
    if task.multiclass:
        return scores.argmax(axis=1)
    return (scores >= (0.5 if threshold is None else threshold)).astype(int) if task.name == "binary" else np.zeros(len(scores), int)


def single_times(form: Form) -> Any:
    """Milliseconds of requests of one row, by a clock. Some first requests are not counted."""
    rows = min(SINGLE_ROWS, _length(form.rows))
    for place in range(min(WARM_UP, rows)):
        form.score(row_slice(form.rows, place, place + 1))
    times = []
    for place in range(rows):
        one = row_slice(form.rows, place, place + 1)
        begun = time.perf_counter()
        form.score(one)
        times.append(1000 * (time.perf_counter() - begun))
    return np.array(times)


def load_figures(form: Form, probes: int, seconds: float) -> dict[str, Any]:
    """Score all probes repeatedly for some seconds. Returns wall-clock and processor time per thousand rows."""
    begun, used, batches = time.perf_counter(), time.process_time(), 0
    while batches == 0 or time.perf_counter() - begun < seconds:
        form.score(form.rows)
        batches += 1
    wall, processor, rows = time.perf_counter() - begun, time.process_time() - used, batches * probes
    return {"load_rows": rows, "ms_per_thousand": 1e6 * wall / rows, "cpu_seconds_per_thousand": 1000 * processor / rows}


def _length(rows: Any) -> int:
    return len(next(iter(rows.values()))) if isinstance(rows, dict) else len(rows)
