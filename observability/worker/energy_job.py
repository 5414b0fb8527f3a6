"""The job that measures the processor time of a thousand predictions, by batch size and by form of the model (trade_off_forms.py)."""

import time
from pathlib import Path
from typing import Any

import pandas as pd

from observability.worker.explain_job import task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.model_files import open_model
from observability.worker.trade_off_forms import SERVED, MissingForm, row_slice
from observability.worker.trade_off_job import BEGIN, END, REST, WARM_UP, built_forms

LONGEST = 20.0
"""Multiple of the processor seconds after which a clock ends a repeat."""
REPEATS = 6
"""Times that each size is measured; the interval comes from their differences."""


def measure_batches(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Score the frame `probes` in batches of each size with each form, for some seconds of processor time, and measure the processor time.

    arguments: as of `trade_off_job.measure_forms`, and `batches`, the batch sizes. A size above the number of probes is left out.
    """
    probes, task = frames["probes"], task_from_arguments(arguments)
    model = open_model(arguments["kind"], files["model"], probes, task)
    wanted, seconds = set(arguments["forms"]), float(arguments["seconds"])
    sizes = [int(size) for size in arguments["batches"] if int(size) <= len(probes)]
    found: list[dict[str, Any]] = []
    missing: list[dict[str, str]] = []
    for place, form in enumerate(built_forms(model, frames, files["model"], arguments, task, report)):
        if wanted and form.name not in {*wanted, SERVED}:
            continue
        if isinstance(form, MissingForm):
            missing.append({"form": form.name, "why": form.why})
            continue
        share = place / (place + 2)
        report(share, f"{BEGIN}{form.name}")
        time.sleep(REST)  # so that a reader of the meter sees where the work begins
        used = time.process_time()
        for size in sizes:
            report(share, f"{form.name}, batches of {size:,}")
            repeats = [_batch_cost(form, size, len(probes), seconds / (len(sizes) * REPEATS)) for _ in range(REPEATS)]
            rows = sum(rows for rows, _ in repeats)
            costs = [1000 * processor / rows for rows, processor in repeats]
            found.append({"form": form.name, "precision": form.precision, "batch": size, "rows": rows, "repeats": REPEATS, "costs": costs})
        used = time.process_time() - used
        report(share, f"{END}{form.name}")
        time.sleep(REST)  # so that a reader of the meter sees where the work ends
        for each in found:
            if each["form"] == form.name:
                each["load_cpu_seconds"] = used
    return Output({"batches": found, "missing": missing}, {})


def _batch_cost(form: Any, size: int, probes: int, seconds: float) -> tuple[int, float]:
    """Score rows in batches of one size for about `seconds` of processor time. Returns the number of rows and the processor seconds that
    they took.

    Processor time is measured instead of clock time, so other work on the machine delays the result and does not distort it.
    """
    batches = [row_slice(form.rows, start, start + size) for start in range(0, probes - size + 1, max(size, probes // 50 or 1))][:50]
    for batch in batches[:WARM_UP]:
        form.score(batch)
    begun, used, rows, place = time.perf_counter(), time.process_time(), 0, 0
    while rows == 0 or (time.process_time() - used < seconds and time.perf_counter() - begun < LONGEST * seconds):
        form.score(batches[place % len(batches)])
        rows, place = rows + size, place + 1
    return rows, time.process_time() - used
