"""Find a single prediction whose error makes up most of the error of a window."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding

if TYPE_CHECKING:
    from pandas import DataFrame

SHARE = 0.5
"""The error of one prediction is reported if it exceeds this share of the sum of all errors, because it then hides the other errors."""
MINIMUM_LABELS = 100


def largest_error_finding(name: str, context: Context, sums: "DataFrame") -> Finding | None:
    """The finding about the largest error of a regression, if it alone exceeds half of the sum of all errors.

    An outlier says something about its row, not about the model, so the finding is never critical.

    Parameters
    ----------
    name : str
        Name of the analyzer.
    context : Context
        Context of the check.
    sums : DataFrame
        Sums of the window, with the smallest and largest error.

    Returns
    -------
    Finding | None
        None without such an error.
    """
    if context.model.task != "regression":
        return None
    rows = sums[sums["measure"] == "absolute_error"]
    n, total = int(rows["n"].sum()), float(rows["total"].sum())
    largest = float(np.nanmax(rows["high"].to_numpy(float))) if rows["high"].notna().any() else float("nan")
    if n < MINIMUM_LABELS or not largest > SHARE * total:
        return None
    rest = max(total - largest, 0.0) / (n - 1)
    because = (
        f"One prediction makes up {100 * min(largest / total, 1.0):.0f} % of the errors of {n:,} labelled predictions:"
        f" off by {largest:,.3g}, the others by {rest:,.3g} on average."
    )
    return replace(
        context.undecided(name, "model", "largest_error", n, because, against="peers"),
        value=largest,
        low=largest,
        high=largest,
        severity="watch",
        limit=SHARE * total,
        rank=6.0,
        evidence={"mae_of_the_others": rest},
    )
