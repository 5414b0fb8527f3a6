"""Runs trained models in a separate process, limited in memory, time, files and network, because model files are not trusted.

    worker = shared()                       # worker/process.py
    scores = predict(worker, artifact, rows, task="binary", classes=("0", "1"))              # worker/requests.py
    explanation = explain(worker, artifact, rows, task="binary", classes=("0", "1"), background=reference)

`Worker.call` runs any job: a function `(frames, arguments, files, report) -> Output` named by a dotted path `module:function`. A model that
exhausts memory, aborts, hangs, writes without end or returns garbage costs only its own call, which raises `WorkerError` (an ObservabilityError
whose `reason` says why); the next call works. docs/decisions/0006-worker.md says how and why.
"""
