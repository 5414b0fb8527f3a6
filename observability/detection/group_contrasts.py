"""How does a difference between groups go from day to day: how far does it stray by itself, and since when is it changed?

A contrast is a weighted sum of the groups' rates whose weights add up to zero: a group less the others, one group less another. Days of the own past tell
what they add to its variance beyond rows (stats/dispersion.py).
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from observability.detection.onset import Since, since
from observability.stats.dispersion import LEAST_DAYS, Variation, middle, share_left, variation

VARIES = 0.99
"""What a clean change stays under in so many of the cases is what a difference varies up to by itself."""
WEEK, MOST_REFERENCE_DAYS = 7, 90
LEAST_ROWS = 5
"""Of a group on a day, below which that day tells nothing of it."""
LEAST_PAST = 5
"""Days of the past from which they say what was usual when an onset is sought; with fewer the reference does."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contrast:
    """One difference by day. days: numbers since 1970, rising; values, variances (of rows alone): NaN where a group is too small; past: days before the
    window. rows: of its groups on each day.
    """

    days: NDArray[np.int64]
    values: Floats
    variances: Floats
    past: NDArray[np.bool_]
    rows: Floats

    @cached_property
    def usual_rows(self) -> float:
        """Rows of its groups on a usual day of the past; 0 without any."""
        return float(middle(self.rows[self.past], 0)) if self.past.any() else 0.0

    @cached_property
    def variation(self) -> Variation:
        """What days add to its variance, by the past."""
        kept = self.past & np.isfinite(self.values)
        if not kept.any():
            return Variation(np.zeros(1), 0.0, 0)
        return variation(self.values[kept], self.variances[kept], self.days[kept])

    def added(self, days: float, n_reference: float) -> tuple[float, float]:
        """What days add to the variance of its change between a stretch and the reference, and the degrees of freedom of that. n_reference: rows of the
        reference, which is stored without times: it is taken to span as many days as its rows make at the traffic of a usual day.
        """
        known = self.variation
        usual = self.usual_rows
        before = min(max(n_reference / usual, WEEK), MOST_REFERENCE_DAYS) if usual > 0 else WEEK
        share = share_left(days, known.correlation) + share_left(before, known.correlation)
        return float(known.between[0]) * share, known.freedom

    @property
    def days_known(self) -> int:
        """Days of the past that tell how far it strays; 0 where they are too few."""
        return self.variation.days

    def since(self, start: datetime, before: tuple[float, float], worse: int) -> Since:
        """The day from which it is changed. before: its value and standard error in the reference."""
        kept = np.isfinite(self.values)
        past = int((kept & self.past).sum())
        return since(
            [np.datetime64(int(day), "D") for day in self.days[kept]],
            self.values[kept],
            np.sqrt(self.variances[kept]),
            start=start,
            before=None if past >= LEAST_PAST else before,
            worse=worse,
        )


def contrasts(days: NDArray[np.int64], first: int, values: Floats, n: Floats, weights: Floats, of_row: Floats) -> list[Contrast]:
    """Of rates by day (days × groups) over n rows, one for each row of weights (× groups). first: number of the window's first day; of_row: variance of one
    row of each group.
    """
    there = (n >= LEAST_ROWS) & np.isfinite(values)
    of, over = np.where(there, values, 0.0), np.where(there, np.nan_to_num(of_row) / np.where(there, n, 1.0), 0.0)
    shape = (len(weights), days.size)
    totals, variances, known = np.zeros(shape), np.zeros(shape), np.ones(shape, bool)
    for sign in (1.0, -1.0):  # a side of which a part is missing goes by the rest of it
        side = np.maximum(sign * weights, 0.0)
        left, whole = side @ there.T, side.sum(axis=1, keepdims=True)
        known &= left >= whole / 2
        scale = whole / np.where(left > 0, left, 1.0)
        totals += sign * scale * (side @ of.T)
        variances += scale**2 * (side**2 @ over.T)
    rows, past = (weights != 0) @ n.T, np.asarray(days < first, bool)
    totals, variances = np.where(known, totals, np.nan), np.where(known, variances, np.nan)
    return [Contrast(days, value, variance, past, size) for value, variance, size in zip(totals, variances, rows, strict=True)]


def chance(grown: float, error: float, added: float, freedom: float, *, known: bool) -> tuple[float, float, float]:
    """Standard error with what days add, two-sided p-value of growth as large (1 where it did not grow), and what clean growth stays under (0 where no
    past tells).
    """
    from scipy.special import stdtr, stdtrit

    whole = float(np.hypot(error, np.sqrt(added)))
    if not whole > 0:
        return whole, (0.0 if grown > 0 else 1.0), 0.0
    left = min(freedom * (whole**2 / added) ** 2, 1e6) if added > 0 else 1e6
    p_value = float(2 * stdtr(left, -grown / whole)) if grown > 0 else 1.0
    return whole, p_value, float(stdtrit(left, 0.5 + VARIES / 2)) * whole if known else 0.0


def enough_days(of: Contrast) -> bool:
    """Whether the past tells how far it strays."""
    return of.days_known >= LEAST_DAYS
