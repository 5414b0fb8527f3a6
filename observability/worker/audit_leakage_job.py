"""Jobs of an audit of leakage. They measure how well single features and the model predict the label, and count held-out rows that also
occur among the training rows.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.metrics.audit_model import AuditModel
from observability.metrics.data_audit import held_out_overlap
from observability.stats.arrays import Floats
from observability.stats.interval import Interval
from observability.worker.explain_job import score_table, task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.model import Task
from observability.worker.model_files import open_model


def label_known_alone(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """How well each feature of the frame `rows` alone predicts the label, out of fold. Value: `shares`, by name of the feature: value, low,
    high and rows.

    arguments: labels (class index, or the value of a regression), columns (names), seed. `measure`: the metric behind the shares; `why`
    in place of both if no model can be fitted.
    """
    data = AuditModel(frames["rows"], pd.Series(arguments["labels"]), int(arguments["seed"]))
    if data.obstacle is not None:
        return Output({"why": data.obstacle})
    return Output(
        {"shares": {name: _parts(share) for name, share in data.known_alone(arguments["columns"]).items()}, "measure": data.metric}
    )


def label_known_by_model(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """How well the model file predicts the label of the frame `rows`: `share`, as in `label_known_alone`; None if the tasks differ.

    arguments: kind, task, classes, labels, seed.
    """
    task, rows = task_from_arguments(arguments), frames["rows"]
    data = AuditModel(rows, pd.Series(arguments["labels"]), int(arguments["seed"]))
    model = open_model(arguments["kind"], files["model"], rows, task)
    answers = answers_by_class(score_table(model, rows[list(model.columns)], task), task, data)
    return Output({"share": None if answers is None else _parts(data.known_share(answers))})


def answers_by_class(scores: Floats, task: Task, data: AuditModel) -> Floats | None:
    """The model's scores in the form of `AuditModel`: values, or a column for each class that has rows. None if the tasks differ."""
    if (task.name == "regression") != (data.task == "regression"):
        return None
    if task.name == "regression":
        return scores
    every = scores if scores.ndim == 2 else np.column_stack([1 - scores, scores])
    return np.asarray(every[:, [int(float(name)) for name in data.classes]], np.float64)


def training_rows_held_out(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The number of rows of the frame `held` whose features equal those of a row of the frame `training`, in the form of
    `HeldOutOverlap.record`.

    arguments: labels, held_labels.
    """
    labels, held_labels = (pd.Series(arguments[name]) for name in ("labels", "held_labels"))
    return Output(held_out_overlap(frames["training"], labels, frames["held"], held_labels).record)


def _parts(found: Interval) -> list[float]:
    """An interval as value, low, high and rows."""
    return [float("nan") if part is None else float(part) for part in (found.value, found.low, found.high, found.n)]
