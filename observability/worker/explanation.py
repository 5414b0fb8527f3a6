"""Attributions of a model's scores: values that add up to the output, with the space, method and background."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Method = Literal["native pred_contrib", "shap tree", "shap linear", "shap permutation"]
Link = Literal["identity", "logit", "log", "raw"]


@dataclass(frozen=True)
class Explanation:
    """Attributions of n rows. Read-only. For each row `base_value + values.sum(features) + residual == output`.

    values: (n, features), or (n, classes, features) in multiclass. base_value: float, or (classes,). output: the model's output for each
    row in the space of `link`, (n,) or (n, classes). link: `identity` (output is the score), `logit` (score = 1/(1+e^-output)), `log`
    (score = e^output), `raw` (multiclass: scores = softmax(output), or the sigmoid of each class divided by their sum where `note` says
    so). predictions: the model's scores as it would be logged, (n,) or (n, classes). residual: output minus base value minus the sum of
    attributions, (n,) or (n, classes): rounding only, unless the method did not fit the model. features: names, in the order of the last
    axis. background, background_rows: the rows that define the base value: the training data (from the trees) or the given rows.
    standard_error: of each value, same shape, for `shap permutation`; None if values are exact. seconds: time in the worker. note:
    sentences about the method, or "".
    """

    values: "np.ndarray"
    base_value: "float | np.ndarray"
    output: "np.ndarray"
    link: Link
    predictions: "np.ndarray"
    residual: "np.ndarray"
    features: tuple[str, ...]
    method: Method
    background: str
    background_rows: int | None
    standard_error: "np.ndarray | None"
    seconds: float
    note: str
    network_blocked: bool

    @property
    def largest_residual(self) -> float:
        """The largest absolute residual; 0 for no rows."""
        return float(abs(self.residual).max()) if self.residual.size else 0.0
