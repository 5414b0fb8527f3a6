"""Open scikit-learn models in skops files. Linear models and trees are explained exactly, other models by sampling.

skops builds only trusted types: those that skops trusts itself, and classes defined by scikit-learn, NumPy and SciPy. Any other type in the
file, such as a function, is refused by name before an object is built.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Floats
from observability.worker import forest, forest_files
from observability.worker.explanation import Link
from observability.worker.features import class_order, columns_in_order, match_feature_columns, numeric_column, taken_values
from observability.worker.model import (
    Attribution,
    CannotExplain,
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

TRUSTED = ("sklearn", "numpy", "scipy")
ALSO_TRUSTED = ("functools.partial", "sklearn.utils.validation.check_array")
"""Objects that are not classes but occur in scikit-learn's own models (histogram boosting with categories). The function of a partial is
checked too.
"""

ONE_TO_ONE = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
"""Steps that transform each column separately, so that attributions of transformed columns belong to the original ones."""

LINEAR_MODELS: dict[Link, str] = {
    "identity": "LinearRegression Ridge RidgeCV Lasso LassoCV ElasticNet ElasticNetCV BayesianRidge ARDRegression HuberRegressor "
    "SGDRegressor LinearSVR QuantileRegressor TheilSenRegressor Lars LassoLars OrthogonalMatchingPursuit",
    "logit": "LogisticRegression LogisticRegressionCV",
    "log": "PoissonRegressor GammaRegressor TweedieRegressor",
}
LINEAR_LINKS: dict[str, Link] = {model: link for link, models in LINEAR_MODELS.items() for model in models.split()}
AVERAGED = tuple(
    f"{model}{task}" for model in ("RandomForest", "ExtraTrees", "DecisionTree", "ExtraTree") for task in ("Regressor", "Classifier")
)
BOOSTED = ("GradientBoostingRegressor", "GradientBoostingClassifier", "HistGradientBoostingRegressor", "HistGradientBoostingClassifier")


def open_skops(path: Path, rows: pd.DataFrame, task: Task) -> OpenModel:
    """Open the model in a skops file."""
    estimator = load_skops(path)
    name = type(estimator).__name__
    if not hasattr(estimator, "predict"):
        raise UsageError("the artifact is not a model with predict", where="artifact", got=name)
    known = getattr(estimator, "feature_names_in_", None)
    number = getattr(estimator, "n_features_in_", len(rows.columns))
    columns = match_feature_columns(rows, [str(feature) for feature in known]) if known is not None else columns_in_order(rows, int(number))
    classes = getattr(estimator, "classes_", None) if task.name != "regression" else None
    order = class_order(list(classes), task.classes, len(classes)) if classes is not None else None

    def encode(frame: pd.DataFrame) -> Any:
        table = frame[columns].rename(columns=dict(zip(columns, map(str, known)))) if known is not None else frame[columns]
        encoded = {
            column: numeric_column(values)
            if pd.api.types.is_numeric_dtype(values.dtype)
            else values.astype(object).where(values.notna(), np.nan)
            for column, values in table.items()
        }
        whole = pd.DataFrame(encoded, index=table.index)
        return whole if known is not None else whole.to_numpy()

    def score(table: Any) -> Floats:
        if classes is not None and not hasattr(estimator, "predict_proba"):
            raise UsageError("the model gives no probabilities", where="artifact", got=name, attempt="Wrap it in CalibratedClassifierCV")
        given = estimator.predict_proba(table) if classes is not None else estimator.predict(table)
        return as_scores(given, task, order)

    note = "" if known is not None else "The model does not name its features: columns are taken in their order."
    known_how = sklearn_native(estimator, task, order)
    pairwise = sklearn_pairwise(estimator, encode, known_how.link, task, order) if known_how is not None else None
    thresholds = sklearn_thresholds(estimator)
    takes = taken_values(columns, {}) if takes_numbers(estimator) else {}
    return OpenModel(tuple(columns), tuple(columns), encode, score, known_how, note, pairwise, thresholds, takes)


def load_skops(path: Path) -> Any:
    """The object in a skops file, built of trusted types only."""
    try:
        import skops.io
    except ImportError:
        raise missing_library("skops", "skops") from None
    try:
        unknown = skops.io.get_untrusted_types(file=path)
    except Exception as error:
        raise unreadable_artifact("skops", error) from None
    refused = [kind for kind in unknown if not is_trusted_type(kind)]
    if refused:
        raise UsageError(
            "the artifact holds types that are not trusted",
            where="artifact",
            got=", ".join(refused)[:300],
            expected="types of scikit-learn, NumPy and SciPy",
            attempt="Save the model without them, or as ONNX",
        )
    try:
        return skops.io.load(path, trusted=unknown)
    except Exception as error:
        raise unreadable_artifact("skops", error) from None


def is_trusted_type(name: str) -> bool:
    """Whether a dotted name is a class defined by one of the trusted packages."""
    if name in ALSO_TRUSTED:
        return True
    module, _, attribute = name.rpartition(".")
    if module.split(".")[0] not in TRUSTED:
        return False
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    return isinstance(found, type) and found.__module__.split(".")[0] in TRUSTED


def sklearn_thresholds(estimator: Any) -> Callable[[], dict[int, Floats]] | None:
    """The thresholds of a forest, mapped back through the steps before it. None for other models, or if a step mixes columns."""
    last, _, one_to_one = pipeline_steps(estimator)
    if not one_to_one or type(last).__name__ not in (*AVERAGED, *BOOSTED):
        return None

    def found() -> dict[int, Floats]:
        by_place = forest.feature_thresholds(forest_files.sklearn_trees(last))
        for place, limits in by_place.items():
            finite = limits[np.isfinite(limits)]
            table = np.zeros((len(finite), last.n_features_in_))
            table[:, place] = finite
            for _, step in reversed(estimator.steps[:-1] if estimator is not last else []):
                table = step.inverse_transform(table)
            by_place[place] = np.asarray(table)[:, place]
        return by_place

    return found


def pipeline_steps(estimator: Any) -> tuple[Any, Callable[[Any], Floats], bool]:
    """The last step of a model, the function that applies the steps before it, and whether these transform each column separately."""
    *before, last = [step for _, step in estimator.steps] if type(estimator).__name__ == "Pipeline" else [estimator]

    def prepared(table: Any) -> Floats:
        for step in before:
            table = step.transform(table)
        return np.asarray(table, dtype=float)

    return last, prepared, all(type(step).__name__ in ONE_TO_ONE for step in before)


def takes_numbers(estimator: Any) -> bool:
    """Whether every feature is a number to the model: trees and linear models without categories, after steps that keep each column."""
    last, _, one_to_one = pipeline_steps(estimator)
    return one_to_one and type(last).__name__ in (*LINEAR_LINKS, *AVERAGED, *BOOSTED) and not splits_by_category(last)


def sklearn_pairwise(
    estimator: Any, encode: "Callable[[pd.DataFrame], Any]", link: Link, task: Task, order: Sequence[int] | None
) -> Pairwise:
    """Exact attributions against each row of a background, for the models that `sklearn_native` explains: linear ones and trees."""
    last, prepared, _ = pipeline_steps(estimator)
    name = type(last).__name__
    # A single output of a classifier belongs to the second class; if the task's positive class is the first, its sign is reversed.
    sign = -1.0 if task.name == "binary" and order is not None and order[1] == 0 else 1.0

    def output(frame: pd.DataFrame) -> Floats:
        table = prepared(encode(frame))
        if name in LINEAR_LINKS:
            coefficients = np.atleast_2d(np.asarray(last.coef_, dtype=float))
            given = table @ coefficients.T + np.asarray(last.intercept_, dtype=float)
        elif name in BOOSTED:
            given = boosted_raw_output(last, table)
        else:
            given = last.predict_proba(table) if hasattr(last, "predict_proba") else last.predict(table)
        given = np.asarray(given, dtype=float).reshape(len(frame), -1)
        return task_outputs(given * sign if given.shape[1] == 1 else given, task, order)

    def values(row: pd.DataFrame, background: pd.DataFrame, place: int) -> Floats:
        one, others = prepared(encode(row))[0], prepared(encode(background))
        if name in LINEAR_LINKS:
            coefficients = np.atleast_2d(np.asarray(last.coef_, dtype=float))
            chosen = coefficients[output_index(len(coefficients), task, order, place)]
            return (one - others) * chosen * (sign if len(coefficients) == 1 else 1.0)
        trees = forest_files.sklearn_trees(last)
        groups = max((tree.output for tree in trees), default=0) + 1
        return forest.forest_attributions(trees, one, others, output_index(groups, task, order, place)) * (sign if groups == 1 else 1.0)

    return Pairwise(link, values, output)


def sklearn_native(estimator: Any, task: Task, order: Sequence[int] | None) -> Native | None:
    """The exact attributions of a model, None if there are none."""
    last, prepared, one_to_one = pipeline_steps(estimator)
    if not one_to_one:
        return None
    name = type(last).__name__
    if name in LINEAR_LINKS:
        link: Link = "raw" if task.multiclass else LINEAR_LINKS[name]
        if name == "TweedieRegressor" and not has_log_link(last):
            link = "identity"
        return Native(
            "shap linear", link, lambda rows, background: linear_attributions(last, prepared(rows), prepared(background), task, order), True
        )
    if name in AVERAGED:
        return Native("shap tree", "identity", lambda rows, _: tree_attributions(last, prepared(rows), task, order))
    if name in BOOSTED and (space := boosted_link(last, task)) is not None:
        return Native("shap tree", space, lambda rows, _: tree_attributions(last, prepared(rows), task, order))
    return None


def has_log_link(estimator: Any) -> bool:
    """Whether a generalised linear model has a log link."""
    return bool(estimator.link == "log" or (estimator.link == "auto" and estimator.power > 0))


def boosted_link(estimator: Any, task: Task) -> Link | None:
    """The space in which boosted trees add up; None if there are categorical features or the loss is exponential."""
    if splits_by_category(estimator):
        return None
    if task.multiclass:
        return "raw"
    links: dict[str, Link] = {"log_loss": "logit", "poisson": "log", "gamma": "log"}
    return None if estimator.loss == "exponential" else links.get(estimator.loss, "identity")


def splits_by_category(estimator: Any) -> bool:
    """Whether boosted trees take some of the features as categories."""
    return getattr(estimator, "is_categorical_", None) is not None and bool(np.any(estimator.is_categorical_))


def linear_attributions(estimator: Any, rows: Floats, background: Floats, task: Task, order: Sequence[int] | None) -> Attribution:
    """Coefficient times the distance from the background's mean: the interventional Shapley value of a linear model."""
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=float))
    intercepts = np.broadcast_to(np.asarray(estimator.intercept_, dtype=float), (len(coefficients),))
    center = background.mean(axis=0)
    values = (rows - center)[:, None, :] * coefficients[None]
    output = rows @ coefficients.T + intercepts
    # A single row of coefficients belongs to the second class; if the task's positive class is the first, its signs are reversed.
    if len(coefficients) == 1 and task.name == "binary" and order is not None and order[1] == 0:
        values, output, coefficients, intercepts = -values, -output, -coefficients, -intercepts
    return select_outputs(Attribution(values, coefficients @ center + intercepts, output), task, order)


