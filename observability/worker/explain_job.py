"""The jobs of a model's file: which score does it give to rows, and what part of it has each feature?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.worker import shapley
from observability.worker.job import Output, Report
from observability.worker.model import Attribution, CannotExplain, Model, Native, Task, through
from observability.worker.model_files import open_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BACKGROUND = 100
CHUNK, CHECKED = 2000, 50
TOLERANCE = 1e-3
TRAINING, GIVEN = "the rows the model was fitted on, as its trees count them", "rows of the reference"


def predict(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Scores of the frame `rows`, in the frame `scores`: column `score`, or `0`, `1`, … for the classes."""
    rows, task = frames["rows"], task_of(arguments)
    model = open_model(arguments["kind"], files["model"], rows, task)
    scores = scored(model, rows[list(model.columns)], task)
    named = {"score": scores} if scores.ndim == 1 else {str(place): scores[:, place] for place in range(scores.shape[1])}
    return Output({"note": model.note}, {"scores": pd.DataFrame(named)})


def explain(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Attributions of the frame `rows` against the frame `background`: flat arrays, whose shapes the values give."""
    rows, task = frames["rows"], task_of(arguments)
    model = open_model(arguments["kind"], files["model"], rows, task)
    table = rows[list(model.columns)]
    background = background_of(frames.get("background"), model, arguments["seed"])
    report(0.01, "The model is open")
    notes = [model.note]
    found, method, link, used = None, "shap permutation", "identity", None
    try:
        found = exact(model, table, task, background, report)
    except CannotExplain as error:
        notes.append(f"{error}.")
    if found is not None and model.native is not None:
        predictions = found.scores if found.scores is not None else scored(model, table, task)
        wrong = what_is_wrong(model, model.native, found, table, predictions, task)
        if wrong:
            notes.append(f"{model.native.method} was not used: {wrong}.")
            found = None
        else:
            method, link = model.native.method, model.native.link
            used = background if model.native.needs_background else None
    if found is None:
        used = needed(background)
        found = shapley.explain_rows(
            model.score, model.encode, table, used, permutations=max(2, arguments["permutations"]), seed=arguments["seed"], report=report
        )
        predictions = found.output
        notes.append("Values are sampled; each has a standard error.")
    arrays = {"values": found.values, "base": found.base, "output": found.output, "predictions": predictions}
    arrays |= {"error": found.error} if found.error is not None else {}
    values = {
        "method": method, "link": link, "features": list(model.columns), "note": " ".join(each for each in notes if each),
        "background": TRAINING if used is None else GIVEN, "background_rows": None if used is None else len(used),
        "shapes": {name: list(np.shape(array)) for name, array in arrays.items()},
    }  # fmt: skip
    return Output(values, {name: flat(array) for name, array in arrays.items()})


def what_is_wrong(
    model: Model, native: Native, found: Attribution, table: pd.DataFrame, predictions: "NDArray[np.float64]", task: Task
) -> str:
    """Why a model's own attributions cannot be shown: they leave a residual, or the output they explain is not the score. "" where they can."""
    scale = max(1.0, float(np.abs(found.output).max(initial=0.0)))
    worst = float(np.abs(found.residual).max(initial=0.0))
    if not worst <= TOLERANCE * scale:
        return f"it left a residual of {worst:.3g}"
    some = slice(0, CHECKED)
    asked = scored(model, table.iloc[some], task)
    explained = through(native.link, found.output[some]) if native.link != "raw" else asked
    same = np.allclose(explained, asked, rtol=TOLERANCE, atol=1e-5) and np.allclose(predictions[some], asked, rtol=1e-9, atol=1e-12)
    return "" if same else "what it explains is not the score"


def task_of(arguments: dict[str, Any]) -> Task:
    """The task that the caller named."""
    task = Task(arguments["task"], tuple(arguments["classes"]))
    if task.name not in ("binary", "regression", "multiclass"):
        raise UsageError("unknown task", got=task.name, expected="binary, regression or multiclass")
    return task


def scored(model: Model, table: pd.DataFrame, task: Task) -> "NDArray[np.float64]":
    """The scores of rows; libraries are not asked about none."""
    if table.empty:
        return np.empty((0, len(task.classes)) if task.multiclass else 0)
    return model.score(model.encode(table))


def exact(model: Model, table: pd.DataFrame, task: Task, background: pd.DataFrame | None, report: Report) -> Attribution | None:
    """The model's own attributions, in pieces so that progress is seen; None where it has none."""
    native = model.native
    if native is None:
        return None
    if table.empty:
        some = (len(task.classes),) if task.multiclass else ()
        return Attribution(np.empty((0, *some, table.shape[1])), np.zeros(some), np.empty((0, *some)))
    against = model.encode(needed(background)) if native.needs_background else None
    parts = []
    for start in range(0, max(len(table), 1), CHUNK):
        parts.append(native.explain(model.encode(table.iloc[start : start + CHUNK]), against))
        report(min(start + CHUNK, len(table)) / max(len(table), 1), f"{min(start + CHUNK, len(table))} of {len(table)} rows")
    scores = [each.scores for each in parts if each.scores is not None]
    return Attribution(
        np.concatenate([each.values for each in parts]), parts[0].base, np.concatenate([each.output for each in parts]),
        scores=np.concatenate(scores) if len(scores) == len(parts) else None,
    )  # fmt: skip


def background_of(frame: pd.DataFrame | None, model: Model, seed: int) -> pd.DataFrame | None:
    """At most MOST_BACKGROUND of the rows that "on average" means, drawn with the seed."""
    if frame is None or frame.empty:
        return None
    lacking = [name for name in model.columns if name not in frame]
    if lacking:
        raise UsageError("the background lacks features of the model", got=f"no {', '.join(lacking[:5])}")
    rows = frame[list(model.columns)]
    return (
        rows.sample(MOST_BACKGROUND, random_state=seed, ignore_index=True) if len(rows) > MOST_BACKGROUND else rows.reset_index(drop=True)
    )


def needed(background: pd.DataFrame | None) -> pd.DataFrame:
    """The background, or UsageError where there is none."""
    if background is None:
        raise UsageError(
            "this kind of model is explained against a background, and there are no rows for it", attempt="Register a reference"
        )
    return background


def flat(array: "NDArray[np.float64]") -> pd.DataFrame:
    """An array of any shape as one column."""
    return pd.DataFrame({"value": np.ravel(np.asarray(array, dtype=float))})
