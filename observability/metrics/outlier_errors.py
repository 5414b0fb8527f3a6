"""Does one single prediction make up most of the error of a window?"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding

if TYPE_CHECKING:
    from pandas import DataFrame

SHARE = 0.5
"""A prediction whose error is more than half of the sum of all says something about itself, and hides what the others do."""
MINIMUM_LABELS = 100


def wildest(name: str, context: Context, sums: "DataFrame") -> Finding | None:
    """The finding about the largest error of a regression, where it alone is more than half of the sum of all errors; None else.

    sums: the window's, with the smallest and largest error. One wild row is a matter of that row: it is no fall of the model, and never an act.
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
        f"One prediction is off by {largest:,.3g}, which is {100 * min(largest / total, 1.0):.0f} % of the errors of all {n:,} labelled predictions together; "
        f"the others are off by {rest:,.3g} on average."
    )
    return replace(
        context.undecided(name, "model", "largest_error", n, because, against="peers"),
        value=largest, low=largest, high=largest, severity="watch", limit=SHARE * total, rank=6.0, evidence={"mae_of_the_others": rest},
    )  # fmt: skip
