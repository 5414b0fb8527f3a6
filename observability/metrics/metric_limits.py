"""The smallest change of each performance metric that matters: one limit for the severity `watch`, one for `act`."""

from typing import Literal

Kind = Literal["points", "relative", "of mae"]
LIMITS: dict[str, tuple[str, float, float]] = {
    "accuracy": ("points", 0.02, 0.05),
    "roc_auc": ("points", 0.02, 0.03),
    "pr_auc": ("points", 0.05, 0.08),
    "precision": ("points", 0.03, 0.05),
    "recall": ("points", 0.03, 0.05),
    "f1": ("points", 0.03, 0.05),
    "r2": ("points", 0.10, 0.20),
    "log_loss": ("relative", 0.10, 0.25),
    "brier": ("relative", 0.10, 0.25),
    "mae": ("relative", 0.10, 0.25),
    "rmse": ("relative", 0.15, 0.35),
    "bias": ("of mae", 0.25, 0.50),
}
"""The smallest fall that matters, for `watch` and for `act`: in points of the metric, or relative to the baseline. For a bias, it is the
growth of its absolute value, as a share of the baseline's mean absolute error. `limits` in the model's settings replace the `act` limit.
"""
