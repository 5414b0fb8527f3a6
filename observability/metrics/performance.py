"""How right was a model, from counts and sums?

The one computation behind every performance figure: the analyzer, the charts, the tables and the sentences all call it. Figures of counts equal
scikit-learn's on the raw rows; ROC AUC and PR AUC come from score bins, where
scores in one bin are ties: ROC AUC is within 1e-3 of that of the raw scores, PR AUC, which ties cost more, within 3e-3.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.questions import UNKNOWN, Aggregate, Bucket, By
from observability.stats import confusion
from observability.stats.group import rate_intervals
from observability.stats.interval import (
    Interval,
    Moments,
    auc_interval,
    average_interval,
    average_precision_interval,
    effective_n,
    f1_interval,
    interval,
    mean_interval,
    r2_interval,
    rate_interval,
    rmse_interval,
)
from observability.stats.scores import SCORE_EDGES

if TYPE_CHECKING:
    from pandas import DataFrame

Columns = Mapping[str, NDArray[Any]]
"""The columns of an answer as arrays: where many parts of one answer are measured, that is much cheaper than frames."""
REGRESSION_SUMS = ("error", "absolute_error", "squared_error", "label_value")
CLASSIFIER_SUMS = ("log_loss", "brier")
HEADLINE = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mae"}
NONE = Interval(None, None, None, 0.0)


def outcome_aggregates(model: Model, *keys: Bucket | By) -> dict[str, Aggregate]:
    """The two questions whose answers `performance` reads: "counts" and "sums", grouped by `keys` as well."""
    counts = (*keys, By("decision"), By("label"), *((By("score_bin"),) if model.task == "binary" else ()))
    sums = REGRESSION_SUMS if model.task == "regression" else CLASSIFIER_SUMS
    return {"counts": Aggregate("outcomes", keys=counts), "sums": Aggregate("outcomes", keys=keys, sums=sums)}


def performance(model: Model, counts: "DataFrame | Columns", sums: "DataFrame | Columns") -> dict[str, Interval]:
    """Every measured metric of a model's task with its interval, on labelled rows; the value is None where a metric is not defined."""
    if model.task == "regression":
        return regression(sums)
    if model.task in ("binary", "multiclass"):
        return classification(model, counts, sums)
    return {}


def performance_by(
    model: Model, counts: "DataFrame", sums: "DataFrame", key: str
) -> Iterator[tuple[Any, dict[str, Interval], float, float]]:
    """(value of the key, metrics, rows served, rows labelled) for each value of one answer column, in order."""
    of_sums = dict(iter(sums.groupby(key, sort=True, dropna=False))) if len(sums) else {}
    for value, part in counts.groupby(key, sort=True, dropna=False):
        served, labelled = maturity(part)
        yield value, performance(model, part, of_sums.get(value, sums.iloc[:0])), served, labelled


def columns_of(frame: "DataFrame") -> dict[str, NDArray[Any]]:
    """The columns of an answer as arrays."""
    return {str(name): values.to_numpy() for name, values in frame.items()}


def maturity(counts: "DataFrame | Columns") -> tuple[float, float]:
    """Rows served and rows whose label is known."""
    n = np.asarray(counts["n"])
    return float(n.sum()), float(n[np.asarray(counts["label"]) != UNKNOWN].sum())


def regression(sums: "DataFrame | Columns") -> dict[str, Interval]:
    """MAE, RMSE, bias and R² from sums."""
    of = {name: moments(sums, name) for name in REGRESSION_SUMS}
    return {
        "mae": mean_interval(of["absolute_error"]),
        "rmse": rmse_interval(of["squared_error"]),
        "bias": mean_interval(of["error"]),
        "r2": r2_interval(of["squared_error"], of["label_value"]),
    }


def classification(model: Model, counts: "DataFrame | Columns", sums: "DataFrame | Columns") -> dict[str, Interval]:
    """Accuracy, precision, recall, F1, log loss, Brier; binary: ROC AUC, PR AUC, selection rate as well. Macro over classes where several."""
    matrix = confusion_matrix(model, counts)
    shrink = effective_share(matrix, counts)
    right, whole = float(np.trace(matrix)) * shrink, float(matrix.sum()) * shrink
    if model.task == "binary":
        tp, fp, fn, _ = (each * shrink for each in confusion.binary(matrix))
        accuracy, precision, recall, selected = shares([right, tp, tp, tp + fp], [whole, tp + fp, tp + fn, whole])
        found = {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1_interval(tp, fp, fn), "selection_rate": selected}
        found |= ranking(counts)
    else:
        found = {"accuracy": rate_interval(right, whole), **macro_average(matrix * shrink)}
    of = {name: mean_interval(moments(sums, name)) for name in CLASSIFIER_SUMS}
    return found | of


