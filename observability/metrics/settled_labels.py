"""Decide whether the labels of a window can be judged, because most of them have arrived or because whole days are complete.

If labels come a fixed time after their predictions, the last days of a window have none, and the days before are complete. If they come
sooner for some outcomes than for others, every day has only a part of its labels, which is no fair sample. Only in the second case is it
necessary to wait.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.questions import UNKNOWN
from observability.metrics.measured_windows import MATURE

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_COMPLETE_DAYS = 3
"""Minimum number of days with complete labels that are judged while labels of other days are still to come."""
FROM_COMPLETE_DAYS = 0.9
"""Smallest share of the arrived labels that must come from days with complete labels, so that early labels of other days weigh little."""


@dataclass(frozen=True)
class LabelledDays:
    """Labels of a window. complete: whether most of the usual labels have arrived; settled: whether the arrived labels can be judged; days:
    days with complete labels.
    """

    complete: bool
    settled: bool
    days: int


def labelled_days(counts: "DataFrame", usual: float) -> LabelledDays:
    """Whether the labels of a window are complete, and whether the arrived labels can be judged.

    Parameters
    ----------
    counts : DataFrame
        Counts of outcomes by day (`period`) and `label`.
    usual : float
        Share of predictions that is labelled in the end, 0 to 1.

    Returns
    -------
    LabelledDays
        For a window without predictions: complete, with 0 days.
    """
    if counts.empty:
        return LabelledDays(True, True, 0)
    days, place = np.unique(counts["period"].to_numpy("datetime64[D]"), return_inverse=True)
    n = counts["n"].to_numpy(np.float64)
    served, labelled = (np.bincount(place, rows, days.size) for rows in (n, n * (counts["label"].to_numpy() != UNKNOWN)))
    whole = (labelled >= MATURE * usual * served) & (labelled > 0)
    complete = bool(labelled.sum() >= MATURE * usual * served.sum())
    enough = whole.sum() >= MIN_COMPLETE_DAYS and labelled[whole].sum() >= FROM_COMPLETE_DAYS * labelled.sum()
    return LabelledDays(complete, bool(complete or enough), int(whole.sum()))
