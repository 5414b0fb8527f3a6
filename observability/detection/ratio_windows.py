"""How does a ratio (energy, money a prediction) stand to the model's own past, in the window and in its last 1, 3 and 7 days, and since when?

A change of yesterday shows in the last day while the week still dilutes it. Days are counted back from the window's end, so that the last one is a whole
one whatever the hour. A look shorter than a week is held against the same weekdays of the past; how far a look strays by itself is what days of the past
vary (stats/dispersion.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.time import naive_utc
from observability.core.window import EPOCH
from observability.detection.onset import Since, since
from observability.metrics.performance import Columns
from observability.stats.dispersion import DOUBT_DAYS, Variation, share_left, variation

if TYPE_CHECKING:
    from pandas import DataFrame

LOOKS = (1, 3, 7)
WEEK = 7
LEAST_DAYS = 7
"""Days of the past below which nothing is held against it."""
VARIES = 0.99
"""What a clean look stays under in so many of the cases is what a ratio varies up to by itself."""
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """One stretch that ends where the window ends. grown: times the ratio of the past; varies: what clean stretches stay under; p_value: of growth by chance.

    low, high: a 95 % interval of the value, by how far such a stretch strays.
    """

    days: float
    whole: bool
    value: float
    low: float
    high: float
    before: float
    grown: float
    varies: float
    p_value: float


@dataclass(frozen=True)
class Series:
    """Sums by day before the window's end. back: 0 for its last 24 hours, 1 for those before …, falling; window: the days that it covers."""

    back: NDArray[np.int64]
    served: Floats
    amount: Floats
    window: float

    @property
    def past(self) -> NDArray[np.bool_]:
        """Which days lie before the window."""
        return np.asarray(self.back >= np.ceil(self.window - 1e-9), bool)

    @property
    def ratio(self) -> Floats:
        """The ratio of each day, NaN where nothing was served."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.served > 0, self.amount / self.served, np.nan)

    def total(self, kept: NDArray[np.bool_]) -> float:
        """The ratio over some days; NaN where nothing was served on them."""
        served = float(self.served[kept].sum())
        return float(self.amount[kept].sum()) / served if served > 0 else float("nan")

    @property
    def variation(self) -> Variation:
        """What days add to the variance of the logarithm of the ratio, by the past."""
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log(self.ratio[self.past])
        known = np.isfinite(logs)
        if not known.any():
            return Variation(np.zeros(1), 0.0, 0)
        return variation(logs[known], np.zeros(int(known.sum())), -self.back[self.past][known])


def series(now: "DataFrame | Columns", past: "DataFrame | Columns", column: str, start: datetime, end: datetime) -> Series:
    """Sums of served and a column by day back from the window's end. now, past: one value an hour of `period` (naive UTC), `served` and the column."""
    at = np.concatenate([np.asarray(each["period"], "datetime64[us]") for each in (past, now)]).astype(np.int64)
    served, amount = (np.concatenate([np.asarray(each[name], np.float64) for each in (past, now)]) for name in ("served", column))
    number = np.maximum(((end - EPOCH) // MICROSECOND - at - 1) // (DAY // MICROSECOND), 0)
    back, place = np.unique(-number, return_inverse=True)
    return Series(-back, np.bincount(place, served, back.size), np.bincount(place, amount, back.size), (end - start) / DAY)


def looks(of: Series) -> list[Look]:
    """The window and its last days against the past; none where fewer than LEAST_DAYS days of the past were served, or one side is nothing."""
    known = of.variation
    if known.days < LEAST_DAYS:
        return []
    square = (
        float(known.between[0]) * (known.days + DOUBT_DAYS) / known.days
    )  # rows are not known apart, so the doubt that follows them is none
    usual = float(np.median(of.served[of.past & (of.served > 0)]))
    found = []
    for days in (of.window, *(each for each in LOOKS if each < of.window)):
        inside = (of.back < days - 1e-9) & ~of.past
        before = of.past
        if days < WEEK and int(of.past.sum()) >= 2 * WEEK:
            before = of.past & np.isin(of.back % WEEK, of.back[inside] % WEEK)
        value, then = of.total(inside), of.total(before)
        if not (value > 0 and then > 0):
            continue
        thin = max(usual * max(days, 1.0) / float(of.served[inside].sum()), 1.0)
        errors = (share_left(days, known.correlation) * thin, share_left(int(before.sum()), known.correlation))
        own, other = (float(np.sqrt(square * each)) for each in errors)
        found.append(look(days, days == of.window, value, then, own, other, known.freedom))
    return found


def look(days: float, whole: bool, value: float, before: float, own: float, other: float, freedom: float) -> Look:
    """A look with Student's chance of growth as large, and what clean ones stay under. own, other: standard errors of the logarithms of both ratios."""
    from scipy.special import stdtr, stdtrit

    shift, error = float(np.log(value / before)), float(np.hypot(own, other))
    reach = float(np.exp(stdtrit(freedom, 0.975) * own))
    if error > 0:
        p_value, varies = float(stdtr(freedom, -shift / error)), float(np.exp(stdtrit(freedom, VARIES) * error))
    else:
        p_value, varies = (0.0 if shift > 1e-9 else 1.0), 1.0
    return Look(days, whole, value, value / reach, value * reach, before, value / before, varies, p_value)


def began(of: Series, start: datetime, end: datetime) -> Since:
    """The day from which the ratio is higher."""
    ratio = of.ratio
    days: Sequence[datetime] = [naive_utc(end) - timedelta(days=int(each) + 1) for each in of.back]
    with np.errstate(invalid="ignore", divide="ignore"):
        return since(days, np.where(ratio > 0, np.log(ratio), np.nan), start=start, worse=1)
