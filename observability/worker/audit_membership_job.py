"""Jobs of a membership audit: the confidence of the model in the true label of each record, the confidence of shadow models, and baselines
that need no model.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Bools, Floats, Integers
from observability.worker.explain_job import score_table, task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.matrix_scorer import MatrixScorer
from observability.worker.model import OpenModel, Task
from observability.worker.model_files import open_model
from observability.worker.model_lightgbm import lightgbm_categories, text_around_trees
from observability.worker.shadow_models import ShadowModel, fitted_shadow, why_no_shadow

SMALLEST = 1e-7
"""Smallest distance of probabilities from 0 and 1; probabilities that are nearer are moved to this distance."""
FOLDS = 5
LEARNING = (
    "boosting", "objective", "learning_rate", "num_leaves", "tree_learner", "max_depth", "min_data_in_leaf", "min_sum_hessian_in_leaf",
    "bagging_fraction", "bagging_freq", "feature_fraction", "feature_fraction_bynode", "extra_trees", "lambda_l1", "lambda_l2",
    "linear_lambda", "min_gain_to_split", "drop_rate", "max_drop", "skip_drop", "max_delta_step", "max_cat_threshold", "cat_l2",
    "cat_smooth", "max_cat_to_onehot", "min_data_per_group", "path_smooth", "max_bin", "min_data_in_bin", "linear_tree", "num_class",
    "is_unbalance", "scale_pos_weight", "sigmoid", "boost_from_average", "alpha", "fair_c", "poisson_max_delta_step",
    "tweedie_variance_power", "top_rate", "other_rate",
)  # fmt: skip
"""Parameters of LightGBM that decide what is learned."""
TEXTS = ("boosting", "objective", "tree_learner")
FLAGS = ("extra_trees", "linear_tree", "is_unbalance", "boost_from_average")


def truth_confidences(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The model's confidence in the true labels of the frame `rows`: the frame `found` with the column `confidence`.

    arguments: kind, task, classes, labels (class index, or the value of a regression).
    """
    task, rows = task_from_arguments(arguments), frames["rows"]
    model = open_model(arguments["kind"], files["model"], rows, task)
    scores = score_table(model, rows[list(model.columns)], task)
    return Output(
        frames={"found": pd.DataFrame({"confidence": true_class_log_odds(task, scores, np.asarray(arguments["labels"], np.float64))})}
    )


def true_class_log_odds(task: Task, scores: Floats, labels: Floats) -> Floats:
    """The log odds of the true class; for a regression, minus the absolute error."""
    if task.name == "regression":
        return np.asarray(-np.abs(scores - labels), np.float64)
    if task.multiclass:
        chance = scores[np.arange(len(scores)), labels.astype(np.int64)] / scores.sum(axis=1)
    else:
        chance = np.where(labels == 1, scores, 1 - scores)
    chance = np.clip(chance, SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(chance / (1 - chance)), np.float64)


