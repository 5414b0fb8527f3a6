"""Compute the cost of a model's errors, from the costs that its owner set."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model
from observability.metrics.performance import confusion_matrix
from observability.stats.difference_intervals import paired_rate_difference_interval
from observability.stats.interval import Interval, Moments, mean_interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame


UNPRICED_TASK = "Cost of errors unknown: settings state it for false positives and false negatives of binary models only."
"""Why the cost of the errors of a regression or a multiclass model is unknown."""


@dataclass(frozen=True)
class ErrorCost:
    """Value of decisions.

    n: labelled decisions (Σ weight). accuracy, and avoided (share of errors avoided, relative to always deciding for the majority), both
    with intervals. majority: the most frequent class. lost: cost per labelled decision, None if errors have no costs; lost_by_constant:
    cost per labelled decision of the best constant decision; constant: that decision.
    """

    n: float
    accuracy: Interval
    avoided: Interval
    majority: str
    lost: Interval | None
    lost_by_constant: float | None
    constant: str | None


def error_cost(model: Model, counts: "DataFrame") -> ErrorCost | None:
    """The errors of a classifier compared with always deciding for the most frequent class of the same labels.

    Parameters
    ----------
    model : Model
        Model. If its owner has set costs of errors, the cheapest constant decision is compared too.
    counts : DataFrame
        Counts by decision and label.

    Returns
    -------
    ErrorCost | None
        None for a regression or without labels.
    """
    if model.task not in ("binary", "multiclass"):
        return None
    matrix = confusion_matrix(model, counts)
    n = float(matrix.sum())
    if n <= 0:
        return None
    known = (counts["label"].to_numpy() >= 0) & (counts["decision"].to_numpy() >= 0)
    squares = float(counts["w2"].to_numpy(float)[known].sum())
    right, frequent = float(np.trace(matrix)), int(matrix.sum(axis=1).argmax())
    gained = right - float(matrix[frequent, frequent])
    lost_to = float(matrix[frequent].sum() - matrix[frequent, frequent])
    shrink = n / squares if squares > 0 else 1.0
    avoided = paired_rate_difference_interval(gained * shrink, lost_to * shrink, n * shrink)
    classes = model.classes or ("0", "1")
    lost, constant_loss, constant = decision_loss(model, matrix, squares)
    accuracy, cheapest = rate_interval(right, n, squares), None if constant is None else classes[constant]
    return ErrorCost(n, accuracy, avoided, classes[frequent], lost, constant_loss, cheapest)


def decision_loss(model: Model, matrix: Any, squares: float) -> tuple[Interval | None, float | None, int | None]:
    """Money lost per labelled decision with its interval, the loss of the best constant decision, and the class of that decision.

    Parameters
    ----------
    model : Model
        Model with costs of errors.
    matrix : Any
        Label × decision.
    squares : float
        Σw² of the rows.

    Returns
    -------
    tuple[Interval | None, float | None, int | None]
        All None without costs of errors.
    """
    costs = (model.settings.cost_false_positive, model.settings.cost_false_negative)
    if model.task != "binary" or costs[0] is None or costs[1] is None:
        return None, None, None
    n, false_positive, false_negative = float(matrix.sum()), float(matrix[0, 1]), float(matrix[1, 0])
    spent = false_positive * costs[0] + false_negative * costs[1]
    lost = mean_interval(Moments(n, spent, false_positive * costs[0] ** 2 + false_negative * costs[1] ** 2, squares))
    constants = (float(matrix[1].sum()) * costs[1] / n, float(matrix[0].sum()) * costs[0] / n)
    best = int(np.argmin(constants))
    return lost, constants[best], best
