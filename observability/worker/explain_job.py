"""The jobs of a model file: scores of rows, and attributions of the scores to features."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Floats
from observability.worker import shapley
from observability.worker.features import unknown_categories
from observability.worker.job import Output, Report
from observability.worker.model import Attribution, CannotExplain, Native, OpenModel, Task, score_from_output
from observability.worker.model_files import open_model

MAX_BACKGROUND = 100
CHUNK, CHECKED = 2000, 50
TOLERANCE = 1e-3
TRAINING, GIVEN = "the training rows, as counted in the model's trees", "rows of the reference"


def score_rows(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Scores of the frame `rows`, in the frame `scores`: column `score`, or `0`, `1`, … for the classes."""
    rows, task = frames["rows"], task_from_arguments(arguments)
    model = open_model(arguments["kind"], files["model"], rows, task)
    scores = score_table(model, rows[list(model.columns)], task)
    kinds = {name: "number" if known is None else "category" for name, known in model.takes.items()}
    said = {"note": model.note, "columns": list(model.columns), "kinds": kinds, "unknown": unknown_categories(rows, model.takes)}
    return Output(said, {"scores": scores_frame(scores)})


def scores_frame(scores: Floats) -> pd.DataFrame:
    """Scores as a table: column `score`, or `0`, `1`, … for the classes."""
    if scores.ndim == 1:
        return pd.DataFrame({"score": scores})
    return pd.DataFrame({str(place): scores[:, place] for place in range(scores.shape[1])})


def attribute_scores(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Attributions of the frame `rows` against the frame `background`: flat arrays, with their shapes in the values."""
    rows, task = frames["rows"], task_from_arguments(arguments)
    model = open_model(arguments["kind"], files["model"], rows, task)
    table = rows[list(model.columns)]
    background = sample_background(frames.get("background"), model, arguments["seed"])
    report(0.01, "The model is open")
    notes = [model.note]
    found, method, link, used = None, "shap permutation", "identity", None
    try:
        found = native_attributions(model, table, task, background, report)
    except CannotExplain as error:
        notes.append(f"{error}.")
    if found is not None and model.native is not None:
        predictions = found.scores if found.scores is not None else score_table(model, table, task)
        mismatch = attribution_mismatch(model, model.native, found, table, predictions, task)
        if mismatch:
            notes.append(f"{model.native.method} was not used: {mismatch}.")
            found = None
        else:
            method, link = model.native.method, model.native.link
            used = background if model.native.needs_background else None
    if found is None:
        used = required_background(background)
        found = shapley.sample_attributions(
            model.score, model.encode, table, used, permutations=max(2, arguments["permutations"]), seed=arguments["seed"], report=report
        )
        predictions = found.output
        notes.append("Values are sampled; each has a standard error.")
    arrays = {"values": found.values, "base": found.base, "output": found.output, "predictions": predictions}
    arrays |= {"error": found.error} if found.error is not None else {}
    values = {
        "method": method,
        "link": link,
        "features": list(model.columns),
        "note": " ".join(note for note in notes if note),
        "background": TRAINING if used is None else GIVEN,
        "background_rows": None if used is None else len(used),
        "shapes": {name: list(np.shape(array)) for name, array in arrays.items()},
    }
    return Output(values, {name: flat_frame(array) for name, array in arrays.items()})


def attribution_mismatch(model: OpenModel, native: Native, found: Attribution, table: pd.DataFrame, predictions: Floats, task: Task) -> str:
    """Why a model's own attributions are not used: they leave a residual or do not explain the score. "" if they are used."""
    scale = max(1.0, float(np.abs(found.output).max(initial=0.0)))
    worst = float(np.abs(found.residual).max(initial=0.0))
    if not worst <= TOLERANCE * scale:
        return f"it left a residual of {worst:.3g}"
    some = slice(0, CHECKED)
    scores = score_table(model, table.iloc[some], task)
    explained = score_from_output(native.link, found.output[some]) if native.link != "raw" else scores
    same = np.allclose(explained, scores, rtol=TOLERANCE, atol=1e-5) and np.allclose(predictions[some], scores, rtol=1e-9, atol=1e-12)
    return "" if same else "the explained output is not the score"


def task_from_arguments(arguments: dict[str, Any]) -> Task:
    """The task in a job's arguments. Raises UsageError for an unknown one."""
    task = Task(arguments["task"], tuple(arguments["classes"]))
    if task.name not in ("binary", "regression", "multiclass"):
        raise UsageError("unknown task", got=task.name, expected="binary, regression or multiclass")
    return task


def score_table(model: OpenModel, table: pd.DataFrame, task: Task) -> Floats:
    """The scores of rows. An empty table is not passed to the library."""
    if table.empty:
        return np.empty((0, len(task.classes)) if task.multiclass else 0)
    return model.score(model.encode(table))


def native_attributions(
    model: OpenModel, table: pd.DataFrame, task: Task, background: pd.DataFrame | None, report: Report
) -> Attribution | None:
    """The model's own attributions, computed in chunks with progress reports; None if it has none."""
    native = model.native
    if native is None:
        return None
    if table.empty:
        some = (len(task.classes),) if task.multiclass else ()
        return Attribution(np.empty((0, *some, table.shape[1])), np.zeros(some), np.empty((0, *some)))
    against = model.encode(required_background(background)) if native.needs_background else None
    parts = []
    for start in range(0, max(len(table), 1), CHUNK):
        parts.append(native.explain(model.encode(table.iloc[start : start + CHUNK]), against))
        report(min(start + CHUNK, len(table)) / max(len(table), 1), f"{min(start + CHUNK, len(table))} of {len(table)} rows")
    scores = [part.scores for part in parts if part.scores is not None]
    return Attribution(
        np.concatenate([part.values for part in parts]),
        parts[0].base,
        np.concatenate([part.output for part in parts]),
        scores=np.concatenate(scores) if len(scores) == len(parts) else None,
    )


def sample_background(frame: pd.DataFrame | None, model: OpenModel, seed: int) -> pd.DataFrame | None:
    """At most MAX_BACKGROUND background rows, drawn with the seed; None if there are none."""
    if frame is None or frame.empty:
        return None
    lacking = [name for name in model.columns if name not in frame]
    if lacking:
        raise UsageError("the background lacks features of the model", got=f"no {', '.join(lacking[:5])}")
    rows = frame[list(model.columns)]
    return rows.sample(MAX_BACKGROUND, random_state=seed, ignore_index=True) if len(rows) > MAX_BACKGROUND else rows.reset_index(drop=True)


def required_background(background: pd.DataFrame | None) -> pd.DataFrame:
    """The background, or UsageError if there is none."""
    if background is None:
        raise UsageError(
            "this kind of model is explained against a background, and there are no background rows", attempt="Register a reference"
        )
    return background


def flat_frame(array: Floats) -> pd.DataFrame:
    """An array of any shape as one column."""
    return pd.DataFrame({"value": np.ravel(np.asarray(array, dtype=float))})
