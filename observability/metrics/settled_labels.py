"""Decide whether the labels of a window can be judged: either because most of them have arrived, or because whole days are complete.

If labels come a fixed time after their predictions, the last days of a window have none, but the days before are complete. If they come
sooner for some outcomes than for others, every day has only some of its labels, and these are a biased sample. Only in the second case is
it necessary to wait.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.questions import UNKNOWN
from observability.metrics.measured_windows import MATURE

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_COMPLETE_DAYS = 3
"""Days with complete labels are judged if there are at least this many, even if labels of other days are still missing."""
FROM_COMPLETE_DAYS = 0.9
"""At least this share of the arrived labels must belong to days with complete labels, so that early labels of other days have little
weight.
"""


@dataclass(frozen=True)
class LabelledDays:
    """The state of a window's labels. complete: whether most of the usual labels have arrived; settled: whether the arrived labels can be
    judged; days: number of days with complete labels.
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
