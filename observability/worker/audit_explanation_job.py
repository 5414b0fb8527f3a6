"""Jobs of an audit of explanations: attributions against a background drawn with a seed, their faithfulness when features are deleted, a
second method (occlusion) and surrogate trees.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.arrays import Floats, Integers
from observability.worker import shapley
from observability.worker.explain_job import score_table, task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.matrix_scorer import MatrixScorer
from observability.worker.model import CannotExplain, OpenModel, Task
from observability.worker.model_files import open_model

ORDERS, DEPTHS, RESAMPLES = 3, (2, 3, 4, 5, 6), 400
"""Random orders of deletion that the attributions are compared with; depths of the surrogate trees; draws of their bootstrap."""


def attribute_with_seed(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Explain the rows of the frame `rows`: attributions of each row's decided class against a background drawn from the frame `real`.

    arguments: kind, task, classes, seed (of the draw and the method), background (number of its rows). Returns the frame `values` with the
    attributions (rows, features), and `method`, the name of the method.
    """
    task, rows = task_from_arguments(arguments), frames["rows"]
    model = open_model(arguments["kind"], files["model"], rows, task)
    columns = list(model.columns)
    real = frames["real"][columns]
    background = real.sample(min(int(arguments["background"]), len(real)), random_state=int(arguments["seed"]), ignore_index=True)
    values, method = audit_attributions(model, task, rows[columns], background, int(arguments["seed"]), report)
    return Output({"method": method}, {"values": pd.DataFrame(values, columns=columns)})


def audit_attributions(
    model: OpenModel, task: Task, table: pd.DataFrame, background: pd.DataFrame, seed: int, report: Report
) -> tuple[Floats, str]:
    """Attributions (rows, features) of the decided class against a background, and the method. They are exact if the model allows it."""
    decided = decided_classes(model, task, table)
    if model.pairwise is not None:
        try:
            found = np.empty(table.shape)
            for row in range(len(table)):
                found[row] = model.pairwise.values(table.iloc[[row]], background, int(decided[row])).mean(axis=0)
                report((row + 1) / len(table), f"{row + 1} of {len(table)} rows explained")
            return found, "exact against the background"
        except CannotExplain:
            report(0.0, "sampling permutations")
    if model.native is not None and model.native.needs_background:
        try:
            given = model.native.explain(model.encode(table), model.encode(background))
            return _of_classes(given.values, decided), model.native.method
        except CannotExplain:
            report(0.0, "sampling permutations")
    sampled = shapley.sample_attributions(model.score, model.encode, table, background, permutations=2, seed=seed, report=report)
    return _of_classes(sampled.values, decided), "sampled permutations"


def decided_classes(model: OpenModel, task: Task, table: pd.DataFrame) -> Integers:
    """The index of the most probable class of each row; 0 for other tasks."""
    scores = score_table(model, table, task)
    return np.asarray(scores.argmax(axis=1) if scores.ndim == 2 else np.zeros(len(scores)), np.int64)


def _of_classes(values: Floats, places: Integers) -> Floats:
    """The values of each row's class; all values if there are no classes."""
    return values[np.arange(len(values)), places] if values.ndim == 3 else values


