"""Read the trees of LightGBM, XGBoost and scikit-learn with the split rules of each library."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from observability.stats.arrays import Bools, Floats
from observability.worker.forest import Tree
from observability.worker.model import CannotExplain

ZERO = 1e-35
"""LightGBM treats numbers nearer to 0 than this as 0 (kZeroThreshold)."""


def lightgbm_trees(booster: Any) -> list[Tree]:
    """The trees of a Booster."""
    body = booster.dump_model()
    groups = int(body["num_tree_per_iteration"])
    return [lightgbm_tree(tree["tree_structure"], place % groups) for place, tree in enumerate(body["tree_info"])]


def lightgbm_tree(structure: dict[str, Any], output: int) -> Tree:
    """One tree of LightGBM's JSON: `<=` on numbers with a rule for missing numbers, `==` on lists of categories."""
    splits: list[dict[str, Any]] = []
    values: list[float] = []
    children: list[list[int]] = []
    waiting: list[tuple[dict[str, Any], int, int]] = [(structure, -1, 0)]
    while waiting:
        node, parent, side = waiting.pop()
        if "split_index" not in node:
            place = ~len(values)
            values.append(float(node["leaf_value"]))
        else:
            place = len(splits)
            splits.append(node)
            children.append([0, 0])
            waiting += [(node["right_child"], place, 1), (node["left_child"], place, 0)]
        if parent >= 0:
            children[parent][side] = place
    feature = np.array([split["split_feature"] for split in splits], np.int64)
    categorical = [place for place, split in enumerate(splits) if split["decision_type"] == "=="]
    lists = {place: np.array([int(code) for code in str(splits[place]["threshold"]).split("||")]) for place in categorical}
    limit = np.array([np.nan if place in lists else float(split["threshold"]) for place, split in enumerate(splits)])
    missing = np.array([split["missing_type"] for split in splits])
    default = np.array([bool(split["default_left"]) for split in splits], np.bool_)

    def goes_left(matrix: Floats) -> Bools:
        given = matrix[:, feature]
        empty = np.isnan(given)
        number = np.where(empty & (missing != "NaN"), 0.0, given)
        by_default = ((missing == "NaN") & empty) | ((missing == "Zero") & (np.abs(number) <= ZERO))
        with np.errstate(invalid="ignore"):
            found = np.where(by_default, default, number <= limit)
        for place, codes in lists.items():
            own = given[:, place]
            found[:, place] = np.isin(np.where(np.isnan(own), -1, own).astype(np.int64), codes) & ~(own < 0)
        return np.asarray(found, np.bool_)

    left, right = (np.array([pair[side] for pair in children], np.int64) for side in (0, 1))
    return Tree(feature, left, right, goes_left, np.array(values), limit, output)


def xgboost_trees(booster: Any, rounds: tuple[int, int]) -> list[Tree]:
    """The trees of a Booster in the rounds that count ((0, 0): all)."""
    body = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    if body.get("name") != "gbtree":
        raise CannotExplain(f"Exact values against a background are not available for an XGBoost {body.get('name')}")
    model = body["model"]
    starts = model.get("iteration_indptr")
    last = len(model["trees"]) if rounds == (0, 0) or not starts else starts[rounds[1]]
    return [xgboost_tree(tree, output) for tree, output in zip(model["trees"][:last], model["tree_info"])]


