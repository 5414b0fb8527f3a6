"""Fit shadow models: models of the same kind and parameters as a model file, fitted on some of the records.

LightGBM text holds its training parameters. A scikit-learn estimator holds them too: `clone` returns it unfitted. An XGBoost file holds
them only if the training wrote them into its attributes (`booster.set_attr(eta="0.1", max_depth="6")`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Bools, Floats
from observability.worker.features import class_order
from observability.worker.model import OpenModel, Task, as_scores
from observability.worker.model_files import open_model
from observability.worker.model_sklearn import load_skops

XGBOOST_LEARNING = (
    "eta", "learning_rate", "max_depth", "max_leaves", "min_child_weight", "subsample", "sampling_method", "colsample_bytree",
    "colsample_bylevel", "colsample_bynode", "lambda", "reg_lambda", "alpha", "reg_alpha", "gamma", "min_split_loss", "max_delta_step",
    "max_bin", "grow_policy", "tree_method", "num_parallel_tree", "scale_pos_weight", "booster", "max_cat_to_onehot", "max_cat_threshold",
    "rate_drop", "skip_drop", "sample_type", "normalize_type", "one_drop", "base_score", "huber_slope", "quantile_alpha",
    "tweedie_variance_power",
)  # fmt: skip
"""Parameters of XGBoost that decide what is learned."""
XGBOOST_NEEDED = (("eta", "learning_rate"), ("max_depth", "max_leaves"))
"""Parameters without which it is unknown how a model was trained: at least one of each pair is needed."""
KEPT_FITTED = ("FrozenEstimator",)
"""Estimators that a clone leaves fitted, so that it has seen every record."""


@dataclass(frozen=True)
class ShadowModel:
    """A fitted shadow model. scores: the scores of all records. parameters: the parameters with which it was fitted; rounds: rounds of
    boosting, 0 without boosting.
    """

    scores: Floats
    parameters: Mapping[str, Any]
    rounds: int = 0


def sklearn_template(path: Path) -> Any:
    """The unfitted estimator of a skops file. Raises UsageError if a part of it stays fitted."""
    from sklearn.base import clone

    template = clone(load_skops(path))
    parts = [template, *template.get_params(deep=True).values()]
    if kept := sorted({type(part).__name__ for part in parts} & set(KEPT_FITTED)):
        raise UsageError("a part of the model stays fitted in every copy", where="artifact", got=", ".join(kept))
    return template


def sklearn_shadow(path: Path, model: OpenModel, rows: pd.DataFrame, task: Task, labels: Floats, inside: Bools, seed: int) -> ShadowModel:
    """A clone of the estimator in a skops file, fitted on the rows `inside`. Raises UsageError if they lack a class."""
    fitted = load_skops(path)
    template = sklearn_template(path)
    own = template.get_params(deep=True)
    template.set_params(**{name: seed for name in own if name.rpartition("__")[2] == "random_state"})
    template.set_params(**{name: None for name in own if name.rpartition("__")[2] == "n_jobs"})
    encoded = model.encode(rows[list(model.columns)])
    part = encoded[inside]
    if task.name == "regression":
        template.fit(part, labels[inside])
        return ShadowModel(as_scores(template.predict(encoded), task), {})
    order = class_order(list(fitted.classes_), task.classes, len(fitted.classes_))
    names = np.asarray(fitted.classes_)[np.asarray(order)][labels.astype(np.int64)]
    template.fit(part, names[inside])
    if list(template.classes_) != list(fitted.classes_):
        raise UsageError("half of the records lack a class", where="records", got=len(template.classes_), expected=len(fitted.classes_))
    return ShadowModel(as_scores(template.predict_proba(encoded), task, order), {})


def xgboost_parameters(path: Path) -> dict[str, str]:
    """The training parameters in the attributes of an XGBoost file. Raises UsageError if they are not there."""
    import xgboost

    booster = xgboost.Booster(model_file=str(path))
    known = {name: value for name, value in booster.attributes().items() if name in XGBOOST_LEARNING and value is not None}
    if not all(any(name in known for name in pair) for pair in XGBOOST_NEEDED):
        raise UsageError(
            "the model file does not hold its training parameters",
            where="artifact",
            attempt='Write them into it before saving, as booster.set_attr(eta="0.1", max_depth="6")',
        )
    return known


def xgboost_shadow(path: Path, model: OpenModel, rows: pd.DataFrame, task: Task, labels: Floats, inside: Bools, seed: int) -> ShadowModel:
    """A booster with the objective and the parameters of an XGBoost file, fitted on the rows `inside`."""
    import json

    import xgboost

    from observability.worker.model_xgboost import counted_rounds

    parameters, booster = xgboost_parameters(path), xgboost.Booster(model_file=str(path))
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    objective = "multi:softprob" if objective == "multi:softmax" else objective
    classes = {"num_class": len(task.classes)} if objective.startswith("multi:") else {}
    rounds = counted_rounds(booster)[1] or booster.num_boosted_rounds()
    whole = rows[list(model.columns)]
    data = model.encode(whole[inside])
    data.set_label(labels[inside])
    given = {**parameters, "objective": objective, **classes, "seed": seed, "nthread": 1, "verbosity": 0}
    shadow = xgboost.train(given, data, num_boost_round=rounds)
    return ShadowModel(as_scores(shadow.predict(model.encode(whole), strict_shape=True), task), parameters, rounds)


def why_no_shadow(kind: str, path: Path) -> str | None:
    """Why no shadow model of a file can be fitted; None if one can. For LightGBM, only the fit itself shows whether it is possible."""
    try:
        if kind == "skops":
            sklearn_template(path)
        elif kind == "xgboost":
            xgboost_parameters(path)
        elif kind != "lightgbm":
            return f"a file of {kind} does not say how it was trained"
    except UsageError as error:
        return f"{error.what}{f' ({error.got})' if error.got else ''}"
    return None


def fitted_shadow(kind: str, path: Path, rows: pd.DataFrame, task: Task, labels: Floats, inside: Bools, seed: int) -> ShadowModel:
    """A shadow model of a scikit-learn or XGBoost file. Raises UsageError for another kind."""
    fits = {"skops": sklearn_shadow, "xgboost": xgboost_shadow}
    if kind not in fits:
        raise UsageError("shadow models need a file that says how it was trained", where="artifact", got=f"a file of {kind}")
    return fits[kind](path, open_model(kind, path, rows, task), rows, task, labels, inside, seed)