def shares(parts: Sequence[float], wholes: Sequence[float]) -> list[Interval]:
    """Parts of wholes with the intervals of `rate_interval`, all in one call."""
    return [interval(*each) for each in zip(*rate_intervals(parts, wholes), wholes, strict=True)]


def by_class(model: Model, counts: "DataFrame | Columns") -> dict[str, dict[str, Interval]]:
    """Precision, recall and F1 of each class against all others, and its share of the labels and of the decisions, on rows where both are known."""
    matrix = confusion_matrix(model, counts)
    matrix = matrix * effective_share(matrix, counts)
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


def effective_share(matrix: NDArray[np.float64], counts: "DataFrame | Columns") -> float:
    """What a confusion matrix of weighted counts is to be multiplied by for its cells to count effective rows."""
    known = (np.asarray(counts["label"]) != UNKNOWN) & (np.asarray(counts["decision"]) != UNKNOWN)
    squares, whole = float(np.asarray(counts["w2"], np.float64)[known].sum()), float(matrix.sum())
    return effective_n(1.0, squares / whole**2) / whole if whole > 0 else 1.0


def confusion_matrix(model: Model, counts: "DataFrame | Columns") -> NDArray[np.float64]:
    """Weighted counts of label (row) by decision (column), on rows where both are known."""
    size = max(len(model.classes), 2)
    matrix = np.zeros((size, size))
    label, decision = (np.asarray(counts[name], np.int64) for name in ("label", "decision"))
    known = (label >= 0) & (decision >= 0)
    np.add.at(matrix, (label[known], decision[known]), np.asarray(counts["w"], np.float64)[known])
    return matrix


def score_counts(counts: "DataFrame | Columns") -> dict[int, tuple[NDArray[np.float64], float]]:
    """For label 0 and 1: weighted counts by score bin, and Σw²; rows without a score are left out."""
    found = {}
    labels, bins = (np.asarray(counts[name], np.int64) for name in ("label", "score_bin"))
    w, w2 = (np.asarray(counts[name], np.float64) for name in ("w", "w2"))
    for label in (0, 1):
        own = (labels == label) & (bins >= 0)
        dense = np.bincount(bins[own], w[own], SCORE_EDGES.size + 1).astype(np.float64)
        found[label] = (dense, float(w2[own].sum()))
    return found


def ranking(counts: "DataFrame | Columns") -> dict[str, Interval]:
    """ROC AUC and PR AUC of a binary score, from its bins by label."""
    of = score_counts(counts)
    (negative, negative_squares), (positive, positive_squares) = of[0], of[1]
    if positive.sum() <= 0 or negative.sum() <= 0:
        return {"roc_auc": NONE, "pr_auc": NONE}
    precision = confusion.average_precision(positive, negative)
    return {
        "roc_auc": auc_interval(positive, negative, positive_squares, negative_squares),
        "pr_auc": average_precision_interval(precision, effective_n(float(positive.sum()), positive_squares)),
    }


def macro_average(matrix: NDArray[np.float64]) -> dict[str, Interval]:
    """Macro precision, recall and F1 with intervals; a class for which one is not defined counts as 0, as in scikit-learn."""
    parts = [confusion.binary(each) for each in confusion.one_vs_rest(matrix)]
    zero = Interval(0.0, 0.0, 0.0, 0.0)
    of: dict[str, list[Interval]] = {"precision": [], "recall": [], "f1": []}
    for tp, fp, fn, _ in parts:
        of["precision"].append(rate_interval(tp, tp + fp) if tp + fp > 0 else zero)
        of["recall"].append(rate_interval(tp, tp + fn) if tp + fn > 0 else zero)
        of["f1"].append(f1_interval(tp, fp, fn) if tp + fp + fn > 0 else zero)
    return {name: average_interval(each) for name, each in of.items()}


def moments(sums: "DataFrame | Columns", name: str) -> Moments:
    """Sums of one measure."""
    own = np.asarray(sums["measure"], object) == name
    w, total, squares, w2 = (float(np.asarray(sums[each], np.float64)[own].sum()) for each in ("w", "total", "squares", "w2"))
    return Moments(w, total, squares, w2)
