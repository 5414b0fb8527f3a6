"""Peak memory of forms of a model, each measured in a process of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from observability.worker.limits import WorkerError
from observability.worker.model_files import OPENERS
from observability.worker.process import JobAnswer, Progress, Worker
from observability.worker.trade_off_forms import is_network_form
from observability.worker.trade_off_job import INPUTS, MODEL

if TYPE_CHECKING:
    from pandas import DataFrame


def form_memory_mb(
    worker: Worker,
    answer: JobAnswer,
    artifact: Path,
    probes: "DataFrame",
    task: Mapping[str, Any],
    imports: Sequence[str],
    progress: Progress,
) -> dict[str, float]:
    """Peak memory of each form in MB (1,000,000 bytes): what opening it and scoring all probes at once adds to the resident memory of a
    process that has read the probes and imported the libraries. Both are measured in the same process.

    A form is left out if its file is too large to be handed on, if it ran on another device than the processor, or if it could not be
    measured.

    Parameters
    ----------
    worker : Worker
        Forks a process for each call.
    answer : JobAnswer
        Of `trade_off_job.measure_forms`: the files of the forms.
    artifact : Path
        The registered model file.
    probes : DataFrame
        The features of the probes.
    task : mapping
        `task` and `classes` of the model.
    imports : sequence of str
        The libraries that the forms need. Their memory does not count.
    progress : callable
        Called with a share and a text.
    """
    found: dict[str, float] = {}
    with TemporaryDirectory(prefix="observability-forms-") as folder:
        for number, (name, opened_by) in enumerate(answer.values["opened_by"].items()):
            network, kind = is_network_form(name), str(opened_by["kind"])
            if kind not in OPENERS or (opened_by["file"] != MODEL and opened_by["file"] not in answer.files):
                raise ValueError(f"the form {name} has no file that can be opened")
            progress(number / len(answer.values["opened_by"]), f"measuring the memory of {name}")
            file = artifact
            if opened_by["file"] != MODEL:
                file = Path(folder, f"form{Path(opened_by['file']).suffix[:20]}")
                file.write_bytes(answer.files[opened_by["file"]])
            rows = answer.frames[INPUTS] if network else probes
            arguments = {**task, "kind": kind, "threads": int(opened_by["threads"])}
            try:
                found[name] = _added_bytes(worker, rows, arguments, file, imports) / 1e6
            except WorkerError:
                continue
    return found


def _added_bytes(worker: Worker, rows: "DataFrame", arguments: Mapping[str, Any], file: Path, imports: Sequence[str]) -> float:
    """The peak resident memory of one call in bytes, without what was resident before it opened the form. Raises WorkerError if the job
    fails.
    """
    job, openers = "observability.worker.form_memory_job:peak_memory", (module for module, _ in OPENERS.values())
    answer = worker.call(job, {"probes": rows}, arguments, files={"form": file}, imports=(*imports, *openers))
    return max(float(answer.values["peak_bytes"]) - float(answer.values["resident_bytes"]), 0.0)
