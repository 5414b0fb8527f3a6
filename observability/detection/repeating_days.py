"""Distinguishes weekdays that differ from the reference each week from weekdays that the reference also contains.

When a fault on one weekday has occurred three or four times, it is usual for the model's own past. A reference is stored without dates, but
can still tell a fault from a natural weekly pattern. If the pattern is natural, the reference contains such days and looks like the whole
past month. If it is a fault, the reference looks like the other days of the month only.
"""

import math

import numpy as np

from observability.detection.windows import Floats
from observability.stats import distance
from observability.stats.dispersion import SHARE_FLOOR

SURE = math.log(1000)
"""From this log likelihood ratio on, the reference is taken to contain no such days."""
NEARER = 4
"""The distance of a mixture with such days from the other days must be at least this multiple of the distance of the reference from the
other days. This allows for a small drift of all days.
"""


def lacks_such_days(reference: Floats, others: Floats, earlier: Floats, such: Floats, share: float, row_share: float, limit: float) -> bool:
    """Whether a reference clearly contains no days of one kind, such as one weekday. This is so if the reference is like the other days,
    and earlier days of this kind differ from them.

    False if unknown: if there are few such days, or if they differ little, a reference that contains them is as near to the other days as a
    reference that drifted within its limit. reference, others, earlier, such: counts by group, of the reference, of the other past days, of
    past days of this kind, and of the last days of this kind. share: share of days of this kind. row_share: part of the variance of the
    reference's shares that comes from rows, because rows of a day are not independent draws. limit: PSI from which two sides differ.
    """
    if min(others.sum(), earlier.sum(), such.sum()) <= 0 or distance.psi(others, earlier) < limit:
        return False
    without = np.maximum(others / others.sum(), SHARE_FLOOR)
    natural = (1 - share) * without + share * np.maximum(such / such.sum(), SHARE_FLOOR)
    apart = distance.psi(others, natural * others.sum())
    near = distance.psi(reference, others)
    if apart < limit or near >= limit or near * NEARER >= apart:
        return False
    return row_share * float(reference @ np.log(without / natural)) >= SURE
