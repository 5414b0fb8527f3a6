"""How is a trained model run without trusting its file? In a separate process that is limited in memory, time, files and network.

    worker = shared()
    scores = predict(worker, artifact, rows, task="binary", classes=("0", "1"))
    explanation = explain(worker, artifact, rows, task="binary", classes=("0", "1"), background=reference)

`Worker.call` runs any job: a function `(frames, arguments, files, report) -> Output` named by a dotted path `module:function`. A model that
eats memory, aborts, hangs, writes without end or answers garbage costs its own call, which raises `WorkerError` (an ObservabilityError whose
`reason` says which); the next call works. docs/decisions/0006-worker.md says how and why.
"""

from observability.worker.asking import ErrorEstimate, estimate_errors, explain, predict
from observability.worker.explanation import Explanation
from observability.worker.job import Output, Report
from observability.worker.limits import Limits, WorkerError
from observability.worker.process import Answer, Worker, shared

__all__ = [
    "Answer",
    "ErrorEstimate",
    "Explanation",
    "Limits",
    "Output",
    "Report",
    "Worker",
    "WorkerError",
    "estimate_errors",
    "explain",
    "predict",
    "shared",
]
