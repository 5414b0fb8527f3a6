"""Measures how far a column is from the model's own past, as far as the bins of the reference can show it.

The PSI against the own past is computed on the deciles of the reference. If many past values of a number lie beyond the reference's range,
they are all in a single open bin. A change inside this bin cannot be seen, and merged bins only lower a PSI. Therefore groups of about a
tenth of the past, as far as the bins allow, are used for a lower bound. If most of the past lies in one open bin, even this bound says
nothing.
"""

import math
from dataclasses import dataclass

from observability.detection.distribution_changes import DistributionChange
from observability.detection.histogram_distance import WATCH
from observability.metrics.histograms import ColumnAxis, ColumnHistogram, grouped_counts, tenths_of
from observability.stats import distance

HELD_TOGETHER, MAX_BEYOND = 0.1, 0.5
"""If at least the first share of past values lies beyond one end of the reference's range, the past's own tenths are used; from the second
share on, a change inside the open bin may be missed.
"""


@dataclass(frozen=True)
class OwnPast:
    """The PSI against the model's own past; on tenths of the past where the reference's deciles would merge them. beyond: the share of past
    values beyond one end of the reference's range, the larger of the two ends.
    """

    psi: float
    beyond: float

    @property
    def is_known(self) -> bool:
        """Whether the bins could show a change. They cannot if most of the past lies in one open bin and nothing outside this bin has
        moved.
        """
        return self.beyond < MAX_BEYOND or self.psi >= WATCH

    def words(self, days: str) -> str:
        """Words for the distance, to continue a sentence. days: the length of the own past, such as “ 28 days”."""
        if self.beyond < HELD_TOGETHER:
            return f"; PSI {self.psi:.2f} against its own past{days}"
        where = f"{100 * self.beyond:.0f} % of those values are beyond the reference’s range, in a single bin"
        if self.is_known:
            return f"; PSI at least {math.floor(100 * self.psi) / 100:.2f} against its own past{days}: {where}"
        return f"; change from its own past{days} unknown: {where}"


def own_past_distance(axis: ColumnAxis, change: DistributionChange) -> OwnPast | None:
    """Return the distance of a change's days from the model's own past; None if there is no past."""
    past, before = change.past, change.past_rows
    if past is None or before is None:
        return None
    beyond = share_beyond(axis, before)
    if beyond < HELD_TOGETHER:
        return OwnPast(past.psi, beyond)
    group = tenths_of(axis, before)
    return OwnPast(max(past.psi, distance.psi(grouped_counts(before, group), grouped_counts(change.after, group))), beyond)


def share_beyond(axis: ColumnAxis, side: ColumnHistogram) -> float:
    """Return the share of values in one of the two open bins of a number, the larger of the two; 0 for categories and for scores with fixed
    bins.
    """
    total = float(side.values.sum())
    return float(max(side.values[0], side.values[-1])) / total if axis.ordered and axis.winsorise is not None and total > 0 else 0.0
