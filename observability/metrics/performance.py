"""Performance of a model from counts and sums.

Performance is computed only here. The analyzer, the charts, the tables and the sentences all use this module. Metrics from counts equal
scikit-learn's on the raw rows. ROC AUC and PR AUC come from score bins, so scores in the same bin count as ties. If scores are well spread,
ROC AUC is usually within 1e-3 of the value from the raw scores, and PR AUC, on which ties have more effect, within 3e-3. `ranking_errors`
gives bounds for both.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.questions import UNKNOWN, Aggregate, Bucket, By
from observability.stats import confusion
from observability.stats.group import rate_intervals
from observability.stats.interval import Interval, Moments, effective_n, mean_interval, ordered_interval, rate_interval
from observability.stats.score_intervals import (
    auc_interval,
    average_precision_interval,
    f1_interval,
    macro_average_interval,
    r2_interval,
    rmse_interval,
)
from observability.stats.scores import SCORE_EDGES

if TYPE_CHECKING:
    from pandas import DataFrame

Columns = Mapping[str, NDArray[Any]]
"""The columns of a query result as arrays. They are much faster than frames if many parts of one result are measured."""
REGRESSION_SUMS = ("error", "absolute_error", "squared_error", "label_value")
CLASSIFIER_SUMS = ("log_loss", "brier")
HEADLINE = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mae"}
NONE = Interval(None, None, None, 0.0)


def primary_metric(model: Model) -> str:
    """The metric by which a model's performance is judged: the owner's choice, else the headline metric of its task (accuracy, mae)."""
    return model.settings.primary_metric or HEADLINE.get(model.task or "binary", "accuracy")


def outcome_aggregates(model: Model, *keys: Bucket | By) -> dict[str, Aggregate]:
    """The two queries that `performance_metrics` needs: "counts" and "sums", optionally grouped by `keys` as well."""
    counts = (*keys, By("decision"), By("label"), *((By("score_bin"),) if model.task == "binary" else ()))
    sums = REGRESSION_SUMS if model.task == "regression" else CLASSIFIER_SUMS
    return {"counts": Aggregate("outcomes", keys=counts), "sums": Aggregate("outcomes", keys=keys, sums=sums)}


def performance_metrics(model: Model, counts: "DataFrame | Columns", sums: "DataFrame | Columns") -> dict[str, Interval]:
    """Every measured metric for the model's task, with its interval, on labelled rows.

    Parameters
    ----------
    model : Model
        Model.
    counts : DataFrame | Columns
        Answer "counts" of `outcome_aggregates`.
    sums : DataFrame | Columns
        Answer "sums" of `outcome_aggregates`.

    Returns
    -------
    dict[str, Interval]
        By metric; the value is None if a metric is not defined.
    """
    if model.task == "regression":
        return regression_metrics(sums)
    if model.task in ("binary", "multiclass"):
        return _classification_metrics(model, counts, sums)
    return {}


def performance_by_key(
    model: Model, counts: "DataFrame", sums: "DataFrame", key: str
) -> Iterator[tuple[Any, dict[str, Interval], float, float]]:
    """The metrics for each value of one column of the query results, in order.

    Parameters
    ----------
    model : Model
        Model.
    counts : DataFrame
        Answer "counts" of `outcome_aggregates`.
    sums : DataFrame
        Answer "sums" of `outcome_aggregates`.
    key : str
        Column.

    Returns
    -------
    Iterator[tuple[Any, dict[str, Interval], float, float]]
        (value of the key, metrics, rows served, rows labelled).
    """
    of_sums = dict(iter(sums.groupby(key, sort=True, dropna=False))) if len(sums) else {}
    for value, part in counts.groupby(key, sort=True, dropna=False):
        served, labelled = served_and_labelled(part)
        yield value, performance_metrics(model, part, of_sums.get(value, sums.iloc[:0])), served, labelled


def answer_columns(frame: "DataFrame") -> dict[str, NDArray[Any]]:
    """The columns of a query result as arrays.

    Parameters
    ----------
    frame : DataFrame
        Answer.

    Returns
    -------
    dict[str, NDArray[Any]]
    """
    return {str(name): values.to_numpy() for name, values in frame.items()}


def served_and_labelled(counts: "DataFrame | Columns") -> tuple[float, float]:
    """The number of rows served, and of rows whose label is known.

    Parameters
    ----------
    counts : DataFrame | Columns
        Answer "counts" of `outcome_aggregates`.

    Returns
    -------
    tuple[float, float]
    """
    n = np.asarray(counts["n"])
    return float(n.sum()), float(n[np.asarray(counts["label"]) != UNKNOWN].sum())


def regression_metrics(sums: "DataFrame | Columns") -> dict[str, Interval]:
    """MAE, RMSE, bias and R² from sums.

    Parameters
    ----------
    sums : DataFrame | Columns
        Answer "sums" of `outcome_aggregates`.

    Returns
    -------
    dict[str, Interval]
    """
    of = {name: _measure_moments(sums, name) for name in REGRESSION_SUMS}
    return {
        "mae": mean_interval(of["absolute_error"]),
        "rmse": rmse_interval(of["squared_error"]),
        "bias": mean_interval(of["error"]),
        "r2": r2_interval(of["squared_error"], of["label_value"]),
    }


def _classification_metrics(model: Model, counts: "DataFrame | Columns", sums: "DataFrame | Columns") -> dict[str, Interval]:
    """Accuracy, precision, recall, F1, log loss and Brier score; for several classes, macro averages. For a binary model also ROC AUC, PR
    AUC and selection rate.
    """
    matrix = confusion_matrix(model, counts)
    shrink = _effective_scale(matrix, counts)
    right, whole = float(np.trace(matrix)) * shrink, float(matrix.sum()) * shrink
    if model.task == "binary":
        tp, fp, fn, _ = (cell * shrink for cell in confusion.binary_cells(matrix))
        accuracy, precision, recall, selected = _share_intervals([right, tp, tp, tp + fp], [whole, tp + fp, tp + fn, whole])
        found = {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1_interval(tp, fp, fn), "selection_rate": selected}
        found |= _ranking_metrics(counts)
    else:
        found = {"accuracy": rate_interval(right, whole), **_macro_averages(matrix * shrink)}
    of = {name: mean_interval(_measure_moments(sums, name)) for name in CLASSIFIER_SUMS}
    return found | of


def _share_intervals(parts: Sequence[float], wholes: Sequence[float]) -> list[Interval]:
    """Shares (each part divided by its whole) with the intervals of `rate_interval`, computed in one call."""
    return [ordered_interval(*each) for each in zip(*rate_intervals(parts, wholes), wholes, strict=True)]


def class_performance(model: Model, counts: "DataFrame | Columns") -> dict[str, dict[str, Interval]]:
    """For each class: precision, recall and F1 against all other classes, its share of the labels and its share of the decisions.

    Parameters
    ----------
    model : Model
        Model.
    counts : DataFrame | Columns
        Answer "counts" of `outcome_aggregates`.

    Returns
    -------
    dict[str, dict[str, Interval]]
        By class and metric, on rows where label and decision are known.
    """
    matrix = confusion_matrix(model, counts)
    matrix = matrix * _effective_scale(matrix, counts)
    labelled, decided, right, whole = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix), float(matrix.sum())
    return {
        name: {
            "precision": rate_interval(float(right[k]), float(decided[k])),
            "recall": rate_interval(float(right[k]), float(labelled[k])),
            "f1": f1_interval(float(right[k]), float(decided[k] - right[k]), float(labelled[k] - right[k])),
            "label_share": rate_interval(float(labelled[k]), whole),
            "selection_rate": rate_interval(float(decided[k]), whole),
        }
        for k, name in enumerate(model.classes)
    }


def _effective_scale(matrix: NDArray[np.float64], counts: "DataFrame | Columns") -> float:
    """Factor by which a confusion matrix of weighted counts is multiplied to give effective rows."""
    known = (np.asarray(counts["label"]) != UNKNOWN) & (np.asarray(counts["decision"]) != UNKNOWN)
    squares, whole = float(np.asarray(counts["w2"], np.float64)[known].sum()), float(matrix.sum())
    return effective_n(1.0, squares / whole**2) / whole if whole > 0 else 1.0


def confusion_matrix(model: Model, counts: "DataFrame | Columns") -> NDArray[np.float64]:
    """Weighted counts of label (row) by decision (column), on rows where both are known.

    Parameters
    ----------
    model : Model
        Model.
    counts : DataFrame | Columns
        Answer "counts" of `outcome_aggregates`.

    Returns
    -------
    NDArray[np.float64]
    """
    size = max(len(model.classes), 2)
    matrix = np.zeros((size, size))
    label, decision = (np.asarray(counts[name], np.int64) for name in ("label", "decision"))
    known = (label >= 0) & (decision >= 0)
    np.add.at(matrix, (label[known], decision[known]), np.asarray(counts["w"], np.float64)[known])
    return matrix


def _score_counts(counts: "DataFrame | Columns") -> dict[int, tuple[NDArray[np.float64], float]]:
    """For label 0 and 1: weighted counts by score bin, and Σw²; rows without a score are left out."""
    found = {}
    labels, bins = (np.asarray(counts[name], np.int64) for name in ("label", "score_bin"))
    w, w2 = (np.asarray(counts[name], np.float64) for name in ("w", "w2"))
    for label in (0, 1):
        own = (labels == label) & (bins >= 0)
        dense = np.bincount(bins[own], w[own], SCORE_EDGES.size + 1).astype(np.float64)
        found[label] = (dense, float(w2[own].sum()))
    return found


def _ranking_metrics(counts: "DataFrame | Columns") -> dict[str, Interval]:
    """ROC AUC and PR AUC of a binary score, from its counts by bin and label."""
    of = _score_counts(counts)
    (negative, negative_squares), (positive, positive_squares) = of[0], of[1]
    if positive.sum() <= 0 or negative.sum() <= 0:
        return {"roc_auc": NONE, "pr_auc": NONE}
    precision = confusion.average_precision(positive, negative)
    return {
        "roc_auc": auc_interval(positive, negative, positive_squares, negative_squares),
        "pr_auc": average_precision_interval(precision, effective_n(float(positive.sum()), positive_squares)),
    }


def ranking_errors(counts: "DataFrame | Columns") -> dict[str, float]:
    """By how much ROC AUC and PR AUC can differ at most, between computation from bins and from the scores themselves.

    Parameters
    ----------
    counts : DataFrame | Columns
        Answer "counts" of `outcome_aggregates` of a binary model.

    Returns
    -------
    dict[str, float]
        By metric; NaN if it is not defined.
    """
    of = _score_counts(counts)
    return dict(zip(("roc_auc", "pr_auc"), confusion.ranking_bounds(of[1][0], of[0][0]), strict=True))


def _macro_averages(matrix: NDArray[np.float64]) -> dict[str, Interval]:
    """Macro precision, recall and F1 with intervals. If a figure of a class is undefined, it counts as 0, as in scikit-learn."""
    parts = [confusion.binary_cells(each) for each in confusion.one_vs_rest(matrix)]
    zero = Interval(0.0, 0.0, 0.0, 0.0)
    of: dict[str, list[Interval]] = {"precision": [], "recall": [], "f1": []}
    for tp, fp, fn, _ in parts:
        of["precision"].append(rate_interval(tp, tp + fp) if tp + fp > 0 else zero)
        of["recall"].append(rate_interval(tp, tp + fn) if tp + fn > 0 else zero)
        of["f1"].append(f1_interval(tp, fp, fn) if tp + fp + fn > 0 else zero)
    return {name: macro_average_interval(each) for name, each in of.items()}


def _measure_moments(sums: "DataFrame | Columns", name: str) -> Moments:
    """The weighted sums of one measure over all rows of a query result."""
    own = np.asarray(sums["measure"], object) == name
    w, total, squares, w2 = (float(np.asarray(sums[part], np.float64)[own].sum()) for part in ("w", "total", "squares", "w2"))
    return Moments(w, total, squares, w2)
