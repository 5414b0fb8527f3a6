"""The windows in which a change is tested: the whole window and its last 1, 3 and 7 days.

A fault of yesterday is visible in the last day, although the whole week dilutes it. The last days are whole days, because half a day covers
only some hours. A window shorter than a week is compared with the same weekdays of the model's own past.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

WEEK = 7
LAST_DAYS = (1, 3, 7)
MAX_REFERENCE_DAYS = 90
Days = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


def last_day_masks(
    days: Days,
    last: int,
    length: float,
    enough: Callable[[Mask], object] = np.any,
    *,
    first: float = -np.inf,
    counts: Sequence[int] = LAST_DAYS,
) -> Iterator[tuple[int, Mask]]:
    """Yield (number of days, mask of these days) for the last 1, 3 and 7 days, each only if it has fewer days than the window and holds
    enough rows.

    days: days as numbers since 1970. first, last: the window's first and last whole day, as such numbers. length: number of days of the
    window.
    """
    for count in counts:
        kept = (days > last - count) & (days <= last) & (days >= first)
        if count < length and enough(kept):
            yield count, kept


def same_weekdays(days: Days, others: Days) -> Mask:
    """Return a mask of the days that fall on the same weekday as at least one of `others`."""
    return np.isin(days % WEEK, others % WEEK)


def reference_days(rows: float, rows_a_day: float) -> float:
    """Return the estimated number of days that a reference spans, between a week and 90 days.

    A reference is stored without times. Therefore its number of rows is divided by the rows of a usual day.
    """
    return min(max(rows / rows_a_day, WEEK), MAX_REFERENCE_DAYS) if rows_a_day > 0 else float(WEEK)


def window_phrase(days: float, *, whole: bool) -> str:
    """Return when a change happened, as the end of a phrase: ` on the last day`, ` in the last 3 days`. Empty for the whole window."""
    return "" if whole else " on the last day" if days == 1 else f" in the last {days:g} days"
