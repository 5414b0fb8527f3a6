"""How is a LightGBM text file opened and explained? Its own `pred_contrib` is exact TreeSHAP over the trees' training counts."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.worker import forest, forest_files
from observability.worker.explanation import Link
from observability.worker.features import chosen, codes, in_order, numbers
from observability.worker.model import (
    Attribution,
    Model,
    Native,
    Pairwise,
    Task,
    as_scores,
    missing_library,
    of_class,
    outputs_of,
    place_of,
    through,
    unreadable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = ("poisson", "gamma", "tweedie")
IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "")
UNNAMED = re.compile(r"Column_\d+")
HEADER_BYTES = 64 * 1024**2


def open_file(path: Path, rows: pd.DataFrame, task: Task) -> Model:
    """The model in a text file."""
    try:
        import lightgbm
    except ImportError:
        raise missing_library("LightGBM", "lightgbm") from None
    try:
        booster = lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise unreadable("LightGBM text", error) from None
    features = booster.feature_name()
    unnamed = all(UNNAMED.fullmatch(each) for each in features)
    columns = in_order(rows, len(features)) if unnamed and features[0] not in rows.columns else chosen(rows, features)
    categories = categories_of(path, features, booster.pandas_categorical or [])
    groups = booster.num_model_per_iteration()
    # A random forest's score is the mean of its trees; raw scores and contributions are their sum.
    shared = booster.num_trees() // groups if re.search(r"^average_output$", header(path), re.MULTILINE) else 1

    def encode(frame: pd.DataFrame) -> "NDArray[np.float64]":
        matrix = np.empty((len(frame), len(columns)))
        for place, name in enumerate(columns):
            known = categories.get(place)
            matrix[:, place] = codes(frame[name], known) if known is not None else numbers(frame[name])
        return matrix

    def score(matrix: Any) -> "NDArray[np.float64]":
        return as_scores(booster.predict(matrix), task)

    def explain(matrix: Any, _background: Any) -> Attribution:
        contributions = np.asarray(booster.predict(matrix, pred_contrib=True)).reshape(len(matrix), groups, len(features) + 1)
        raw = np.asarray(booster.predict(matrix, raw_score=True)).reshape(len(matrix), groups)
        contributions, raw = contributions / shared, raw / shared
        base = contributions[0, :, -1] if len(matrix) else np.zeros(groups)
        found = of_class(Attribution(contributions[:, :, :-1], base, raw), task)
        return replace(found, scores=through(link, found.output)) if link is not None and link != "raw" else found

    def pairs(row: pd.DataFrame, background: pd.DataFrame, place: int) -> "NDArray[np.float64]":
        trees, output = forest_files.of_lightgbm(booster), place_of(groups, task, None, place)
        return forest.by_row(trees, encode(row)[0], encode(background), output) / shared

    def output(frame: pd.DataFrame) -> "NDArray[np.float64]":
        return outputs_of(np.asarray(booster.predict(encode(frame), raw_score=True)).reshape(len(frame), groups) / shared, task)

    link = link_of(path, groups)
    native = Native("native pred_contrib", link, explain) if link is not None and not is_linear(path) else None
    pairwise = Pairwise(link, pairs, output) if native is not None and link is not None else None
    notes = ["The model does not name its features: columns are taken in their order."] if unnamed else []
    if groups > 1 and objective(path)[0] == "multiclassova":
        notes.append("Each class's score is the sigmoid of its own output.")
    return Model(tuple(columns), tuple(features), encode, score, native, " ".join(notes), pairwise)


def categories_of(path: Path, features: Sequence[str], levels: Sequence[Sequence[Any]]) -> dict[int, Sequence[Any]]:
    """The categories of each categorical feature that was trained from a table, by its place. Other categorical features are codes already."""
    if not levels:
        return {}
    text = read_ends(path)
    stated = re.search(r"^\[categorical_feature: ([\d,]+)\]$", text, re.MULTILINE)
    infos = re.search(r"^feature_infos=(.*)$", text, re.MULTILINE)
    places = [int(each) for each in stated[1].split(",")] if stated else []
    if len(places) != len(levels) and infos:
        # A range in brackets is a number, `none` was never split on, all else lists categories.
        places = [place for place, each in enumerate(infos[1].split(" ")) if not each.startswith("[") and each != "none"]
    if len(places) != len(levels) or max(places) >= len(features):
        raise UsageError(
            "it cannot be told which features the model's categories belong to", where="artifact", got=f"{len(levels)} lists of categories",
            expected=f"{len(places)}", attempt="Save it with the parameters it was trained with (Booster.save_model)",
        )  # fmt: skip
    return dict(zip(places, levels))


def read_ends(path: Path) -> str:
    """The text around the trees: the header, and the parameters behind them."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
        if path.stat().st_size > 2 * HEADER_BYTES:
            file.seek(-HEADER_BYTES, 2)
        tail = file.read()
    return (head + b"\n" + tail).decode("utf-8", "replace")


def link_of(path: Path, groups: int) -> Link | None:
    """The space in which the trees add up; None where the score is another function of them."""
    name, *options = objective(path)
    if groups > 1:
        return "raw"
    if name == "cross_entropy" or (name in ("binary", "multiclassova") and "sigmoid:1" in options):
        return "logit"
    if name in LOG:
        return "log"
    return "identity" if name in IDENTITY and "sqrt" not in options else None


def header(path: Path) -> str:
    """The text before the first tree."""
    return read_ends(path).partition("\nTree=0")[0]


def objective(path: Path) -> list[str]:
    """The words of the objective in the header: its name, then its options; [""] where there is none."""
    found = re.search(r"^objective=(.+)$", header(path), re.MULTILINE)
    return found[1].split() if found else [""]


def is_linear(path: Path) -> bool:
    """Whether the leaves hold linear models, for which LightGBM has no attributions."""
    return bool(re.search(r"^is_linear=1$", read_ends(path), re.MULTILINE))
