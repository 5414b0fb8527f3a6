"""How is a scikit-learn model in a skops file opened and explained? Linear ones and trees exactly, others by sampling.

skops builds only types it is told to trust. Trusted here: what skops trusts itself, and classes that scikit-learn, NumPy and SciPy define.
Anything else in the file, above all a function, is refused by name before anything is built.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.worker import forest, forest_files
from observability.worker.explanation import Link
from observability.worker.features import chosen, class_order, in_order, numbers
from observability.worker.model import (
    Attribution,
    CannotExplain,
    Model,
    Native,
    Pairwise,
    Task,
    as_scores,
    missing_library,
    of_class,
    outputs_of,
    place_of,
    unreadable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUSTED = ("sklearn", "numpy", "scipy")
ALSO_TRUSTED = ("functools.partial", "sklearn.utils.validation.check_array")
"""What scikit-learn's own models hold besides classes (histogram boosting with categories); a partial's function is checked by itself."""

ONE_TO_ONE = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
"""Steps that change each column on its own, so that a column's attribution is that of the column made of it."""

LINEAR_LINKS: dict[str, Link] = {
    "LinearRegression": "identity", "Ridge": "identity", "RidgeCV": "identity", "Lasso": "identity", "LassoCV": "identity",
    "ElasticNet": "identity", "ElasticNetCV": "identity", "BayesianRidge": "identity", "ARDRegression": "identity", "HuberRegressor": "identity",
    "SGDRegressor": "identity", "LinearSVR": "identity", "QuantileRegressor": "identity", "TheilSenRegressor": "identity",
    "Lars": "identity", "LassoLars": "identity", "OrthogonalMatchingPursuit": "identity", "LogisticRegression": "logit",
    "LogisticRegressionCV": "logit", "PoissonRegressor": "log", "GammaRegressor": "log", "TweedieRegressor": "log",
}  # fmt: skip
AVERAGED = (
    "RandomForestRegressor", "RandomForestClassifier", "ExtraTreesRegressor", "ExtraTreesClassifier", "DecisionTreeRegressor",
    "DecisionTreeClassifier", "ExtraTreeRegressor", "ExtraTreeClassifier",
)  # fmt: skip
BOOSTED = ("GradientBoostingRegressor", "GradientBoostingClassifier", "HistGradientBoostingRegressor", "HistGradientBoostingClassifier")


def open_file(path: Path, rows: pd.DataFrame, task: Task) -> Model:
    """The model in a skops file."""
    estimator = load(path)
    name = type(estimator).__name__
    if not hasattr(estimator, "predict"):
        raise UsageError("the artifact is no model that predicts", where="artifact", got=name)
    known = getattr(estimator, "feature_names_in_", None)
    number = getattr(estimator, "n_features_in_", len(rows.columns))
    columns = chosen(rows, [str(each) for each in known]) if known is not None else in_order(rows, int(number))
    classes = getattr(estimator, "classes_", None) if task.name != "regression" else None
    order = class_order(list(classes), task.classes, len(classes)) if classes is not None else None

    def encode(frame: pd.DataFrame) -> Any:
        table = frame[columns].rename(columns=dict(zip(columns, [str(each) for each in known]))) if known is not None else frame[columns]
        kinds = {each: numbers(table[each]) for each in table if pd.api.types.is_numeric_dtype(table[each].dtype)}
        words = {each: table[each].astype(object).where(table[each].notna(), np.nan) for each in table if each not in kinds}
        whole = pd.DataFrame({each: kinds.get(each, words.get(each)) for each in table}, index=table.index)
        return whole if known is not None else whole.to_numpy()

    def score(table: Any) -> "NDArray[np.float64]":
        if classes is not None and not hasattr(estimator, "predict_proba"):
            raise UsageError("the model gives no probabilities", where="artifact", got=name, attempt="Wrap it in CalibratedClassifierCV")
        given = estimator.predict_proba(table) if classes is not None else estimator.predict(table)
        return as_scores(given, task, order)

    note = "" if known is not None else "The model does not name its features: columns are taken in their order."
    known_how = native(estimator, task, order)
    pairwise = pairs_of(estimator, encode, known_how.link, task, order) if known_how is not None else None
    return Model(tuple(columns), tuple(columns), encode, score, known_how, note, pairwise)


def load(path: Path) -> Any:
    """The object in a skops file, built of trusted types only."""
    try:
        import skops.io
    except ImportError:
        raise missing_library("skops", "skops") from None
    try:
        unknown = skops.io.get_untrusted_types(file=path)
    except Exception as error:
        raise unreadable("skops", error) from None
    refused = [each for each in unknown if not is_trusted(each)]
    if refused:
        raise UsageError(
            "the artifact holds types that are not trusted", where="artifact", got=", ".join(refused)[:300],
            expected="types of scikit-learn, NumPy and SciPy", attempt="Save the model without them, or as ONNX",
        )  # fmt: skip
    try:
        return skops.io.load(path, trusted=unknown)
    except Exception as error:
        raise unreadable("skops", error) from None


def is_trusted(name: str) -> bool:
    """Whether a dotted name is a class that one of the trusted packages itself defines."""
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


def steps_of(estimator: Any) -> "tuple[Any, Callable[[Any], NDArray[np.float64]], bool]":
    """The last step of a model, how the steps before it prepare a table, and whether each of these changes each column on its own."""
    *before, last = [each for _, each in estimator.steps] if type(estimator).__name__ == "Pipeline" else [estimator]

    def prepared(table: Any) -> "NDArray[np.float64]":
        for each in before:
            table = each.transform(table)
        return np.asarray(table, dtype=float)

    return last, prepared, all(type(each).__name__ in ONE_TO_ONE for each in before)