def shadow_confidences(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """A model with the parameters of the model file, fitted on a random half of the frame `rows`, and its confidences (shadow_models.py).

    An odd seed takes the half that the even seed before it left out. So with an even number of shadow models, every record is equally often
    inside and outside.

    arguments: as of `truth_confidences`, and seed. The frame `found`: `confidence` and `inside` (1 if the row was fitted on). Raises
    UsageError if the file does not say how it was trained.
    """
    task, rows, labels = task_from_arguments(arguments), frames["rows"], np.asarray(arguments["labels"], np.float64)
    pair, other_half = divmod(int(arguments["seed"]), 2)
    inside = (np.random.default_rng(pair).permutation(len(rows)) < len(rows) // 2) ^ bool(other_half)
    report(0.1, f"fitting a shadow model on {int(inside.sum()):,} records")
    fit = lightgbm_shadow if arguments["kind"] == "lightgbm" else partial(fitted_shadow, arguments["kind"])
    shadow = fit(files["model"], rows, task, labels, inside, int(arguments["seed"]) + 1)
    found = {"confidence": true_class_log_odds(task, shadow.scores, labels), "inside": inside.astype(np.float64)}
    return Output({"parameters": dict(shadow.parameters), "rounds": shadow.rounds}, {"found": pd.DataFrame(found)})


def shadow_hindrance(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Why no shadow model of the file can be fitted, as `why`; None if a shadow model can be fitted. arguments: kind."""
    return Output({"why": why_no_shadow(arguments["kind"], files["model"])})


def lightgbm_shadow(path: Path, rows: pd.DataFrame, task: Task, labels: Floats, inside: Bools, seed: int) -> ShadowModel:
    """A booster with the parameters of a LightGBM text file, fitted on the rows `inside`. Raises UsageError if the file holds no
    parameters.
    """
    import lightgbm

    model = open_model("lightgbm", path, rows, task)
    booster = lightgbm.Booster(model_file=str(path))
    parameters = learning_parameters(path)
    matrix = np.asarray(model.encode(rows[list(model.columns)]), np.float64)
    rounds = booster.num_trees() // booster.num_model_per_iteration()
    given = {**parameters, "verbosity": -1, "seed": seed, "num_threads": 1}
    categories = _categorical_places(path, booster)
    data = lightgbm.Dataset(matrix[inside], labels[inside], categorical_feature=categories, free_raw_data=False)
    shadow = lightgbm.train(given, data, num_boost_round=rounds)
    return ShadowModel(np.asarray(shadow.predict(matrix), np.float64), parameters, rounds)


def learning_parameters(path: Path) -> dict[str, Any]:
    """The parameters in a LightGBM text file that determine the training. Raises UsageError if the file holds none."""
    found: dict[str, Any] = {}
    for name, value in re.findall(r"^\[(\w+): ([^\]\n]*)\]$", text_around_trees(path), re.MULTILINE):
        if name in LEARNING and value:
            found[name] = value if name in TEXTS else value == "1" if name in FLAGS else float(value)
    if "objective" not in found or "num_leaves" not in found:
        raise UsageError(
            "the model file does not hold its training parameters", where="artifact", attempt="Save it with Booster.save_model"
        )
    whole = {name: int(value) if isinstance(value, float) and value == int(value) else value for name, value in found.items()}
    return whole if whole["objective"] in ("multiclass", "multiclassova") else {k: v for k, v in whole.items() if k != "num_class"}


def _categorical_places(path: Path, booster: Any) -> list[int]:
    """The places of the categorical features."""
    stated = re.search(r"^\[categorical_feature: ([\d,]+)\]$", text_around_trees(path), re.MULTILINE)
    known = lightgbm_categories(path, booster.feature_name(), booster.pandas_categorical or [])
    return sorted({*known, *((int(place) for place in stated[1].split(",")) if stated else ())})


def membership_without_model(
    frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report
) -> Output:
    """How well members can be distinguished from other records by their features and label alone, without the model: the frame `found` with
    `member_score`.

    arguments: as of `truth_confidences`, members (1 or 0 for each row), seed. Scores are out of fold. If the result is better than chance,
    the two sides differ by more than membership, and every attack profits from that.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    task, rows = task_from_arguments(arguments), frames["rows"]
    model: OpenModel = open_model(arguments["kind"], files["model"], rows, task)
    matrix = MatrixScorer(model, task, rows, {}).own
    given = np.column_stack([matrix, np.asarray(arguments["labels"], np.float64)])
    members: Integers = np.asarray(arguments["members"], np.int64)
    report(0.1, "fitting a model that does not ask the audited one")
    plain = HistGradientBoostingClassifier(max_iter=60, random_state=int(arguments["seed"]))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=int(arguments["seed"]))
    scores = cross_val_predict(plain, given, members, cv=folds, method="predict_proba")[:, 1]
    return Output(frames={"found": pd.DataFrame({"member_score": scores})})
