"""Open and explain LightGBM text files. `pred_contrib` is exact TreeSHAP over the trees' training counts."""

import re
from collections.abc import Sequence
from dataclasses import replace
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
    score_from_output,
    select_outputs,
    task_outputs,
    unreadable_artifact,
)

LOG = ("poisson", "gamma", "tweedie")
IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "")
UNNAMED = re.compile(r"Column_\d+")
HEADER_BYTES = 64 * 1024**2


def open_lightgbm(path: Path, rows: pd.DataFrame, task: Task, *, threads: int = 0) -> OpenModel:
    """Open the model in a text file. threads: number of threads that compute its scores; 0 lets LightGBM choose."""
    try:
        import lightgbm
    except ImportError:
        raise missing_library("LightGBM", "lightgbm") from None
    try:
        booster = lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise unreadable_artifact("LightGBM text", error) from None
    features = booster.feature_name()
    unnamed = all(UNNAMED.fullmatch(name) for name in features)
    columns = (
        columns_in_order(rows, len(features)) if unnamed and features[0] not in rows.columns else match_feature_columns(rows, features)
    )
    categories = lightgbm_categories(path, features, booster.pandas_categorical or [])
    groups = booster.num_model_per_iteration()
    # A random forest's score is the mean of its trees; raw scores and contributions are their sum.
    shared = booster.num_trees() // groups if re.search(r"^average_output$", lightgbm_header(path), re.MULTILINE) else 1

    def encode(frame: pd.DataFrame) -> Floats:
        return feature_matrix(frame, columns, categories)

    def score(matrix: Any) -> Floats:
        return as_scores(booster.predict(matrix, num_threads=threads), task)

    def explain(matrix: Any, _background: Any) -> Attribution:
        contributions = np.asarray(booster.predict(matrix, pred_contrib=True)).reshape(len(matrix), groups, len(features) + 1)
        raw = np.asarray(booster.predict(matrix, raw_score=True)).reshape(len(matrix), groups)
        contributions, raw = contributions / shared, raw / shared
        base = contributions[0, :, -1] if len(matrix) else np.zeros(groups)
        found = select_outputs(Attribution(contributions[:, :, :-1], base, raw), task)
        return replace(found, scores=score_from_output(link, found.output)) if link is not None and link != "raw" else found

    def pairs(row: pd.DataFrame, background: pd.DataFrame, place: int) -> Floats:
        trees, output = forest_files.lightgbm_trees(booster), output_index(groups, task, None, place)
        return forest.forest_attributions(trees, encode(row)[0], encode(background), output) / shared

    def output(frame: pd.DataFrame) -> Floats:
        return task_outputs(np.asarray(booster.predict(encode(frame), raw_score=True)).reshape(len(frame), groups) / shared, task)

    def thresholds() -> dict[int, Floats]:
        return forest.feature_thresholds(forest_files.lightgbm_trees(booster))

    link, linear = lightgbm_link(path, groups), has_linear_leaves(path)
    native = Native("native pred_contrib", link, explain) if link is not None and not linear else None
    pairwise = Pairwise(link, pairs, output) if native is not None and link is not None else None
    notes = ["The model does not name its features: columns are taken in their order."] if unnamed else []
    if groups > 1 and objective_words(path)[0] == "multiclassova":
        notes.append("Each class's score is the sigmoid of its own output.")
    note = " ".join(notes)
    takes = taken_values(columns, categories)
    return OpenModel(tuple(columns), tuple(features), encode, score, native, note, pairwise, None if linear else thresholds, takes)


def lightgbm_categories(path: Path, features: Sequence[str], levels: Sequence[Sequence[Any]]) -> dict[int, Sequence[Any]]:
    """The categories of each categorical feature trained from a table, by its index. Other categorical features are codes already."""
    if not levels:
        return {}
    text = text_around_trees(path)
    stated = re.search(r"^\[categorical_feature: ([\d,]+)\]$", text, re.MULTILINE)
    infos = re.search(r"^feature_infos=(.*)$", text, re.MULTILINE)
    places = [int(place) for place in stated[1].split(",")] if stated else []
    if len(places) != len(levels) and infos:
        # A range in brackets means a number, `none` a feature that was never split on; everything else lists categories.
        places = [place for place, info in enumerate(infos[1].split(" ")) if not info.startswith("[") and info != "none"]
    if len(places) != len(levels) or max(places) >= len(features):
        raise UsageError(
            "the model's categories cannot be matched to its features",
            where="artifact",
            got=f"{len(levels)} lists of categories",
            expected=f"{len(places)}",
            attempt="Save it with the parameters it was trained with (Booster.save_model)",
        )
    return dict(zip(places, levels))


def text_around_trees(path: Path) -> str:
    """The text around the trees: the header before them and the parameters after them."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
        if path.stat().st_size > 2 * HEADER_BYTES:
            file.seek(-HEADER_BYTES, 2)
        tail = file.read()
    return (head + b"\n" + tail).decode("utf-8", "replace")


def lightgbm_link(path: Path, groups: int) -> Link | None:
    """The space in which the trees add up; None if the score is another function of their sum."""
    name, *options = objective_words(path)
    if groups > 1:
        return "raw"
    if name == "cross_entropy" or (name in ("binary", "multiclassova") and "sigmoid:1" in options):
        return "logit"
    if name in LOG:
        return "log"
    return "identity" if name in IDENTITY and "sqrt" not in options else None


def lightgbm_header(path: Path) -> str:
    """The text before the first tree."""
    return text_around_trees(path).partition("\nTree=0")[0]


def objective_words(path: Path) -> list[str]:
    """The words of the objective in the header: its name, then its options; [""] if there is none."""
    found = re.search(r"^objective=(.+)$", lightgbm_header(path), re.MULTILINE)
    return found[1].split() if found else [""]


def has_linear_leaves(path: Path) -> bool:
    """Whether the leaves hold linear models, for which LightGBM gives no attributions."""
    return bool(re.search(r"^is_linear=1$", text_around_trees(path), re.MULTILINE))