def tree_attributions(estimator: Any, rows: Floats, task: Task, order: Sequence[int] | None) -> Attribution:
    """Path-dependent TreeSHAP by shap, and the output that it adds up to."""
    import shap

    try:
        explainer = shap.TreeExplainer(estimator)
        values = np.asarray(explainer.shap_values(rows, check_additivity=False), dtype=float)
    except Exception as error:
        raise CannotExplain(f"shap has no exact values for this {type(estimator).__name__}") from error
    values = values[:, None, :] if values.ndim == 2 else np.moveaxis(values, 2, 1)
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=float))
    if type(estimator).__name__ in BOOSTED:
        output = boosted_raw_output(estimator, rows)
    else:
        output = estimator.predict_proba(rows) if hasattr(estimator, "predict_proba") else estimator.predict(rows)
    output = output[:, None] if output.ndim == 1 else output
    if output.shape[1] == 1 and order is not None and order[1] == 0:
        values, base, output = -values, -base, -output
    return select_outputs(Attribution(values, base, output), task, order)


def boosted_raw_output(estimator: Any, rows: Floats) -> Floats:
    """The sum of boosted trees before the link."""
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(rows), dtype=float)
    predicted = np.asarray(estimator.predict(rows), dtype=float)
    return np.log(predicted) if estimator.loss in ("poisson", "gamma") else predicted
