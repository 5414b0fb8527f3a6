"""Runs trained models in a separate process with limits on memory, time, files and network, because model files are not trusted.

    worker = warm_worker()  # worker/process.py
    scores = predict_scores(worker, artifact, rows, task="binary", classes=("0", "1"))  # worker/requests.py
    explanation = explain_scores(worker, artifact, rows, task="binary", classes=("0", "1"), background=reference)

`Worker.call` runs any job: a function `(frames, arguments, files, report) -> Output` named by a dotted path `module:function`. A model that
exhausts memory, aborts, hangs, writes without end or returns garbage costs only its own call, which raises `WorkerError` (an
ObservabilityError whose `reason` says why); the next call works. docs/decisions/0006-worker.md explains the design.
"""
