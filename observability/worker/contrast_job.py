"""The job behind "why this score and not another": one row's attributions against each row of several backgrounds."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.worker import shapley
from observability.worker.explain_job import MOST_BACKGROUND, TOLERANCE, flat, scored, task_of
from observability.worker.explanation import Link, Method
from observability.worker.job import Output, Report
from observability.worker.model import CannotExplain, Model, Task, through
from observability.worker.model_files import open_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BACKGROUND = "background."
SURE = 1e-9
"""Probabilities nearer to 0 or 1 have no log-odds that can be added up."""


@dataclass(frozen=True)
class Found:
    """values: (background rows, features), before: the output of each row of the background, after: of the row. error: of the mean values, None: exact."""

    values: "Floats"
    before: "Floats"
    after: float
    link: Link
    method: Method
    error: "Floats | None" = None
    note: str = ""


def explain(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The frame `row` (one row) against each frame `background.NAME`: by name the values by background row, outputs, link, method, error.

    arguments: kind, task, classes, `place` (multiclass: the class that is explained), seed, permutations.
    """
    row, task, place = frames["row"].head(1), task_of(arguments), int(arguments.get("place") or 0)
    model = open_model(arguments["kind"], files["model"], row, task)
    table = row[list(model.columns)]
    names = [name for name in frames if name.startswith(BACKGROUND)]
    said: dict[str, Any] = {"features": list(model.columns), "note": model.note}
    out: dict[str, pd.DataFrame] = {"scores": flat(scored(model, table, task))}
    for number, name in enumerate(names):
        background = frames[name][list(model.columns)].head(MOST_BACKGROUND).reset_index(drop=True)
        report(number / len(names), f"Held against {name.removeprefix(BACKGROUND)}: {len(background)} rows")
        found = exact(model, table, background, task, place)
        if isinstance(found, str):
            found = sampled(model, table, background, task, place, arguments, found)
        said[name] = {"link": found.link, "method": found.method, "note": found.note, "after": found.after, "rows": len(background)}
        out[f"{name}/values"], out[f"{name}/before"] = flat(found.values), flat(found.before)
        if found.error is not None:
            out[f"{name}/error"] = flat(found.error)
    return Output(said, out)


def exact(model: Model, row: pd.DataFrame, background: pd.DataFrame, task: Task, place: int) -> Found | str:
    """Exact values; a sentence where there are none, or where they leave a residual or explain something other than the score."""
    pairwise = model.pairwise
    if pairwise is None:
        return ""
    try:
        values = pairwise.values(row, background, place)
        outputs = pairwise.output(pd.concat([row, background], ignore_index=True))
    except CannotExplain as error:
        return f"{error}."
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        return f"The trees could not be read ({type(error).__name__})."
    chosen = outputs[:, place] if outputs.ndim == 2 else outputs
    residual = chosen[0] - chosen[1:] - values.sum(axis=1)
    if not np.abs(residual).max(initial=0.0) <= TOLERANCE * max(1.0, float(np.abs(chosen).max())):
        return "The exact values left a residual and were not used."
    if pairwise.link != "raw" and not np.allclose(through(pairwise.link, chosen[:1]), scored(model, row, task), rtol=TOLERANCE, atol=1e-5):
        return "What the trees add up to is not the score."
    linear = model.native is not None and model.native.method == "shap linear"
    return Found(values, chosen[1:], float(chosen[0]), pairwise.link, "shap linear" if linear else "shap tree")


def sampled(
    model: Model, row: pd.DataFrame, background: pd.DataFrame, task: Task, place: int, arguments: dict[str, Any], why: str
) -> Found:  # fmt: skip
    """Values by sampling permutations; of a probability in the space of the log-odds where no row is quite sure."""
    before, after = scored(model, background, task), scored(model, row, task)
    everything = np.concatenate([before, after])[:, place] if before.ndim == 2 else np.concatenate([before, after])
    wanted: Link = model.native.link if model.native is not None else "identity"
    open_ended = bool(((everything > SURE) & (everything < 1 - SURE)).all())
    link: Link = "logit" if wanted == "logit" and open_ended else "log" if wanted == "log" and (everything > 0).all() else "identity"

    def output(scores: "Floats") -> "Floats":
        chosen = scores[:, place] if scores.ndim == 2 else scores
        with np.errstate(divide="ignore"):
            return np.log(chosen) - np.log1p(-chosen) if link == "logit" else np.log(chosen) if link == "log" else chosen

    permutations = max(2, int(arguments.get("permutations") or 4))
    plan = shapley.planned(row.shape[1], len(background), permutations, int(arguments.get("seed") or 0))
    start, end = output(before), output(after)
    pairs = shapley.of_row(lambda given: output(model.score(given)), model.encode, row, background, plan, start[:, None], end)[..., 0]
    error = np.sqrt(pairs.var(axis=0, ddof=1).sum(axis=0) / permutations) / len(background)
    note = f"{why} Values are sampled; each has a standard error.".strip()
    return Found(pairs.mean(axis=0), start, float(end[0]), link, "shap permutation", error, note)
