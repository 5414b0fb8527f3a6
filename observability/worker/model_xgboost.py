"""Open and explain XGBoost files (JSON or UBJSON). `pred_contribs` is exact TreeSHAP in single precision."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Floats
from observability.worker import forest, forest_files
from observability.worker.explanation import Link
from observability.worker.features import columns_in_order, feature_matrix, match_feature_columns, taken_values
from observability.worker.model import (
    Attribution,
    Native,
    OpenModel,
    Pairwise,
    Task,
    as_scores,
    missing_library,
    output_index,
    select_outputs,
    task_outputs,
    unreadable_artifact,
)

OBJECTIVES: dict[Link, str] = {
    "logit": "binary:logistic reg:logistic",
    "log": "count:poisson reg:gamma reg:tweedie",
    "raw": "multi:softprob multi:softmax",
    "identity": "binary:logitraw reg:squarederror reg:linear reg:absoluteerror reg:quantileerror reg:pseudohubererror rank:pairwise "
    "rank:ndcg rank:map",
}
LINKS: dict[str, Link] = {objective: link for link, objectives in OBJECTIVES.items() for objective in objectives.split()}


def open_xgboost(path: Path, rows: pd.DataFrame, task: Task) -> OpenModel:
    """Open the model in a file of save_model."""
    try:
        import xgboost
    except ImportError:
        raise missing_library("XGBoost", "xgboost-cpu (or xgboost)") from None
    try:
        booster = xgboost.Booster()
        booster.load_model(str(path))
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError) as error:
        raise unreadable_artifact("XGBoost", error) from None
    number = booster.num_features()
    names = booster.feature_names
    columns = columns_in_order(rows, number) if names is None else match_feature_columns(rows, names)
    kinds = booster.feature_types
    categories = xgboost_categories(booster, columns, kinds or [])
    trees = counted_rounds(booster)

    def encode(frame: pd.DataFrame) -> Any:
        return xgboost.DMatrix(feature_matrix(frame, columns, categories), missing=np.nan, feature_names=names, feature_types=kinds)

    def margin(matrix: Any) -> Floats:
        return np.asarray(booster.predict(matrix, output_margin=True, strict_shape=True, iteration_range=trees), dtype=float)

    def score(matrix: Any) -> Floats:
        if objective == "multi:softmax":
            raised = np.exp(margin(matrix) - margin(matrix).max(axis=1, keepdims=True))
            return as_scores(raised / raised.sum(axis=1, keepdims=True), task)
        return as_scores(booster.predict(matrix, strict_shape=True, iteration_range=trees), task)

    def explain(matrix: Any, _background: Any) -> Attribution:
        given = np.asarray(booster.predict(matrix, pred_contribs=True, strict_shape=True, iteration_range=trees), dtype=float)
        base = given[0, :, -1] if len(given) else np.zeros(given.shape[1])
        return select_outputs(Attribution(given[:, :, :-1], base, margin(matrix)), task)

    def pairs(row: pd.DataFrame, background: pd.DataFrame, place: int) -> Floats:
        forest_trees = forest_files.xgboost_trees(booster, trees)
        groups = max((tree.output for tree in forest_trees), default=0) + 1
        one, others = (feature_matrix(frame, columns, categories) for frame in (row, background))
        return forest.forest_attributions(forest_trees, one[0], others, output_index(groups, task, None, place))

    def output(frame: pd.DataFrame) -> Floats:
        return task_outputs(margin(encode(frame)), task)

    def thresholds() -> dict[int, Floats]:
        return forest.feature_thresholds(forest_files.xgboost_trees(booster, trees))

    link = LINKS.get(objective)
    note = "" if names else "The model does not name its features: columns are taken in their order."
    return OpenModel(
        tuple(columns),
        tuple(names or columns),
        encode,
        score,
        Native("native pred_contrib", link, explain) if link else None,
        note,
        Pairwise(link, pairs, output) if link else None,
        thresholds,
        taken_values(columns, categories),
    )


def counted_rounds(booster: Any) -> tuple[int, int]:
    """The rounds that are used: up to the best round after early stopping, as in XGBoost's own estimators; otherwise (0, 0), which means
    all.
    """
    best = booster.attr("best_iteration")
    return (0, int(best) + 1) if best is not None and re.fullmatch(r"\d+", best) else (0, 0)


def xgboost_categories(booster: Any, columns: Sequence[str], kinds: Sequence[str]) -> dict[int, Sequence[Any]]:
    """The categories of each categorical feature, by its index, as stored in the file (XGBoost 3.1 and later)."""
    if "c" not in kinds or not hasattr(booster, "get_categories"):
        return {}
    try:
        found = booster.get_categories(export_to_arrow=True).to_arrow()
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError("the categories of the model cannot be read", where="artifact", got=error) from None
    kept = found.items() if isinstance(found, dict) else found
    return {place: levels.to_pylist() for place, (_, levels) in enumerate(kept) if levels is not None and len(levels)}