def pairs_of(
    estimator: Any, encode: "Callable[[pd.DataFrame], Any]", link: Link, task: Task, order: Sequence[int] | None
) -> Pairwise:  # fmt: skip
    """Exact attributions against each row of a background, of the models that `native` explains: linear ones and trees."""
    last, prepared, _ = steps_of(estimator)
    name = type(last).__name__
    # One output of a classifier speaks for the second class; where the task's positive class is the first, the sign turns.
    turned = -1.0 if task.name == "binary" and order is not None and order[1] == 0 else 1.0

    def output(frame: pd.DataFrame) -> "NDArray[np.float64]":
        table = prepared(encode(frame))
        if name in LINEAR_LINKS:
            coefficients = np.atleast_2d(np.asarray(last.coef_, dtype=float))
            given = table @ coefficients.T + np.asarray(last.intercept_, dtype=float)
        elif name in BOOSTED:
            given = raw(last, table)
        else:
            given = last.predict_proba(table) if hasattr(last, "predict_proba") else last.predict(table)
        given = np.asarray(given, dtype=float).reshape(len(frame), -1)
        return outputs_of(given * turned if given.shape[1] == 1 else given, task, order)

    def values(row: pd.DataFrame, background: pd.DataFrame, place: int) -> "NDArray[np.float64]":
        one, others = prepared(encode(row))[0], prepared(encode(background))
        if name in LINEAR_LINKS:
            coefficients = np.atleast_2d(np.asarray(last.coef_, dtype=float))
            chosen = coefficients[place_of(len(coefficients), task, order, place)]
            return (one - others) * chosen * (turned if len(coefficients) == 1 else 1.0)
        trees = forest_files.of_sklearn(last)
        groups = max((each.output for each in trees), default=0) + 1
        return forest.by_row(trees, one, others, place_of(groups, task, order, place)) * (turned if groups == 1 else 1.0)

    return Pairwise(link, values, output)


def native(estimator: Any, task: Task, order: Sequence[int] | None) -> Native | None:
    """How the model explains itself exactly, None where it does not."""
    last, prepared, one_to_one = steps_of(estimator)
    if not one_to_one:
        return None
    name = type(last).__name__
    if name in LINEAR_LINKS:
        link: Link = "raw" if task.multiclass else LINEAR_LINKS[name]
        if name == "TweedieRegressor" and not is_log(last):
            link = "identity"
        return Native("shap linear", link, lambda rows, background: linear(last, prepared(rows), prepared(background), task, order), True)
    if name in AVERAGED:
        return Native("shap tree", "identity", lambda rows, _: trees(last, prepared(rows), task, order))
    if name in BOOSTED and (space := boosted_link(last, task)) is not None:
        return Native("shap tree", space, lambda rows, _: trees(last, prepared(rows), task, order))
    return None


def is_log(estimator: Any) -> bool:
    """Whether a generalised linear model has the log as its link."""
    return bool(estimator.link == "log" or (estimator.link == "auto" and estimator.power > 0))


def boosted_link(estimator: Any, task: Task) -> Link | None:
    """The space in which boosted trees add up; None where categories or the loss make it another."""
    if getattr(estimator, "is_categorical_", None) is not None and np.any(estimator.is_categorical_):
        return None
    if task.multiclass:
        return "raw"
    links: dict[str, Link] = {"log_loss": "logit", "poisson": "log", "gamma": "log"}
    return None if estimator.loss == "exponential" else links.get(estimator.loss, "identity")


def linear(
    estimator: Any, rows: "NDArray[np.float64]", background: "NDArray[np.float64]", task: Task, order: Sequence[int] | None
) -> Attribution:
    """Coefficient times the distance from the background's mean: the Shapley value where features are switched on their own."""
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=float))
    intercepts = np.broadcast_to(np.asarray(estimator.intercept_, dtype=float), (len(coefficients),))
    center = background.mean(axis=0)
    values = (rows - center)[:, None, :] * coefficients[None]
    output = rows @ coefficients.T + intercepts
    # One row of coefficients of a classifier speaks for the second class; where the task's positive class is the first, the signs turn.
    if len(coefficients) == 1 and task.name == "binary" and order is not None and order[1] == 0:
        values, output, coefficients, intercepts = -values, -output, -coefficients, -intercepts
    return of_class(Attribution(values, coefficients @ center + intercepts, output), task, order)


def trees(estimator: Any, rows: "NDArray[np.float64]", task: Task, order: Sequence[int] | None) -> Attribution:
    """Path-dependent TreeSHAP of shap, and the output it has to add up to."""
    import shap

    try:
        explainer = shap.TreeExplainer(estimator)
        values = np.asarray(explainer.shap_values(rows, check_additivity=False), dtype=float)
    except Exception as error:
        raise CannotExplain(f"shap has no exact values for this {type(estimator).__name__}") from error
    values = values[:, None, :] if values.ndim == 2 else np.moveaxis(values, 2, 1)
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=float))
    if type(estimator).__name__ in BOOSTED:
        output = raw(estimator, rows)
    else:
        output = estimator.predict_proba(rows) if hasattr(estimator, "predict_proba") else estimator.predict(rows)
    output = output[:, None] if output.ndim == 1 else output
    if output.shape[1] == 1 and order is not None and order[1] == 0:
        values, base, output = -values, -base, -output
    return of_class(Attribution(values, base, output), task, order)


def raw(estimator: Any, rows: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The sum of boosted trees before the link."""
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(rows), dtype=float)
    predicted = np.asarray(estimator.predict(rows), dtype=float)
    return np.log(predicted) if estimator.loss in ("poisson", "gamma") else predicted