def xgboost_tree(body: dict[str, Any], output: int) -> Tree:
    """One tree. Numbers are compared by `<` in single precision, a listed category goes right, and missing values take the split's default.

    A number takes the side of the single-precision number that it is rounded to. So the side changes halfway between the threshold and the
    single-precision number below it.
    """
    left, right = np.array(body["left_children"], np.int64), np.array(body["right_children"], np.int64)
    inner = left != -1
    numbers = np.cumsum(inner) - 1
    leaves = ~(np.cumsum(~inner) - 1)
    child = np.where(inner, numbers, leaves)
    condition = np.array(body["split_conditions"], np.float32)
    feature = np.array(body["split_indices"], np.int64)[inner]
    default = np.array(body["default_left"], np.bool_)[inner]
    limit = condition[inner]
    lists = {}
    for node, start, size in zip(body.get("categories_nodes", ()), body.get("categories_segments", ()), body.get("categories_sizes", ())):
        lists[int(numbers[node])] = np.array(body["categories"][start : start + size], np.int64)

    def goes_left(matrix: Floats) -> Bools:
        given = matrix[:, feature].astype(np.float32)
        empty = np.isnan(given)
        found = np.where(empty, default, given < limit)
        for place, codes in lists.items():
            own = given[:, place]
            listed = np.isin(np.where(np.isnan(own), -1, own).astype(np.int64), codes)
            found[:, place] = np.where(np.isnan(own), default[place], ~listed)
        return np.asarray(found, np.bool_)

    rounded = (limit.astype(float) + np.nextafter(limit, np.float32(-np.inf)).astype(float)) / 2
    rounded[list(lists)] = np.nan
    return Tree(feature, child[left[inner]], child[right[inner]], goes_left, condition[~inner].astype(float), rounded, output)


def sklearn_trees(estimator: Any) -> list[Tree]:
    """The trees of a scikit-learn tree, forest or boosting. A forest's trees are divided by their number because it predicts their mean."""
    name = type(estimator).__name__
    if name.startswith("HistGradientBoosting"):
        return [histogram_boosting_tree(tree, place) for stage in estimator._predictors for place, tree in enumerate(stage)]
    if name.startswith("GradientBoosting"):
        rate = float(estimator.learning_rate)
        return [
            tree
            for stage in estimator.estimators_
            for place, each in enumerate(stage)
            for tree in sklearn_tree_outputs(each.tree_, rate, [place])
        ]
    members = list(estimator.estimators_) if hasattr(estimator, "estimators_") else [estimator]
    return [tree for member in members for tree in sklearn_tree_outputs(member.tree_, 1 / len(members), None)]


def sklearn_tree_outputs(body: Any, scale: float, outputs: Sequence[int] | None) -> list[Tree]:
    """One tree of scikit-learn as one tree per output. Rows are in single precision, `<=` goes left, and missing values take the split's
    default.

    The side changes halfway between the last single-precision number up to the threshold and the next one.
    """
    inner = body.children_left != -1
    child = np.where(inner, np.cumsum(inner) - 1, ~(np.cumsum(~inner) - 1))
    feature, limit = body.feature[inner].astype(np.int64), body.threshold[inner]
    default = np.asarray(body.missing_go_to_left)[inner].astype(np.bool_)

    def goes_left(matrix: Floats) -> Bools:
        given = matrix[:, feature].astype(np.float32)
        return np.asarray(np.where(np.isnan(given), default, given <= limit), np.bool_)

    single = limit.astype(np.float32)
    single = np.where(single > limit, np.nextafter(single, np.float32(-np.inf)), single)
    rounded = (single.astype(float) + np.nextafter(single, np.float32(np.inf)).astype(float)) / 2
    left, right = child[body.children_left[inner]], child[body.children_right[inner]]
    value = body.value[~inner][:, 0, :]
    if outputs is None and value.shape[1] > 1:
        value = value / value.sum(axis=1, keepdims=True)
    named = range(value.shape[1]) if outputs is None else outputs
    return [
        Tree(feature, left, right, goes_left, value[:, place if outputs is None else 0] * scale, rounded, output)
        for place, output in enumerate(named)
    ]


def histogram_boosting_tree(predictor: Any, output: int) -> Tree:
    """One tree of scikit-learn's histogram boosting, without categories."""
    nodes = predictor.nodes
    if nodes["is_categorical"].any():
        raise CannotExplain("Categorical splits of histogram boosting are not supported")
    inner = nodes["is_leaf"] == 0
    child = np.where(inner, np.cumsum(inner) - 1, ~(np.cumsum(~inner) - 1))
    feature, limit = nodes["feature_idx"][inner].astype(np.int64), nodes["num_threshold"][inner]
    default = nodes["missing_go_to_left"][inner].astype(np.bool_)

    def goes_left(matrix: Floats) -> Bools:
        given = matrix[:, feature]
        return np.asarray(np.where(np.isnan(given), default, given <= limit), np.bool_)

    return Tree(feature, child[nodes["left"][inner]], child[nodes["right"][inner]], goes_left, nodes["value"][~inner], limit, output)