def judge_attributions(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Measure how faithful the attributions in the frame `values` are to the model on the frame `rows`, and how well simple models imitate
    the model.

    Deletion replaces the features of a row by those of rows of `real`, the largest attribution first, and measures how far the score moves.
    Frames: `deletion` (`features` deleted, `by_attribution`, `at_random`: mean distance of the score), `areas` (for each row, the mean of
    its deletion curve over 0, 1, … deleted features), `surrogates` (`depth` of a tree, `r2` on rows that it was not fitted on), `occlusion`
    (another method: how far the score falls where one feature alone is replaced; features as columns).
    """
    task, rows, seed = task_from_arguments(arguments), frames["rows"], int(arguments["seed"])
    model = open_model(arguments["kind"], files["model"], rows, task)
    columns = list(model.columns)
    real = frames["real"][columns]
    scorer = MatrixScorer(model, task, pd.concat([rows[columns], real], ignore_index=True), {})
    own, others = scorer.own[: len(rows)], scorer.own[len(rows) :]
    decided = decided_classes(model, task, rows[columns])
    rng = np.random.default_rng(seed)
    replaced = others[rng.integers(0, len(others), (int(arguments["background"]), len(rows)))]
    size = np.abs(frames["values"][columns].to_numpy(np.float64))
    by_attribution = _moved_scores(scorer, own, replaced, np.argsort(-size, axis=1, kind="stable"), decided)
    report(0.5, "features deleted by attribution")
    random = [
        _moved_scores(scorer, own, replaced, rng.permuted(np.tile(np.arange(own.shape[1]), (len(own), 1)), axis=1), decided)
        for _ in range(ORDERS)
    ]
    at_random = np.mean(random, axis=0)
    report(0.8, "features deleted at random")
    curve = {"features": np.arange(own.shape[1] + 1), "by_attribution": by_attribution.mean(axis=0), "at_random": at_random.mean(axis=0)}
    areas = {"by_attribution": by_attribution.mean(axis=1), "at_random": at_random.mean(axis=1)}
    surrogates = pd.DataFrame(surrogate_fits(scorer, others, seed))
    report(0.9, "one feature deleted at a time")
    occlusion = pd.DataFrame(_occlusions(scorer, own, replaced, decided), columns=columns)
    return Output(frames={"deletion": pd.DataFrame(curve), "areas": pd.DataFrame(areas), "surrogates": surrogates, "occlusion": occlusion})


def _decided_scores(scorer: MatrixScorer, matrix: Floats, decided: Integers) -> Floats:
    """The score of the decided class of each row. The matrix repeats a block of rows; decided: the class of each row of the block."""
    scores = scorer.scores(matrix)
    return scores[np.arange(len(scores)), np.tile(decided, len(scores) // len(decided))] if scorer.task.multiclass else scores


def _occlusions(scorer: MatrixScorer, own: Floats, replaced: Floats, decided: Integers) -> Floats:
    """By row and feature, the score minus the mean score with values of this feature from other rows. replaced: see `_moved_scores`."""
    before, found = _decided_scores(scorer, own, decided), np.zeros(own.shape)
    for place in range(own.shape[1]):
        changed = np.tile(own, (len(replaced), 1, 1))
        changed[:, :, place] = replaced[:, :, place]
        after = _decided_scores(scorer, changed.reshape(-1, own.shape[1]), decided).reshape(len(replaced), len(own))
        found[:, place] = before - after.mean(axis=0)
    return found


def _moved_scores(scorer: MatrixScorer, own: Floats, replaced: Floats, order: Integers, decided: Integers) -> Floats:
    """Mean absolute difference between a row's original score and its score after the first 0, 1, … features of an order are deleted:
    (rows, features + 1).

    replaced: (draws, rows, features), the values that replace deleted features.
    """
    before = _decided_scores(scorer, own, decided)
    found = np.zeros((len(own), own.shape[1] + 1))
    rank = np.argsort(order, axis=1)
    for number in range(1, own.shape[1] + 1):
        changed = np.where(rank < number, replaced, own)
        moved = np.abs(_decided_scores(scorer, changed.reshape(-1, own.shape[1]), decided) - np.tile(before, len(replaced)))
        found[:, number] = moved.reshape(len(replaced), len(own)).mean(axis=0)
    return found


def surrogate_fits(scorer: MatrixScorer, rows: Floats, seed: int) -> list[dict[str, float]]:
    """R² of decision trees of several depths that imitate the model's scores, on rows that they were not fitted on.

    low, high: the 95 % percentile interval of a bootstrap over those rows, with the trees unchanged. n: the number of those rows.
    """
    from sklearn.metrics import r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.tree import DecisionTreeRegressor

    scores = scorer.scores(rows)
    fitted, tested, known, truth = train_test_split(rows, scores, test_size=0.4, random_state=seed)
    draws = np.random.default_rng(seed).integers(0, len(tested), (RESAMPLES, len(tested)))
    found = []
    for depth in DEPTHS:
        given = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=5, random_state=seed).fit(fitted, known).predict(tested)
        low, high = np.quantile([r2_score(truth[draw], given[draw]) for draw in draws], (0.025, 0.975))
        found.append({"depth": depth, "r2": float(r2_score(truth, given)), "low": float(low), "high": float(high), "n": len(tested)})
    return found
