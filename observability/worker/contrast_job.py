"""The job of contrastive explanations: one row's attributions against each row of several backgrounds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.arrays import Floats
from observability.worker import shapley
from observability.worker.explain_job import MAX_BACKGROUND, TOLERANCE, flat_frame, score_table, task_from_arguments
from observability.worker.explanation import Link, Method
from observability.worker.job import Output, Report
from observability.worker.model import CannotExplain, OpenModel, Task, score_from_output
from observability.worker.model_files import open_model

BACKGROUND = "background."
SURE = 1e-9
"""Probabilities nearer to 0 or 1 than this have no usable log-odds."""


@dataclass(frozen=True)
class ContrastValues:
    """Attributions of one row against a background.

    values: (background rows, features). before: the output of each row of the background. after: the output of the row. error: standard
    error of the mean values, None if they are exact.
    """

    values: Floats
    before: Floats
    after: float
    link: Link
    method: Method
    error: Floats | None = None
    note: str = ""


def attribute_against_backgrounds(
    frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report
) -> Output:
    """Attribute the score of the frame `row` (one row) against each frame `background.NAME`.

    arguments: kind, task, classes, `place` (multiclass: the explained class), seed, permutations.
    """
    row, task, place = frames["row"].head(1), task_from_arguments(arguments), int(arguments.get("place") or 0)
    model = open_model(arguments["kind"], files["model"], row, task)
    table = row[list(model.columns)]
    names = [name for name in frames if name.startswith(BACKGROUND)]
    summary: dict[str, Any] = {"features": list(model.columns), "note": model.note}
    out: dict[str, pd.DataFrame] = {"scores": flat_frame(score_table(model, table, task))}
    for number, name in enumerate(names):
        background = frames[name][list(model.columns)].head(MAX_BACKGROUND).reset_index(drop=True)
        report(number / len(names), f"Compared with {name.removeprefix(BACKGROUND)}: {len(background)} rows")
        found = exact_contrast(model, table, background, task, place)
        if isinstance(found, str):
            found = sampled_contrast(model, table, background, task, place, arguments, found)
        summary[name] = {"link": found.link, "method": found.method, "note": found.note, "after": found.after, "rows": len(background)}
        out[f"{name}/values"], out[f"{name}/before"] = flat_frame(found.values), flat_frame(found.before)
        if found.error is not None:
            out[f"{name}/error"] = flat_frame(found.error)
    return Output(summary, out)


def exact_contrast(model: OpenModel, row: pd.DataFrame, background: pd.DataFrame, task: Task, place: int) -> ContrastValues | str:
    """Exact values, or a sentence with the reason why there are none: the model has none, they leave a residual, or they explain another
    output than the score.
    """
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
    if pairwise.link != "raw" and not np.allclose(
        score_from_output(pairwise.link, chosen[:1]), score_table(model, row, task), rtol=TOLERANCE, atol=1e-5
    ):
        return "The sum of the trees is not the score."
    linear = model.native is not None and model.native.method == "shap linear"
    return ContrastValues(values, chosen[1:], float(chosen[0]), pairwise.link, "shap linear" if linear else "shap tree")


def sampled_contrast(
    model: OpenModel, row: pd.DataFrame, background: pd.DataFrame, task: Task, place: int, arguments: dict[str, Any], reason: str
) -> ContrastValues:
    """Values by sampling permutations; a probability is explained in log-odds if no row scores 0 or 1."""
    before, after = score_table(model, background, task), score_table(model, row, task)
    everything = np.concatenate([before, after])[:, place] if before.ndim == 2 else np.concatenate([before, after])
    wanted: Link = model.native.link if model.native is not None else "identity"
    open_ended = bool(((everything > SURE) & (everything < 1 - SURE)).all())
    link: Link = "logit" if wanted == "logit" and open_ended else "log" if wanted == "log" and (everything > 0).all() else "identity"

    def output(scores: Floats) -> Floats:
        chosen = scores[:, place] if scores.ndim == 2 else scores
        with np.errstate(divide="ignore"):
            return np.log(chosen) - np.log1p(-chosen) if link == "logit" else np.log(chosen) if link == "log" else chosen

    permutations = max(2, int(arguments.get("permutations") or 4))
    plan = shapley.permutation_plan(row.shape[1], len(background), permutations, int(arguments.get("seed") or 0))
    start, end = output(before), output(after)
    pairs = shapley.row_contributions(lambda given: output(model.score(given)), model.encode, row, background, plan, start[:, None], end)[
        ..., 0
    ]
    error = np.sqrt(pairs.var(axis=0, ddof=1).sum(axis=0) / permutations) / len(background)
    note = f"{reason} Values are sampled; each has a standard error.".strip()
    return ContrastValues(pairs.mean(axis=0), start, float(end[0]), link, "shap permutation", error, note)
